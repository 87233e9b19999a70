//! What a server has to do about a request: answer it, mostly, and when a fault wants it otherwise, not.
//!
//! The core decides and stays pure; each server carries the decision out as truly as its transport can.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::ground::exchange::{self, Response};

/// What to do.
#[derive(Clone)]
pub enum Reply {
    /// Answer.
    Answer(Response),
    /// Answer, this much later.
    AnswerAfter(Duration, Response),
    /// Promise a body of this length, send less, and break the connection off.
    Truncated {
        /// What is sent.
        sent: Response,
        /// The `Content-Length`.
        promised: usize,
    },
    /// Reset the connection.
    Reset,
    /// Keep the connection, and say nothing.
    Silence,
}

impl Reply {
    /// The first half of an answer; of an empty one, its head.
    pub(crate) fn half(mut answer: Response) -> Reply {
        let promised = answer.body().len().max(1);
        let body = answer.body_mut();
        body.truncate(body.len() / 2);
        Reply::Truncated { sent: answer, promised }
    }

    /// What reaches the caller sooner or later.
    pub fn response(&self) -> Option<&Response> {
        match self {
            Reply::Answer(response) | Reply::AnswerAfter(_, response) => Some(response),
            Reply::Truncated { sent, .. } => Some(sent),
            Reply::Reset | Reply::Silence => None,
        }
    }

    /// The nearest thing for callers that cannot go without an answer, as a gateway in between would put it:
    /// 502 for a connection that broke, 504 for silence. A delay is up to the caller.
    pub fn into_response(self) -> Response {
        match self {
            Reply::Answer(response) | Reply::AnswerAfter(_, response) => response,
            Reply::Truncated { sent, .. } => sent,
            Reply::Reset => exchange::empty(StatusCode::BAD_GATEWAY),
            Reply::Silence => exchange::empty(StatusCode::GATEWAY_TIMEOUT),
        }
    }
}

impl fmt::Debug for Reply {
    /// Without bodies: they hold keys and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Answer(response) => write!(f, "Answer({})", response.status()),
            Reply::AnswerAfter(time, response) => write!(f, "AnswerAfter({time:?}, {})", response.status()),
            Reply::Truncated { sent, promised } => {
                write!(f, "Truncated({}, {} of {promised} bytes)", sent.status(), sent.body().len())
            }
            Reply::Reset => f.write_str("Reset"),
            Reply::Silence => f.write_str("Silence"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_answer_promises_more_than_it_sends() {
        for (body, sent, promised) in [("12345678", "1234", 8), ("1", "", 1), ("", "", 1)] {
            let whole = exchange::with_body(StatusCode::OK, exchange::JSON, body);
            let half = Reply::half(whole);
            assert_eq!(format!("{half:?}"), format!("Truncated(200 OK, {} of {promised} bytes)", sent.len()));
            assert_eq!(half.into_response().body(), sent);
        }
    }

    #[test]
    fn a_debug_line_holds_no_body() {
        let secret = exchange::with_body(StatusCode::OK, exchange::JSON, "secret");
        for reply in [Reply::Answer(secret.clone()), Reply::AnswerAfter(Duration::ZERO, secret)] {
            assert!(!format!("{reply:?}").contains("secret"));
        }
    }
}
