//! OTLP export of spans and metrics, when the standard variables ask for it
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>). When they do not, nothing of it is built.

use std::env;
use std::sync::OnceLock;

use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};

/// Any of them asks for export, and says where to.
const ENDPOINTS: [&str; 3] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
];

static RUNNING: OnceLock<Providers> = OnceLock::new();

struct Providers {
    spans: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

/// Starts exporting if it is asked for. The exporters have threads of their own and need no runtime.
pub(super) fn start() -> Result<Option<Tracer>, ExporterBuildError> {
    if !asked_for() {
        return Ok(None);
    }
    let spans = SdkTracerProvider::builder()
        .with_resource(resource())
        .with_batch_exporter(SpanExporter::builder().with_http().build()?)
        .build();
    let metrics = SdkMeterProvider::builder()
        .with_resource(resource())
        .with_periodic_exporter(MetricExporter::builder().with_http().build()?)
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

fn asked_for() -> bool {
    let set = |name: &&str| env::var(name).is_ok_and(|value| !value.trim().is_empty());
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
