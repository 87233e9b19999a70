//! The verifier against peers that refuse, fail, lie, or lose an answer. The test answers single calls itself;
//! all others get the emulator's answers.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyholder::Outcome;
use keyholder::reason::Reason;
use keyholder_emulator::mock;
use keyholder_emulator::operation::Operation;
use openssl::ecdsa::EcdsaSig;
use openssl::pkey::PKey;
use serde_json::{Value, json};
use wiremock::matchers::{header_exists, method, path_regex, query_param_is_missing};
use wiremock::{Mock, MockBuilder, MockServer, Request, ResponseTemplate};

use crate::harness::authority::{Authority, Family};
use crate::harness::wire::Wire;

fn getting() -> MockBuilder {
    Mock::given(method("GET")).and(path_regex("/certificates/plant-ca$")).and(path_regex("^/subscriptions"))
}

fn asking_for_a_code() -> MockBuilder {
    Mock::given(method("POST")).and(path_regex("/generateVerificationCode$"))
}

fn handing_in() -> MockBuilder {
    Mock::given(method("POST")).and(path_regex("/verify$"))
}

/// As DPS says it.
fn dps_error(status: u16, code: u32, message: &str) -> ResponseTemplate {
    let body = json!({ "code": code, "httpStatusCode": "Whatever", "message": message });
    ResponseTemplate::new(status).set_body_json(body)
}

/// As ARM says it.
fn arm_error(status: u16, code: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "error": { "code": code, "message": message } }))
}

async fn uploaded() -> (Wire, Authority) {
    let ca = Authority::root("Plant Root", Family::P256);
    (Wire::start_with("plant-ca", &ca).await, ca)
}

/// The codes handed out, oldest first.
fn codes(wire: &Wire) -> Vec<String> {
    wire.emulator.look(|world, _| world.journal.entries().filter_map(|entry| entry.code.clone()).collect())
}

#[tokio::test]
async fn a_proof_takes_five_kinds_of_calls_and_no_more_than_needed() {
    let (wire, ca) = uploaded().await;
    let outcome = wire.verify("plant-ca").await;
    assert!(matches!(*outcome, Outcome::Verified { .. }), "{outcome}");

    ca.assert_proven(&wire.proofs().await[0], &codes(&wire)[0]);
    let calls = [
        ("GET", "/provisioningServices/my-dps-x509/certificates/plant-ca", 2),
        ("POST", "/generateVerificationCode", 1),
        ("POST", "/sign", 1),
        ("POST", "/verify", 1),
    ];
    for (method, path, times) in calls {
        assert_eq!(wire.received(method, path).await.len(), times, "{method} {path}");
    }
    let outcome = wire.verify("plant-ca").await;
    assert!(matches!(*outcome, Outcome::AlreadyVerified), "{outcome}");
    assert_eq!(wire.proofs().await.len(), 1);
}

#[tokio::test]
async fn every_write_carries_the_etag_of_the_answer_before_it() {
    let (wire, _) = uploaded().await;
    wire.verify("plant-ca").await;
    let journal: Vec<_> = wire.emulator.look(|world, _| world.journal.entries().cloned().collect());
    let mut seen = None;
    let mut writes = 0;
    for entry in journal.iter().skip_while(|entry| !entry.operation.name().contains("getCertificate")) {
        if let Some(condition) = &entry.if_match {
            assert_eq!(Some(condition), seen.as_ref(), "{entry:?}");
            writes += 1;
        }
        seen = entry.etag.clone().or(seen);
    }
    assert_eq!(writes, 2, "a code and a proof");
}

#[tokio::test]
async fn an_etag_that_went_stale_costs_another_code_and_another_proof() {
    let (wire, ca) = uploaded().await;
    let refusal = dps_error(412, 412_001, "Invalid ETag supplied.");
    handing_in().respond_with(refusal).up_to_n_times(1).expect(1).mount(&wire.server).await;

    let outcome = wire.verify("plant-ca").await;
    assert!(matches!(*outcome, Outcome::Verified { .. }), "{outcome}");
    let (proofs, codes) = (wire.proofs().await, codes(&wire));
    assert_eq!((proofs.len(), codes.len()), (2, 2));
    for (proof, code) in proofs.iter().zip(&codes) {
        ca.assert_proven(proof, code);
    }
}

