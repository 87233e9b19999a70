//! The bearer token that Event Grid brings when it was told to (a webhook protected by Entra ID): whether Entra ID made
//! it, for this application, for Event Grid.
//!
//! What such a token holds is documented only in part. Documented are the issuer, the audience, and the application
//! role that Event Grid is given by the documented set-up; that the role then stands in `roles`, as it does for every
//! application, is taken for granted and was not observed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::http::{HttpClient, Method, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Public};
use openssl::rsa::Rsa;
use openssl::sign::Verifier;
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::error::{self, CallError, quoted};

/// The application role that Event Grid is given in the documented set-up.
pub const ROLE: &str = "AzureEventGridSecureWebhookSubscriber";
/// Entra ID of the public cloud.
pub const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com";

/// How far clocks may disagree.
const LEEWAY: time::Duration = time::Duration::minutes(5);
/// Entra ID rolls its keys over announced, with days of overlap.
const KEYS_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// A key nobody knows may be new; but whoever makes keys up makes no calls with it.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Whose tokens are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The tenant that issues them: its GUID.
    pub tenant: String,
    /// The application they are for: its id or its URI, whichever the tokens name.
    pub audience: String,
    /// Entra ID's address.
    pub authority: Url,
}

/// Checks tokens, with Entra ID's keys at hand.
pub struct Bearer {
    expected: Expected,
    client: Arc<dyn HttpClient>,
    keys: Mutex<Option<Keys>>,
}

struct Keys {
    by_id: HashMap<String, PKey<Public>>,
    fetched: Instant,
}

/// Why a token is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It is not good, and will not be. Says why, without saying anything of a signature or a key.
    #[error("{0}")]
    Refused(String),
    /// Whether it is good cannot be known at the moment.
    #[error(transparent)]
    Unknown(#[from] CallError),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: i64,
    nbf: Option<i64>,
    #[serde(default)]
    roles: Vec<String>,
}

#[derive(Deserialize)]
struct JsonWebKeys {
    keys: Vec<JsonWebKey>,
}

