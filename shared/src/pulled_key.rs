//! A CA key that was pulled out of a secret, for the length of one signature.
//!
//! The text is wiped when it is dropped, OpenSSL wipes its copy when the key is freed, and there is no `Debug`
//! that could show it. OpenSSL also frees copies that it does not wipe, so the programs do all of this in a process that
//! ends with the signature ([`crate::key_opener`]).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::error::ErrorStack;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use openssl::x509::X509;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ca::{CaCertificate, SignatureAlgorithm};
use crate::proof::RawSignature;
use crate::thumbprint::Thumbprint;

mod ber;
mod rounds;
mod sealed;

/// The longest value, in bytes. Key Vault takes 25,600.
const LONGEST: usize = 32 * 1024;
/// The processor time that reading and using a key may take, in seconds. Whatever the secret asks for, its process is
/// ended then.
pub(crate) const PROCESSOR_SECONDS: u64 = 5;
/// OpenSSL's reason (`EVP_R_UNSUPPORTED_ALGORITHM` of its algorithm fetch) for a cipher it has only in its
/// legacy provider.
const UNSUPPORTED: &str = "unsupported";

/// A private key, and the certificates that stood beside it. It cannot be printed, cloned or used twice:
///
/// ```compile_fail,E0277
/// let printed = |key: keyholder::pulled_key::PulledKey| format!("{key:?}");
/// ```
/// ```compile_fail,E0599
/// let copied = |key: keyholder::pulled_key::PulledKey| key.clone();
/// ```
/// ```compile_fail,E0382
/// let twice = |key: keyholder::pulled_key::PulledKey, ca: &keyholder::ca::CaCertificate| {
///     (key.sign(ca, b"once"), key.sign(ca, b"again"))
/// };
/// ```
pub struct PulledKey {
    key: PKey<Private>,
    certificates: Vec<CaCertificate>,
}

/// Why a secret's value is no key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum UnusableSecret {
    /// It needs a passphrase, and the app has none.
    #[error(
        "its PEM key is encrypted; store it without a passphrase, the vault protects it: openssl pkcs8 -topk8 -nocrypt"
    )]
    EncryptedPem,
    /// The same for a PFX.
    #[error(
        "its PFX has a password; store it with an empty one, as Key Vault does: openssl pkcs12 -export -passout pass:"
    )]
    EncryptedPfx,
    /// Written by old software.
    #[error(
        "its PFX is encrypted with an old algorithm (RC2 most likely); write it anew: openssl pkcs12 -legacy -in \
         old.pfx -nodes | openssl pkcs12 -export -passout pass: -out new.pfx"
    )]
    LegacyPfx,
    /// Reading it would take too long.
    #[error(
        "its PFX asks for {0} rounds of key derivation, and no more than {most} are computed; write it anew: openssl \
         pkcs12 -in old.pfx -nodes | openssl pkcs12 -export -iter 2048 -passout pass: -out new.pfx", most = rounds::MOST_ROUNDS
    )]
    TooManyRounds(u64),
    /// Reading it took too long.
    #[error(
        "its key was not read within {most} s of processor time; write it anew: openssl pkey -in old.pem -out new.pem, or \
         openssl pkcs12 -in old.pfx -nodes | openssl pkcs12 -export -iter 2048 -passout pass: -out new.pfx",
        most = PROCESSOR_SECONDS
    )]
    TooSlow,
    /// A key that could sign nothing anyway.
    #[error("its private key is one of DSA; RSA and EC keys can be those of a CA")]
    OtherKind,
    /// Longer than a secret of Key Vault can be.
    #[error("it has {0} bytes; no secret in Key Vault has more than 25600")]
    TooLong(usize),
    /// A PFX or PEM without what is wanted of it.
    #[error("there is no private key in it; the certificate may have been imported as not exportable")]
    NoKey,
    /// Something else.
    #[error(
        "it is neither PEM with a private key (PKCS#8, PKCS#1 or SEC1) nor a PFX in base64, the two forms a CA is \
         kept in"
    )]
    Unknown,
}

impl PulledKey {
    /// Reads the value of a secret: PEM, or a PFX in base64.
    pub fn from_secret(value: Zeroizing<String>) -> Result<PulledKey, UnusableSecret> {
        if value.len() > LONGEST {
            return Err(UnusableSecret::TooLong(value.len()));
        }
        if value.contains("-----BEGIN ") {
            return PulledKey::from_pem(&value);
        }
        let compact: Zeroizing<String> = Zeroizing::new(value.split_ascii_whitespace().collect());
        let der = STANDARD.decode(compact.as_bytes()).map_err(|_| UnusableSecret::Unknown)?;
        PulledKey::from_pfx(&Zeroizing::new(der))
    }

