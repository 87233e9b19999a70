//! The emulated services behind a `wiremock` server, for tests in the same process.
//!
//! The emulator answers with the lowest priority: a test mounts its own `Mock` in front of it, sets
//! expectations, and reads the requests received. wiremock keeps every request and answers one at a time,
//! over plain HTTP; for a server that stays up there is [`crate::listener`].

use bytes::Bytes;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::exchange;
use crate::running::Emulator;

/// Behind every mock a test may mount.
const LAST: u8 = u8::MAX;

/// Answers whatever no other mock of this server answers.
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
    Mock::given(any()).respond_with(Responder(emulator.clone())).with_priority(LAST).mount(server).await;
}

struct Responder(Emulator);

impl Respond for Responder {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut asked = exchange::Request::new(Bytes::copy_from_slice(&request.body));
        *asked.method_mut() = request.method.clone();
        *asked.headers_mut() = request.headers.clone();
        // wiremock writes its own address into the URL; whom the client meant is in the Host header.
        let target = &request.url[url::Position::BeforePath..url::Position::AfterQuery];
        *asked.uri_mut() = target.parse().unwrap_or_default();

        let answer = self.0.handle(&asked);
        let (head, body) = answer.into_parts();
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
        template
    }
}
