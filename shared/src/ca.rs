//! A CA certificate as the issuer of a verification certificate: the parts that go into that, and the signature.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::ec::EcGroupRef;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, PKeyRef, Public};
use openssl::x509::X509;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::name::Name;

use crate::thumbprint::Thumbprint;

mod issuing;

/// What stands around a certificate's base64 in PEM, without blanks.
const PEM_BEGIN: &str = "-----BEGINCERTIFICATE-----";
const PEM_END: &str = "-----ENDCERTIFICATE-----";

/// A modulus of 2048 bits may be two short of that. The upper bound is OpenSSL's own for verifying; the time that a
/// signature takes grows with the cube of it.
const RSA_BITS: RangeInclusive<u32> = 2046..=16384;

/// A CA certificate whose key we can have used. Cheap to clone.
#[derive(Clone)]
pub struct CaCertificate(Arc<Parts>);

struct Parts {
    der: Vec<u8>,
    parsed: Certificate,
    subject: Name,
    public_key: PKey<Public>,
    algorithm: SignatureAlgorithm,
}

/// The signature a CA's key makes, by the names of RFC 7518 that Key Vault uses too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
}

/// Why a certificate cannot issue a verification certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsuitableCa {
    /// Not a certificate at all, or not strict DER.
    #[error("it is not a certificate that can be read: {0}")]
    Unreadable(String),
    /// Neither RSA nor one of the three curves.
    #[error("its key is {0}; RSA of 2048 to 16384 bits, P-256, P-384 and P-521 are supported")]
    Key(String),
    /// Not a CA, or one that may not sign certificates.
    #[error("it may not issue certificates: {0}")]
    NotACa(&'static str),
    /// A part of it that would stand in what its key signs is longer than any CA needs.
    #[error("its {part} has {found} bytes, and no more than {most} are put under a signature")]
    TooLong {
        /// What of it.
        part: &'static str,
        /// As it is.
        found: usize,
        /// As it may be.
        most: usize,
    },
    /// Its validity is over.
    #[error("it expired on {until}")]
    Expired {
        /// Last moment.
        until: OffsetDateTime,
    },
    /// Its validity has not begun.
    #[error("it is valid only from {from}; upload it again then, or issue it with an earlier date")]
    NotYetValid {
        /// First moment.
        from: OffsetDateTime,
    },
}

impl CaCertificate {
    /// Reads DER.
    pub fn from_der(der: &[u8]) -> Result<CaCertificate, UnsuitableCa> {
        let parsed =
            Certificate::from_der(der).map_err(|error| UnsuitableCa::Unreadable(error.to_string()))?;
        let (subject, public_key) = X509::from_der(der)
            .and_then(|certificate| Ok((certificate.subject_name().to_der()?, certificate.public_key()?)))
            .map_err(|error| UnsuitableCa::Unreadable(error.to_string()))?;
        // In `parsed` the attributes of a set are sorted, as DER wants them and not every CA has them.
        let subject =
            Name::from_ber(&subject).map_err(|error| UnsuitableCa::Unreadable(error.to_string()))?;
        let algorithm = SignatureAlgorithm::of(&public_key)?;
        Ok(CaCertificate(Arc::new(Parts { der: der.to_vec(), parsed, subject, public_key, algorithm })))
    }

    /// Reads what a registry shows as `certificate`: base64 of DER, base64 of PEM, or PEM as it is, and the
    /// first certificate of several. Which of them it is depends on who uploaded it.
    pub fn from_upload(text: &str) -> Result<CaCertificate, UnsuitableCa> {
        let bytes = unwrapped(text);
        match X509::from_pem(&bytes).and_then(|certificate| certificate.to_der()) {
            Ok(der) => CaCertificate::from_der(&der),
            Err(_) => CaCertificate::from_der(&bytes),
        }
    }

    /// Whether this very certificate was uploaded as this text. Told without reading it, which costs more than anything
    /// else that is done with an answer; a chain, or a text with remarks, is not recognized.
    pub fn is_uploaded_as(&self, text: &str) -> bool {
        let bytes = unwrapped(text);
        let alone = || format!("{PEM_BEGIN}{}{PEM_END}", STANDARD.encode(self.der()));
        bytes == self.der() || bytes.split(u8::is_ascii_whitespace).flatten().eq(alone().as_bytes())
    }

    /// Returns the certificate as it was read.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// Returns the SHA-1 of the DER.
    pub fn thumbprint(&self) -> Thumbprint {
        Thumbprint::of(&self.0.der)
    }

