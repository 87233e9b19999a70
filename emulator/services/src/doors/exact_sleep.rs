//! Sleep that is exact to a tenth of a millisecond.
//!
//! The runtime's own timer rounds up to the next millisecond or the one after. Answers that are to come so many
//! milliseconds late stand for the way to a service and back; four of them in a row would be late by a
//! twentieth. So one thread waits for all of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// One who sleeps.
struct Sleeper {
    until: Instant,
    wake: oneshot::Sender<()>,
}

static CLOCKWORK: LazyLock<Sender<Sleeper>> = LazyLock::new(|| {
    let (sender, receiver) = channel();
    // Without its thread everybody wakes at once: their sender is dropped.
    let _ = thread::Builder::new().name("exact sleep".to_owned()).spawn(move || run(&receiver));
    sender
});

/// Sleeps for this long.
pub(crate) async fn sleep(time: Duration) {
    let (wake, woken) = oneshot::channel();
    let _ = CLOCKWORK.send(Sleeper { until: Instant::now() + time, wake });
    let _ = woken.await;
}

fn run(receiver: &Receiver<Sleeper>) {
    let mut sleepers: BinaryHeap<Reverse<Sleeper>> = BinaryHeap::new();
    loop {
        let now = Instant::now();
        while sleepers.peek().is_some_and(|next| next.0.until <= now) {
            if let Some(Reverse(sleeper)) = sleepers.pop() {
                let _ = sleeper.wake.send(());
            }
        }
        let another = match sleepers.peek() {
            Some(next) => receiver.recv_timeout(next.0.until.saturating_duration_since(Instant::now())),
            None => receiver.recv().map_err(RecvTimeoutError::from),
        };
        match another {
            Ok(sleeper) => sleepers.push(Reverse(sleeper)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.until == other.until
    }
}

impl Eq for Sleeper {}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.until.cmp(&other.until)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn everybody_wakes_and_nobody_early() {
        join_all([3, 1, 2, 1, 0].map(async |tenths| {
            let (begun, time) = (Instant::now(), Duration::from_micros(100 * tenths));
            sleep(time).await;
            assert!(begun.elapsed() >= time);
        }))
        .await;
    }
}
