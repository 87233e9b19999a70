//! What a request to the Event Grid webhook asks of the host.

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::function::{Cardinality, Function, Trigger};
use keyholder_emulator::exchange::{self, Request, Response};

const PATH: &str = "/runtime/webhooks/eventgrid";
const TEXT: &str = "text/plain; charset=utf-8";

/// Who may ask for the CloudEvents handshake: Event Grid in each Azure cloud, the public one first.
const ORIGINS: [&str; 5] = [
    "eventgrid.azure.net",
    "eventgrid.azure.us",
    "eventgrid.azure.cn",
    "eventgrid.azure.eaglex.ic.gov",
    "eventgrid.azure.microsoft.scloud",
];

/// What to do with a request.
#[derive(Debug)]
pub(super) enum Decision<'a> {
    /// Answer it; the handler hears nothing of it.
    Answer(Response),
    /// Call this function once for each of these, all at once, and answer how it went.
    Invoke(&'a Function, Vec<Payload>),
    /// The same, but answer at once.
    Start(&'a Function, Vec<Payload>),
}

/// What one invocation is about.
#[derive(Debug, PartialEq)]
pub(super) enum Payload {
    Event(Value),
    Events(Vec<Value>),
    Value(Value),
}

impl Payload {
    /// The events among it.
    pub(super) fn events(&self) -> &[Value] {
        match self {
            Payload::Event(event) => std::slice::from_ref(event),
            Payload::Events(events) => events,
            Payload::Value(_) => &[],
        }
    }
}

/// Whether it is for the Event Grid extension.
pub(super) fn is_for(request: &Request) -> bool {
    request.uri().path().eq_ignore_ascii_case(PATH)
}

/// The decision. Who has been let in is not asked again. The 409 of the live extension, to a schema the function
/// is not bound to, is for .NET functions alone.
pub(super) fn decide<'a>(functions: &'a [Function], request: &Request) -> Decision<'a> {
    if !is_for(request) {
        return Decision::Answer(exchange::empty(StatusCode::NOT_FOUND));
    }
    let name = exchange::query(request, "functionName").unwrap_or_default();
    let function = functions.iter().find(|function| function.name() == name);
    let Some((function, cardinality)) = function.and_then(|function| match function.trigger() {
        Trigger::EventGrid { cardinality } if !function.is_disabled() => Some((function, *cardinality)),
        _ => None,
    }) else {
        let message = format!("cannot find function: '{name}'");
        return Decision::Answer(exchange::with_body(StatusCode::NOT_FOUND, TEXT, message));
    };
    if request.method() == Method::OPTIONS {
        return Decision::Answer(allow(request.headers()));
    }
    let event_type = exchange::header_text(request, "aeg-event-type").unwrap_or_default();
    match event_type.to_ascii_lowercase().as_str() {
        "subscriptionvalidation" => Decision::Answer(validate(request)),
        "notification" => match exchange::body_json(request).and_then(|body| payloads(body, cardinality)) {
            Some(payloads) => Decision::Invoke(function, payloads),
            None => Decision::Answer(malformed()),
        },
        "unsubscribe" => Decision::Answer(exchange::empty(StatusCode::ACCEPTED)),
        // Event Grid never sends such a request again.
        _ => Decision::Answer(exchange::empty(StatusCode::BAD_REQUEST)),
    }
}

fn allow(headers: &HeaderMap) -> Response {
    let asked = headers.get("webhook-request-origin").and_then(|origin| origin.to_str().ok());
    let origin = ORIGINS.into_iter().find(|origin| Some(*origin) == asked).unwrap_or(ORIGINS[0]);
    let mut response = exchange::empty(StatusCode::OK);
    response.headers_mut().insert("webhook-allowed-origin", HeaderValue::from_static(origin));
    response
}

fn validate(request: &Request) -> Response {
    let code = exchange::body_json(request).and_then(|body| match body {
        Value::Array(events) => events.first()?.pointer("/data/validationCode").cloned(),
        // A form of old: one event, whose data is JSON in a string.
        Value::Object(event) => {
            let data: Value = serde_json::from_str(event.get("data")?.as_str()?).ok()?;
            data.get("validationCode").cloned()
        }
        _ => None,
    });
    match code {
        Some(code) => {
            exchange::with_body(StatusCode::OK, TEXT, json!({ "validationResponse": code }).to_string())
        }
        None => malformed(),
    }
}

/// An invocation for each event, or one for all; `None` if something is no event.
pub(super) fn payloads(events: Value, cardinality: Cardinality) -> Option<Vec<Payload>> {
    let events = match events {
        Value::Array(events) => events,
        event => vec![event],
    };
    if !events.iter().all(Value::is_object) {
        return None;
    }
    Some(match cardinality {
        Cardinality::One => events.into_iter().map(Payload::Event).collect(),
        Cardinality::Many => vec![Payload::Events(events)],
    })
}

