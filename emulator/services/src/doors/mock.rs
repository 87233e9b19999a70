//! The emulated services behind a `wiremock` server, for tests in the same process.
//!
//! The emulator answers with the lowest priority: a test mounts its own `Mock` in front of it, sets
//! expectations, and reads the requests received. wiremock keeps every request and answers one at a time,
//! over plain HTTP; for a server that stays up there is [`crate::doors::listener`].

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use wiremock::matchers::any;
use wiremock::{Match, Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::emulator::Emulator;
use crate::ground::exchange;
use crate::ground::reply::Reply;

/// Behind every mock a test may mount.
const LAST: u8 = u8::MAX;
/// Longer than any client waits.
const SILENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Answers whatever no other mock of this server answers. Of the faults, only a cut answer differs from what
/// the listener does: wiremock sends the half as if it were the whole.
///
/// ```
/// # tokio_test(async {
/// use keyholder_emulator::{Emulator, World, mock};
///
/// let server = wiremock::MockServer::start().await;
/// mock::mount(&Emulator::new(World::tutorial(7)), &server).await;
/// let token = format!("{}/msi/token?api-version=2019-08-01&resource=https://vault.localhost", server.uri());
/// let answer = reqwest::Client::new().get(token).header("X-IDENTITY-HEADER", "any").send().await.unwrap();
/// assert_eq!(answer.status(), 200);
/// # });
/// # fn tokio_test(test: impl Future<Output = ()>) {
/// #     tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
/// # }
/// ```
pub async fn mount(emulator: &Emulator, server: &MockServer) {
    let asked = Asked { emulator: emulator.clone(), reply: Arc::default() };
    let answering = asked.clone();
    let reset = move |_: &Request| io::Error::from(io::ErrorKind::ConnectionReset);
    let resets = Mock::given(asked).respond_with_err(reset).with_priority(LAST);
    let answers = Mock::given(any()).respond_with(answering).with_priority(LAST);
    resets.mount(server).await;
    answers.mount(server).await;
}

/// The emulator's answer to a request, for a mock that changes it or something before it. A reset becomes a
/// 502: a mock that answers cannot hang up.
pub fn answer(emulator: &Emulator, request: &Request) -> ResponseTemplate {
    template(emulator.reply(&understand(request)))
}

/// A mock either answers or fails, always. So two of them share each request: the first asks the emulator,
/// and matches if the connection is to be reset; the second hands out the answer the first has got. wiremock
/// tries mocks of one priority in the order they were mounted, and finishes a request before the next.
#[derive(Clone)]
struct Asked {
    emulator: Emulator,
    reply: Arc<Mutex<Option<Reply>>>,
}

impl Asked {
    fn reply(&self) -> MutexGuard<'_, Option<Reply>> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Match for Asked {
    fn matches(&self, request: &Request) -> bool {
        let reply = self.emulator.reply(&understand(request));
        let is_reset = matches!(reply, Reply::Reset);
        *self.reply() = Some(reply);
        is_reset
    }
}

impl Respond for Asked {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        template(self.reply().take().expect("the mock in front has asked"))
    }
}

fn understand(request: &Request) -> exchange::Request {
    let mut asked = exchange::Request::new(Bytes::copy_from_slice(&request.body));
    *asked.method_mut() = request.method.clone();
    *asked.headers_mut() = request.headers.clone();
    // wiremock writes its own address into the URL; whom the client meant is in the Host header.
    let target = &request.url[url::Position::BeforePath..url::Position::AfterQuery];
    *asked.uri_mut() = target.parse().unwrap_or_default();
    asked
}

fn template(reply: Reply) -> ResponseTemplate {
    let delay = match &reply {
        Reply::AnswerAfter(time, _) => *time,
        Reply::Silence => SILENCE,
        _ => Duration::ZERO,
    };
    let (head, body) = reply.into_response().into_parts();
    let media_type = head.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut template = ResponseTemplate::new(head.status.as_u16());
    if let Some(media_type) = media_type {
        template = template.set_body_raw(body.to_vec(), media_type);
    }
    for (name, value) in &head.headers {
        if name != http::header::CONTENT_TYPE {
            template = template.append_header(name, value);
        }
    }
    if delay.is_zero() { template } else { template.set_delay(delay) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::World;
    use crate::steering::faults::{Calls, Effect, Fault};
    use crate::steering::operation::Operation;

    const METADATA: &str = "/metadata/endpoints?api-version=2022-09-01";

    async fn server_with(effect: Effect) -> (Emulator, MockServer) {
        let emulator = Emulator::new(World::tutorial(7));
        let (operation, calls) = (Operation::Arm, Calls::First(1));
        emulator.with(|world, _| world.faults.add(Fault { operation, object: None, calls, effect }));
        let server = MockServer::start().await;
        mount(&emulator, &server).await;
        (emulator, server)
    }

    async fn get(server: &MockServer) -> reqwest::Result<reqwest::Response> {
        reqwest::Client::new().get(format!("{}{METADATA}", server.uri())).send().await
    }

    #[tokio::test]
    async fn a_reset_is_one_request_without_an_answer() {
        let (emulator, server) = server_with(Effect::ResetBefore).await;
        let error = get(&server).await.unwrap_err();
        assert!(error.is_request() && !error.is_timeout(), "{error:?}");
        assert_eq!(get(&server).await.unwrap().status(), 200);
        let statuses: Vec<_> =
            emulator.look(|world, _| world.journal.entries().map(|entry| entry.status).collect());
        assert_eq!(statuses, [0, 200]);
    }

    #[tokio::test]
    async fn silence_lasts_longer_than_any_test() {
        let (emulator, server) = server_with(Effect::Silence).await;
        let struck = emulator.until(|world| (world.faults.hits() == 1).then_some(()));
        tokio::select! {
            answer = get(&server) => panic!("{answer:?}"),
            () = struck => {}
        }
        assert_eq!(get(&server).await.unwrap().status(), 200);
    }

    #[tokio::test]
    async fn half_an_answer_is_no_json() {
        let (_, server) = server_with(Effect::Truncated).await;
        let answer = get(&server).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.json::<serde_json::Value>().await.unwrap_err().is_decode());
    }
}
