//! The trace an invocation belongs to (W3C Trace Context): it comes with the host's `traceparent` and goes on
//! with every call to Azure.
//!
//! Without an exporter nothing of ours is a span that anybody could see, so the host's header is passed on as it
//! came, which the recommendation allows. With one, each call names its own span as the parent.

use std::fmt;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

tokio::task_local! {
    static CURRENT: Trace;
}

/// One trace, and the span in it that calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    id: u128,
    span: u64,
    flags: u8,
}

impl Trace {
    /// Reads a `traceparent` header; `None` for whatever is none, which the recommendation says to ignore.
    pub fn parse(text: &str) -> Option<Trace> {
        let mut parts = text.trim().splitn(4, '-');
        let (version, id, span) = (parts.next()?, parts.next()?, parts.next()?);
        // A later version may append more to the flags.
        let (flags, rest) = parts.next()?.split_at_checked(2)?;
        if version.len() != 2 || version == "ff" || (version == "00" && !rest.is_empty()) {
            return None;
        }
        let hex = |text: &str, digits| {
            let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            (lower && text.len() == digits).then(|| u128::from_str_radix(text, 16).ok()).flatten()
        };
        hex(version, 2)?;
        Some(Trace {
            id: hex(id, 32).filter(|id| *id != 0)?,
            span: u64::try_from(hex(span, 16)?).ok().filter(|span| *span != 0)?,
            flags: u8::try_from(hex(flags, 2)?).ok()?,
        })
    }

    /// A trace that begins here.
    pub fn new() -> Trace {
        Trace { id: fastrand::u128(1..), span: fastrand::u64(1..), flags: 0 }
    }

    /// Returns the trace id, 32 hex digits.
    pub fn id(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// Returns the trace id as the GUID that Azure takes for `x-ms-client-request-id` and keeps in its activity log.
    pub fn client_request_id(&self) -> String {
        let id = self.id();
        let parts = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]];
        parts.join("-")
    }

    /// Runs something as part of this trace.
    pub async fn within<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// Makes a span a child of the one that called. Without an exporter it does nothing.
    pub fn adopt(&self, span: &Span) {
        let caller = SpanContext::new(
            TraceId::from(self.id),
            SpanId::from(self.span),
            TraceFlags::new(self.flags),
            true,
            TraceState::default(),
        );
        let context = opentelemetry::Context::new().with_remote_span_context(caller);
        // It fails where no exporter is listening.
        let _ = span.set_parent(context);
    }

    /// Returns the trace that is being worked for, with the current span as the caller where one is recorded.
    pub fn current() -> Option<Trace> {
        let context = Span::current().context();
        let span = context.span().span_context().clone();
        if span.is_valid() {
            return Some(Trace {
                id: u128::from_be_bytes(span.trace_id().to_bytes()),
                span: u64::from_be_bytes(span.span_id().to_bytes()),
                flags: span.trace_flags().to_u8(),
            });
        }
        CURRENT.try_with(|trace| *trace).ok()
    }
}

impl Default for Trace {
    fn default() -> Self {
        Trace::new()
    }
}

impl fmt::Display for Trace {
    /// As a `traceparent` header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.span, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let trace = Trace::parse(HEADER).expect("the recommendation's example");
        assert_eq!(trace.to_string(), HEADER);
        assert_eq!(trace.id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.client_request_id(), "4bf92f35-77b3-4da6-a3ce-929d0e0e4736");
    }

    #[test]
    fn a_later_version_may_say_more() {
        let later = HEADER.replacen("00", "01", 1) + "-more";
        assert_eq!(Trace::parse(&later), Trace::parse(HEADER));
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        let rows = [
            ("nothing", ""),
            ("words", "hello-world"),
            ("upper case", &HEADER.to_uppercase()),
            ("no trace", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
            ("no span", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"),
            ("short", "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01"),
            ("version ff", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("more in version 00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"),
            ("a letter outside ASCII", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0é"),
        ];
        for (name, text) in rows {
            assert_eq!(Trace::parse(text), None, "{name}");
        }
    }

    #[tokio::test]
    async fn a_trace_is_current_within_its_work_only() {
        let trace = Trace::new();
        assert_eq!(trace.within(async { Trace::current() }).await, Some(trace));
        assert_eq!(Trace::current(), None);
    }
}
