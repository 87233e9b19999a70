//! One call of the handler: the POST the live host makes, and what came of it.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header;
use reqwest::redirect;
use serde_json::Value;
use time::OffsetDateTime;

use super::answer::{self, Answer, BadAnswer};
use super::function::Function;
use super::outputs::OutputBinding;
use keyholder_emulator::dps;
use keyholder_emulator::guid::guid;
use keyholder_emulator::journal::{self, Entry};
use keyholder_emulator::operation::Operation;

/// Chosen, not observed: the version whose source most of this follows, in the form the header has.
const HOST_VERSION: &str = "4.1037.0.0";

/// An invocation to be made.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) function: String,
    pub(super) id: String,
    pub(super) traceparent: String,
    pub(super) about: Vec<About>,
    pub(super) outputs: Vec<OutputBinding>,
    pub(super) body: Value,
}

/// One of the events the handler is called with.
#[derive(Debug)]
pub(super) struct About {
    event: String,
    subject: String,
}

impl About {
    pub(super) fn of(event: &Value) -> About {
        let text = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
        About { event: text("id"), subject: text("subject") }
    }
}

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// There was no answer; the connection was refused or broke.
    #[error("the handler did not answer: {0}")]
    NoAnswer(String),
    /// It took longer than `functionTimeout`.
    #[error("the function timed out after {0:?}, and its handler is killed for it")]
    TimedOut(Duration),
    /// The host cannot use the answer.
    #[error(transparent)]
    BadAnswer(#[from] BadAnswer),
}

/// What came of an invocation.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The HTTP status of the answer; 0 when there was none.
    pub(super) status: u16,
    pub(super) result: Result<Answer, Failure>,
    /// The `error` member of a failure's body. The live host reads no such body; the journal shows it to whoever
    /// looks for the reason.
    pub(super) explanation: Option<String>,
}

impl Outcome {
    pub(super) fn failed(status: u16, failure: Failure) -> Outcome {
        Outcome { status, result: Err(failure), explanation: None }
    }
}

impl Invocation {
    pub(super) fn new(
        function: &Function,
        body: Value,
        about: Vec<About>,
        random: &mut fastrand::Rng,
    ) -> Invocation {
        Invocation {
            function: function.name().to_owned(),
            outputs: function.outputs().to_vec(),
            id: guid(random),
            traceparent: format!("00-{:032x}-{:016x}-00", random.u128(1..), random.u64(1..)),
            about,
            body,
        }
    }

    /// What the journal says of it, whatever came of it.
    pub(super) fn entry(&self, now: OffsetDateTime) -> Entry {
        let subjects = self.about.iter().map(|about| &about.subject);
        Entry {
            certificates: subjects.filter(|id| dps::is_certificate_id(id)).cloned().collect(),
            event_ids: self.about.iter().map(|about| about.event.clone()).collect(),
            invocation_id: Some(self.id.clone()),
            trace_id: journal::trace_id(&self.traceparent),
            ..Entry::new(now, Operation::Invoke, &self.function)
        }
    }

    /// Calls the handler on this port.
    pub(super) async fn run(&self, client: &reqwest::Client, port: u16, limit: Option<Duration>) -> Outcome {
        let call = self.call(client, port);
        match limit {
            None => call.await,
            Some(limit) => tokio::time::timeout(limit, call)
                .await
                .unwrap_or_else(|_| Outcome::failed(0, Failure::TimedOut(limit))),
        }
    }

    async fn call(&self, client: &reqwest::Client, port: u16) -> Outcome {
        let body = Bytes::from(self.body.to_string());
        // A stream has no length, so the body goes out chunked, as the live host sends it.
        let body = futures::stream::once(async { Ok::<_, Infallible>(body) });
        let answer = client
            .post(format!("http://127.0.0.1:{port}/{}", self.function))
            .header("x-azure-functions-invocationid", &self.id)
            .header("x-azure-functions-hostversion", HOST_VERSION)
            .header(header::USER_AGENT, format!("Azure-Functions-Host/{HOST_VERSION}"))
            .header("traceparent", &self.traceparent)
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .body(reqwest::Body::wrap_stream(body))
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Outcome::failed(0, no_answer(error)),
        };
        let status = answer.status();
        let media_type = answer.headers().get(header::CONTENT_TYPE).cloned();
        let media_type = media_type.as_ref().and_then(|value| value.to_str().ok());
        match answer.bytes().await {
            Ok(body) => Outcome {
                status: status.as_u16(),
                explanation: answer::explanation(status, &body),
                result: answer::read(status, media_type, &body).map_err(Failure::from),
            },
            Err(error) => Outcome::failed(status.as_u16(), no_answer(error)),
        }
    }
}

