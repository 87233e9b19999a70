//! What the Functions host sends to a custom handler, and what it wants back.
//!
//! The host embeds a single event as an object. A batch (`cardinality: many`), and whatever .NET does not
//! turn into an object, arrives as a *string* of JSON. Both are read, so that the handler does not depend on
//! the binding's cardinality. The answer always has a body: an empty 200 makes the host wait until the
//! function's time-out.

use std::borrow::Cow;
use std::fmt;

use keyholder::error::one_line;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::batch::{self, Delivered, InvalidBatch};

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
    /// A batch that is too large.
    #[error(transparent)]
    TooMany(InvalidBatch),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", bound(deserialize = "'de: 'b"))]
struct Invocation<'b> {
    data: Bindings<'b>,
}

/// The members of `Data`: how many there are, and the first.
#[derive(Default)]
struct Bindings<'b> {
    count: usize,
    first: Option<(String, &'b RawValue)>,
}

/// Returns the events of an invocation: one, or those of a batch.
pub fn events(body: &[u8]) -> Result<Vec<Delivered>, InvalidInvocation> {
    payload(body, batch::event)
}

/// Returns when the timer that caused an invocation last fired. The host writes year 1 for never.
pub fn last_fired(body: &[u8]) -> Result<Option<OffsetDateTime>, InvalidInvocation> {
    let timers = payload(body, |timer| serde_json::from_str::<Timer>(timer.get()).ok())?;
    let last = timers.into_iter().next().flatten().and_then(|timer| timer.schedule_status?.last);
    let last = last.and_then(|last| OffsetDateTime::parse(&last, &Rfc3339).ok());
    Ok(last.filter(|last| last.year() > 1))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Timer {
    schedule_status: Option<ScheduleStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScheduleStatus {
    last: Option<String>,
}

/// What an invocation brings, read item by item.
fn payload<T>(body: &[u8], read: impl FnMut(&RawValue) -> T) -> Result<Vec<T>, InvalidInvocation> {
    let Invocation { data: Bindings { count, first } } = serde_json::from_slice(body)?;
    let (Some((name, value)), 1) = (first, count) else {
        return Err(InvalidInvocation::Bindings(count));
    };
    let not_events = |error| InvalidInvocation::NotEvents { name, error };
    let value = match batch::first_byte(value.get().as_bytes()) {
        Some(b'"') => match serde_json::from_str(value.get()) {
            Ok(text) => Cow::Owned(text),
            Err(error) => return Err(not_events(error)),
        },
        _ => Cow::Borrowed(value.get()),
    };
    batch::items(value.as_bytes(), read).map_err(|invalid| match invalid {
        InvalidBatch::NotJson(error) => not_events(error),
        too_many @ InvalidBatch::TooMany => InvalidInvocation::TooMany(too_many),
    })
}

struct BindingsVisitor;

impl<'de> Visitor<'de> for BindingsVisitor {
    type Value = Bindings<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the function's binding")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Bindings<'de>, A::Error> {
        let mut bindings = Bindings::default();
        if let Some(first) = members.next_entry()? {
            bindings = Bindings { count: 1, first: Some(first) };
        }
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            bindings.count += 1;
        }
        Ok(bindings)
    }
}

impl<'de: 'b, 'b> Deserialize<'de> for Bindings<'b> {
    fn deserialize<D: Deserializer<'de>>(data: D) -> Result<Bindings<'b>, D::Error> {
        data.deserialize_map(BindingsVisitor)
    }
}

/// Returns the answer to a successful invocation; the host copies `logs` into the function's own log.
pub fn answer(logs: &[String]) -> Value {
    json!({ "Outputs": {}, "Logs": logs, "ReturnValue": null })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the ids of the events, which tell how they were read.
    fn ids(body: &str) -> Result<Vec<Option<String>>, InvalidInvocation> {
        Ok(events(body.as_bytes())?.into_iter().map(|event| event.id).collect())
    }

    #[test]
    fn events_are_found_in_every_form_the_host_uses() {
        let id = |id: &str| Some(id.to_owned());
        let rows = [
            ("object", r#"{"Data":{"event":{"id":"1"}},"Metadata":{}}"#, vec![id("1")]),
            ("string of one", r#"{"Data":{"event":"{\"id\":\"1\"}"}}"#, vec![id("1")]),
            (
                "string of many",
                r#"{"Data":{"e":" [{\"id\":\"1\"},{\"id\":\"2\"}]"}}"#,
                vec![id("1"), id("2")],
            ),
            ("array", r#"{"Data":{"event":[{"id":"1"},[]]}}"#, vec![id("1"), None]),
            ("empty batch", r#"{"Data":{"event":"[]"}}"#, vec![]),
            ("no event at all", r#"{"Data":{"event":null}}"#, vec![None]),
        ];
        for (name, body, expected) in rows {
            assert_eq!(ids(body).expect(name), expected, "{name}");
        }
    }

    #[test]
    fn a_timer_says_when_it_last_fired_unless_it_never_did() {
        let rows = [
            (r#"{"Data":{"timer":{"ScheduleStatus":{"Last":"2026-11-23T10:00:00+00:00"}}}}"#, Some(2026)),
            (r#"{"Data":{"timer":{"ScheduleStatus":{"Last":"0001-01-01T00:00:00+00:00"}}}}"#, None),
            (r#"{"Data":{"timer":{"ScheduleStatus":null}}}"#, None),
            (r#"{"Data":{"timer":{"ScheduleStatus":{"Last":7}}}}"#, None),
            (r#"{"Data":{"timer":[]}}"#, None),
        ];
        for (body, expected) in rows {
            let last = last_fired(body.as_bytes()).expect(body);
            assert_eq!(last.map(OffsetDateTime::year), expected, "{body}");
        }
    }

    #[test]
    fn a_batch_of_too_many_is_refused_in_either_form() {
        let zeros = format!("[{}]", vec!["0"; batch::MAX_EVENTS + 1].join(","));
        for data in [zeros.clone(), format!("\"{zeros}\"")] {
            let error = ids(&format!(r#"{{"Data":{{"event":{data}}}}}"#)).expect_err("too many");
            assert!(matches!(error, InvalidInvocation::TooMany(_)), "{error}");
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
