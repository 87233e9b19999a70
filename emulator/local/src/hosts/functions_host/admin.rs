//! `POST /admin/functions/{name}`: runs a function because somebody asks for it, whatever its trigger is, as
//! Core Tools do. It is how a timer is tried without waiting for it.

use http::{Method, StatusCode};
use serde_json::Value;

use super::function::{Function, Trigger};
use super::webhook::{self, Decision, Payload};
use keyholder_emulator::exchange::{self, Request};

const PATH: &str = "/admin/functions/";
const TEXT: &str = "text/plain; charset=utf-8";

/// Whether it is for somebody who runs the host.
pub(super) fn is_for(request: &Request) -> bool {
    let first = request.uri().path().split('/').nth(1).unwrap_or_default();
    first.eq_ignore_ascii_case("admin")
}

/// What to do with a request, if it is one of this kind. `timer` is what a function with a timer is told.
/// Who has been let in is not asked again; the texts are chosen, not observed.
pub(super) fn decide<'a>(
    functions: &'a [Function],
    request: &Request,
    timer: impl FnOnce(&Function) -> Value,
) -> Option<Decision<'a>> {
    let path = request.uri().path();
    let name = path.get(PATH.len()..).filter(|_| path[..PATH.len()].eq_ignore_ascii_case(PATH))?;
    let Some(function) = functions.iter().find(|function| function.name().eq_ignore_ascii_case(name)) else {
        return Some(refuse(StatusCode::NOT_FOUND, format!("cannot find function: '{name}'")));
    };
    if request.method() != Method::POST {
        return Some(Decision::Answer(exchange::empty(StatusCode::METHOD_NOT_ALLOWED)));
    }
    let Some(input) = input(request) else {
        let message = "the body has to be {\"input\": …}, or empty".to_owned();
        return Some(refuse(StatusCode::BAD_REQUEST, message));
    };
    Some(match function.trigger() {
        Trigger::Timer(_) => Decision::Start(function, vec![Payload::Value(timer(function))]),
        Trigger::EventGrid { cardinality } => match webhook::payloads(parsed(input), *cardinality) {
            Some(events) => Decision::Start(function, events),
            None => {
                let message = "the input has to be an event, or a string that holds one".to_owned();
                refuse(StatusCode::BAD_REQUEST, message)
            }
        },
        Trigger::Other(_) => Decision::Start(function, vec![Payload::Value(input)]),
    })
}

/// The `input` member, null if there is none; `None` for a body of another form.
fn input(request: &Request) -> Option<Value> {
    if request.body().is_empty() {
        return Some(Value::Null);
    }
    match exchange::body_json(request)? {
        Value::Object(mut body) => Some(body.remove("input").unwrap_or_default()),
        _ => None,
    }
}

/// Core Tools send JSON in a string.
fn parsed(input: Value) -> Value {
    match input {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => other,
    }
}

fn refuse<'a>(status: StatusCode, message: String) -> Decision<'a> {
    Decision::Answer(exchange::with_body(status, TEXT, message))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::super::document::Document;
    use super::*;

    fn functions() -> Vec<Function> {
        [
            ("OnEvent", include_str!("../../../../../tests/fixtures/functions/function.eventgrid.json")),
            ("Sweep", include_str!("../../../../../tests/fixtures/functions/function.timer.json")),
            ("OnMessage", include_str!("../../../../../tests/fixtures/functions/function.queue.json")),
        ]
        .map(|(name, text)| Function::of(name, &Document::parse(name, text).unwrap()).unwrap())
        .to_vec()
    }

    fn request(method: &str, path: &str, body: &str) -> Request {
        http::Request::builder()
            .method(method)
            .uri(path)
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap()
    }

    /// The function that is started with these, or the status that is answered.
    fn decided(request: &Request) -> Result<(String, Vec<Payload>), u16> {
        let functions = functions();
        let timer = |function: &Function| json!({ "timer of": function.name() });
        match decide(&functions, request, timer).expect("it is for us") {
            Decision::Start(function, payloads) => Ok((function.name().to_owned(), payloads)),
            Decision::Answer(response) => Err(response.status().as_u16()),
            other @ Decision::Invoke(..) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_timer_is_told_what_it_would_be_told_whatever_the_input() {
        for body in ["", "{}", r#"{"input":""}"#, r#"{"input":{"a":1}}"#] {
            let expected = vec![Payload::Value(json!({ "timer of": "Sweep" }))];
            let request = request("POST", "/admin/functions/Sweep", body);
            assert_eq!(decided(&request), Ok(("Sweep".to_owned(), expected)), "{body}");
        }
    }

    #[test]
    fn an_event_is_parsed_from_text_or_taken_as_it_is() {
        let event = json!({"id": "1"});
        for input in [event.clone(), json!(event.to_string()), json!([event])] {
            let request = request("POST", "/admin/functions/OnEvent", &json!({ "input": input }).to_string());
            let expected = vec![Payload::Event(event.clone())];
            assert_eq!(decided(&request), Ok(("OnEvent".to_owned(), expected)), "{input}");
        }
    }

    #[test]
    fn any_other_trigger_gets_the_input_as_it_is() {
        let request = request("POST", "/ADMIN/Functions/onmessage", r#"{"input":"text"}"#);
        assert_eq!(decided(&request), Ok(("OnMessage".to_owned(), vec![Payload::Value(json!("text"))])));
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        for (method, path, body, status) in [
            ("POST", "/admin/functions/Missing", "", 404),
            ("POST", "/admin/functions/", "", 404),
            ("GET", "/admin/functions/Sweep", "", 405),
            ("POST", "/admin/functions/Sweep", "no json", 400),
            ("POST", "/admin/functions/Sweep", "[]", 400),
            ("POST", "/admin/functions/OnEvent", "", 400),
            ("POST", "/admin/functions/OnEvent", r#"{"input":"text"}"#, 400),
        ] {
            assert_eq!(decided(&request(method, path, body)), Err(status), "{method} {path} {body}");
        }
    }

    #[test]
    fn other_paths_are_somebody_else_s() {
        for path in ["/", "/admin/functions", "/runtime/webhooks/eventgrid", "/admin/host/status"] {
            let request = request("POST", path, "");
            assert!(decide(&functions(), &request, |_| Value::Null).is_none(), "{path}");
        }
    }
}
