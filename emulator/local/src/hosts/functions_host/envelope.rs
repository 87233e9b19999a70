//! The JSON a custom handler is called with.
//!
//! Its one rule surprises everybody: what is a JSON object stays one, everything else arrives as a string of
//! JSON. Hence a batch of events is text, and a single event is not.

use serde_json::{Value, json};
use time::OffsetDateTime;

use keyholder_emulator::event_grid::timestamp;

/// `{Data, Metadata}` for one event.
pub(super) fn one(binding: &str, event: &Value, sys: Value) -> Value {
    let mut metadata = json!({});
    if let Some(data) = event.get("data").filter(|data| !data.is_null()) {
        metadata["data"] = wire(data);
    }
    metadata["sys"] = sys;
    json!({ "Data": { binding: wire(event) }, "Metadata": metadata })
}

/// `{Data, Metadata}` for a batch of events.
pub(super) fn many(binding: &str, events: &[Value], sys: Value) -> Value {
    let data = events.iter().map(|event| event.get("data").cloned().unwrap_or_default()).collect();
    json!({
        "Data": { binding: wire(&Value::Array(events.to_vec())) },
        "Metadata": { "data": wire(&Value::Array(data)), "sys": sys },
    })
}

/// `{Data, Metadata}` for a value that is no event.
pub(super) fn value(binding: &str, value: &Value, sys: Value) -> Value {
    json!({ "Data": { binding: wire(value) }, "Metadata": { "sys": sys } })
}

/// The part of the metadata every invocation has.
pub(super) fn sys(function: &str, now: OffsetDateTime, guid: &str) -> Value {
    json!({ "MethodName": function, "UtcNow": timestamp(now), "RandGuid": guid })
}

fn wire(value: &Value) -> Value {
    match value {
        Value::Object(_) => value.clone(),
        other => Value::String(other.to_string()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn fixture(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    fn sys_of(function: &str) -> Value {
        let now = datetime!(2026-03-05 10:00:00.1234567 UTC);
        sys(function, now, "35e6e68c-5583-436c-a277-5aec2b416ba8")
    }

    #[test]
    fn one_event_is_embedded_in_either_schema() {
        for expected in [
            include_str!("../../../../../tests/fixtures/functions/invoke.eventgrid-single.request.json"),
            include_str!("../../../../../tests/fixtures/functions/invoke.eventgrid-cloudevent.request.json"),
        ] {
            let expected = fixture(expected);
            let event = &expected["Data"]["eventGridEvent"];
            assert_eq!(one("eventGridEvent", event, sys_of("OnEvent")), expected);
        }
    }

    #[test]
    fn a_batch_is_a_string() {
        let expected = fixture(include_str!(
            "../../../../../tests/fixtures/functions/invoke.eventgrid-many.request.json"
        ));
        let events: Vec<Value> = serde_json::from_str(expected["Data"]["events"].as_str().unwrap()).unwrap();
        assert_eq!(many("events", &events, sys_of("OnEvents")), expected);
    }

    #[test]
    fn a_timer_has_no_data_in_its_metadata() {
        let expected =
            fixture(include_str!("../../../../../tests/fixtures/functions/invoke.timer.request.json"));
        assert_eq!(value("timer", &expected["Data"]["timer"], sys_of("Every")), expected);
        assert_eq!(value("queue", &json!("text"), sys_of("F"))["Data"]["queue"], "\"text\"");
    }

    #[test]
    fn data_that_is_no_object_is_a_string_of_json() {
        for (data, expected) in [
            (json!("text"), json!("\"text\"")),
            (json!(1), json!("1")),
            (json!([1]), json!("[1]")),
            (json!({"a": 1}), json!({"a": 1})),
        ] {
            let envelope = one("event", &json!({ "data": data }), sys_of("F"));
            assert_eq!(envelope["Metadata"]["data"], expected, "{data}");
            assert_eq!(envelope["Data"]["event"]["data"], data, "the event itself is unchanged");
        }
    }

    #[test]
    fn an_event_without_data_has_no_data_in_its_metadata() {
        for event in [json!({"id": "1"}), json!({"id": "1", "data": null})] {
            let envelope = one("event", &event, sys_of("F"));
            assert_eq!(envelope["Metadata"].as_object().unwrap().keys().collect::<Vec<_>>(), ["sys"]);
        }
    }
}
