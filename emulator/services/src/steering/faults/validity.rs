//! Which faults make sense: what a call of each kind can meet at all.

use super::effect::Effect;
use super::fault::{Calls, Fault};
use super::place::{Place, Wire};
use crate::names::{ENTRA_ID, MANAGED_IDENTITY};
use crate::steering::operation::Operation;

/// Why a fault could never strike, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidFault {
    /// A count of zero, or a likelihood outside what a draw can give.
    #[error("{0:?} strikes no call; count from 1, and let per_mille be 1 to 1000")]
    Calls(Calls),
    /// Not a final HTTP status.
    #[error("{0} is no final HTTP status; choose one of 200 to 599")]
    Status(u16),
    /// The operation cannot meet the effect.
    #[error("{operation} cannot meet {}: {remedy}", .effect.name())]
    Effect {
        /// The operation.
        operation: Operation,
        /// The effect.
        effect: Effect,
        /// What would be right.
        remedy: &'static str,
    },
    /// The operation is never about the object.
    #[error("{operation} is never about {object:?}; name {possible}")]
    Object {
        /// The operation.
        operation: Operation,
        /// The object.
        object: String,
        /// What would be right.
        possible: &'static str,
    },
    /// Another rule takes every call it is aimed at.
    #[error("{} would never be struck by it: rule {earlier} strikes every such call first; remove that rule", .fault.operation)]
    Overshadowed {
        /// The later rule.
        fault: Box<Fault>,
        /// The id of the other.
        earlier: u64,
    },
}

/// Refuses a rule that could never apply.
pub fn check(fault: &Fault) -> Result<(), InvalidFault> {
    let Fault { operation, object, calls, effect } = fault;
    let (operation, calls, effect) = (*operation, *calls, *effect);
    match calls {
        Calls::First(0) | Calls::Nth(0) | Calls::Every(0) => return Err(InvalidFault::Calls(calls)),
        Calls::Sometimes { per_mille, .. } if !(1..=1000).contains(&per_mille) => {
            return Err(InvalidFault::Calls(calls));
        }
        _ => {}
    }
    if let Effect::Answer(status) = effect
        && !(200..600).contains(&status)
    {
        return Err(InvalidFault::Status(status));
    }
    if let Some(remedy) = remedy(operation, effect) {
        return Err(InvalidFault::Effect { operation, effect, remedy });
    }
    if let Some(object) = object
        && let Some(possible) = only_objects(operation, object)
    {
        return Err(InvalidFault::Object { operation, object: object.clone(), possible });
    }
    Ok(())
}

/// What to do instead, when the operation cannot meet the effect.
fn remedy(operation: Operation, effect: Effect) -> Option<&'static str> {
    use Operation::*;
    if let Some(possible) = outgoing(operation) {
        return effect.outgoing().is_none().then_some(possible);
    }
    match effect.place() {
        Place::Within(interference) => {
            let (operations, remedy) = interference.possible();
            (!operations.contains(&operation)).then_some(remedy)
        }
        Place::OnTheWire(Wire::Truncated) if matches!(operation, DeleteCertificate | Unknown) => {
            Some("its answer has no body to cut")
        }
        Place::Instead(_) | Place::OnTheWire(_) => None,
    }
}

/// What can become of a call that the emulator makes itself.
fn outgoing(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::ValidateEndpoint => Some("an endpoint can answer, never answer, or lose its connection"),
        Operation::Deliver => Some(
            "an event can be answered, never answered, or lose its connection; to deliver it late or twice, \
             ask the event grid",
        ),
        Operation::Invoke => Some("a handler can answer, never answer, or lose its connection"),
        _ => None,
    }
}

