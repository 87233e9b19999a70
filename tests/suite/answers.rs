//! `docs/answers.md`: how DPS answers in each situation, and how sure it is that the live service does the same.
//!
//! Each row is provoked here; the page says what came of it, and a test fails when it does not.

mod rows;

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH};
use keyholder_emulator::world::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION};
use keyholder_emulator::{Emulator, World};
use serde_json::{Value, json};

use crate::harness::page;
use rows::{Evidence, ROWS};

const INTRODUCTION: &str = "\
# What DPS answers, and how sure that is

Each situation below is provoked by a test, which writes this page (`UPDATE_EXPECT=1 cargo test -p keyholder-tests
--test suite answers` rewrites it) and fails when it says something else. The last column says why the emulator answers
so:

- *recorded*: traffic of the live service was recorded doing so. Every recording that is at hand is replayed against the
  listener, byte for byte but for what the service makes up (`tests/suite/replay.rs`);
- *quoted*: somebody published the live service's answer;
- *specified*: the REST specification or Microsoft's documentation says so, and nobody was seen to get it;
- *chosen*: nothing public says how the live service answers. Do not build on it.

";

#[test]
fn the_page_says_how_each_situation_is_answered() {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("| situation | answer | why |\n| --- | --- | --- |\n");
    for row in ROWS {
        let answer = (row.provoke)(&Scene::new());
        let why = match row.evidence {
            Evidence::Recorded(source) => format!("*recorded*: {source}"),
            Evidence::Quoted(source) => format!("*quoted*: {source}"),
            Evidence::Specified(source) => format!("*specified*: {source}"),
            Evidence::Chosen => "*chosen*".to_owned(),
        };
        writeln!(page, "| {} | {} | {why} |", row.situation, answer.told()).expect("a string takes it");
    }
    page::hold("docs/answers.md", &page);
}

/// An emulator of its own for each row.
struct Scene {
    emulator: Emulator,
}

/// An answer, its body read as JSON.
struct Answer {
    status: u16,
    body: Value,
}

impl Scene {
    fn new() -> Scene {
        Scene { emulator: Emulator::new(World::tutorial(7)) }
    }

    /// Asks with the operator's token and a recent api-version.
    fn ask(&self, method: &str, path: &str, etag: Option<&str>, body: Option<Value>) -> Answer {
        self.ask_as("api-version=2022-12-12", true, method, path, etag, body)
    }

    fn ask_as(
        &self,
        query: &str,
        with_token: bool,
        method: &str,
        path: &str,
        etag: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let token = self.emulator.look(|world, now| world.identity.mint("https://management.azure.com", now));
        let url = format!("https://management.azure.com{path}?{query}");
        let mut request =
            http::Request::builder().method(method).uri(url).header(CONTENT_TYPE, "application/json");
        if with_token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(etag) = etag {
            request = request.header(IF_MATCH, etag);
        }
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let response = self.emulator.handle(&request.body(body).expect("a request"));
        Answer {
            status: response.status().as_u16(),
            body: serde_json::from_slice(response.body()).unwrap_or_default(),
        }
    }

    fn upload(&self, name: &str, etag: Option<&str>, text: &str) -> Answer {
        let body = json!({ "properties": { "certificate": text } });
        self.ask("PUT", &certificate(name), etag, Some(body))
    }

    fn code(&self, name: &str, etag: Option<&str>) -> Answer {
        self.ask("POST", &format!("{}/generateVerificationCode", certificate(name)), etag, None)
    }

    fn prove(&self, name: &str, etag: Option<&str>, proof: &str) -> Answer {
        let body = json!({ "certificate": proof });
        self.ask("POST", &format!("{}/verify", certificate(name)), etag, Some(body))
    }
}

impl Answer {
    fn etag(&self) -> &str {
        self.body["etag"].as_str().expect("a certificate has an etag")
    }

    fn code(&self) -> &str {
        self.body["properties"]["verificationCode"].as_str().expect("there is a code")
    }

    /// Status, code and text of an error; of a certificate, how it stands.
    fn told(&self) -> String {
        let status = self.status;
        let error = self.body.get("error").unwrap_or(&self.body);
        if let Some(message) = error["message"].as_str() {
            let code = error["code"].as_str().map_or_else(|| error["code"].to_string(), str::to_owned);
            let text = message.split(" If you contact a support").next().unwrap_or_default();
            return format!("{status} `{code}` {text}");
        }
        match self.body["properties"]["isVerified"].as_bool() {
            Some(true) => format!("{status}, verified"),
            Some(false) => format!("{status}, unverified"),
            None => status.to_string(),
        }
    }
}

/// The path of the instance that is there at start.
fn instance() -> String {
    format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.Devices\
         /provisioningServices/{PROVISIONING_SERVICE}"
    )
}

fn certificate(name: &str) -> String {
    format!("{}/certificates/{name}", instance())
}
