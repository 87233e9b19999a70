//! Runs functions: calls the handler once it is there, and tells the log and the journal what came of it.

use std::time::Duration;

use http::StatusCode;
use tokio::sync::{mpsc, watch};

use super::answer::BadAnswer;
use super::console::{Console, Level};
use super::envelope;
use super::function::Function;
use super::invocation::{About, Failure, Invocation, Outcome};
use super::outputs;
use super::supervisor::{Command, State};
use super::webhook::Payload;
use keyholder_emulator::Emulator;
use keyholder_emulator::faults::{Effect, Outgoing};
use keyholder_emulator::guid::guid;
use keyholder_emulator::journal::Entry;
use keyholder_emulator::operation::Operation;

/// The way to the handler.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) function_timeout: Option<Duration>,
    pub(super) port: u16,
    pub(super) client: reqwest::Client,
    pub(super) console: Console,
    pub(super) emulator: Emulator,
    pub(super) state: watch::Receiver<State>,
    pub(super) commands: mpsc::Sender<Command>,
}

impl Runner {
    /// Whether the host has stopped, or given up.
    pub(super) fn has_stopped(&self) -> bool {
        *self.state.borrow() == State::Stopped
    }

    /// A call of a function, to be made.
    pub(super) fn invocation(&self, function: &Function, payload: Payload) -> Invocation {
        let (name, binding) = (function.name(), function.binding());
        self.emulator.with(|world, now| {
            let sys = envelope::sys(name, now, &guid(&mut world.random));
            let about = payload.events().iter().map(About::of).collect();
            let body = match payload {
                Payload::Event(event) => envelope::one(binding, &event, sys),
                Payload::Events(events) => envelope::many(binding, &events, sys),
                Payload::Value(value) => envelope::value(binding, &value, sys),
            };
            Invocation::new(function, body, about, &mut world.random)
        })
    }

    /// Whether it succeeded; the log and the journal know the rest.
    pub(super) async fn run(&self, invocation: Invocation) -> bool {
        let function = &invocation.function;
        let watch = self.emulator.stopwatch();
        let fault = self.emulator.with(|world, _| world.faults.strike(Operation::Invoke, function));
        let Outcome { status, result, explanation } = self.meet(fault, &invocation).await;
        let succeeded = result.is_ok();
        let (note, said) = match result {
            Ok(answer) => {
                answer.logs.iter().for_each(|line| self.console.function(function, line.clone()));
                for output in outputs::of(&invocation.outputs, &answer.outputs, &answer.return_value) {
                    self.console.host(Level::Information, format!("Functions.{function} has {output}"));
                }
                (None, answer.logs)
            }
            Err(failure) => {
                let id = &invocation.id;
                self.console.host(Level::Error, format!("Functions.{function} failed ({id}): {failure}"));
                (Some(failure.to_string()), explanation.into_iter().collect())
            }
        };
        self.emulator.with(|world, now| {
            let mut entry = Entry { status, fault, note, said, ..invocation.entry(now) };
            watch.stop(&mut entry);
            world.journal.write(entry);
        });
        succeeded
    }

    async fn meet(&self, fault: Option<Effect>, invocation: &Invocation) -> Outcome {
        match fault.and_then(Effect::outgoing) {
            Some(Outgoing::Answered(status)) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Outcome::failed(status.as_u16(), BadAnswer::Status(status).into())
            }
            Some(Outgoing::NotMade) => lost(),
            Some(Outgoing::AnswerLost) => {
                self.call(invocation).await;
                lost()
            }
            Some(Outgoing::Unanswered) => self.time_out().await,
            None => self.call(invocation).await,
        }
    }

    async fn call(&self, invocation: &Invocation) -> Outcome {
        let Some(pid) = self.handler().await else { return gone() };
        let outcome = invocation.run(&self.client, self.port, self.function_timeout).await;
        let is_strict = self.emulator.look(|world, _| world.strict);
        match outcome.result {
            Err(Failure::TimedOut(_)) => self.punish(pid).await,
            // In the live host this too ends with a time-out.
            Err(Failure::BadAnswer(BadAnswer::NeverAnswered { .. })) if is_strict => self.punish(pid).await,
            _ => {}
        }
        outcome
    }

    /// As if the handler had said nothing until the time was up; nobody waits for real time to see that.
    async fn time_out(&self) -> Outcome {
        let Some(pid) = self.handler().await else { return gone() };
        let Some(limit) = self.function_timeout else { return std::future::pending().await };
        self.punish(pid).await;
        Outcome::failed(0, Failure::TimedOut(limit))
    }

    /// The handler's process, once it is ready. A start that takes too long is an error, and the third stops
    /// the host, so this wait has an end.
    async fn handler(&self) -> Option<u32> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| !matches!(state, State::Starting(_))).await;
        match settled.map(|state| *state) {
            Ok(State::Ready(pid)) => Some(pid),
            _ => None,
        }
    }

    async fn punish(&self, pid: u32) {
        // Fails only when the host is stopping, which kills the handler anyway.
        let _ = self.commands.send(Command::FunctionTimedOut(pid)).await;
    }
}

fn gone() -> Outcome {
    Outcome::failed(0, Failure::NoAnswer("it has ended and is not restarted".to_owned()))
}

fn lost() -> Outcome {
    Outcome::failed(0, Failure::NoAnswer("the connection was reset".to_owned()))
}
