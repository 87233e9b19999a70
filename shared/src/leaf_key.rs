//! The key pair of the verification certificate itself.
//!
//! Only the CA's signature over the code proves anything; what key the certificate is *for* does not matter
//! to anybody. So one public key of each family is made per process and its private half is dropped at once:
//! it could not leak, because it does not exist. That is a promise of SECURITY.md: no function here returns a private key. RSA generation takes up to half a second, hence off the
//! async threads.

use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use tokio::sync::OnceCell;

use crate::ca::SignatureAlgorithm;

/// One public key of each family, made when it is first asked for.
#[derive(Debug, Default)]
pub struct LeafKeys {
    rsa: OnceCell<Vec<u8>>,
    p256: OnceCell<Vec<u8>>,
    p384: OnceCell<Vec<u8>>,
    p521: OnceCell<Vec<u8>>,
}

impl LeafKeys {
    /// SubjectPublicKeyInfo (DER) of a key of the family a CA signs with.
    pub async fn public_key_info(&self, family: SignatureAlgorithm) -> Result<&[u8], ErrorStack> {
        let cell = match family {
            SignatureAlgorithm::Rs256 => &self.rsa,
            SignatureAlgorithm::Es256 => &self.p256,
            SignatureAlgorithm::Es384 => &self.p384,
            SignatureAlgorithm::Es512 => &self.p521,
        };
        let made = cell.get_or_try_init(|| async {
            tokio::task::spawn_blocking(move || generate(family))
                .await
                .expect("key generation neither panics nor is cancelled")
        });
        made.await.map(Vec::as_slice)
    }
}

fn generate(family: SignatureAlgorithm) -> Result<Vec<u8>, ErrorStack> {
    let curve = match family {
        SignatureAlgorithm::Rs256 => return PKey::from_rsa(Rsa::generate(2048)?)?.public_key_to_der(),
        SignatureAlgorithm::Es256 => Nid::X9_62_PRIME256V1,
        SignatureAlgorithm::Es384 => Nid::SECP384R1,
        SignatureAlgorithm::Es512 => Nid::SECP521R1,
    };
    let group = EcGroup::from_curve_name(curve)?;
    PKey::from_ec_key(EcKey::generate(&group)?)?.public_key_to_der()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILIES: [SignatureAlgorithm; 4] = [
        SignatureAlgorithm::Rs256,
        SignatureAlgorithm::Es256,
        SignatureAlgorithm::Es384,
        SignatureAlgorithm::Es512,
    ];

    #[tokio::test]
    async fn no_function_returns_a_private_leaf_key() {
        // The type of the one function that ever holds one: bytes come out of it.
        let made: fn(SignatureAlgorithm) -> Result<Vec<u8>, ErrorStack> = generate;
        let keys = LeafKeys::default();
        for family in FAMILIES {
            let kept = keys.public_key_info(family).await.expect("generates").to_vec();
            for der in [made(family).expect("generates"), kept] {
                let public = PKey::public_key_from_der(&der).expect("a public key");
                assert_eq!(public.public_key_to_der().expect("encodes"), der, "{family:?}: and nothing else");
                assert!(PKey::private_key_from_der(&der).is_err(), "{family:?}");
                drop(ErrorStack::get());
            }
        }
        // Every function of this module, by what it returns.
        let source =
            include_str!("leaf_key.rs").split("#[cfg(test)]").next().expect("a file has a beginning");
        let returned: Vec<&str> =
            source.lines().filter_map(|line| line.split_once("-> ")).map(|(_, of)| of).collect();
        assert_eq!(returned, ["Result<&[u8], ErrorStack> {", "Result<Vec<u8>, ErrorStack> {"]);
        assert!(!source.contains("Private"), "a private key would be a value with that type");
    }

    #[tokio::test]
    async fn each_family_has_a_key_of_its_own_that_is_made_once() {
        let keys = LeafKeys::default();
        for family in FAMILIES {
            let first = keys.public_key_info(family).await.expect("generates").to_vec();
            assert_eq!(keys.public_key_info(family).await.expect("kept"), first, "{family:?}");
            let key = PKey::public_key_from_der(&first).expect("a public key");
            let bits = match family {
                SignatureAlgorithm::Rs256 => 2048,
                SignatureAlgorithm::Es256 => 256,
                SignatureAlgorithm::Es384 => 384,
                SignatureAlgorithm::Es512 => 521,
            };
            assert_eq!(key.bits(), bits, "{family:?}");
        }
    }
}
