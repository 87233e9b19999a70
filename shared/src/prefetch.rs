//! A future that is polled while another one is awaited, and whose result may never be needed.

use std::future::poll_fn;
use std::pin::{Pin, pin};

use futures::FutureExt;
use futures::future::{BoxFuture, MaybeDone, maybe_done};

/// A future that is polled alongside another one. Dropping it cancels it.
pub(crate) struct Prefetch<'w, T>(Pin<Box<MaybeDone<BoxFuture<'w, T>>>>);

impl<'w, T> Prefetch<'w, T> {
    /// Wraps a future. It makes progress only in [`Prefetch::poll_alongside`] and [`Prefetch::result`].
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'w) -> Prefetch<'w, T> {
        Prefetch(Box::pin(maybe_done(work.boxed())))
    }

    /// Awaits another future, and polls this one meanwhile. Returns as soon as the other one is ready.
    pub(crate) async fn poll_alongside<O>(&mut self, other: impl Future<Output = O>) -> O {
        let mut other = pin!(other);
        poll_fn(|context| {
            let other = other.as_mut().poll(context);
            if other.is_pending() {
                // `result` finds out whether it is ready.
                let _ = self.0.as_mut().poll(context);
            }
            other
        })
        .await
    }

    /// Awaits the result.
    pub(crate) async fn result(mut self) -> T {
        self.0.as_mut().await;
        self.0.as_mut().take_output().expect("it is ready, and only this function takes the result")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn both_take_as_long_as_the_longer_one() {
        let ms = Duration::from_millis;
        for (work, other) in [(10, 30), (30, 10), (0, 20), (20, 0)] {
            let begun = Instant::now();
            let mut prefetch = Prefetch::new(async {
                sleep(ms(work)).await;
                "done"
            });
            prefetch.poll_alongside(sleep(ms(other))).await;
            assert_eq!(begun.elapsed(), ms(other), "{work} alongside {other}");
            assert_eq!(prefetch.result().await, "done");
            assert_eq!(begun.elapsed(), ms(work.max(other)), "{work} alongside {other}");
        }
    }
}
