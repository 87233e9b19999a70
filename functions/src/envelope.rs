//! What the Functions host sends to a custom handler, and what it wants back.
//!
//! The host embeds a single event as an object. A batch (`cardinality: many`), and whatever .NET does not
//! turn into an object, arrives as a *string* of JSON. Both are read, so that the handler does not depend on
//! the binding's cardinality. The answer always has a body: an empty 200 makes the host wait until the
//! function's time-out.

use keyholder::error::one_line;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Why a body is not an invocation.
#[derive(Debug, thiserror::Error)]
pub enum InvalidInvocation {
    /// No JSON object with `Data`.
    #[error(
        "the body is not an invocation ({}); the Functions host sends {{\"Data\":{{…}},\"Metadata\":{{…}}}}",
        one_line(&.0.to_string())
    )]
    NotJson(#[from] serde_json::Error),
    /// `Data` has no value, or several.
    #[error("Data has {0} members instead of one; the function has a single binding")]
    Bindings(usize),
    /// A string that holds no JSON.
    #[error("Data.{} is a string that is not JSON ({error})", one_line(name))]
    NotEvents {
        /// The binding.
        name: String,
        /// Why not.
        error: serde_json::Error,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Invocation {
    data: Map<String, Value>,
}

/// The events of an invocation: one, or those of a batch.
pub fn events(body: &[u8]) -> Result<Vec<Value>, InvalidInvocation> {
    let Invocation { data } = serde_json::from_slice(body)?;
    let bindings = data.len();
    let mut data = data.into_iter();
    let (Some((name, value)), None) = (data.next(), data.next()) else {
        return Err(InvalidInvocation::Bindings(bindings));
    };
    let value = match value {
        Value::String(text) => {
            serde_json::from_str(&text).map_err(|error| InvalidInvocation::NotEvents { name, error })?
        }
        value => value,
    };
    Ok(match value {
        Value::Array(events) => events,
        event => vec![event],
    })
}

/// The answer to a successful invocation; the host copies `logs` into the function's own log.
pub fn answer(logs: &[String]) -> Value {
    json!({ "Outputs": {}, "Logs": logs, "ReturnValue": null })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_in_every_form_the_host_uses() {
        let rows = [
            ("object", r#"{"Data":{"event":{"id":1}},"Metadata":{}}"#, json!([{"id": 1}])),
            ("string of one", r#"{"Data":{"event":"{\"id\":1}"}}"#, json!([{"id": 1}])),
            ("string of many", r#"{"Data":{"e":"[{\"id\":1},{\"id\":2}]"}}"#, json!([{"id": 1}, {"id": 2}])),
            ("array", r#"{"Data":{"event":[{"id":1}]}}"#, json!([{"id": 1}])),
            ("empty batch", r#"{"Data":{"event":"[]"}}"#, json!([])),
            ("no event at all", r#"{"Data":{"event":null}}"#, json!([null])),
        ];
        for (name, body, expected) in rows {
            assert_eq!(Value::from(events(body.as_bytes()).expect(name)), expected, "{name}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        let rows = [
            ("empty", "", "is not an invocation"),
            ("no JSON", "hello", "is not an invocation"),
            ("no Data", r#"{"Metadata":{}}"#, "Data"),
            ("no binding", r#"{"Data":{}}"#, "0 members"),
            ("two bindings", r#"{"Data":{"a":{},"b":{}}}"#, "2 members"),
            ("text", r#"{"Data":{"event":"hello"}}"#, "Data.event is a string"),
            ("a line in a name", r#"{"Data":{"a\nb":"hello"}}"#, "Data.a b is a string"),
        ];
        for (name, body, expected) in rows {
            let error = events(body.as_bytes()).expect_err(name).to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }
}
