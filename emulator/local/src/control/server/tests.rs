//! The control API over HTTP, without a socket.

use axum::body::Body;
use axum::middleware::from_fn;
use futures::StreamExt;
use http::header::{AUTHORIZATION, HOST};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::testing::put_certificate;
use keyholder_emulator::authority::Authority;
use keyholder_emulator::faults::Effect;
use keyholder_emulator::operation::Operation;
use keyholder_emulator::{Emulator, World};

/// A client of the control API, without a socket.
struct Client {
    emulator: Emulator,
    routes: Router,
    authorization: String,
}

impl Client {
    fn new() -> Client {
        let emulator = Emulator::new(World::tutorial(7));
        let control = Control::of(&emulator);
        let routes = control.routes().layer(from_fn(at_home));
        Client { routes, emulator, authorization: format!("Bearer {}", control.token()) }
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> Response {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "127.0.0.1:8081")
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        self.routes.clone().oneshot(request).await.unwrap()
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let response = self.send(method, path, &body).await;
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), MAX_BODY).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    async fn refused(&self, method: &str, path: &str, body: Value) -> (u16, String, String) {
        let (status, answer) = self.ask(method, path, body).await;
        let text = |pointer| answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        (status, text("/error/code"), text("/error/message"))
    }

    /// Somebody asks for a token.
    fn exchange(&self) -> http::StatusCode {
        let request = http::Request::get("/msi/token?api-version=2019-08-01&resource=a")
            .header("x-identity-header", "any")
            .body(Bytes::new())
            .unwrap();
        self.emulator.handle(&request).status()
    }
}

const NULL: Value = Value::Null;

#[tokio::test]
async fn a_rule_is_set_strikes_and_is_taken_back() {
    let client = Client::new();
    let rule =
        json!({ "operation": "identity.getToken", "calls": { "nth": 2 }, "effect": { "answer": 503 } });
    let added = client.ok("POST", "/_emulator/faults", rule.clone()).await;
    assert_eq!(added, json!({ "id": 1, "hits": 0, "fault": rule }));

    assert_eq!([client.exchange(), client.exchange()].map(|status| status.as_u16()), [200, 503]);
    let plan = client.ok("GET", "/_emulator/faults", NULL).await;
    assert_eq!(plan, json!({ "faults": [{ "id": 1, "hits": 1, "fault": rule }] }));
    let struck = client.ok("GET", "/_emulator/journal?limit=1", NULL).await;
    assert_eq!(struck["entries"][0]["fault"], json!({ "answer": 503 }));

    let (status, code, message) = client.refused("DELETE", "/_emulator/faults/9", NULL).await;
    assert_eq!((status, code.as_str()), (404, "NoSuchRule"), "{message}");
    assert_eq!(client.ok("DELETE", "/_emulator/faults/1", NULL).await, json!({ "faults": [] }));
    client.ok("POST", "/_emulator/faults", rule).await;
    assert_eq!(client.ok("DELETE", "/_emulator/faults", NULL).await, json!({ "faults": [] }));
}

#[tokio::test]
async fn a_rule_that_is_wrong_or_could_never_strike_is_refused_and_not_set() {
    let client = Client::new();
    for (rule, code, hint) in [
        (
            json!({ "operation": "dps.verfy", "effect": "silence" }),
            "InvalidRequest",
            "did you mean dps.verify?",
        ),
        (json!({ "operation": "dps.verify", "effect": "quiet" }), "InvalidRequest", "`quiet`"),
        (
            json!({ "operation": "dps.verify", "calls": { "first": 0 }, "effect": "silence" }),
            "InvalidFault",
            "count from 1",
        ),
        (
            json!({ "operation": "vault.sign", "effect": "staleEtag" }),
            "InvalidFault",
            "aim it at a DPS operation",
        ),
        (json!([]), "InvalidRequest", "POST /_emulator/faults takes"),
    ] {
        let (status, found, message) = client.refused("POST", "/_emulator/faults", rule.clone()).await;
        assert_eq!((status, found.as_str()), (400, code), "{rule}");
        assert!(message.contains(hint), "{rule}: {message}");
    }
    assert_eq!(client.ok("GET", "/_emulator/faults", NULL).await, json!({ "faults": [] }));
}

#[tokio::test]
async fn the_clock_is_frozen_set_moved_and_let_go() {
    let client = Client::new();
    let then = json!({ "now": "2021-10-15T18:46:06Z", "frozen": true });
    assert_eq!(client.ok("PATCH", "/_emulator/clock", then.clone()).await, then);
    let later = client.ok("PATCH", "/_emulator/clock", json!({ "advance": "2days" })).await;
    assert_eq!(later, json!({ "now": "2021-10-17T18:46:06Z", "frozen": true }));
    assert_eq!(client.ok("GET", "/_emulator/clock", NULL).await, later);
    let run = client.ok("PATCH", "/_emulator/clock", json!({ "frozen": false })).await;
    assert_eq!(run["frozen"], false);
    let (status, _, message) = client.refused("PATCH", "/_emulator/clock", json!({})).await;
    assert_eq!((status, message.contains("nothing would change")), (400, true), "{message}");
}

