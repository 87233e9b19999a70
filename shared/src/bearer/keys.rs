//! Entra ID's public keys, as a JSON Web Key set ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)), kept at hand.
//!
//! They are fetched when a token names a key that is not at hand, once for all who wait. A failure is remembered for
//! some seconds, so that callers do not queue up for one failure each; and while Entra ID is away, the keys it had
//! stay good for a week. Nothing is locked while a fetch is under way: who needs a key that is at hand gets it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use azure_core::http::{HttpClient, Method, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::bn::BigNum;
use openssl::pkey::{PKey, Public};
use openssl::rsa::Rsa;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use crate::error::{self, CallError};
use crate::single_flight::SingleFlight;

/// Entra ID rolls its keys over announced, with days of overlap.
pub(super) const FRESH: Duration = Duration::from_secs(24 * 3600);
/// How long keys are good while no newer ones can be had.
pub(super) const GOOD_WITHOUT_ENTRA: Duration = Duration::from_secs(7 * 24 * 3600);
/// A key that is not at hand may be new; but a caller who makes up names of keys causes no calls with them.
pub(super) const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How long a failed fetch speaks for those that would follow it.
pub(super) const FAILURE_COUNTS_FOR: Duration = Duration::from_secs(10);

/// The keys of one tenant.
pub(super) struct Keys {
    url: Url,
    client: Arc<dyn HttpClient>,
    fetches: SingleFlight<(), ()>,
    at_hand: Mutex<AtHand>,
}

/// What is known, and since when.
#[derive(Default)]
struct AtHand {
    keys: Option<(KeysById, Instant)>,
    failure: Option<(CallError, Instant)>,
}

pub(super) type KeysById = HashMap<String, PKey<Public>>;

/// What to do for a key.
enum Step {
    Use(PKey<Public>),
    /// Entra ID has none of that name.
    Unknown,
    Fetch,
    Fail(CallError),
}

impl Keys {
    pub(super) fn new(authority: &Url, tenant: &str, client: Arc<dyn HttpClient>) -> Keys {
        let mut url = authority.clone();
        url.set_path(&format!("{tenant}/discovery/v2.0/keys"));
        Keys { url, client, fetches: SingleFlight::default(), at_hand: Mutex::default() }
    }

    /// Returns the key of this name; none if Entra ID has no such key.
    pub(super) async fn key(&self, id: &str) -> Result<Option<PKey<Public>>, CallError> {
        if let Step::Fetch = self.step(id) {
            self.fetches.run(&(), || self.fetch_for(id)).await;
        }
        match self.step(id) {
            Step::Use(key) => Ok(Some(key)),
            Step::Unknown => Ok(None),
            Step::Fail(error) => Err(error),
            // Only if more time went by since the fetch than its end counts for.
            Step::Fetch => Err(self.unavailable(None, "what it answered is too old by now".to_owned())),
        }
    }

    fn step(&self, id: &str) -> Step {
        self.at_hand().step(id, Instant::now())
    }

    /// Unless a fetch that ended meanwhile has answered the question.
    async fn fetch_for(&self, id: &str) {
        if !matches!(self.step(id), Step::Fetch) {
            return;
        }
        let fetched = self.fetch().await;
        let mut at_hand = self.at_hand();
        match fetched {
            Ok(keys) => *at_hand = AtHand { keys: Some((keys, Instant::now())), failure: None },
            Err(error) => at_hand.failure = Some((error, Instant::now())),
        }
    }

    async fn fetch(&self) -> Result<KeysById, CallError> {
        let unreachable = |error: azure_core::Error| self.unavailable(None, error::chain(&error));
        let answer = self.client.execute_request(&Request::new(self.url.clone(), Method::Get)).await;
        let (status, _, body) = answer.map_err(unreachable)?.deconstruct();
        if status != StatusCode::Ok {
            return Err(self.unavailable(Some(status.into()), format!("it answered {status}")));
        }
        let body = body.collect().await.map_err(unreachable)?;
        read(&body).map_err(|reason| self.unavailable(None, reason))
    }

    fn unavailable(&self, status: Option<u16>, reason: String) -> CallError {
        let call = format!("getting the keys of Entra ID at {}", self.url);
        CallError::Unavailable { call, status, reason: error::one_line(&reason), retry_after: None }
    }

    /// Held for as long as it takes to look, never across a call.
    fn at_hand(&self) -> MutexGuard<'_, AtHand> {
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AtHand {
    fn step(&self, id: &str, now: Instant) -> Step {
        let failure = self.failure.as_ref().filter(|(_, at)| now - *at < FAILURE_COUNTS_FOR);
        let known = self.keys.as_ref().map(|(keys, at)| (keys.get(id), now - *at));
        match (known, failure) {
            (Some((Some(key), age)), _) if age < FRESH => Step::Use(key.clone()),
            (Some((None, age)), _) if age < LOOK_AGAIN_AFTER => Step::Unknown,
            (_, None) => Step::Fetch,
            (Some((Some(key), age)), Some(_)) if age < GOOD_WITHOUT_ENTRA => Step::Use(key.clone()),
            (_, Some((error, _))) => Step::Fail(error.clone()),
        }
    }
}

#[derive(Deserialize)]
struct JsonWebKeys {
    keys: Vec<JsonWebKey>,
}

#[derive(Deserialize)]
pub(super) struct JsonWebKey {
    kty: String,
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

/// Reads a set. Keys of other kinds are passed over; a set without any for RS256 is no answer, and does not take the
/// place of keys that are at hand.
pub(super) fn read(set: &[u8]) -> Result<KeysById, String> {
    let set: JsonWebKeys =
        serde_json::from_slice(set).map_err(|error| format!("the answer could not be read: {error}"))?;
    let named = set.keys.into_iter().filter_map(|key| Some((key.kid.clone()?, key.public()?)));
    let by_id: KeysById = named.collect();
    if by_id.is_empty() { Err("the answer has no RSA key with a name".to_owned()) } else { Ok(by_id) }
}

impl JsonWebKey {
    /// Returns the key, if it is one to verify RS256 with.
    pub(super) fn public(self) -> Option<PKey<Public>> {
        let number = |text: Option<String>| BigNum::from_slice(&URL_SAFE_NO_PAD.decode(text?).ok()?).ok();
        if self.kty != "RSA" {
            return None;
        }
        let key = Rsa::from_public_components(number(self.n)?, number(self.e)?).ok()?;
        PKey::from_rsa(key).ok()
    }
}
