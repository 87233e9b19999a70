//! The key pair of the verification certificate itself.
//!
//! Only the CA's signature over the code proves anything; what key the certificate is *for* does not matter
//! to anybody. So one public key of each family is made per process and its private half is dropped at once:
//! it could not leak, because it does not exist. RSA generation takes up to half a second, hence off the
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
