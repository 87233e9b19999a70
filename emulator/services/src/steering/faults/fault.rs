//! One rule of the plan: which calls it applies to, and what it does to them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::effect::Effect;
use crate::steering::operation::Operation;

/// One rule of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// The call it is aimed at.
    pub operation: Operation,
    /// Only calls for this object (as the journal names it), compared without case; none for every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Which of the matching calls it strikes.
    #[serde(default)]
    pub calls: Calls,
    /// What happens.
    pub effect: Effect,
}

/// Which matching calls a rule strikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Calls {
    /// The first n, then never again.
    First(u32),
    /// Only the n-th, counted from 1.
    Nth(u32),
    /// The k-th, the 2k-th, and so on.
    Every(u32),
    /// Some, drawn beforehand: the same seed strikes the same ones.
    Sometimes {
        /// How likely each is, in thousandths.
        per_mille: u16,
        /// Which draw it is.
        seed: u64,
    },
    /// Every one.
    #[default]
    Always,
}

impl Fault {
    pub(super) fn is_aimed_at(&self, operation: Operation, object: &str) -> bool {
        self.operation == operation
            && self.object.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(object))
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Calls::First(1) => f.write_str("the first"),
            Calls::First(calls) => write!(f, "the first {calls}"),
            Calls::Nth(call) => write!(f, "number {call}"),
            Calls::Every(1) | Calls::Always => f.write_str("all"),
            Calls::Every(calls) => write!(f, "one in {calls}"),
            Calls::Sometimes { per_mille, seed } => write!(f, "{per_mille} of 1000, seed {seed}"),
        }
    }
}
