//! Every kind of CA key, in every form and place it is kept: the proof is taken by the emulated DPS and by the
//! `openssl` program.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyholder_emulator::key_vault::{ContentType, Import, KeyOperation};
use keyholder_emulator::operation::Operation;
use keyholder_emulator::world::VAULT;
use openssl::x509::X509;

use crate::harness::GRANT;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::Cloud;
use crate::harness::key_forms::PfxCipher;

const FAMILIES: [(&str, Family); 6] = [
    ("rsa-2048", Family::Rsa2048),
    ("rsa-3072", Family::Rsa3072),
    ("rsa-4096", Family::Rsa4096),
    ("p-256", Family::P256),
    ("p-384", Family::P384),
    ("p-521", Family::P521),
];

/// A root and an intermediate of every family. They are made once and side by side, because a large RSA key
/// takes seconds.
static AUTHORITIES: LazyLock<Vec<(String, Authority)>> = LazyLock::new(|| {
    let pair = |(name, family): (&str, Family)| {
        let root = Authority::root(&format!("{name} Root"), family);
        let intermediate = root.intermediate(&format!("{name} Line 7"), family);
        [(format!("{name}-root"), root), (format!("{name}-intermediate"), intermediate)]
    };
    thread::scope(|scope| {
        let pairs = FAMILIES.map(|row| scope.spawn(move || pair(row)));
        pairs.into_iter().flat_map(|pair| pair.join().expect("openssl makes CAs")).collect()
    })
});

#[tokio::test]
async fn every_kind_of_key_signs_in_the_vault_and_no_secret_is_ever_read() {
    let cloud = Cloud::start().await;
    for (name, ca) in AUTHORITIES.iter() {
        cloud.import_ca(name, ca).await;
        // Granted, and still none of this app's business.
        cloud.store_secret(&format!("{name}-pem"), &ca.key_and_certificate());
        cloud.store_secret(&format!("{name}-pfx"), &STANDARD.encode(ca.pfx_with("", PfxCipher::Aes256)));
    }
    // Under a secret's name too: what signs is still the key in the vault.
    for form in ["", "-pem"] {
        for (name, ca) in AUTHORITIES.iter() {
            cloud.upload(&format!("{name}{form}"), ca).await;
        }
    }
    for form in ["", "-pem"] {
        for (name, ca) in AUTHORITIES.iter() {
            proven(&cloud, &format!("{name}{form}"), ca).await;
        }
    }
    assert_eq!(cloud.count(Operation::Sign), 2 * AUTHORITIES.len(), "{}", cloud.story());
    for operation in [Operation::GetSecret, Operation::ListSecrets] {
        assert_eq!(cloud.count(operation), 0, "{operation}\n{}", cloud.story());
    }
}

#[tokio::test]
async fn every_kind_of_key_is_pulled_out_of_a_pem_and_a_pfx() {
    let cloud = Cloud::start_with(&[("KEYHOLDER_KEY_ACCESS", "read-secret")]).await;
    // Both ciphers with every family, and both with roots and with intermediates.
    let mut ciphers = [PfxCipher::Aes256, PfxCipher::TripleDes, PfxCipher::TripleDes, PfxCipher::Aes256];
    for (name, ca) in AUTHORITIES.iter() {
        cloud.store_secret(&format!("{name}-pem"), &ca.key_and_certificate());
        cloud.store_secret(&format!("{name}-pfx"), &STANDARD.encode(ca.pfx_with("", ciphers[0])));
        ciphers.rotate_left(1);
        for form in ["pem", "pfx"] {
            cloud.upload(&format!("{name}-{form}"), ca).await;
        }
    }
    for (name, ca) in AUTHORITIES.iter() {
        for form in ["pem", "pfx"] {
            proven(&cloud, &format!("{name}-{form}"), ca).await;
        }
    }
    let counts = (cloud.count(Operation::Sign), cloud.count(Operation::GetSecret));
    assert_eq!(counts, (0, 2 * AUTHORITIES.len()), "{}", cloud.story());
}

