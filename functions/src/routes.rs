//! What the Functions host can ask of the handler.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use keyholder::Verifier;
use keyholder::reason::DeliveryAnswer;
use keyholder::registry::Registry;
use keyholder::vault::Vault;
use serde_json::{Value, json};
use tracing::error;

use crate::bodies::{MAX_BODY, Unread};
use crate::deliveries::{self, Desk, Handled};
use crate::envelope::{self, InvalidInvocation};
use crate::folded::Folded;
use crate::function_app::FUNCTIONS;
use crate::invocation::Invocation;
use crate::sweeps::NoSweep;

/// What the routes share.
struct Routes<R, V> {
    desk: Desk<R, V>,
    unreadable: Folded,
}

/// Returns the routes: `GET /` for the host's probe, and one `POST` per function.
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
        .with_state(Arc::new(Routes { desk: Desk::new(verifier), unreadable: unreadable() }))
}

async fn ready() -> Json<Value> {
    Json(json!({ "ready": true }))
}

async fn unknown(uri: Uri) -> Response {
    let functions: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
    let functions = functions.join(" and POST /");
    refusal(StatusCode::NOT_FOUND, &format!("there is no function at {uri}; there are POST /{functions}"))
}

async fn not_allowed(method: Method, uri: Uri) -> Response {
    let error = format!("{method} {uri} is not understood; functions are called with POST");
    refusal(StatusCode::METHOD_NOT_ALLOWED, &error)
}

async fn verify_on_upload<R: Registry + 'static, V: Vault + 'static>(
    State(routes): State<Arc<Routes<R, V>>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let answer = async {
        let events = match routes.read(body, envelope::events).await {
            Ok(events) => events,
            Err((status, error)) => return refusal(status, &error),
        };
        let Handled { lines, answer } = routes.desk.handle(events).await;
        match answer {
            DeliveryAnswer::Retry => refusal(deliveries::status(answer), &lines.join("; ")),
            DeliveryAnswer::Done | DeliveryAnswer::NeedsAction => {
                Json(envelope::answer(&lines)).into_response()
            }
        }
    };
    Invocation::begin("VerifyOnUpload", &headers).run(answer).await
}

async fn sweep_unverified<R: Registry + 'static, V: Vault + 'static>(
    State(routes): State<Arc<Routes<R, V>>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let answer = async {
        let since = match routes.read(body, envelope::last_fired).await {
            Ok(since) => since,
            Err((status, error)) => return refusal(status, &error),
        };
        let desk = &routes.desk;
        match desk.sweeps.run(desk.verifier.clone(), since).await {
            Ok(report) => Json(envelope::answer(&[report.to_string()])).into_response(),
            Err(none) => refusal(no_sweep(none), &none.to_string()),
        }
    };
    Invocation::begin("SweepUnverified", &headers).run(answer).await
}

/// Returns the status of a sweep that was none.
pub(crate) fn no_sweep(none: NoSweep) -> StatusCode {
    match none {
        NoSweep::Broke => StatusCode::INTERNAL_SERVER_ERROR,
        NoSweep::Crowded => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl<R, V> Routes<R, V> {
    /// Returns the payload of an invocation; for what is none, the status and what is wrong with it.
    async fn read<T>(
        &self,
        body: Body,
        read: impl FnOnce(&[u8]) -> Result<T, InvalidInvocation>,
    ) -> Result<T, (StatusCode, String)> {
        let body = self.desk.bodies.read(body).await.map_err(|unread| match unread {
            Unread::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {MAX_BODY} bytes"))
            }
            Unread::BrokeOff => (StatusCode::BAD_REQUEST, "the body could not be read".to_owned()),
        })?;
        read(&body.bytes).map_err(|invalid| {
            self.unreadable.note(&invalid.to_string());
            let status = match invalid {
                InvalidInvocation::TooMany(_) => StatusCode::PAYLOAD_TOO_LARGE,
                _ => StatusCode::BAD_REQUEST,
            };
            (status, invalid.to_string())
        })
    }
}

fn unreadable() -> Folded {
    Folded::new(|count, reason| {
        error!(event = "invocation.unreadable", reason, count, "this is no invocation");
    })
}

/// Returns a failure. The host reads neither its body nor its type, but people with curl do.
fn refusal(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

#[cfg(test)]
mod tests;
