//! Tokens as Entra ID makes them, and as others might.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Request};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::join_all;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use serde_json::{Value, json};
use time::macros::datetime;
use tokio::time::{Instant, advance, sleep};

use super::keys::{FAILURE_COUNTS_FOR, FRESH, GOOD_WITHOUT_ENTRA, JsonWebKey, LOOK_AGAIN_AFTER};
use super::*;

const TENANT: &str = "00000000-0000-0000-0000-00000000aad0";
const AUDIENCE: &str = "api://keyholder";
const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

static KEYS: LazyLock<[PKey<Private>; 2]> =
    LazyLock::new(|| [(); 2].map(|()| PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key")));

/// How long Entra ID takes for an answer.
const SLOW: Duration = Duration::from_secs(4);

/// Entra ID, with one key at first.
#[derive(Debug)]
struct Entra {
    published: AtomicU32,
    asked: AtomicU32,
    status: AtomicU16,
}

impl Entra {
    fn new() -> Arc<Entra> {
        Arc::new(Entra { published: 1.into(), asked: 0.into(), status: 200.into() })
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait::async_trait]
impl HttpClient for Entra {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let url =
            "https://login.microsoftonline.com/00000000-0000-0000-0000-00000000aad0/discovery/v2.0/keys";
        assert_eq!(request.url().as_str(), url);
        self.asked.fetch_add(1, Ordering::Relaxed);
        sleep(SLOW).await;
        let keys = KEYS.iter().take(self.published.load(Ordering::Relaxed) as usize).enumerate();
        let keys = keys.map(|(index, key)| {
            let rsa = key.rsa().expect("an RSA key");
            let number = |number: &openssl::bn::BigNumRef| URL_SAFE_NO_PAD.encode(number.to_vec());
            json!({
                "kty": "RSA", "use": "sig", "kid": format!("key {index}"), "n": number(rsa.n()),
                "e": number(rsa.e()), "x5c": ["…"]
            })
        });
        let odd =
            [json!({ "kty": "EC", "kid": "curve" }), json!({ "kty": "RSA", "kid": "broken", "n": "%" })];
        let body = json!({ "keys": keys.chain(odd).collect::<Vec<_>>() }).to_string();
        let status = self.status.load(Ordering::Relaxed).into();
        Ok(AsyncRawResponse::from_bytes(status, Headers::new(), body.into_bytes()))
    }
}

fn claims() -> Value {
    json!({
        "iss": format!("https://sts.windows.net/{TENANT}/"), "aud": AUDIENCE, "roles": [ROLE],
        "appid": PUBLIC_EVENT_GRID,
        "nbf": NOW.unix_timestamp(), "exp": NOW.unix_timestamp() + 3600, "tid": TENANT, "ver": "1.0"
    })
}

fn with(member: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[member] = value.into();
    claims
}

fn header(key: usize) -> Value {
    json!({ "typ": "JWT", "alg": "RS256", "kid": format!("key {key}") })
}

fn token(key: usize, header: &Value, claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let mut signer = Signer::new(MessageDigest::sha256(), &KEYS[key]).expect("starts");
    let signature = signer.sign_oneshot_to_vec(signed.as_bytes()).expect("signs");
    format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn good() -> String {
    token(0, &header(0), &claims())
}

fn checker(entra: &Arc<Entra>) -> Bearer {
    let authority = Url::parse(PUBLIC_AUTHORITY).expect("a URL");
    let expected = Expected {
        tenant: TENANT.into(),
        audience: AUDIENCE.into(),
        authority,
        event_grid: PUBLIC_EVENT_GRID.into(),
    };
    Bearer::new(expected, entra.clone())
}

#[tokio::test(start_paused = true)]
async fn a_token_of_event_grid_is_taken_in_both_forms() {
    let bearer = checker(&Entra::new());
    let mut second = with("iss", format!("{PUBLIC_AUTHORITY}/{TENANT}/v2.0"));
    second["azp"] = second["appid"].take();
    for claims in [claims(), second, with("roles", json!(["another", ROLE]))] {
        let token = token(0, &header(0), &claims);
        assert_eq!(bearer.check(Some(&token), NOW).await, Ok(()), "{claims}");
    }
}

#[tokio::test(start_paused = true)]
async fn everything_else_is_refused_with_the_reason_and_without_the_token() {
    let bearer = checker(&Entra::new());
    let tampered = {
        let (good, other) = (good(), token(0, &header(0), &with("aud", "api://another")));
        let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
        format!("{}.{}.{}", parts(&good)[0], parts(&other)[1], parts(&good)[2])
    };
    let not_signed = {
        let none = token(0, &json!({ "alg": "none", "kid": "key 0" }), &claims());
        none[..=none.rfind('.').expect("a dot")].to_owned()
    };
    let hmac = json!({ "alg": "HS256", "kid": "key 0" });
    let no_key = json!({ "alg": "RS256" });
    let hour = 3600;
    let rows = [
        ("nothing", String::new(), "no bearer token"),
        ("another scheme", "Basic abc".to_owned(), "no bearer token"),
        ("no token", "Bearer abc".to_owned(), "no JSON Web Token"),
        ("not base64", "Bearer %.%.%".to_owned(), "cannot be read"),
        ("a part more", good() + ".x", "no JSON Web Token"),
        ("not signed", not_signed, "its algorithm is \"none\""),
        ("signed with what is public", token(0, &hmac, &claims()), "its algorithm is \"HS256\""),
        ("no key named", token(0, &no_key, &claims()), "names no key"),
        ("an unknown key", token(0, &header(7), &claims()), "no key of the name"),
        (
            "a key of another kind",
            token(0, &json!({ "alg": "RS256", "kid": "curve" }), &claims()),
            "no key of the name",
        ),
        ("signed with another key", token(1, &header(0), &claims()), "its signature"),
        ("changed after it was signed", tampered, "its signature"),
        ("cut short", good()[..good().len() - 4].to_owned(), "its signature"),
        (
            "another tenant",
            token(0, &header(0), &with("iss", "https://sts.windows.net/another/")),
            "its issuer",
        ),
        ("another issuer", token(0, &header(0), &with("iss", "https://evil.example/")), "its issuer"),
        (
            "for another application",
            token(0, &header(0), &with("aud", "api://another")),
            "KEYHOLDER_WEBHOOK_ENTRA says",
        ),
        ("of an hour ago", token(0, &header(0), &with("exp", NOW.unix_timestamp() - hour)), "expired"),
        ("of tomorrow", token(0, &header(0), &with("nbf", NOW.unix_timestamp() + hour)), "not good yet"),
        ("without the role", token(0, &header(0), &with("roles", json!([]))), ROLE),
        ("with another role", token(0, &header(0), &with("roles", json!(["Reader"]))), ROLE),
        (
            "given to another application",
            token(0, &header(0), &with("appid", TENANT)),
            "KEYHOLDER_WEBHOOK_EVENT",
        ),
        ("given to two", token(0, &header(0), &with("azp", TENANT)), "KEYHOLDER_WEBHOOK_EVENT"),
        (
            "without the application it was given to",
            token(0, &header(0), &with("appid", Value::Null)),
            "appid, azp",
        ),
        ("without time", token(0, &header(0), &with("exp", Value::Null)), "cannot be read"),
    ];
    for (name, authorization, expected) in rows {
        match bearer.check(Some(&authorization), NOW).await {
            Err(NotTaken::Refused(reason)) => {
                assert!(reason.contains(expected), "{name}: {reason}");
                let secret = authorization.rsplit('.').next().unwrap_or_default();
                assert!(secret.len() < 20 || !reason.contains(secret), "{name}: {reason}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(bearer.check(None, NOW).await, Err(refused("there is no bearer token")));
}

#[tokio::test(start_paused = true)]
async fn clocks_may_disagree_a_little() {
    let bearer = checker(&Entra::new());
    for (moment, taken) in [
        (NOW - time::Duration::minutes(5), true),
        (NOW - time::Duration::minutes(6), false),
        (NOW + time::Duration::minutes(64), true),
        (NOW + time::Duration::minutes(65), false),
    ] {
        assert_eq!(bearer.check(Some(&good()), moment).await.is_ok(), taken, "{moment}");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_once_a_day_and_for_a_new_name_at_most_once_a_minute() {
    let entra = Entra::new();
    let bearer = checker(&entra);
    let new = token(1, &header(1), &claims());
    for _ in 0..3 {
        bearer.check(Some(&good()), NOW).await.expect("it is good");
    }
    assert_eq!(entra.asked(), 1);
    for _ in 0..3 {
        bearer.check(Some(&new), NOW).await.expect_err("its key is not published yet");
    }
    assert_eq!(entra.asked(), 1, "it was asked a moment ago");

    entra.published.store(2, Ordering::Relaxed);
    advance(LOOK_AGAIN_AFTER).await;
    bearer.check(Some(&new), NOW).await.expect("its key is published");
    assert_eq!(entra.asked(), 2);
    advance(FRESH - Duration::from_secs(1)).await;
    bearer.check(Some(&good()), NOW).await.expect("it is good");
    assert_eq!(entra.asked(), 2);
    advance(Duration::from_secs(1)).await;
    bearer.check(Some(&good()), NOW).await.expect("it is good");
    assert_eq!(entra.asked(), 3);
}

fn is_unknown(result: &Result<(), NotTaken>) -> bool {
    matches!(result, Err(NotTaken::Unknown(CallError::Unavailable { status: Some(503), .. })))
}

#[tokio::test(start_paused = true)]
async fn without_keys_nothing_is_known_and_those_who_meet_wait_for_one_failure() {
    let entra = Entra::new();
    entra.status.store(503, Ordering::Relaxed);
    let bearer = checker(&entra);
    let (begun, good) = (Instant::now(), good());
    let results = join_all((0..8).map(|_| bearer.check(Some(&good), NOW))).await;
    assert!(results.iter().all(is_unknown), "{results:?}");
    assert_eq!((begun.elapsed(), entra.asked()), (SLOW, 1));

    advance(FAILURE_COUNTS_FOR - Duration::from_secs(1)).await;
    assert!(is_unknown(&bearer.check(Some(&good), NOW).await));
    assert_eq!(entra.asked(), 1, "it failed a moment ago");
    entra.status.store(200, Ordering::Relaxed);
    advance(Duration::from_secs(1)).await;
    assert_eq!(bearer.check(Some(&good), NOW).await, Ok(()));
    assert_eq!(entra.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn those_who_meet_while_keys_are_fetched_share_one_fetch() {
    let entra = Entra::new();
    let (bearer, good) = (checker(&entra), good());
    let begun = Instant::now();
    let results = join_all((0..8).map(|_| bearer.check(Some(&good), NOW))).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!((begun.elapsed(), entra.asked()), (SLOW, 1));
}

#[tokio::test(start_paused = true)]
async fn keys_at_hand_stay_good_for_a_week_while_entra_is_away() {
    let entra = Entra::new();
    let (bearer, good) = (checker(&entra), good());
    bearer.check(Some(&good), NOW).await.expect("it is good");
    for wrong in [503, 404] {
        entra.status.store(wrong, Ordering::Relaxed);
        advance(FRESH).await;
        assert_eq!(bearer.check(Some(&good), NOW).await, Ok(()), "{wrong}");
    }
    // Nor does a set without any key take their place.
    entra.status.store(200, Ordering::Relaxed);
    entra.published.store(0, Ordering::Relaxed);
    advance(FRESH).await;
    assert_eq!(bearer.check(Some(&good), NOW).await, Ok(()));

    entra.status.store(503, Ordering::Relaxed);
    advance(GOOD_WITHOUT_ENTRA - 3 * FRESH).await;
    assert!(is_unknown(&bearer.check(Some(&good), NOW).await));
}

#[tokio::test(start_paused = true)]
async fn a_key_at_hand_is_not_held_up_by_those_who_ask_for_another() {
    let entra = Entra::new();
    let (bearer, good, unknown) = (checker(&entra), good(), token(1, &header(1), &claims()));
    bearer.check(Some(&good), NOW).await.expect("it is good");
    advance(LOOK_AGAIN_AFTER).await;
    let begun = Instant::now();
    let (waited, immediate) =
        tokio::join!(async { (bearer.check(Some(&unknown), NOW).await, begun.elapsed()) }, async {
            (bearer.check(Some(&good), NOW).await, begun.elapsed())
        },);
    assert_eq!((waited.0.is_err(), waited.1), (true, SLOW));
    assert_eq!(immediate, (Ok(()), Duration::ZERO));
}

/// RFC 7515, appendix A.2, and RFC 7520, section 4.1: published with their keys.
#[test]
fn published_signatures_are_good_and_no_others() {
    let vectors = include_str!("../../../tests/fixtures/jose/rs256.json");
    let vectors: Vec<Value> = serde_json::from_str(vectors).expect("JSON");
    let keys: Vec<_> = vectors
        .iter()
        .map(|vector| serde_json::from_value::<JsonWebKey>(vector["key"].clone()).expect("a key"))
        .map(|key| key.public().expect("one for RS256"))
        .collect();
    assert_eq!(keys.len(), 2);
    for (index, vector) in vectors.iter().enumerate() {
        let part = |name: &str| vector[name].as_str().expect("a part").to_owned();
        let whole = |header: String, payload: String, signature: String| {
            format!("Bearer {header}.{payload}.{signature}")
        };
        let good = whole(part("header"), part("payload"), part("signature"));
        let judge =
            |token: &str, key: usize| Token::of(token).expect("three parts").is_signed_with(&keys[key]);
        assert!(judge(&good, index), "{}", vector["source"]);
        assert!(!judge(&good, 1 - index), "{}: another key", vector["source"]);
        // A letter changed in any of the three.
        for name in ["header", "payload", "signature"] {
            for at in [0, part(name).len() / 2] {
                let changed = |this: &str| {
                    let mut text = part(this);
                    let other = if text.as_bytes()[at.min(text.len() - 1)] == b'A' { "B" } else { "A" };
                    if this == name {
                        text.replace_range(at..=at, other);
                    }
                    text
                };
                let token = whole(changed("header"), changed("payload"), changed("signature"));
                assert!(!judge(&token, index), "{}: {name} at {at}", vector["source"]);
            }
        }
    }
    let cookbook =
        Token::of("Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.e30.e30");
    assert_eq!(cookbook.and_then(|token| token.key_id()).as_deref(), Ok("bilbo.baggins@hobbiton.example"));
}
