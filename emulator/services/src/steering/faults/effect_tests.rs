//! Each effect as the core decides it: what the caller gets, what happened all the same, what was written down.

use std::time::Duration;

use bytes::Bytes;
use http::header;
use serde_json::Value;

use super::{Calls, Effect, Fault};
use crate::dps::testing::{Ca, Client, NOW, instance};
use crate::ground::exchange::Response;
use crate::ground::reply::Reply;
use crate::steering::journal::Entry;
use crate::steering::operation::Operation;
use crate::world::World;

/// A world with `my-ca` in it, and this waiting for the next code that is asked for.
struct Scene {
    client: Client,
    etag: String,
}

impl Scene {
    fn with(effect: Effect) -> Scene {
        let mut client = Client::new();
        let etag = client.put("my-ca", None, &Ca::new("my-ca").pem()).ok().etag().to_owned();
        strike_next(&mut client.world, Operation::GenerateVerificationCode, effect);
        Scene { client, etag }
    }

    fn ask_for_code(&mut self) -> Reply {
        let target = format!(
            "https://management.azure.com{}/certificates/my-ca/generateVerificationCode?api-version=2022-12-12",
            instance()
        );
        let token = self.client.world.identity.mint("https://management.azure.com", NOW);
        let request = http::Request::post(target)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::IF_MATCH, &self.etag)
            .body(Bytes::new())
            .unwrap();
        self.client.world.reply(&request, NOW)
    }

    /// Whether DPS has made a code.
    fn has_code(&mut self) -> bool {
        self.client.get("my-ca").ok().etag() != self.etag
    }

    fn entry(&self) -> Entry {
        newest(&self.client.world)
    }
}

fn strike_next(world: &mut World, operation: Operation, effect: Effect) {
    world.faults.add(Fault { operation, object: None, calls: Calls::First(1), effect });
}

fn newest(world: &World) -> Entry {
    world.journal.entries().next_back().unwrap().clone()
}

fn answer(reply: Reply) -> Response {
    match reply {
        Reply::Answer(response) => response,
        other => panic!("{other:?}"),
    }
}

fn json(response: &Response) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

#[test]
fn without_an_answer_the_journal_says_why_and_only_a_late_reset_leaves_something_done() {
    for (effect, done) in [(Effect::Silence, false), (Effect::ResetBefore, false), (Effect::ResetAfter, true)]
    {
        let mut scene = Scene::with(effect);
        let reply = scene.ask_for_code();
        let silent = matches!(reply, Reply::Silence);
        assert_eq!((reply.response().is_none(), silent), (true, effect == Effect::Silence), "{effect:?}");

        let entry = scene.entry();
        assert_eq!((entry.status, entry.fault), (0, Some(effect)));
        assert_eq!(entry.note, Some(format!("fault: {effect}")));
        assert_eq!((entry.etag, entry.code), (None, None), "nobody saw them");
        assert_eq!(entry.if_match, Some(scene.etag.clone()));
        assert_eq!(scene.has_code(), done, "{effect:?}");
    }
}

#[test]
fn a_late_answer_is_the_right_one() {
    let mut scene = Scene::with(Effect::Delay(Duration::from_secs(7)));
    let reply = scene.ask_for_code();
    let Reply::AnswerAfter(time, response) = reply else { panic!("{reply:?}") };
    assert_eq!(time, Duration::from_secs(7));
    assert!(json(&response)["properties"]["verificationCode"].is_string());
    assert_eq!(scene.entry().note.as_deref(), Some("fault: answered 7s late"));
    assert!(scene.has_code());
}

#[test]
fn half_an_answer_promises_the_whole_and_what_was_asked_has_happened() {
    let mut scene = Scene::with(Effect::Truncated);
    let reply = scene.ask_for_code();
    let Reply::Truncated { sent, promised } = reply else { panic!("{reply:?}") };
    assert_eq!(sent.body().len(), promised / 2);
    assert_eq!(scene.entry().code, None, "half an answer tells nothing");
    assert!(scene.has_code());
}

#[test]
fn a_proxy_s_page_is_a_success_that_is_none() {
    let mut scene = Scene::with(Effect::Html);
    let response = answer(scene.ask_for_code());
    assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (200, &html()));
    assert!(response.body().starts_with(b"<!DOCTYPE html>"));
    assert!(!scene.has_code());
}

