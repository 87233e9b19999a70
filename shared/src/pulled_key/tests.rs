use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::rsa::Rsa;
use openssl::symm::Cipher;

use super::*;
use crate::testing::{self, P256};

fn secret(bytes: Vec<u8>) -> Zeroizing<String> {
    Zeroizing::new(String::from_utf8(bytes).expect("text"))
}

fn refused(bytes: Vec<u8>) -> UnusableSecret {
    PulledKey::from_secret(secret(bytes)).err().expect("no usable key")
}

#[test]
fn every_pem_form_of_a_key_is_read() {
    let rsa = Rsa::generate(2048).expect("generates");
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("known curve");
    let ec = EcKey::generate(&group).expect("generates");
    let parameters =
        b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n".to_vec();
    let sec1 = ec.private_key_to_pem().expect("encodes");
    let rows = [
        ("PKCS#1", rsa.private_key_to_pem().expect("encodes")),
        ("SEC1", sec1.clone()),
        ("SEC1 with parameters, as openssl ecparam writes it", [parameters, sec1].concat()),
        ("PKCS#8", PKey::from_rsa(rsa).expect("wraps").private_key_to_pem_pkcs8().expect("encodes")),
    ];
    for (name, pem) in rows {
        assert!(PulledKey::from_secret(secret(pem)).is_ok(), "{name}");
    }
}

