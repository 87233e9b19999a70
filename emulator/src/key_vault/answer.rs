//! What a vault answers when it does as asked.

use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use crate::exchange::{self, Response};

/// A success, before the headers every answer has.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// The object that was asked for, or as it is now.
    Done(Value),
    /// An operation that can be looked at elsewhere.
    Accepted { operation: Value, location: HeaderValue },
    /// Nothing is left to show.
    Purged,
}

impl Answer {
    pub(super) fn into_response(self) -> Response {
        match self {
            Answer::Done(body) => exchange::json(StatusCode::OK, &body),
            Answer::Accepted { operation, location } => {
                let mut response = exchange::json(StatusCode::ACCEPTED, &operation);
                response.headers_mut().insert(LOCATION, location);
                response
            }
            Answer::Purged => exchange::empty(StatusCode::NO_CONTENT),
        }
    }
}
