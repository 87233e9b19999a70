//! The emulator's time: the machine's, shifted or frozen at will. Nothing in the emulator sleeps to see
//! something expire; somebody moves this clock.

use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A clock that can be moved. It only ever goes forward on its own.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Clock(Mutex<Reading>);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Reading {
    Shifted(time::Duration),
    Frozen(OffsetDateTime),
}

impl Default for Reading {
    fn default() -> Self {
        Reading::Shifted(time::Duration::ZERO)
    }
}

impl Clock {
    /// What time it is here.
    ///
    /// # Panics
    ///
    /// When it was shifted beyond the time that can be written down.
    pub fn now(&self) -> OffsetDateTime {
        self.shown().expect("it is shifted within limits")
    }

    /// What time it is here, if that can be written down.
    pub fn shown(&self) -> Option<OffsetDateTime> {
        match *self.reading() {
            Reading::Shifted(shift) => OffsetDateTime::now_utc().checked_add(shift),
            Reading::Frozen(at) => Some(at),
        }
    }

    /// Stops the clock at a moment.
    pub fn freeze(&self, at: OffsetDateTime) {
        *self.reading() = Reading::Frozen(at);
    }

    /// Lets a frozen clock go on from where it stands.
    pub fn run(&self) {
        let mut reading = self.reading();
        if let Reading::Frozen(at) = *reading {
            *reading = Reading::Shifted(at - OffsetDateTime::now_utc());
        }
    }

    /// Puts the clock to a moment, which may be in the past; frozen it stays frozen, running it goes on.
    pub fn set(&self, to: OffsetDateTime) {
        let mut reading = self.reading();
        *reading = match *reading {
            Reading::Shifted(_) => Reading::Shifted(to - OffsetDateTime::now_utc()),
            Reading::Frozen(_) => Reading::Frozen(to),
        };
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut reading = self.reading();
        *reading = match *reading {
            Reading::Shifted(shift) => Reading::Shifted(shift + by),
            Reading::Frozen(at) => Reading::Frozen(at + by),
        };
    }

    /// Shows from now on what another clock shows.
    pub(crate) fn follow(&self, other: Clock) {
        *self.reading() = *other.reading();
    }

    /// Whether it stands still.
    pub fn is_frozen(&self) -> bool {
        matches!(*self.reading(), Reading::Frozen(_))
    }

    fn reading(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const THEN: OffsetDateTime = datetime!(2017-11-15 12:00 UTC);

    #[test]
    fn a_frozen_clock_stands_where_it_is_put() {
        let clock = Clock::default();
        clock.freeze(THEN);
        assert_eq!((clock.now(), clock.is_frozen()), (THEN, true));
        clock.advance(Duration::from_secs(60));
        assert_eq!(clock.now(), THEN + Duration::from_secs(60));
        clock.set(THEN);
        assert_eq!((clock.now(), clock.is_frozen()), (THEN, true));
    }

    #[test]
    fn a_running_clock_goes_on_from_where_it_is_put() {
        let clock = Clock::default();
        clock.freeze(THEN);
        clock.run();
        assert!(!clock.is_frozen() && clock.now() >= THEN);
        clock.set(THEN - time::Duration::DAY);
        let set = clock.now();
        assert!(!clock.is_frozen() && set >= THEN - time::Duration::DAY && set < THEN);
    }
}