#[tokio::test]
async fn a_code_is_chosen_handed_out_once_and_may_be_given_up() {
    let client = Client::new();
    let chosen = json!({ "code": "A1B2C3D4E5F6G7H8" });
    assert_eq!(client.ok("PUT", "/_emulator/next-code", chosen.clone()).await, chosen);
    assert_eq!(client.ok("GET", "/_emulator/next-code", NULL).await, chosen);
    let none = json!({ "code": null });
    assert_eq!(client.ok("PUT", "/_emulator/next-code", none.clone()).await, none);
    assert_eq!(client.ok("GET", "/_emulator/next-code", NULL).await, none);
    let (status, ..) = client.refused("PUT", "/_emulator/next-code", json!({ "code": "" })).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn certificates_are_listed_with_how_far_their_proof_has_come() {
    let client = Client::new();
    client.emulator.with(|world, now| {
        let pem = |name| Authority::ec_root(name).unwrap().certificate_pem().unwrap();
        put_certificate(world, now, "unproven", json!({ "certificate": pem("Unproven CA") }));
        let waived = json!({ "certificate": pem("Waived CA"), "isVerified": true });
        put_certificate(world, now, "waived", waived);
    });
    let shown = client.ok("GET", "/_emulator/registries", NULL).await;
    let registry = &shown["registries"][0];
    assert_eq!(
        (&registry["name"], &registry["resourceGroup"]),
        (&json!("my-dps-x509"), &json!("iot-x509-demo-rg"))
    );
    let told = |member: &str| {
        let certificates = registry["certificates"].as_array().unwrap().iter();
        certificates.map(|certificate| certificate[member].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(told("subject"), ["Unproven CA", "Waived CA"]);
    assert_eq!(told("status"), ["unverified", "verifiedWithoutProof"]);
    assert!(told("id")[0].ends_with("/provisioningServices/my-dps-x509/certificates/unproven"));
}

#[tokio::test]
async fn a_reset_forgets_everything_but_where_the_journal_was() {
    let client = Client::new();
    client.ok("POST", "/_emulator/faults", json!({ "operation": "dps.verify", "effect": "silence" })).await;
    client.ok("PATCH", "/_emulator/clock", json!({ "now": "2021-10-15T18:46:06Z", "frozen": true })).await;
    client.exchange();
    client.emulator.with(|world, _| world.key_vaults.add("another"));
    let drawn = |emulator: &Emulator| emulator.with(|world, _| world.random.u64(..));
    let first = drawn(&client.emulator);

    let overview = client.ok("POST", "/_emulator/reset", json!({})).await;
    assert_eq!((&overview["seed"], &overview["newest"]), (&json!(7), &json!(2)));
    assert_eq!(overview["clock"]["frozen"], false);
    assert_eq!(client.ok("GET", "/_emulator/faults", NULL).await, json!({ "faults": [] }));
    let journal = client.ok("GET", "/_emulator/journal", NULL).await;
    assert_eq!(journal, json!({ "entries": [], "newest": 2, "cleared": 2 }));
    assert_eq!(client.emulator.look(|world, _| world.key_vaults.names().count()), 1);
    assert_eq!(drawn(&client.emulator), first, "the same seed draws the same again");

    let overview = client.ok("POST", "/_emulator/reset", json!({ "seed": 8 })).await;
    assert_eq!(overview["seed"], 8);
    assert_ne!(drawn(&client.emulator), first);
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_understood_say_so() {
    let client = Client::new();
    for (method, path, body, expected) in [
        ("GET", "/_emulator/nothing", NULL, (404, "NoSuchPath")),
        ("POST", "/_emulator/clock", json!({}), (405, "MethodNotAllowed")),
        ("GET", "/_emulator/journal?sinse=1", NULL, (400, "InvalidRequest")),
        ("GET", "/_emulator/journal?since=one", NULL, (400, "InvalidRequest")),
        ("GET", "/_emulator/journal?operation=dsp", NULL, (400, "InvalidRequest")),
        ("DELETE", "/_emulator/faults/one", NULL, (400, "InvalidRequest")),
        ("POST", "/_emulator/reset", json!({ "sead": 1 }), (400, "InvalidRequest")),
        ("GET", "/_emulator/environment", NULL, (404, "NoAddresses")),
    ] {
        let (status, code, message) = client.refused(method, path, body).await;
        assert_eq!((status, code.as_str()), expected, "{method} {path}: {message}");
        assert!(!message.is_empty());
    }
    let response = client.send("POST", "/_emulator/reset", "{").await;
    assert_eq!(response.status(), 400);
    let too_large = " ".repeat(MAX_BODY + 1);
    assert_eq!(client.send("POST", "/_emulator/reset", &too_large).await.status(), 413);
}

#[tokio::test]
async fn another_user_of_the_machine_reads_and_changes_nothing() {
    let client = Client { authorization: String::new(), ..Client::new() };
    for (method, path) in [
        ("GET", "/_emulator"),
        ("GET", "/_emulator/snapshot"),
        ("PUT", "/_emulator/snapshot"),
        ("GET", "/_emulator/environment"),
        ("GET", "/_emulator/journal/stream"),
        ("GET", "/_emulator/nothing"),
        ("POST", "/_emulator/reset"),
    ] {
        let (status, code, message) = client.refused(method, path, NULL).await;
        assert_eq!((status, code.as_str()), (401, "TokenRequired"), "{method} {path}");
        assert!(message.contains("emulator env"), "{message}");
    }
    let (status, _) = client.ask("GET", "/_emulator/openapi.json", NULL).await;
    assert_eq!(status, 200, "what is no secret is open");
}

#[tokio::test]
async fn a_page_of_elsewhere_changes_nothing() {
    let client = Client::new();
    for (name, value) in [
        ("host", "evil.test"),
        ("origin", "https://evil.test"),
        ("content-type", "text/plain"),
        ("sec-fetch-site", "cross-site"),
        ("authorization", "Bearer another"),
    ] {
        let mut request = http::Request::post("/_emulator/faults")
            .header(HOST, "127.0.0.1:8081")
            .header(AUTHORIZATION, &client.authorization)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(json!({ "operation": "dps.verify", "effect": "silence" }).to_string()))
            .unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
        let response = client.routes.clone().oneshot(request).await.unwrap();
        assert!(matches!(response.status().as_u16(), 401 | 403 | 415), "{name}");
    }
    assert_eq!(client.ok("GET", "/_emulator/faults", NULL).await, json!({ "faults": [] }));
    let response = client.send("GET", "/_emulator", "").await;
    assert_eq!(response.headers()["cross-origin-resource-policy"], "same-origin");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(!response.headers().contains_key("access-control-allow-origin"));
}

/// The events of a stream that ends, as `id: event`.
async fn streamed(client: &Client, path: &str, last: Option<&str>) -> Vec<String> {
    let mut request =
        http::Request::get(path).header(HOST, "localhost").header(AUTHORIZATION, &client.authorization);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = client.routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
    let mut text = String::new();
    let mut body = response.into_body().into_data_stream();
    while let Some(chunk) = body.next().await {
        text += std::str::from_utf8(&chunk.unwrap()).unwrap();
    }
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned()
    };
    text.split("\n\n")
        .filter(|event| !event.is_empty())
        .map(|event| format!("{}: {}", field(event, "id: "), field(event, "event: ")))
        .collect()
}

#[tokio::test]
async fn a_stream_goes_on_where_its_reader_was() {
    let client = Client::new();
    for _ in 0..4 {
        client.exchange();
    }
    let stream = "/_emulator/journal/stream";
    assert_eq!(streamed(&client, &format!("{stream}?since=1&limit=2"), None).await, ["2: entry", "3: entry"]);
    let resumed = streamed(&client, &format!("{stream}?since=1&limit=1"), Some("3")).await;
    assert_eq!(resumed, ["4: entry"], "Last-Event-ID wins");
    let chosen = format!("{stream}?since=0&limit=1&operation=vault&object=x");
    let mut waiting = Box::pin(streamed(&client, &chosen, None));
    assert!(futures::poll!(&mut waiting).is_pending(), "nothing of the kind has happened");
    let (status, ..) = client.refused("GET", &format!("{stream}?operation=dsp"), NULL).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_stream_tells_what_happens_from_now_on_and_when_all_of_it_is_forgotten() {
    let client = Client::new();
    client.exchange();
    let mut live = Box::pin(streamed(&client, "/_emulator/journal/stream?limit=2", None));
    assert!(futures::poll!(&mut live).is_pending());
    client.exchange();
    assert!(futures::poll!(&mut live).is_pending());
    Control::of(&client.emulator).reset(crate::control::Reset::default());
    assert!(futures::poll!(&mut live).is_pending());
    client.exchange();
    assert_eq!(live.await, ["2: entry", "3: cleared", "4: entry"]);

    let resumed = streamed(&client, "/_emulator/journal/stream?limit=1", Some("1")).await;
    assert_eq!(resumed, ["3: cleared", "4: entry"]);
}

#[tokio::test]
async fn each_entry_says_how_long_it_took_and_silence_never_ends() {
    let client = Client::new();
    client.exchange();
    let silent = json!({ "operation": "identity.getToken", "effect": "silence" });
    client.ok("POST", "/_emulator/faults", silent).await;
    client.exchange();
    let page = client.ok("GET", "/_emulator/journal", NULL).await;
    let [answered, silent] = [&page["entries"][0], &page["entries"][1]];
    assert!(answered["tookMicros"].is_u64() && silent["tookMicros"].is_null(), "{page}");
    assert!(answered["beganMicros"].as_u64() <= silent["beganMicros"].as_u64());
    assert_eq!((&silent["fault"], &silent["status"]), (&json!(Effect::Silence), &json!(0)));
    assert_eq!(silent["operation"], json!(Operation::GetToken));
}
