//! What a handler's answer hands to its function's output bindings.
//!
//! There is nothing behind the bindings here, so the host only says what it would hand over. One rule surprises
//! everybody: text that happens to be Base64, such as "test", arrives as the bytes it stands for.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// The binding a return value is for.
const RETURN: &str = "$return";

/// A binding whose direction is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OutputBinding {
    pub(super) name: String,
    pub(super) kind: String,
    /// Whether `dataType` says so.
    pub(super) is_binary: bool,
}

/// A value for a binding.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Output {
    binding: OutputBinding,
    value: Handed,
}

#[derive(Clone, Debug, PartialEq)]
enum Handed {
    Json(Value),
    Text(String),
    /// Decoded out of text.
    Bytes(Vec<u8>),
}

impl OutputBinding {
    /// Reads a binding of `function.json`; `None` if its direction is in.
    pub(super) fn read(binding: &Value) -> Option<OutputBinding> {
        let text = |member: &str| binding[member].as_str().unwrap_or_default();
        text("direction").eq_ignore_ascii_case("out").then(|| OutputBinding {
            name: text("name").to_owned(),
            kind: text("type").to_owned(),
            is_binary: text("dataType").eq_ignore_ascii_case("binary"),
        })
    }

    fn hand(&self, value: &Value) -> Handed {
        match value {
            Value::String(text) if self.kind.eq_ignore_ascii_case("http") => {
                // The value of an HTTP response is read once more.
                serde_json::from_str(text).map_or_else(|_| Handed::Text(text.clone()), Handed::Json)
            }
            Value::String(text) => match STANDARD.decode(text) {
                Ok(bytes) if !self.is_binary && !text.is_empty() => Handed::Bytes(bytes),
                _ => Handed::Text(text.clone()),
            },
            other => Handed::Json(other.clone()),
        }
    }
}

/// The values for the bindings, from the members `Outputs` and `ReturnValue` of an answer. A return value goes to
/// `$return` or, if there is no such binding and it is an object, its members join the outputs. What no binding is
/// named after is ignored.
pub(super) fn of(bindings: &[OutputBinding], outputs: &Value, return_value: &Value) -> Vec<Output> {
    let returns = bindings.iter().any(|binding| binding.name == RETURN);
    let merged = if returns { None } else { return_value.as_object() };
    let none = Map::new();
    let outputs = outputs.as_object().unwrap_or(&none);
    bindings
        .iter()
        .filter_map(|binding| {
            let value = match binding.name.as_str() {
                RETURN => Some(return_value),
                name => merged.and_then(|merged| merged.get(name)).or_else(|| outputs.get(name)),
            };
            let value = binding.hand(value.filter(|value| !value.is_null())?);
            Some(Output { binding: binding.clone(), value })
        })
        .collect()
}

impl fmt::Display for Output {
    /// Without the value, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OutputBinding { name, kind, .. } = &self.binding;
        match &self.value {
            Handed::Json(_) => write!(f, "JSON for the {kind} binding {name}"),
            Handed::Text(text) => {
                write!(f, "{} characters for the {kind} binding {name}", text.chars().count())
            }
            Handed::Bytes(bytes) => write!(
                f,
                "{} bytes for the {kind} binding {name}: its text is Base64, so the host decodes it, unless \
                 function.json says \"dataType\": \"binary\"",
                bytes.len()
            ),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn binding(name: &str, kind: &str) -> OutputBinding {
        OutputBinding { name: name.to_owned(), kind: kind.to_owned(), is_binary: false }
    }

    #[test]
    fn text_that_is_base64_becomes_bytes_unless_it_is_http_or_binary() {
        let queue = binding("out", "queue");
        let binary = OutputBinding { is_binary: true, ..queue.clone() };
        let http = binding("out", "http");
        let bytes = |text: &[u8]| Handed::Bytes(text.to_vec());
        let text = |text: &str| Handed::Text(text.to_owned());
        for (binding, value, handed) in [
            (&queue, json!("test"), bytes(&[0xb5, 0xeb, 0x2d])),
            (&queue, json!("aGk="), bytes(b"hi")),
            (&queue, json!("tests"), text("tests")),
            (&queue, json!("two words"), text("two words")),
            (&queue, json!(""), text("")),
            (&queue, json!({ "a": "test" }), Handed::Json(json!({ "a": "test" }))),
            (&queue, json!(1), Handed::Json(json!(1))),
            (&binary, json!("test"), text("test")),
            (&http, json!("test"), text("test")),
            (&http, json!("{\"status\":201}"), Handed::Json(json!({ "status": 201 }))),
        ] {
            assert_eq!(binding.hand(&value), handed, "{value} for {binding:?}");
        }
    }

    #[test]
    fn a_return_value_goes_to_its_binding_or_joins_the_outputs() {
        let outputs = json!({ "a": "one two", "other": "ignored" });
        let bindings = [binding("a", "queue"), binding("b", "queue")];
        let named = |outputs: Vec<Output>| {
            outputs.into_iter().map(|output| (output.binding.name, output.value)).collect::<Vec<_>>()
        };
        let text = |name: &str, text: &str| (name.to_owned(), Handed::Text(text.to_owned()));
        assert_eq!(named(of(&bindings, &outputs, &Value::Null)), [text("a", "one two")]);
        let returned = json!({ "b": "three four" });
        assert_eq!(
            named(of(&bindings, &outputs, &returned)),
            [text("a", "one two"), text("b", "three four")]
        );
        let with_return = [bindings[0].clone(), binding("$return", "queue")];
        assert_eq!(
            named(of(&with_return, &outputs, &json!("five six"))),
            [text("a", "one two"), text("$return", "five six")]
        );
        assert_eq!(of(&[], &outputs, &returned), []);
    }

    #[test]
    fn what_is_said_of_an_output_does_not_hold_it() {
        let said = |value: Value| {
            of(&[binding("out", "queue")], &json!({ "out": value }), &Value::Null)[0].to_string()
        };
        assert_eq!(said(json!("open sesame")), "11 characters for the queue binding out");
        assert_eq!(said(json!({ "key": "open sesame" })), "JSON for the queue binding out");
        assert!(said(json!("test")).starts_with("3 bytes for the queue binding out: its text is Base64"));
    }
}