/// What the operation is about, when it is never about the object.
fn only_objects(operation: Operation, object: &str) -> Option<&'static str> {
    let is = |name: &str| object.eq_ignore_ascii_case(name);
    match operation {
        Operation::GetToken if !is(MANAGED_IDENTITY) && !is(ENTRA_ID) => {
            Some("\"managed identity\", \"Entra ID\", or nothing for every call")
        }
        Operation::GetOpenIdMetadata if !is(ENTRA_ID) => Some("\"Entra ID\", or nothing for every call"),
        Operation::Unknown if !object.is_empty() => Some("nothing, for every call"),
        Operation::GetToken | Operation::GetOpenIdMetadata | Operation::Unknown => None,
        _ if object.is_empty() => Some("the object as the journal does, or nothing for every call"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::steering::faults::Faults;

    fn refusal(operation: Operation, object: Option<&str>, calls: Calls, effect: Effect) -> Option<String> {
        let fault = Fault { operation, object: object.map(str::to_owned), calls, effect };
        let mut faults = Faults::default();
        let refusal = faults.try_add(fault).err().map(|error| error.to_string());
        assert_eq!(faults.rules().len(), usize::from(refusal.is_none()));
        refusal
    }

    #[test]
    fn calls_that_never_come_are_refused() {
        let never = [
            Calls::First(0),
            Calls::Nth(0),
            Calls::Every(0),
            Calls::Sometimes { per_mille: 0, seed: 1 },
            Calls::Sometimes { per_mille: 1001, seed: 1 },
        ];
        for calls in never {
            let refusal = refusal(Operation::Verify, None, calls, Effect::Silence);
            assert!(refusal.is_some_and(|refusal| refusal.contains("strikes no call")), "{calls:?}");
        }
    }

    #[test]
    fn effects_that_make_no_sense_for_an_operation_are_refused_with_the_one_that_does() {
        let rows = [
            (Operation::GetCertificate, Effect::AcceptAnyProof, "aim it at dps.verify"),
            (Operation::Sign, Effect::SomebodyElseWrites, "an operation on one DPS certificate"),
            (Operation::ListCertificates, Effect::StaleEtag, "answers one certificate"),
            (Operation::DeleteCertificate, Effect::Truncated, "no body to cut"),
            (Operation::Deliver, Effect::Delay(Duration::ZERO), "ask the event grid"),
            (Operation::Invoke, Effect::Html, "a handler can answer"),
            (Operation::Verify, Effect::Answer(100), "choose one of 200 to 599"),
            (Operation::Verify, Effect::Answer(600), "choose one of 200 to 599"),
        ];
        for (operation, effect, remedy) in rows {
            let refusal = refusal(operation, None, Calls::Always, effect).unwrap_or_default();
            assert!(refusal.contains(remedy), "{operation} {effect:?}: {refusal}");
        }
    }

    #[test]
    fn every_service_operation_can_fail_in_every_general_way() {
        let effects = [
            Effect::Answer(503),
            Effect::Throttle { retry_after: Some(3) },
            Effect::Delay(Duration::ZERO),
            Effect::Silence,
            Effect::ResetBefore,
            Effect::ResetAfter,
            Effect::Truncated,
            Effect::Html,
            Effect::WrongShape,
        ];
        for operation in [Operation::GetToken, Operation::Arm, Operation::Verify, Operation::VaultChallenge] {
            for effect in effects {
                assert_eq!(refusal(operation, None, Calls::Always, effect), None, "{operation} {effect:?}");
            }
        }
    }

    #[test]
    fn objects_an_operation_is_never_about_are_refused() {
        for (operation, object, refused) in [
            (Operation::GetToken, "managed identity", false),
            (Operation::GetToken, "my-vault", true),
            (Operation::Verify, "", true),
            (Operation::Verify, "root-ca", false),
        ] {
            let refusal = refusal(operation, Some(object), Calls::Always, Effect::Silence);
            assert_eq!(refusal.is_some(), refused, "{operation} {object}");
        }
    }

    #[test]
    #[should_panic(expected = "cannot meet acceptAnyProof: aim it at dps.verify")]
    fn a_plan_written_in_code_may_not_hold_such_a_rule() {
        Faults::default().add(Fault {
            operation: Operation::Sign,
            object: None,
            calls: Calls::Always,
            effect: Effect::AcceptAnyProof,
        });
    }
}
