//! The function's URL: whoever knows it may call it (`AuthType` `NONE`), and no method is answered in the
//! function's place (no CORS).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use http::StatusCode;
use serde_json::json;
use time::OffsetDateTime;
use tokio::net::TcpListener;

use super::error::InvokeError;
use super::event;
use super::function::Function;
use keyholder_emulator::exchange::{self, Request, Response};
use keyholder_emulator::guid::guid;

/// The most a request may have.
const LARGEST_REQUEST: usize = 6 * 1024 * 1024;

/// Answers for as long as nobody aborts it.
pub(super) async fn serve(function: Arc<Function>, listener: TcpListener) {
    let router = axum::Router::new().fallback(answer).with_state(function);
    // `serve` only returns when told to shut down, and nobody tells it.
    let _ = axum::serve(listener, router).await;
}

async fn answer(State(function): State<Arc<Function>>, request: http::Request<Body>) -> http::Response<Body> {
    let (parts, body) = request.into_parts();
    let response = match axum::body::to_bytes(body, LARGEST_REQUEST).await {
        Ok(body) => invoke(&function, &Request::from_parts(parts, body)).await,
        Err(_) => refusal(StatusCode::PAYLOAD_TOO_LARGE, "Request must be smaller than 6291456 bytes"),
    };
    response.map(Body::from)
}

async fn invoke(function: &Function, request: &Request) -> Response {
    let id = guid(&mut fastrand::Rng::new());
    let event = event::of(request, &id, OffsetDateTime::now_utc());
    let answer = match function.invoke(&event).await {
        Ok(answer) => event::response(&answer),
        Err(InvokeError::Throttled(_)) => Some(refusal(StatusCode::TOO_MANY_REQUESTS, "Rate Exceeded.")),
        Err(_) => None,
    };
    answer.unwrap_or_else(|| refusal(StatusCode::BAD_GATEWAY, "Internal Server Error"))
}

fn refusal(status: StatusCode, message: &str) -> Response {
    exchange::json(status, &json!({ "Message": message }))
}
