//! The emulator's time: the machine's, shifted or frozen at will. Nothing in the emulator sleeps to see
//! something expire; somebody moves this clock.

use std::sync::Mutex;
use std::time::Duration;

use time::OffsetDateTime;

/// A clock that can be moved. It only ever goes forward on its own.
#[derive(Debug, Default)]
pub struct Clock(Mutex<Reading>);

#[derive(Clone, Copy, Debug)]
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
    pub fn now(&self) -> OffsetDateTime {
        match *self.reading() {
            Reading::Shifted(shift) => OffsetDateTime::now_utc() + shift,
            Reading::Frozen(at) => at,
        }
    }

    /// Stops the clock at a moment.
    pub fn freeze(&self, at: OffsetDateTime) {
        *self.reading() = Reading::Frozen(at);
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut reading = self.reading();
        *reading = match *reading {
            Reading::Shifted(shift) => Reading::Shifted(shift + by),
            Reading::Frozen(at) => Reading::Frozen(at + by),
        };
    }

    fn reading(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
