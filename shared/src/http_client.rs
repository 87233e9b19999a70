//! The one HTTP client all calls to Azure share: its connections, its TLS, its limits.
//!
//! Our own calls and the Azure SDKs' go through the same [`HttpClient`], so that the limits hold for all of
//! them, so that all of them are part of the trace they are made for, and so that a test can put something else
//! in its place. [`transport`] sends them, and [`proxies`] says through which proxy, if any.

pub mod proxies;
mod resolver;
mod transport;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use azure_core::Bytes;
use azure_core::error::{Error, ErrorKind};
pub use azure_core::http::HttpClient;
use azure_core::http::headers::{CLIENT_REQUEST_ID, HeaderName};
use azure_core::http::{AsyncRawResponse, ClientOptions, Request, RetryOptions};
use futures::TryStreamExt;
use tokio::time::timeout;
use tracing::{Instrument, info_span};

use crate::telemetry::trace::Trace;
use proxies::Proxies;
use transport::{Transport, Unbuilt};

/// No single call takes longer, its whole answer included. A run waits out three failures of one call; four
/// such calls and the pauses between them fit into its deadline.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// No answer is read beyond this; a page of certificates has some tens of kilobytes.
pub const MAX_ANSWER: usize = 1 << 20;

/// Builds it. Redirects are not followed, because a request carries a token and hosts come from settings
/// alone; trusted roots come from the environment, as everywhere, and so do proxies, for requests with TLS.
pub fn build() -> Result<Arc<dyn HttpClient>, Unbuilt> {
    let transport = Transport::new(Proxies::from_environment());
    transport.finish()?;
    Ok(bounded(Arc::new(transport)))
}

/// Builds it on another thread. Reading the trusted roots takes longer than everything else at start. Only a call
/// that is made before that is done waits for it.
pub fn build_in_background() -> Arc<dyn HttpClient> {
    let transport = Transport::new(Proxies::from_environment());
    let building = transport.clone();
    // Without a thread of its own it is built for the first call.
    let _ = thread::Builder::new().name("http client".to_owned()).spawn(move || drop(building.finish()));
    bounded(Arc::new(transport))
}

/// Puts the limits around any client, and the trace on its calls.
pub fn bounded(client: Arc<dyn HttpClient>) -> Arc<dyn HttpClient> {
    Arc::new(Traced(Bounded(client)))
}

/// Has the Azure SDKs use it. Their own retries, which can hold a caller for 80 s, are off: whether and when
/// to try again is decided in one place.
pub fn azure_options(client: &Arc<dyn HttpClient>) -> ClientOptions {
    ClientOptions {
        transport: Some(azure_core::http::Transport::new(client.clone())),
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
}
