//! Access tokens: JSON Web Tokens signed with ES256 by a key that lives as long as the world.
//!
//! The real issuer signs with RS256. P-256 is chosen instead because such a key is made in microseconds, and
//! clients treat access tokens as opaque.

use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::sha::sha256;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::hidden::Hidden;
use crate::jose;
use crate::key_vault::jwk;
use crate::stored;

/// The issuer's key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SigningKey {
    id: String,
    #[serde(with = "stored::curve_key")]
    key: Hidden<EcKey<Private>>,
}

impl SigningKey {
    /// A new key.
    pub(super) fn generate() -> Result<SigningKey, ErrorStack> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        let key = EcKey::generate(&group)?;
        let id = jose::base64url(sha256(&key.public_key_to_der()?));
        Ok(SigningKey { id, key: Hidden(key) })
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
    pub(super) fn open(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (_, claims) = signed.split_once('.')?;
        let signature = jose::from_base64url(signature)?;
        if !jose::ecdsa_verify(&self.key.0, &sha256(signed.as_bytes()), &signature) {
            return None;
        }
        serde_json::from_slice(&jose::from_base64url(claims)?).ok()
    }
}