/// The extension lets its reader's exception go, which ends as a 500.
fn malformed() -> Response {
    exchange::empty(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;

    use super::super::document::Document;
    use super::*;

    const ONE: &str = include_str!("../../../../../tests/fixtures/functions/function.eventgrid.json");
    const MANY: &str = include_str!("../../../../../tests/fixtures/functions/function.eventgrid-many.json");
    const TIMER: &str = include_str!("../../../../../tests/fixtures/functions/function.timer.json");
    const ON_EVENT: &str = "/runtime/webhooks/eventgrid?functionName=OnEvent";

    fn functions() -> Vec<Function> {
        [("OnEvent", ONE), ("OnEvents", MANY), ("Sweep", TIMER)]
            .map(|(name, text)| Function::of(name, &Document::parse(name, text).unwrap()).unwrap())
            .to_vec()
    }

    fn request(method: &str, uri: &str, event_type: Option<&str>, body: &str) -> Request {
        let mut request = http::Request::builder().method(method).uri(uri);
        if let Some(event_type) = event_type {
            request = request.header("aeg-event-type", event_type);
        }
        request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    fn answer(request: &Request) -> Response {
        match decide(&functions(), request) {
            Decision::Answer(response) => response,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_event_grid_functions_are_found_and_their_case_matters() {
        for (name, message) in [
            ("?functionName=onevent", "cannot find function: 'onevent'"),
            ("?functionName=Sweep", "cannot find function: 'Sweep'"),
            ("?functionName=", "cannot find function: ''"),
            ("", "cannot find function: ''"),
        ] {
            let uri = format!("/runtime/webhooks/eventgrid{name}");
            let response = answer(&request("POST", &uri, Some("Notification"), "[]"));
            assert_eq!(response.status(), 404, "{name}");
            assert_eq!(response.body(), message);
        }
        assert_eq!(answer(&request("POST", "/", Some("Notification"), "[]")).status(), 404);
        let elsewhere = "/RUNTIME/Webhooks/EventGrid?functionName=OnEvent";
        assert_eq!(answer(&request("POST", elsewhere, Some("Unsubscribe"), "")).status(), 202);
    }

    #[test]
    fn a_disabled_function_is_not_found() {
        let mut functions = functions();
        functions[0].disable();
        let request = request("POST", ON_EVENT, Some("Notification"), "[]");
        let Decision::Answer(response) = decide(&functions, &request) else { panic!("it was called") };
        assert_eq!(response.status(), 404);
    }

    #[test]
    fn the_event_type_decides() {
        for (event_type, body, status) in [
            (Some("Unsubscribe"), "", 202),
            (Some("UNSUBSCRIBE"), "", 202),
            (None, "[]", 400),
            (Some(""), "[]", 400),
            (Some("SubscriptionDeletion"), "[]", 400),
            (Some("Notification"), "no json", 500),
            (Some("Notification"), "[1]", 500),
            (Some("SubscriptionValidation"), "[]", 500),
        ] {
            let response = answer(&request("POST", ON_EVENT, event_type, body));
            assert_eq!(response.status(), status, "{event_type:?} {body}");
        }
    }

    #[test]
    fn validation_answers_the_code_in_either_form() {
        let file: Value = serde_json::from_str(include_str!(
            "../../../../../tests/fixtures/eventgrid/validation.eventgrid.request.json"
        ))
        .unwrap();
        let expected: Value = serde_json::from_str(include_str!(
            "../../../../../tests/fixtures/eventgrid/validation.eventgrid.response.json"
        ))
        .unwrap();
        let response =
            answer(&request("POST", ON_EVENT, Some("subscriptionvalidation"), &file["body"].to_string()));
        assert_eq!(response.status(), 200);
        assert_eq!(serde_json::from_slice::<Value>(response.body()).unwrap(), expected["body"]);

        let old = include_str!(
            "../../../../../tests/fixtures/eventgrid/validation.object-double-encoded.request.json"
        );
        let response = answer(&request("POST", ON_EVENT, Some("SubscriptionValidation"), old));
        assert_eq!(response.body(), r#"{"validationResponse":"validation-code"}"#);
    }

    #[test]
    fn options_allows_event_grid_of_the_cloud_that_asks() {
        for (asked, allowed) in [
            (None, "eventgrid.azure.net"),
            (Some("eventgrid.azure.us"), "eventgrid.azure.us"),
            (Some("eventgrid.azure.cn"), "eventgrid.azure.cn"),
            (Some("evil.test"), "eventgrid.azure.net"),
        ] {
            let mut request = request("OPTIONS", ON_EVENT, None, "");
            if let Some(asked) = asked {
                request.headers_mut().insert("webhook-request-origin", HeaderValue::from_static(asked));
            }
            let response = answer(&request);
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["webhook-allowed-origin"], allowed, "{asked:?}");
        }
    }

    #[test]
    fn a_notification_becomes_an_invocation_an_event_or_one_for_all() {
        let (first, second) = (json!({"id": "1"}), json!({"id": "2"}));
        let both = json!([first, second]).to_string();
        let one = |event: &Value| Payload::Event(event.clone());
        for (function, body, expected) in [
            ("OnEvent", both.as_str(), vec![one(&first), one(&second)]),
            ("OnEvent", r#"{"id":"1"}"#, vec![one(&first)]),
            ("OnEvent", "[]", vec![]),
            ("OnEvents", both.as_str(), vec![Payload::Events(vec![first.clone(), second.clone()])]),
            ("OnEvents", r#"{"id":"1"}"#, vec![Payload::Events(vec![first.clone()])]),
        ] {
            let uri = format!("/runtime/webhooks/eventgrid?functionName={function}&code=ignored");
            match decide(&functions(), &request("POST", &uri, Some("notification"), body)) {
                Decision::Invoke(found, payloads) => {
                    assert_eq!(found.name(), function);
                    assert_eq!(payloads, expected, "{function} {body}");
                }
                other => panic!("{function} {body}: {other:?}"),
            }
        }
    }
}
