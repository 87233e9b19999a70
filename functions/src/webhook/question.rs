//! What a request of Event Grid is about. Its headers say it, and nothing else does: an event that merely
//! claims to be a handshake is no handshake.

use axum::http::{HeaderMap, header};
use keyholder::error::{one_line, quoted};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::batch::{self, Delivered, InvalidBatch};

/// Who may ask for the CloudEvents handshake: Event Grid, in each Azure cloud.
const ORIGINS: [&str; 5] = [
    "eventgrid.azure.net",
    "eventgrid.azure.us",
    "eventgrid.azure.cn",
    "eventgrid.azure.eaglex.ic.gov",
    "eventgrid.azure.microsoft.scloud",
];

/// What is wanted.
#[derive(Debug, PartialEq)]
pub(super) enum Question {
    /// May this event subscription deliver here? Yes is said by repeating the code.
    Validation {
        /// As Event Grid writes it: in upper case.
        subscription: String,
        code: String,
    },
    /// Here are events.
    Events(Vec<Delivered>),
    /// The event subscription was deleted; no answer is asked for.
    Farewell,
}

/// Why a body is not understood. Delivering it again would not help.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotUnderstood {
    #[error("the body is not JSON: {}", one_line(&.0.to_string()))]
    NotJson(#[from] serde_json::Error),
    #[error(transparent)]
    TooMany(InvalidBatch),
    #[error("the body is neither an event nor an array of events")]
    NotEvents,
    #[error("the handshake has no data.validationCode")]
    NoCode,
    #[error(
        "aeg-event-type is {}; Event Grid sends Notification, SubscriptionValidation or SubscriptionDeletion, and a \
         CloudEvent may also come as application/cloudevents+json without it",
        .0.as_deref().map_or("missing".to_owned(), quoted)
    )]
    Kind(Option<String>),
}

/// Reads a `POST`.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Question, NotUnderstood> {
    let kind = text(headers, "aeg-event-type");
    match kind.map(str::to_ascii_lowercase).as_deref() {
        Some("subscriptionvalidation") => Ok(Question::Validation {
            subscription: text(headers, "aeg-subscription-name").unwrap_or_default().to_owned(),
            code: code(body)?,
        }),
        Some("notification") => events(body),
        // The word of the documentation, and that of the Functions host.
        Some("subscriptiondeletion" | "unsubscribe") => Ok(Question::Farewell),
        None if is_cloud_event(headers) => events(body),
        _ => Err(NotUnderstood::Kind(kind.map(str::to_owned))),
    }
}

/// Returns the origin that asks for the CloudEvents handshake, if it is Event Grid.
pub(super) fn origin(headers: &HeaderMap) -> Option<&'static str> {
    let asked = text(headers, "webhook-request-origin")?;
    ORIGINS.into_iter().find(|origin| origin.eq_ignore_ascii_case(asked))
}

/// Returns a header's value, where it is text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn events(body: &[u8]) -> Result<Question, NotUnderstood> {
    if !matches!(batch::first_byte(body), Some(b'[' | b'{')) {
        serde_json::from_slice::<&RawValue>(body)?;
        return Err(NotUnderstood::NotEvents);
    }
    match batch::items(body, batch::event) {
        Ok(events) => Ok(Question::Events(events)),
        Err(InvalidBatch::NotJson(error)) => Err(NotUnderstood::NotJson(error)),
        Err(too_many @ InvalidBatch::TooMany) => Err(NotUnderstood::TooMany(too_many)),
    }
}

fn is_cloud_event(headers: &HeaderMap) -> bool {
    let media_type = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    matches!(media_type, "application/cloudevents+json" | "application/cloudevents-batch+json")
}

/// The one event of a handshake is an array, or, in a form of old, an object whose data is JSON in a string.
fn code(body: &[u8]) -> Result<String, NotUnderstood> {
    let codes = batch::items(body, |event| serde_json::from_str::<Handshake>(event.get()).ok());
    let handshake = match codes {
        Ok(codes) => codes.into_iter().next().flatten(),
        Err(InvalidBatch::NotJson(error)) => return Err(NotUnderstood::NotJson(error)),
        Err(InvalidBatch::TooMany) => None,
    };
    let code = match handshake.map(|handshake| handshake.data) {
        Some(Challenge::Object { validation_code }) => Some(validation_code),
        Some(Challenge::Text(text)) => {
            serde_json::from_str::<Challenge>(&text).ok().and_then(|challenge| match challenge {
                Challenge::Object { validation_code } => Some(validation_code),
                Challenge::Text(_) => None,
            })
        }
        None => None,
    };
    code.ok_or(NotUnderstood::NoCode)
}

