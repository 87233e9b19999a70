//! The verification certificate: built, linted, and checked against the CA.
//!
//! It is built by `x509-cert`, which lets the signature come from outside, and judged by OpenSSL, which
//! shares no code with it: the bytes are linted *before* a key is asked to sign them, and the finished
//! certificate is verified with the CA's public key before it is uploaded. A signature by a CA is a
//! dangerous thing to hand out, so there is no way through this module to a certificate with any other
//! subject than a [`VerificationCode`], with CA rights, or valid for more than a day.

pub mod lint;
mod signer;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use openssl::x509::{X509, X509VerifyResult};
use time::{Duration, OffsetDateTime};
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::der::asn1::BitString;
use x509_cert::der::{self, Decode, Encode};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::{Time, Validity};

use crate::ca::{CaCertificate, SignatureAlgorithm, UnsuitableCa};
use crate::verification_code::VerificationCode;
use signer::{IssuedBy, PublicHalf};

/// How long a proof is valid.
pub const LIFETIME: Duration = Duration::days(1);
/// How far its validity reaches back, for clocks that disagree.
pub const BACKDATED: Duration = Duration::minutes(5);

/// A linted certificate that lacks nothing but the CA's signature.
pub struct UnsignedProof {
    builder: CertificateBuilder<IssuedBy>,
    ca: CaCertificate,
    tbs: Vec<u8>,
}

/// A verification certificate that OpenSSL has verified against its CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    der: Vec<u8>,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The CA cannot issue one.
    #[error(transparent)]
    Ca(#[from] UnsuitableCa),
    /// The encoder refused.
    #[error("the verification certificate could not be built")]
    Build(#[from] x509_cert::builder::Error),
    /// The encoder refused a part.
    #[error("the verification certificate could not be encoded")]
    Encode(#[from] der::Error),
    /// OpenSSL could not do its part.
    #[error("OpenSSL failed on the verification certificate")]
    OpenSsl(#[from] ErrorStack),
    /// A key that was pulled did not sign.
    #[error("the pulled key cannot sign: {0}")]
    PulledKey(String),
    /// What was built is not what may be signed. This is a defect of this program.
    #[error("the verification certificate was not signed, because {0}")]
    Lint(String),
    /// What came back from the signer is no signature.
    #[error("the signature has {found} bytes instead of {expected}")]
    SignatureLength {
        /// As the algorithm has it.
        expected: usize,
        /// As it came.
        found: usize,
    },
    /// The signature was made with another key.
    #[error(
        "the signature does not verify with the CA's public key: {0}; the vault signed with another key or version"
    )]
    Signature(String),
}

impl UnsignedProof {
    /// Builds the certificate of a code for a CA and lints its final bytes.
    pub fn build(
        ca: &CaCertificate,
        code: &VerificationCode,
        leaf_public_key_info: &[u8],
        now: OffsetDateTime,
    ) -> Result<UnsignedProof, ProofError> {
        ca.check_may_issue(now)?;
        let validity = Validity::new(
            moment(ca.not_before().max(now - BACKDATED))?,
            moment(ca.not_after().min(now - BACKDATED + LIFETIME))?,
        );
        let mut builder = CertificateBuilder::new(
            IssuedBy::new(ca, code)?,
            random_serial()?,
            validity,
            SubjectPublicKeyInfoOwned::from_der(leaf_public_key_info)?,
        )?;
        let tbs = builder.finalize(&PublicHalf::of(ca))?;
        let unsigned = UnsignedProof { builder, ca: ca.clone(), tbs };
        lint::lint(&unsigned.tbs, ca, code, leaf_public_key_info, now)?;
        Ok(unsigned)
    }

    /// Returns the bytes to be signed.
    pub fn tbs(&self) -> &[u8] {
        &self.tbs
    }

    /// Returns the digest of those bytes that the CA's algorithm signs.
    pub fn digest(&self) -> Result<Vec<u8>, ErrorStack> {
        Ok(hash(self.ca.algorithm().digest(), &self.tbs)?.to_vec())
    }

    /// Puts the signature in place and has OpenSSL verify the result with the CA's public key.
    pub fn assemble(self, signature: &RawSignature) -> Result<Proof, ProofError> {
        let signature = signature.to_der(self.ca.algorithm())?;
        let certificate =
            self.builder.assemble(BitString::from_bytes(&signature)?, &PublicHalf::of(&self.ca))?;
        let proof = Proof { der: certificate.to_der()? };
        proof.check(&self.ca)?;
        Ok(proof)
    }
}

impl Proof {
    /// Returns the certificate.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Returns the form in which `verify` takes it in every api-version: base64 of DER.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.der)
    }

    fn check(&self, ca: &CaCertificate) -> Result<(), ProofError> {
        let proof = X509::from_der(&self.der)?;
        let (by_this_key, by_this_ca) =
            (proof.verify(ca.public_key()), X509::from_der(ca.der())?.issued(&proof));
        // A signature that does not verify leaves its reasons in this thread's queue, where the next TLS call
        // would find them.
        drop(ErrorStack::get());
        match (by_this_key?, by_this_ca) {
            (true, X509VerifyResult::OK) => Ok(()),
            (true, refused) => Err(ProofError::Signature(refused.to_string())),
            (false, _) => Err(ProofError::Signature("it is not one of this key".into())),
        }
    }
}

