//! The Functions host as far as a custom handler sees it: starts the program, calls it for every event that
//! arrives at its webhook, for every timer that is due and for whoever asks, and restarts it by the live
//! host's rules.
//!
//! Decisions (`webhook`, `admin`, `load`, `timer`, `envelope`, `answer`, `restart`) are pure and know no
//! socket; `process`, `supervisor`, `invocation`, `runner`, `timers` and `server` carry them out. Unlike the
//! rest of the emulator this works in real time, because the handler does: a clock that jumps must not kill it.
//! Only timers, and the half hour in which crashes are counted, follow the emulator's clock.

mod admin;
mod answer;
mod app;
mod console;
mod document;
mod envelope;
mod error;
mod function;
mod host_file;
mod invocation;
mod keys;
mod launch;
mod lines;
mod load;
mod ncrontab;
mod outputs;
mod process;
mod program;
mod restart;
mod runner;
mod server;
mod supervisor;
#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests;
mod timer;
#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod timer_tests;
mod timers;
mod webhook;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use url::Url;

pub use app::App;
pub(crate) use console::Console;
pub use console::{Level, Line, Source};
pub use document::AppError;
pub use error::HostError;
pub use function::{Cardinality, Function, TimerTrigger, Trigger};
pub(crate) use lines::each_line;

use keyholder_emulator::Emulator;
use keyholder_emulator::guid::guid;
use keys::Keys;
use launch::{Launch, free_port, this_port};
use load::Loaded;
use process::{Lost, Process};
use runner::Runner;
use server::Front;
use supervisor::{Command, State, Supervisor};
use timers::Timers;

/// How many ports are tried before a handler that finds them taken is believed.
const PORTS: u32 = 3;

/// A running host with its handler. Dropping it kills the handler too, without waiting for its end.
pub struct FunctionsHost {
    address: SocketAddr,
    console: Console,
    state: watch::Receiver<State>,
    commands: mpsc::Sender<Command>,
    keys: Option<Keys>,
    tasks: JoinSet<()>,
}

impl FunctionsHost {
    /// Starts the app's handler with these app settings, and answers on the listener once it is ready.
    pub async fn start(
        app: App,
        settings: Vec<(String, String)>,
        listener: TcpListener,
        emulator: Emulator,
    ) -> Result<FunctionsHost, HostError> {
        match app.port {
            None => FunctionsHost::start_on(free_port, app, settings, listener, emulator).await,
            Some(port) => {
                this_port(port).map_err(|source| HostError::HandlerPort { port, source })?;
                FunctionsHost::start_on(|| Ok(port), app, settings, listener, emulator).await
            }
        }
    }

    async fn start_on(
        mut port: impl FnMut() -> std::io::Result<u16>,
        app: App,
        settings: Vec<(String, String)>,
        listener: TcpListener,
        emulator: Emulator,
    ) -> Result<FunctionsHost, HostError> {
        let address = listener.local_addr().map_err(HostError::Port)?;
        let client = invocation::client();
        let console = Console::new();
        let mut attempt = 1;
        let (launch, process) = loop {
            let id = emulator.with(|world, _| guid(&mut world.random));
            let launch = Launch::new(&app, &settings, port().map_err(HostError::Port)?, &id);
            match first_start(&launch, &client, &console).await {
                Ok(process) => break (launch, process),
                // Between our choice of a port and the handler's use of it somebody else may take it.
                Err(error) if error.is_port_taken() && attempt < PORTS => attempt += 1,
                Err(error) => return Err(error),
            }
        };

        let (state_sender, state) = watch::channel(State::Ready(process.pid()));
        let (commands, command_receiver) = mpsc::channel(16);
        let loaded = load::load(&app.functions, |name| launch.variable(name), emulator.now());
        let Loaded { functions, timers, failures } = loaded;
        failures.iter().for_each(|failure| console.host(Level::Error, failure.to_string()));
        let timers = Arc::new(Timers::new(timers));
        let runner = Arc::new(Runner {
            function_timeout: app.function_timeout,
            port: launch.port,
            client: client.clone(),
            console: console.clone(),
            emulator: emulator.clone(),
            state: state.clone(),
            commands: commands.clone(),
        });
        let mut tasks = JoinSet::new();
        for function in functions.iter().filter(|function| timers.has(function) && !function.is_disabled()) {
            tasks.spawn(Arc::clone(&timers).run(function.clone(), Arc::clone(&runner)));
        }
        let keys = app.asks_for_keys.then(|| emulator.with(|world, _| Keys::draw(&mut world.random)));
        let front = Front { functions, timers, runner, keys: keys.clone() };
        tasks.spawn(server::serve(Arc::new(front), listener));
        let supervisor = Supervisor {
            launch,
            client,
            console: console.clone(),
            emulator,
            state: state_sender,
            commands: command_receiver,
        };
        tasks.spawn(supervisor.run(process));
        Ok(FunctionsHost { address, console, state, commands, keys, tasks })
    }

