//! What holds for any name a CA may have and any signature a key may make.

use openssl::x509::{X509, X509Name};
use proptest::prelude::*;
use proptest::sample::select;
use time::OffsetDateTime;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Any, Tag};

use super::*;
use crate::testing::{CODE, P256, ca_named, cases, key, sign};

/// Serial number, common name, country, locality, organisation, unit, title; e-mail and domain component.
const ATTRIBUTES: [&str; 9] = [
    "2.5.4.5",
    "2.5.4.3",
    "2.5.4.6",
    "2.5.4.7",
    "2.5.4.10",
    "2.5.4.11",
    "2.5.4.12",
    "1.2.840.113549.1.9.1",
    "0.9.2342.19200300.100.1.25",
];

proptest! {
    #![proptest_config(cases(48))]

    /// Chains are built by comparing these bytes, so they are the CA's own: no other string type, order or
    /// casing, be it ever so equal to a person.
    #[test]
    fn the_issuer_is_the_subject_of_the_ca_byte_by_byte(name in name()) {
        let key = key(P256);
        let ca = ca_named(&X509Name::from_der(&name).expect("a name"), &key, 30);
        let code = VerificationCode::parse(CODE).expect("a code");
        let leaf = key.public_key_to_der().expect("encodes");
        let unsigned = UnsignedProof::build(&ca, &code, &leaf, OffsetDateTime::now_utc()).expect("builds");
        let signature = sign(&key, unsigned.tbs(), ca.algorithm());
        let proof = unsigned.assemble(&signature).expect("OpenSSL agrees");
        let issuer = X509::from_der(proof.der()).and_then(|proof| proof.issuer_name().to_der());
        prop_assert_eq!(issuer.expect("a certificate"), name);
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn a_signature_keeps_its_numbers_in_either_form((algorithm, half, raw) in signature()) {
        let der = RawSignature(raw.clone()).to_der(algorithm).expect("two numbers of the right size");
        prop_assert_eq!(RawSignature::from_der(&der, algorithm).expect("our own"), RawSignature(raw.clone()));

        let pair = EcdsaSig::from_der(&der).expect("OpenSSL reads it");
        for (number, bytes) in [(pair.r(), &raw[..half]), (pair.s(), &raw[half..])] {
            prop_assert!(!number.is_negative());
            prop_assert_eq!(number.to_vec_padded(half as i32).expect("it fits"), bytes);
        }
    }
}

/// A name of one to five sets of attributes, most of them of one attribute as in practice. The attributes of a
/// set stand in any order: DER wants them sorted, and not everybody who writes certificates knows.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let set = prop_oneof![4 => prop::collection::vec(attribute(), 1), 1 => prop::collection::vec(attribute(), 2..4)];
    let set = set.prop_map(|mut attributes| {
        let mut known = std::collections::HashSet::new();
        attributes.retain(|attribute| known.insert(attribute.clone()));
        encoded(Tag::Set, &attributes.concat())
    });
    prop::collection::vec(set, 1..6).prop_map(|sets| encoded(Tag::Sequence, &sets.concat()))
}

fn attribute() -> impl Strategy<Value = Vec<u8>> {
    (select(&ATTRIBUTES[..]), value()).prop_map(|(attribute, value)| {
        let attribute = ObjectIdentifier::new_unwrap(attribute).to_der().expect("encodes");
        encoded(Tag::Sequence, &[attribute, value].concat())
    })
}

/// Every string type that occurs in names, blanks at its ends and nothing at all included.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let utf_16 = |text: String| {
        text.encode_utf16()
            .filter(|unit| !(0xd800..0xe000).contains(unit))
            .flat_map(u16::to_be_bytes)
            .collect()
    };
    prop_oneof![
        "[A-Za-z0-9 '()+,./:=?-]{0,30}".prop_map(|text| encoded(Tag::PrintableString, text.as_bytes())),
        "\\PC{0,30}".prop_map(|text| encoded(Tag::Utf8String, text.as_bytes())),
        "[ -~]{0,30}".prop_map(|text| encoded(Tag::Ia5String, text.as_bytes())),
        prop::collection::vec(0x20_u8.., 0..30).prop_map(|text| encoded(Tag::TeletexString, &text)),
        "\\PC{0,15}".prop_map(move |text| {
            let units: Vec<u8> = utf_16(text);
            encoded(Tag::BmpString, &units)
        }),
    ]
}

fn encoded(tag: Tag, content: &[u8]) -> Vec<u8> {
    Any::new(tag, content).and_then(|any| any.to_der()).expect("short enough to encode")
}

/// An algorithm, the size of its numbers, and two numbers: any, small ones with many leading zeros, and the
/// largest.
fn signature() -> impl Strategy<Value = (SignatureAlgorithm, usize, Vec<u8>)> {
    let curves =
        [(SignatureAlgorithm::Es256, 32), (SignatureAlgorithm::Es384, 48), (SignatureAlgorithm::Es512, 66)];
    select(curves.to_vec()).prop_flat_map(|(algorithm, half)| {
        let number = move || {
            prop_oneof![
                2 => prop::collection::vec(any::<u8>(), half),
                2 => (0..half, any::<u8>()).prop_map(move |(zeros, digit)| {
                    (0..half).map(|at| if at < zeros { 0 } else { digit }).collect()
                }),
                1 => Just(vec![0xff; half]),
                1 => Just(vec![0; half]),
            ]
        };
        (number(), number()).prop_map(move |(r, s): (Vec<u8>, Vec<u8>)| (algorithm, half, [r, s].concat()))
    })
}
