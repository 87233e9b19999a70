//! Serves a router on a port, and bounds what a caller can take from the process before anything is decided.
//!
//! `axum::serve` bounds neither connections nor the time a request may take to arrive, so hyper is driven directly.
//! Its own time-out for headers is not used: it also counts while a kept connection waits for its next request, and
//! the Functions host keeps connections for a minute, and fails an invocation whose connection it finds closed.
//! [`connection`] therefore tells the stages of a connection apart, and each has its own limit.
//!
//! A connection beyond the limit closes the one that has waited longest for its caller. So callers who open
//! connections and leave them cannot keep others out.

mod connection;
mod places;
mod wire;

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{error, warn};

use crate::folded::Folded;
use connection::{Connection, Stage};
use places::{Place, Places};
use wire::{Arriving, Wire};

/// The most that a header may have, and that is read from a connection at a time.
const MAX_HEAD: usize = 16 << 10;
/// How long accepting rests once the system refuses.
const REST: Duration = Duration::from_millis(100);

/// What connections may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many are open at once.
    pub connections: usize,
    /// From the first byte of a request to the end of its header.
    pub head: Duration,
    /// From the end of the header to the end of the body.
    pub body: Duration,
    /// From the answer's first byte until the caller has taken all of it.
    pub answer: Duration,
    /// How long a connection may be open between requests, or before its first. The Functions host closes its own
    /// after 62 to 68 seconds, and has to be the first.
    pub idle: Duration,
    /// How long requests in flight may take once the process is told to stop.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 256,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            stop: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// The defaults, with fewer connections where the system allows this process few open files: half of them stay
    /// free for calls to Azure.
    pub fn of_this_process() -> Limits {
        let limits = Limits::default();
        let files = std::fs::read_to_string("/proc/self/limits").ok().and_then(|text| open_files(&text));
        let connections =
            files.map_or(limits.connections, |files| limits.connections.min((files / 2).max(1)));
        Limits { connections, ..limits }
    }
}

/// Returns the soft limit of open files, as Linux describes the limits of a process.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// What is logged about connections, once a minute at most.
#[derive(Debug)]
struct Log {
    closed: Folded,
    not_accepted: Folded,
}

impl Default for Log {
    fn default() -> Self {
        Log {
            closed: Folded::new(|count, reason| {
                warn!(
                    event = "connections.closed",
                    reason, count, "connections were closed before an answer"
                );
            }),
            not_accepted: Folded::new(|count, reason| {
                error!(
                    event = "connections.refused",
                    reason,
                    count,
                    "the system accepts no connection; see its limit of open files (ulimit -n)"
                );
            }),
        }
    }
}

/// Serves until `stop` is ready and the requests in flight have been answered, or have taken too long.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: impl Future<Output = ()>) {
    let places = Arc::new(Places::new(limits));
    let log = Arc::new(Log::default());
    let stopping = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, place) = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &places, &log) => accepted,
        };
        // Head and body of an answer are separate writes; without this each costs a delayed acknowledgement. Where it
        // cannot be had, answers are slow and right.
        let _ = stream.set_nodelay(true);
        let (router, log, stopping) = (router.clone(), log.clone(), stopping.subscribe());
        connections.spawn(async move {
            let ended = serve_one(stream, router, place.connection().clone(), stopping).await;
            log.ended(ended, &limits);
        });
    }
    drop(listener);
    stopping.send_replace(true);
    let all = async { while connections.join_next().await.is_some() {} };
    // What is still open is closed when the set is dropped.
    let _ = timeout(limits.stop, all).await;
}

/// Serves one stream as [`serve`] serves a connection.
pub async fn serve_stream<S>(stream: S, router: Router, limits: Limits)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let stopping = watch::Sender::new(false);
    serve_one(stream, router, Arc::new(Connection::new(limits)), stopping.subscribe()).await;
}

/// Returns the next connection, and its place.
async fn accept(listener: &TcpListener, places: &Arc<Places>, log: &Log) -> (TcpStream, Place) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (place, evicted) = places.take().await;
                if evicted {
                    log.closed.note(&format!("more than {} connections were open", places.limit()));
                }
                return (stream, place);
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                log.not_accepted.note(&error.to_string());
                places.evict();
                sleep(REST).await;
            }
        }
    }
}

/// Returns whether the caller gave up before it was accepted, which says nothing about the next one.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// One of the two said so in HTTP, or the caller is gone.
    Regularly,
    /// A stage took too long.
    TooSlow(Stage),
    /// It made room for another.
    Evicted,
}

async fn serve_one<S>(
    stream: S,
    router: Router,
    connection: Arc<Connection>,
    mut stopping: watch::Receiver<bool>,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service(router, connection.clone());
    let wire = TokioIo::new(Wire::new(stream, connection.clone()));
    let mut serving = pin!(http1::Builder::new().max_buf_size(MAX_HEAD).serve_connection(wire, service));
    // It ends without the sender, too.
    let mut stopped = pin!(async move { _ = stopping.wait_for(|stopping| *stopping).await });
    let mut stops = false;
    let mut timer = pin!(sleep_until(Instant::now()));
    // Every stage begins and ends in here, so the timer is always set for the present one.
    let served = std::future::poll_fn(|cx| {
        if !stops && stopped.as_mut().poll(cx).is_ready() {
            stops = true;
            serving.as_mut().graceful_shutdown();
        }
        if serving.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ended::Regularly);
        }
        let (stage, deadline) = connection.deadline();
        if stops && stage == Stage::Idle {
            return Poll::Ready(Ended::Regularly);
        }
        let Some(deadline) = deadline else { return Poll::Pending };
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx).map(|()| Ended::TooSlow(stage))
    });
    tokio::select! {
        ended = served => ended,
        () = connection.evicted() => Ended::Evicted,
    }
}

/// Returns the router, told apart by stages.
fn service(
    router: Router,
    connection: Arc<Connection>,
) -> impl hyper::service::Service<
    hyper::Request<Incoming>,
    Response = hyper::Response<Body>,
    Error = EvictedError,
    Future: Future<Output = Result<hyper::Response<Body>, EvictedError>> + Send,
> {
    let router = TowerToHyperService::new(router);
    service_fn(move |request: hyper::Request<Incoming>| {
        let connection = connection.clone();
        let answer = connection.requested().then(|| {
            let arriving = |body| Body::new(Arriving::new(body, connection.clone()));
            router.call(request.map(arriving))
        });
        async move {
            let response =
                answer.ok_or(EvictedError)?.await.unwrap_or_else(|never: Infallible| match never {});
            connection.answered();
            Ok(response)
        }
    })
}

/// The connection was chosen to make room before its request was complete.
#[derive(Debug, thiserror::Error)]
#[error("the connection makes room for another")]
struct EvictedError;

impl Log {
    fn ended(&self, ended: Ended, limits: &Limits) {
        let (what, limit) = match ended {
            Ended::TooSlow(Stage::Head) => ("the header of a request", limits.head),
            Ended::TooSlow(Stage::Body) => ("the body of a request", limits.body),
            Ended::TooSlow(Stage::Answering) => ("taking an answer", limits.answer),
            // That one was idle is nothing to tell, and evictions are told where they are made.
            _ => return,
        };
        self.closed.note(&format!("{what} took more than {} s", limit.as_secs()));
    }
}

#[cfg(test)]
mod tests;
