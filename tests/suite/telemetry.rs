//! What the app logs and exports, held to what the documentation promises.

mod documentation;
mod export;
mod queries;

use std::collections::BTreeSet;

use keyholder::telemetry::fields;
use keyholder_emulator::faults::{Calls, Effect, Fault};
use keyholder_emulator::operation::Operation;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::harness::HTTP;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::Cloud;
use crate::harness::events;

/// The host's example of a trace (W3C), as the header has it.
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A cloud in which something of every kind has happened.
async fn eventful() -> Cloud {
    let (granted, refused) =
        (Authority::root("Plant Root", Family::P256), Authority::root("Other Root", Family::P256));
    let cloud = Cloud::start_with(&[("AzureWebJobs.SweepUnverified.Disabled", "false")]).await;
    cloud.import_ca("plant-ca", &granted).await;
    cloud.import_ca_tagged("other-ca", &refused, &[]).await;
    cloud.emulator().with(|world, _| {
        let (operation, object) = (Operation::Sign, None);
        world.faults.add(Fault { operation, object, calls: Calls::First(1), effect: Effect::Answer(500) });
    });
    cloud.upload("plant-ca", &granted).await;
    cloud.until_verified("plant-ca").await;
    cloud.upload("other-ca", &refused).await;
    cloud.until_answered("other-ca").await;
    cloud.upload("ending-ca", &ending_in_ten_days()).await;
    cloud.until_answered("ending-ca").await;
    let handler = cloud.handler().await;
    let invoke = async |function: &str, data: Value| {
        let body = json!({ "Data": { "value": data }, "Metadata": {} }).to_string();
        let request =
            HTTP.post(handler.join(function).unwrap()).header("traceparent", TRACEPARENT).body(body);
        request.header("x-azure-functions-invocationid", "11111111-1111-1111-1111-111111111111").send().await
    };
    for event in [json!({}), json!({"eventType": "Other", "id": "e-1"}), events::upload("no-such-ca")] {
        invoke("/VerifyOnUpload", event).await.unwrap();
    }
    invoke("/SweepUnverified", json!({ "ScheduleStatus": { "Last": "0001-01-01T00:00:00" } })).await.unwrap();
    HTTP.post(handler.join("/VerifyOnUpload").unwrap()).body("<html>").send().await.unwrap();
    cloud
}

/// A little less, by the time somebody looks.
fn ending_in_ten_days() -> Authority {
    let end = OffsetDateTime::now_utc() + time::Duration::days(10);
    let form = format_description!("[year][month][day][hour][minute][second]Z");
    Authority::root_valid(
        "Ending Root",
        "20200101000000Z",
        &end.format(form).expect("a moment of this century"),
    )
}

#[tokio::test]
async fn every_line_is_a_documented_event_with_documented_fields_of_the_documented_type() {
    let cloud = eventful().await;
    let lines = cloud.logged();
    for line in &lines {
        let event = line["event"].as_str().unwrap();
        for (name, value) in line.as_object().unwrap() {
            assert!(fields::is_documented(event, name), "{event} has {name}: {line}");
            let field = fields::FIELDS.iter().find(|field| field.name == name).expect("it has a row");
            let kind = if value.is_number() { "number" } else { "string" };
            assert!(field.kind.split(" or ").any(|documented| documented == kind), "{name} is {value}");
        }
    }
    let seen: BTreeSet<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    let expected = [
        "app.ready",
        "event.ignored",
        "event.unreadable",
        "invocation.unreadable",
        "signature.intended",
        "sweep.ended",
        "verification.ended",
        "verification.waiting",
        "ca.expiring",
    ];
    for event in expected {
        assert!(seen.contains(event), "{event} did not happen: {seen:?}");
    }
    let ending = lines.iter().find(|line| line["event"] == "ca.expiring").expect("it happened");
    assert_eq!((&ending["daysToExpiry"], &ending["threshold"]), (&json!(9), &json!(14)), "{ending}");
}

#[tokio::test]
async fn a_run_can_be_followed_from_the_event_to_its_outcome() {
    let cloud = eventful().await;
    let lines = cloud.logged();
    let of = |event: &str, certificate: &str| {
        let about = |line: &&Value| {
            line["event"] == event
                && line["certificateId"].as_str().is_some_and(|id| id.ends_with(&format!("/{certificate}")))
        };
        lines.iter().find(about).unwrap_or_else(|| panic!("no {event} of {certificate}: {lines:#?}"))
    };
    let (intended, ended) = (of("signature.intended", "plant-ca"), of("verification.ended", "plant-ca"));
    for name in ["invocationId", "eventId", "certificateId", "traceId", "thumbprint", "key"] {
        assert!(intended[name].is_string(), "{name}: {intended}");
        assert_eq!(intended[name], ended[name], "{name}");
    }
    assert_eq!(
        (&ended["outcome"], &ended["answer"], &ended["level"]),
        (&json!("verified"), &json!("done"), &json!("info"))
    );
    assert_eq!(ended["attempt"], 3, "one look, one more after the signature failed, one to read it back");
    for step in ["lookMs", "searchMs", "codeMs", "signMs", "submitMs", "waitMs", "durationMs"] {
        assert!(ended[step].as_f64().is_some_and(|spent| spent > 0.0), "{step}: {ended}");
    }
    assert_eq!(of("verification.waiting", "plant-ca")["call"], "sign");

    let denied = of("verification.ended", "other-ca");
    assert_eq!((&denied["outcome"], &denied["level"]), (&json!("no-grant"), &json!("error")));
    assert!(denied["reason"].as_str().unwrap().contains("may not prove possession"), "{denied}");
    assert!(
        denied["remedy"].as_str().unwrap().contains("az keyvault certificate set-attributes"),
        "{denied}"
    );
}

#[tokio::test]
async fn errors_go_to_stderr_and_everything_else_to_stdout() {
    use keyholder_emulator_local::functions_host::{Level, Source};
    let cloud = eventful().await;
    let (log, _) = cloud.azure().functions_host().follow();
    for line in log.iter().filter(|line| line.source == Source::Handler) {
        let Ok(logged) = serde_json::from_str::<Value>(&line.text) else { continue };
        assert_eq!(logged["level"] == "error", line.level != Level::Information, "{line}");
    }
}
