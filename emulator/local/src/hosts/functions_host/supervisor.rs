//! Keeps the handler running: watches its process, starts it again, or gives up.
//!
//! It alone owns the process. Everybody else sees a [`State`] and sends a [`Command`].

use std::process::ExitStatus;

use tokio::sync::{mpsc, watch};

use super::console::{Console, Level};
use super::launch::Launch;
use super::process::{Lost, Process};
use super::restart::{End, Restarts, Verdict};
use keyholder_emulator::Emulator;

/// What the handler is doing. The number is its process id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Starting(u32),
    Ready(u32),
    /// It said goodbye with exit code 0 and is not started again.
    Gone,
    /// The host has stopped, or given up.
    Stopped,
}

impl State {
    pub(super) fn pid(self) -> Option<u32> {
        match self {
            State::Starting(pid) | State::Ready(pid) => Some(pid),
            State::Gone | State::Stopped => None,
        }
    }
}

/// What somebody wants of the supervisor.
#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    /// Kill this process, if it is still the one. It counts as a crash.
    Crash(u32),
    /// Kill this process, if it is still the one, because a function took too long in it.
    FunctionTimedOut(u32),
    /// Kill whatever runs and be done.
    Stop,
}

/// Why watching a process came to an end.
enum Watched {
    Ended(End),
    Stopped,
}

#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) launch: Launch,
    pub(super) client: reqwest::Client,
    pub(super) console: Console,
    pub(super) emulator: Emulator,
    pub(super) state: watch::Sender<State>,
    pub(super) commands: mpsc::Receiver<Command>,
}

impl Supervisor {
    /// Watches over the handler until it is told to stop.
    pub(super) async fn run(mut self, process: Process) {
        let mut restarts = Restarts::default();
        let mut running = Some(process);
        loop {
            running = match running {
                Some(mut process) => match self.watch(&mut process).await {
                    Watched::Ended(end) => self.replace(end, &mut restarts),
                    Watched::Stopped => break,
                },
                // Without a process the only command of interest is the last one.
                None => match self.commands.recv().await {
                    Some(Command::Crash(_) | Command::FunctionTimedOut(_)) => None,
                    Some(Command::Stop) | None => break,
                },
            };
        }
        self.state.send_replace(State::Stopped);
    }

    async fn watch(&mut self, process: &mut Process) -> Watched {
        let pid = process.pid();
        loop {
            let command = tokio::select! {
                command = self.commands.recv() => command,
                end = live(process, &self.client, &self.launch, &self.state) => {
                    self.report(&end, process);
                    return Watched::Ended(end.into());
                }
            };
            match command {
                Some(Command::Crash(wanted)) if wanted == pid => {
                    let status = process.kill().await;
                    self.console.host(Level::Error, format!("handler {pid} was killed on request"));
                    return Watched::Ended(End::Exited(status.code()));
                }
                Some(Command::FunctionTimedOut(wanted)) if wanted == pid => {
                    process.kill().await;
                    self.console
                        .host(Level::Error, format!("handler {pid} was killed: a function timed out"));
                    return Watched::Ended(End::FunctionTimedOut);
                }
                // Meant for a process that is gone already.
                Some(Command::Crash(_) | Command::FunctionTimedOut(_)) => {}
                Some(Command::Stop) | None => {
                    process.kill().await;
                    return Watched::Stopped;
                }
            }
        }
    }

    /// The next process, if there is to be one.
    fn replace(&self, mut end: End, restarts: &mut Restarts) -> Option<Process> {
        loop {
            match restarts.judge(end, self.emulator.now()) {
                Verdict::Restart => match Process::spawn(&self.launch, &self.console) {
                    Ok(process) => {
                        self.state.send_replace(State::Starting(process.pid()));
                        return Some(process);
                    }
                    Err(error) => {
                        self.console.host(Level::Error, format!("the handler cannot be started: {error}"));
                        end = End::NeverReady;
                    }
                },
                Verdict::StayDown => {
                    let text =
                        "the handler ended with exit code 0 and is not restarted: invocations will fail";
                    self.console.host(Level::Error, text.to_owned());
                    self.state.send_replace(State::Gone);
                    return None;
                }
                Verdict::StopHost => {
                    let text = "the handler failed for the third time: the host stops";
                    self.console.host(Level::Error, text.to_owned());
                    self.state.send_replace(State::Stopped);
                    return None;
                }
            }
        }
    }

    fn report(&self, end: &Lost, process: &Process) {
        let pid = process.pid();
        match end {
            Lost::Exited(status) => {
                let last_words = process.last_words().join(" | ");
                self.console.host(Level::Error, format!("handler {pid} ended, {status}: {last_words}"));
            }
            Lost::Silent => {
                let limit = self.launch.initialization_timeout;
                self.console.host(Level::Error, format!("handler {pid} answered nothing within {limit:?}"));
            }
        }
    }
}

impl From<Lost> for End {
    fn from(end: Lost) -> End {
        match end {
            Lost::Exited(status) => End::Exited(ExitStatus::code(&status)),
            Lost::Silent => End::NeverReady,
        }
    }
}

/// A process's life up to its end.
async fn live(
    process: &mut Process,
    client: &reqwest::Client,
    launch: &Launch,
    state: &watch::Sender<State>,
) -> Lost {
    match process.ready(client, launch).await {
        Ok(()) => {
            state.send_replace(State::Ready(process.pid()));
            Lost::Exited(process.exited().await)
        }
        Err(Lost::Silent) => {
            process.kill().await;
            Lost::Silent
        }
        Err(exited) => exited,
    }
}
