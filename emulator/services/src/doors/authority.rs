//! CAs to try things with, made the way the tutorial makes them: roots, intermediates that they sign, and
//! verification certificates signed by hand. The demo's, and those of tests that are not about cryptography.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{AuthorityKeyIdentifier, BasicConstraints, KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509, X509NameBuilder};
use time::{Duration, OffsetDateTime};

/// A CA with its key.
pub struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

/// What a certificate says besides its key.
struct Contents<'a> {
    common_name: &'a str,
    is_ca: bool,
    from: OffsetDateTime,
    lifetime: Duration,
}

impl Authority {
    /// A self-signed RSA-2048 root for ten years.
    pub fn rsa_root(name: &str) -> Result<Authority, ErrorStack> {
        Authority::root(name, PKey::from_rsa(Rsa::generate(2048)?)?)
    }

    /// A self-signed P-256 root for ten years.
    pub fn ec_root(name: &str) -> Result<Authority, ErrorStack> {
        Authority::root(name, ec_key()?)
    }

    /// An RSA-2048 CA below this one.
    pub fn rsa_intermediate(&self, name: &str) -> Result<Authority, ErrorStack> {
        let key = PKey::from_rsa(Rsa::generate(2048)?)?;
        let certificate = issue(&ca(name), &key, Some(self), &self.key)?;
        Ok(Authority { certificate, key })
    }

    /// Another root that shares this one's key. Its certificate is made in no time, where many are wanted.
    pub fn sibling(&self, name: &str) -> Result<Authority, ErrorStack> {
        Authority::root(name, self.key.clone())
    }

    /// The same subject with a key of its own: what an impostor would have.
    pub fn impostor(&self) -> Result<Authority, ErrorStack> {
        Ok(Authority { certificate: self.certificate.clone(), key: ec_key()? })
    }

    /// A verification certificate for a code, PEM, valid for the time given.
    pub fn prove(&self, code: &str, from: OffsetDateTime, lifetime: Duration) -> Result<String, ErrorStack> {
        let contents = Contents { common_name: code, is_ca: false, from, lifetime };
        pem(issue(&contents, &ec_key()?, Some(self), &self.key)?.to_pem()?)
    }

    /// The certificate, PEM.
    pub fn certificate_pem(&self) -> Result<String, ErrorStack> {
        pem(self.certificate.to_pem()?)
    }

    /// Key and certificate, PEM, as a vault imports them or keeps them as a secret.
    pub fn key_and_certificate_pem(&self) -> Result<String, ErrorStack> {
        Ok(pem(self.key.private_key_to_pem_pkcs8()?)? + &self.certificate_pem()?)
    }

    fn root(name: &str, key: PKey<Private>) -> Result<Authority, ErrorStack> {
        Ok(Authority { certificate: issue(&ca(name), &key, None, &key)?, key })
    }
}

fn ca(name: &str) -> Contents<'_> {
    let from = OffsetDateTime::now_utc() - Duration::HOUR;
    Contents { common_name: name, is_ca: true, from, lifetime: Duration::days(3650) }
}

fn issue(
    contents: &Contents<'_>,
    key: &PKey<Private>,
    issuer: Option<&Authority>,
    issuer_key: &PKey<Private>,
) -> Result<X509, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, contents.common_name)?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::ONE, false)?;

    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(issuer.map_or(&*name, |issuer| issuer.certificate.subject_name()))?;
    builder.set_pubkey(key)?;
    builder.set_not_before(&*Asn1Time::from_unix(contents.from.unix_timestamp())?)?;
    builder.set_not_after(&*Asn1Time::from_unix((contents.from + contents.lifetime).unix_timestamp())?)?;
    let mut constraints = BasicConstraints::new();
    constraints.critical();
    if contents.is_ca {
        constraints.ca();
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
        let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
        builder.append_extension(identifier)?;
    }
    builder.append_extension(constraints.build()?)?;
    if let Some(issuer) = issuer {
        let context = builder.x509v3_context(Some(&issuer.certificate), None);
        let authority = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
        builder.append_extension(authority)?;
    }
    builder.sign(issuer_key, MessageDigest::sha256())?;
    Ok(builder.build())
}

fn ec_key() -> Result<PKey<Private>, ErrorStack> {
    PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)
}

fn pem(bytes: Vec<u8>) -> Result<String, ErrorStack> {
    Ok(String::from_utf8(bytes).expect("PEM is ASCII"))
}
