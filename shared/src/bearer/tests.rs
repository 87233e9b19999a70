//! Tokens as Entra ID makes them, and as others might.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use azure_core::http::AsyncRawResponse;
use azure_core::http::headers::Headers;
use openssl::pkey::Private;
use openssl::sign::Signer;
use serde_json::{Value, json};
use time::macros::datetime;
use tokio::time::advance;

use super::*;

const TENANT: &str = "00000000-0000-0000-0000-00000000aad0";
const AUDIENCE: &str = "api://keyholder";
const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

static KEYS: LazyLock<[PKey<Private>; 2]> =
    LazyLock::new(|| [(); 2].map(|()| PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key")));

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
    let expected = Expected { tenant: TENANT.into(), audience: AUDIENCE.into(), authority };
    Bearer::new(expected, entra.clone())
}

#[tokio::test]
async fn a_token_of_event_grid_is_taken_in_both_forms() {
    let bearer = checker(&Entra::new());
    let second = with("iss", format!("{PUBLIC_AUTHORITY}/{TENANT}/v2.0"));
    for claims in [claims(), second, with("roles", json!(["another", ROLE]))] {
        let token = token(0, &header(0), &claims);
        assert_eq!(bearer.check(Some(&token), NOW).await, Ok(()), "{claims}");
    }
}

#[tokio::test]
async fn everything_else_is_refused_with_the_reason_and_without_the_token() {
    let bearer = checker(&Entra::new());
    let tampered = {
        let (good, other) = (good(), token(0, &header(0), &with("aud", "api://another")));
        let [head, _, signature] = parts(&good).expect("three");
        format!("{head}.{}.{signature}", parts(&other).expect("three")[1])
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
        ("a key nobody has", token(0, &header(7), &claims()), "no key of the name"),
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
            "for somebody else",
            token(0, &header(0), &with("aud", "api://another")),
            "KEYHOLDER_WEBHOOK_ENTRA says",
        ),
        ("of an hour ago", token(0, &header(0), &with("exp", NOW.unix_timestamp() - hour)), "expired"),
        ("of tomorrow", token(0, &header(0), &with("nbf", NOW.unix_timestamp() + hour)), "not good yet"),
        ("without the role", token(0, &header(0), &with("roles", json!([]))), ROLE),
        ("with another role", token(0, &header(0), &with("roles", json!(["Reader"]))), ROLE),
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

#[tokio::test]
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
    advance(KEYS_LIFETIME).await;
    bearer.check(Some(&good()), NOW).await.expect("it is good");
    assert_eq!(entra.asked(), 3);
}

#[tokio::test]
async fn without_keys_nothing_is_known_and_the_next_try_asks_again() {
    let entra = Entra::new();
    entra.status.store(503, Ordering::Relaxed);
    let bearer = checker(&entra);
    for _ in 0..2 {
        match bearer.check(Some(&good()), NOW).await {
            Err(NotTaken::Unknown(CallError::Unavailable { status: Some(503), .. })) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(entra.asked(), 2);
    entra.status.store(200, Ordering::Relaxed);
    bearer.check(Some(&good()), NOW).await.expect("it is good");
}