    /// Where callers reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where Event Grid delivers events for a function, with the key if the host asks for one.
    pub fn webhook(&self, function: &str) -> Url {
        let address = self.address;
        let mut url = Url::parse(&format!("http://{address}/runtime/webhooks/eventgrid"))
            .expect("a socket address is an authority");
        url.query_pairs_mut().append_pair("functionName", function);
        if let Some(keys) = &self.keys {
            url.query_pairs_mut().append_pair("code", &keys.event_grid());
        }
        url
    }

    /// The key that opens everything; `None` if the host asks for none.
    pub fn master_key(&self) -> Option<String> {
        self.keys.as_ref().map(Keys::master)
    }

    /// Where a `POST` runs a function, whatever its trigger: `{"input": …}`, or no body.
    pub fn admin(&self, function: &str) -> Url {
        let address = self.address;
        let url = Url::parse(&format!("http://{address}/admin/functions/{function}"));
        url.expect("a socket address is an authority")
    }

    /// The log so far (its last few hundred lines), and every later line.
    pub fn follow(&self) -> (Vec<Line>, broadcast::Receiver<Line>) {
        self.console.follow()
    }

    /// The handler's process id; `None` once it is not restarted any more.
    pub fn handler_pid(&self) -> Option<u32> {
        self.state.borrow().pid()
    }

    /// Waits while the handler is starting. Says whether it is there now.
    pub async fn ready(&self) -> bool {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| !matches!(state, State::Starting(_))).await;
        settled.is_ok_and(|state| matches!(*state, State::Ready(_)))
    }

    /// Kills the handler with SIGKILL, as a crash would end it, and waits until it is gone. The host counts
    /// the crash, and starts the handler again if it was not the third.
    pub async fn kill_handler(&self) {
        let mut state = self.state.clone();
        let Some(pid) = state.borrow().pid() else { return };
        // The supervisor is gone only when the host is stopping; then the wait is over at once.
        let _ = self.commands.send(Command::Crash(pid)).await;
        let _ = state.wait_for(|state| state.pid() != Some(pid)).await;
    }

    /// Kills the handler, waits for its end, and closes the listener.
    pub async fn stop(mut self) {
        let _ = self.commands.send(Command::Stop).await;
        let _ = self.state.wait_for(|state| *state == State::Stopped).await;
        self.tasks.shutdown().await;
    }
}

impl fmt::Debug for FunctionsHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionsHost")
            .field("address", &self.address)
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}

async fn first_start(
    launch: &Launch,
    client: &reqwest::Client,
    console: &Console,
) -> Result<Process, HostError> {
    let mut process = Process::spawn(launch, console).map_err(|source| HostError::Spawn {
        program: launch.line.program.to_string_lossy().into_owned(),
        source,
    })?;
    match process.ready(client, launch).await {
        Ok(()) => Ok(process),
        Err(Lost::Exited(status)) => Err(HostError::Exited { status, stderr: process.last_words() }),
        Err(Lost::Silent) => {
            process.kill().await;
            Err(HostError::NotReady { limit: launch.initialization_timeout, stderr: process.last_words() })
        }
    }
}
