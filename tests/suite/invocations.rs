//! What can arrive at the app besides a well-formed upload: other events, no events, and every form in which
//! a Functions host hands one over.

use keyholder_emulator::faults::Calls;
use keyholder_emulator::operation::Operation;
use reqwest::{Body, StatusCode};
use serde_json::{Value, json};

use crate::harness::HTTP;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::Cloud;
use crate::harness::events;

const VAULT_EVENT: &str = include_str!("../fixtures/functions/invoke.eventgrid-single.request.json");

#[tokio::test]
async fn a_certificate_that_was_deleted_before_its_event_came_is_gone() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.import_ca("plant-ca", &ca).await;
    cloud.fail(Operation::Deliver, Some("plant-ca"), Calls::First(1), 503);
    cloud.upload("plant-ca", &ca).await;
    cloud.until_answered("plant-ca").await;
    let etag = cloud.certificate("plant-ca", |certificate| certificate.etag().to_string());
    cloud.person().delete("plant-ca", &etag).await.expect("DPS answers");

    cloud.emulator().advance(std::time::Duration::from_secs(31));
    assert_eq!(cloud.until_answers("plant-ca", 2).await, [503, 202]);
    cloud.until_logged("says it is gone", |line| line.text.ends_with(": gone")).await;
    assert_eq!(cloud.count(Operation::Sign), 0, "{}", cloud.story());
}

#[tokio::test]
async fn what_is_no_upload_is_taken_and_costs_no_call() {
    let vault_event: Value = serde_json::from_str(VAULT_EVENT).unwrap();
    let changed = |pointer: &str, value: Value| {
        let mut event = events::upload("plant-ca");
        *event.pointer_mut(pointer).expect("the sample has it") = value;
        event
    };
    let rows = [
        (
            "a deletion",
            changed("/eventType", json!("Microsoft.Resources.ResourceDeleteSuccess")),
            "ignored: ",
        ),
        (
            "a write of the instance",
            changed("/data/operationName", json!("Microsoft.Devices/provisioningServices/write")),
            "ignored: ",
        ),
        ("an event of Key Vault", vault_event["Data"]["eventGridEvent"].clone(), "ignored: "),
        ("no event", json!({}), "not understood: "),
        ("an upload of nothing", changed("/subject", json!("plant-ca")), "not understood: "),
        (
            "an id that leaves its registry",
            changed(
                "/subject",
                json!(keyholder_emulator_local::local_azure::certificate_id("..%2F..%2Fother")),
            ),
            "not understood: ",
        ),
        ("two ids", changed("/data/resourceUri", json!("/subscriptions/other")), "not understood: "),
    ];
    let cloud = Cloud::start().await;
    let webhook = cloud.azure().functions_host().webhook("VerifyOnUpload");
    for (name, event, line) in &rows {
        let before = cloud.azure().functions_host().follow().0.len();
        assert_eq!(events::notify(&webhook, event).await, 202, "{name}");
        let (log, _) = cloud.azure().functions_host().follow();
        let said = log[before..].iter().any(|logged| logged.text.starts_with(line));
        assert!(said, "{name}: the log does not say {line:?}\n{}", cloud.story());
    }
    let all: Vec<&Value> = rows.iter().map(|(_, event, _)| event).collect();
    assert_eq!(events::notify(&webhook, &json!(all)).await, 202, "all at once");
    let other = cloud.journal().into_iter().find(|entry| entry.operation != Operation::Invoke);
    assert!(other.is_none(), "{other:?}");
}

#[tokio::test]
async fn an_upload_among_other_events_is_verified() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.import_ca("plant-ca", &ca).await;
    cloud.fail(Operation::Deliver, Some("plant-ca"), Calls::Always, 503);
    cloud.upload("plant-ca", &ca).await;

    let webhook = cloud.azure().functions_host().webhook("VerifyOnUpload");
    let batch = json!([{}, events::upload("no-such-ca"), events::upload("plant-ca")]);
    assert_eq!(events::notify(&webhook, &batch).await, 202);
    assert!(cloud.certificate("plant-ca", |certificate| certificate.is_verified()), "{}", cloud.story());
}

#[tokio::test]
async fn every_form_of_an_invocation_is_read_with_and_without_a_length() {
    let cloud = Cloud::start().await;
    let function = cloud.handler().await.join("/VerifyOnUpload").unwrap();
    let (event, cloud_event) = (events::upload("no-such-ca"), events::upload_as_cloud_event("no-such-ca"));
    let rows = [
        ("an object", event.clone(), 1),
        ("a CloudEvent", cloud_event.clone(), 1),
        ("a string of one", json!(event.to_string()), 1),
        ("a string of many", json!(json!([event, cloud_event]).to_string()), 2),
        ("an array", json!([event, cloud_event]), 2),
        ("a string of none", json!("[]"), 0),
    ];
    let mut looks = 0;
    for (name, data, events) in rows {
        for chunked in [true, false] {
            let text = json!({ "Data": { "event": data }, "Metadata": { "sys": {} } }).to_string();
            let body = if chunked { Body::wrap_stream(pieces(text)) } else { Body::from(text) };
            let answer = HTTP.post(function.clone()).body(body).send().await.unwrap();
            let row = format!("{name}, {}", if chunked { "chunked" } else { "with a length" });
            assert_eq!(answer.status(), StatusCode::OK, "{row}");
            let answer: Value = answer.json().await.unwrap();
            assert_eq!((&answer["Outputs"], &answer["ReturnValue"]), (&json!({}), &Value::Null), "{row}");
            let logs = answer["Logs"].as_array().unwrap();
            assert_eq!(logs.len(), events, "{row}: {logs:?}");
            assert!(logs.iter().all(|line| line.as_str().unwrap().ends_with(": gone")), "{row}: {logs:?}");
            looks += events;
        }
    }
    assert_eq!(cloud.count(Operation::GetCertificate), looks, "each event was looked into");
}

#[tokio::test]
async fn what_is_no_invocation_is_refused_with_the_reason() {
    let cloud = Cloud::start().await;
    let handler = cloud.handler().await;
    let rows = [
        ("/VerifyOnUpload", "", 400, "is not an invocation"),
        ("/VerifyOnUpload", "<html>", 400, "is not an invocation"),
        ("/VerifyOnUpload", r#"{"Metadata":{}}"#, 400, "Data"),
        ("/VerifyOnUpload", r#"{"Data":{"event":"hello"}}"#, 400, "Data.event is a string that is not JSON"),
        ("/verifyonupload", "{}", 404, "POST /VerifyOnUpload"),
    ];
    for (path, body, status, reason) in rows {
        let answer = HTTP.post(handler.join(path).unwrap()).body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path} {body}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(reason), "{path} {body}: {text}");
    }
    let ready = HTTP.get(handler).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK, "and it is still there");
}

/// A text in pieces, as a host that does not know the length sends it.
fn pieces(text: String) -> impl futures::Stream<Item = Result<Vec<u8>, std::io::Error>> {
    let pieces: Vec<_> = text.into_bytes().chunks(1000).map(|piece| Ok(piece.to_vec())).collect();
    futures::stream::iter(pieces)
}
