//! What the Functions host can ask of the handler.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use keyholder::Verifier;
use keyholder::reason::Answer;
use keyholder::registry::Registry;
use keyholder::vault::Vault;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::error;

use crate::deliveries::{self, Handled, MAX_BODY};
use crate::envelope;
use crate::invocation::Invocation;

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
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let answer = async {
        let events = match read(body) {
            Ok(events) => events,
            Err((status, error)) => return refusal(status, &error),
        };
        let Handled { lines, answer } = deliveries::handle(&verifier, events).await;
        match answer {
            Answer::DeliverAgain => refusal(deliveries::status(answer), &lines.join("; ")),
            Answer::Done | Answer::Loud => Json(envelope::answer(&lines)).into_response(),
        }
    };
    Invocation::begin("VerifyOnUpload", &headers).run(answer).await
}

async fn sweep_unverified<R: Registry + 'static, V: Vault + 'static>(
    State(verifier): State<Arc<Verifier<R, V>>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let answer = async {
        let timer = match read(body) {
            Ok(timer) => timer,
            Err((status, error)) => return refusal(status, &error),
        };
        let since = timer.first().and_then(last_fired);
        let Some(report) = deliveries::sweep(verifier, since).await else {
            return refusal(StatusCode::INTERNAL_SERVER_ERROR, "the sweep broke; its reason is in the log");
        };
        Json(envelope::answer(&[report.to_string()])).into_response()
    };
    Invocation::begin("SweepUnverified", &headers).run(answer).await
}

/// When the timer last fired. The host writes year 1 for never.
fn last_fired(timer: &Value) -> Option<OffsetDateTime> {
    let last = timer.pointer("/ScheduleStatus/Last")?.as_str()?;
    OffsetDateTime::parse(last, &Rfc3339).ok().filter(|last| last.year() > 1)
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
        error!(event = "invocation.unreadable", reason = %invalid, "this is no invocation");
        (StatusCode::BAD_REQUEST, invalid.to_string())
    })
}

/// The host reads neither body nor type of a failure, but people with curl do.
fn refusal(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

#[cfg(test)]
mod tests;
