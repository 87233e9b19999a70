//! What makes a version a certificate, a key or a secret.

use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use serde::{Deserialize, Serialize};

use super::creation;
use super::import::ContentType;
use super::key_operation::KeyOperation;
use super::private_jwk;
use crate::ground::hidden::Hidden;
use crate::ground::stored;

/// A certificate whose key and secret are kept under the same name and version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Certificate {
    #[serde(with = "stored::certificate")]
    pub(super) leaf: X509,
    pub(super) exportable: bool,
    pub(super) secret_type: ContentType,
    /// How it was made, if it was made here.
    pub(super) request: Option<creation::Request>,
}

/// A private key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub(super) struct Key {
    #[serde(with = "stored::private_key")]
    pub(super) private: Hidden<PKey<Private>>,
    pub(super) operations: Vec<KeyOperation>,
    pub(super) exportable: bool,
    /// Whether it belongs to the certificate of the same name.
    pub(super) managed: bool,
}

stored::checked!(Key);

impl Key {
    /// A key that a request could have brought.
    fn check_stored(&self) -> Result<(), &'static str> {
        let key = &self.private.0;
        let is_whole = match (key.rsa(), key.ec_key()) {
            (Ok(rsa), _) => rsa.check_key().is_ok_and(|whole| whole),
            (_, Ok(curve)) => curve.check_key().is_ok(),
            _ => false,
        };
        let can =
            private_jwk::check(key).and_then(|()| KeyOperation::check(&self.operations, key.rsa().is_ok()));
        if is_whole && can.is_ok() { Ok(()) } else { Err("a key that no vault keeps") }
    }
}

/// A value, and what it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Secret {
    #[serde(with = "stored::secret")]
    pub(super) value: Hidden<String>,
    pub(super) content_type: Option<String>,
    /// Whether it belongs to the certificate of the same name.
    pub(super) managed: bool,
}
