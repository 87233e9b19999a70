//! Failures on demand: which call, how often, and what happens instead.
//!
//! A plan is deterministic: rules are tried in the order they were added, and each counts its own hits.

use crate::operation::Operation;

/// One rule of the plan.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The call it is aimed at.
    pub operation: Operation,
    /// Only calls for this object (as the journal names it), compared without case; `None` for every one.
    pub object: Option<String>,
    /// How many matching calls it strikes.
    pub calls: Calls,
    /// What happens.
    pub effect: Effect,
}

/// How many matching calls a rule strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// The first n, then never again.
    First(u32),
    /// Every one.
    Always,
}

/// What a struck call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The service answers this status in its own error form and nothing changes.
    Answer(u16),
    /// Somebody else replaces the certificate with itself just before, so that the caller's etag is stale.
    SomebodyElseWrites,
    /// DPS takes any verification certificate for a proof.
    AcceptAnyProof,
}

/// The rules in force.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Vec<(Fault, u32)>,
}

impl Faults {
    /// Adds a rule after those already there.
    pub fn add(&mut self, fault: Fault) {
        self.rules.push((fault, 0));
    }

    /// Forgets every rule.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// What this call meets, if anything; counts the hit.
    pub fn strike(&mut self, operation: Operation, object: &str) -> Option<Effect> {
        let (fault, hits) = self.rules.iter_mut().find(|(fault, hits)| {
            fault.operation == operation
                && fault.object.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(object))
                && match fault.calls {
                    Calls::First(calls) => *hits < calls,
                    Calls::Always => true,
                }
        })?;
        *hits += 1;
        Some(fault.effect)
    }
}
