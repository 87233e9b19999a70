//! The emulated services on sockets, for other processes: ARM and the vaults over TLS, the identity endpoint
//! in the clear, as in Azure.
//!
//! Connections are driven by hyper itself: `axum::serve` always answers, and a fault may ask for a connection
//! that is reset, or an answer that breaks off.

mod hangup;

use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use openssl::ssl::{Ssl, SslAcceptor};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_openssl::SslStream;

use crate::doors::exact_sleep;
use crate::emulator::Emulator;
use crate::ground::exchange;
use crate::ground::reply::Reply;

/// How much of a body that is too large is read, to be thrown away.
const PATIENCE: usize = 64 << 20;
/// A client that does not finish its handshake is not waited for longer.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Serves everything over TLS, for ever. Dropping the future closes every connection.
pub async fn serve_tls(listener: TcpListener, acceptor: SslAcceptor, emulator: Emulator) {
    let services = services(emulator.clone());
    accept(listener, emulator, |connection| {
        let (acceptor, services) = (acceptor.clone(), services.clone());
        async move {
            let secured = tokio::time::timeout(HANDSHAKE, handshake(connection, &acceptor)).await;
            if let Ok(Ok(secured)) = secured {
                hangup::serve(secured, services).await;
            }
        }
    })
    .await
}

/// Serves everything in the clear, for ever, with what the caller puts beside it and around it.
pub async fn serve_plain(listener: TcpListener, emulator: Emulator, complete: impl FnOnce(Router) -> Router) {
    let services = complete(services(emulator.clone()));
    accept(listener, emulator, |connection| hangup::serve(connection, services.clone())).await
}

fn services(emulator: Emulator) -> Router {
    Router::new().fallback(answer).with_state(emulator)
}

async fn answer(State(emulator): State<Emulator>, request: axum::extract::Request) -> http::Response<Body> {
    let (head, body) = request.into_parts();
    let request = match read(body).await {
        Ok(Some(body)) => http::Request::from_parts(head, body),
        Ok(None) => exchange::too_large(head),
        // The caller has gone away.
        Err(_) => return hangup::at_once(),
    };
    let reply = emulator.answer(request).await;
    match reply {
        Reply::Answer(response) => response.map(Body::from),
        Reply::AnswerAfter(time, response) => {
            exact_sleep::sleep(time).await;
            response.map(Body::from)
        }
        Reply::Truncated { sent, promised } => hangup::in_the_middle(sent, promised),
        Reply::Reset => hangup::at_once(),
        // Until the client gives up: then hyper drops this.
        Reply::Silence => std::future::pending().await,
    }
}

/// A body, unless it is larger than any service reads. What is too much is thrown away up to a point: most clients do
/// not look for an answer before they have sent everything.
async fn read(body: Body) -> Result<Option<Bytes>, axum::Error> {
    let mut chunks = body.into_data_stream();
    let (mut kept, mut length) = (BytesMut::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        length += chunk.len();
        if length > PATIENCE {
            break;
        }
        if length <= exchange::MAX_BODY {
            kept.extend_from_slice(&chunk);
        }
    }
    Ok((length <= exchange::MAX_BODY).then(|| kept.freeze()))
}

