//! A certificate that a vault makes itself: the wish of a request, and its fulfilment.
//!
//! Only the issuer `Self` is emulated: the others would need somebody else to sign. What a policy leaves
//! open is decided as in the recordings: RSA 2048, exportable, a PFX, TLS server and client, one year. Every
//! version gets a new key, whatever `reuse_key` says (chosen, not observed).

use openssl::asn1::{Asn1Object, Asn1Time};
use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKeyRef, Private};
use openssl::stack::Stack;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Extension, X509Name, X509Req};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::import::{ContentType, KeyPair, Sealed};
use super::key_spec::KeySpec;
use super::key_usage::Usage;
use super::object::Changes;
use super::refusal::Refusal;
use super::subject;

/// How long before its making a certificate becomes valid.
const BACKDATED: Duration = Duration::minutes(10);
/// The longest validity that is accepted: a hundred years. Chosen, not observed.
const MAX_MONTHS: i64 = 1200;

/// A certificate to make.
pub(super) struct Creation {
    subject: X509Name,
    key: KeySpec,
    usages: Vec<Usage>,
    purposes: Vec<String>,
    months: i64,
    is_ca: bool,
    pub(super) exportable: bool,
    pub(super) secret_type: ContentType,
    pub(super) changes: Changes,
}

/// A certificate that was made.
pub(super) struct Made {
    pub(super) sealed: Sealed,
    pub(super) request: Request,
}

/// A serial number, drawn at random.
pub(super) fn serial(random: &mut fastrand::Rng) -> u128 {
    random.u128(..) >> 1 | 1 << 126
}

/// What remains of a creation: the operation a client looks at, and what cannot be read off the certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) csr: Vec<u8>,
    pub(super) is_ca: bool,
}

impl Creation {
    /// The creation a request's body describes.
    pub(super) fn read(body: &Value) -> Result<Creation, Refusal> {
        let policy = &body["policy"];
        // Chosen, not observed: the service knows `Unknown` and registered authorities.
        if policy["issuer"]["name"] != "Self" {
            return Err(Refusal::bad_parameter(
                "policy.issuer.name must be Self; this vault knows no certificate authority. \
                 Import the certificate instead.",
            ));
        }
        let (key_props, x509_props) = (&policy["key_props"], &policy["x509_props"]);
        let Some(subject) = x509_props["subject"].as_str() else {
            return Err(Refusal::bad_parameter("policy.x509_props.subject is required."));
        };
        if x509_props["sans"].as_object().is_some_and(|sans| sans.values().any(is_given)) {
            return Err(Refusal::bad_parameter("policy.x509_props.sans is not emulated; leave it out."));
        }
        let key = KeySpec::read(key_props)?;
        Ok(Creation {
            subject: subject::parse(subject)?,
            key,
            usages: usages(&x509_props["key_usage"], key)?,
            purposes: purposes(&x509_props["ekus"])?,
            months: months(&x509_props["validity_months"])?,
            is_ca: x509_props["basic_constraints"]["ca"].as_bool().unwrap_or(false),
            exportable: key_props["exportable"].as_bool().unwrap_or(true),
            secret_type: match policy["secret_props"]["contentType"].as_str() {
                Some(name) => ContentType::named(name)?,
                None => ContentType::Pkcs12,
            },
            changes: Changes::read(body)?.without_validity(),
        })
    }

    /// Makes key, request and certificate, which takes its time. The serial number is drawn beforehand.
    pub(super) fn fulfil(&self, id: String, now: OffsetDateTime, serial: u128) -> Result<Made, Refusal> {
        let key = self.key.generate()?;
        let sign = || -> Result<_, ErrorStack> {
            let extensions = self.extensions()?;
            let csr = self.request(&key, &extensions)?.to_der()?;
            Ok((self.certificate(&key, &extensions, serial, now)?, csr))
        };
        // Subject and purposes are the caller's words; everything else is ours and known to work.
        let (leaf, csr) =
            sign().map_err(|_| Refusal::bad_parameter("No certificate can be made of this policy."))?;
        let sealed = KeyPair::alone(key, leaf).seal(self.secret_type, self.exportable)?;
        Ok(Made { sealed, request: Request { id, csr, is_ca: self.is_ca } })
    }

    /// What the certificate and its request have in common.
    fn extensions(&self) -> Result<Stack<X509Extension>, ErrorStack> {
        let mut extensions = Stack::new()?;
        let mut constraints = BasicConstraints::new();
        if self.is_ca {
            constraints.critical().ca();
        }
        if !self.usages.is_empty() {
            extensions.push(Usage::extension(&self.usages)?)?;
        }
        if !self.purposes.is_empty() {
            let mut extension = ExtendedKeyUsage::new();
            for purpose in &self.purposes {
                extension.other(purpose);
            }
            extensions.push(extension.build()?)?;
        }
        extensions.push(constraints.build()?)?;
        Ok(extensions)
    }

