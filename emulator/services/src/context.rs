//! What a service may use while it answers one request. It gets nothing else of the world.

pub(crate) mod access;

use time::OffsetDateTime;

use crate::change::Audience;
use crate::steering::choices::Choices;
use crate::steering::faults::Interference;
use access::Access;

/// Lent to a service for one request.
pub(crate) struct Context<'w> {
    /// Who is calling, and with which rights.
    pub(crate) access: Access<'w>,
    /// Whether only what is recorded is done.
    pub(crate) strict: bool,
    /// What to do where the service does one of two things.
    pub(crate) choices: Choices,
    /// What a fault makes the service do differently.
    pub(crate) interference: Option<Interference>,
    /// The emulator's clock, read once.
    pub(crate) now: OffsetDateTime,
    /// Seeded; every draw counts.
    pub(crate) random: &'w mut fastrand::Rng,
    /// Hears of ARM operations.
    pub(crate) audience: &'w mut dyn Audience,
}
