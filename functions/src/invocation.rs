//! What all lines and calls of one invocation have in common: its id, and the caller's trace.

use axum::http::HeaderMap;
use keyholder::telemetry::trace::Trace;
use tokio::task::JoinError;
use tracing::{Instrument, Span, info_span};

/// By which the Functions host tells invocations apart.
const ID: &str = "x-azure-functions-invocationid";

/// One invocation, begun.
pub(crate) struct Invocation {
    span: Span,
    trace: Trace,
}

impl Invocation {
    /// Goes on with the caller's trace, or begins one.
    pub(crate) fn begin(name: &'static str, headers: &HeaderMap) -> Invocation {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let trace = text("traceparent").and_then(Trace::parse).unwrap_or_default();
        let span = info_span!(
            "invocation",
            otel.name = name,
            otel.kind = "server",
            invocationId = text(ID),
            traceId = trace.id()
        );
        trace.adopt(&span);
        Invocation { span, trace }
    }

    /// Does the work of it.
    pub(crate) async fn run<F: Future>(self, work: F) -> F::Output {
        self.trace.within(work).instrument(self.span).await
    }
}

/// Does some work in a task of its own, so that a panic fails this work and nothing else, as part of the same
/// invocation.
pub(crate) async fn apart<F>(work: F) -> Result<F::Output, JoinError>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let work = work.in_current_span();
    match Trace::current() {
        Some(trace) => tokio::spawn(trace.within(work)).await,
        None => tokio::spawn(work).await,
    }
}
