//! Reads the final bytes back, before a key signs them, and refuses whatever is not a verification
//! certificate.
//!
//! OpenSSL reads certificates only, so the bytes are wrapped into one with an empty signature. Its safe
//! interface does not show basic constraints, so those are read from its text form, whose last section on
//! extensions holds nothing but ours; the decoder of `x509-cert` has to agree.

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::x509::{X509, X509NameRef};
use time::{Duration, OffsetDateTime};
use x509_cert::TbsCertificate;
use x509_cert::der::asn1::BitString;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Any, Decode, Encode, Tag};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints};

use super::{BACKDATED, LIFETIME, ProofError};
use crate::ca::{CaCertificate, SignatureAlgorithm};
use crate::verification_code::VerificationCode;

/// Longest serial RFC 5280 allows, in octets.
const MAX_SERIAL: i32 = 20 * 8;

/// Refuses these bytes, unless they are a verification certificate of this CA for this code and this leaf's key
/// (SubjectPublicKeyInfo).
pub fn lint(
    tbs: &[u8],
    ca: &CaCertificate,
    code: &VerificationCode,
    leaf_public_key_info: &[u8],
    now: OffsetDateTime,
) -> Result<(), ProofError> {
    let certificate = X509::from_der(&with_empty_signature(tbs)?)?;
    require(certificate.version() == 2, "its version is not 3")?;
    require(is_only_common_name(certificate.subject_name(), code), "its subject is not the code alone")?;
    require(
        certificate.issuer_name().to_der()? == X509::from_der(ca.der())?.subject_name().to_der()?,
        "its issuer is not the CA's subject",
    )?;

    let subject_key = certificate.public_key().and_then(|key| key.public_key_to_der());
    // A key that OpenSSL cannot read leaves its reasons in this thread's queue.
    drop(ErrorStack::get());
    require(subject_key.is_ok_and(|key| key == leaf_public_key_info), "its key is not the leaf's")?;
    let (named, encoded) = signature_algorithm(ca.algorithm());
    require(
        certificate.signature_algorithm().object().nid() == named,
        "OpenSSL reads another signature algorithm in it",
    )?;

    let serial = certificate.serial_number().to_bn()?;
    require(
        !serial.is_negative() && (64..MAX_SERIAL).contains(&serial.num_bits()),
        "its serial is not random",
    )?;

    let (from, until) = (moment(certificate.not_before())?, moment(certificate.not_after())?);
    require(from >= now - BACKDATED - Duration::SECOND, "it is backdated too far")?;
    require(from <= now && now <= until, "it is not valid now")?;
    require(until - from <= LIFETIME, "it is valid for more than a day")?;
    require(until <= ca.not_after(), "it outlives the CA")?;

    require(openssl_reads_no_ca(&certificate)?, "OpenSSL does not read CA:FALSE in it")?;
    let authority = certificate.authority_key_id().map(|id| id.as_slice().to_vec());
    let wanted = ca.subject_key_identifier().map(|identifier| identifier.0.as_bytes().to_vec());
    require(authority == wanted, "OpenSSL reads another authority key in it")?;

    let decoded = TbsCertificate::from_der(tbs)?;
    require(decoded.signature().to_der()? == encoded, "its signature algorithm is not the CA's")?;
    require(
        decoded.subject_public_key_info().to_der()? == leaf_public_key_info,
        "its key is not the leaf's, byte by byte",
    )?;
    lint_extensions(&decoded, ca)
}

/// How OpenSSL names the algorithm, and its `AlgorithmIdentifier` in DER: with NULL parameters for RSA, without any for
/// ECDSA (RFC 4055, RFC 5758). Spelled out here, so that they do not come from what is checked.
fn signature_algorithm(of: SignatureAlgorithm) -> (Nid, &'static [u8]) {
    match of {
        SignatureAlgorithm::Rs256 => {
            (Nid::SHA256WITHRSAENCRYPTION, b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00")
        }
        SignatureAlgorithm::Es256 => {
            (Nid::ECDSA_WITH_SHA256, b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02")
        }
        SignatureAlgorithm::Es384 => {
            (Nid::ECDSA_WITH_SHA384, b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03")
        }
        SignatureAlgorithm::Es512 => {
            (Nid::ECDSA_WITH_SHA512, b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04")
        }
    }
}

/// Returns whether the extensions, as OpenSSL prints them, are critical `CA:FALSE` and at most an authority key.
fn openssl_reads_no_ca(certificate: &X509) -> Result<bool, ProofError> {
    let text = certificate.to_text()?;
    let text = String::from_utf8_lossy(&text);
    let Some((_, extensions)) = text.rsplit_once("X509v3 extensions:\n") else { return Ok(false) };
    let extensions = extensions.split("    Signature Algorithm").next().unwrap_or_default();
    let mut lines = extensions.lines().map(str::trim);
    let constraints =
        lines.next() == Some("X509v3 Basic Constraints: critical") && lines.next() == Some("CA:FALSE");
    let mut names = lines.filter(|line| line.starts_with("X509v3 "));
    Ok(constraints
        && names.next().is_none_or(|name| name.starts_with("X509v3 Authority Key Identifier:"))
        && names.next().is_none())
}

fn lint_extensions(tbs: &TbsCertificate, ca: &CaCertificate) -> Result<(), ProofError> {
    let extensions = tbs.extensions().map(Vec::as_slice).unwrap_or_default();
    let known = [BasicConstraints::OID, AuthorityKeyIdentifier::OID];
    require(
        extensions.iter().all(|extension| known.contains(&extension.extn_id)),
        "it has another extension",
    )?;

    let constraints = tbs.get_extension::<BasicConstraints>().ok().flatten();
    require(matches!(constraints, Some((true, BasicConstraints { ca: false, .. }))), "it is not CA:FALSE")?;

    let authority = tbs.get_extension::<AuthorityKeyIdentifier>().ok().flatten();
    let key = authority.and_then(|(_, authority)| authority.key_identifier);
    require(
        key == ca.subject_key_identifier().map(|identifier| identifier.0),
        "its authority key is not the CA's",
    )
}

fn require(holds: bool, otherwise: &str) -> Result<(), ProofError> {
    if holds { Ok(()) } else { Err(ProofError::Lint(otherwise.to_owned())) }
}

fn is_only_common_name(subject: &X509NameRef, code: &VerificationCode) -> bool {
    let mut entries = subject.entries();
    let (first, second) = (entries.next(), entries.next());
    first.is_some_and(|entry| {
        entry.object().nid() == Nid::COMMONNAME && entry.data().as_slice() == code.as_str().as_bytes()
    }) && second.is_none()
}

fn moment(time: &Asn1TimeRef) -> Result<OffsetDateTime, ProofError> {
    let since_epoch = Asn1Time::from_unix(0)?.diff(time)?;
    Ok(OffsetDateTime::UNIX_EPOCH
        + Duration::days(i64::from(since_epoch.days))
        + Duration::seconds(i64::from(since_epoch.secs)))
}

/// `SEQUENCE { tbs, algorithm, BIT STRING {} }`, the algorithm being the one inside `tbs`.
fn with_empty_signature(tbs: &[u8]) -> Result<Vec<u8>, ProofError> {
    let algorithm = TbsCertificate::from_der(tbs)?.signature().to_der()?;
    let signature = BitString::from_bytes(&[])?.to_der()?;
    let parts: Vec<u8> = [tbs, &algorithm, &signature].concat();
    Ok(Any::new(Tag::Sequence, parts)?.to_der()?)
}

#[cfg(test)]
mod tests;
