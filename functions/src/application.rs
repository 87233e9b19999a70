//! What front doors have in common: a verifier wired to Azure, and, except on AWS Lambda, a server.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Once};

use axum::Router;
use axum::middleware::map_response;
use axum::response::Response;
use keyholder::azure::AzureVerifier;
use keyholder::bearer::Bearer;
use keyholder::config::Webhook;
use keyholder::http_client::{self, HttpClient};
use keyholder::{Settings, azure, telemetry};
use tokio::net::TcpListener;

use crate::server::{self, Limits};
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
    /// The credential or a vault client refused its settings.
    #[error("the Azure clients could not be built; KEYHOLDER_IDENTITY says which identity they use")]
    Azure(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The log filter is malformed.
    #[error(
        "The app setting KEYHOLDER_LOG cannot be used: {0}. It is a tracing filter; for example \
         KEYHOLDER_LOG=info,keyholder=debug"
    )]
    Log(String),
}

/// Starts logging as the settings say.
pub fn start_logging(settings: &Settings) -> Result<(), StartError> {
    telemetry::start(&settings.log).map_err(|invalid| StartError::Log(invalid.to_string()))
}

/// Returns the custom handler's routes, over a verifier that is wired to Azure as the settings say.
pub fn custom_handler(settings: &Settings) -> Result<Router, StartError> {
    let verifier = verifier(settings, &http_client::build_in_background())?;
    Ok(warming_up(routes::router(verifier.clone()), verifier))
}

/// Returns the webhook's routes. The verifier prepares for its first run at once, because no host probes the process
/// first.
pub fn webhook(settings: &Settings, webhook: Webhook) -> Result<Router, StartError> {
    let client = http_client::build_in_background();
    let bearer = webhook.entra.clone().map(|expected| Bearer::new(expected, client.clone()));
    let verifier = verifier(settings, &client)?;
    let warm = verifier.clone();
    tokio::spawn(async move { warm.warm_up().await });
    Ok(webhook::router(verifier, webhook, bearer))
}

fn verifier(settings: &Settings, client: &Arc<dyn HttpClient>) -> Result<Arc<AzureVerifier>, StartError> {
    let verifier = azure::verifier(settings, client).map_err(|error| StartError::Azure(error.into()))?;
    Ok(Arc::new(verifier))
}

/// Has the verifier prepare for its first run after the first answer. The host probes the process first, and should
/// not wait while a key is made.
fn warming_up(router: Router, verifier: Arc<AzureVerifier>) -> Router {
    let once = Arc::new(Once::new());
    router.layer(map_response(move |response: Response| {
        once.call_once(|| {
            let verifier = verifier.clone();
            tokio::spawn(async move { verifier.warm_up().await });
        });
        std::future::ready(response)
    }))
}

impl Application {
    /// Creates an application that serves routes on a listener.
    pub fn new(router: Router, listener: TcpListener) -> Application {
        Application { listener, router }
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready and what is in flight then has been answered.
    pub async fn run_until(self, stop: impl Future<Output = ()>) {
        server::serve(self.listener, self.router, Limits::of_this_process(), stop).await;
    }
}
