//! What the three ways to a token have in common on the wire.

use http::StatusCode;
use serde_json::{Value, json};

use crate::ground::exchange::{self, Request, Response};

/// A parameter with something in it.
pub(super) fn parameter(request: &Request, name: &str) -> Option<String> {
    exchange::query(request, name).filter(|value| !value.is_empty())
}

/// JSON whose members are all texts: the Rust SDK refuses `expires_on` as a number.
pub(super) fn texts(members: &[(&str, String)]) -> Response {
    let members = members.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
    exchange::json(StatusCode::OK, &Value::Object(members.collect()))
}
