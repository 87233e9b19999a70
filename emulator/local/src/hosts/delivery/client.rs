//! How subscribers are reached.

use std::error::Error;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect;

use keyholder_emulator::event_grid::Attempt;
use keyholder_emulator::exchange::Request;

/// A client without a time-out of its own: time is the emulator's. Redirects are not followed.
pub(super) fn new() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .dns_resolver(Arc::new(Telling))
        .no_proxy()
        .build()
        .expect("a client without certificates of its own can always be built")
}

/// Sends a request; without an answer, says why there is none.
pub(super) async fn ask(client: &reqwest::Client, request: Request) -> Result<reqwest::Response, Attempt> {
    let answer = match reqwest::Request::try_from(request) {
        Ok(request) => client.execute(request).await,
        Err(error) => Err(error),
    };
    answer.map_err(|error| {
        let attempt = if is_unresolved(&error) { Attempt::ResolutionError } else { Attempt::SocketError };
        tracing::debug!(error = %error.without_url(), "no answer from an event subscriber");
        attempt
    })
}

/// Resolves names as the system does, and leaves a mark on a failure: Event Grid tells it from other ones.
struct Telling;

#[derive(Debug, thiserror::Error)]
#[error("the name has no address")]
struct Unresolved(#[source] std::io::Error);

impl Resolve for Telling {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(Unresolved)?;
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

fn is_unresolved(error: &reqwest::Error) -> bool {
    let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.any(|cause| cause.is::<Unresolved>())
}
