//! The registry as the verifier sees it: three calls for one certificate.

pub mod answer;
pub mod arm;

use time::OffsetDateTime;

use crate::ca::CaCertificate;
use crate::certificate_id::{CertificateId, RegistryId};
use crate::error::CallError;
use crate::etag::Etag;
use crate::proof::Proof;
use crate::thumbprint::Thumbprint;
use crate::trust::Scope;

/// What a registry holds under a certificate's id at one moment.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The etag of this state.
    pub etag: Etag,
    /// SHA-1 of the CA certificate.
    pub thumbprint: Thumbprint,
    /// Whether it is verified, by a proof or because its upload said so.
    pub is_verified: bool,
    /// When it was last written, whole seconds, as far as the registry says it.
    pub updated: Option<OffsetDateTime>,
    /// When the CA certificate ends, as far as the registry says it.
    pub expiry: Option<OffsetDateTime>,
    /// The CA certificate, where the registry shows it: the text that was uploaded. Most are never read, because most
    /// are the one that is in the vault.
    pub certificate: Option<String>,
}

impl Registered {
    /// Returns whether its public key may be that of `ca`. The thumbprint is SHA-1 and only narrows the search; where the
    /// registry shows the certificate itself, the full public key decides, and a certificate that cannot be read has
    /// none.
    ///
    /// Many answers of DPS hold no certificate at all (`"certificate": null`; of what a run asks for, recordings have it
    /// in the answer with the code alone). Then the thumbprint has to do: what is signed is made from the certificate
    /// that the vault holds, so the registry gains nothing by showing none.
    pub fn may_have_the_key_of(&self, ca: &CaCertificate) -> bool {
        let Some(text) = &self.certificate else { return true };
        ca.is_uploaded_as(text)
            || self.certificate().is_some_and(|shown| shown.public_key_info() == ca.public_key_info())
    }

    /// Returns the CA certificate with its thumbprint, where the registry shows it.
    pub fn shown(&self) -> Option<CaCertificate> {
        self.certificate().filter(|shown| shown.thumbprint() == self.thumbprint)
    }

    /// Returns the CA certificate, where the registry shows one that can be read.
    pub fn certificate(&self) -> Option<CaCertificate> {
        CaCertificate::from_upload(self.certificate.as_deref()?).ok()
    }
}

/// A certificate in the list of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedCertificate {
    /// Which.
    pub id: CertificateId,
    /// Whether it is verified, by a proof or because its upload said so.
    pub is_verified: bool,
    /// SHA-1 of the CA certificate, as far as the registry says it.
    pub thumbprint: Option<Thumbprint>,
    /// When the CA certificate ends, as far as the registry says it.
    pub expiry: Option<OffsetDateTime>,
}

/// A challenge, and the state it was made in.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// The code as the registry returned it. Its form is not checked yet.
    pub code: String,
    /// What the registry holds now.
    pub registered: Registered,
}

/// What a list holds. One item that cannot be read does not hide the others.
pub type Listed<T> = Vec<Result<T, CallError>>;

/// An Azure resource that holds CA certificates.
pub trait Registry: Send + Sync {
    /// Lists the registries at or below a scope.
    fn registries(&self, scope: &Scope)
    -> impl Future<Output = Result<Listed<RegistryId>, CallError>> + Send;

    /// Lists the certificates of a registry.
    fn certificates(
        &self,
        registry: &RegistryId,
    ) -> impl Future<Output = Result<Listed<ListedCertificate>, CallError>> + Send;

    /// Reads the certificate. Returns `None` when it does not exist.
    fn get(&self, id: &CertificateId) -> impl Future<Output = Result<Option<Registered>, CallError>> + Send;

    /// Asks for a verification code, with `etag` as If-Match. This voids any earlier code.
    fn generate_verification_code(
        &self,
        id: &CertificateId,
        etag: &Etag,
    ) -> impl Future<Output = Result<Challenge, CallError>> + Send;

    /// Submits the verification certificate, with `etag` as If-Match.
    fn verify(
        &self,
        id: &CertificateId,
        etag: &Etag,
        proof: &Proof,
    ) -> impl Future<Output = Result<Registered, CallError>> + Send;
}
