//! Access tokens: JSON Web Tokens signed with ES256 by a key that lives as long as the world.
//!
//! The real issuer signs with RS256. P-256 is chosen instead because such a key is made in microseconds, and
//! clients treat access tokens as opaque.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::sha::sha256;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ground::hidden::Hidden;
use crate::ground::jose;
use crate::ground::jwk;
use crate::ground::stored;

const CURVE: Nid = Nid::X9_62_PRIME256V1;
/// So many tokens are known at once; each lives for an hour, and clients ask for few.
const REMEMBERED: usize = 256;

/// The issuer's key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub(super) struct SigningKey {
    id: String,
    #[serde(with = "stored::curve_key")]
    key: Hidden<EcKey<Private>>,
    #[serde(skip)]
    opened: Opened,
}

/// Claims of tokens whose signature was checked, by the token's hash: a token comes with every request, and checking it
/// would be the larger part of most answers.
#[derive(Debug, Default)]
struct Opened(Mutex<HashMap<[u8; 32], Arc<Value>>>);

impl SigningKey {
    /// A new key.
    pub(super) fn generate() -> Result<SigningKey, ErrorStack> {
        let group = EcGroup::from_curve_name(CURVE)?;
        let key = EcKey::generate(&group)?;
        Ok(SigningKey { id: id(&key)?, key: Hidden(key), opened: Opened::default() })
    }

    /// A key as it is made here; any other could not sign.
    fn check_stored(&self) -> Result<(), &'static str> {
        let key = &self.key.0;
        let is_made_here = key.group().curve_name() == Some(CURVE)
            && key.check_key().is_ok()
            && id(key).is_ok_and(|id| id == self.id);
        if is_made_here { Ok(()) } else { Err("a key that signs no tokens") }
    }

    /// The public half, as a stranger needs it to check a token.
    pub(super) fn public(&self, issuer: &str) -> Value {
        let key = PKey::from_ec_key(self.key.0.clone()).and_then(|key| jwk::public_half(&key));
        let mut key = key.expect("OpenSSL reads the key it made");
        for (name, value) in [("use", "sig"), ("alg", "ES256"), ("kid", &self.id), ("issuer", issuer)] {
            key[name] = json!(value);
        }
        key
    }

    /// A token that makes these claims.
    pub(super) fn sign(&self, claims: &Value) -> Result<String, ErrorStack> {
        let header = json!({ "typ": "JWT", "alg": "ES256", "kid": self.id });
        let signed =
            format!("{}.{}", jose::base64url(header.to_string()), jose::base64url(claims.to_string()));
        let signature = jose::ecdsa_sign(&self.key.0, &sha256(signed.as_bytes()))?;
        Ok(format!("{signed}.{}", jose::base64url(signature)))
    }

    /// The claims of a token that this key signed. The header is not consulted: there is one key and one
    /// algorithm, and a token cannot talk its way to another.
    pub(super) fn open(&self, token: &str) -> Option<Arc<Value>> {
        self.opened.recall(sha256(token.as_bytes()), || self.check(token))
    }

    fn check(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (_, claims) = signed.split_once('.')?;
        let signature = jose::from_base64url(signature)?;
        if !jose::ecdsa_verify(&self.key.0, &sha256(signed.as_bytes()), &signature) {
            return None;
        }
        serde_json::from_slice(&jose::from_base64url(claims)?).ok()
    }
}

stored::checked!(SigningKey);

fn id(key: &EcKey<Private>) -> Result<String, ErrorStack> {
    Ok(jose::base64url(sha256(&key.public_key_to_der()?)))
}

impl Opened {
    fn recall(&self, hash: [u8; 32], check: impl FnOnce() -> Option<Value>) -> Option<Arc<Value>> {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claims) = opened.get(&hash) {
            return Some(claims.clone());
        }
        let claims = Arc::new(check()?);
        if opened.len() == REMEMBERED {
            opened.clear();
        }
        opened.insert(hash, claims.clone());
        Some(claims)
    }
}

impl Clone for Opened {
    /// Another world's, which finds out for itself.
    fn clone(&self) -> Opened {
        Opened::default()
    }
}
