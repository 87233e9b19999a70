//! A tap on the wires between the handler process and its peers.
//!
//! A `wiremock` server sees each of the handler's calls in the clear: a test reads them, and answers some of
//! them itself, where the emulator has no such answer. It speaks no TLS, and the handler takes a vault for
//! nothing less, so a small proxy ends TLS in front of it.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;

use keyholder_emulator::mock;
use keyholder_emulator::tls::ServerIdentity;
use keyholder_emulator_local::local_azure::Options;
use openssl::ssl::{Ssl, SslAcceptor};
use tempfile::NamedTempFile;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_openssl::SslStream;
use wiremock::{MockServer, Request};

use super::cloud::Cloud;

/// The server, and the TLS in front of it; both end when it is dropped.
pub(crate) struct Tap {
    pub(crate) server: MockServer,
    vaults: SocketAddr,
    ca_file: NamedTempFile,
    _proxy: JoinSet<()>,
}

impl Tap {
    /// Starts a cloud whose handler has its wires tapped and searches these vaults, in order.
    pub(crate) async fn start(mut options: Options, vaults: &[&str]) -> (Cloud, Tap) {
        let tap = Tap::open().await;
        // In front, so that a test's own settings win.
        options.app_settings.splice(..0, tap.settings(vaults));
        let cloud = Cloud::start_from(options).await;
        mock::mount(cloud.emulator(), &tap.server).await;
        (cloud, tap)
    }

    async fn open() -> Tap {
        let identity = ServerIdentity::generate().expect("OpenSSL makes certificates");
        let mut ca_file = NamedTempFile::new().expect("a file for the CA");
        ca_file.write_all(&identity.ca_pem().expect("it has a CA")).expect("the file is ours");
        let acceptor = identity.acceptor().expect("certificate and key belong together");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let vaults = listener.local_addr().expect("it is bound");
        let server = MockServer::start().await;
        let mut proxy = JoinSet::new();
        proxy.spawn(end_tls(listener, acceptor, *server.address()));
        Tap { server, vaults, ca_file, _proxy: proxy }
    }

    fn settings(&self, vaults: &[&str]) -> [(String, String); 4] {
        let port = self.vaults.port();
        let vaults: Vec<String> =
            vaults.iter().map(|vault| format!("https://{vault}.vault.localhost:{port}")).collect();
        [
            ("KEYHOLDER_VAULTS", vaults.join(",")),
            ("KEYHOLDER_ARM_ENDPOINT", self.server.uri()),
            ("IDENTITY_ENDPOINT", format!("{}/msi/token", self.server.uri())),
            ("SSL_CERT_FILE", self.ca_file.path().display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }

    /// Everything the handler has sent so far.
    pub(crate) async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.expect("recording is on")
    }
}

async fn end_tls(listener: TcpListener, acceptor: SslAcceptor, to: SocketAddr) {
    let mut tunnels = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        tunnels.spawn(tunnel(client, acceptor.clone(), to));
    }
}

/// A connection that breaks is the handler's to complain about.
async fn tunnel(client: TcpStream, acceptor: SslAcceptor, to: SocketAddr) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut client = SslStream::new(Ssl::new(acceptor.context())?, client)?;
    Pin::new(&mut client).accept().await.map_err(io::Error::other)?;
    let mut server = TcpStream::connect(to).await?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