#[tokio::test]
async fn apps_on_several_machines_verify_once_between_them() {
    let (wire, _) = uploaded().await;
    let outcomes = wire.verify_at_once("plant-ca", 3).await;
    let told: Vec<String> = outcomes.iter().map(ToString::to_string).collect();
    assert!(wire.shows_verified("plant-ca"), "{told:#?}");
    let mut proven = outcomes.iter().filter(|outcome| matches!(***outcome, Outcome::Verified { .. }));
    assert!(proven.next().is_some() && proven.next().is_none(), "{told:#?}");
    let journal: Vec<_> = wire.emulator.look(|world, _| world.journal.entries().cloned().collect());
    let taken = journal.iter().filter(|entry| entry.operation == Operation::Verify && entry.status == 200);
    assert_eq!(taken.count(), 1, "{journal:#?}");
}

#[tokio::test]
async fn a_server_error_is_tried_again_within_the_run() {
    for (name, failing) in
        [("looking", getting()), ("a code", asking_for_a_code()), ("a proof", handing_in())]
    {
        let (wire, _) = uploaded().await;
        let failure = ResponseTemplate::new(500).set_body_string("<html>oops</html>");
        failing.respond_with(failure).up_to_n_times(1).expect(1).mount(&wire.server).await;
        let outcome = wire.verify("plant-ca").await;
        assert!(matches!(*outcome, Outcome::Verified { .. }), "{name}: {outcome}");
    }
}

#[tokio::test]
async fn a_proof_that_was_taken_but_whose_answer_was_lost_is_not_handed_in_again() {
    let (wire, _) = uploaded().await;
    let emulator = wire.emulator.clone();
    let take_and_forget = move |request: &Request| {
        mock::answer(&emulator, request);
        ResponseTemplate::new(504)
    };
    handing_in().respond_with(take_and_forget).expect(1).mount(&wire.server).await;
    let outcome = wire.verify("plant-ca").await;
    assert!(matches!(*outcome, Outcome::Verified { .. }), "{outcome}");
}

#[tokio::test]
async fn a_certificate_deleted_between_two_calls_is_gone() {
    for (name, deleting) in [("before the code", asking_for_a_code()), ("before the proof", handing_in())] {
        let (wire, _) = uploaded().await;
        let emulator = wire.emulator.clone();
        let delete_first = move |request: &Request| {
            let mut deletion = request.clone();
            deletion.method = http::Method::DELETE;
            let path = request.url.path().rsplit_once('/').expect("an action follows the id").0;
            deletion.url.set_path(path);
            mock::answer(&emulator, &deletion);
            mock::answer(&emulator, request)
        };
        deleting.respond_with(delete_first).expect(1).mount(&wire.server).await;
        let outcome = wire.verify("plant-ca").await;
        assert!(matches!(*outcome, Outcome::Gone), "{name}: {outcome}");
    }
}

#[tokio::test]
async fn a_challenge_that_is_no_code_is_never_signed() {
    let codes = [
        "login.example.com",
        "LOGIN1.EXAMPLE.COM",
        "ADMINISTRATOR",
        "SERVER01",
        "DC01CORP1",
        "1234567890",
        "a1b2c3d4e5f6g7h8",
        "/CN=EVIL1",
        "A1B2C3D4E5F6/CN=EVIL1",
        "A1B2C3D4E5F6,CN=EVIL1",
        "A1B2C3D4E5F6\nEVIL1",
        "A1B2C3D4E5F6\u{0}EVIL1",
        "Ａ１Ｂ２Ｃ３Ｄ４ＥＶＩＬ",
        "A1B2C3D4E5F6G7H8 ",
        &"A1".repeat(2048),
        "",
    ];
    for code in codes.map(Value::from) {
        let (wire, _) = uploaded().await;
        let emulator = wire.emulator.clone();
        let lie = {
            let code = code.clone();
            move |request: &Request| {
                mock::answer(&emulator, request);
                let shown = show(&emulator);
                let mut body = shown;
                body["properties"]["verificationCode"] = code.clone();
                ResponseTemplate::new(200).set_body_json(body)
            }
        };
        asking_for_a_code().respond_with(lie).expect(1).mount(&wire.server).await;
        let outcome = wire.verify("plant-ca").await;
        assert!(matches!(*outcome, Outcome::Failed(_)), "{code}: {outcome}");
        assert!(!outcome.to_string().contains("EVIL"), "{code}: hostile text is repeated: {outcome}");
        assert_eq!(wire.signatures().await, Vec::<String>::new(), "{code}");
        assert!(wire.proofs().await.is_empty(), "{code}");
    }
}