#[derive(Deserialize)]
struct JsonWebKey {
    kty: String,
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Bearer {
    /// Tokens of one tenant for one application; keys are fetched through the client when the first token comes.
    pub fn new(expected: Expected, client: Arc<dyn HttpClient>) -> Bearer {
        Bearer { expected, client, keys: Mutex::default() }
    }

    /// Whether the value of an `Authorization` header is such a token.
    pub async fn check(&self, authorization: Option<&str>, now: OffsetDateTime) -> Result<(), NotTaken> {
        let token = authorization.and_then(bearer).ok_or_else(|| refused("there is no bearer token"))?;
        let [header, claims, signature] = parts(token).ok_or_else(|| refused("it is no JSON Web Token"))?;
        let header: Header = read(header)?;
        // The one algorithm that Entra ID signs with. What a token says of itself chooses no other.
        if header.alg != "RS256" {
            return Err(refused(&format!("its algorithm is {}, RS256 is right", quoted(&header.alg))));
        }
        let id = header.kid.ok_or_else(|| refused("it names no key"))?;
        let key = self.key(&id).await?.ok_or_else(|| refused("Entra ID has no key of the name it gives"))?;
        let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
        if !is_signed_with(&key, signed, signature) {
            return Err(refused("its signature is not of the key it names"));
        }
        self.expected.check(&read(claims)?, now).map_err(NotTaken::Refused)
    }

    async fn key(&self, id: &str) -> Result<Option<PKey<Public>>, CallError> {
        let mut keys = self.keys.lock().await;
        if let Some(known) = keys.as_ref() {
            let age = known.fetched.elapsed();
            let found = known.by_id.get(id).filter(|_| age < KEYS_LIFETIME);
            if found.is_some() || age < LOOK_AGAIN_AFTER {
                return Ok(found.cloned());
            }
        }
        let by_id = self.fetch().await?;
        let found = by_id.get(id).cloned();
        *keys = Some(Keys { by_id, fetched: Instant::now() });
        Ok(found)
    }

    async fn fetch(&self) -> Result<HashMap<String, PKey<Public>>, CallError> {
        let mut url = self.expected.authority.clone();
        url.set_path(&format!("{}/discovery/v2.0/keys", self.expected.tenant));
        let call = format!("getting the keys of Entra ID at {url}");
        let unavailable = |status: Option<u16>, reason: String| CallError::Unavailable {
            call: call.clone(),
            status,
            reason: error::one_line(&reason),
            retry_after: None,
        };
        let answer = self.client.execute_request(&Request::new(url, Method::Get)).await;
        let (status, _, body) =
            answer.map_err(|error| unavailable(None, error::chain(&error)))?.deconstruct();
        if status != StatusCode::Ok {
            return Err(unavailable(Some(status.into()), format!("it answered {status}")));
        }
        let body = body.collect().await.map_err(|error| unavailable(None, error::chain(&error)))?;
        let keys: JsonWebKeys = serde_json::from_slice(&body)
            .map_err(|error| unavailable(None, format!("the answer could not be read: {error}")))?;
        Ok(keys.keys.into_iter().filter_map(JsonWebKey::public).collect())
    }
}

impl Expected {
    fn check(&self, claims: &Claims, now: OffsetDateTime) -> Result<(), String> {
        let Expected { tenant, audience, authority } = self;
        let authority = authority.as_str().trim_end_matches('/');
        // The two forms of access tokens; which of them an application gets is a setting of its own.
        let issuers = [format!("https://sts.windows.net/{tenant}/"), format!("{authority}/{tenant}/v2.0")];
        if !issuers.contains(&claims.iss) {
            return Err(format!("its issuer is {}, {} is right", quoted(&claims.iss), issuers.join(" or ")));
        }
        if claims.aud != *audience {
            return Err(format!(
                "it is for {}, and KEYHOLDER_WEBHOOK_ENTRA says {}",
                quoted(&claims.aud),
                quoted(audience)
            ));
        }
        let (now, leeway) = (now.unix_timestamp(), LEEWAY.whole_seconds());
        if now >= claims.exp.saturating_add(leeway) {
            return Err("it has expired".to_owned());
        }
        if claims.nbf.is_some_and(|not_before| now < not_before.saturating_sub(leeway)) {
            return Err("it is not good yet".to_owned());
        }
        if !claims.roles.iter().any(|role| role == ROLE) {
            return Err(format!("its bearer does not have the role {ROLE} of the application"));
        }
        Ok(())
    }
}

impl JsonWebKey {
    /// Its name and the key, if it is one to verify RS256 with.
    fn public(self) -> Option<(String, PKey<Public>)> {
        let number = |text: Option<String>| BigNum::from_slice(&URL_SAFE_NO_PAD.decode(text?).ok()?).ok();
        if self.kty != "RSA" {
            return None;
        }
        let key = Rsa::from_public_components(number(self.n)?, number(self.e)?).ok()?;
        Some((self.kid?, PKey::from_rsa(key).ok()?))
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("expected", &self.expected).finish_non_exhaustive()
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn parts(token: &str) -> Option<[&str; 3]> {
    token.split('.').collect::<Vec<_>>().try_into().ok()
}

fn read<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, NotTaken> {
    let json = URL_SAFE_NO_PAD.decode(part).ok().and_then(|json| serde_json::from_slice(&json).ok());
    json.ok_or_else(|| refused("a part of it cannot be read"))
}

fn is_signed_with(key: &PKey<Public>, signed: &str, signature: &str) -> bool {
    let verify = || -> Option<bool> {
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let mut verifier = Verifier::new(MessageDigest::sha256(), key).ok()?;
        verifier.verify_oneshot(&signature, signed.as_bytes()).ok()
    };
    verify().unwrap_or(false)
}

fn refused(reason: &str) -> NotTaken {
    NotTaken::Refused(reason.to_owned())
}

#[cfg(test)]
mod tests;
