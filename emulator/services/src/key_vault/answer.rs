//! What a vault answers when it does as asked.

use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use super::refusal::Refusal;
use super::vault::Vault;
use super::visit::Visit;
use crate::ground::exchange::{self, Response};
use crate::service::Work;

/// A success, before the headers every answer has.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Done {
    /// The object that was asked for, or as it is now.
    Shown(Value),
    /// An operation that can be looked at elsewhere.
    Accepted { operation: Value, location: HeaderValue },
    /// Nothing is left to show.
    Purged,
}

/// A success, or what it still needs.
pub(super) enum Answer {
    Done(Done),
    /// A key that is made, a signature.
    Later(Work<Rest>),
}

/// How an answer goes on in its vault once its work is done.
pub(crate) struct Rest(Box<Finish>);

type Finish = dyn FnOnce(&mut Vault, &mut Visit<'_>) -> Result<Done, Refusal> + Send;

impl Answer {
    /// Answers after some work, with what `finish` makes of its result.
    pub(super) fn later<T: Send + 'static>(
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
        finish: impl FnOnce(T, &mut Vault, &mut Visit<'_>) -> Result<Done, Refusal> + Send + 'static,
    ) -> Answer {
        Answer::Later(Box::new(move || {
            let result = work();
            Rest(Box::new(move |vault, visit| finish(result?, vault, visit)))
        }))
    }
}

impl Rest {
    pub(super) fn finish(self, vault: &mut Vault, visit: &mut Visit<'_>) -> Result<Done, Refusal> {
        (self.0)(vault, visit)
    }
}

impl From<Value> for Answer {
    fn from(shown: Value) -> Answer {
        Answer::Done(Done::Shown(shown))
    }
}

impl Done {
    pub(super) fn into_response(self) -> Response {
        match self {
            Done::Shown(body) => exchange::json(StatusCode::OK, &body),
            Done::Accepted { operation, location } => {
                let mut response = exchange::json(StatusCode::ACCEPTED, &operation);
                response.headers_mut().insert(LOCATION, location);
                response
            }
            Done::Purged => exchange::empty(StatusCode::NO_CONTENT),
        }
    }
}
