//! What a key may be used for.
//!
//! A key is asked before it signs: one without `sign` is the commonest reason why a CA in a vault cannot
//! prove possession.

use openssl::pkey::{PKeyRef, Private};
use openssl::x509::{X509KeyUsage, X509Ref};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::refusal::Refusal;

/// One thing a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyOperation {
    /// Encrypt data.
    Encrypt,
    /// Decrypt data.
    Decrypt,
    /// Sign a digest.
    Sign,
    /// Check a signature.
    Verify,
    /// Encrypt another key.
    WrapKey,
    /// Decrypt another key.
    UnwrapKey,
}

use KeyOperation::{Decrypt, Encrypt, Sign, UnwrapKey, Verify, WrapKey};

impl KeyOperation {
    /// The name on the wire, in `key_ops`.
    pub fn name(self) -> &'static str {
        match self {
            Encrypt => "encrypt",
            Decrypt => "decrypt",
            Sign => "sign",
            Verify => "verify",
            WrapKey => "wrapKey",
            UnwrapKey => "unwrapKey",
        }
    }

    /// Everything a key of this type can do.
    pub(super) fn possible(is_rsa: bool) -> &'static [KeyOperation] {
        if is_rsa { &[Encrypt, Decrypt, Sign, Verify, WrapKey, UnwrapKey] } else { &[Sign, Verify] }
    }

    /// What a certificate's key may do follows from the certificate's key usage; without one, everything its
    /// type can do (chosen, not observed).
    pub(super) fn of_certificate(certificate: &X509Ref, key: &PKeyRef<Private>) -> Vec<KeyOperation> {
        let usage = certificate.key_usage().unwrap_or(X509KeyUsage::all());
        let possible = KeyOperation::possible(key.rsa().is_ok()).iter().copied();
        possible.filter(|operation| usage.intersects(operation.allowed_by())).collect()
    }

    /// The `key_ops` of a request, `None` if it has none.
    pub(super) fn read(key_ops: &Value) -> Result<Option<Vec<KeyOperation>>, Refusal> {
        let named = |name: &Value| {
            let all = [Encrypt, Decrypt, Sign, Verify, WrapKey, UnwrapKey];
            all.into_iter().find(|operation| Some(operation.name()) == name.as_str())
        };
        let operations = match key_ops {
            Value::Null => return Ok(None),
            Value::Array(names) => names.iter().map(named).collect::<Option<Vec<_>>>(),
            _ => None,
        };
        operations.map(Some).ok_or_else(|| {
            Refusal::bad_parameter(
                "key_ops must be a list of encrypt, decrypt, sign, verify, wrapKey and unwrapKey.",
            )
        })
    }

    /// Refuses what a key of this type cannot do. Chosen, not observed.
    pub(super) fn check(operations: &[KeyOperation], is_rsa: bool) -> Result<(), Refusal> {
        let possible = KeyOperation::possible(is_rsa);
        match operations.iter().find(|operation| !possible.contains(operation)) {
            Some(operation) => Err(Refusal::bad_parameter(format!(
                "key_ops must not contain {}: an EC key can only sign and verify.",
                operation.name()
            ))),
            None => Ok(()),
        }
    }

    fn allowed_by(self) -> X509KeyUsage {
        match self {
            Encrypt | Decrypt => X509KeyUsage::DATA_ENCIPHERMENT,
            WrapKey | UnwrapKey => X509KeyUsage::KEY_ENCIPHERMENT,
            Sign | Verify => {
                X509KeyUsage::KEY_CERT_SIGN
                    | X509KeyUsage::CRL_SIGN
                    | X509KeyUsage::DIGITAL_SIGNATURE
                    | X509KeyUsage::NON_REPUDIATION
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use openssl::x509::extension::KeyUsage;
    use serde_json::json;

    use super::super::testing::*;
    use super::*;

    #[test]
    fn key_usage_becomes_key_operations() {
        let rsa = rsa_key();
        let of = |usage: &KeyUsage| KeyOperation::of_certificate(&certificate(&rsa, usage), &rsa);
        assert_eq!(of(KeyUsage::new().digital_signature()), [Sign, Verify]);
        assert_eq!(of(KeyUsage::new().key_encipherment()), [WrapKey, UnwrapKey]);
        assert_eq!(
            of(KeyUsage::new().data_encipherment().non_repudiation()),
            [Encrypt, Decrypt, Sign, Verify]
        );
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for operation in [Encrypt, Decrypt, Sign, Verify, WrapKey, UnwrapKey] {
            assert_eq!(KeyOperation::read(&json!([operation.name()])).unwrap().unwrap(), [operation]);
        }
        assert!(KeyOperation::read(&json!(null)).unwrap().is_none());
        assert!(KeyOperation::read(&json!([])).unwrap().unwrap().is_empty());
        for wrong in [json!(["Sign"]), json!([1]), json!("sign"), json!({})] {
            assert_eq!(KeyOperation::read(&wrong).unwrap_err().code(), "BadParameter", "{wrong}");
        }
    }

    #[test]
    fn an_elliptic_key_only_signs() {
        let refusal = KeyOperation::check(&[Sign, WrapKey], false).unwrap_err();
        assert!(refusal.to_string().contains("wrapKey"), "{refusal}");
        assert!(KeyOperation::check(&[Verify], false).is_ok());
    }
}
