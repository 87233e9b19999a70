//! Work that is begun before it is known whether it is needed, and goes on beside something else.

use std::future::poll_fn;
use std::pin::{Pin, pin};

use futures::FutureExt;
use futures::future::{BoxFuture, MaybeDone, maybe_done};

/// Work under way. Dropping it ends it.
pub(crate) struct Prefetch<'w, T>(Pin<Box<MaybeDone<BoxFuture<'w, T>>>>);

impl<'w, T> Prefetch<'w, T> {
    /// Begins nothing yet: it gets on only while something else, or its result, is awaited.
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'w) -> Prefetch<'w, T> {
        Prefetch(Box::pin(maybe_done(work.boxed())))
    }

    /// Waits for something else, and for nothing but that.
    pub(crate) async fn poll_alongside<O>(&mut self, other: impl Future<Output = O>) -> O {
        let mut other = pin!(other);
        poll_fn(|context| {
            let other = other.as_mut().poll(context);
            if other.is_pending() {
                // Whether it is done by now is asked for when its result is.
                let _ = self.0.as_mut().poll(context);
            }
            other
        })
        .await
    }

    /// Waits for what is left of it.
    pub(crate) async fn result(mut self) -> T {
        self.0.as_mut().await;
        self.0.as_mut().take_output().expect("it is done, and its result is taken here alone")
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
            assert_eq!(begun.elapsed(), ms(other), "{work} beside {other}");
            assert_eq!(prefetch.result().await, "done");
            assert_eq!(begun.elapsed(), ms(work.max(other)), "{work} beside {other}");
        }
    }
}
