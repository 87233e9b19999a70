//! Signatures of digests, in the form Key Vault gives them out.
//!
//! RSA signatures are as long as the modulus (the service wraps the digest in a DigestInfo for `RS*`, and
//! salts `PS*` with as many bytes as the digest has); elliptic ones are `r‖s`.

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::md::{Md, MdRef};
use openssl::nid::Nid;
use openssl::pkey::{PKeyRef, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl::sign::RsaPssSaltlen;

use super::refusal::Refusal;
use crate::ground::jose;

/// A way to sign.
#[derive(Clone, Copy, Debug)]
pub(super) struct Algorithm {
    name: &'static str,
    scheme: Scheme,
    hash: Hash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Pkcs1,
    Pss,
    Ecdsa(Nid),
}

#[derive(Clone, Copy, Debug)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

const ALGORITHMS: [Algorithm; 10] = [
    Algorithm { name: "RS256", scheme: Scheme::Pkcs1, hash: Hash::Sha256 },
    Algorithm { name: "RS384", scheme: Scheme::Pkcs1, hash: Hash::Sha384 },
    Algorithm { name: "RS512", scheme: Scheme::Pkcs1, hash: Hash::Sha512 },
    Algorithm { name: "PS256", scheme: Scheme::Pss, hash: Hash::Sha256 },
    Algorithm { name: "PS384", scheme: Scheme::Pss, hash: Hash::Sha384 },
    Algorithm { name: "PS512", scheme: Scheme::Pss, hash: Hash::Sha512 },
    Algorithm { name: "ES256", scheme: Scheme::Ecdsa(Nid::X9_62_PRIME256V1), hash: Hash::Sha256 },
    Algorithm { name: "ES256K", scheme: Scheme::Ecdsa(Nid::SECP256K1), hash: Hash::Sha256 },
    Algorithm { name: "ES384", scheme: Scheme::Ecdsa(Nid::SECP384R1), hash: Hash::Sha384 },
    Algorithm { name: "ES512", scheme: Scheme::Ecdsa(Nid::SECP521R1), hash: Hash::Sha512 },
];

impl Algorithm {
    /// The algorithm of this JOSE name.
    pub(super) fn named(name: &str) -> Result<Algorithm, Refusal> {
        ALGORITHMS.into_iter().find(|algorithm| algorithm.name == name).ok_or_else(|| {
            let known = ALGORITHMS.map(|algorithm| algorithm.name).join(", ");
            Refusal::bad_parameter(format!("The alg of a signature must be one of {known}."))
        })
    }

    /// Signs a digest, after seeing to it that digest and key fit.
    pub(super) fn sign(self, key: &PKeyRef<Private>, digest: &[u8]) -> Result<Vec<u8>, Refusal> {
        if digest.len() != self.hash.message_digest().size() {
            return Err(Refusal::bad_parameter(format!(
                "Invalid length of 'value': {} bytes. {} requires {} bytes, encoded with base64url.",
                digest.len(),
                self.name,
                self.hash.message_digest().size(),
            )));
        }
        let fits = match self.scheme {
            Scheme::Pkcs1 | Scheme::Pss => key.rsa().is_ok(),
            Scheme::Ecdsa(curve) => key.ec_key().is_ok_and(|key| key.group().curve_name() == Some(curve)),
        };
        // OpenSSL's own reason to fail is a modulus too short for the digest and its padding.
        let signature = if fits { self.sign_fitting(key, digest).ok() } else { None };
        signature.ok_or_else(|| {
            Refusal::bad_parameter(format!(
                "The key is of a type or size that {} cannot sign with.",
                self.name
            ))
        })
    }

    fn sign_fitting(self, key: &PKeyRef<Private>, digest: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let padding = match self.scheme {
            Scheme::Ecdsa(_) => return jose::ecdsa_sign(&*key.ec_key()?, digest),
            Scheme::Pkcs1 => Padding::PKCS1,
            Scheme::Pss => Padding::PKCS1_PSS,
        };
        let mut context = PkeyCtx::new(key)?;
        context.sign_init()?;
        context.set_rsa_padding(padding)?;
        context.set_signature_md(self.hash.md())?;
        if padding == Padding::PKCS1_PSS {
            context.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
            context.set_rsa_mgf1_md(self.hash.md())?;
        }
        let mut signature = Vec::new();
        context.sign_to_vec(digest, &mut signature)?;
        Ok(signature)
    }
}

impl Hash {
    fn message_digest(self) -> MessageDigest {
        match self {
            Hash::Sha256 => MessageDigest::sha256(),
            Hash::Sha384 => MessageDigest::sha384(),
            Hash::Sha512 => MessageDigest::sha512(),
        }
    }

    fn md(self) -> &'static MdRef {
        match self {
            Hash::Sha256 => Md::sha256(),
            Hash::Sha384 => Md::sha384(),
            Hash::Sha512 => Md::sha512(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use openssl::ec::{EcGroup, EcKey};
    use openssl::hash::hash;
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;
    use openssl::sign::Verifier;

    use super::*;

    const MESSAGE: &[u8] = b"the TBS bytes of a certificate";

    fn digest(algorithm: Algorithm) -> Vec<u8> {
        hash(algorithm.hash.message_digest(), MESSAGE).unwrap().to_vec()
    }

    fn rsa(bits: u32) -> PKey<Private> {
        PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
    }

    fn ec(curve: Nid) -> PKey<Private> {
        let group = EcGroup::from_curve_name(curve).unwrap();
        PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
    }

    /// Checks with OpenSSL's verifier over the message, which shares nothing with how the digest was signed.
    fn verifies(algorithm: Algorithm, key: &PKey<Private>, signature: &[u8]) -> bool {
        let mut verifier = Verifier::new(algorithm.hash.message_digest(), key).unwrap();
        let signature = match algorithm.scheme {
            Scheme::Pkcs1 => signature.to_vec(),
            Scheme::Pss => {
                verifier.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
                verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
                signature.to_vec()
            }
            Scheme::Ecdsa(_) => {
                let (r, s) = signature.split_at(signature.len() / 2);
                let number = |half| openssl::bn::BigNum::from_slice(half).unwrap();
                openssl::ecdsa::EcdsaSig::from_private_components(number(r), number(s))
                    .unwrap()
                    .to_der()
                    .unwrap()
            }
        };
        verifier.update(MESSAGE).unwrap();
        verifier.verify(&signature).unwrap()
    }

    #[test]
    fn openssl_accepts_every_kind_of_signature() {
        let rsa = rsa(2048);
        for algorithm in ALGORITHMS {
            let (key, length) = match algorithm.scheme {
                Scheme::Ecdsa(curve) => (ec(curve), 2 * digest_width(curve)),
                _ => (rsa.clone(), 256),
            };
            let signature = algorithm.sign(&key, &digest(algorithm)).unwrap();
            assert_eq!(signature.len(), length, "{}", algorithm.name);
            assert!(verifies(algorithm, &key, &signature), "{}", algorithm.name);
        }
    }

    fn digest_width(curve: Nid) -> usize {
        match curve {
            Nid::X9_62_PRIME256V1 | Nid::SECP256K1 => 32,
            Nid::SECP384R1 => 48,
            _ => 66,
        }
    }

    #[test]
    fn rsa_keys_of_odd_sizes_sign_too() {
        let key = rsa(3072);
        let algorithm = Algorithm::named("RS384").unwrap();
        let signature = algorithm.sign(&key, &digest(algorithm)).unwrap();
        assert_eq!(signature.len(), 384);
        assert!(verifies(algorithm, &key, &signature));
    }

    #[test]
    fn a_digest_of_the_wrong_length_is_refused() {
        let refusal = Algorithm::named("RS256").unwrap().sign(&rsa(2048), &[0; 20]).unwrap_err();
        assert_eq!(refusal.code(), "BadParameter");
        assert_eq!(
            refusal.to_string(),
            "Invalid length of 'value': 20 bytes. RS256 requires 32 bytes, encoded with base64url."
        );
    }

    #[test]
    fn a_key_that_does_not_fit_the_algorithm_is_refused() {
        let p256 = ec(Nid::X9_62_PRIME256V1);
        for (name, key) in [
            ("ES384", p256.clone()),
            ("ES256K", p256.clone()),
            ("RS256", p256),
            ("ES256", rsa(2048)),
            ("PS512", rsa(1024)),
        ] {
            let algorithm = Algorithm::named(name).unwrap();
            let refusal = algorithm.sign(&key, &digest(algorithm)).unwrap_err();
            assert_eq!(refusal.code(), "BadParameter", "{name}");
        }
    }

    #[test]
    fn an_unknown_algorithm_is_refused_with_the_known_ones() {
        assert!(Algorithm::named("RSNULL").unwrap_err().to_string().contains("ES256"));
    }
}
