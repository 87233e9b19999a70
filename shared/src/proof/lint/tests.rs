//! Certificates drafted by OpenSSL, each with one thing in it that must never be signed.

use openssl::asn1::Asn1Type;
use openssl::bn::BigNum;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
};
use openssl::x509::{X509Builder, X509Extension, X509Name, X509v3Context};

use super::*;
use crate::testing::{self, CODE, Family, P256};

/// Everything there is to get wrong; as it is made, it is a verification certificate.
struct Draft {
    version: u8,
    serial: BigNum,
    subject: Vec<(&'static str, String)>,
    issuer: Option<X509Name>,
    from: OffsetDateTime,
    until: OffsetDateTime,
    constraints: Option<BasicConstraints>,
    authority_key: bool,
    also: Option<Extension>,
    /// Another key for the subject.
    subject_key: Option<PKey<Private>>,
    /// Another digest in the signature algorithm.
    digest: openssl::hash::MessageDigest,
}

type Extension = fn(&X509v3Context<'_>) -> Result<X509Extension, openssl::error::ErrorStack>;

impl Draft {
    fn new(now: OffsetDateTime) -> Draft {
        let mut constraints = BasicConstraints::new();
        constraints.critical();
        Draft {
            version: 2,
            serial: BigNum::from_hex_str("4f0123456789abcdef0123456789abcd").expect("a number"),
            subject: vec![("CN", CODE.to_owned())],
            issuer: None,
            from: now - BACKDATED,
            until: now - BACKDATED + LIFETIME,
            constraints: Some(constraints),
            authority_key: true,
            also: None,
            subject_key: None,
            digest: openssl::hash::MessageDigest::sha256(),
        }
    }

    /// Its bytes, as a key would be asked to sign them.
    fn tbs(self, ca: &CaCertificate, key: &PKey<Private>) -> Vec<u8> {
        let ca = X509::from_der(ca.der()).expect("a CA");
        let mut subject = X509Name::builder().expect("starts");
        for (attribute, value) in &self.subject {
            subject.append_entry_by_text(attribute, value).expect("a valid attribute");
        }
        let moment = |at: OffsetDateTime| Asn1Time::from_unix(at.unix_timestamp()).expect("a time");
        let mut builder = X509Builder::new().expect("starts");
        builder.set_version(2).expect("version 3");
        builder.set_serial_number(&self.serial.to_asn1_integer().expect("a number")).expect("a serial");
        builder.set_subject_name(&subject.build()).expect("a subject");
        builder.set_issuer_name(self.issuer.as_deref().unwrap_or(ca.subject_name())).expect("an issuer");
        builder.set_not_before(&moment(self.from)).expect("a beginning");
        builder.set_not_after(&moment(self.until)).expect("an end");
        builder.set_pubkey(self.subject_key.as_ref().unwrap_or(key)).expect("a key");
        let mut extensions = Vec::new();
        {
            let context = builder.x509v3_context(Some(&ca), None);
            extensions.extend(self.constraints.map(|constraints| constraints.build()));
            let authority_key = || AuthorityKeyIdentifier::new().keyid(true).build(&context);
            extensions.extend(self.authority_key.then(authority_key));
            extensions.extend(self.also.map(|also| also(&context)));
        }
        for extension in extensions {
            builder.append_extension(extension.expect("a valid extension")).expect("adds");
        }
        builder.sign(key, self.digest).expect("signs");
        let certificate = x509_cert::Certificate::from_der(&builder.build().to_der().expect("encodes"));
        let mut tbs = certificate.expect("decodes").tbs_certificate().to_der().expect("encodes");
        // OpenSSL writes no other version where there are extensions.
        let version = tbs.windows(5).position(|bytes| bytes == [0xa0, 3, 2, 1, 2]).expect("it comes first");
        tbs[version + 4] = self.version;
        tbs
    }
}

/// The CA's name with one part in another string type; to a person it is the same.
fn look_alike_issuer() -> X509Name {
    let mut name = X509Name::builder().expect("starts");
    for (attribute, value) in [("O", "Käse & Söhne"), ("OU", "Plant 1"), ("OU", "Line 7")] {
        name.append_entry_by_text(attribute, value).expect("a valid attribute");
    }
    name.append_entry_by_text_with_type("CN", "Factory Root", Asn1Type::PRINTABLESTRING)
        .expect("a valid attribute");
    name.build()
}

#[test]
fn bytes_that_say_anything_else_are_not_signed() {
    type Change = fn(&mut Draft, OffsetDateTime);
    let rows: [(&str, Change, &str); 24] = [
        ("as it should be", |_, _| {}, ""),
        ("version 2", |draft, _| draft.version = 1, "version is not 3"),
        ("a small serial", |draft, _| draft.serial = BigNum::from_u32(7).expect("7"), "serial is not random"),
        ("a negative serial", |draft, _| draft.serial.set_negative(true), "serial is not random"),
        ("another code", |draft, _| draft.subject[0].1 = "A1B2C3D4E5F6G7H8".into(), "not the code alone"),
        ("a second name", |draft, _| draft.subject.push(("CN", "EVIL".into())), "not the code alone"),
        ("more than a name", |draft, _| draft.subject.push(("O", "Evil".into())), "not the code alone"),
        ("the code as something else", |draft, _| draft.subject[0].0 = "O", "not the code alone"),
        ("no subject", |draft, _| draft.subject.clear(), "not the code alone"),
        ("an issuer that looks alike", |draft, _| draft.issuer = Some(look_alike_issuer()), "issuer is not"),
        ("an old beginning", |draft, now| draft.from = now - 2 * BACKDATED, "backdated too far"),
        ("a beginning to come", |draft, now| draft.from = now + BACKDATED, "not valid now"),
        ("more than a day", |draft, _| draft.until += Duration::SECOND, "more than a day"),
        ("no constraints", |draft, _| draft.constraints = None, "CA:FALSE"),
        (
            "a CA",
            |draft, _| _ = draft.constraints.as_mut().map(|constraints| _ = constraints.ca()),
            "CA:FALSE",
        ),
        (
            "constraints to be ignored",
            |draft, _| draft.constraints = Some(BasicConstraints::new()),
            "CA:FALSE",
        ),
        ("no authority key", |draft, _| draft.authority_key = false, "authority key"),
        ("a use", |draft, _| draft.also = Some(|_| KeyUsage::new().key_cert_sign().build()), "CA:FALSE"),
        (
            "a purpose",
            |draft, _| draft.also = Some(|_| ExtendedKeyUsage::new().server_auth().build()),
            "CA:FALSE",
        ),
        (
            "another name",
            |draft, _| {
                draft.also = Some(|context| SubjectAlternativeName::new().dns("evil.example").build(context));
            },
            "CA:FALSE",
        ),
        ("another key", |draft, _| draft.subject_key = Some(testing::key(P256)), "key is not the leaf's"),
        (
            "a key of another family",
            |draft, _| draft.subject_key = Some(testing::key(Family::Rsa)),
            "key is not the leaf's",
        ),
        (
            "another signature algorithm",
            |draft, _| draft.digest = openssl::hash::MessageDigest::sha384(),
            "signature algorithm",
        ),
        ("an end before now", |draft, now| draft.until = now - Duration::SECOND, "not valid now"),
    ];
    let key = testing::key(P256);
    let leaf = key.public_key_to_der().expect("encodes");
    let ca = testing::ca(&key, 365);
    let code = VerificationCode::parse(CODE).expect("a code");
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).expect("a whole second");
    for (name, change, reason) in rows {
        let mut draft = Draft::new(now);
        change(&mut draft, now);
        match lint(&draft.tbs(&ca, &key), &ca, &code, &leaf, now) {
            Ok(()) => assert_eq!(reason, "", "{name}: it would be signed"),
            Err(error) => {
                let error = error.to_string();
                assert!(!reason.is_empty() && error.contains(reason), "{name}: {error}");
            }
        }
    }
}

#[test]
fn bytes_for_another_ca_are_not_signed() {
    let key = testing::key(P256);
    let (short, long) = (testing::ca(&key, 1), testing::ca(&key, 365));
    let leaf = key.public_key_to_der().expect("encodes");
    let other = testing::ca(&testing::key(P256), 365);
    let code = VerificationCode::parse(CODE).expect("a code");
    let now = OffsetDateTime::now_utc() + Duration::hours(1);
    let rows = [
        ("its own CA", &long, ""),
        ("a CA that ends sooner", &short, "outlives the CA"),
        ("a CA of that name with another key", &other, "authority key"),
    ];
    for (name, ca, reason) in rows {
        let result = lint(&Draft::new(now).tbs(&long, &key), ca, &code, &leaf, now);
        let error = result.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(reason) && error.is_empty() == reason.is_empty(), "{name}: {error}");
    }
}

