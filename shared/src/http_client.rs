//! The one HTTP client all calls to Azure share: its connections, its TLS, its limits.
//!
//! Our own calls and the Azure SDKs' go through the same [`HttpClient`], so that the limits hold for all of
//! them, and so that a test can put something else in its place.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use azure_core::Bytes;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::{AsyncRawResponse, ClientOptions, HttpClient, Request, RetryOptions, Transport};
use futures::TryStreamExt;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::timeout;

/// No single call takes longer, its whole answer included. A run waits out three failures of one call; four
/// such calls and the pauses between them fit into its deadline.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// No answer is read beyond this; a page of certificates has some tens of kilobytes.
pub const MAX_ANSWER: usize = 1 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Builds it. Redirects are not followed, because a request carries a token and hosts come from settings
/// alone; proxies and trusted roots come from the environment, as everywhere.
pub fn build() -> reqwest::Result<Arc<dyn HttpClient>> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .dns_resolver(Arc::new(LocalhostAware))
        .user_agent(concat!("keyholder/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(bounded(Arc::new(client)))
}

/// Puts the limits around any client.
pub fn bounded(client: Arc<dyn HttpClient>) -> Arc<dyn HttpClient> {
    Arc::new(Bounded(client))
}

/// Has the Azure SDKs use it. Their own retries, which can hold a caller for 80 s, are off: whether and when
/// to try again is decided in one place.
pub fn azure_options(client: &Arc<dyn HttpClient>) -> ClientOptions {
    ClientOptions {
        transport: Some(Transport::new(client.clone())),
        retry: RetryOptions::none(),
        ..ClientOptions::default()
    }
}

#[derive(Debug)]
struct Bounded(Arc<dyn HttpClient>);

#[async_trait::async_trait]
impl HttpClient for Bounded {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let exchange = async {
            let (status, headers, body) = self.0.execute_request(request).await?.deconstruct();
            let mut read = Vec::new();
            let mut body = std::pin::pin!(body);
            while let Some(chunk) = body.try_next().await? {
                if read.len() + chunk.len() > MAX_ANSWER {
                    let message = format!("the answer has more than {MAX_ANSWER} bytes");
                    return Err(Error::with_message(ErrorKind::DataConversion, message));
                }
                read.extend_from_slice(&chunk);
            }
            Ok(AsyncRawResponse::from_bytes(status, headers, Bytes::from(read)))
        };
        timeout(CALL_TIMEOUT, exchange).await.unwrap_or_else(|_| {
            let message = format!("no answer within {} s", CALL_TIMEOUT.as_secs());
            Err(Error::with_message(ErrorKind::Io, message))
        })
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