/// Serves connections beside each other, so that a slow client holds up nobody.
async fn accept<Served>(listener: TcpListener, emulator: Emulator, serve: impl Fn(TcpStream) -> Served)
where
    Served: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((connection, _)) => {
                emulator.connected();
                // Head and body of an answer are separate writes; without this each costs a delayed
                // acknowledgement. Where it cannot be had, answers are slow and right.
                let _ = connection.set_nodelay(true);
                connections.spawn(serve(connection));
            }
            // Out of file descriptors, most likely; let others finish.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn handshake(connection: TcpStream, acceptor: &SslAcceptor) -> io::Result<SslStream<TcpStream>> {
    let mut stream = SslStream::new(Ssl::new(acceptor.context())?, connection)?;
    std::pin::Pin::new(&mut stream).accept().await.map_err(io::Error::other)?;
    Ok(stream)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::error::Error;

    use futures::FutureExt;

    use super::*;
    use crate::World;
    use crate::doors::tls::ServerIdentity;
    use crate::steering::faults::{Calls, Effect, Fault};
    use crate::steering::operation::Operation;

    /// A client of the TLS port, and a rule that strikes its first request for a token.
    struct Scene {
        emulator: Emulator,
        client: reqwest::Client,
        token: String,
    }

    impl Scene {
        async fn with(effect: Effect) -> Scene {
            let emulator = Emulator::new(World::tutorial(7));
            let (operation, calls) = (Operation::GetToken, Calls::First(1));
            emulator.with(|world, _| world.faults.add(Fault { operation, object: None, calls, effect }));

            let identity = ServerIdentity::generate().unwrap();
            let ca = reqwest::Certificate::from_pem(&identity.ca_pem().unwrap()).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            tokio::spawn(serve_tls(listener, identity.acceptor().unwrap(), emulator.clone()));
            let client = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap();
            let query = "api-version=2019-08-01&resource=https://vault.azure.net";
            Scene { emulator, client, token: format!("https://localhost:{port}/msi/token?{query}") }
        }

        async fn ask(&self) -> reqwest::Result<reqwest::Response> {
            self.client.get(&self.token).header("X-IDENTITY-HEADER", "any").send().await
        }

        async fn works_again(&self) {
            assert!(self.ask().await.unwrap().text().await.unwrap().contains("access_token"));
        }

        fn statuses(&self) -> Vec<u16> {
            self.emulator.look(|world, _| world.journal.entries().map(|entry| entry.status).collect())
        }
    }

    /// What the socket said, at the bottom of an error.
    fn io_error(error: &reqwest::Error) -> Option<io::ErrorKind> {
        let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
        causes.find_map(|cause| cause.downcast_ref::<io::Error>().map(io::Error::kind))
    }

    #[tokio::test]
    async fn a_reset_reaches_the_client_as_a_reset() {
        for effect in [Effect::ResetBefore, Effect::ResetAfter] {
            let scene = Scene::with(effect).await;
            let error = scene.ask().await.unwrap_err();
            assert_eq!(io_error(&error), Some(io::ErrorKind::ConnectionReset), "{error:?}");
            scene.works_again().await;
            assert_eq!(scene.statuses(), [0, 200]);
        }
    }

    #[tokio::test]
    async fn a_cut_answer_breaks_off_after_its_head() {
        let scene = Scene::with(Effect::Truncated).await;
        let mut answer = scene.ask().await.unwrap();
        assert_eq!(answer.status(), 200);
        let promised = answer.content_length().unwrap();
        let half = answer.chunk().await.unwrap().unwrap();
        assert_eq!(half.len() as u64, promised / 2);
        assert!(half.starts_with(b"{\"access_token\""));
        answer.chunk().await.unwrap_err();
        scene.works_again().await;
    }

    #[tokio::test]
    async fn silence_lasts_until_the_client_gives_up() {
        let scene = Scene::with(Effect::Silence).await;
        let mut answer = Box::pin(scene.ask());
        let struck = scene.emulator.until(|world| (world.faults.hits() == 1).then_some(()));
        tokio::select! {
            answer = &mut answer => panic!("{answer:?}"),
            () = struck => {}
        }
        assert!((&mut answer).now_or_never().is_none());
        drop(answer);
        scene.works_again().await;
        assert_eq!(scene.statuses(), [0, 200]);
    }

    #[tokio::test]
    async fn a_late_answer_comes() {
        let scene = Scene::with(Effect::Delay(Duration::from_millis(1))).await;
        scene.works_again().await;
        assert_eq!(scene.emulator.look(|world, _| world.faults.hits()), 1);
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_refused_in_the_service_s_own_form() {
        let scene = Scene::with(Effect::Delay(Duration::ZERO)).await;
        let request = scene.client.put(&scene.token).body(vec![0; exchange::MAX_BODY + 1]);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 413);
        assert!(answer.text().await.unwrap().starts_with(r#"{"statusCode":413,"#));
    }
}
