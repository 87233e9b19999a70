//! One instance of a function: a process, and the Runtime API it talks to.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::error::InvokeError;
use super::options::{FUNCTION, Options};
use super::runtime_api::{Ended, Invocation, RuntimeApi};
use crate::hosts::functions_host::{Console, Level, each_line};
use keyholder_emulator::guid::guid;

/// What a grandchild that keeps the pipes open may cost us.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);

/// A running program. Dropping it kills it.
pub(super) struct Instance {
    child: Child,
    invocations: mpsc::Sender<Invocation>,
    initialization: Duration,
    timeout: Duration,
    console: Console,
    _runtime_api: JoinSet<()>,
    /// They read what the program prints.
    readers: JoinSet<()>,
}

impl Instance {
    /// Starts the program; it has not asked for an event yet.
    pub(super) async fn start(options: &Options, console: &Console) -> Result<Instance, InvokeError> {
        let program = options.program.first().cloned().unwrap_or_default();
        let failed = |source| InvokeError::Start { program: program.to_string_lossy().into_owned(), source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut child = Command::new(&program)
            .args(options.program.iter().skip(1))
            .env_clear()
            .envs(options.environment.iter().map(|(name, value)| (name, value)))
            .envs(environment(&address.to_string()))
            // Where a package is unpacked.
            .env("LAMBDA_TASK_ROOT", Path::new(&program).parent().unwrap_or(Path::new("/")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            let console = console.clone();
            readers.spawn(each_line(stdout, move |line| console.stdout(line)));
        }
        if let Some(stderr) = child.stderr.take() {
            let console = console.clone();
            readers.spawn(each_line(stderr, move |line| console.stderr(line)));
        }
        let (invocations, waiting) = mpsc::channel(1);
        let mut runtime_api = JoinSet::new();
        runtime_api.spawn(RuntimeApi::new(waiting).serve(listener));
        Ok(Instance {
            child,
            invocations,
            initialization: options.initialization,
            timeout: options.timeout,
            console: console.clone(),
            _runtime_api: runtime_api,
            readers,
        })
    }

    /// Has the program handle one event. After any error but a reported one the instance is of no more use.
    pub(super) async fn invoke(&mut self, event: &Value) -> Result<Value, InvokeError> {
        let id = guid(&mut fastrand::Rng::new());
        let (fetched, is_fetched) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        let invocation =
            Invocation { id: id.clone(), event: event.clone(), timeout: self.timeout, fetched, ended };
        // It has room: one event is sent at a time, and the other end lives as long as the instance.
        let _ = self.invocations.send(invocation).await;
        self.console.host(Level::Information, format!("START RequestId: {id}"));
        let (initialization, timeout) = (self.initialization, self.timeout);
        tokio::select! {
            biased;
            Ok(()) = is_fetched => {}
            status = self.exited() => return Err(InvokeError::Exited(status)),
            () = sleep(initialization) => return Err(InvokeError::NotInitialized(initialization)),
        }
        let ended = tokio::select! {
            biased;
            Ok(ended) = has_ended => ended,
            status = self.exited() => return Err(InvokeError::Exited(status)),
            () = sleep(timeout) => return Err(InvokeError::TimedOut(timeout)),
        };
        self.console.host(Level::Information, format!("END RequestId: {id}"));
        match ended {
            Ended::Answered(answer) => Ok(answer),
            Ended::Failed(report) => Err(InvokeError::Reported(report)),
        }
    }

    /// Waits for the end, and until what the program printed is in the log.
    async fn exited(&mut self) -> ExitStatus {
        // Waiting for one's own child fails only if somebody else reaped it, and nobody here does.
        let status = self.child.wait().await.unwrap_or_default();
        let last_words = async { while self.readers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_WORDS_WITHIN, last_words).await;
        status
    }

    /// Whether the program is still there.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills the program and waits for its end.
    pub(super) async fn kill(mut self) {
        // The only failure is that it has ended already.
        let _ = self.child.start_kill();
        self.exited().await;
    }
}

/// What Lambda itself tells a program of the operating system's runtime. The credentials are nobody's.
fn environment(runtime_api: &str) -> [(&'static str, &str); 15] {
    [
        ("AWS_LAMBDA_RUNTIME_API", runtime_api),
        ("AWS_LAMBDA_FUNCTION_NAME", FUNCTION),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/keyholder"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "emulated"),
        ("AWS_REGION", "eu-west-2"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
        ("AWS_ACCESS_KEY_ID", "EMULATED"),
        ("AWS_SECRET_ACCESS_KEY", "emulated"),
        ("AWS_SESSION_TOKEN", "emulated"),
        ("_HANDLER", "bootstrap"),
        ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ("TZ", ":UTC"),
    ]
}
