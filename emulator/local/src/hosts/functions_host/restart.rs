//! Whether a handler that ended is started again: the live host's table, which forgives less than one expects.
//!
//! There is no pause between restarts, an exit with code 0 is for ever, and the third error takes the host
//! down.

use time::{Duration, OffsetDateTime};

/// An error this long after the one before starts a new count.
const WINDOW: Duration = Duration::minutes(30);
/// The error that is one too many.
const LIMIT: u32 = 3;

/// How a handler process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With an exit code; without one it was a signal.
    Exited(Option<i32>),
    /// It could not be started, or did not answer in time and was killed.
    NeverReady,
    /// A function ran too long, so its process was killed.
    FunctionTimedOut,
}

/// What the host does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Start it again at once.
    Restart,
    /// Go on without a handler: every invocation will fail.
    StayDown,
    /// Stop the host.
    StopHost,
}

/// The errors so far.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    errors: u32,
    last: Option<OffsetDateTime>,
}

impl Restarts {
    pub(super) fn judge(&mut self, end: End, now: OffsetDateTime) -> Verdict {
        match end {
            End::Exited(Some(0)) => return Verdict::StayDown,
            End::Exited(Some(200)) | End::FunctionTimedOut => return Verdict::Restart,
            End::Exited(_) | End::NeverReady => {}
        }
        if self.last.is_some_and(|last| now - last > WINDOW) {
            self.errors = 0;
        }
        self.errors += 1;
        self.last = Some(now);
        if self.errors < LIMIT { Verdict::Restart } else { Verdict::StopHost }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::End::{Exited, FunctionTimedOut, NeverReady};
    use super::Verdict::{Restart, StayDown, StopHost};
    use super::*;

    #[test]
    fn the_third_error_in_a_chain_of_half_hours_stops_the_host() {
        const CRASH: End = Exited(Some(1));
        const KILLED: End = Exited(None);
        let start = datetime!(2026-03-05 10:00 UTC);
        for (name, ends) in [
            ("crashes", vec![(0, CRASH, Restart), (1, CRASH, Restart), (2, CRASH, StopHost)]),
            ("any error counts", vec![(0, KILLED, Restart), (0, NeverReady, Restart), (0, CRASH, StopHost)]),
            ("exit 0 is for ever", vec![(0, Exited(Some(0)), StayDown)]),
            (
                "exit 200 is free",
                vec![(0, Exited(Some(200)), Restart); 5].into_iter().chain([(0, CRASH, Restart)]).collect(),
            ),
            (
                "a function's timeout is free",
                vec![
                    (0, CRASH, Restart),
                    (0, CRASH, Restart),
                    (0, FunctionTimedOut, Restart),
                    (0, CRASH, StopHost),
                ],
            ),
            ("gaps of 30 minutes", vec![(0, CRASH, Restart), (30, CRASH, Restart), (60, CRASH, StopHost)]),
            (
                "a longer gap forgives",
                vec![(0, CRASH, Restart), (1, CRASH, Restart), (32, CRASH, Restart), (33, CRASH, Restart)],
            ),
            (
                "but only once",
                vec![(0, CRASH, Restart), (31, CRASH, Restart), (32, CRASH, Restart), (33, CRASH, StopHost)],
            ),
        ] {
            let mut restarts = Restarts::default();
            for (step, (minute, end, expected)) in ends.into_iter().enumerate() {
                let now = start + Duration::minutes(minute);
                assert_eq!(restarts.judge(end, now), expected, "{name}, step {step}");
            }
        }
    }
}
