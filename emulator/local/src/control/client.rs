//! The control API of an emulator that somebody else started.

use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

use super::call::Call;
use super::error::{ErrorBody, ErrorDetail};
use super::journal::JournalQuery;
use super::paths::STREAM;
use super::token;
use keyholder_emulator::journal::Entry;

/// Where an emulator is unless it was told otherwise.
pub const STANDARD: &str = super::paths::STANDARD;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks one emulator.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    emulator: Url,
    token: Option<String>,
}

/// Why there was no answer to go on with.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error(
        "no emulator answers at {emulator} ({reason}); start one with `emulator up`, which is `cargo run -- up` in \
         the repository, or say with --emulator where it is"
    )]
    NotRunning {
        /// Where.
        emulator: Url,
        /// What the socket said.
        reason: String,
    },
    /// The connection broke, or the answer did.
    #[error("the emulator at {emulator} went away: {reason}")]
    WentAway {
        /// Where.
        emulator: Url,
        /// What the socket said.
        reason: String,
    },
    /// The emulator refuses.
    #[error("{}", .0.message)]
    Refused(ErrorDetail),
    /// Something else listens there.
    #[error("what answers at {emulator} is no emulator of this version: {status} to {call}")]
    Stranger {
        /// Where.
        emulator: Url,
        /// What it said.
        status: StatusCode,
        /// To what.
        call: String,
    },
    /// The client could not be built.
    #[error("the HTTP client could not be built")]
    Http(#[source] reqwest::Error),
}

impl Client {
    /// Of the emulator whose listener without TLS is at this address, with its token if this user knows it.
    pub fn new(emulator: Url) -> Result<Client, ClientError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(ClientError::Http)?;
        let token = token::find(&emulator);
        Ok(Client { http, emulator, token })
    }

    /// Makes a call.
    pub async fn call<C: Call>(
        &self,
        parameters: &C::Parameters,
        body: &C::Body,
    ) -> Result<C::Answer, ClientError> {
        let url = self.url(C::PATH, parameters);
        let request = self.http.request(C::METHOD, url).header(CONTENT_TYPE, "application/json");
        let body = serde_json::to_string(body).expect("bodies are structs of text, numbers and lists");
        let call = format!("{} {}", C::METHOD, C::PATH);
        let response = self.send(request.body(body)).await?;
        self.read(response, &call).await
    }

    /// The entries of the journal as they are written, until the emulator goes away.
    pub async fn follow(
        &self,
        query: &JournalQuery,
    ) -> Result<impl Stream<Item = Result<Entry, ClientError>> + use<>, ClientError> {
        let request = self.http.get(self.url(STREAM, query)).header(ACCEPT, "text/event-stream");
        let response = self.send(request).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response, &format!("GET {STREAM}")).await);
        }
        let emulator = self.emulator.clone();
        let chunks = response.bytes_stream().map(move |chunk| {
            let reason = |error: &reqwest::Error| root_cause(error);
            chunk
                .map_err(|error| ClientError::WentAway { emulator: emulator.clone(), reason: reason(&error) })
        });
        let lines = Lines::default();
        Ok(chunks
            .scan(lines, |lines, chunk| {
                let news = chunk.map(|chunk| lines.entries(&chunk));
                std::future::ready(Some(news))
            })
            .flat_map(|news| match news {
                Ok(entries) => stream::iter(entries.into_iter().map(Ok).collect::<Vec<_>>()),
                Err(error) => stream::iter(vec![Err(error)]),
            }))
    }

    async fn send(&self, mut request: reqwest::RequestBuilder) -> Result<reqwest::Response, ClientError> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request.send().await.map_err(|error| {
            let (emulator, reason) = (self.emulator.clone(), root_cause(&error));
            if error.is_connect() {
                ClientError::NotRunning { emulator, reason }
            } else {
                ClientError::WentAway { emulator, reason }
            }
        })
    }

    async fn read<T: DeserializeOwned>(
        &self,
        response: reqwest::Response,
        call: &str,
    ) -> Result<T, ClientError> {
        let status = response.status();
        if !status.is_success() {
            return Err(self.refusal(response, call).await);
        }
        let body = response.bytes().await.map_err(|error| {
            let (emulator, reason) = (self.emulator.clone(), root_cause(&error));
            ClientError::WentAway { emulator, reason }
        })?;
        serde_json::from_slice(&body).map_err(|_| self.stranger(status, call))
    }

    async fn refusal(&self, response: reqwest::Response, call: &str) -> ClientError {
        let status = response.status();
        match response.json::<ErrorBody>().await {
            Ok(refusal) => ClientError::Refused(refusal.error),
            Err(_) => self.stranger(status, call),
        }
    }

    fn stranger(&self, status: StatusCode, call: &str) -> ClientError {
        ClientError::Stranger { emulator: self.emulator.clone(), status, call: call.to_owned() }
    }

    /// The URL of a call: parameters whose names are in the path go there, the others into the query.
    fn url(&self, path: &str, parameters: &impl serde::Serialize) -> Url {
        let parameters = match serde_json::to_value(parameters) {
            Ok(Value::Object(parameters)) => parameters,
            _ => Map::new(),
        };
        let mut url = self.emulator.clone();
        let mut path = path.to_owned();
        for (name, value) in parameters {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let place = format!("{{{name}}}");
            if path.contains(&place) {
                path = path.replace(&place, &value);
            } else {
                url.query_pairs_mut().append_pair(&name, &value);
            }
        }
        url.set_path(&path);
        url
    }
}

/// The lines of a stream of server-sent events, of which chunks may hold parts.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// The entries that are complete with this chunk. An entry is one line of data, because JSON in one line has no
    /// line breaks.
    fn entries(&mut self, chunk: &[u8]) -> Vec<Entry> {
        self.0.extend_from_slice(chunk);
        let Some(end) = self.0.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.0.split_off(end + 1);
        let complete = std::mem::replace(&mut self.0, rest);
        let data = complete.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data: "));
        // What is no entry says that the journal was cleared.
        data.filter_map(|data| serde_json::from_slice(data).ok()).collect()
    }
}

/// What went wrong at the bottom; what is above it only says that something did.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::control::RuleId;
    use keyholder_emulator::operation::Operation;

    #[test]
    fn parameters_go_into_the_path_or_the_query() {
        let client = Client::new(STANDARD.parse().unwrap()).unwrap();
        let url = client.url("/_emulator/faults/{id}", &RuleId { id: 7 });
        assert_eq!(url.as_str(), "http://127.0.0.1:8081/_emulator/faults/7");
        let query =
            JournalQuery { since: Some(3), object: Some("a b&c".to_owned()), ..JournalQuery::default() };
        let url = client.url("/_emulator/journal", &query);
        assert_eq!(url.as_str(), "http://127.0.0.1:8081/_emulator/journal?since=3&object=a+b%26c");
    }

    #[test]
    fn entries_are_read_wherever_a_chunk_ends() {
        let entry = Entry::new(datetime!(2026-03-05 10:00 UTC), Operation::Sign, "my-vault/root-ca");
        let data = serde_json::to_string(&entry).unwrap();
        let text = format!(
            ":\n\nevent: entry\ndata: {data}\nid: 1\n\nevent: cleared\ndata: {{\"sequence\":2}}\nid: 2\n\nevent: entry\ndata: {data}\nid: 3\n\n"
        );
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let read: Vec<Entry> =
                text.as_bytes().chunks(size).flat_map(|chunk| lines.entries(chunk)).collect();
            assert_eq!(read, [entry.clone(), entry.clone()], "{size}");
        }
    }
}
