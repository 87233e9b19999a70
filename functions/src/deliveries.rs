//! What becomes of events, whichever front door they came in by.

use std::sync::Arc;

use axum::http::StatusCode;
use futures::future::join_all;
use keyholder::Verifier;
use keyholder::error::quoted;
use keyholder::event::{self, Notice, Upload};
use keyholder::reason::{Answer, Reason};
use keyholder::registry::Registry;
use keyholder::sweep::Report;
use keyholder::vault::Vault;
use serde_json::Value;
use time::OffsetDateTime;
use tracing::{Instrument, error, info, info_span};

use crate::invocation::apart;

/// Event Grid sends no more, and an event of Azure Resource Manager has a few kilobytes.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// What became of events: a line for each, and what whoever delivered them is told.
pub(crate) struct Handled {
    pub(crate) lines: Vec<String>,
    pub(crate) answer: Answer,
}

/// Handles events, all at once. They came together, so they are delivered again together: the answer is that
/// of the one that needs it most.
pub(crate) async fn handle<R: Registry + 'static, V: Vault + 'static>(
    verifier: &Arc<Verifier<R, V>>,
    events: Vec<Value>,
) -> Handled {
    // Read first: what an event says besides is not kept for as long as its certificate waits.
    let handled = events.into_iter().map(|event| {
        let id = event.get("id").and_then(Value::as_str).map(|id| quoted(id).trim_matches('"').to_owned());
        handle_one(verifier, id, event::read(&event))
    });
    let (lines, answers): (Vec<String>, Vec<Answer>) = join_all(handled).await.into_iter().unzip();
    Handled { lines, answer: answers.into_iter().max().unwrap_or(Answer::Done) }
}

/// Looks once for what events missed; `None` if that broke. `since` is when that was last done, if anybody knows.
pub(crate) async fn sweep<R: Registry + 'static, V: Vault + 'static>(
    verifier: Arc<Verifier<R, V>>,
    since: Option<OffsetDateTime>,
) -> Option<Report> {
    apart(async move { verifier.sweep(since).await }).await.ok()
}

/// The HTTP status of an answer.
pub(crate) fn status(answer: Answer) -> StatusCode {
    StatusCode::from_u16(answer.status()).expect("the table holds statuses of HTTP")
}

async fn handle_one<R: Registry + 'static, V: Vault + 'static>(
    verifier: &Arc<Verifier<R, V>>,
    id: Option<String>,
    notice: Notice,
) -> (String, Answer) {
    let span = info_span!("event", eventId = id);
    let handled = async {
        match notice {
            Notice::Uploaded(upload) => verify(verifier.clone(), upload).await,
            Notice::Ignored(reason) => {
                info!(event = "event.ignored", reason, "the event is not about an upload");
                (format!("ignored: {reason}"), Answer::Done)
            }
            Notice::Unreadable(reason) => {
                error!(event = "event.unreadable", reason, "the event cannot be read");
                (format!("not understood: {reason}"), Answer::Loud)
            }
        }
    };
    handled.instrument(span).await
}

async fn verify<R: Registry + 'static, V: Vault + 'static>(
    verifier: Arc<Verifier<R, V>>,
    upload: Upload,
) -> (String, Answer) {
    let id = upload.id.clone();
    match apart(async move { verifier.verify(&upload).await }).await {
        Ok(outcome) => (format!("{id}: {outcome}"), outcome.reason().answer()),
        Err(_) => {
            let reason = Reason::Broken;
            error!(
                event = "verification.broke",
                certificateId = %id,
                outcome = reason.name(),
                answer = reason.answer().name(),
                "the run broke"
            );
            (format!("{id}: {}", reason.meaning()), reason.answer())
        }
    }
}
