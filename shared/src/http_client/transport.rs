//! Sends requests: without TLS directly, with TLS directly or through the tunnel of a proxy.
//!
//! It is hyper and OpenSSL rather than `reqwest`, because OpenSSL has to be told to wipe what it decrypted
//! ([`CLEANSE_PLAINTEXT`]), and `reqwest` builds its TLS where that cannot be said.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use azure_core::Bytes;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName as AzureName, HeaderValue as AzureValue, Headers};
use azure_core::http::request::Body;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use futures::TryStreamExt;
use http::header::{ACCEPT, HeaderMap, HeaderValue, USER_AGENT};
use http_body_util::{BodyExt, Full};
use hyper_openssl::client::legacy::{HttpsConnector, HttpsLayer};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslOptions, SslVersion};
use tower::Layer;

use super::proxies::{Proxies, address};
use super::resolver::LocalhostAware;
use crate::error;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// As long as the front ends of Azure keep a connection that nothing is sent on, roughly.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
const AGENT: &str = concat!("keyholder/", env!("CARGO_PKG_VERSION"));

/// `SSL_OP_CLEANSE_PLAINTEXT`, for which the `openssl` crate has no name: decrypted data is wiped once it was read.
const CLEANSE_PLAINTEXT: SslOptions = SslOptions::from_bits_retain(1 << 1);

type Tcp = HttpConnector<LocalhostAware>;
type Tls = HttpsConnector<Tcp>;
type Tunnelled = HttpsConnector<Tunnel<Tls>>;

/// The client. Its half with TLS may not be there yet; every clone is the same one.
#[derive(Clone)]
pub(super) struct Transport {
    plain: Sender<Tcp>,
    with_tls: Arc<OnceLock<Result<WithTls, Unbuilt>>>,
    proxies: Proxies,
}

#[derive(Clone)]
struct WithTls {
    direct: Sender<Tls>,
    /// If there is a proxy; why not, if it is none that can be used. Hosts of `NO_PROXY` are reached all the same.
    tunnelled: Option<Result<Sender<Tunnelled>, Unbuilt>>,
}

/// Why there is no client.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no HTTP client could be built: {0}")]
pub struct Unbuilt(String);

impl Transport {
    pub(super) fn new(proxies: Proxies) -> Transport {
        Transport { plain: Sender::new(tcp(true)), with_tls: Arc::default(), proxies }
    }

    /// Builds the half with TLS, or waits until that is done.
    pub(super) fn finish(&self) -> Result<(), Unbuilt> {
        self.finished().map(drop)
    }

    fn finished(&self) -> Result<&WithTls, Unbuilt> {
        self.with_tls.get_or_init(|| WithTls::build(&self.proxies)).as_ref().map_err(Unbuilt::clone)
    }

    async fn with_tls(&self) -> Result<WithTls, Unbuilt> {
        if let Some(built) = self.with_tls.get() {
            return built.clone();
        }
        let building = self.clone();
        let built = tokio::task::spawn_blocking(move || building.finished().cloned()).await;
        built.expect("building neither panics nor is cancelled")
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("proxies", &self.proxies).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        // Only what has TLS gets to where the proxies are.
        if request.url().scheme() != "https" {
            return self.plain.send(request).await;
        }
        let unbuilt = |unbuilt: Unbuilt| Error::with_message(ErrorKind::Other, unbuilt.to_string());
        let with_tls = self.with_tls().await.map_err(unbuilt)?;
        match with_tls.tunnelled {
            Some(tunnelled) if self.proxies.on_the_way_to(request.url()).is_some() => {
                tunnelled.map_err(unbuilt)?.send(request).await
            }
            _ => with_tls.direct.send(request).await,
        }
    }
}

