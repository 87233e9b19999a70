//! Where an effect acts. Each place matches its own part without a wildcard, so that a new effect does not compile
//! until the place that has to act on it does.

use std::time::Duration;

use super::effect::Effect;
use crate::steering::operation::Operation;

/// Where an effect acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The world answers in the service's place.
    Instead(Instead),
    /// The service answers, and the door treats the answer in its own way.
    OnTheWire(Wire),
    /// The service does something else than it would.
    Within(Interference),
}

/// An answer in place of the service's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instead {
    /// The service's own error form with this status; nothing happens.
    Failure(u16),
    /// 429 in the service's own error form; nothing happens.
    Throttle {
        /// Seconds in `Retry-After`.
        retry_after: Option<u32>,
    },
    /// A proxy's page; nothing happens.
    Page,
    /// What was asked happens, and JSON of another shape says so.
    AnotherShape,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// The answer comes later.
    Delay(Duration),
    /// Nothing happens, and no answer comes.
    Silence,
    /// Nothing happens, and the connection is reset.
    ResetBefore,
    /// What was asked happens, and the connection is reset.
    ResetAfter,
    /// What was asked happens, and half of the answer is sent.
    Truncated,
}

/// What a service does differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interference {
    /// The answer carries the former etag.
    StaleEtag,
    /// Another caller writes first.
    SomebodyElseWrites,
    /// Any proof is accepted.
    AcceptAnyProof,
}

/// What becomes of a call that the emulator makes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// It is not made, and counts as answered with this status.
    Answered(u16),
    /// It is not made, and counts as never answered.
    Unanswered,
    /// It is not made, and counts as a connection that was reset.
    NotMade,
    /// It is made, and its answer is lost.
    AnswerLost,
}

impl Effect {
    /// Where it acts on a request to a service.
    pub(crate) fn place(self) -> Place {
        match self {
            Effect::Answer(status) => Place::Instead(Instead::Failure(status)),
            Effect::Throttle { retry_after } => Place::Instead(Instead::Throttle { retry_after }),
            Effect::Html => Place::Instead(Instead::Page),
            Effect::WrongShape => Place::Instead(Instead::AnotherShape),
            Effect::Delay(time) => Place::OnTheWire(Wire::Delay(time)),
            Effect::Silence => Place::OnTheWire(Wire::Silence),
            Effect::ResetBefore => Place::OnTheWire(Wire::ResetBefore),
            Effect::ResetAfter => Place::OnTheWire(Wire::ResetAfter),
            Effect::Truncated => Place::OnTheWire(Wire::Truncated),
            Effect::StaleEtag => Place::Within(Interference::StaleEtag),
            Effect::SomebodyElseWrites => Place::Within(Interference::SomebodyElseWrites),
            Effect::AcceptAnyProof => Place::Within(Interference::AcceptAnyProof),
        }
    }

    /// What it does to a call that the emulator makes itself, if it can do anything.
    pub fn outgoing(self) -> Option<Outgoing> {
        match self.place() {
            Place::Instead(Instead::Failure(status)) => Some(Outgoing::Answered(status)),
            Place::OnTheWire(Wire::Silence) => Some(Outgoing::Unanswered),
            Place::OnTheWire(Wire::ResetBefore) => Some(Outgoing::NotMade),
            Place::OnTheWire(Wire::ResetAfter) => Some(Outgoing::AnswerLost),
            Place::Instead(Instead::Throttle { .. } | Instead::Page | Instead::AnotherShape)
            | Place::OnTheWire(Wire::Delay(_) | Wire::Truncated)
            | Place::Within(
                Interference::StaleEtag | Interference::SomebodyElseWrites | Interference::AcceptAnyProof,
            ) => None,
        }
    }
}

impl Interference {
    /// The operations within which it can happen, and what to say to one who aims it elsewhere.
    pub(super) fn possible(self) -> (&'static [Operation], &'static str) {
        use Operation::*;
        match self {
            Interference::StaleEtag => (
                &[GetCertificate, PutCertificate, GenerateVerificationCode, Verify],
                "aim it at a DPS operation that answers one certificate",
            ),
            Interference::SomebodyElseWrites => (
                &[GetCertificate, PutCertificate, DeleteCertificate, GenerateVerificationCode, Verify],
                "aim it at an operation on one DPS certificate",
            ),
            Interference::AcceptAnyProof => (&[Verify], "aim it at dps.verify"),
        }
    }
}
