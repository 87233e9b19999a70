//! What front doors have in common: a verifier wired to Azure, and, except on AWS Lambda, a server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use keyholder::azure::AzureVerifier;
use keyholder::bearer::Bearer;
use keyholder::config::Webhook;
use keyholder::http_client::{self, HttpClient};
use keyholder::{Settings, azure, telemetry};
use tokio::net::TcpListener;

use crate::{routes, webhook};

/// A front door, bound to its port and not yet serving.
#[derive(Debug)]
pub struct Application {
    listener: TcpListener,
    router: Router,
}

/// Why it could not be built.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No TLS, no resolver, or the like.
    #[error("the HTTP client could not be built")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The credential or a vault client refused its settings.
    #[error("the Azure clients could not be built; KEYHOLDER_IDENTITY says which identity they use")]
    Azure(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Starts logging as the settings say; what is wrong with them otherwise.
pub fn start_logging(settings: &Settings) -> Result<(), String> {
    telemetry::start(&settings.log).map_err(|invalid| {
        format!(
            "The app setting KEYHOLDER_LOG cannot be used: {invalid}. It is a tracing filter; for example \
             KEYHOLDER_LOG=info,keyholder=debug"
        )
    })
}

/// The custom handler's routes, over a verifier that is wired to Azure as the settings say.
pub fn custom_handler(settings: &Settings) -> Result<Router, StartError> {
    Ok(routes::router(verifier(settings, &client()?)?))
}

/// The webhook's.
pub fn webhook(settings: &Settings, webhook: Webhook) -> Result<Router, StartError> {
    let client = client()?;
    let bearer = webhook.entra.clone().map(|expected| Bearer::new(expected, client.clone()));
    Ok(webhook::router(verifier(settings, &client)?, webhook, bearer))
}

fn client() -> Result<Arc<dyn HttpClient>, StartError> {
    http_client::build().map_err(|error| StartError::Client(error.into()))
}

/// It prepares for its first run at once.
fn verifier(settings: &Settings, client: &Arc<dyn HttpClient>) -> Result<Arc<AzureVerifier>, StartError> {
    let verifier = azure::verifier(settings, client).map_err(|error| StartError::Azure(error.into()))?;
    let verifier = Arc::new(verifier);
    let warm = verifier.clone();
    tokio::spawn(async move { warm.warm_up().await });
    Ok(verifier)
}

impl Application {
    /// Routes on a listener.
    pub fn new(router: Router, listener: TcpListener) -> Application {
        Application { listener, router }
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready and what is in flight then has been answered.
    pub async fn run_until(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        axum::serve(self.listener, self.router).with_graceful_shutdown(stop).await
    }
}
