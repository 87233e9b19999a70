//! Why a host did not start: whose fault it is, in whose words, and what to do about it.

use std::time::Duration;

use super::ncrontab::InvalidSchedule;

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The socket for callers, or one for the handler, cannot be had.
    #[error("no port for the Functions host or its handler: {0}")]
    Port(#[source] std::io::Error),
    /// The app wants a certain port for its handler.
    #[error(
        "port {port} for the handler cannot be used ({source}); host.json's customHandler.port asks for it"
    )]
    HandlerPort {
        /// Which.
        port: u16,
        /// Why not.
        source: std::io::Error,
    },
    /// The program cannot be run at all.
    #[error("cannot start the handler {program}: {source}{}", remedy(source))]
    Spawn {
        /// Which program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The program ended instead of answering.
    #[error("the handler ended before it answered on its port, {status}{}", last_words(stderr))]
    Exited {
        /// Its exit code or signal.
        status: std::process::ExitStatus,
        /// The last three lines it wrote to stderr.
        stderr: Vec<String>,
    },
    /// The program runs and does not answer.
    #[error(
        "the handler answered nothing on 127.0.0.1:$FUNCTIONS_CUSTOMHANDLER_PORT within {limit:?}{}",
        last_words(stderr)
    )]
    NotReady {
        /// `customHandler.initializationTimeout`.
        limit: Duration,
        /// The last three lines it wrote to stderr.
        stderr: Vec<String>,
    },
}

/// Why one function of an app is not run, while the others are.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FunctionError {
    #[error(
        "Functions.{function} is not run: its schedule is in the app setting {setting}, which is not set; set it to \
         six fields, such as \"0 */5 * * * *\""
    )]
    UnresolvedSetting { function: String, setting: String },
    #[error("Functions.{function} is not run: its schedule is {schedule:?}, and {source}")]
    Schedule { function: String, schedule: String, source: InvalidSchedule },
}

impl HostError {
    /// Whether the handler found somebody else on its port.
    pub(super) fn is_port_taken(&self) -> bool {
        match self {
            HostError::Exited { stderr, .. } => stderr.iter().any(|line| {
                let line = line.to_ascii_lowercase();
                ["address already in use", "eaddrinuse", "addrinuse"].iter().any(|words| line.contains(words))
            }),
            _ => false,
        }
    }
}

fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => "; make it executable (chmod +x)",
        std::io::ErrorKind::NotFound => {
            "; put it where host.json's customHandler.description.defaultExecutablePath says"
        }
        _ => "",
    }
}

fn last_words(stderr: &[String]) -> String {
    match stderr {
        [] => String::new(),
        lines => format!("; its last words: {}", lines.join(" | ")),
    }
}
