//! Log lines as JSON, one object each, flat: what the Functions host collects and a query takes apart.
//!
//! `tracing-subscriber`'s own JSON nests the fields of spans, and lets every span add what it likes. Here a line
//! has the fields of [`fields`], and of the spans around it only those that tell whom it belongs to.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::fields;

/// The name of a line that is none of the documented events: a library's, or one for debugging.
const OTHER: &str = "log";

/// RFC 3339, as long for every line.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Writes lines to a writer chosen by level.
pub(super) struct Lines<W>(pub(super) W);

/// The fields of a span or an event.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut recorded = Fields::default();
        attributes.record(&mut recorded);
        recorded.0.retain(|name, _| fields::CONTEXT.contains(&name.as_str()));
        if let Some(span) = context.span(id).filter(|_| !recorded.0.is_empty()) {
            span.extensions_mut().insert(recorded);
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(recorded) = span.extensions_mut().get_mut::<Fields>() {
            record.record(recorded);
            recorded.0.retain(|name, _| fields::CONTEXT.contains(&name.as_str()));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let metadata = event.metadata();
        let message = own.0.shift_remove("message").unwrap_or_default();
        let name = own.0.shift_remove("event");

        let mut line = Map::new();
        let now = OffsetDateTime::now_utc().format(TIME);
        line.insert("time".to_owned(), now.unwrap_or_default().into());
        line.insert("level".to_owned(), level(*metadata.level()).into());
        match name {
            Some(name) => {
                line.insert("event".to_owned(), name);
                line.insert("message".to_owned(), message);
            }
            None => {
                line.insert("event".to_owned(), OTHER.into());
                line.insert("message".to_owned(), with_fields(&message, &std::mem::take(&mut own.0)).into());
                line.insert("target".to_owned(), metadata.target().into());
            }
        }
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(Fields(of_span)) = span.extensions().get::<Fields>() {
                line.extend(of_span.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        line.extend(own.0);

        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // In one piece, so that lines of several threads do not mix; a reader who has gone away is no error.
        let _ = self.0.make_writer_for(metadata).write_all(text.as_bytes());
    }
}

/// Returns a message with its fields behind it, for lines whose fields are not documented.
fn with_fields(message: &Value, fields: &Map<String, Value>) -> String {
    let mut text = message.as_str().unwrap_or_default().to_owned();
    for (name, value) in fields {
        let separator = if text.is_empty() { "" } else { " " };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{name}={value}");
    }
    text
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use tracing::{error, info, info_span};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(log: impl FnOnce()) -> Vec<Value> {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = tracing_subscriber::registry().with(Lines(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, log);
        let bytes = memory.0.lock().expect("no writer panics").clone();
        let lines = String::from_utf8(bytes).expect("JSON is UTF-8");
        lines.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
    }

    fn without_time(mut line: Value) -> Value {
        line.as_object_mut().and_then(|line| line.remove("time")).expect("every line has its time");
        line
    }

    #[test]
    fn a_line_is_flat_and_says_whom_it_belongs_to() {
        let lines = written(|| {
            let invocation = info_span!("invocation", invocationId = "i-1", somethingElse = 1);
            let _in_it = invocation.enter();
            let event = info_span!("event", eventId = "e-1", certificateId = tracing::field::Empty);
            event.record("certificateId", "/subscriptions/x");
            let _in_it_too = event.enter();
            info!(
                event = "signature.intended",
                key = "vault/ca",
                pauseMs = 1.5,
                attempt = 2_u64,
                "about to sign"
            );
        });
        let expected = json!({
            "level": "info", "event": "signature.intended", "message": "about to sign", "invocationId": "i-1",
            "eventId": "e-1", "certificateId": "/subscriptions/x", "key": "vault/ca", "pauseMs": 1.5, "attempt": 2
        });
        assert_eq!(lines.into_iter().map(without_time).collect::<Vec<_>>(), [expected]);
    }

    #[test]
    fn a_line_that_is_no_documented_event_keeps_its_fields_in_the_message() {
        let lines = written(|| error!(answer = 42, "a library\nspeaks"));
        let [line] = lines.as_slice() else { panic!("one line, whatever is in it: {lines:?}") };
        assert_eq!(line["event"], "log");
        assert_eq!(line["message"], "a library\nspeaks answer=42");
        assert_eq!(line["answer"], Value::Null);
    }
}
