//! The host's front door, and the way from there to the handler.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State as Shared;
use futures::future::join_all;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::answer::BadAnswer;
use super::console::{Console, Level};
use super::envelope;
use super::function::Function;
use super::invocation::{Failure, Invocation, Outcome};
use super::supervisor::{Command, State};
use super::webhook::{self, Decision, Payload};
use crate::Emulator;
use crate::exchange::{self, Request, Response};
use crate::faults::Effect;
use crate::guid::guid;
use crate::operation::Operation;

/// `FUNCTIONS_REQUEST_BODY_SIZE_LIMIT` as it is by default.
const BODY_LIMIT: usize = 100 * 1024 * 1024;

/// Everything needed to answer a request.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) functions: Vec<Function>,
    pub(super) function_timeout: Option<Duration>,
    pub(super) port: u16,
    pub(super) client: reqwest::Client,
    pub(super) console: Console,
    pub(super) emulator: Emulator,
    pub(super) state: watch::Receiver<State>,
    pub(super) commands: mpsc::Sender<Command>,
}

/// Answers for as long as nobody aborts it.
pub(super) async fn serve(front: Arc<Front>, listener: TcpListener) {
    let router = axum::Router::new().fallback(answer).with_state(front);
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
    async fn answer(self: &Arc<Self>, request: &Request) -> Response {
        if *self.state.borrow() == State::Stopped {
            let message = "Function host is not running.";
            return exchange::with_body(
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain; charset=utf-8",
                message,
            );
        }
        match webhook::decide(&self.functions, request) {
            Decision::Answer(response) => response,
            Decision::Invoke(function, payloads) => self.notify(function.name(), payloads).await,
        }
    }

    async fn notify(self: &Arc<Self>, function: &str, payloads: Vec<Payload<'_>>) -> Response {
        // Tasks of their own: a caller that hangs up does not end what it has started.
        let runs = payloads.into_iter().map(|payload| {
            let invocation = self.invocation(function, payload);
            let front = Arc::clone(self);
            tokio::spawn(async move { front.invoke(invocation).await })
        });
        let all_succeeded = join_all(runs).await.into_iter().all(|run| run.unwrap_or(false));
        if all_succeeded {
            exchange::empty(StatusCode::ACCEPTED)
        } else {
            let message = format!("Exception while executing function: Functions.{function}");
            exchange::with_body(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", message)
        }
    }

    fn invocation(&self, function: &str, payload: Payload<'_>) -> Invocation {
        self.emulator.with(|world, now| {
            let sys = envelope::sys(function, now, &guid(&mut world.random));
            let body = match payload {
                Payload::One(binding, event) => envelope::one(binding, &event, sys),
                Payload::Many(binding, events) => envelope::many(binding, &events, sys),
            };
            Invocation::new(function, body, &mut world.random)
        })
    }

    /// Whether it succeeded; the log and the journal know the rest.
    async fn invoke(&self, invocation: Invocation) -> bool {
        let Outcome { status, result } = self.outcome(&invocation).await;
        let Invocation { function, id, .. } = invocation;
        let (succeeded, note) = match result {
            Ok(answer) => {
                answer.logs.into_iter().for_each(|line| self.console.function(&function, line));
                (true, None)
            }
            Err(failure) => {
                self.console.host(Level::Error, format!("Functions.{function} failed ({id}): {failure}"));
                (false, Some(failure.to_string()))
            }
        };
        self.emulator.with(|world, now| {
            world.journal.remark(now, Operation::Invoke, &function, status, note);
        });
        succeeded
    }

    async fn outcome(&self, invocation: &Invocation) -> Outcome {
        let strike =
            |function: &str| self.emulator.with(|world, _| world.faults.strike(Operation::Invoke, function));
        if let Some(Effect::Answer(status)) = strike(&invocation.function) {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Outcome { status: status.as_u16(), result: Err(BadAnswer::Status(status).into()) };
        }
        let mut state = self.state.clone();
        // A start that takes too long is an error, and the third stops the host, so this wait has an end.
        let settled = state.wait_for(|state| !matches!(state, State::Starting(_))).await.map(|state| *state);
        let Ok(State::Ready(pid)) = settled else {
            let failure = Failure::NoAnswer("it has ended and is not restarted".to_owned());
            return Outcome { status: 0, result: Err(failure) };
        };
        let outcome = invocation.run(&self.client, self.port, self.function_timeout).await;
        if let Err(Failure::TimedOut(_)) = outcome.result {
            // Fails only when the host is stopping, which kills the handler anyway.
            let _ = self.commands.send(Command::FunctionTimedOut(pid)).await;
        }
        outcome
    }
}
