//! The one HTTP client all calls to Azure share: its connections, its TLS, its limits.
//!
//! Our own calls and the Azure SDKs' go through the same [`HttpClient`], so that the limits hold for all of
//! them, so that all of them are part of the trace they are made for, and so that a test can put something else
//! in its place.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use azure_core::Bytes;
use azure_core::error::{Error, ErrorKind};
pub use azure_core::http::HttpClient;
use azure_core::http::headers::{CLIENT_REQUEST_ID, HeaderName};
use azure_core::http::{AsyncRawResponse, ClientOptions, Request, RetryOptions, Transport};
use futures::TryStreamExt;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::timeout;
use tracing::{Instrument, info_span};

use crate::error;
use crate::telemetry::trace::Trace;

/// No single call takes longer, its whole answer included. A run waits out three failures of one call; four
/// such calls and the pauses between them fit into its deadline.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// No answer is read beyond this; a page of certificates has some tens of kilobytes.
pub const MAX_ANSWER: usize = 1 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Builds it. Redirects are not followed, because a request carries a token and hosts come from settings
/// alone; proxies and trusted roots come from the environment, as everywhere.
pub fn build() -> reqwest::Result<Arc<dyn HttpClient>> {
    Ok(bounded(Arc::new(client()?)))
}

/// Builds it on another thread. Reading the trusted roots takes longer than everything else at start; whoever has
/// a call to make before that is done waits for it, and nobody else does.
pub fn build_beside() -> Arc<dyn HttpClient> {
    let client = InTheMaking::default();
    let building = client.clone();
    // Without a thread of its own it is built for the first call.
    let _ = thread::Builder::new().name("http client".to_owned()).spawn(move || drop(building.finished()));
    bounded(Arc::new(client))
}

fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .dns_resolver(Arc::new(LocalhostAware))
        .user_agent(concat!("keyholder/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Puts the limits around any client, and the trace on its calls.
pub fn bounded(client: Arc<dyn HttpClient>) -> Arc<dyn HttpClient> {
    Arc::new(Traced(Bounded(client)))
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

/// A client that may not be there yet; every clone is the same one.
#[derive(Clone, Debug, Default)]
struct InTheMaking(Arc<OnceLock<Result<reqwest::Client, String>>>);

impl InTheMaking {
    fn finished(&self) -> Result<reqwest::Client, String> {
        self.0.get_or_init(|| client().map_err(|error| error::chain(&error))).clone()
    }
}

#[async_trait::async_trait]
impl HttpClient for InTheMaking {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let client = match self.0.get() {
            Some(finished) => finished.clone(),
            None => {
                let making = self.clone();
                let finished = tokio::task::spawn_blocking(move || making.finished()).await;
                finished.expect("building neither panics nor is cancelled")
            }
        };
        let unbuilt = |reason| {
            Error::with_message(ErrorKind::Other, format!("no HTTP client could be built: {reason}"))
        };
        client.map_err(unbuilt)?.execute_request(request).await
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

/// Tells the peer which trace a call belongs to (<https://www.w3.org/TR/trace-context/>), and by which id Azure
/// may keep it. A call is never refused for want of either.
#[derive(Debug)]
struct Traced(Bounded);

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

#[async_trait::async_trait]
impl HttpClient for Traced {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let span = info_span!(
            "call",
            otel.name =
                format!("{} {}", request.method().as_str(), request.url().host_str().unwrap_or_default()),
            otel.kind = "client",
            http.request.method = request.method().as_str(),
            server.address = request.url().host_str(),
            url.path = request.url().path(),
            http.response.status_code = tracing::field::Empty,
        );
        let Some(trace) = span.in_scope(Trace::current) else {
            return self.0.execute_request(request).await;
        };
        let mut request = request.clone();
        request.insert_header(TRACEPARENT, trace.to_string());
        request.insert_header(CLIENT_REQUEST_ID, trace.client_request_id());
        let answer = self.0.execute_request(&request).instrument(span.clone()).await;
        if let Ok(answer) = &answer {
            span.record("http.response.status_code", u16::from(answer.status()));
        }
        answer
    }
}

/// `*.localhost` is this machine (RFC 6761, section 6.3), as curl and browsers have it and glibc has not.
/// That is how the app reaches an emulated vault by name, with certificate and challenge checks left on.
struct LocalhostAware;

impl Resolve for LocalhostAware {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_ascii_lowercase();
        Box::pin(async move {
            if is_this_machine(&name) {
                let loopback =
                    [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
                return Ok(Box::new(loopback.into_iter()) as Addrs);
            }
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn is_this_machine(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use azure_core::http::headers::Headers;
    use azure_core::http::{Method, Url};
    use futures::{StreamExt, stream};
    use tokio::time::Instant;

    use super::*;

    /// Answers with a body of so many bytes, then says no more without ending it.
    #[derive(Debug)]
    struct Peer {
        answers: bool,
        bytes: usize,
        ends: bool,
    }

    #[async_trait::async_trait]
    impl HttpClient for Peer {
        async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
            if !self.answers {
                std::future::pending::<()>().await;
            }
            let chunks = vec![0; self.bytes].chunks(1000).map(|chunk| Ok(chunk.to_vec().into())).collect();
            let body: Vec<azure_core::Result<Bytes>> = chunks;
            let body = match self.ends {
                true => stream::iter(body).boxed(),
                false => stream::iter(body).chain(stream::pending()).boxed(),
            };
            Ok(AsyncRawResponse::new(200.into(), Headers::new(), body))
        }
    }

    async fn ask(peer: Peer) -> Result<usize, String> {
        let url = Url::parse("https://management.azure.com").expect("a URL");
        let answer = bounded(Arc::new(peer)).execute_request(&Request::new(url, Method::Get)).await;
        let answer = answer.map_err(|error| error.to_string())?;
        Ok(answer.into_body().collect().await.expect("it has been read").len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_has_its_own_bound_below_the_deadline_whatever_it_waits_for() {
        let rows = [
            ("for an answer", Peer { answers: false, bytes: 0, ends: false }),
            ("for the rest of one", Peer { answers: true, bytes: 5000, ends: false }),
        ];
        for (name, peer) in rows {
            let begun = Instant::now();
            let error = ask(peer).await.expect_err(name);
            assert!(error.contains("no answer within 5 s"), "{name}: {error}");
            assert_eq!(begun.elapsed(), CALL_TIMEOUT, "{name}");
        }
        assert!(4 * CALL_TIMEOUT < crate::verifier::Limits::default().deadline);
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_a_mebibyte() {
        for (bytes, expected) in [(0, Some(0)), (MAX_ANSWER, Some(MAX_ANSWER)), (MAX_ANSWER + 1, None)] {
            let read = ask(Peer { answers: true, bytes, ends: true }).await;
            assert_eq!(read.as_ref().ok(), expected.as_ref(), "{bytes}: {read:?}");
        }
    }

    #[test]
    fn only_names_below_localhost_are_this_machine() {
        for name in ["localhost", "my-vault.vault.localhost"] {
            assert!(is_this_machine(name), "{name}");
        }
        for name in ["notlocalhost", "localhost.evil.example", "localhost.", ""] {
            assert!(!is_this_machine(name), "{name}");
        }
    }
}
