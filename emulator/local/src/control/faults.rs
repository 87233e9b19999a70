//! The fault plan, from outside. What a rule is stands in [`keyholder_emulator::faults`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use keyholder_emulator::faults::{Calls, EFFECTS, Effect, Fault, Faults, Rule, check};
use keyholder_emulator::operation::Operation;

/// The rules in force, in the order they are tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultPlan {
    /// Oldest first.
    pub faults: Vec<FaultRule>,
}

/// One rule, and how often it has struck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultRule {
    /// Tells it from the others; never used twice.
    pub id: u64,
    /// How many calls it has struck.
    pub hits: u64,
    /// The rule as it was added.
    pub fault: Fault,
}

/// Which rule.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleId {
    /// The rule's id.
    pub id: u64,
}

/// Everything that can be asked of the emulated services.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Operations {
    /// By service.
    pub operations: Vec<OperationInfo>,
}

/// One operation, and what it can be struck with.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OperationInfo {
    /// `service.operation`.
    pub operation: Operation,
    /// The service.
    pub service: String,
    /// Examples of the effects that a rule for it may have, one of each kind.
    pub effects: Vec<Effect>,
}

impl FaultPlan {
    pub(super) fn of(faults: &Faults) -> FaultPlan {
        FaultPlan { faults: faults.rules().map(FaultRule::of).collect() }
    }
}

impl FaultRule {
    pub(super) fn of(rule: &Rule) -> FaultRule {
        FaultRule { id: rule.id(), hits: rule.hits(), fault: rule.fault().clone() }
    }
}

impl Operations {
    pub(super) fn all() -> Operations {
        let info = |operation: &Operation| OperationInfo {
            operation: *operation,
            service: operation.service().to_owned(),
            effects: examples().filter(|effect| is_possible(*operation, *effect)).collect(),
        };
        Operations { operations: Operation::ALL.iter().map(info).collect() }
    }
}

/// One effect of each kind.
fn examples() -> impl Iterator<Item = Effect> {
    EFFECTS.iter().map(|notation| notation.example)
}

fn is_possible(operation: Operation, effect: Effect) -> bool {
    check(&Fault { operation, object: None, calls: Calls::Always, effect }).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_lists_what_it_can_meet_and_nothing_else() {
        let all = Operations::all().operations;
        assert_eq!(all.len(), Operation::ALL.len());
        let effects = |operation| {
            let info = all.iter().find(|info| info.operation == operation);
            info.map(|info| info.effects.clone()).unwrap_or_default()
        };
        assert_eq!(effects(Operation::Verify), examples().collect::<Vec<_>>());
        assert_eq!(
            effects(Operation::Invoke),
            [Effect::Answer(503), Effect::Silence, Effect::ResetBefore, Effect::ResetAfter]
        );
    }
}
