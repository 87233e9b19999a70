//! What a caller of the webhook brings as its token, and what is answered in Entra ID's name as its keys.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, HttpClient, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::executor::block_on;
use keyholder::bearer::{Bearer, Expected, NotTaken, PUBLIC_AUTHORITY, PUBLIC_EVENT_GRID, ROLE};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use serde_json::{Value, json};
use time::OffsetDateTime;
use url::Url;

use super::crypto::assert_no_errors_left;
use super::{SENTENCE, assert_fits_a_log, text};

const TENANT: &str = "00000000-0000-0000-0000-00000000aad0";
const AUDIENCE: &str = "api://keyholder";
const KEY_ID: &str = "the key";
const NOW: i64 = 1_795_694_400;
const LEEWAY: i64 = 300;

static KEY: LazyLock<PKey<Private>> = LazyLock::new(|| {
    PKey::private_key_from_der(include_bytes!("../bearer-key.der")).expect("the key of this folder")
});
static BEARER: LazyLock<Bearer> = LazyLock::new(|| {
    let set = json!({ "keys": [{ "kty": "RSA", "kid": KEY_ID, "n": modulus(), "e": "AQAB" }] });
    bearer(set.to_string().into_bytes())
});

/// A line with a header and lines with claims, signed as Entra ID would: taken only if all of it is as it has to be.
/// The same bytes as a header of their own, which is not signed, are never taken.
pub fn bearer_token(data: &[u8]) {
    let whole = text(data);
    assert_refused(&check(&BEARER, &whole));
    assert_refused(&check(&BEARER, &format!("Bearer {whole}")));

    let (header, claims) = whole.split_once('\n').unwrap_or(("", &whole));
    let header = if header.is_empty() { r#"{"alg":"RS256","kid":"the key"}"# } else { header };
    let answer = check(&BEARER, &signed(header, claims));
    match &answer {
        Ok(()) => {
            let read = |text: &str| serde_json::from_str::<Value>(text).expect("what was taken is JSON");
            assert_header_is_good(&read(header));
            assert_claims_are_good(&read(claims));
        }
        Err(_) => assert_refused(&answer),
    }
    assert_no_errors_left();
}

/// A set of keys: a good token is taken only if its very key is in it, and under the name it gives.
pub fn jwk_set(data: &[u8]) {
    let claims = json!({
        "iss": format!("https://sts.windows.net/{TENANT}/"), "aud": AUDIENCE, "exp": NOW + 1, "roles": [ROLE],
        "appid": PUBLIC_EVENT_GRID
    });
    let header = json!({ "alg": "RS256", "kid": KEY_ID });
    match check(&bearer(data.to_vec()), &signed(&header.to_string(), &claims.to_string())) {
        Ok(()) => {
            let set: Value = serde_json::from_slice(data).expect("what was taken is JSON");
            let is_ours = |key: &Value| {
                key["kty"] == "RSA" && key["kid"] == KEY_ID && bytes(&key["n"]) == bytes(&modulus())
            };
            assert!(set["keys"].as_array().expect("a list").iter().any(is_ours), "{set}");
        }
        Err(not_taken) => assert_fits_a_log(&not_taken.to_string(), SENTENCE),
    }
    assert_no_errors_left();
}

fn assert_header_is_good(header: &Value) {
    assert_eq!((&header["alg"], &header["kid"]), (&json!("RS256"), &json!(KEY_ID)));
}

fn assert_claims_are_good(claims: &Value) {
    let issuers = [format!("https://sts.windows.net/{TENANT}/"), format!("{PUBLIC_AUTHORITY}/{TENANT}/v2.0")];
    assert!(issuers.iter().any(|issuer| claims["iss"] == *issuer), "{claims}");
    assert_eq!(claims["aud"], AUDIENCE);
    let expiry = claims["exp"].as_i64().expect("a moment");
    assert!(NOW < expiry.saturating_add(LEEWAY), "{claims}");
    assert!(claims["nbf"].as_i64().is_none_or(|from| NOW >= from.saturating_sub(LEEWAY)), "{claims}");
    assert!(claims["roles"].as_array().expect("a list").iter().any(|role| role == ROLE), "{claims}");
    let given_to: Vec<&str> = ["appid", "azp"].iter().filter_map(|name| claims[name].as_str()).collect();
    assert!(!given_to.is_empty(), "{claims}");
    assert!(given_to.iter().all(|id| id.eq_ignore_ascii_case(PUBLIC_EVENT_GRID)), "{claims}");
}

fn assert_refused(answer: &Result<(), NotTaken>) {
    match answer {
        Err(NotTaken::Refused(reason)) => assert_fits_a_log(reason, SENTENCE),
        other => panic!("{other:?}"),
    }
}

fn check(bearer: &Bearer, authorization: &str) -> Result<(), NotTaken> {
    let now = OffsetDateTime::from_unix_timestamp(NOW).expect("a moment of this century");
    block_on(bearer.check(Some(authorization), now))
}

fn signed(header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut signer = Signer::new(MessageDigest::sha256(), &KEY).expect("it starts");
    let signature = signer.sign_oneshot_to_vec(signed.as_bytes()).expect("it signs");
    format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn modulus() -> Value {
    URL_SAFE_NO_PAD.encode(KEY.rsa().expect("an RSA key").n().to_vec()).into()
}

/// A number without the zeros before it, which a set may have.
fn bytes(number: &Value) -> Vec<u8> {
    let bytes = URL_SAFE_NO_PAD.decode(number.as_str().unwrap_or_default()).unwrap_or_default();
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}

fn bearer(set: Vec<u8>) -> Bearer {
    let expected = Expected {
        tenant: TENANT.to_owned(),
        audience: AUDIENCE.to_owned(),
        authority: Url::parse(PUBLIC_AUTHORITY).expect("a URL"),
        event_grid: PUBLIC_EVENT_GRID.to_owned(),
    };
    Bearer::new(expected, Arc::new(Entra(set)))
}

/// Answers everything with these bytes.
#[derive(Debug)]
struct Entra(Vec<u8>);

#[async_trait]
impl HttpClient for Entra {
    async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
        Ok(AsyncRawResponse::from_bytes(StatusCode::Ok, Headers::new(), self.0.clone()))
    }
}
