//! The program that the Functions host starts, and that serves the webhook wherever there is no such host.

use std::env;
use std::error::Error;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use axum::Router;
use keyholder::Settings;
use keyholder::config::Webhook;
use keyholder::http_client::proxies;
use keyholder::key_opener;
use tokio::net::TcpListener;
use tracing::{error, info};

use crate::application::{self, Application, StartError};
use crate::runtime;
use crate::signals::stopped;

/// Set by the host: where to listen.
const PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";

/// The host restarts a process that ends with anything but 0, and never one that ends with 0.
const FAILED: u8 = 1;
/// The arguments or settings are wrong: restarting will not help, but the host has no word for that.
const MISCONFIGURED: u8 = 2;

const HELP: &str = "\
Verifies the CA certificates that are uploaded to Azure IoT Hub Device Provisioning Service.

Usage: handler                    as a custom handler; the Azure Functions host starts it so
       handler --webhook ADDRESS  as Event Grid's webhook, POST /eventgrid, on a machine or in a container

ADDRESS is a host and a port, such as 0.0.0.0:8080. It speaks plain HTTP; Event Grid wants https with a public
certificate, so put whatever ends TLS in front of it. Settings are environment variables; those that are missing or
wrong are named.

Exit codes: 0 told to stop, 1 failed, 2 arguments or settings cannot be used.
";

/// Where events come from.
enum FrontDoor {
    FunctionsHost { port: u16 },
    Webhook { address: String, webhook: Box<Webhook> },
}

/// Runs until it is told to stop.
pub fn main(arguments: &[String]) -> ExitCode {
    if let Some(ended) = key_opener::run_if_asked() {
        return ended;
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let read = match arguments.as_slice() {
        ["--help" | "-h"] => return say(HELP),
        ["--version" | "-V"] => {
            let openssl = keyholder::built_in::openssl_version();
            return say(&format!("handler {}, OpenSSL {openssl}\n", env!("CARGO_PKG_VERSION")));
        }
        [] => for_functions_host(),
        ["--webhook", address] => for_webhook(address),
        _ => Err(format!("The arguments {arguments:?} are not understood.\n\n{HELP}")),
    };
    let (settings, front_door) = match read {
        Ok(read) => read,
        Err(problem) => return refuse(&problem),
    };
    let ended = runtime::block_on(serve(&settings, front_door));
    if let Err(failure) = &ended {
        let reason = keyholder::error::chain(failure.as_ref());
        error!(event = "app.failed", reason, "the handler cannot go on");
    }
    keyholder::telemetry::stop();
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

fn for_functions_host() -> Result<(Settings, FrontDoor), String> {
    let settings = Settings::read(variable).map_err(|invalid| invalid.to_string())?;
    application::start_logging(&settings).map_err(|error| error.to_string())?;
    let port = variable(PORT).and_then(|port| port.parse().ok()).ok_or_else(|| {
        format!(
            "{PORT} is not a port. The Functions host sets it. To try the app on this machine: cargo run -- up. To \
             serve Event Grid without a Functions host: handler --webhook ADDRESS"
        )
    })?;
    Ok((settings, FrontDoor::FunctionsHost { port }))
}

fn for_webhook(address: &str) -> Result<(Settings, FrontDoor), String> {
    let (settings, webhook) = Webhook::read(variable).map_err(|invalid| invalid.to_string())?;
    application::start_logging(&settings).map_err(|error| error.to_string())?;
    Ok((settings, FrontDoor::Webhook { address: address.to_owned(), webhook: Box::new(webhook) }))
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

async fn serve(settings: &Settings, front_door: FrontDoor) -> Result<(), Box<dyn Error>> {
    let stopped = stopped();
    let listener = front_door.bind().await?;
    let application = Application::new(front_door.router(settings)?, listener);
    info!(
        event = "app.ready",
        address = %application.address()?,
        registries = %settings.registries,
        vaults = settings.vaults.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        keyAccess = settings.key_access.name(),
        proxy = proxies::in_use(settings),
        "the handler listens"
    );
    application.run_until(stopped).await;
    info!(event = "app.stopped", "the handler was told to stop");
    Ok(())
}

impl FrontDoor {
    async fn bind(&self) -> Result<TcpListener, String> {
        match self {
            FrontDoor::FunctionsHost { port } => {
                TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).await.map_err(|error| {
                    format!(
                        "127.0.0.1:{port}, the address the Functions host chose ({PORT}), cannot be used: {error}"
                    )
                })
            }
            FrontDoor::Webhook { address, .. } => TcpListener::bind(address).await.map_err(|error| {
                format!(
                    "{address} cannot be listened on: {error}. It is a host and a port; for example --webhook 0.0.0.0:8080"
                )
            }),
        }
    }

    fn router(self, settings: &Settings) -> Result<Router, StartError> {
        match self {
            FrontDoor::FunctionsHost { .. } => application::custom_handler(settings),
            FrontDoor::Webhook { webhook, .. } => application::webhook(settings, *webhook),
        }
    }
}

/// To stderr, which the host shows as an error; logging may not have started yet.
#[allow(clippy::print_stderr)]
fn refuse(problem: &str) -> ExitCode {
    eprintln!("{problem}");
    ExitCode::from(MISCONFIGURED)
}

#[allow(clippy::print_stdout)]
fn say(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}
