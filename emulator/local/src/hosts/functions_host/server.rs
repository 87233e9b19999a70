//! The host's front door, and the way from there to the handler.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Shared;
use axum::middleware::from_fn;
use futures::future::join_all;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::function::Function;
use super::keys::{Door, Keys};
use super::runner::Runner;
use super::timers::Timers;
use super::webhook::{Decision, Payload};
use super::{admin, webhook};
use crate::control::at_home;
use keyholder_emulator::exchange::{self, Request, Response};

/// `FUNCTIONS_REQUEST_BODY_SIZE_LIMIT` as it is by default.
const BODY_LIMIT: usize = 100 * 1024 * 1024;

/// Everything needed to answer a request.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) functions: Vec<Function>,
    pub(super) timers: Arc<Timers>,
    pub(super) runner: Arc<Runner>,
    /// `None` if callers need no key.
    pub(super) keys: Option<Keys>,
}

/// Answers for as long as nobody aborts it.
pub(super) async fn serve(front: Arc<Front>, listener: TcpListener) {
    let router = axum::Router::new().fallback(answer).layer(from_fn(at_home)).with_state(front);
    // `serve` only returns when told to shut down, and nobody tells it.
    let _ = axum::serve(listener, router).await;
}

async fn answer(Shared(front): Shared<Arc<Front>>, request: http::Request<Body>) -> http::Response<Body> {
    let (parts, body) = request.into_parts();
    let response = match axum::body::to_bytes(body, BODY_LIMIT).await {
        Ok(body) => front.answer(&Request::from_parts(parts, body)).await,
        Err(_) => exchange::empty(StatusCode::PAYLOAD_TOO_LARGE),
    };
    response.map(Body::from)
}

impl Front {
    async fn answer(&self, request: &Request) -> Response {
        if self.runner.has_stopped() {
            let message = "Function host is not running.";
            return exchange::with_body(
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain; charset=utf-8",
                message,
            );
        }
        if let Some(keys) = &self.keys {
            let door = if admin::is_for(request) {
                Some(Door::Admin)
            } else {
                webhook::is_for(request).then_some(Door::EventGrid)
            };
            if let Some(Err(status)) = door.map(|door| keys.check(request, door)) {
                return exchange::empty(status);
            }
            if let Some(shown) = keys.answer(request) {
                return shown;
            }
        }
        let asked_for = admin::decide(&self.functions, request, |function| self.timers.asked(function));
        match asked_for.unwrap_or_else(|| webhook::decide(&self.functions, request)) {
            Decision::Answer(response) => response,
            Decision::Start(function, payloads) => {
                drop(self.start(function, payloads));
                exchange::empty(StatusCode::ACCEPTED)
            }
            Decision::Invoke(function, payloads) => {
                let runs = join_all(self.start(function, payloads)).await;
                if runs.into_iter().all(|run| run.unwrap_or(false)) {
                    return exchange::empty(StatusCode::ACCEPTED);
                }
                let message = format!("Exception while executing function: Functions.{}", function.name());
                exchange::with_body(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", message)
            }
        }
    }

    /// Runs of their own: a caller that hangs up does not end what it has started.
    fn start(&self, function: &Function, payloads: Vec<Payload>) -> Vec<JoinHandle<bool>> {
        let start = |payload| {
            let invocation = self.runner.invocation(function, payload);
            let runner = Arc::clone(&self.runner);
            tokio::spawn(async move { runner.run(invocation).await })
        };
        payloads.into_iter().map(start).collect()
    }
}
