//! What the Functions host can ask of the handler.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use futures::future::join_all;
use keyholder::event::{self, Notice};
use keyholder::outcome::{Answer, Outcome};
use keyholder::registry::Registry;
use keyholder::vault::Vault;
use keyholder::{CertificateId, Verifier};
use serde_json::{Value, json};
use tracing::{error, info, warn};

use crate::envelope;

/// What became of one event: a line for the log, and what the host is told.
struct Report {
    line: String,
    answer: Answer,
}

/// `GET /` for the host's probe, and one `POST` per function.
pub fn router<R, V>(verifier: Arc<Verifier<R, V>>) -> Router
where
    R: Registry + 'static,
    V: Vault + 'static,
{
    Router::new()
        .route("/", get(ready))
        .route("/VerifyOnUpload", post(verify_on_upload::<R, V>))
        .fallback(unknown)
        .with_state(verifier)
}

async fn ready() -> Json<Value> {
    Json(json!({ "ready": true }))
}

async fn unknown(uri: Uri) -> Response {
    let functions: Vec<&str> = crate::FUNCTIONS.iter().map(|(name, _)| *name).collect();
    refusal(
        StatusCode::NOT_FOUND,
        &format!("there is no function at {uri}; there is POST /{}", functions.join(", /")),
    )
}

async fn verify_on_upload<R: Registry, V: Vault>(
    State(verifier): State<Arc<Verifier<R, V>>>,
    body: Bytes,
) -> Response {
    let events = match envelope::events(&body) {
        Ok(events) => events,
        Err(invalid) => {
            error!("{invalid}");
            return refusal(StatusCode::BAD_REQUEST, &invalid.to_string());
        }
    };
    let reports = join_all(events.iter().map(|event| handle(&verifier, event))).await;
    let lines: Vec<String> = reports.iter().map(|report| report.line.clone()).collect();
    if reports.iter().any(|report| report.answer == Answer::DeliverAgain) {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, &lines.join("; "));
    }
    Json(envelope::answer(&lines)).into_response()
}

async fn handle<R: Registry, V: Vault>(verifier: &Verifier<R, V>, event: &Value) -> Report {
    match event::read(event) {
        Notice::Uploaded(id) => {
            let outcome = verifier.verify(&id).await;
            audit(&id, &outcome);
            Report { line: format!("{id}: {outcome}"), answer: outcome.answer() }
        }
        Notice::Ignored(reason) => {
            info!("ignored: {reason}");
            Report { line: format!("ignored: {reason}"), answer: Answer::Done }
        }
        Notice::Unreadable(reason) => {
            error!("not understood: {reason}");
            Report { line: format!("not understood: {reason}"), answer: Answer::Loud }
        }
    }
}

/// The one line that says how a run ended.
fn audit(id: &CertificateId, outcome: &Outcome) {
    let (name, reason) = (outcome.name(), outcome.reason());
    match outcome.answer() {
        Answer::Done => info!(certificate = %id, outcome = name, reason, "{outcome}"),
        Answer::Loud => error!(certificate = %id, outcome = name, reason, "{outcome}"),
        Answer::DeliverAgain => warn!(certificate = %id, outcome = name, reason, "{outcome}"),
    }
}

/// The host reads neither body nor type of a failure, but people with curl do.
fn refusal(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}