#[test]
fn the_ca_certificate_is_found_wherever_it_stands() {
    let key = testing::key(P256);
    let (ca, other) = (testing::ca(&key, 30), testing::ca(&testing::key(P256), 30));
    let pem = |ca: &CaCertificate| X509::from_der(ca.der()).and_then(|ca| ca.to_pem()).expect("encodes");
    let key_pem = key.private_key_to_pem_pkcs8().expect("encodes");
    let rows = [
        ("after the key", [key_pem.clone(), pem(&ca)].concat()),
        ("before the key", [pem(&ca), key_pem.clone()].concat()),
        ("at the end of a chain", [pem(&other), key_pem.clone(), pem(&ca)].concat()),
    ];
    for (name, text) in rows {
        let pulled = PulledKey::from_secret(secret(text)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(pulled.certificate(ca.thumbprint()).is_some_and(|ca| pulled.belongs_to(ca)), "{name}");
        assert!(!pulled.belongs_to(&other), "{name}");
    }
    let alone = PulledKey::from_secret(secret(key_pem)).expect("a key alone");
    assert!(alone.certificate(ca.thumbprint()).is_none());
}

#[test]
fn a_pfx_without_a_password_is_read_whatever_modern_cipher_it_has() {
    let key = testing::key(P256);
    let ca = testing::ca(&key, 30);
    let certificate = X509::from_der(ca.der()).expect("decodes");
    for algorithm in [Nid::AES_256_CBC, Nid::PBE_WITHSHA1AND3_KEY_TRIPLEDES_CBC] {
        let mut builder = Pkcs12::builder();
        builder.pkey(&key).cert(&certificate).key_algorithm(algorithm).cert_algorithm(algorithm);
        let der = builder.build2("").and_then(|pfx| pfx.to_der()).expect("encodes");
        let pulled = PulledKey::from_secret(secret(STANDARD.encode(der).into_bytes())).expect("reads");
        assert!(pulled.certificate(ca.thumbprint()).is_some_and(|ca| pulled.belongs_to(ca)), "{algorithm:?}");
    }
}

#[test]
fn what_is_no_usable_key_is_refused_with_the_reason() {
    let key = testing::key(P256);
    let certificate = X509::from_der(testing::ca(&key, 30).der()).expect("decodes");
    let cipher = Cipher::aes_256_cbc();
    let encrypted = key.private_key_to_pem_pkcs8_passphrase(cipher, b"hunter2").expect("encodes");
    let pfx = |password: &str| {
        let pfx = Pkcs12::builder().pkey(&key).cert(&certificate).build2(password);
        STANDARD.encode(pfx.and_then(|pfx| pfx.to_der()).expect("encodes")).into_bytes()
    };
    let keyless = Pkcs12::builder().cert(&certificate).build2("").and_then(|pfx| pfx.to_der());
    let rows = [
        ("encrypted PEM", encrypted, UnusableSecret::EncryptedPem),
        ("certificate without a key", certificate.to_pem().expect("encodes"), UnusableSecret::NoKey),
        ("public key", key.public_key_to_pem().expect("encodes"), UnusableSecret::NoKey),
        ("PFX with a password", pfx("hunter2"), UnusableSecret::EncryptedPfx),
        ("PFX without a key", STANDARD.encode(keyless.expect("encodes")).into_bytes(), UnusableSecret::NoKey),
        ("RC2 PFX", include_bytes!("rc2.pfx.b64").to_vec(), UnusableSecret::LegacyPfx),
        ("base64 of something else", b"aGVsbG8=".to_vec(), UnusableSecret::Unknown),
        ("something else", b"hunter2!".to_vec(), UnusableSecret::Unknown),
        ("empty", Vec::new(), UnusableSecret::Unknown),
    ];
    for (name, value, expected) in rows {
        assert_eq!(refused(value), expected, "{name}");
    }
}

/// Runs in a thread of its own: what would take hours, fails.
fn refused_at_once(value: Vec<u8>) -> UnusableSecret {
    let (told, tells) = std::sync::mpsc::channel();
    std::thread::spawn(move || told.send(PulledKey::from_secret(secret(value)).err()));
    let refused = tells.recv_timeout(std::time::Duration::from_secs(60)).expect("it is refused at once");
    refused.expect("no usable key")
}

#[test]
fn an_encrypted_key_is_not_tried_under_whatever_label_it_stands() {
    let der = include_bytes!("../../../tests/fuzz/corpus/pfx_rounds/shrouded-two-billion-rounds.der");
    // Inside of a list, of a bag, and of `[0]`.
    let key = ber::elements(der)[0].parts()[0].parts()[1].content;
    let body = STANDARD.encode(key);
    let pem = |label: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").into_bytes();
    for label in [
        "ENCRYPTED PRIVATE KEY",
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "ANY PRIVATE KEY",
        "PKCS12",
    ] {
        assert_eq!(refused_at_once(pem(label)), UnusableSecret::EncryptedPem, "{label}");
    }
    let with_header = String::from_utf8(pem("PRIVATE KEY")).expect("text").replacen("\n", "\nA: b\n\n", 1);
    assert_eq!(refused_at_once(with_header.into_bytes()), UnusableSecret::Unknown, "with a header");
    for label in ["ENCRYPTED PRIVATE KEY\0", "ENCRYPTED PRIVATE KEY\0 junk", "ENCRYPTED\u{1} PRIVATE KEY"] {
        assert_eq!(refused_at_once(pem(label)), UnusableSecret::Unknown, "{label:?}");
    }
}

#[test]
fn a_key_of_dsa_is_not_read_because_its_field_may_be_huge() {
    let dsa = openssl::dsa::Dsa::generate(1024).expect("generates");
    let traditional = dsa.private_key_to_pem().expect("encodes");
    let key = PKey::from_dsa(dsa).expect("wraps");
    let pfx = |algorithm| {
        let mut builder = Pkcs12::builder();
        builder.pkey(&key).key_algorithm(algorithm);
        STANDARD.encode(builder.build2("").and_then(|pfx| pfx.to_der()).expect("encodes")).into_bytes()
    };
    let rows = [
        ("traditional", traditional),
        ("PKCS#8", key.private_key_to_pem_pkcs8().expect("encodes")),
        ("PFX, AES", pfx(Nid::AES_256_CBC)),
        ("PFX, 3DES", pfx(Nid::PBE_WITHSHA1AND3_KEY_TRIPLEDES_CBC)),
    ];
    for (name, value) in rows {
        assert_eq!(refused_at_once(value), UnusableSecret::OtherKind, "{name}");
    }
}

#[test]
fn a_value_that_no_vault_would_keep_is_not_read() {
    let pad = |length: usize| {
        let key = testing::key(P256).private_key_to_pem_pkcs8().expect("encodes");
        let blanks = length - key.len();
        [key, vec![b'\n'; blanks]].concat()
    };
    assert!(PulledKey::from_secret(secret(pad(LONGEST))).is_ok());
    assert_eq!(refused(pad(LONGEST + 1)), UnusableSecret::TooLong(LONGEST + 1));
}
