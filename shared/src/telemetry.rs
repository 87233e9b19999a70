//! What an operator gets to see: log lines that a query can take apart, and, when asked for, spans and metrics.
//!
//! The Functions host takes each line of stdout for information and each line of stderr for an error, so that is
//! where they go. A line is a JSON object with documented [`fields`], or, on a terminal, text. The trace that
//! the host began goes on in every call to Azure ([`trace`]); spans and [`metrics`] leave over OTLP if the
//! standard variables say where to, and cost nothing if they do not.

mod export;
pub mod fields;
mod line;
pub mod metrics;
pub mod trace;

use std::io::{self, IsTerminal};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, ParseError, Targets, filter_fn};
use tracing_subscriber::fmt::writer::MakeWriterExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use line::Lines;

/// Starts logging, with a filter such as `info` or `info,keyholder=debug`, and exporting, if it is asked for.
pub fn start(filter: &str) -> Result<(), ParseError> {
    let filter = filter.parse::<Targets>()?.and(filter_fn(is_discreet));
    let (tracer, failure) = match export::start() {
        Ok(tracer) => (tracer, None),
        Err(error) => (None, Some(error)),
    };
    let spans = tracer.map(|tracer| {
        let ours = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("keyholder"));
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(ours)
    });
    // A second start, as in tests, keeps the first one's settings.
    let _ = Registry::default().with(lines().with_filter(filter)).with(spans).try_init();
    if let Some(error) = failure {
        tracing::error!(
            event = "telemetry.off",
            reason = %error,
            "nothing is exported, because the OTEL_EXPORTER_OTLP_… settings cannot be used"
        );
    }
    Ok(())
}

/// Starts logging for a person at a shell: text on stderr, because stdout holds data, and nothing is exported.
pub fn start_for_people(filter: &str) -> Result<(), ParseError> {
    let filter: Targets = filter.parse()?;
    let lines = tracing_subscriber::fmt::layer().compact().with_writer(io::stderr).with_ansi(false);
    let _ = Registry::default().with(lines.without_time().with_target(false).with_filter(filter)).try_init();
    Ok(())
}

/// Sends what has not been exported yet; the last thing a program does.
pub fn stop() {
    export::stop();
}

/// Whatever the filter says: AWS's runtime prints whole requests when it may, the webhook's secret included.
fn is_discreet(metadata: &Metadata<'_>) -> bool {
    !(metadata.target().starts_with("lambda_runtime") && *metadata.level() == Level::TRACE)
}

fn lines() -> Box<dyn Layer<Registry> + Send + Sync> {
    let writer = io::stderr.with_max_level(Level::ERROR).or_else(io::stdout);
    if io::stdout().is_terminal() {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        tracing_subscriber::fmt::layer()
            .compact()
            .with_writer(writer)
            .with_ansi(colour)
            .without_time()
            .with_target(false)
            .boxed()
    } else {
        Lines(writer).boxed()
    }
}
