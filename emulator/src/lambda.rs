//! AWS Lambda as far as a function with a URL sees it: requests become events, a program fetches them from the
//! Runtime API and answers there.
//!
//! As in AWS nothing runs before the first request; a request that finds every instance busy starts another one,
//! up to the function's concurrency; an instance stays warm; one that crashes or takes too long is replaced. `event`
//! is pure; `runtime_api` is what the program talks to, `instance` its process, `url` the front door. It works in
//! real time, because the program does.
//!
//! The Runtime API follows its public clients, events follow the published payload format 2.0. What a URL answers
//! when its function fails is chosen, not observed: 502, and 429 for a function that is at its concurrency.

mod event;
mod instance;
mod runtime_api;
#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests;
mod url;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::url::Url;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinSet;

use crate::functions_host::{Console, Level, Line};
use instance::Instance;

/// The function's name, in its environment and in the ARN of each invocation.
pub const FUNCTION: &str = "keyholder";

/// What to run, and how.
#[derive(Clone)]
pub struct Options {
    /// The program and its arguments; in AWS it is called `bootstrap`.
    pub program: Vec<OsString>,
    /// The function's environment variables. It has no others but those of Lambda.
    pub environment: Vec<(String, String)>,
    /// How long the program may take until it asks for its first event.
    pub initialization: Duration,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// How many instances there may be; each handles one invocation at a time.
    pub concurrency: usize,
}

impl Options {
    /// A program that may take half a minute for an event, in up to ten instances.
    pub fn new(program: Vec<OsString>, environment: Vec<(String, String)>) -> Options {
        Options {
            program,
            environment,
            initialization: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            concurrency: 10,
        }
    }
}

/// A Lambda function with a URL. Dropping it kills its instances.
#[derive(Debug)]
pub struct Lambda {
    function: Arc<Function>,
    address: SocketAddr,
    server: JoinSet<()>,
}

/// Why an invocation has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// Every instance there may be is busy.
    #[error("the function is at its concurrency of {0}")]
    Throttled(usize),
    /// The program cannot be run at all.
    #[error("{program} cannot be started")]
    Start {
        /// Which program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The program ended, before or while it handled the event.
    #[error("the program ended, {0}")]
    Exited(ExitStatus),
    /// The program did not ask for an event in time.
    #[error("the program asked for no event within {0:?}")]
    NotInitialized(Duration),
    /// The program did not answer in time.
    #[error("Task timed out after {0:?}")]
    TimedOut(Duration),
    /// The program reported an error.
    #[error("the program reported an error: {0}")]
    Reported(Value),
}

/// The function behind the URL.
pub(crate) struct Function {
    options: Options,
    console: Console,
    /// Warm instances nobody uses at the moment.
    idle: Mutex<Vec<Instance>>,
    free: Semaphore,
}

impl Lambda {
    /// Serves the function's URL on a listener.
    pub fn start(options: Options, listener: TcpListener) -> std::io::Result<Lambda> {
        let address = listener.local_addr()?;
        let function = Arc::new(Function {
            free: Semaphore::new(options.concurrency),
            options,
            console: Console::new(),
            idle: Mutex::default(),
        });
        let mut server = JoinSet::new();
        server.spawn(url::serve(function.clone(), listener));
        Ok(Lambda { function, address, server })
    }

    /// The function's URL. In AWS it is https.
    pub fn url(&self) -> Url {
        Url::parse(&format!("http://{}/", self.address)).expect("a socket address is an authority")
    }

    /// Invokes the function with an event of the caller's own, as a schedule or `aws lambda invoke` does.
    pub async fn invoke(&self, event: &Value) -> Result<Value, InvokeError> {
        self.function.invoke(event).await
    }

    /// The log so far, and every later line.
    pub fn follow(&self) -> (Vec<Line>, broadcast::Receiver<Line>) {
        self.function.console.follow()
    }

    /// How many instances wait for work.
    pub fn idle_instances(&self) -> usize {
        self.function.idle().len()
    }

    /// Stops serving and kills what runs.
    pub async fn stop(mut self) {
        self.server.shutdown().await;
        let idle = std::mem::take(&mut *self.function.idle());
        for instance in idle {
            instance.kill().await;
        }
    }
}

impl Function {
    async fn invoke(&self, event: &Value) -> Result<Value, InvokeError> {
        let Ok(_turn) = self.free.try_acquire() else {
            return Err(InvokeError::Throttled(self.options.concurrency));
        };
        let warm = self.warm();
        let mut instance = match warm {
            Some(instance) => instance,
            None => Instance::start(&self.options, &self.console).await?,
        };
        let answer = instance.invoke(event).await;
        match &answer {
            Ok(_) | Err(InvokeError::Reported(_)) => self.idle().push(instance),
            Err(_) => instance.kill().await,
        }
        if let Err(error) = &answer {
            self.console.host(Level::Error, error.to_string());
        }
        answer
    }

    /// An instance that is still there.
    fn warm(&self) -> Option<Instance> {
        let mut idle = self.idle();
        idle.retain_mut(Instance::is_alive);
        idle.pop()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Function {
    /// Without the environment, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("program", &self.options.program).finish_non_exhaustive()
    }
}

impl fmt::Debug for Options {
    /// Without the environment, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("program", &self.program)
            .field("timeout", &self.timeout)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}