impl WithTls {
    fn build(proxies: &Proxies) -> Result<WithTls, Unbuilt> {
        let layer = tls().and_then(HttpsLayer::with_connector);
        let layer = layer.map_err(|error| Unbuilt(error::chain(&error)))?;
        let tunnelled = proxies.any().map(|proxy| {
            if !matches!(proxy.uri().scheme_str(), Some("http" | "https")) {
                return Err(Unbuilt(format!(
                    "{} is no proxy that can be used: HTTPS_PROXY or ALL_PROXY is http://host:port or \
                     https://host:port; hosts of NO_PROXY are reached without it",
                    address(&proxy)
                )));
            }
            let tunnel = Tunnel::new(proxy.uri().clone(), layer.layer(tcp(false)));
            let tunnel = match proxy.basic_auth() {
                Some(credentials) => tunnel.with_auth(credentials.clone()),
                None => tunnel,
            };
            Ok(Sender::new(layer.layer(tunnel)))
        });
        Ok(WithTls { direct: Sender::new(layer.layer(tcp(false))), tunnelled })
    }
}

fn tcp(enforce_http: bool) -> Tcp {
    let mut tcp = HttpConnector::new_with_resolver(LocalhostAware);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_nodelay(true);
    tcp.enforce_http(enforce_http);
    tcp
}

/// TLS with the CAs that this machine trusts.
fn tls() -> Result<SslConnectorBuilder, ErrorStack> {
    let mut tls = SslConnector::builder(SslMethod::tls_client())?;
    tls.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    tls.set_options(CLEANSE_PLAINTEXT);
    let found = openssl_probe::probe();
    // Each for itself: one that cannot be read does not take the others away.
    for (file, folder) in found
        .cert_file
        .iter()
        .map(|file| (Some(file), None))
        .chain(found.cert_dir.iter().map(|dir| (None, Some(dir))))
    {
        if let Err(error) = tls.load_verify_locations(file.map(AsRef::as_ref), folder.map(AsRef::as_ref)) {
            tracing::debug!(%error, ?file, ?folder, "trusted roots that cannot be read");
        }
    }
    Ok(tls)
}

/// One way to send requests.
#[derive(Clone)]
struct Sender<C> {
    kept: Client<C, Full<Bytes>>,
    /// Closes each connection after one answer, and so frees the buffers that hold it.
    once: Client<C, Full<Bytes>>,
}

impl<C: Connect + Clone + Send + Sync + 'static> Sender<C> {
    fn new(connector: C) -> Sender<C> {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIMEOUT);
        let kept = builder.build(connector.clone());
        Sender { kept, once: builder.pool_max_idle_per_host(0).build(connector) }
    }

    async fn send(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let client = if may_hold_a_key(request) { &self.once } else { &self.kept };
        let answer = client.request(to_hyper(request)?).await.map_err(|error| {
            let kind = if error.is_connect() { ErrorKind::Connection } else { ErrorKind::Io };
            Error::with_error(kind, error, "the request could not be sent")
        })?;
        let (head, body) = answer.into_parts();
        let body = body
            .into_data_stream()
            .map_err(|error| Error::with_error(ErrorKind::Io, error, "the answer broke off"));
        Ok(AsyncRawResponse::new(head.status.as_u16().into(), to_azure(&head.headers), Box::pin(body)))
    }
}

/// Returns whether the answer may be a CA's private key: a secret of a vault.
fn may_hold_a_key(request: &Request) -> bool {
    request.url().path().starts_with("/secrets/")
}

fn to_hyper(request: &Request) -> azure_core::Result<http::Request<Full<Bytes>>> {
    let Body::Bytes(body) = request.body() else {
        return Err(Error::with_message(ErrorKind::Other, "a request whose body is a stream cannot be sent"));
    };
    let mut builder = http::Request::builder().method(request.method().as_str()).uri(request.url().as_str());
    for (name, value) in request.headers().iter() {
        builder = builder.header(name.as_str(), value.as_str());
    }
    let http = builder.body(Full::new(body.clone()));
    let mut http = http.map_err(|error| {
        Error::with_error(ErrorKind::DataConversion, error, "the request cannot be written")
    })?;
    let headers = http.headers_mut();
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    Ok(http)
}

/// A header that is no text is left out.
fn to_azure(headers: &HeaderMap) -> Headers {
    let mut text = Headers::new();
    for (name, value) in headers {
        if let Ok(value) = value.to_str() {
            text.insert(AzureName::from(name.as_str().to_owned()), AzureValue::from(value.to_owned()));
        }
    }
    text
}
