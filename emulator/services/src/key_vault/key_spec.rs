//! The type and size of a key a vault is to make.

use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use serde_json::Value;

use super::private_jwk;
use super::refusal::Refusal;

/// A key pair to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeySpec {
    /// RSA of so many bits.
    Rsa(u32),
    /// Elliptic on a curve that vaults know.
    Ec(Nid),
}

impl KeySpec {
    /// What `kty`, `key_size` and `crv` say; RSA 2048 and P-256 unless they say otherwise.
    pub(super) fn read(body: &Value) -> Result<KeySpec, Refusal> {
        match &body["kty"] {
            Value::Null => KeySpec::read_rsa(&body["key_size"]),
            kty if kty == "RSA" => KeySpec::read_rsa(&body["key_size"]),
            kty if kty == "EC" => KeySpec::read_ec(&body["crv"]),
            _ => Err(Refusal::bad_parameter("kty must be RSA or EC; this vault has no HSM.")),
        }
    }

    /// Whether it is RSA; else it is elliptic.
    pub(super) fn is_rsa(self) -> bool {
        matches!(self, KeySpec::Rsa(_))
    }

    /// Makes the key pair. RSA takes its time: a second and more for 4096 bits.
    pub(super) fn generate(self) -> Result<PKey<Private>, Refusal> {
        let generate = || -> Result<PKey<Private>, ErrorStack> {
            match self {
                KeySpec::Rsa(bits) => PKey::from_rsa(Rsa::generate(bits)?),
                KeySpec::Ec(curve) => PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(curve)?)?),
            }
        };
        generate().map_err(|_| Refusal::internal("generate the key"))
    }

    fn read_rsa(size: &Value) -> Result<KeySpec, Refusal> {
        match size.as_u64() {
            None if size.is_null() => Ok(KeySpec::Rsa(2048)),
            Some(2048) => Ok(KeySpec::Rsa(2048)),
            Some(3072) => Ok(KeySpec::Rsa(3072)),
            Some(4096) => Ok(KeySpec::Rsa(4096)),
            _ => Err(Refusal::bad_parameter("key_size must be 2048, 3072 or 4096.")),
        }
    }

    fn read_ec(crv: &Value) -> Result<KeySpec, Refusal> {
        match crv {
            Value::Null => Ok(KeySpec::Ec(Nid::X9_62_PRIME256V1)),
            crv => private_jwk::curve(crv.as_str().unwrap_or_default()).map(KeySpec::Ec),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_has_a_default() {
        for (body, spec) in [
            (json!({}), KeySpec::Rsa(2048)),
            (json!({ "kty": "RSA", "key_size": null }), KeySpec::Rsa(2048)),
            (json!({ "kty": "RSA", "key_size": 4096 }), KeySpec::Rsa(4096)),
            (json!({ "kty": "EC" }), KeySpec::Ec(Nid::X9_62_PRIME256V1)),
            (json!({ "kty": "EC", "crv": "P-384", "key_size": 384 }), KeySpec::Ec(Nid::SECP384R1)),
            (json!({ "kty": "EC", "crv": "P-521" }), KeySpec::Ec(Nid::SECP521R1)),
            (json!({ "kty": "EC", "crv": "P-256K" }), KeySpec::Ec(Nid::SECP256K1)),
        ] {
            assert_eq!(KeySpec::read(&body).unwrap(), spec, "{body}");
        }
    }

    #[test]
    fn what_no_vault_makes_is_refused() {
        for body in [
            json!({ "kty": "oct" }),
            json!({ "kty": "RSA-HSM" }),
            json!({ "kty": 1 }),
            json!({ "kty": "RSA", "key_size": 1024 }),
            json!({ "kty": "RSA", "key_size": "2048" }),
            json!({ "kty": "EC", "crv": "P-224" }),
            json!({ "kty": "EC", "crv": 256 }),
        ] {
            assert_eq!(KeySpec::read(&body).unwrap_err().code(), "BadParameter", "{body}");
        }
    }

    #[test]
    fn a_key_is_made_as_described() {
        assert_eq!(KeySpec::Rsa(2048).generate().unwrap().rsa().unwrap().size(), 256);
        let key = KeySpec::Ec(Nid::SECP521R1).generate().unwrap();
        assert_eq!(key.ec_key().unwrap().group().curve_name(), Some(Nid::SECP521R1));
    }
}
