//! OTLP export of spans and metrics, when the standard variables ask for it
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>). When they do not, nothing of it is built.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, thread};

use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};

/// Any of them asks for export, and says where to.
const ENDPOINTS: [&str; 3] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
];

/// As the specification has it.
const TIMEOUT: Duration = Duration::from_secs(10);

static RUNNING: OnceLock<Providers> = OnceLock::new();

struct Providers {
    spans: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

/// Starts exporting if it is asked for. The exporters have threads of their own and need no runtime.
pub(super) fn start() -> Result<Option<Tracer>, Box<dyn Error>> {
    if !asked_for() {
        return Ok(None);
    }
    let spans = SdkTracerProvider::builder()
        .with_resource(resource())
        .with_batch_exporter(SpanExporter::builder().with_http().with_http_client(client("TRACES")?).build()?)
        .build();
    let metrics = SdkMeterProvider::builder()
        .with_resource(resource())
        .with_periodic_exporter(
            MetricExporter::builder().with_http().with_http_client(client("METRICS")?).build()?,
        )
        .build();
    let tracer = spans.tracer("keyholder");
    global::set_meter_provider(metrics.clone());
    // A second start, as in tests, keeps the first one's exporters.
    let _ = RUNNING.set(Providers { spans, metrics });
    Ok(Some(tracer))
}

/// Sends what has not been sent. A collector that does not take it has been told of in the log, and there is
/// nobody left to tell now.
pub(super) fn stop() {
    if let Some(Providers { spans, metrics }) = RUNNING.get() {
        let _ = spans.shutdown();
        let _ = metrics.shutdown();
    }
}

/// The client for one signal. As all others here it uses a proxy only for requests with TLS: what it sends may hold a
/// collector's password (`OTEL_EXPORTER_OTLP_HEADERS`). It follows no redirect, which could lead away from TLS.
fn client(signal: &str) -> Result<reqwest::blocking::Client, Box<dyn Error>> {
    let setting = |name: &str| {
        variable(&format!("OTEL_EXPORTER_OTLP_{signal}_{name}"))
            .or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{name}")))
    };
    let has_tls =
        setting("ENDPOINT").is_some_and(|url| url.trim().to_ascii_lowercase().starts_with("https:"));
    let timeout =
        setting("TIMEOUT").and_then(|text| text.parse().ok()).map_or(TIMEOUT, Duration::from_millis);
    // It brings a runtime of its own, which must not be started within another one.
    let built = thread::Builder::new().spawn(move || {
        let client = reqwest::blocking::Client::builder().timeout(timeout);
        let client = client.redirect(reqwest::redirect::Policy::none());
        if has_tls { client } else { client.no_proxy() }.build()
    });
    Ok(built?.join().map_err(|_| "building the client of the exporter panicked")??)
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn asked_for() -> bool {
    let set = |name: &&str| variable(name).is_some();
    let disabled = env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    !disabled && ENDPOINTS.iter().any(set)
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, and a name where neither gives one.
fn resource() -> Resource {
    let named = env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty())
        || env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|all| all.contains("service.name="));
    let resource = Resource::builder();
    if named { resource } else { resource.with_service_name("keyholder") }.build()
}