/// A signature as JOSE and Key Vault write it (RFC 7518): for RSA the signature itself, for ECDSA `r ‖ s`,
/// each padded to the size of the curve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawSignature(pub Vec<u8>);

impl RawSignature {
    /// Returns what X.509 wants: RSA as it is, ECDSA as `SEQUENCE { r, s }`.
    pub fn to_der(&self, algorithm: SignatureAlgorithm) -> Result<Vec<u8>, ProofError> {
        let half = match algorithm {
            SignatureAlgorithm::Rs256 => return Ok(self.0.clone()),
            SignatureAlgorithm::Es256 => 32,
            SignatureAlgorithm::Es384 => 48,
            SignatureAlgorithm::Es512 => 66,
        };
        if self.0.len() != 2 * half {
            return Err(ProofError::SignatureLength { expected: 2 * half, found: self.0.len() });
        }
        let (r, s) = self.0.split_at(half);
        let pair = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?;
        Ok(pair.to_der()?)
    }

    /// Converts a signature that OpenSSL made.
    pub fn from_der(der: &[u8], algorithm: SignatureAlgorithm) -> Result<RawSignature, ErrorStack> {
        let half = match algorithm {
            SignatureAlgorithm::Rs256 => return Ok(RawSignature(der.to_vec())),
            SignatureAlgorithm::Es256 => 32,
            SignatureAlgorithm::Es384 => 48,
            SignatureAlgorithm::Es512 => 66,
        };
        let pair = EcdsaSig::from_der(der)?;
        let mut raw = pair.r().to_vec_padded(half)?;
        raw.extend(pair.s().to_vec_padded(half)?);
        Ok(RawSignature(raw))
    }
}

impl SignatureAlgorithm {
    /// Returns the digest it signs.
    pub fn digest(self) -> MessageDigest {
        match self {
            SignatureAlgorithm::Rs256 | SignatureAlgorithm::Es256 => MessageDigest::sha256(),
            SignatureAlgorithm::Es384 => MessageDigest::sha384(),
            SignatureAlgorithm::Es512 => MessageDigest::sha512(),
        }
    }
}

/// 16 random bytes, positive and without leading zeros (RFC 5280 allows 20 octets).
fn random_serial() -> Result<SerialNumber, ProofError> {
    let mut bytes = [0; 16];
    openssl::rand::rand_bytes(&mut bytes)?;
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(SerialNumber::new(&bytes)?)
}

/// Whole seconds; the builder chooses UTCTime or GeneralizedTime as RFC 5280 wants.
fn moment(at: OffsetDateTime) -> Result<Time, der::Error> {
    let seconds = u64::try_from(at.unix_timestamp()).map_err(|_| der::ErrorKind::DateTime)?;
    Ok(Time::GeneralTime(der::asn1::GeneralizedTime::from_unix_duration(std::time::Duration::from_secs(
        seconds,
    ))?))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
