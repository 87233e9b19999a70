//! Logs as the Functions host wants them: it takes each line of stdout for information and each line of
//! stderr for an error.

use std::io;

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::writer::MakeWriterExt;

/// Starts logging, with a filter such as `info` or `info,keyholder=debug`.
pub fn start(filter: &str) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(filter)?;
    let writer = io::stderr.with_max_level(Level::ERROR).or_else(io::stdout);
    // A second start, as in tests, keeps the first one's settings.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .try_init();
    Ok(())
}