    /// Reads a private key, alone or among certificates, in any order.
    fn from_pem(text: &str) -> Result<PulledKey, UnusableSecret> {
        // OpenSSL reads a label up to a zero octet, and then it is not the label that is looked for here.
        if text.chars().any(|character| character.is_control() && !character.is_ascii_whitespace()) {
            return Err(UnusableSecret::Unknown);
        }
        // Not even tried: the party that encrypted it also chose how long the attempt takes.
        if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
            return Err(UnusableSecret::EncryptedPem);
        }
        if text.contains("-----BEGIN DSA PRIVATE KEY-----") {
            return Err(UnusableSecret::OtherKind);
        }
        // OpenSSL also reads blocks with headers. Of those only the older form of encryption makes use.
        let unclear =
            if text.contains("ENCRYPTED") { UnusableSecret::EncryptedPem } else { UnusableSecret::Unknown };
        for block in blocks(text) {
            rounds::check_key(&block.ok_or(unclear.clone())?)?;
        }
        // An empty passphrase rather than OpenSSL's default, which is to ask on the terminal.
        let key = PKey::private_key_from_pem_callback(text.as_bytes(), |_| Ok(0));
        let key = key.map_err(|_| match text {
            text if text.contains("ENCRYPTED") => UnusableSecret::EncryptedPem,
            text if text.contains("PRIVATE KEY-----") => UnusableSecret::Unknown,
            _ => UnusableSecret::NoKey,
        })?;
        let certificates = X509::stack_from_pem(text.as_bytes()).unwrap_or_default();
        Ok(PulledKey::new(key, certificates))
    }

    /// Reads a PFX with an empty password, the form in which a vault hands out a certificate with its key.
    fn from_pfx(der: &[u8]) -> Result<PulledKey, UnusableSecret> {
        let pfx = Pkcs12::from_der(der).map_err(|_| UnusableSecret::Unknown)?;
        rounds::check(der)?;
        let contents = pfx.parse2("").map_err(|error| match reason(&error) {
            reason if reason.contains(UNSUPPORTED) => UnusableSecret::LegacyPfx,
            _ => UnusableSecret::EncryptedPfx,
        })?;
        let chain = contents.ca.into_iter().flatten();
        let certificates = contents.cert.into_iter().chain(chain).collect();
        Ok(PulledKey::new(contents.pkey.ok_or(UnusableSecret::NoKey)?, certificates))
    }

    fn new(key: PKey<Private>, certificates: Vec<X509>) -> PulledKey {
        let certificates = certificates
            .iter()
            .filter_map(|certificate| CaCertificate::from_der(&certificate.to_der().ok()?).ok())
            .collect();
        PulledKey { key, certificates }
    }

    /// Returns the public half, as SubjectPublicKeyInfo in DER.
    pub(crate) fn public_key(&self) -> Result<Vec<u8>, UnusableSecret> {
        self.key.public_key_to_der().map_err(|_| UnusableSecret::Unknown)
    }

    /// All certificates that stood beside it.
    pub(crate) fn certificates(&self) -> &[CaCertificate] {
        &self.certificates
    }

    /// Returns the CA certificate beside the key, if it is the one with this thumbprint.
    pub fn certificate(&self, thumbprint: Thumbprint) -> Option<&CaCertificate> {
        self.certificates.iter().find(|certificate| certificate.thumbprint() == thumbprint)
    }

    /// Returns whether it is the private half of a CA's key.
    pub fn belongs_to(&self, ca: &CaCertificate) -> bool {
        self.key.public_eq(ca.public_key())
    }

    /// Makes the one signature.
    pub fn sign(self, ca: &CaCertificate, tbs: &[u8]) -> Result<RawSignature, ErrorStack> {
        RawSignature::from_der(&self.sign_to_der(ca.algorithm(), tbs)?, ca.algorithm())
    }

    /// Returns the same, as X.509 has it.
    pub(crate) fn sign_to_der(
        self,
        algorithm: SignatureAlgorithm,
        tbs: &[u8],
    ) -> Result<Vec<u8>, ErrorStack> {
        Signer::new(algorithm.digest(), &self.key)?.sign_oneshot_to_vec(tbs)
    }
}

/// Returns what stands in the blocks of a PEM text, by any label; nothing for one that is not plain base64.
fn blocks(text: &str) -> impl Iterator<Item = Option<Zeroizing<Vec<u8>>>> {
    let bodies = text.split("-----BEGIN ").skip(1).filter_map(|block| block.split_once("-----"));
    bodies.map(|(_, body)| {
        let body = body.split('-').next().unwrap_or_default();
        let compact: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
        STANDARD.decode(compact.as_bytes()).ok().map(Zeroizing::new)
    })
}

fn reason(error: &ErrorStack) -> String {
    error.errors().iter().filter_map(|error| error.reason()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
