//! What the world asks of every service.

use http::StatusCode;

use crate::ground::exchange::Response;
use crate::steering::operation::Operation;

/// A request that a service has recognised as its own, from host, method and path alone.
pub(crate) trait Routed {
    /// The name the journal and the faults know it by.
    fn operation(&self) -> Operation;

    /// What it is about, as the journal and the faults name it.
    fn object(&self) -> String;

    /// The id of the registry's certificate it is about, if it is about one.
    fn certificate(&self) -> Option<&str> {
        None
    }

    /// The name the journal knows it by once it is answered.
    fn operation_answered(&self, _response: &Response) -> Operation {
        self.operation()
    }
}

/// What a service is to do about a request that is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Answer it.
    Answer,
    /// Refuse it in the service's own form, because its body is larger than any service reads.
    RefuseTooLarge,
    /// Fail on demand with this status, in the service's own form.
    Fail(StatusCode),
}

/// What a service makes of a request; `R` is how it goes on once its work is done.
pub(crate) enum Answer<R> {
    /// The answer.
    Ready(Response),
    /// Everything is decided and drawn, and the answer needs work first.
    Later(Work<R>),
}

/// Takes long (makes a key, signs, checks a signature) and touches no state, so that no other request waits for it.
pub(crate) type Work<R> = Box<dyn FnOnce() -> R + Send>;

/// What a failure on demand says where the service says nothing of its own.
pub(crate) const ON_DEMAND: &str = "The emulator was asked for this failure.";
