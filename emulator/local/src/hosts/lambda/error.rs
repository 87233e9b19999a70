//! Why an invocation has no answer.

use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;

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