    fn request(
        &self,
        key: &PKeyRef<Private>,
        extensions: &Stack<X509Extension>,
    ) -> Result<X509Req, ErrorStack> {
        let mut builder = X509Req::builder()?;
        builder.set_subject_name(&self.subject)?;
        builder.set_pubkey(key)?;
        builder.add_extensions(extensions)?;
        builder.sign(key, MessageDigest::sha256())?;
        Ok(builder.build())
    }

    fn certificate(
        &self,
        key: &PKeyRef<Private>,
        extensions: &Stack<X509Extension>,
        serial: u128,
        now: OffsetDateTime,
    ) -> Result<X509, ErrorStack> {
        let moment = |moment: OffsetDateTime| Asn1Time::from_unix(moment.unix_timestamp());
        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        builder.set_serial_number(&*BigNum::from_slice(&serial.to_be_bytes())?.to_asn1_integer()?)?;
        builder.set_subject_name(&self.subject)?;
        builder.set_issuer_name(&self.subject)?;
        builder.set_not_before(&*moment(now - BACKDATED)?)?;
        builder.set_not_after(&*moment(plus_months(now, self.months))?)?;
        builder.set_pubkey(key)?;
        for extension in extensions {
            builder.append_extension2(extension)?;
        }
        let subject_key = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
        builder.append_extension(subject_key)?;
        let authority_key =
            AuthorityKeyIdentifier::new().keyid(true).build(&builder.x509v3_context(None, None))?;
        builder.append_extension(authority_key)?;
        builder.sign(key, MessageDigest::sha256())?;
        Ok(builder.build())
    }
}

/// Whether somebody asks for an alternative name; the SDKs send empty lists along.
fn is_given(names: &Value) -> bool {
    names.as_array().is_some_and(|names| !names.is_empty())
}

/// Without a word about it, what TLS needs. (Chosen, not observed, for elliptic keys, which encipher nothing.)
fn usages(listed: &Value, key: KeySpec) -> Result<Vec<Usage>, Refusal> {
    let default = match key {
        KeySpec::Rsa(_) => json!(["digitalSignature", "keyEncipherment"]),
        KeySpec::Ec(_) => json!(["digitalSignature"]),
    };
    let listed = if listed.is_null() { &default } else { listed };
    match listed.as_array() {
        Some(names) => Usage::read(names),
        None => Err(Refusal::bad_parameter("policy.x509_props.key_usage must be a list.")),
    }
}

fn purposes(listed: &Value) -> Result<Vec<String>, Refusal> {
    const SERVER_AND_CLIENT: [&str; 2] = ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"];
    let purpose = |oid: &Value| -> Option<String> {
        let oid = oid.as_str()?;
        let dotted = oid.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        (dotted && Asn1Object::from_str(oid).is_ok()).then(|| oid.to_owned())
    };
    let purposes = match listed {
        Value::Null => Some(SERVER_AND_CLIENT.map(str::to_owned).to_vec()),
        Value::Array(oids) => oids.iter().map(purpose).collect(),
        _ => None,
    };
    purposes.ok_or_else(|| Refusal::bad_parameter("policy.x509_props.ekus must be a list of dotted OIDs."))
}

fn months(given: &Value) -> Result<i64, Refusal> {
    match given.as_i64() {
        None if given.is_null() => Ok(12),
        Some(months) if (1..=MAX_MONTHS).contains(&months) => Ok(months),
        _ => Err(Refusal::bad_parameter(format!(
            "policy.x509_props.validity_months must be 1 to {MAX_MONTHS}."
        ))),
    }
}