fn html() -> header::HeaderValue {
    header::HeaderValue::from_static("text/html; charset=utf-8")
}

#[test]
fn json_of_another_shape_has_nothing_a_client_looks_for() {
    let mut scene = Scene::with(Effect::WrongShape);
    let response = answer(scene.ask_for_code());
    assert_eq!(response.status(), 200);
    for member in ["etag", "properties", "id", "value", "error"] {
        assert_eq!(json(&response).get(member), None, "{member}");
    }
    assert!(scene.has_code());
}

#[test]
fn a_stale_etag_is_the_one_from_before_the_latest_write() {
    let mut scene = Scene::with(Effect::StaleEtag);
    let response = answer(scene.ask_for_code());
    assert_eq!(json(&response)["etag"], *scene.etag, "the write's own answer carries the caller's etag");
    assert!(scene.has_code());

    strike_next(&mut scene.client.world, Operation::GetCertificate, Effect::StaleEtag);
    let shown = scene.client.get("my-ca").ok();
    assert_eq!(shown.etag(), scene.etag);
    assert_ne!(scene.client.get("my-ca").ok().etag(), scene.etag, "only one answer was stale");
}

#[test]
fn a_new_certificate_s_stale_etag_names_no_state_at_all() {
    let mut client = Client::new();
    strike_next(&mut client.world, Operation::PutCertificate, Effect::StaleEtag);
    let etag = client.put("my-ca", None, &Ca::new("my-ca").pem()).ok().etag().to_owned();
    assert_eq!(client.generate_code("my-ca", Some(&etag)).status, 412);
}

#[test]
fn throttling_says_how_long_or_does_not() {
    for retry_after in [Some(7), None] {
        let effect = Effect::Throttle { retry_after };
        let mut scene = Scene::with(effect);
        let response = answer(scene.ask_for_code());
        assert_eq!(response.status(), 429);
        let said = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap());
        assert_eq!(said, retry_after.map(|_| "7"));
        assert_eq!(json(&response)["error"]["code"], "TooManyRequests");
        assert_eq!(scene.entry().fault, Some(effect));
        assert!(!scene.has_code());
    }
}

#[test]
fn the_identity_endpoint_fails_in_its_own_form() {
    let mut world = World::tutorial(1);
    strike_next(&mut world, Operation::GetToken, Effect::Answer(500));
    let target = "/msi/token?api-version=2019-08-01&resource=https://vault.azure.net";
    let request = http::Request::get(target).body(Bytes::new()).unwrap();
    let response = answer(world.reply(&request, NOW));
    assert_eq!(response.status(), 500);
    assert_eq!(json(&response)["statusCode"], 500);
    assert!(newest(&world).note.is_some_and(|note| note == json(&response)["message"]));
}

#[test]
fn a_vault_s_challenge_is_a_call_of_its_own() {
    let mut world = World::tutorial(1);
    for operation in [Operation::GetSecret, Operation::VaultChallenge] {
        world.faults.add(Fault { operation, object: None, calls: Calls::Always, effect: Effect::Silence });
    }
    let token = world.identity.mint("https://vault.azure.net", NOW);
    for (authorization, struck) in [(None, [0, 1]), (Some(format!("Bearer {token}")), [1, 1])] {
        let mut request = http::Request::get("/secrets/root-ca?api-version=2025-07-01")
            .header(header::HOST, "my-vault.vault.azure.net");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let reply = world.reply(&request.body(Bytes::new()).unwrap(), NOW);
        assert!(matches!(reply, Reply::Silence), "{reply:?}");
        assert_eq!(world.faults.rules().map(|rule| rule.hits()).collect::<Vec<_>>(), struck);
    }
}

#[test]
fn callers_that_need_an_answer_get_a_gateway_s() {
    for (effect, status) in
        [(Effect::ResetBefore, 502), (Effect::ResetAfter, 502), (Effect::Silence, 504), (Effect::Html, 200)]
    {
        assert_eq!(Scene::with(effect).ask_for_code().into_response().status(), status, "{effect:?}");
    }
}
