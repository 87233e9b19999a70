//! Failures on demand: which call, how often, and what happens instead.
//!
//! A plan is deterministic: rules are tried in the order they were added, the first that strikes decides, and
//! each counts only the calls that those before it let pass. So "the first call fails, then the next is
//! throttled" is two rules, and the same calls in the same order meet the same failures. A rule that could
//! never strike is refused when it is added, because a test that passes for want of a failure shows nothing.

pub(crate) mod answers;
mod effect;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod effect_tests;
mod fault;
mod notation;
mod place;
mod plan;
mod validity;

pub use effect::Effect;
pub use fault::{Calls, Fault};
pub use notation::EFFECTS;
pub use notation::UnknownEffect;
pub use place::Outgoing;
pub(crate) use place::{Instead, Interference, Place, Wire};
pub use plan::{Faults, Rule};
pub use validity::InvalidFault;
pub use validity::check;
