//! The server, built from settings: what `main` runs and what tests start.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use keyholder::azure::AzureVerifier;
use keyholder::{Settings, azure, http_client};
use tokio::net::TcpListener;

use crate::routes;

/// The handler, bound to its port and not yet serving.
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

impl Application {
    /// Wires the app to Azure as the settings say.
    pub fn build(settings: &Settings, listener: TcpListener) -> Result<Application, StartError> {
        let client = http_client::build().map_err(|error| StartError::Client(error.into()))?;
        let verifier = azure::verifier(settings, &client).map_err(|error| StartError::Azure(error.into()))?;
        Ok(Application::with_verifier(Arc::new(verifier), listener))
    }

    /// Serves a verifier that was wired elsewhere.
    pub fn with_verifier(verifier: Arc<AzureVerifier>, listener: TcpListener) -> Application {
        let warm = verifier.clone();
        tokio::spawn(async move { warm.warm_up().await });
        Application { listener, router: routes::router(verifier) }
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
