//! What `x509-cert`'s builder has to be told when the signature is made elsewhere.

use signature::Keypair;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::{SetOfVec, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{self, Any, Decode, Document, Encode};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::spki::{
    self, AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey, SubjectPublicKeyInfoRef,
};

use crate::ca::{CaCertificate, SignatureAlgorithm};
use crate::verification_code::VerificationCode;

/// `id-at-commonName`, X.520.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The profile of a verification certificate: names, and two extensions.
pub(super) struct IssuedBy {
    issuer: Name,
    subject: Name,
    authority_key: Option<AuthorityKeyIdentifier>,
}

impl IssuedBy {
    pub(super) fn new(ca: &CaCertificate, code: &VerificationCode) -> Result<IssuedBy, der::Error> {
        let authority_key = ca.subject_key_identifier().map(|identifier| AuthorityKeyIdentifier {
            key_identifier: Some(identifier.0),
            ..AuthorityKeyIdentifier::default()
        });
        Ok(IssuedBy { issuer: ca.subject().clone(), subject: common_name(code)?, authority_key })
    }
}

impl BuilderProfile for IssuedBy {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _public_key: SubjectPublicKeyInfoRef<'_>,
        _issuer_public_key: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let not_a_ca = BasicConstraints { ca: false, path_len_constraint: None };
        let mut extensions = vec![not_a_ca.to_extension(tbs.subject(), &[])?];
        extensions[0].critical = true;
        if let Some(authority_key) = &self.authority_key {
            extensions.push(authority_key.to_extension(tbs.subject(), &extensions)?);
        }
        Ok(extensions)
    }
}

/// Built from parts rather than parsed from `CN=…`, so that no code could ever be read as name syntax.
fn common_name(code: &VerificationCode) -> Result<Name, der::Error> {
    let value = Any::from(Utf8StringRef::new(code.as_str())?);
    let attribute = AttributeTypeAndValue { oid: COMMON_NAME, value };
    let relative = RelativeDistinguishedName::from(SetOfVec::try_from(vec![attribute])?);
    let mut names = RdnSequence::default();
    names.push(relative);
    Name::from_der(&names.to_der()?)
}

/// Stands in for the CA's key pair: knows its public half and its algorithm, and cannot sign.
pub(super) struct PublicHalf {
    public_key_info: Vec<u8>,
    algorithm: SignatureAlgorithm,
}

impl PublicHalf {
    pub(super) fn of(ca: &CaCertificate) -> PublicHalf {
        PublicHalf { public_key_info: ca.public_key_info(), algorithm: ca.algorithm() }
    }
}

#[derive(Clone)]
pub(super) struct PublicKeyInfo(Vec<u8>);

impl EncodePublicKey for PublicKeyInfo {
    fn to_public_key_der(&self) -> spki::Result<Document> {
        Ok(Document::try_from(self.0.as_slice())?)
    }
}

impl Keypair for PublicHalf {
    type VerifyingKey = PublicKeyInfo;

    fn verifying_key(&self) -> PublicKeyInfo {
        PublicKeyInfo(self.public_key_info.clone())
    }
}

impl DynSignatureAlgorithmIdentifier for PublicHalf {
    /// RSA wants NULL parameters, ECDSA none at all (RFC 4055, RFC 5758).
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        let (oid, parameters) = match self.algorithm {
            SignatureAlgorithm::Rs256 => ("1.2.840.113549.1.1.11", Some(Any::null())),
            SignatureAlgorithm::Es256 => ("1.2.840.10045.4.3.2", None),
            SignatureAlgorithm::Es384 => ("1.2.840.10045.4.3.3", None),
            SignatureAlgorithm::Es512 => ("1.2.840.10045.4.3.4", None),
        };
        Ok(AlgorithmIdentifierOwned { oid: ObjectIdentifier::new_unwrap(oid), parameters })
    }
}
