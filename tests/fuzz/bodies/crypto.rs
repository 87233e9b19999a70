//! Certificates and keys. OpenSSL reads them, so that it is not only our code that is tried here.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyholder::ca::CaCertificate;
use keyholder::proof::{ProofError, UnsignedProof};
use keyholder::pulled_key::PulledKey;
use keyholder::verification_code::VerificationCode;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::symm::{Cipher, encrypt};
use openssl::x509::X509;
use zeroize::Zeroizing;

use super::{SENTENCE, assert_fits_a_log, text};

/// Four million rounds take some seconds; a bomb takes hours.
const LONGEST: Duration = Duration::from_secs(60);
/// A CA; its key is in seeds of the secrets.
const CA: &[u8] = include_bytes!("../corpus/ca_certificate/p256.der");
/// The public half of a leaf's key pair, SubjectPublicKeyInfo.
const LEAF: &[u8] = include_bytes!("../leaf-key.der");

/// Whatever is read as a CA certificate gets a proof that our lint finds nothing wrong with, or a reason why
/// not; and the proof's issuer is the CA's subject, byte by byte.
pub fn ca_certificate(data: &[u8]) {
    if let Ok(ca) = CaCertificate::from_upload(&text(data)) {
        assert_can_issue(&ca);
    }
    match CaCertificate::from_der(data) {
        Ok(ca) => {
            assert_eq!(ca.der(), data, "the thumbprint would be another");
            assert!(ca.is_uploaded_as(&STANDARD.encode(data)), "or it would be read for nothing");
            assert_can_issue(&ca);
        }
        Err(refused) => assert_fits_a_log(&refused.to_string(), SENTENCE),
    }
    assert_no_errors_left();
}

/// A secret's value as text, PEM or anything else.
pub fn pem_secret(data: &[u8]) {
    secret(&text(data));
}

/// A secret's value as a PFX, in base64 as a vault has it.
pub fn pfx_secret(data: &[u8]) {
    secret(&STANDARD.encode(data));
}

/// The contents of a PFX whose writer encrypted them with the empty password. A count of rounds in there is not to be
/// seen from outside, and still nothing is computed that takes long.
pub fn pfx_rounds(data: &[u8]) {
    let begun = Instant::now();
    secret(&STANDARD.encode(sealed(data)));
    assert!(begun.elapsed() < LONGEST, "it took {:?}", begun.elapsed());
}

/// A PFX without a MAC, with one part: PBES2 of PBKDF2 (one round of HMAC-SHA-1) and AES-256.
fn sealed(contents: &[u8]) -> Vec<u8> {
    let (salt, iv, mut key) = ([7; 8], [9; 16], [0; 32]);
    pbkdf2_hmac(b"", &salt, 1, MessageDigest::sha1(), &mut key).expect("derives");
    let encrypted = encrypt(Cipher::aes_256_cbc(), &key, Some(&iv), contents).expect("encrypts");
    let pkcs = |last: &[u8]| tlv(0x06, &[b"\x2a\x86\x48\x86\xf7\x0d\x01", last]);
    let derivation = tlv(0x30, &[&tlv(0x04, &[&salt]), b"\x02\x01\x01"]);
    let derivation = tlv(0x30, &[&pkcs(b"\x05\x0c"), &derivation]);
    let cipher = tlv(0x30, &[b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a", &tlv(0x04, &[&iv])]);
    let algorithm = tlv(0x30, &[&pkcs(b"\x05\x0d"), &tlv(0x30, &[&derivation, &cipher])]);
    let content = tlv(0x30, &[&pkcs(b"\x07\x01"), &algorithm, &tlv(0x80, &[&encrypted])]);
    let data = tlv(0xa0, &[&tlv(0x30, &[b"\x02\x01\x00", &content])]);
    let safes = tlv(0x30, &[&tlv(0x30, &[&pkcs(b"\x07\x06"), &data])]);
    let outer = tlv(0x30, &[&pkcs(b"\x07\x01"), &tlv(0xa0, &[&tlv(0x04, &[&safes])])]);
    tlv(0x30, &[b"\x02\x01\x03", &outer])
}

/// An element of ASN.1, with a length of three octets.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u32::try_from(content.len()).expect("less than 4 GB").to_be_bytes();
    [&[tag, 0x83], &length[1..], &content].concat()
}

fn assert_can_issue(ca: &CaCertificate) {
    match unsigned(ca) {
        Ok(proof) => {
            let subject = X509::from_der(ca.der()).and_then(|ca| ca.subject_name().to_der());
            let subject = subject.expect("what was read has a subject");
            let named = proof.tbs().windows(subject.len()).any(|window| window == subject);
            assert!(named, "the issuer is not the CA's subject");
        }
        Err(defect @ ProofError::Lint(_)) => panic!("built what may not be signed: {defect}"),
        Err(_) => {}
    }
}

/// Either a key that proves nothing but its own CA, or a reason that quotes nothing.
fn secret(value: &str) {
    match PulledKey::from_secret(Zeroizing::new(value.to_owned())) {
        Ok(key) => {
            let ca = CaCertificate::from_der(CA).expect("a CA");
            if let Some(beside) = key.certificate(ca.thumbprint()) {
                assert_eq!(beside.der(), CA);
            }
            if key.belongs_to(&ca) {
                assert_proves_or_is_caught(key, &ca);
            }
        }
        Err(unusable) => {
            let shown = format!("{unusable} {unusable:?}");
            assert_fits_a_log(&shown, SENTENCE);
            // No word of a reason is as long as this, so what is found was quoted.
            let quoted = value.split_ascii_whitespace().find(|word| word.len() > 24 && shown.contains(word));
            assert_eq!(quoted, None, "{shown}");
        }
    }
    assert_no_errors_left();
}

/// A private half that does not fit the public one beside it is noticed before anything leaves the program.
fn assert_proves_or_is_caught(key: PulledKey, ca: &CaCertificate) {
    let unsigned = unsigned(ca).expect("the CA is a good one");
    let Ok(signature) = key.sign(ca, unsigned.tbs()) else { return };
    match unsigned.assemble(&signature) {
        Ok(proof) => {
            let verified = X509::from_der(proof.der()).and_then(|proof| proof.verify(ca.public_key()));
            assert!(verified.expect("decides"), "signed with another key");
        }
        Err(ProofError::Signature(_)) => {}
        Err(defect) => panic!("{defect}"),
    }
}

/// Half way through the CA's own validity.
fn unsigned(ca: &CaCertificate) -> Result<UnsignedProof, ProofError> {
    let half = (ca.not_after() - ca.not_before()) / 2;
    let code = VerificationCode::parse("A1B2C3D4E5F6G7H8").expect("a code");
    UnsignedProof::build(ca, &code, LEAF, ca.not_before() + half)
}

/// What a parser leaves in this thread's queue of OpenSSL, the next TLS call takes for its own failure.
pub(super) fn assert_no_errors_left() {
    let left = ErrorStack::get();
    assert!(left.errors().is_empty(), "OpenSSL's queue holds {left}");
}
