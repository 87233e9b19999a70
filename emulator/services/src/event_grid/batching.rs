//! How many events a subscriber wants in one request.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// The two limits of a batch. Event Grid never waits for a batch to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batching {
    /// 1 to 5000. With 1, which is the default, there are no batches.
    pub max_events: u32,
    /// 1 to 1024. A single larger event goes alone.
    pub preferred_kilobytes: u32,
}

impl Default for Batching {
    fn default() -> Self {
        Batching { max_events: 1, preferred_kilobytes: 64 }
    }
}

impl Batching {
    pub(super) const EVENTS: RangeInclusive<u32> = 1..=5000;
    pub(super) const KILOBYTES: RangeInclusive<u32> = 1..=1024;

    /// Whether events may come together.
    pub fn is_on(self) -> bool {
        self.max_events > 1
    }

    /// Whether the service would have it.
    pub(super) fn is_allowed(self) -> bool {
        Batching::EVENTS.contains(&self.max_events) && Batching::KILOBYTES.contains(&self.preferred_kilobytes)
    }
}