/// The same day and time so many months later, or the last day of a shorter month.
fn plus_months(moment: OffsetDateTime, months: i64) -> OffsetDateTime {
    let count = i64::from(moment.year()) * 12 + i64::from(u8::from(moment.month())) - 1 + months;
    let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
    let date = || {
        let year = i32::try_from(year).ok()?;
        let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
        time::Date::from_calendar_date(year, month, moment.day().min(month.length(year))).ok()
    };
    // A clock near the end of the calendar gets no further.
    date().map_or(moment, |date| moment.replace_date(date))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use openssl::nid::Nid;
    use time::macros::datetime;

    use super::super::testing::*;
    use super::*;

    fn body(x509_props: Value) -> Value {
        json!({ "policy": {
            "issuer": { "name": "Self" },
            "key_props": { "kty": "EC", "crv": "P-256" },
            "x509_props": x509_props,
        }})
    }

    fn make(body: &Value) -> (Sealed, Request) {
        let serial = serial(&mut fastrand::Rng::with_seed(7));
        let Made { sealed, request } =
            Creation::read(body).unwrap().fulfil("00".to_owned(), NOW, serial).unwrap();
        (sealed, request)
    }

    fn text(certificate: &X509) -> String {
        String::from_utf8(certificate.to_text().unwrap()).unwrap()
    }

    #[test]
    fn a_certificate_authority_is_made_as_wished() {
        let (pair, request) = make(&body(json!({
            "subject": "CN=Factory CA, O=Contoso",
            "key_usage": ["keyCertSign", "cRLSign"],
            "ekus": [],
            "validity_months": 120,
            "basic_constraints": { "ca": true },
        })));
        let leaf = &pair.leaf;
        assert!(leaf.verify(&pair.key.0).unwrap());
        assert!(request.is_ca && leaf.issued(leaf) == openssl::x509::X509VerifyResult::OK);
        assert_eq!(leaf.subject_key_id().unwrap().as_slice(), leaf.authority_key_id().unwrap().as_slice());
        let text = text(leaf);
        for part in ["CA:TRUE", "Certificate Sign, CRL Sign", "Nov 23 12:00:00 2036", "Nov 23 11:50:00 2026"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("Extended Key Usage"));
    }

    #[test]
    fn without_a_word_it_is_for_tls_and_one_year() {
        let (pair, request) = make(&body(json!({ "subject": "cn=MyCert" })));
        let text = text(&pair.leaf);
        for part in
            ["CA:FALSE", "Digital Signature", "TLS Web Server", "TLS Web Client", "Nov 23 12:00:00 2027"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("Key Encipherment"));
        let csr = X509Req::from_der(&request.csr).unwrap();
        assert!(csr.verify(&pair.key.0).unwrap());
        assert_eq!(csr.extensions().unwrap().len(), 3);
        let creation = Creation::read(&json!({ "policy": {
            "issuer": { "name": "Self" }, "x509_props": { "subject": "CN=a", "sans": { "upns": [] } },
        }}));
        let creation = creation.unwrap();
        assert_eq!(creation.key, KeySpec::Rsa(2048));
        assert_eq!((creation.exportable, creation.secret_type), (true, ContentType::Pkcs12));
        assert_eq!(
            creation.usages.iter().map(|usage| usage.name).collect::<Vec<_>>(),
            ["digitalSignature", "keyEncipherment"]
        );
    }

    #[test]
    fn serial_numbers_are_positive_and_of_one_length() {
        for seed in 0..20 {
            let drawn = serial(&mut fastrand::Rng::with_seed(seed));
            let creation = Creation::read(&body(json!({ "subject": "CN=a" }))).unwrap();
            let made = creation.fulfil("00".to_owned(), NOW, drawn).unwrap();
            let serial = made.sealed.leaf.serial_number().to_bn().unwrap();
            assert_eq!((serial.num_bits(), serial.is_negative()), (127, false));
        }
    }

    #[test]
    fn the_key_is_of_the_curve_that_was_wished() {
        let mut body = body(json!({ "subject": "CN=a" }));
        body["policy"]["key_props"] = json!({ "kty": "EC", "crv": "P-384", "exportable": false });
        let (pair, _) = make(&body);
        assert_eq!(pair.key.0.ec_key().unwrap().group().curve_name(), Some(Nid::SECP384R1));
        assert!(!Creation::read(&body).unwrap().exportable);
    }

    #[test]
    fn a_wish_that_cannot_be_fulfilled_says_why() {
        let subject = "CN=a";
        let mut unknown = body(json!({ "subject": subject }));
        unknown["policy"]["issuer"]["name"] = json!("Unknown");
        for (body, hint) in [
            (json!({}), "issuer"),
            (unknown, "issuer"),
            (body(json!({})), "subject"),
            (body(json!({ "subject": "no name" })), "subject"),
            (body(json!({ "subject": subject, "key_usage": ["sign"] })), "key_usage"),
            (body(json!({ "subject": subject, "key_usage": "cRLSign" })), "key_usage"),
            (body(json!({ "subject": subject, "ekus": ["serverAuth"] })), "ekus"),
            (body(json!({ "subject": subject, "ekus": ["1.2,critical"] })), "ekus"),
            (body(json!({ "subject": subject, "validity_months": 0 })), "validity_months"),
            (body(json!({ "subject": subject, "sans": { "dns_names": ["a.b"] } })), "sans"),
        ] {
            let refusal = Creation::read(&body).err().unwrap();
            assert_eq!(refusal.code(), "BadParameter");
            assert!(refusal.to_string().contains(hint), "{refusal}");
        }
    }

    #[test]
    fn a_month_ends_where_it_ends() {
        for (from, months, to) in [
            (datetime!(2026-01-31 12:00 UTC), 1, datetime!(2026-02-28 12:00 UTC)),
            (datetime!(2024-02-29 12:00 UTC), 12, datetime!(2025-02-28 12:00 UTC)),
            (datetime!(2026-11-23 12:00 UTC), 14, datetime!(2028-01-23 12:00 UTC)),
            (datetime!(2026-12-01 00:00 UTC), 1200, datetime!(2126-12-01 00:00 UTC)),
        ] {
            assert_eq!(plus_months(from, months), to);
        }
    }
}
