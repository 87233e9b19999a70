//! What deliveries and questions to endpoints have in common: when one is due, what a fault makes of it, and how its
//! end reads.

use http::StatusCode;

use keyholder_emulator::Emulator;
use keyholder_emulator::event_grid::Attempt;
use keyholder_emulator::faults::{Effect, Outgoing};

/// Whether something is due. Taking counts as a change even when there is nothing to take, so look first.
pub(super) fn is_due(emulator: &Emulator) -> bool {
    emulator.look(|world, now| world.event_grid.next_due().is_some_and(|due| due <= now))
}

/// What comes of a request that a fault keeps from being sent; nothing if it is sent.
pub(super) fn unsent(fault: Effect) -> Option<Attempt> {
    match fault.outgoing() {
        Some(Outgoing::Answered(status)) => {
            Some(StatusCode::from_u16(status).map_or(Attempt::SocketError, Attempt::Answered))
        }
        // Nobody waits to see that nothing comes.
        Some(Outgoing::Unanswered) => Some(Attempt::TimedOut),
        Some(Outgoing::NotMade) => Some(Attempt::SocketError),
        Some(Outgoing::AnswerLost) | None => None,
    }
}

/// Whether a fault loses the answer to a request that is sent.
pub(super) fn loses_answer(fault: Option<Effect>) -> bool {
    fault.and_then(Effect::outgoing) == Some(Outgoing::AnswerLost)
}

/// What a status does not say.
pub(super) fn outcome(attempt: Attempt) -> &'static str {
    match attempt {
        Attempt::Answered(_) => "",
        Attempt::TimedOut => ": no answer within 30 s",
        Attempt::SocketError => ": no connection",
        Attempt::ResolutionError => ": no address for the host",
    }
}
