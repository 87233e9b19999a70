//! Ids, events, and the envelope events come in. All of it is written by whoever reaches the endpoint.

use keyholder::certificate_id::{CertificateId, RegistryId};
use keyholder::event::{self, EVENT_TYPE, Notice, OPERATION_NAME};
use keyholder::trust::AllowedRegistries;
use keyholder_functions::batch::MAX_EVENTS;
use keyholder_functions::envelope;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::Url;

use super::{SENTENCE, assert_fits_a_log, text};

/// What is accepted as an id is a path that can be requested with our token, and nothing but that path.
pub fn certificate_id(data: &[u8]) {
    let text = text(data);
    match CertificateId::parse(&text) {
        Ok(id) => assert_is_one_certificate(&id),
        Err(refused) => assert_fits_a_log(&refused.to_string(), SENTENCE),
    }
    if let Ok(id) = RegistryId::parse(&text) {
        assert_eq!(RegistryId::parse(&id.to_string()), Ok(id.clone()));
        assert_eq!(RegistryId::parse(&id.path()), Ok(id));
    }
    if let Ok(registries) = AllowedRegistries::parse(&text) {
        assert_eq!(AllowedRegistries::parse(&registries.to_string()), Ok(registries));
    }
}

/// An event in Event Grid's own schema; bytes that are no JSON are the subject of an upload.
pub fn event_grid_event(data: &[u8]) {
    event(data, |subject| {
        json!({
            "id": "1", "eventType": EVENT_TYPE, "subject": subject, "eventTime": "2026-11-23T10:00:00Z",
            "data": { "operationName": OPERATION_NAME, "resourceUri": subject }, "dataVersion": "2"
        })
    });
}

/// A CloudEvent; bytes that are no JSON are the subject of an upload.
pub fn cloud_event(data: &[u8]) {
    event(data, |subject| {
        json!({
            "id": "1", "type": EVENT_TYPE, "specversion": "1.0", "source": "/", "subject": subject,
            "data": { "operationName": OPERATION_NAME, "resourceUri": subject }
        })
    });
}

/// Whatever comes out of an envelope is what was in it, one event for one.
pub fn host_envelope(data: &[u8]) {
    match envelope::events(data) {
        Ok(events) => {
            assert!(events.len() <= MAX_EVENTS);
            let bodies = serde_json::from_slice(data).ok().and_then(|body| enveloped(&body));
            if let Some(bodies) = &bodies {
                assert_eq!(events.len(), bodies.len());
            }
            for (number, event) in events.into_iter().enumerate() {
                match bodies.as_ref().map(|bodies| &bodies[number]) {
                    Some(body) => assert_notice_is_true(body, event.notice),
                    // Something that is skipped, such as a number, is more than a tree of JSON can hold.
                    None => assert_fits_a_log_if_refused(&event.notice),
                }
            }
        }
        Err(refused) => assert_fits_a_log(&refused.to_string(), SENTENCE),
    }
}

fn event(data: &[u8], upload_of: impl Fn(&str) -> Value) {
    let event = serde_json::from_slice(data).unwrap_or_else(|_| upload_of(&text(data)));
    assert_notice_is_true(&event, event::read(&event));
}

fn assert_fits_a_log_if_refused(notice: &Notice) {
    if let Notice::Ignored(reason) | Notice::Unreadable(reason) = notice {
        assert_fits_a_log(reason, SENTENCE);
    }
}

/// Uploaded means: type, operation, subject and, where there is one, the resource's URI all say so.
fn assert_notice_is_true(event: &Value, notice: Notice) {
    let id = match notice {
        Notice::Uploaded(upload) => upload.id,
        Notice::Ignored(reason) | Notice::Unreadable(reason) => {
            return assert_fits_a_log(&reason, SENTENCE);
        }
    };
    let says = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let event_type = match says("/specversion") {
        None => says("/eventType"),
        Some(version) => says("/type").filter(|_| version == "1.0"),
    };
    assert!(event_type.is_some_and(|named| named.eq_ignore_ascii_case(EVENT_TYPE)), "{event}");
    let operation = says("/data/operationName");
    assert!(operation.is_some_and(|named| named.eq_ignore_ascii_case(OPERATION_NAME)), "{event}");
    let named = [says("/subject"), says("/data/resourceUri").or(says("/subject"))];
    for named in named {
        assert_eq!(named.map(CertificateId::parse), Some(Ok(id.clone())), "{event}");
    }
    assert_is_one_certificate(&id);
}

fn assert_is_one_certificate(id: &CertificateId) {
    assert_eq!(CertificateId::parse(&id.to_string()).as_ref(), Ok(id));
    assert_eq!(CertificateId::parse(&id.path()).as_ref(), Ok(id));

    let path = id.path();
    let mut url = Url::parse("https://management.azure.com").expect("a URL");
    url.set_path(&path);
    assert_eq!(url.path(), path, "a client would ask for something else");
    let segments: Vec<_> =
        path.split('/').skip(1).map(|segment| percent_decode_str(segment).decode_utf8()).collect();
    assert_eq!(segments.len(), 10, "{path}");
    for segment in segments {
        let segment = segment.expect("an encoded segment is UTF-8");
        assert!(!matches!(&*segment, "" | "." | ".."), "{path}");
        assert!(!segment.contains(['/', '\\', '?', '#', '%', ';']), "{path}");
        assert!(!segment.contains(char::is_control) && !segment.contains(char::is_whitespace), "{path}");
    }
}

/// The events of an accepted envelope, read another way. (The host's metadata is skipped when it is accepted, so
/// it need not be JSON to the last byte.)
fn enveloped(body: &Value) -> Option<Vec<Value>> {
    let bindings = body.get("Data").and_then(Value::as_object).expect("an accepted envelope has Data");
    let value = bindings.values().next().expect("an accepted envelope has a binding").clone();
    let value = match value {
        Value::String(text) => serde_json::from_str(&text).ok()?,
        value => value,
    };
    Some(match value {
        Value::Array(events) => events,
        event => vec![event],
    })
}
