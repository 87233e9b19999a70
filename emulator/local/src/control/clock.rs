//! The emulator's clock, from outside.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::datetime;

use super::error::ControlError;
use keyholder_emulator::clock::Clock;
use keyholder_emulator::moment::Moment;
use keyholder_emulator::span;

/// Certificates, tokens and HTTP dates can be written for moments within; Event Grid adds a day at most.
const EARLIEST: OffsetDateTime = datetime!(1970-01-01 00:00 UTC);
const LATEST: OffsetDateTime = datetime!(9990-01-01 00:00 UTC);

/// What the clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClockReading {
    /// What time it is in the emulator.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Moment")]
    pub now: OffsetDateTime,
    /// Whether it stands still until somebody moves it.
    pub frozen: bool,
}

/// A change to the clock; what is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClockChange {
    /// Put it to this moment, which may be in the past. Not together with `advance`.
    #[serde(with = "time::serde::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub now: Option<OffsetDateTime>,
    /// Move it forward. Not together with `now`.
    #[serde(with = "span::option", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<span::Span>")]
    pub advance: Option<Duration>,
    /// Stop it, or let it run from where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<bool>,
}

impl ClockReading {
    pub(super) fn of(clock: &Clock) -> ClockReading {
        ClockReading { now: clock.now(), frozen: clock.is_frozen() }
    }
}

impl ClockChange {
    /// Stops it at a moment, or where it stands.
    pub fn freeze(at: Option<OffsetDateTime>) -> ClockChange {
        ClockChange { now: at, frozen: Some(true), advance: None }
    }

    /// Puts it to a moment; frozen it stays frozen, running it goes on.
    pub fn set(to: OffsetDateTime) -> ClockChange {
        ClockChange { now: Some(to), ..ClockChange::default() }
    }

    /// Moves it forward.
    pub fn advance(by: Duration) -> ClockChange {
        ClockChange { advance: Some(by), ..ClockChange::default() }
    }

    /// Lets it run from where it stands.
    pub fn run() -> ClockChange {
        ClockChange { frozen: Some(false), ..ClockChange::default() }
    }

    /// Whether a clock shows a moment that the services can write down.
    pub(super) fn is_possible(clock: &Clock) -> bool {
        clock.shown().is_some_and(|moment| (EARLIEST..LATEST).contains(&moment))
    }

    pub(super) fn apply(self, clock: &Clock) -> Result<(), ControlError> {
        let target = match (self.now, self.advance) {
            (Some(_), Some(_)) => {
                return Err(ControlError::invalid(
                    "send now or advance, not both: each of them moves the clock",
                ));
            }
            (None, None) if self.frozen.is_none() => {
                return Err(ControlError::invalid(
                    "nothing would change; send now (a moment), advance (a length of time such as \"36h\") or \
                     frozen (true or false)",
                ));
            }
            (Some(now), None) => Some(now),
            (None, Some(by)) => {
                let by = time::Duration::try_from(by).unwrap_or(time::Duration::MAX);
                Some(clock.now().checked_add(by).unwrap_or(LATEST))
            }
            (None, None) => None,
        };
        if let Some(target) = target.filter(|target| !(EARLIEST..LATEST).contains(target)) {
            return Err(ControlError::invalid(format!(
                "the clock cannot be put to {target}: it goes from the year 1970 to 9989"
            )));
        }
        match (target, self.frozen) {
            (Some(target), Some(true)) => clock.freeze(target),
            (None, Some(true)) => clock.freeze(clock.now()),
            (Some(target), frozen) => {
                clock.set(target);
                if frozen == Some(false) {
                    clock.run();
                }
            }
            (None, _) => clock.run(),
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const THEN: OffsetDateTime = datetime!(2021-10-15 12:00 UTC);

    fn apply(change: Value) -> Result<ClockReading, String> {
        let clock = Clock::default();
        clock.freeze(THEN);
        let change: ClockChange = serde_json::from_value(change).map_err(|error| error.to_string())?;
        change.apply(&clock).map_err(|error| error.to_string())?;
        Ok(ClockReading::of(&clock))
    }

    #[test]
    fn a_change_leaves_alone_what_it_does_not_mention() {
        let frozen = |now| Ok(ClockReading { now, frozen: true });
        assert_eq!(apply(json!({ "advance": "2days 1h" })), frozen(THEN + time::Duration::hours(49)));
        assert_eq!(apply(json!({ "now": "2017-11-15T08:00:00Z" })), frozen(datetime!(2017-11-15 08:00 UTC)));
        assert_eq!(apply(json!({ "frozen": true })), frozen(THEN));
        let run = apply(json!({ "frozen": false, "advance": "1h" })).unwrap();
        assert!(!run.frozen && run.now >= THEN + time::Duration::HOUR);
    }

    #[test]
    fn a_running_clock_is_stopped_where_it_is_or_at_a_moment() {
        let clock = Clock::default();
        let before = clock.now();
        ClockChange::freeze(None).apply(&clock).unwrap();
        assert!(clock.is_frozen() && clock.now() >= before);
        ClockChange::run().apply(&clock).unwrap();
        ClockChange::freeze(Some(THEN)).apply(&clock).unwrap();
        assert_eq!((clock.now(), clock.is_frozen()), (THEN, true));
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_changes_nothing() {
        for (change, hint) in [
            (json!({}), "nothing would change"),
            (json!({ "now": "2021-10-15T12:00:00Z", "advance": "1s" }), "not both"),
            (json!({ "advance": "20000years" }), "from the year 1970 to 9989"),
            (json!({ "now": "1969-12-31T23:59:59Z" }), "from the year 1970 to 9989"),
            (json!({ "advance": 90 }), "expected a string"),
            (json!({ "advance": "soon" }), "90s, 36h and 2days 30m are"),
            (json!({ "freeze": true }), "`freeze`"),
        ] {
            let refusal = apply(change.clone()).unwrap_err();
            assert!(refusal.contains(hint), "{change}: {refusal}");
        }
    }
}
