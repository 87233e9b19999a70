use openssl::nid::Nid;
use openssl::x509::X509;

use super::*;
use crate::testing::{CODE, Family, P256, ca, key, sign};

fn code() -> VerificationCode {
    VerificationCode::parse(CODE).expect("a code")
}

fn unsigned(ca: &CaCertificate, now: OffsetDateTime) -> Result<UnsignedProof, ProofError> {
    let leaf = key(P256).public_key_to_der().expect("encodes");
    UnsignedProof::build(ca, &code(), &leaf, now)
}

/// Signatures of throw-away CAs as a vault answers them and as they stand in finished certificates, checked by
/// `openssl` when they were made.
#[test]
fn a_signature_of_a_vault_becomes_the_one_in_the_certificate_and_back() {
    let text = include_str!("../../../tests/fixtures/keyvault/sign-vectors.json");
    let file: serde_json::Value = serde_json::from_str(text).expect("JSON");
    for vector in file["vectors"].as_array().expect("a list") {
        let name = vector["name"].as_str().expect("a name");
        let bytes = |member: &str| STANDARD.decode(vector[member].as_str().expect(name)).expect(name);
        let ca = CaCertificate::from_der(&bytes("ca_cer_base64")).expect(name);
        let answered = vector["sign_response"]["value"].as_str().expect(name);
        let answered = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(answered).expect(name);
        let signature = RawSignature(answered.clone()).to_der(ca.algorithm()).expect(name);
        assert_eq!(signature, bytes("certificate_signature_value_base64"), "{name}");
        assert_eq!(RawSignature::from_der(&signature, ca.algorithm()).expect(name).0, answered, "{name}");

        let certificate = X509::from_der(&bytes("certificate_der_base64")).expect(name);
        assert_eq!(certificate.signature().as_slice(), signature, "{name}");
        let issuer = X509::from_der(&bytes("ca_cer_base64")).expect(name);
        assert!(certificate.verify(&*issuer.public_key().expect(name)).expect(name), "{name}");
        let tbs = x509_cert::Certificate::from_der(&bytes("certificate_der_base64")).expect(name);
        assert_eq!(tbs.tbs_certificate().to_der().expect(name), bytes("tbs_base64"), "{name}");
    }
}

#[test]
fn every_family_of_ca_signs_a_proof_that_openssl_accepts() {
    let families = [
        ("RSA-2048", Family::Rsa),
        ("P-256", P256),
        ("P-384", Family::Curve(Nid::SECP384R1)),
        ("P-521", Family::Curve(Nid::SECP521R1)),
    ];
    for (name, family) in families {
        let key = key(family);
        let ca = ca(&key, 365);
        let unsigned = unsigned(&ca, OffsetDateTime::now_utc()).expect(name);
        let signature = sign(&key, unsigned.tbs(), ca.algorithm());
        let proof = unsigned.assemble(&signature).expect(name);

        let certificate = X509::from_der(proof.der()).expect(name);
        let issuer = certificate.issuer_name().to_der().expect(name);
        assert_eq!(issuer, ca.subject().to_der().expect(name), "{name}: issuer bytes");
        assert_eq!(
            certificate.authority_key_id().map(|id| id.as_slice().to_vec()),
            ca.subject_key_identifier().map(|id| id.0.into_bytes().to_vec()),
            "{name}: authority key"
        );
    }
}

#[test]
fn every_es256_signature_fits_whatever_its_leading_zeros() {
    let key = key(P256);
    let ca = ca(&key, 365);
    for round in 0..300 {
        let unsigned = unsigned(&ca, OffsetDateTime::now_utc()).expect("builds");
        let signature = sign(&key, unsigned.tbs(), ca.algorithm());
        unsigned.assemble(&signature).unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
}

#[test]
fn a_signature_by_another_key_is_no_proof() {
    let (right, wrong) = (key(Family::Rsa), key(Family::Rsa));
    let ca = ca(&right, 365);
    let unsigned = unsigned(&ca, OffsetDateTime::now_utc()).expect("builds");
    let signature = sign(&wrong, unsigned.tbs(), ca.algorithm());
    assert!(matches!(unsigned.assemble(&signature), Err(ProofError::Signature(_))));
}

#[test]
fn a_signature_of_the_wrong_length_is_no_proof() {
    let key = key(P256);
    let ca = ca(&key, 365);
    let unsigned = unsigned(&ca, OffsetDateTime::now_utc()).expect("builds");
    let error = unsigned.assemble(&RawSignature(vec![1; 63])).expect_err("63 bytes");
    assert!(matches!(error, ProofError::SignatureLength { expected: 64, found: 63 }));
}

#[test]
fn a_proof_never_outlives_its_ca_nor_a_day() {
    let key = key(P256);
    let now = OffsetDateTime::now_utc();
    let validity = |ca: &CaCertificate, now| {
        let tbs = unsigned(ca, now).expect("builds");
        let tbs = x509_cert::TbsCertificate::from_der(tbs.tbs()).expect("decodes");
        let validity = *tbs.validity();
        [validity.not_before, validity.not_after].map(|time| OffsetDateTime::from(time.to_system_time()))
    };
    let old = ca(&key, 365);
    let [from, until] = validity(&old, now + Duration::days(30));
    assert_eq!(until - from, LIFETIME);

    let short = ca(&key, 1);
    let [from, until] = validity(&short, now + Duration::hours(23));
    assert!(until <= short.not_after() && from >= short.not_before());
}

#[test]
fn a_ca_outside_its_validity_gets_no_proof() {
    let ca = ca(&key(P256), 1);
    let now = OffsetDateTime::now_utc();
    let early = unsigned(&ca, now - Duration::days(1));
    assert!(matches!(early, Err(ProofError::Ca(UnsuitableCa::NotYetValid { .. }))));
    let late = unsigned(&ca, now + Duration::days(2));
    assert!(matches!(late, Err(ProofError::Ca(UnsuitableCa::Expired { .. }))));
}
