//! Why the control API refuses, in words for whoever asked.

use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use keyholder_emulator::faults::InvalidFault;

/// A refusal. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The rule could never strike.
    #[error(transparent)]
    Fault(#[from] InvalidFault),
    /// There is no rule of this id.
    #[error("there is no rule {0}; emulator faults lists those there are, with their ids")]
    NoSuchRule(u64),
    /// There is no event subscription of this name.
    #[error("there is no event subscription {0}; GET /_emulator/event-grid lists those there are")]
    NoSuchSubscription(String),
    /// A web page of somewhere else asks, or asks under a name that is not this machine's.
    #[error("{0}")]
    Foreign(String),
    /// Who asks has not got the token.
    #[error(
        "the control API wants its token, and {}: send the header Authorization: Bearer TOKEN. `emulator env` prints \
         it as {variable}, the file keyholder-emulator-PORT.token in $XDG_RUNTIME_DIR or the temporary folder holds \
         it, and it is another at each start", if *is_missing { "got none" } else { "this is another" },
        variable = super::token::VARIABLE
    )]
    Token {
        /// Whether there was none at all.
        is_missing: bool,
    },
    /// A change that is not sent as JSON.
    #[error("send the header Content-Type: application/json; a change takes a JSON object, {{}} at least")]
    MediaType,
    /// Nothing is there.
    #[error("there is nothing at {0}; /_emulator/openapi.json describes all there is")]
    NoSuchPath(String),
    /// Something is there and takes other methods.
    #[error("{0} is not understood there; /_emulator/openapi.json describes all there is")]
    Method(String),
    /// The body is longer than any that could make sense.
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    /// This emulator has no sockets that could be named.
    #[error("this emulator serves tests in its own process and has no addresses")]
    NoAddresses,
}

/// The JSON of a refusal.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: ErrorDetail,
}

/// What is wrong, for programs and for people.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ErrorDetail {
    /// One word, stable.
    pub code: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl ControlError {
    pub(super) fn invalid(message: impl Into<String>) -> ControlError {
        ControlError::Invalid(message.into())
    }

    /// The HTTP status, and the word for programs.
    pub fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            ControlError::Invalid(_) => (StatusCode::BAD_REQUEST, "InvalidRequest"),
            ControlError::Fault(_) => (StatusCode::BAD_REQUEST, "InvalidFault"),
            ControlError::NoSuchRule(_) => (StatusCode::NOT_FOUND, "NoSuchRule"),
            ControlError::NoSuchSubscription(_) => (StatusCode::NOT_FOUND, "NoSuchSubscription"),
            ControlError::Foreign(_) => (StatusCode::FORBIDDEN, "Foreign"),
            ControlError::Token { .. } => (StatusCode::UNAUTHORIZED, "TokenRequired"),
            ControlError::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType"),
            ControlError::NoSuchPath(_) => (StatusCode::NOT_FOUND, "NoSuchPath"),
            ControlError::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
            ControlError::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "TooLarge"),
            ControlError::NoAddresses => (StatusCode::NOT_FOUND, "NoAddresses"),
        }
    }

    pub(super) fn body(&self) -> ErrorBody {
        let (_, code) = self.kind();
        ErrorBody { error: ErrorDetail { code: code.to_owned(), message: self.to_string() } }
    }
}
