//! What the Functions host can ask of the handler.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use futures::future::join_all;
use keyholder::event::{self, Notice, Upload};
use keyholder::outcome::Outcome;
use keyholder::reason::{Answer, Reason};
use keyholder::registry::Registry;
use keyholder::vault::Vault;
use keyholder::{CertificateId, Verifier};
use serde_json::{Value, json};
use tracing::{error, info, warn};

use crate::envelope;

/// Event Grid sends no more, and an event of Azure Resource Manager has a few kilobytes.
const MAX_BODY: usize = 1 << 20;

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
        .route("/SweepUnverified", post(sweep_unverified::<R, V>))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(verifier)
}

async fn ready() -> Json<Value> {
    Json(json!({ "ready": true }))
}

async fn unknown(uri: Uri) -> Response {
    let functions: Vec<&str> = crate::FUNCTIONS.iter().map(|(name, _)| *name).collect();
    let functions = functions.join(" and POST /");
    refusal(StatusCode::NOT_FOUND, &format!("there is no function at {uri}; there are POST /{functions}"))
}

async fn not_allowed(method: Method, uri: Uri) -> Response {
    let error = format!("{method} {uri} is not understood; functions are called with POST");
    refusal(StatusCode::METHOD_NOT_ALLOWED, &error)
}

async fn verify_on_upload<R: Registry + 'static, V: Vault + 'static>(
    State(verifier): State<Arc<Verifier<R, V>>>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let events = match read(body) {
        Ok(events) => events,
        Err((status, error)) => return refusal(status, &error),
    };
    let reports = join_all(events.into_iter().map(|event| handle(verifier.clone(), event))).await;
    let lines: Vec<String> = reports.iter().map(|report| report.line.clone()).collect();
    if reports.iter().any(|report| report.answer == Answer::DeliverAgain) {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, &lines.join("; "));
    }
    Json(envelope::answer(&lines)).into_response()
}

async fn sweep_unverified<R: Registry + 'static, V: Vault + 'static>(
    State(verifier): State<Arc<Verifier<R, V>>>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if let Err((status, error)) = read(body) {
        return refusal(status, &error);
    }
    let Ok(report) = tokio::spawn(async move { verifier.sweep().await }).await else {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, "the sweep broke; its reason is in the log");
    };
    for (id, outcome) in &report.ended {
        audit(id, outcome);
    }
    match report.is_loud() {
        true => warn!("sweep: {report}"),
        false => info!("sweep: {report}"),
    }
    Json(envelope::answer(&[report.to_string()])).into_response()
}

/// The payload of an invocation; for what is none, the status and what is wrong with it.
fn read(body: Result<Bytes, BytesRejection>) -> Result<Vec<Value>, (StatusCode, String)> {
    let body = body.map_err(|rejected| match rejected.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            (StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {MAX_BODY} bytes"))
        }
        status => (status, "the body could not be read".to_owned()),
    })?;
    envelope::events(&body).map_err(|invalid| {
        error!("{invalid}");
        (StatusCode::BAD_REQUEST, invalid.to_string())
    })
}

async fn handle<R: Registry + 'static, V: Vault + 'static>(
    verifier: Arc<Verifier<R, V>>,
    event: Value,
) -> Report {
    match event::read(&event) {
        Notice::Uploaded(upload) => verify(verifier, upload).await,
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

/// In a task of its own, so that a panic fails this one event and nothing else.
async fn verify<R: Registry + 'static, V: Vault + 'static>(
    verifier: Arc<Verifier<R, V>>,
    upload: Upload,
) -> Report {
    let id = upload.id.clone();
    match tokio::spawn(async move { verifier.verify(&upload).await }).await {
        Ok(outcome) => {
            audit(&id, &outcome);
            Report { line: format!("{id}: {outcome}"), answer: outcome.reason().answer() }
        }
        Err(_) => {
            let reason = Reason::Broken;
            error!(certificate = %id, outcome = reason.name(), "the run broke");
            Report { line: format!("{id}: {}", reason.meaning()), answer: reason.answer() }
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

/// The host reads neither body nor type of a failure, but people with curl do.
fn refusal(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

#[cfg(test)]
mod tests;
