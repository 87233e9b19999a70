//! The emulated services on sockets, for other processes: ARM and the vaults over TLS, the identity endpoint
//! in the clear, as in Azure.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use openssl::ssl::{Ssl, SslAcceptor};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_openssl::SslStream;

use crate::exchange::{self, Response};
use crate::running::Emulator;

/// ARM's own limit for a request.
const MAX_BODY: usize = 4 << 20;
/// A client that does not finish its handshake is not waited for longer.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Serves everything over TLS.
pub async fn serve_tls(listener: TcpListener, acceptor: SslAcceptor, emulator: Emulator) -> io::Result<()> {
    axum::serve(TlsListener::new(listener, acceptor)?, services(emulator)).await
}

/// Serves the identity endpoint, and the CA that clients of the TLS port have to trust.
pub async fn serve_plain(listener: TcpListener, ca_pem: Vec<u8>, emulator: Emulator) -> io::Result<()> {
    let ca = move || async { ([(http::header::CONTENT_TYPE, "application/x-pem-file")], ca_pem) };
    axum::serve(listener, services(emulator).route("/_emulator/ca.pem", get(ca))).await
}

fn services(emulator: Emulator) -> Router {
    Router::new().fallback(answer).with_state(emulator)
}

async fn answer(State(emulator): State<Emulator>, request: axum::extract::Request) -> http::Response<Body> {
    let (head, body) = request.into_parts();
    let response: Response = match to_bytes(body, MAX_BODY).await {
        Ok(body) => emulator.handle(&http::Request::from_parts(head, body)),
        Err(_) => exchange::empty(StatusCode::PAYLOAD_TOO_LARGE),
    };
    response.map(Body::from)
}

/// Accepts connections whose handshake is done. Handshakes run beside each other, so that a slow client
/// holds up nobody.
struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(SslStream<TcpStream>, SocketAddr)>,
}

impl TlsListener {
    fn new(listener: TcpListener, acceptor: SslAcceptor) -> io::Result<TlsListener> {
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(64);
        tokio::spawn(accept(listener, acceptor, sender));
        Ok(TlsListener { address, ready })
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = SslStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // Only when the runtime is shutting down.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: SslAcceptor,
    ready: mpsc::Sender<(SslStream<TcpStream>, SocketAddr)>,
) {
    while !ready.is_closed() {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ready.closed() => return,
        };
        let Ok((connection, peer)) = accepted else {
            // Out of file descriptors, most likely; let others finish.
            tokio::task::yield_now().await;
            continue;
        };
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, handshake(connection, &acceptor)).await {
                // Nobody is left to serve it when this fails.
                let _ = ready.send((stream, peer)).await;
            }
        });
    }
}

async fn handshake(connection: TcpStream, acceptor: &SslAcceptor) -> io::Result<SslStream<TcpStream>> {
    // Head and body of an answer are separate writes; without this each costs a delayed acknowledgement.
    connection.set_nodelay(true)?;
    let mut stream = SslStream::new(Ssl::new(acceptor.context())?, connection)?;
    std::pin::Pin::new(&mut stream).accept().await.map_err(io::Error::other)?;
    Ok(stream)
}
