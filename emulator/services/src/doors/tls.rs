//! The certificates the listener shows.
//!
//! A CA is made at every start and one certificate is issued from it. They are two, because strict clients
//! refuse a server certificate that is a CA itself.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};

/// The names the listener answers to.
const NAMES: [&str; 3] = ["localhost", "*.vault.localhost", "*.vault.azure.net"];
const ADDRESSES: [&str; 2] = ["127.0.0.1", "::1"];

/// What a server needs, and what its clients have to trust.
pub struct ServerIdentity {
    ca: X509,
    leaf: X509,
    key: PKey<Private>,
}

impl ServerIdentity {
    /// Makes a CA and a certificate for the listener's names, valid from yesterday for a year.
    pub fn generate() -> Result<ServerIdentity, ErrorStack> {
        let (ca_key, key) = (ec_key()?, ec_key()?);
        let ca = authority(&ca_key)?;
        let leaf = leaf(&key, &ca, &ca_key)?;
        Ok(ServerIdentity { ca, leaf, key })
    }

    /// The CA, for `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE` and their like.
    pub fn ca_pem(&self) -> Result<Vec<u8>, ErrorStack> {
        self.ca.to_pem()
    }

    /// A TLS server that shows the certificate.
    pub fn acceptor(&self) -> Result<SslAcceptor, ErrorStack> {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        acceptor.set_certificate(&self.leaf)?;
        acceptor.set_private_key(&self.key)?;
        Ok(acceptor.build())
    }
}

fn ec_key() -> Result<PKey<Private>, ErrorStack> {
    PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)
}

fn authority(key: &PKey<Private>) -> Result<X509, ErrorStack> {
    let name = common_name("Keyholder emulator CA")?;
    let mut builder = certificate(&name, &name, key)?;
    builder.append_extension(BasicConstraints::new().critical().ca().pathlen(0).build()?)?;
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(identifier)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

fn leaf(key: &PKey<Private>, ca: &X509, ca_key: &PKey<Private>) -> Result<X509, ErrorStack> {
    let mut builder = certificate(&*common_name("Keyholder emulator")?, ca.subject_name(), key)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
    let mut names = SubjectAlternativeName::new();
    NAMES.iter().for_each(|name| _ = names.dns(name));
    ADDRESSES.iter().for_each(|address| _ = names.ip(address));
    let names = names.build(&builder.x509v3_context(Some(ca), None))?;
    builder.append_extension(names)?;
    let authority =
        AuthorityKeyIdentifier::new().keyid(true).build(&builder.x509v3_context(Some(ca), None))?;
    builder.append_extension(authority)?;
    builder.sign(ca_key, MessageDigest::sha256())?;
    Ok(builder.build())
}

fn certificate(
    subject: &openssl::x509::X509NameRef,
    issuer: &openssl::x509::X509NameRef,
    key: &PKey<Private>,
) -> Result<X509Builder, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::ONE, false)?;
    let yesterday = time::OffsetDateTime::now_utc().unix_timestamp() - 24 * 60 * 60;
    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    builder.set_not_before(&*Asn1Time::from_unix(yesterday)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(365)?)?;
    Ok(builder)
}

fn common_name(text: &str) -> Result<X509Name, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, text)?;
    Ok(name.build())
}
