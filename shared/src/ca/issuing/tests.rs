use openssl::asn1::{Asn1Object, Asn1OctetString};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, KeyUsage};
use openssl::x509::{X509Builder, X509Extension};
use x509_cert::der::asn1::OctetString;

use super::*;
use crate::testing::{self, Family, P256};

type Extend = fn(&mut X509Builder);

fn made(extend: Extend) -> CaCertificate {
    let key = testing::key(P256);
    let der = testing::certificate(&testing::common_name("Root"), &key, &key, 30, extend);
    CaCertificate::from_der(&der).expect("a certificate with a good key")
}

fn add(builder: &mut X509Builder, extension: Result<X509Extension, ErrorStack>) {
    builder.append_extension(extension.expect("builds")).expect("adds");
}

fn add_key_identifier(builder: &mut X509Builder, length: usize) {
    let identifier = OctetString::new(vec![7; length]).and_then(|text| text.to_der()).expect("encodes");
    let identifier = Asn1OctetString::new_from_bytes(&identifier).expect("copies");
    let oid = Asn1Object::from_str("2.5.29.14").expect("known");
    add(builder, X509Extension::new_from_der(&oid, false, &identifier));
}

#[test]
fn only_a_ca_that_may_sign_certificates_may_issue() {
    let rows: [(&str, Extend, &str); 9] = [
        ("CA:TRUE alone", testing::add_constraints, ""),
        (
            "CA:TRUE and keyCertSign",
            |builder| {
                testing::add_constraints(builder);
                add(builder, KeyUsage::new().critical().key_cert_sign().crl_sign().build());
            },
            "",
        ),
        ("CA:TRUE, not critical", |builder| add(builder, BasicConstraints::new().ca().build()), ""),
        (
            "CA:TRUE with no CAs below",
            |builder| add(builder, BasicConstraints::new().critical().ca().pathlen(0).build()),
            "",
        ),
        (
            "CA:FALSE",
            |builder| add(builder, BasicConstraints::new().critical().build()),
            "do not say CA:TRUE",
        ),
        ("no basic constraints", |_| {}, "do not say CA:TRUE"),
        (
            "a key for other things",
            |builder| {
                testing::add_constraints(builder);
                add(builder, KeyUsage::new().digital_signature().key_encipherment().build());
            },
            "does not include keyCertSign",
        ),
        ("version 1", |builder| builder.set_version(0).expect("v1"), "not an X.509 version 3 certificate"),
        (
            "basic constraints twice",
            |builder| {
                testing::add_constraints(builder);
                testing::add_constraints(builder);
            },
            "cannot be read",
        ),
    ];
    let now = OffsetDateTime::now_utc() + time::Duration::HOUR;
    for (name, extend, reason) in rows {
        match made(extend).check_may_issue(now) {
            Ok(()) => assert_eq!(reason, "", "{name}"),
            Err(UnsuitableCa::NotACa(said)) if !reason.is_empty() => {
                assert!(said.contains(reason), "{name}: {said}")
            }
            Err(other) => panic!("{name}: {other}"),
        }
    }
}

