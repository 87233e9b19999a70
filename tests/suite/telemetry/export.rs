//! What leaves over OTLP, as a collector sees it, and what the peers see of the host's trace.

use keyholder_emulator::faults::Calls;
use keyholder_emulator::operation::Operation;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{TRACE_ID, TRACEPARENT};
use crate::harness::HTTP;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::Cloud;
use crate::harness::events;
use crate::harness::programs::{HANDLER, program, signal};

async fn collector() -> MockServer {
    let collector = MockServer::start().await;
    for signal in ["/v1/traces", "/v1/metrics"] {
        let taken = Mock::given(method("POST")).and(path(signal)).respond_with(ResponseTemplate::new(200));
        taken.mount(&collector).await;
    }
    collector
}

/// One verification with the trace of a caller, in a process that then stops and so sends everything.
async fn one_verification(settings: &[(&str, &str)]) {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.import_ca("plant-ca", &ca).await;
    cloud.fail(Operation::Deliver, Some("plant-ca"), Calls::Always, 503);
    cloud.upload("plant-ca", &ca).await;

    let mut handler = tokio::process::Command::from(program(HANDLER))
        .envs(cloud.azure().app_settings().iter().map(|(name, value)| (name, value)))
        .envs(settings.iter().copied())
        .env("FUNCTIONS_CUSTOMHANDLER_PORT", "0")
        .kill_on_drop(true)
        .spawn()
        .expect("the handler starts");
    let mut lines = BufReader::new(handler.stdout.take().expect("it is piped")).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("it says that it listens");
        let line: Value = serde_json::from_str(&line).unwrap();
        if let Some(address) = line["address"].as_str() {
            break address.to_owned();
        }
    };
    let function = format!("http://{address}/VerifyOnUpload");
    let body = json!({ "Data": { "event": events::upload("plant-ca") }, "Metadata": {} }).to_string();
    let answer = HTTP.post(function).header("traceparent", TRACEPARENT).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(cloud.certificate("plant-ca", |certificate| certificate.is_verified()), "{}", cloud.story());
    signal(handler.id().expect("it is running"), "TERM");
    assert!(handler.wait().await.unwrap().success());
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    Some(format!("{:?}", found.value.as_ref()?.value.as_ref()?))
}

#[tokio::test]
async fn spans_and_metrics_reach_a_collector_as_part_of_the_callers_trace() {
    let collector = collector().await;
    one_verification(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.uri())]).await;

    let received = collector.received_requests().await.unwrap();
    let of =
        |signal: &str| received.iter().filter(|request| request.url.path() == signal).collect::<Vec<_>>();
    let spans: Vec<Span> = of("/v1/traces")
        .iter()
        .map(|request| ExportTraceServiceRequest::decode(&*request.body).expect("OTLP"))
        .flat_map(|request| request.resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect();
    let in_trace =
        |span: &&Span| span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == TRACE_ID;
    let spans: Vec<&Span> = spans.iter().filter(in_trace).collect();
    let named = |name: &str| {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}: {spans:#?}"))
    };
    let invocation = named("VerifyOnUpload");
    assert_eq!(invocation.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    let verification = named("verification");
    for step in ["look", "search", "code", "sign", "submit"] {
        assert_eq!(named(step).parent_span_id, verification.span_id, "{step}");
    }
    let calls: Vec<_> = spans.iter().filter(|span| span.name.starts_with("POST ")).collect();
    assert!(calls.iter().any(|call| call.parent_span_id == named("sign").span_id), "{calls:#?}");
    assert!(calls.iter().all(|call| attribute(call, "http.response.status_code").is_some()), "{calls:#?}");

    let metrics: Vec<String> = of("/v1/metrics")
        .iter()
        .map(|request| ExportMetricsServiceRequest::decode(&*request.body).expect("OTLP"))
        .flat_map(|request| request.resource_metrics)
        .flat_map(|resource| resource.scope_metrics)
        .flat_map(|scope| scope.metrics)
        .map(|metric| metric.name)
        .collect();
    for metric in [
        "keyholder.verifications",
        "keyholder.verification.duration",
        "keyholder.vault.signatures",
        "keyholder.ca.days_to_expiry",
    ] {
        assert!(metrics.iter().any(|name| name == metric), "{metric}: {metrics:?}");
    }
}

#[tokio::test]
async fn nothing_is_exported_unless_it_is_asked_for() {
    let collector = collector().await;
    let endpoint = collector.uri();
    one_verification(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_SDK_DISABLED", "true")]).await;
    one_verification(&[]).await;
    assert!(collector.received_requests().await.unwrap().is_empty());
}
