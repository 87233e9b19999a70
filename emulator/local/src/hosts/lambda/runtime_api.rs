//! The Runtime API of one instance: the program fetches an event, and answers it or reports an error.
//!
//! Paths and headers are those of AWS's public clients; what is answered to a program that does something else is
//! chosen, not observed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::options::FUNCTION;

/// The most an answer may have.
const LARGEST_ANSWER: usize = 6 * 1024 * 1024;

/// An event that waits to be fetched.
pub(super) struct Invocation {
    pub(super) id: String,
    pub(super) event: Value,
    pub(super) timeout: Duration,
    /// Told when the program has it.
    pub(super) fetched: oneshot::Sender<()>,
    /// Told what the program says.
    pub(super) ended: oneshot::Sender<Ended>,
}

/// What the program says at the end.
#[derive(Debug)]
pub(super) enum Ended {
    Answered(Value),
    Failed(Value),
}

/// One instance's end of it.
pub(super) struct RuntimeApi {
    waiting: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    running: Mutex<Option<(String, oneshot::Sender<Ended>)>>,
}

impl RuntimeApi {
    /// Hands out, one after the other, what is sent into the channel.
    pub(super) fn new(waiting: mpsc::Receiver<Invocation>) -> RuntimeApi {
        RuntimeApi { waiting: tokio::sync::Mutex::new(waiting), running: Mutex::default() }
    }

    /// Answers for as long as nobody aborts it.
    pub(super) async fn serve(self, listener: TcpListener) {
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .route("/2018-06-01/runtime/init/error", post(init_failed))
            .layer(DefaultBodyLimit::max(LARGEST_ANSWER))
            .with_state(Arc::new(self));
        // `serve` only returns when told to shut down, and nobody tells it.
        let _ = axum::serve(listener, router).await;
    }

    fn end(&self, id: &str, ended: Ended) -> Response {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match running.take() {
            Some((current, sender)) if current == id => {
                // Nobody waits any more only if the instance is about to be killed.
                let _ = sender.send(ended);
                (StatusCode::ACCEPTED, Json(json!({ "status": "OK" }))).into_response()
            }
            other => {
                *running = other;
                refusal("InvalidRequestID", &format!("there is no invocation {id}"))
            }
        }
    }
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> Response {
    let Some(Invocation { id, event, timeout, fetched, ended }) = api.waiting.lock().await.recv().await
    else {
        return StatusCode::GONE.into_response();
    };
    let deadline = SystemTime::now() + timeout;
    let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let response = http::Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &id)
        .header("lambda-runtime-deadline-ms", deadline.to_string())
        .header(
            "lambda-runtime-invoked-function-arn",
            format!("arn:aws:lambda:eu-west-2:123456789012:function:{FUNCTION}"),
        )
        .header("lambda-runtime-trace-id", "Root=1-5eb33c07-de25b420912dee103a5db434;Sampled=0")
        .body(Body::from(event.to_string()))
        .expect("an id is a GUID");
    *api.running.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, ended));
    let _ = fetched.send(());
    response
}

async fn answered(State(api): State<Arc<RuntimeApi>>, Path(id): Path<String>, body: Bytes) -> Response {
    match serde_json::from_slice(&body) {
        Ok(answer) => api.end(&id, Ended::Answered(answer)),
        Err(error) => {
            let report =
                json!({ "errorType": "Runtime.MalformedResponse", "errorMessage": error.to_string() });
            api.end(&id, Ended::Failed(report))
        }
    }
}

async fn failed(State(api): State<Arc<RuntimeApi>>, Path(id): Path<String>, body: Bytes) -> Response {
    api.end(&id, Ended::Failed(report(&body)))
}

/// The program ends after this; that end is what is looked at.
async fn init_failed(body: Bytes) -> Response {
    tracing::debug!(report = %report(&body), "a Lambda function did not initialize");
    (StatusCode::ACCEPTED, Json(json!({ "status": "OK" }))).into_response()
}

fn report(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
}

fn refusal(error_type: &str, message: &str) -> Response {
    let body = json!({ "errorType": error_type, "errorMessage": message });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}
