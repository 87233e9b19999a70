//! How much a process takes upon itself: read from its settings, kept by its verifier.

use std::time::Duration;

/// How much a verifier takes upon itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long one verification may take, waiting for its turn included. Event Grid waits 30 s for an
    /// answer; the default leaves room for the host.
    pub deadline: Duration,
    /// How many run at once.
    pub at_once: usize,
    /// How many more wait for their turn. Those beyond are told at once to come again, so that memory is bounded.
    pub waiting: usize,
    /// How many of those a sweep may take.
    pub at_once_in_sweep: usize,
    /// How long a sweep may take.
    pub sweep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            deadline: Duration::from_secs(25),
            at_once: 64,
            waiting: 1024,
            at_once_in_sweep: 8,
            sweep: Duration::from_secs(240),
        }
    }
}
