//! AWS Lambda as far as a function with a URL sees it: requests become events, a program fetches them from the
//! Runtime API and answers there.
//!
//! As in AWS nothing runs before the first request; a request that finds every instance busy starts another one,
//! up to the function's concurrency; an instance stays warm; one that crashes or takes too long is replaced. `event`
//! is pure; `runtime_api` is what the program talks to, `instance` its process, `url` the front door. It works in
//! real time, because the program does.
//!
//! The Runtime API follows its public clients, events follow the published payload format 2.0. What a URL answers
//! when its function fails is chosen, not observed: 502, and 429 for a function that is at its concurrency.

mod error;
mod event;
mod function;
mod instance;
mod options;
mod runtime_api;
#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests;
mod url;

use std::net::SocketAddr;
use std::sync::Arc;

use ::url::Url;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

pub use error::InvokeError;
use function::Function;
pub use options::{FUNCTION, Options};

use crate::hosts::functions_host::Line;

/// A Lambda function with a URL. Dropping it kills its instances.
#[derive(Debug)]
pub struct Lambda {
    function: Arc<Function>,
    address: SocketAddr,
    server: JoinSet<()>,
}

impl Lambda {
    /// Serves the function's URL on a listener.
    pub fn start(options: Options, listener: TcpListener) -> std::io::Result<Lambda> {
        let address = listener.local_addr()?;
        let function = Arc::new(Function::new(options));
        let mut server = JoinSet::new();
        server.spawn(url::serve(function.clone(), listener));
        Ok(Lambda { function, address, server })
    }

    /// The function's URL. In AWS it is https.
    pub fn url(&self) -> Url {
        Url::parse(&format!("http://{}/", self.address)).expect("a socket address is an authority")
    }

    /// Invokes the function with an event of the caller's own, as a schedule or `aws lambda invoke` does.
    pub async fn invoke(&self, event: &Value) -> Result<Value, InvokeError> {
        self.function.invoke(event).await
    }

    /// The log so far, and every later line.
    pub fn follow(&self) -> (Vec<Line>, broadcast::Receiver<Line>) {
        self.function.console().follow()
    }

    /// How many instances wait for work.
    pub fn idle_instances(&self) -> usize {
        self.function.idle_instances()
    }

    /// Stops serving and kills what runs.
    pub async fn stop(mut self) {
        self.server.shutdown().await;
        self.function.stop().await;
    }
}
