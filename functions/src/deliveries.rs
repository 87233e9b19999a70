//! What becomes of events, whichever front door they came in by.

use std::sync::Arc;

use axum::http::StatusCode;
use futures::future::join_all;
use keyholder::event::{self, Notice, Upload};
use keyholder::outcome::Outcome;
use keyholder::reason::{Answer, Reason};
use keyholder::registry::Registry;
use keyholder::sweep::Report;
use keyholder::vault::Vault;
use keyholder::{CertificateId, Verifier};
use serde_json::Value;
use tracing::{error, info, warn};

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
    let (lines, answers): (Vec<String>, Vec<Answer>) =
        join_all(events.iter().map(|event| handle_one(verifier, event))).await.into_iter().unzip();
    Handled { lines, answer: answers.into_iter().max().unwrap_or(Answer::Done) }
}

/// Looks once for what events missed; `None` if that broke.
pub(crate) async fn sweep<R: Registry + 'static, V: Vault + 'static>(
    verifier: Arc<Verifier<R, V>>,
) -> Option<Report> {
    let report = tokio::spawn(async move { verifier.sweep().await }).await.ok()?;
    for (id, outcome) in &report.ended {
        audit(id, outcome);
    }
    match report.is_loud() {
        true => warn!("sweep: {report}"),
        false => info!("sweep: {report}"),
    }
    Some(report)
}

/// The HTTP status of an answer.
pub(crate) fn status(answer: Answer) -> StatusCode {
    StatusCode::from_u16(answer.status()).expect("the table holds statuses of HTTP")
}

async fn handle_one<R: Registry + 'static, V: Vault + 'static>(
    verifier: &Arc<Verifier<R, V>>,
    event: &Value,
) -> (String, Answer) {
    match event::read(event) {
        Notice::Uploaded(upload) => verify(verifier.clone(), upload).await,
        Notice::Ignored(reason) => {
            info!("ignored: {reason}");
            (format!("ignored: {reason}"), Answer::Done)
        }
        Notice::Unreadable(reason) => {
            error!("not understood: {reason}");
            (format!("not understood: {reason}"), Answer::Loud)
        }
    }
}

/// In a task of its own, so that a panic fails this one event and nothing else.
async fn verify<R: Registry + 'static, V: Vault + 'static>(
    verifier: Arc<Verifier<R, V>>,
    upload: Upload,
) -> (String, Answer) {
    let id = upload.id.clone();
    match tokio::spawn(async move { verifier.verify(&upload).await }).await {
        Ok(outcome) => {
            audit(&id, &outcome);
            (format!("{id}: {outcome}"), outcome.reason().answer())
        }
        Err(_) => {
            let reason = Reason::Broken;
            error!(certificate = %id, outcome = reason.name(), "the run broke");
            (format!("{id}: {}", reason.meaning()), reason.answer())
        }
    }
}

/// The one line that says how a run ended.
fn audit(id: &CertificateId, outcome: &Outcome) {
    let reason = outcome.reason();
    let name = reason.name();
    match reason.answer() {
        Answer::Done => info!(certificate = %id, outcome = name, "{outcome}"),
        Answer::Loud => error!(certificate = %id, outcome = name, "{outcome}"),
        Answer::DeliverAgain => warn!(certificate = %id, outcome = name, "{outcome}"),
    }
}