#[tokio::test]
async fn a_key_is_read_in_every_form_people_keep_it_in() {
    let rsa = Authority::root("RSA Root", Family::Rsa2048);
    let curve = Authority::root("Curve Root", Family::P384);
    let below = curve.intermediate("Line 7", Family::P384);
    let parameters = "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n";
    let join = |parts: &[&str]| parts.concat();
    let rows = [
        ("pkcs8", &rsa, rsa.key_and_certificate()),
        ("pkcs1", &rsa, join(&[&rsa.traditional_key(), rsa.certificate()])),
        ("sec1", &curve, join(&[&curve.traditional_key(), curve.certificate()])),
        ("sec1-with-parameters", &curve, join(&[parameters, &curve.traditional_key(), curve.certificate()])),
        ("certificate-first", &curve, join(&[curve.certificate(), curve.key()])),
        ("chain-upwards", &below, join(&[below.key(), below.chain()])),
        ("chain-downwards", &below, join(&[curve.certificate(), below.certificate(), below.key()])),
        ("key-amid-the-chain", &below, join(&[curve.certificate(), below.key(), below.certificate()])),
        ("key-alone", &curve, curve.key().to_owned()),
        ("rsa-key-alone", &rsa, rsa.traditional_key()),
        ("with-remarks", &below, below.pem_out_of_pfx()),
        ("windows-line-ends", &rsa, rsa.key_and_certificate().replace('\n', "\r\n")),
        ("wrapped-pfx", &rsa, wrapped(&rsa.pfx_with("", PfxCipher::TripleDes))),
    ];
    let cloud = Cloud::start_with(&[("KEYHOLDER_KEY_ACCESS", "read-secret")]).await;
    for (name, ca, secret) in &rows {
        cloud.store_secret(name, secret);
        cloud.upload(name, ca).await;
    }
    for (name, ca, _) in &rows {
        proven(&cloud, name, ca).await;
    }
}

#[tokio::test]
async fn a_key_that_may_not_sign_is_pulled_where_that_is_allowed() {
    let ca = Authority::root("Plant Root", Family::Rsa2048);
    let cloud = Cloud::start_with(&[("KEYHOLDER_KEY_ACCESS", "read-secret")]).await;
    for (name, form) in [("pem-ca", ContentType::Pem), ("pfx-ca", ContentType::Pkcs12)] {
        let import = Import::new(ca.key_and_certificate()).content_type(form).tags(GRANT.iter().copied());
        cloud.import_into(VAULT, name, import);
        cloud.change_vaults(|vaults, now| {
            vaults.set_key_operations(VAULT, name, &[KeyOperation::Verify], now)
        });
        cloud.upload(name, &ca).await;
        proven(&cloud, name, &ca).await;
        assert_eq!(cloud.successes(Operation::Sign, &format!("{VAULT}/{name}")), 0, "{name}");
        assert_eq!(cloud.successes(Operation::GetSecret, &format!("{VAULT}/{name}")), 1, "{name}");
    }
}

#[tokio::test]
async fn the_issuer_is_the_ca_s_name_to_the_byte_whatever_it_is_made_of() {
    let name = "/C=DE/O=Käse & Söhne/OU=Plant 1/OU=Linie Überlingen/OU=Plant 1/CN=Wurzel №1";
    let utf8_where_needed = "MASK:0x2002";
    let rows = [
        ("printable-and-utf8", name, utf8_where_needed),
        ("utf8-only", name, "utf8only"),
        ("printable-and-two-byte", name, "pkix"),
        ("teletex", "/O=Käse & Söhne/OU=Plant 1/OU=Plant 2/CN=Root", "nombstr"),
        ("mail-and-domains", "/DC=com/DC=example/O=Plant/CN=Root/emailAddress=pki@example.com", "pkix"),
        ("no-common-name", "/O=Plant/OU=One/OU=Two/OU=One", utf8_where_needed),
        ("several-in-one-part", "/O=Plant/OU=One+OU=Two/CN=Root+serialNumber=7", utf8_where_needed),
    ];
    let cloud = Cloud::start().await;
    for (name, subject, string_mask) in rows {
        let ca = Authority::root_named(subject, string_mask, Family::P256);
        cloud.import_ca(name, &ca).await;
        cloud.upload(name, &ca).await;
        let proof = proven(&cloud, name, &ca).await;
        let proof = X509::from_der(&STANDARD.decode(proof).unwrap()).unwrap();
        let ca = X509::from_pem(ca.certificate().as_bytes()).unwrap();
        assert_eq!(proof.issuer_name().to_der().unwrap(), ca.subject_name().to_der().unwrap(), "{name}");
    }
}

/// Waits for a CA's proof and has OpenSSL check it.
async fn proven(cloud: &Cloud, name: &str, ca: &Authority) -> String {
    let proof = cloud.until_verified(name).await;
    ca.assert_proven(&proof, &cloud.code(name));
    proof
}

fn wrapped(bytes: &[u8]) -> String {
    STANDARD.encode(bytes).as_bytes().chunks(76).fold(String::new(), |mut text, line| {
        writeln!(text, "{}", String::from_utf8_lossy(line)).expect("a text takes more");
        text
    })
}
