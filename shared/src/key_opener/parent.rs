//! The side of the process that has a key opened: it starts this program once more, asks it twice, and ends it.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::de::DeserializeOwned;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::child::ARGUMENT;
use super::frame::{self, Opened, Signed, ToSign};
use super::limits::{self, PATIENCE};
use super::{KeyProcessError, OpenError};
use crate::pulled_key::UnusableSecret;

/// On Linux, the file that this process runs, even if another one has its name by now.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// What is started to hold a key.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<OsString>,
}

/// A process that holds a key. It is killed when this is dropped.
pub(super) struct KeyProcess {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Program {
    /// This program.
    pub(super) fn this() -> Program {
        let path = match Path::new(THIS_PROGRAM) {
            path if path.exists() => path.to_owned(),
            // What cannot be found out is said when it is to be started.
            _ => env::current_exe().unwrap_or_default(),
        };
        Program { path, arguments: vec![ARGUMENT.into()] }
    }
}

impl KeyProcess {
    /// Starts it with a secret, which is on no command line and in no environment.
    pub(super) async fn start(
        program: &Program,
        secret: &str,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Result<(KeyProcess, Opened), OpenError> {
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(KeyProcessError::Start)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(KeyProcessError::Start(io::Error::other("it has no pipes")).into());
        };
        let mut process = KeyProcess { child, stdin, stdout, _turn: turn };
        match process.ask(secret.as_bytes()).await {
            Ok(opened) => Ok((process, opened)),
            Err(error) => Err(process.why(error).await),
        }
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Has it sign, and ends it.
    pub(super) async fn sign(mut self, to_sign: &ToSign) -> Result<Signed, KeyProcessError> {
        let request = frame::encode(to_sign).map_err(|error| KeyProcessError::Confused(error.to_string()))?;
        self.ask(&request).await
    }

    async fn ask<T: DeserializeOwned>(&mut self, request: &[u8]) -> Result<T, KeyProcessError> {
        let exchange = async {
            frame::send(&mut self.stdin, request).await?;
            frame::receive(&mut self.stdout).await
        };
        let answer = timeout(PATIENCE, exchange).await.map_err(|_| KeyProcessError::Silent)?;
        let answer = answer.map_err(|error| KeyProcessError::Ended(error.to_string()))?;
        frame::decode(&answer).map_err(|error| KeyProcessError::Confused(error.to_string()))
    }

    /// What its end has to do with the secret.
    async fn why(mut self, error: KeyProcessError) -> OpenError {
        if !matches!(error, KeyProcessError::Ended(_)) {
            return error.into();
        }
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) if limits::has_computed_too_long(status) => UnusableSecret::TooSlow.into(),
            Ok(Ok(status)) => KeyProcessError::Ended(status.to_string()).into(),
            Ok(Err(_)) | Err(_) => error.into(),
        }
    }
}
