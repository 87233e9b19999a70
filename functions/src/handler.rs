//! The program that the Functions host starts.

use std::env;
use std::error::Error;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use keyholder::{Settings, telemetry};
use tokio::net::TcpListener;
use tokio::signal;
use tracing::{error, info};

use crate::application::Application;

/// Set by the host: where to listen.
const PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";

/// The host restarts a process that ends with anything but 0, and never one that ends with 0.
const FAILED: u8 = 1;
/// The settings are wrong: restarting will not help, but the host has no word for that.
const MISCONFIGURED: u8 = 2;

/// Runs until it is told to stop.
pub fn main() -> ExitCode {
    let settings = match Settings::read(|name| env::var(name).ok()) {
        Ok(settings) => settings,
        Err(invalid) => return refuse(&invalid.to_string()),
    };
    if let Err(invalid) = telemetry::start(&settings.log) {
        return refuse(&format!(
            "The app setting KEYHOLDER_LOG cannot be used: {invalid}. It is a tracing filter; for example \
             KEYHOLDER_LOG=info,keyholder=debug"
        ));
    }
    let port = match env::var(PORT).ok().and_then(|port| port.parse().ok()) {
        Some(port) => port,
        None => {
            return refuse(&format!(
                "{PORT} is not a port. The Functions host sets it; to try the app on this machine: cargo run -- up"
            ));
        }
    };
    match serve(&settings, port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            error!("{}", keyholder::error::chain(failure.as_ref()));
            ExitCode::from(FAILED)
        }
    }
}

#[tokio::main]
async fn serve(settings: &Settings, port: u16) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        format!("127.0.0.1:{port}, the address the Functions host chose ({PORT}), cannot be used: {error}")
    })?;
    let application = Application::build(settings, listener)?;
    info!(
        address = %application.address()?,
        serves = %settings.registries,
        vaults = %settings.vaults.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        key_access = ?settings.key_access,
        "ready"
    );
    application.run_until(stopped()).await?;
    info!("stopped");
    Ok(())
}

/// Ctrl-C, or SIGTERM where there is such a thing. (The Functions host sends neither; it kills.)
async fn stopped() {
    let interrupt = async { signal::ctrl_c().await.unwrap_or_else(|_| std::process::abort()) };
    #[cfg(unix)]
    {
        let mut terminate = match signal::unix::signal(signal::unix::SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(_) => return interrupt.await,
        };
        tokio::select! {
            () = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    interrupt.await;
}

/// To stderr, which the host shows as an error; logging may not have started yet.
#[allow(clippy::print_stderr)]
fn refuse(problem: &str) -> ExitCode {
    eprintln!("{problem}");
    ExitCode::from(MISCONFIGURED)
}