    /// Returns its subject. Cloned, it encodes to the same bytes, which is what an issuer has to be.
    pub fn subject(&self) -> &Name {
        &self.0.subject
    }

    /// Returns its key identifier, whichever way it was computed; some CAs have none.
    pub fn subject_key_identifier(&self) -> Option<SubjectKeyIdentifier> {
        let (_critical, identifier) = self.0.parsed.tbs_certificate().get_extension().ok()??;
        Some(identifier)
    }

    /// Returns the SubjectPublicKeyInfo in DER.
    pub fn public_key_info(&self) -> Vec<u8> {
        let info = self.0.parsed.tbs_certificate().subject_public_key_info();
        info.to_der().expect("what was decoded encodes again")
    }

    /// Returns its key, for OpenSSL.
    pub fn public_key(&self) -> &PKeyRef<Public> {
        &self.0.public_key
    }

    /// Returns the signature its key makes.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm
    }

    /// Returns the first moment of its validity.
    pub fn not_before(&self) -> OffsetDateTime {
        self.0.parsed.tbs_certificate().validity().not_before.to_system_time().into()
    }

    /// Returns the last moment of its validity.
    pub fn not_after(&self) -> OffsetDateTime {
        self.0.parsed.tbs_certificate().validity().not_after.to_system_time().into()
    }
}

impl fmt::Debug for CaCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaCertificate")
            .field("subject", &self.subject().to_string())
            .field("thumbprint", &self.thumbprint())
            .finish_non_exhaustive()
    }
}

impl SignatureAlgorithm {
    /// Returns its name in RFC 7518.
    pub fn name(self) -> &'static str {
        match self {
            SignatureAlgorithm::Rs256 => "RS256",
            SignatureAlgorithm::Es256 => "ES256",
            SignatureAlgorithm::Es384 => "ES384",
            SignatureAlgorithm::Es512 => "ES512",
        }
    }

    fn of(key: &PKeyRef<Public>) -> Result<SignatureAlgorithm, UnsuitableCa> {
        match key.id() {
            Id::RSA if RSA_BITS.contains(&key.bits()) => Ok(SignatureAlgorithm::Rs256),
            Id::RSA => Err(UnsuitableCa::Key(format!("RSA of {} bits", key.bits()))),
            Id::EC => match key.ec_key().ok().and_then(|key| curve(key.group())) {
                Some(Nid::X9_62_PRIME256V1) => Ok(SignatureAlgorithm::Es256),
                Some(Nid::SECP384R1) => Ok(SignatureAlgorithm::Es384),
                Some(Nid::SECP521R1) => Ok(SignatureAlgorithm::Es512),
                other => Err(UnsuitableCa::Key(format!("on curve {}", named(other)))),
            },
            other => Err(UnsuitableCa::Key(named(Some(Nid::from_raw(other.as_raw()))))),
        }
    }
}

/// Returns the bytes that were uploaded, PEM or DER.
fn unwrapped(text: &str) -> Vec<u8> {
    let compact: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(compact).unwrap_or_else(|_| text.as_bytes().to_vec())
}

fn curve(group: &EcGroupRef) -> Option<Nid> {
    group.curve_name()
}

fn named(nid: Option<Nid>) -> String {
    nid.and_then(|nid| nid.short_name().ok()).unwrap_or("of an unknown kind").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, P256};

    #[test]
    fn a_certificate_is_recognized_in_each_form_it_is_uploaded_in_and_in_no_other_ones_text() {
        let (ca, other) = (testing::ca(&testing::key(P256), 30), testing::ca(&testing::key(P256), 30));
        let forms = |ca: &CaCertificate| {
            let in_base64 = testing::uploaded(ca);
            let pem = String::from_utf8(unwrapped(&in_base64)).expect("PEM is text");
            [("DER in base64", STANDARD.encode(ca.der())), ("PEM", pem.clone()), ("PEM in base64", in_base64)]
        };
        for ((form, own), (_, others)) in forms(&ca).into_iter().zip(forms(&other)) {
            assert!(ca.is_uploaded_as(&own), "{form}");
            assert!(!ca.is_uploaded_as(&others), "{form}");
            assert!(!ca.is_uploaded_as(&own[..own.len() / 2]), "half a {form}");
        }
        for nothing in ["", "-----BEGIN CERTIFICATE-----", "AAAA"] {
            assert!(!ca.is_uploaded_as(nothing), "{nothing:?}");
        }
    }
}
