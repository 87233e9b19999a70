//! How long exchanges take in real time. The emulator's own clock is no help there: it may stand still.

use std::time::{Duration, Instant};

use crate::steering::journal::Entry;

/// Started when an exchange begins.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    /// When the emulator was started.
    pub origin: Instant,
    /// When the exchange began.
    pub began: Instant,
}

impl Stopwatch {
    /// Says when the exchange began, and that it is over now.
    pub fn stop(&self, entry: &mut Entry) {
        self.stop_after(entry, Duration::ZERO);
    }

    /// Says when the exchange began, and that it will be over this much later.
    pub fn stop_after(&self, entry: &mut Entry, later: Duration) {
        self.never_stop(entry);
        entry.took_micros = Some(micros(self.began.elapsed() + later));
    }

    /// Says when the exchange began. Nobody waits for its end.
    pub fn never_stop(&self, entry: &mut Entry) {
        entry.began_micros = micros(self.began - self.origin);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