#[derive(Deserialize)]
struct Handshake {
    data: Challenge,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Challenge {
    #[serde(rename_all = "camelCase")]
    Object {
        validation_code: String,
    },
    Text(String),
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use serde_json::value::to_raw_value;
    use serde_json::{Value, json};

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let parsed = pairs.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
            (name, HeaderValue::from_str(value).expect("a header's value"))
        });
        parsed.collect()
    }

    fn notification() -> HeaderMap {
        headers(&[("aeg-event-type", "Notification")])
    }

    #[test]
    fn a_handshake_is_read_in_both_forms() {
        let sample: Value = serde_json::from_str(include_str!(
            "../../../tests/fixtures/eventgrid/validation.eventgrid.request.json"
        ))
        .expect("the sample is JSON");
        let of_old =
            include_str!("../../../tests/fixtures/eventgrid/validation.object-double-encoded.request.json");
        let rows = [
            ("array", sample["body"].to_string(), "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"),
            ("of old", of_old.to_owned(), "validation-code"),
        ];
        for (name, body, code) in rows {
            let headers = headers(&[
                ("aeg-event-type", "SUBSCRIPTIONVALIDATION"),
                ("aeg-subscription-name", "MY-SUBSCRIPTION"),
            ]);
            let expected =
                Question::Validation { subscription: "MY-SUBSCRIPTION".to_owned(), code: code.to_owned() };
            assert_eq!(read(&headers, body.as_bytes()).expect(name), expected, "{name}");
        }
    }

    #[test]
    fn events_come_alone_or_in_an_array_in_either_schema() {
        let (one, two) = (json!({"id": "1"}), json!({"id": "2"}));
        let cloud = |media_type| headers(&[("content-type", media_type)]);
        let rows = [
            ("array", notification(), json!([one, two]), vec![one.clone(), two.clone()]),
            ("object", notification(), one.clone(), vec![one.clone()]),
            ("empty", notification(), json!([]), vec![]),
            (
                "CloudEvent",
                cloud("application/cloudevents+json; charset=utf-8"),
                one.clone(),
                vec![one.clone()],
            ),
            ("batch", cloud("Application/CloudEvents-Batch+JSON"), json!([one]), vec![one.clone()]),
        ];
        for (name, headers, body, expected) in rows {
            let expected = expected.iter().map(|event| batch::event(&to_raw_value(event).expect("JSON")));
            let read = read(&headers, body.to_string().as_bytes()).expect(name);
            assert_eq!(read, Question::Events(expected.collect()), "{name}");
        }
    }

    #[test]
    fn a_subscription_that_ends_says_so() {
        for kind in ["SubscriptionDeletion", "Unsubscribe"] {
            let question = read(&headers(&[("aeg-event-type", kind)]), b"").expect(kind);
            assert_eq!(question, Question::Farewell, "{kind}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        let validation = headers(&[("aeg-event-type", "SubscriptionValidation")]);
        let rows = [
            ("no JSON", notification(), "hello", "not JSON"),
            ("cut off", notification(), r#"[{"id":"#, "not JSON"),
            ("text", notification(), r#""event""#, "neither an event nor an array"),
            ("no header", HeaderMap::new(), "[]", "aeg-event-type is missing"),
            (
                "another header",
                headers(&[("aeg-event-type", "Snapshot")]),
                "[]",
                "aeg-event-type is \"Snapshot\"",
            ),
            (
                "a handshake that only claims to be one",
                HeaderMap::new(),
                r#"[{"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent"}]"#,
                "aeg-event-type is missing",
            ),
            ("no code", validation.clone(), r#"[{"data":{}}]"#, "validationCode"),
            ("no event", validation.clone(), "[]", "validationCode"),
            ("a code that is no text", validation, r#"[{"data":{"validationCode":1}}]"#, "validationCode"),
        ];
        for (name, headers, body, expected) in rows {
            let error = read(&headers, body.as_bytes()).expect_err(name).to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }

    #[test]
    fn only_event_grid_is_given_consent() {
        let rows = [
            ("eventgrid.azure.net", Some("eventgrid.azure.net")),
            ("EventGrid.Azure.US", Some("eventgrid.azure.us")),
            ("eventgrid.azure.net.evil.example", None),
            ("*", None),
        ];
        for (asked, expected) in rows {
            assert_eq!(origin(&headers(&[("webhook-request-origin", asked)])), expected, "{asked}");
        }
        assert_eq!(origin(&HeaderMap::new()), None);
    }
}
