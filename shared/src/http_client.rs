//! The one HTTP client all calls to Azure share: its connections, its TLS, its limits.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use azure_core::http::{ClientOptions, RetryOptions, Transport};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// No single call takes longer; the deadline of the whole run is the verifier's.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// Builds it. Redirects are not followed, because a request carries a token and hosts come from settings
/// alone; proxies and trusted roots come from the environment, as everywhere.
pub fn build() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        .tcp_nodelay(true)
        .dns_resolver(Arc::new(LocalhostAware))
        .user_agent(concat!("keyholder/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Has the Azure clients use it too. Their own retries, which can hold a caller for 80 s, are off: whether
/// and when to try again is decided in one place.
pub fn azure_options(client: &reqwest::Client) -> ClientOptions {
    ClientOptions {
        transport: Some(Transport::new(Arc::new(client.clone()))),
        retry: RetryOptions::none(),
        ..ClientOptions::default()
    }
}

/// What went wrong on the wire, causes included, without the URL (the caller names the object).
pub(crate) fn describe(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    match (error.is_timeout(), causes.last()) {
        (true, _) => format!("no answer within {} s", CALL_TIMEOUT.as_secs()),
        (false, Some(cause)) => cause.clone(),
        (false, None) => "the connection failed".to_owned(),
    }
}

/// `*.localhost` is this machine (RFC 6761, section 6.3), as curl and browsers have it and glibc has not.
/// That is how the app reaches an emulated vault by name, with certificate and challenge checks left on.
struct LocalhostAware;

impl Resolve for LocalhostAware {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_ascii_lowercase();
        Box::pin(async move {
            if name == "localhost" || name.ends_with(".localhost") {
                let loopback =
                    [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
                return Ok(Box::new(loopback.into_iter()) as Addrs);
            }
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
