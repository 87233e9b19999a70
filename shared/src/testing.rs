//! CAs and keys for the unit tests of this crate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use openssl::x509::extension::{BasicConstraints, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder, X509NameRef};
use proptest::test_runner::{Config, RngSeed};

use crate::ca::{CaCertificate, SignatureAlgorithm};
use crate::proof::RawSignature;

/// A code as it was recorded.
pub(crate) const CODE: &str = "7D07A6A51F8AF1469499A1D92074D629894BE9FA8A013E49";
/// The family that takes no time to generate.
pub(crate) const P256: Family = Family::Curve(Nid::X9_62_PRIME256V1);

/// How properties are tried: the same cases every time, unless `PROPTEST_RNG_SEED` asks for others.
pub(crate) fn cases(cases: u32) -> Config {
    let asked = Config::default();
    let rng_seed = match asked.rng_seed {
        RngSeed::Random => RngSeed::Fixed(7),
        fixed => fixed,
    };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { cases };
    Config { cases, rng_seed, failure_persistence: None, ..asked }
}

#[derive(Clone, Copy)]
pub(crate) enum Family {
    Rsa,
    Curve(Nid),
}

pub(crate) fn key(family: Family) -> PKey<Private> {
    match family {
        Family::Rsa => PKey::from_rsa(Rsa::generate(2048).expect("generates")).expect("wraps"),
        Family::Curve(curve) => {
            let group = EcGroup::from_curve_name(curve).expect("known curve");
            PKey::from_ec_key(EcKey::generate(&group).expect("generates")).expect("wraps")
        }
    }
}

/// A CA with a subject that cannot be rebuilt from text: two OUs, and letters outside ASCII.
pub(crate) fn ca(key: &PKey<Private>, valid_days: u32) -> CaCertificate {
    let mut name = X509NameBuilder::new().expect("starts");
    for (field, value) in [("O", "Käse & Söhne"), ("OU", "Plant 1"), ("OU", "Line 7"), ("CN", "Factory Root")]
    {
        name.append_entry_by_text(field, value).expect("a valid attribute");
    }
    ca_named(&name.build(), key, valid_days)
}

/// A CA with a subject from elsewhere.
pub(crate) fn ca_named(name: &X509NameRef, key: &PKey<Private>, valid_days: u32) -> CaCertificate {
    let der = certificate(name, key, key, valid_days, |builder| {
        add_constraints(builder);
        let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None));
        builder.append_extension(identifier.expect("computes")).expect("adds");
    });
    CaCertificate::from_der(&der).expect("is a CA")
}

/// A certificate of this name around a key, signed by another key or by itself.
pub(crate) fn certificate(
    name: &X509NameRef,
    key: &PKey<Private>,
    signed_by: &PKey<Private>,
    valid_days: u32,
    extend: impl FnOnce(&mut X509Builder),
) -> Vec<u8> {
    let mut builder = X509Builder::new().expect("starts");
    builder.set_version(2).expect("v3");
    builder.set_serial_number(&BigNum::from_u32(7).expect("7").to_asn1_integer().expect("7")).expect("7");
    builder.set_subject_name(name).expect("subject");
    builder.set_issuer_name(name).expect("issuer");
    builder.set_pubkey(key).expect("key");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("now")).expect("now");
    builder.set_not_after(&Asn1Time::days_from_now(valid_days).expect("then")).expect("then");
    extend(&mut builder);
    builder.sign(signed_by, MessageDigest::sha256()).expect("signs");
    builder.build().to_der().expect("encodes")
}

/// Critical CA:TRUE.
pub(crate) fn add_constraints(builder: &mut X509Builder) {
    builder.append_extension(BasicConstraints::new().critical().ca().build().expect("builds")).expect("adds");
}

/// A name of one common name.
pub(crate) fn common_name(text: &str) -> X509Name {
    let mut name = X509NameBuilder::new().expect("starts");
    name.append_entry_by_text("CN", text).expect("a valid attribute");
    name.build()
}

/// A certificate as the portal uploads it: base64 of PEM.
pub(crate) fn uploaded(ca: &CaCertificate) -> String {
    let pem = X509::from_der(ca.der()).and_then(|certificate| certificate.to_pem()).expect("has a text form");
    STANDARD.encode(pem)
}

/// Signs as a vault would.
pub(crate) fn sign(key: &PKey<Private>, tbs: &[u8], algorithm: SignatureAlgorithm) -> RawSignature {
    let mut signer = Signer::new(algorithm.digest(), key).expect("starts");
    let der = signer.sign_oneshot_to_vec(tbs).expect("signs");
    RawSignature::from_der(&der, algorithm).expect("OpenSSL's own signature")
}
