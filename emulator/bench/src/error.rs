//! Why nothing could be measured.

use std::path::PathBuf;

use openssl::error::ErrorStack;

use keyholder_emulator_local::functions_host::{AppError, HostError};
use keyholder_emulator_local::local_azure::StartError;

/// Why a benchmark has no result.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The emulator did not start.
    #[error("the emulator did not start")]
    Start(#[from] StartError),
    /// A handler did not start.
    #[error("the handler did not start")]
    Host(#[from] HostError),
    /// The function app is not one.
    #[error("the function app cannot be used")]
    App(#[from] AppError),
    /// OpenSSL made no CA.
    #[error("no CA could be made")]
    OpenSsl(#[from] ErrorStack),
    /// The operating system refused something.
    #[error("the operating system refused")]
    Io(#[from] std::io::Error),
    /// A client could not be built or had no answer.
    #[error("a request had no answer")]
    Http(#[from] reqwest::Error),
    /// Not every upload was verified, and a rate of failures is no benchmark.
    #[error("{name} was not verified, so there is nothing to measure; the handler's last lines:\n  {log}")]
    Unverified {
        /// The certificate.
        name: String,
        /// What the Functions host's log says.
        log: String,
    },
    /// A program ended before it had done its part.
    #[error("{program} {what}")]
    Program {
        /// Which.
        program: String,
        /// What it did instead.
        what: String,
    },
    /// A result could not be written.
    #[error("{} could not be written", .path.display())]
    Write {
        /// Where to.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}
