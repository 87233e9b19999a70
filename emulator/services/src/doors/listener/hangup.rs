//! Connections that may end as no server would end them on purpose: by a reset, or in the middle of an answer.
//!
//! A handler cannot do that itself. It marks its answer, and whoever drives the connection acts on the mark.

use std::convert::Infallible;
use std::error::Error;
use std::io;

use axum::Router;
use axum::body::{Body, Bytes};
use futures::{StreamExt, stream};
use http::{HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::ground::exchange::{self, Response};

/// Marks an answer that is never sent, and says why its connection ended.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a fault resets the connection")]
struct Hangup;

/// Something with a TCP connection at its bottom.
pub(super) trait Connection: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Connection for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Connection for SslStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref()
    }
}

/// Serves one connection to its end.
pub(super) async fn serve(connection: impl Connection, services: Router) {
    let services = TowerToHyperService::new(services);
    let service = service_fn(|request: http::Request<Incoming>| {
        let answer = services.call(request);
        async move {
            let response = answer.await.unwrap_or_else(|never: Infallible| match never {});
            match response.extensions().get::<Hangup>() {
                Some(hangup) => Err(*hangup),
                None => Ok(response),
            }
        }
    });
    let mut serving = http1::Builder::new().serve_connection(TokioIo::new(connection), service);
    // Whatever else ended it was the client's doing or our wish.
    if let Err(error) = (&mut serving).await
        && error.source().is_some_and(|cause| cause.is::<Hangup>())
    {
        let connection = serving.into_parts().io.into_inner();
        // Closing now sends a reset. Where that cannot be had, the connection still ends without an answer.
        let _ = connection.tcp().set_zero_linger();
    }
}

/// Has the connection reset instead of answering.
pub(super) fn at_once() -> http::Response<Body> {
    let mut response = exchange::empty(StatusCode::BAD_GATEWAY).map(Body::from);
    response.extensions_mut().insert(Hangup);
    response
}

/// Has the connection end after this much of a body whose length is said to be more.
pub(super) fn in_the_middle(sent: Response, promised: usize) -> http::Response<Body> {
    let (mut head, body) = sent.into_parts();
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(promised));
    // hyper writes out what it has while it waits for more, and nothing after an error.
    let broken = stream::once(async {
        tokio::task::yield_now().await;
        Err(io::Error::other(Hangup))
    });
    let body = stream::iter([Ok::<Bytes, io::Error>(body)]).chain(broken);
    http::Response::from_parts(head, Body::from_stream(body))
}