#[test]
fn what_would_go_under_the_signature_is_bounded() {
    let with_identifier = |length| {
        let key = testing::key(P256);
        let der = testing::certificate(&testing::common_name("Root"), &key, &key, 30, |builder| {
            testing::add_constraints(builder);
            add_key_identifier(builder, length);
        });
        CaCertificate::from_der(&der).expect("a CA")
    };
    // 60 bytes a name and its encoding.
    let with_names = |count: usize| {
        let mut name = openssl::x509::X509Name::builder().expect("starts");
        for at in 0..count {
            name.append_entry_by_text("OU", &format!("{at:049}")).expect("a valid attribute");
        }
        testing::ca_named(&name.build(), &testing::key(P256), 30)
    };
    let length = |ca: &CaCertificate| ca.subject().to_der().expect("encodes").len();
    let fits = (1..).take_while(|count| length(&with_names(*count)) <= MAX_SUBJECT).last().expect("some fit");
    let rows = [
        ("the longest key identifier", with_identifier(MAX_KEY_IDENTIFIER), None),
        ("a longer key identifier", with_identifier(MAX_KEY_IDENTIFIER + 1), Some("key identifier")),
        ("a key identifier of 300 kB", with_identifier(300_000), Some("key identifier")),
        ("a long name", with_names(fits), None),
        ("a name that is too long", with_names(fits + 1), Some("subject")),
    ];
    let now = OffsetDateTime::now_utc() + time::Duration::HOUR;
    for (name, ca, too_long) in rows {
        match (ca.check_may_issue(now), too_long) {
            (Ok(()), None) => {}
            (Err(UnsuitableCa::TooLong { part, found, most }), Some(expected)) => {
                assert!(part == expected && found > most, "{name}: {part} {found} {most}");
            }
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
}

/// The very bounds of the bounds.
#[test]
fn a_subject_of_exactly_the_longest_length_may_issue() {
    let now = OffsetDateTime::now_utc() + time::Duration::HOUR;
    let subject = |length: usize| {
        let value = x509_cert::der::Any::new(x509_cert::der::Tag::Utf8String, vec![b'x'; length]);
        let parts = |bytes: &[Vec<u8>], tag| {
            x509_cert::der::Any::new(tag, bytes.concat()).and_then(|any| any.to_der())
        };
        let oid = x509_cert::der::oid::ObjectIdentifier::new_unwrap("2.5.4.10").to_der();
        let attribute = parts(
            &[oid.expect("encodes"), value.and_then(|value| value.to_der()).expect("encodes")],
            x509_cert::der::Tag::Sequence,
        );
        let set = parts(&[attribute.expect("encodes")], x509_cert::der::Tag::Set);
        parts(&[set.expect("encodes")], x509_cert::der::Tag::Sequence).expect("encodes")
    };
    let around = subject(MAX_SUBJECT - 23).len();
    assert!(around > MAX_SUBJECT - 23);
    let overhead = around - (MAX_SUBJECT - 23);
    for (length, fits) in [(MAX_SUBJECT - overhead, true), (MAX_SUBJECT - overhead + 1, false)] {
        let name = openssl::x509::X509Name::from_der(&subject(length)).expect("a name");
        let ca = testing::ca_named(&name, &testing::key(P256), 30);
        assert_eq!(ca.check_may_issue(now).is_ok(), fits, "{length}");
    }
}

#[test]
fn a_ca_is_one_within_its_validity_both_ends_included() {
    let ca = made(testing::add_constraints);
    let second = time::Duration::SECOND;
    let rows = [
        (ca.not_before() - second, Err(UnsuitableCa::NotYetValid { from: ca.not_before() })),
        (ca.not_before(), Ok(())),
        (ca.not_after(), Ok(())),
        (ca.not_after() + second, Err(UnsuitableCa::Expired { until: ca.not_after() })),
    ];
    for (now, expected) in rows {
        assert_eq!(ca.check_may_issue(now), expected, "{now}");
    }
}

#[test]
fn only_a_sound_signature_of_the_key_inside_makes_a_certificate_its_own() {
    let signed = |key: &PKey<Private>, by: &PKey<Private>, digest: MessageDigest| {
        let name = testing::common_name("Root");
        let der = testing::certificate(&name, key, by, 30, testing::add_constraints);
        // Signed anew, with this digest.
        let mut builder = X509Builder::new().expect("starts");
        let first = X509::from_der(&der).expect("a certificate");
        builder.set_version(2).expect("v3");
        builder.set_subject_name(first.subject_name()).expect("copies");
        builder.set_issuer_name(first.issuer_name()).expect("copies");
        builder.set_not_before(first.not_before()).expect("copies");
        builder.set_not_after(first.not_after()).expect("copies");
        builder.set_pubkey(key).expect("a key");
        testing::add_constraints(&mut builder);
        builder.sign(by, digest).expect("signs");
        CaCertificate::from_der(&builder.build().to_der().expect("encodes")).expect("a CA")
    };
    let (rsa, p256, other) = (testing::key(Family::Rsa), testing::key(P256), testing::key(P256));
    let rows = [
        ("RSA", &rsa, &rsa, MessageDigest::sha256(), true),
        ("RSA, SHA-512", &rsa, &rsa, MessageDigest::sha512(), true),
        ("RSA, SHA-1", &rsa, &rsa, MessageDigest::sha1(), false),
        ("P-256", &p256, &p256, MessageDigest::sha256(), true),
        ("P-256, SHA-384", &p256, &p256, MessageDigest::sha384(), true),
        ("P-256 by another key", &p256, &other, MessageDigest::sha256(), false),
        ("P-256 by an RSA key", &p256, &rsa, MessageDigest::sha256(), false),
    ];
    for (name, key, by, digest, own) in rows {
        assert_eq!(signed(key, by, digest).is_signed_by_its_own_key(), own, "{name}");
        assert!(ErrorStack::get().errors().is_empty(), "{name}: OpenSSL's queue is not empty");
    }
}
