//! Delayed delivery: how Event Grid spares an endpoint that keeps failing.
//!
//! Documented are the ten failures after which everything waits, new events included, how long for each kind of
//! failure, and that it may come to hours. How one leads to the other is chosen, not observed: each probation
//! that a failure begins lasts twice as long as the one before, until the endpoint takes an event.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::schedule::Attempt;
use crate::ground::stored;

/// So many failures in a row are one endpoint's bad luck; from here on they are its state.
const TOLERATED: u32 = 10;
/// "Up to several hours."
const LONGEST: Duration = Duration::from_secs(4 * 60 * 60);

/// How an endpoint has been doing.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Health {
    #[serde(deserialize_with = "stored::count")]
    failures: u32,
    #[serde(deserialize_with = "stored::count")]
    probations: u32,
    #[serde(deserialize_with = "stored::moment_or_none")]
    ends: Option<OffsetDateTime>,
}

impl Health {
    /// Takes note of an attempt.
    pub(super) fn record(&mut self, attempt: Attempt, now: OffsetDateTime) {
        if attempt.is_success() {
            *self = Health::default();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        // What was on its way when the probation began does not make it longer.
        if self.failures >= TOLERATED
            && self.probation(now).is_none()
            && let Some(base) = base(attempt)
        {
            let time = base.saturating_mul(1 << self.probations.min(16)).min(LONGEST);
            self.probations += 1;
            self.ends = Some(now + time);
        }
    }

    /// Until when nothing is sent, if it is on probation.
    pub(super) fn probation(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        self.ends.filter(|ends| *ends > now)
    }
}

/// How long an endpoint is spared after a failure of this kind; never after one that is the event's fault.
fn base(attempt: Attempt) -> Option<Duration> {
    let seconds = match attempt.outcome() {
        "Busy" | "TimedOut" => 10,
        "SocketError" => 30,
        "NotFound" | "ResolutionError" | "Unauthorized" | "Forbidden" => 300,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::StatusCode;
    use serde_json::Value;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-05 10:00 UTC);

    fn answered(status: u16) -> Attempt {
        Attempt::Answered(StatusCode::from_u16(status).unwrap())
    }

    /// Seconds of probation after so many failures of a kind at once.
    fn after(failures: u32, attempt: Attempt) -> Option<i64> {
        let mut health = Health::default();
        (0..failures).for_each(|_| health.record(attempt, NOW));
        health.probation(NOW).map(|ends| (ends - NOW).whole_seconds())
    }

    #[test]
    fn ten_failures_in_a_row_are_probation_for_as_long_as_their_kind_says() {
        let policy: Value =
            serde_json::from_str(include_str!("../../../../tests/fixtures/eventgrid/delivery-policy.json"))
                .unwrap();
        for attempt in [
            answered(500),
            answered(404),
            answered(401),
            answered(403),
            Attempt::TimedOut,
            Attempt::SocketError,
            Attempt::ResolutionError,
        ] {
            let documented = policy["probation_s"][attempt.outcome()].as_i64();
            assert!(documented.is_some(), "{attempt:?}");
            assert_eq!(after(9, attempt), None, "{attempt:?}");
            assert_eq!(after(10, attempt), documented, "{attempt:?}");
            assert_eq!(after(30, attempt), documented, "what was on its way counts once: {attempt:?}");
        }
        assert_eq!(after(30, answered(400)), None, "the event's fault, not the endpoint's");
    }

    #[test]
    fn a_success_ends_it_and_forgets_everything() {
        let mut health = Health::default();
        (0..10).for_each(|_| health.record(answered(500), NOW));
        health.record(answered(200), NOW);
        assert_eq!(health.probation(NOW), None);
        (0..9).for_each(|_| health.record(answered(500), NOW));
        assert_eq!(health.probation(NOW), None);
    }

    #[test]
    fn each_probation_is_longer_than_the_one_before_up_to_hours() {
        let mut health = Health::default();
        (0..9).for_each(|_| health.record(answered(503), NOW));
        let mut now = NOW;
        let mut lengths = Vec::new();
        for _ in 0..20 {
            health.record(answered(503), now);
            let ends = health.probation(now).unwrap();
            lengths.push((ends - now).whole_seconds());
            now = ends;
        }
        assert_eq!(lengths[..4], [10, 20, 40, 80]);
        assert_eq!(lengths[19], 4 * 60 * 60);
    }
}
