//! What follows a delivery attempt: the retry policy of Event Grid as one pure function.
//!
//! The service adds a little jitter; here every delay is exact, so that a test can move the clock to the moment
//! it wants.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::endpoint::DestinationKind;
use crate::ground::stored;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// The most one attempt may take.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How much later than that an answer may come and still cancel the next attempt.
pub const LATE_ANSWER_WITHIN: Duration = Duration::from_secs(3 * MINUTE);

/// Seconds from a failed attempt to the next; the last one repeats.
const SCHEDULE: [u64; 10] =
    [10, 30, MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR];

/// When a subscription gives an event up; whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// 1 to 30.
    pub max_attempts: u32,
    /// 1 minute to 1 day.
    pub time_to_live: Duration,
}

impl RetryPolicy {
    pub(super) const ATTEMPTS: RangeInclusive<u32> = 1..=30;
    pub(super) const MINUTES: RangeInclusive<u64> = 1..=1440;

    /// Whether the service would have it.
    pub(super) fn is_allowed(self) -> bool {
        let minutes = Duration::from_secs(MINUTE * RetryPolicy::MINUTES.start())
            ..=Duration::from_secs(MINUTE * RetryPolicy::MINUTES.end());
        RetryPolicy::ATTEMPTS.contains(&self.max_attempts) && minutes.contains(&self.time_to_live)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy { max_attempts: 30, time_to_live: Duration::from_secs(24 * HOUR) }
    }
}

/// How one attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attempt {
    /// The endpoint answered.
    Answered(#[serde(with = "stored::status")] StatusCode),
    /// It took too long.
    TimedOut,
    /// There was no connection, or it broke.
    SocketError,
    /// The endpoint's host has no address.
    ResolutionError,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the subscriber has it.
    Done,
    /// Another attempt.
    RetryAt(OffsetDateTime),
    /// Nothing: the event is a dead letter.
    GiveUp(Reason),
}

/// Why an event was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The last allowed attempt failed.
    MaxDeliveryAttemptsExceeded,
    /// It was too old when the next attempt was due.
    TimeToLiveExceeded,
    /// The endpoint's answer says that trying again is no use.
    NotRetriable,
}

impl Reason {
    /// The word in a dead letter. Only the first is documented; the others are chosen, not observed.
    pub fn name(self) -> &'static str {
        match self {
            Reason::MaxDeliveryAttemptsExceeded => "MaxDeliveryAttemptsExceeded",
            Reason::TimeToLiveExceeded => "TimeToLiveExceeded",
            Reason::NotRetriable => "NotRetriable",
        }
    }
}

/// What follows the attempt with this number, counted from 1.
pub(super) fn after(
    attempt: Attempt,
    number: u32,
    policy: RetryPolicy,
    kind: DestinationKind,
    now: OffsetDateTime,
) -> Next {
    let status = attempt.status();
    match status {
        _ if attempt.is_success() => Next::Done,
        400 | 403 | 413 => Next::GiveUp(Reason::NotRetriable),
        // Documented twice, once as final and once as worth another attempt "for Azure resources".
        401 if kind == DestinationKind::WebHook => Next::GiveUp(Reason::NotRetriable),
        _ if number >= policy.max_attempts => Next::GiveUp(Reason::MaxDeliveryAttemptsExceeded),
        _ => {
            let step = (number.max(1) as usize - 1).min(SCHEDULE.len() - 1);
            Next::RetryAt(now + Duration::from_secs(SCHEDULE[step].max(least_delay(status))))
        }
    }
}

/// Some answers ask for more patience than the schedule's first steps have.
fn least_delay(status: u16) -> u64 {
    match status {
        401 | 404 => 5 * MINUTE,
        408 => 2 * MINUTE,
        503 => 30,
        _ => 10,
    }
}

impl Attempt {
    /// Whether the subscriber has the event now.
    pub fn is_success(self) -> bool {
        matches!(self.status(), 200..=204)
    }

    /// The HTTP status of the answer; 0 when there was none.
    pub fn status(self) -> u16 {
        match self {
            Attempt::Answered(status) => status.as_u16(),
            Attempt::TimedOut | Attempt::SocketError | Attempt::ResolutionError => 0,
        }
    }