#[tokio::test]
async fn a_vault_that_signs_with_another_key_proves_nothing() {
    let (wire, _) = uploaded().await;
    let other = PKey::private_key_from_pem(Authority::root("Other", Family::P256).key().as_bytes()).unwrap();
    let sign = move |request: &Request| {
        let body: Value = request.body_json().unwrap();
        let digest = URL_SAFE_NO_PAD.decode(body["value"].as_str().unwrap()).unwrap();
        let pair = EcdsaSig::sign(&digest, &other.ec_key().unwrap()).unwrap();
        let halves = [pair.r(), pair.s()].map(|half| half.to_vec_padded(32).unwrap()).concat();
        let key = format!("https://my-vault.vault.localhost:8443{}", request.url.path());
        let body = json!({ "kid": key.trim_end_matches("/sign"), "value": URL_SAFE_NO_PAD.encode(halves) });
        ResponseTemplate::new(200).set_body_json(body)
    };
    let signing = Mock::given(method("POST")).and(path_regex("/sign$")).and(header_exists("authorization"));
    signing.respond_with(sign).expect(1).mount(&wire.server).await;
    let outcome = wire.verify("plant-ca").await;
    assert_eq!(outcome.reason(), Reason::NoProof, "{outcome}");
    assert!(outcome.to_string().contains("the vault signed with another key"), "{outcome}");
    assert_eq!(wire.proofs().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_vault_gets_no_token_for_another_service() {
    for resource in [
        "https://management.azure.com",
        "https://vault.azure.net",
        "https://vault.localhost.evil.example:8443",
    ] {
        let (wire, _) = uploaded().await;
        let challenge =
            format!("Bearer authorization=\"https://login.evil.example/tenant\", resource=\"{resource}\"");
        let refusal = ResponseTemplate::new(401).insert_header("www-authenticate", challenge);
        let vault = Mock::given(path_regex("^/(certificates|keys|secrets)"));
        vault.respond_with(refusal).mount(&wire.server).await;
        let outcome = wire.verify("plant-ca").await;
        assert!(matches!(*outcome, Outcome::TryAgain(_)), "{resource}: {outcome}");
        let asked = wire.received("GET", "/certificates/plant-ca/").await;
        let brought = asked.iter().filter(|request| request.headers.contains_key("authorization"));
        assert_eq!(brought.count(), 0, "{resource}: a token was brought");
        assert!(!asked.is_empty(), "{resource}: nobody asked");
    }
}

#[tokio::test]
async fn a_vault_s_list_leads_our_token_nowhere_else() {
    let ca = Authority::root("Plant Root", Family::P256);
    for link in ["https://evil.example/certificates?page=2", "//evil.example/certificates?page=2"] {
        let wire = Wire::start_with("plant-ca", &ca).await;
        // Not by its name, so the vault is listed.
        wire.ask_dps(
            "PUT",
            "line-7",
            "",
            &json!({ "properties": { "certificate": STANDARD.encode(ca.certificate()) } }),
        );
        let first = ResponseTemplate::new(200).set_body_json(json!({ "value": [], "nextLink": link }));
        let listing = Mock::given(method("GET")).and(path_regex("^/certificates/?$"));
        let listing = listing.and(header_exists("authorization")).and(query_param_is_missing("page"));
        listing.respond_with(first).mount(&wire.server).await;
        let outcome = wire.verify("line-7").await;
        assert_eq!(outcome.reason(), Reason::Unreachable, "{link}: {outcome}");
        assert!(outcome.to_string().contains("leads to another host"), "{link}: {outcome}");
        let requests = wire.received("GET", "").await;
        let hosts = requests.iter().map(|request| request.headers["host"].to_str().unwrap());
        assert!(hosts.into_iter().all(|host| !host.starts_with("evil")), "{link}");
    }
}

#[tokio::test]
async fn a_vault_s_list_without_an_end_is_given_up() {
    let ca = Authority::root("Plant Root", Family::P256);
    let wire = Wire::start_with("plant-ca", &ca).await;
    // Not by its name, so the vault is listed.
    let upload = json!({ "properties": { "certificate": STANDARD.encode(ca.certificate()) } });
    wire.ask_dps("PUT", "line-7", "", &upload);
    let link = "https://my-vault.vault.localhost:8443/certificates?page=2";
    let page = ResponseTemplate::new(200).set_body_json(json!({ "value": [], "nextLink": link }));
    let listing = Mock::given(method("GET")).and(path_regex("^/certificates/?$"));
    listing.and(header_exists("authorization")).respond_with(page).mount(&wire.server).await;
    let outcome = wire.verify("line-7").await;
    assert_eq!(outcome.reason(), Reason::Unreachable, "{outcome}");
    assert!(outcome.to_string().contains("more than 100 pages"), "{outcome}");
    assert_eq!(wire.proofs().await, Vec::<String>::new());
}

/// What tells such a key from another one is its type; it signs as any other, and is never exported.
#[tokio::test]
async fn a_key_in_an_hsm_signs_like_any_other() {
    for (family, kind) in [(Family::Rsa2048, "RSA-HSM"), (Family::P256, "EC-HSM")] {
        let ca = Authority::root("Plant Root", family);
        let wire = Wire::start_with("plant-ca", &ca).await;
        let bundle = wire.vault_shows("plant-ca");
        let mut hsm = bundle.clone();
        hsm["policy"]["key_props"] = json!({ "exportable": false, "kty": kind, "reuse_key": false });
        let vault = Mock::given(method("GET")).and(path_regex("^/certificates/plant-ca"));
        let answer = ResponseTemplate::new(200).set_body_json(hsm);
        vault.and(header_exists("authorization")).respond_with(answer).expect(1).mount(&wire.server).await;
        let outcome = wire.verify("plant-ca").await;
        assert!(matches!(*outcome, Outcome::Verified { .. }), "{kind}: {outcome}");
        ca.assert_proven(&wire.proofs().await[0], &codes(&wire)[0]);
    }
}

#[tokio::test]
async fn what_a_peer_refuses_is_told_in_its_own_words() {
    let refused = "does not have authorization to perform action";
    let failed = "Proof-Of-Possession failed.";
    let rows = [
        (
            "ARM",
            getting(),
            arm_error(403, "AuthorizationFailed", refused),
            ["403", "AuthorizationFailed", refused],
        ),
        ("DPS", handing_in(), dps_error(400, 400_053, failed), ["400", "400053", failed]),
    ];
    for (name, mock, answer, words) in rows {
        let (wire, _) = uploaded().await;
        mock.respond_with(answer).expect(1).mount(&wire.server).await;
        let outcome = wire.verify("plant-ca").await;
        assert!(matches!(*outcome, Outcome::Failed(_)), "{name}: {outcome}");
        for word in words {
            assert!(outcome.to_string().contains(word), "{name}: {outcome}");
        }
        assert!(!wire.shows_verified("plant-ca"), "{name}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (wire, _) = uploaded().await;
    let elsewhere = MockServer::start().await;
    let away = ResponseTemplate::new(307).insert_header("location", elsewhere.uri());
    handing_in().respond_with(away).mount(&wire.server).await;
    let outcome = wire.verify("plant-ca").await;
    assert!(matches!(*outcome, Outcome::Failed(_)), "{outcome}");
    assert!(elsewhere.received_requests().await.unwrap().is_empty(), "a token went somewhere else");
}

#[tokio::test]
async fn a_vault_cannot_send_the_signature_to_another_host() {
    let (wire, _) = uploaded().await;
    let emulator = wire.emulator.clone();
    let lie = move |request: &Request| {
        let answer = mock::answer(&emulator, request);
        if !request.headers.contains_key("authorization") {
            return answer;
        }
        let body = json!({
            "id": "https://my-vault.vault.localhost:8443/certificates/plant-ca/0123456789abcdef0123456789abcdef",
            "kid": "https://evil.example/keys/plant-ca/0123456789abcdef0123456789abcdef",
            "cer": "", "attributes": { "enabled": true }, "tags": { "keyholder": "*" },
        });
        ResponseTemplate::new(200).set_body_json(body)
    };
    let certificate = path_regex("^/certificates/plant-ca");
    Mock::given(method("GET")).and(certificate).respond_with(lie).mount(&wire.server).await;
    let outcome = wire.verify("plant-ca").await;
    assert!(!matches!(*outcome, Outcome::Verified { .. }), "{outcome}");
    assert_eq!(wire.signatures().await, Vec::<String>::new());
}

/// What DPS would show, without asking it over the wire.
fn show(emulator: &keyholder_emulator::Emulator) -> Value {
    use keyholder_emulator::world::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION};
    emulator.look(|world, _| {
        let found =
            world.dps.certificate(SUBSCRIPTION, RESOURCE_GROUP, PROVISIONING_SERVICE, "plant-ca").unwrap();
        json!({
            "properties": { "thumbprint": found.thumbprint(), "isVerified": found.is_verified() },
            "etag": found.etag().to_string(),
        })
    })
}
