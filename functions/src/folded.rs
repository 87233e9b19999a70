//! Lines that callers can cause as often as they like, written at most once a minute.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

/// How long further lines are only counted.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);

/// One kind of line. The first is written at once; those of the minute after it are counted, and written as one line
/// at its end. A process that ends before has written all but that count.
#[derive(Debug)]
pub(crate) struct Folded {
    write: fn(u64, &str),
    minute: Arc<Mutex<Minute>>,
}

#[derive(Debug, Default)]
struct Minute {
    runs: bool,
    count: u64,
    /// Of the first that was only counted.
    reason: String,
}

impl Folded {
    /// What writes the line: how many it stands for, and the reason of the first of them.
    pub(crate) fn new(write: fn(u64, &str)) -> Folded {
        Folded { write, minute: Arc::default() }
    }

    /// Writes a line, or counts it.
    pub(crate) fn note(&self, reason: &str) {
        {
            let mut minute = locked(&self.minute);
            if minute.runs {
                if minute.count == 0 {
                    minute.reason = reason.to_owned();
                }
                minute.count += 1;
                return;
            }
            minute.runs = true;
        }
        (self.write)(1, reason);
        tokio::spawn(write_what_was_counted(self.write, self.minute.clone()));
    }
}

async fn write_what_was_counted(write: fn(u64, &str), minute: Arc<Mutex<Minute>>) {
    loop {
        sleep(WINDOW).await;
        let (count, reason) = {
            let mut minute = locked(&minute);
            if minute.count == 0 {
                minute.runs = false;
                return;
            }
            (mem::take(&mut minute.count), mem::take(&mut minute.reason))
        };
        write(count, &reason);
    }
}

fn locked(minute: &Mutex<Minute>) -> MutexGuard<'_, Minute> {
    minute.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    static WRITTEN: Mutex<Vec<(u64, String)>> = Mutex::new(Vec::new());

    fn write(count: u64, reason: &str) {
        WRITTEN.lock().expect("no test panicked").push((count, reason.to_owned()));
    }

    fn written() -> Vec<(u64, String)> {
        mem::take(&mut *WRITTEN.lock().expect("no test panicked"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_a_line_at_once_and_one_a_minute_with_its_count() {
        let folded = Folded::new(write);
        let line = |count, reason: &str| (count, reason.to_owned());
        (0..1000).for_each(|number| folded.note(&format!("number {number}")));
        assert_eq!(written(), [line(1, "number 0")]);
        sleep(WINDOW + Duration::from_secs(1)).await;
        assert_eq!(written(), [line(999, "number 1")]);
        folded.note("later");
        assert_eq!(written(), [], "the next minute has begun");
        sleep(WINDOW).await;
        assert_eq!(written(), [line(1, "later")]);
        sleep(2 * WINDOW).await;
        assert_eq!(written(), []);
        folded.note("much later");
        assert_eq!(
            written(),
            [line(1, "much later")],
            "after a quiet minute the first is written at once again"
        );
    }
}