    /// `lastDeliveryOutcome` of a dead letter: the documented words; which word goes with which of the less
    /// usual statuses is chosen, not observed.
    pub(super) fn outcome(self) -> &'static str {
        match self {
            Attempt::SocketError => "SocketError",
            Attempt::ResolutionError => "ResolutionError",
            Attempt::TimedOut => "TimedOut",
            Attempt::Answered(status) => match status.as_u16() {
                401 => "Unauthorized",
                403 => "Forbidden",
                404 => "NotFound",
                408 | 504 => "TimedOut",
                413 => "PayloadTooLarge",
                400..=428 | 430..=499 => "BadRequest",
                _ => "Busy",
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::Value;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-05 10:00 UTC);

    fn documented() -> Value {
        serde_json::from_str(include_str!("../../../../tests/fixtures/eventgrid/delivery-policy.json"))
            .unwrap()
    }

    fn answered(status: u64) -> Attempt {
        Attempt::Answered(StatusCode::from_u16(u16::try_from(status).unwrap()).unwrap())
    }

    fn numbers(list: &Value) -> Vec<u64> {
        list.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
    }

    const KINDS: [(DestinationKind, &str); 2] =
        [(DestinationKind::WebHook, "webhook"), (DestinationKind::AzureFunction, "azure_resource")];

    fn delay(attempt: Attempt, number: u32) -> u64 {
        match after(attempt, number, RetryPolicy::default(), DestinationKind::AzureFunction, NOW) {
            Next::RetryAt(at) => (at - NOW).whole_seconds().unsigned_abs(),
            other => panic!("{attempt:?} number {number}: {other:?}"),
        }
    }

    #[test]
    fn delays_follow_the_documented_schedule_and_then_its_last_step() {
        let policy = documented();
        let schedule = numbers(&policy["schedule_s"]);
        let tail = policy["schedule_tail_s"].as_u64().unwrap();
        for number in 1..30 {
            let expected = schedule.get(number as usize - 1).copied().unwrap_or(tail);
            assert_eq!(delay(answered(500), number), expected, "after attempt {number}");
            assert_eq!(delay(Attempt::TimedOut, number), expected, "after attempt {number}");
        }
    }

    #[test]
    fn only_the_documented_statuses_are_success_or_final() {
        let policy = documented();
        let success = numbers(&policy["success_statuses"]);
        for (kind, name) in KINDS {
            let never = numbers(&policy["not_retried"][name]);
            for status in 200..600 {
                let next = after(answered(status), 1, RetryPolicy::default(), kind, NOW);
                if success.contains(&status) {
                    assert_eq!(next, Next::Done, "{status}");
                } else if never.contains(&status) {
                    assert_eq!(next, Next::GiveUp(Reason::NotRetriable), "{name} {status}");
                } else {
                    assert!(matches!(next, Next::RetryAt(_)), "{name} {status}: {next:?}");
                }
            }
        }
    }

    #[test]
    fn some_statuses_ask_for_more_patience() {
        let least = &documented()["min_delay_s_by_status"];
        for status in [401, 404, 408, 503] {
            let expected = least[status.to_string()].as_u64().unwrap();
            assert_eq!(delay(answered(status), 1), expected, "{status}");
            assert_eq!(delay(answered(status), 10), 12 * HOUR, "{status}");
        }
    }

    #[test]
    fn the_last_attempt_is_the_last() {
        let policy = RetryPolicy { max_attempts: 2, ..RetryPolicy::default() };
        let after = |status, number| after(answered(status), number, policy, DestinationKind::WebHook, NOW);
        assert!(matches!(after(500, 1), Next::RetryAt(_)));
        assert_eq!(after(500, 2), Next::GiveUp(Reason::MaxDeliveryAttemptsExceeded));
        assert_eq!(after(202, 2), Next::Done);
    }

    #[test]
    fn a_policy_keeps_within_the_documented_limits() {
        let documented = documented();
        let (attempts, minutes) = (&documented["max_attempts"], &documented["ttl_minutes"]);
        let number = |value: &Value| value.as_u64().unwrap();
        let policy = |attempts: u64, minutes: u64| RetryPolicy {
            max_attempts: u32::try_from(attempts).unwrap(),
            time_to_live: Duration::from_secs(60 * minutes),
        };
        let default = policy(number(&attempts["default"]), number(&minutes["default"]));
        assert_eq!(default, RetryPolicy::default());
        let (least, most) = (
            policy(number(&attempts["min"]), number(&minutes["min"])),
            policy(number(&attempts["max"]), number(&minutes["max"])),
        );
        assert!(least.is_allowed() && most.is_allowed());
        for (attempts, minutes) in [(0, 1), (31, 1), (1, 0), (1, 1441)] {
            assert!(!policy(attempts, minutes).is_allowed(), "{attempts} {minutes}");
        }
    }

    #[test]
    fn every_outcome_has_a_documented_word() {
        let policy = documented();
        let words = policy["last_delivery_outcomes"].as_array().unwrap();
        let attempts = (200..600).map(answered).chain([
            Attempt::TimedOut,
            Attempt::SocketError,
            Attempt::ResolutionError,
        ]);
        for attempt in attempts {
            assert!(words.iter().any(|word| word == attempt.outcome()), "{attempt:?}: {}", attempt.outcome());
        }
    }
}