/// The client for calling a handler. Redirects are not followed, though the live host would: a handler that
/// redirects its host is mistaken. Connections are not kept, so that none outlives the process it leads to.
pub(super) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .http1_only()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()
        .expect("a client without certificates of its own can always be built")
}

fn no_answer(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    Failure::NoAnswer(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::response::IntoResponse;
    use http::{HeaderMap, StatusCode};
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::super::document::Document;
    use super::*;

    type Heard = Arc<Mutex<Option<(String, HeaderMap, String)>>>;

    /// A handler that answers the same thing to everything, and what it heard last.
    async fn handler(status: u16, media_type: &'static str, body: &'static str) -> (u16, Heard) {
        let heard = Heard::default();
        let record = Arc::clone(&heard);
        let answer = move |uri: http::Uri, headers: HeaderMap, text: String| async move {
            *record.lock().unwrap() = Some((uri.path().to_owned(), headers, text));
            let status = StatusCode::from_u16(status).unwrap();
            (status, [(header::CONTENT_TYPE, media_type)], body).into_response()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
        (port, heard)
    }

    fn invocation() -> Invocation {
        let file = include_str!("../../../../../tests/fixtures/functions/function.eventgrid.json");
        let function = Function::of("OnEvent", &Document::parse("function.json", file).unwrap()).unwrap();
        Invocation::new(&function, json!({"Data": {}}), Vec::new(), &mut fastrand::Rng::with_seed(1))
    }

    #[tokio::test]
    async fn the_call_is_the_one_a_deployed_handler_saw() {
        let (port, heard) = handler(200, "application/json", r#"{"Logs":["done"]}"#).await;
        let outcome = invocation().run(&client(), port, None).await;

        assert_eq!((outcome.status, outcome.result.unwrap().logs), (200, vec!["done".to_owned()]));
        let (path, headers, body) = heard.lock().unwrap().take().unwrap();
        assert_eq!((path.as_str(), body.as_str()), ("/OnEvent", r#"{"Data":{}}"#));
        assert_eq!(headers["host"], format!("127.0.0.1:{port}"));
        assert!(!headers.contains_key("content-length"));
        let captured: Value =
            serde_json::from_str(include_str!("../../../../../tests/fixtures/functions/invoke.headers.json"))
                .unwrap();
        for (name, value) in captured["headers"].as_object().unwrap() {
            let sent = headers.get(name).unwrap_or_else(|| panic!("{name} is missing"));
            assert_eq!(form(sent.to_str().unwrap()), form(value.as_str().unwrap()), "{name}");
        }
    }

    /// A header's value with every number or id in it made alike.
    fn form(value: &str) -> String {
        let value = value.replace("<port>", "0");
        let ids = value.split(|c: char| "-/.:; ".contains(c)).map(|part| {
            let made_up = part.bytes().all(|byte| byte.is_ascii_hexdigit());
            if made_up { "#" } else { part }
        });
        ids.collect::<Vec<_>>().join(" ")
    }

    #[tokio::test]
    async fn an_answer_the_host_cannot_use_fails_the_invocation() {
        for (status, media_type, body, expected) in [
            (500, "application/json", "{}", "the handler answered 500 Internal Server Error"),
            (200, "text/plain", "{}", "the handler's answer is text/plain"),
            (200, "application/json", "", "the handler answered 200 OK with an empty body"),
        ] {
            let (port, _) = handler(status, media_type, body).await;
            let outcome = invocation().run(&client(), port, None).await;
            let message = outcome.result.unwrap_err().to_string();
            assert_eq!(outcome.status, status);
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[tokio::test]
    async fn a_handler_that_is_gone_or_silent_fails_the_invocation() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // The listener takes the connection and nobody ever answers on it.
        let outcome = invocation().run(&client(), port, Some(Duration::from_millis(1))).await;
        assert!(matches!(outcome.result, Err(Failure::TimedOut(_))), "{outcome:?}");
        drop(listener);
        let outcome = invocation().run(&client(), port, None).await;
        assert!(matches!(outcome.result, Err(Failure::NoAnswer(_))), "{outcome:?}");
        assert_eq!(outcome.status, 0);
    }
}
