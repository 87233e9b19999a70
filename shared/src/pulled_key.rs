//! A CA key that was pulled out of a secret, for the length of one signature.
//!
//! The text is wiped when it is dropped, OpenSSL wipes its copy when the key is freed, and neither has a
//! `Debug` that shows it. (Buffers inside the HTTP stack are out of our reach; whoever needs more signs in
//! the vault.)

use std::fmt;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use openssl::x509::X509;
use zeroize::Zeroizing;

use crate::ca::CaCertificate;
use crate::proof::RawSignature;
use crate::thumbprint::Thumbprint;

/// A private key, and the certificates that stood beside it.
pub struct PulledKey {
    key: PKey<Private>,
    certificates: Vec<CaCertificate>,
}

/// Why a secret's value is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSecret {
    /// A passphrase would be needed, and there is nobody to ask.
    #[error("its key is encrypted; store it without a passphrase, the vault protects it")]
    Encrypted,
    /// No key in it.
    #[error(
        "it is not a private key in PEM form (PKCS#8, PKCS#1 or SEC1: -----BEGIN PRIVATE KEY----- or the like)"
    )]
    NotPem,
}

impl PulledKey {
    /// Reads a private key, alone or among certificates, in any order.
    pub fn from_pem(text: Zeroizing<String>) -> Result<PulledKey, UnusableSecret> {
        // An empty passphrase rather than OpenSSL's default, which is to ask on the terminal.
        let key = PKey::private_key_from_pem_callback(text.as_bytes(), |_| Ok(0)).map_err(|_| {
            if text.contains("ENCRYPTED") { UnusableSecret::Encrypted } else { UnusableSecret::NotPem }
        })?;
        let certificates = X509::stack_from_pem(text.as_bytes()).unwrap_or_default();
        let certificates = certificates
            .iter()
            .filter_map(|certificate| CaCertificate::from_der(&certificate.to_der().ok()?).ok())
            .collect();
        Ok(PulledKey { key, certificates })
    }

    /// The CA certificate beside the key, if it is the one with this thumbprint.
    pub fn certificate(&self, thumbprint: Thumbprint) -> Option<&CaCertificate> {
        self.certificates.iter().find(|certificate| certificate.thumbprint() == thumbprint)
    }

    /// Whether it is the private half of a CA's key.
    pub fn belongs_to(&self, ca: &CaCertificate) -> bool {
        self.key.public_eq(ca.public_key())
    }

    /// Makes the one signature.
    pub fn sign(self, ca: &CaCertificate, tbs: &[u8]) -> Result<RawSignature, ErrorStack> {
        let mut signer = Signer::new(ca.algorithm().digest(), &self.key)?;
        RawSignature::from_der(&signer.sign_oneshot_to_vec(tbs)?, ca.algorithm())
    }
}

impl fmt::Debug for PulledKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PulledKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use openssl::rsa::Rsa;
    use openssl::symm::Cipher;

    use super::*;

    #[test]
    fn every_pem_form_of_a_key_is_read() {
        let rsa = Rsa::generate(2048).expect("generates");
        let pkcs1 = rsa.private_key_to_pem().expect("encodes");
        let pkcs8 = PKey::from_rsa(rsa).expect("wraps").private_key_to_pem_pkcs8().expect("encodes");
        for (name, pem) in [("PKCS#1", pkcs1), ("PKCS#8", pkcs8)] {
            let text = String::from_utf8(pem).expect("PEM is text");
            assert!(PulledKey::from_pem(Zeroizing::new(text)).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_is_no_usable_key_is_refused_with_the_reason() {
        let key = PKey::from_rsa(Rsa::generate(2048).expect("generates")).expect("wraps");
        let cipher = Cipher::aes_256_cbc();
        let encrypted = key.private_key_to_pem_pkcs8_passphrase(cipher, b"secret").expect("encodes");
        let public = key.public_key_to_pem().expect("encodes");
        let rows = [
            ("encrypted", encrypted, UnusableSecret::Encrypted),
            ("a public key", public, UnusableSecret::NotPem),
            ("something else", b"hunter2".to_vec(), UnusableSecret::NotPem),
        ];
        for (name, value, expected) in rows {
            let text = Zeroizing::new(String::from_utf8(value).expect("text"));
            assert_eq!(PulledKey::from_pem(text).expect_err(name), expected, "{name}");
        }
    }
}