/// The identifier inside the signed bytes is compared as it is encoded: parameters where there may be none are another
/// algorithm to some, and the same to others.
#[test]
fn a_signature_algorithm_with_odd_parameters_is_not_signed() {
    for (family, algorithm) in [(P256, "1.2.840.10045.4.3.2"), (Family::Rsa, "1.2.840.113549.1.1.11")] {
        let key = testing::key(family);
        let ca = testing::ca(&key, 365);
        let leaf = key.public_key_to_der().expect("encodes");
        let code = VerificationCode::parse(CODE).expect("a code");
        let now = OffsetDateTime::now_utc();
        let tbs = Draft::new(now).tbs(&ca, &key);
        assert!(lint(&tbs, &ca, &code, &leaf, now).is_ok(), "as it should be");

        let odd = match family {
            Family::Rsa => None,
            Family::Curve(_) => Some(Any::null()),
        };
        let odd = x509_cert::spki::AlgorithmIdentifierOwned {
            oid: algorithm.parse().expect("an identifier"),
            parameters: odd,
        };
        let changed = with_algorithm(&tbs, &odd.to_der().expect("encodes"));
        let error = lint(&changed, &ca, &code, &leaf, now).expect_err("odd parameters").to_string();
        assert!(error.contains("signature algorithm"), "{error}");
    }
}

/// The bytes with another `signature` field, which is the third after version and serial.
fn with_algorithm(tbs: &[u8], algorithm: &[u8]) -> Vec<u8> {
    let fields = Any::from_der(tbs).expect("a sequence");
    let mut rest = fields.value();
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (field, after) = Any::from_der_partial(rest).expect("a field");
        parts.push(field.to_der().expect("encodes"));
        rest = after;
    }
    parts[2] = algorithm.to_vec();
    Any::new(Tag::Sequence, parts.concat()).and_then(|tbs| tbs.to_der()).expect("encodes")
}
