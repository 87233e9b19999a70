//! The vault as the verifier sees it: find a CA, and have its key sign one digest or be pulled for one
//! signature.
//!
//! Finding never touches key material. That is what lets the grant be decided in between: a secret whose
//! owner granted nothing is never read.

mod directory;
pub mod key_vault;
mod object_id;

pub use object_id::{InvalidObjectId, Kind, ObjectId};

use tokio::time::Instant;

use crate::ca::{CaCertificate, SignatureAlgorithm};
use crate::certificate_id::RegistryId;
use crate::error::CallError;
use crate::key_opener::OpenKey;
use crate::proof::RawSignature;
use crate::pulled_key::UnusableSecret;
use crate::thumbprint::Thumbprint;
use crate::trust::Grant;

/// The CA to search for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its name in the registry; most people use the same one in the vault.
    pub name: &'a str,
    /// SHA-1 of the CA certificate.
    pub thumbprint: Thumbprint,
    /// What was imported later need not be found, so a list of the vault that was read since will do.
    pub as_of: Instant,
}

/// The result of a search.
#[derive(Clone, Debug)]
pub enum Search {
    /// An object that holds this CA, or, if it is a secret, may hold it.
    Found(Box<Found>),
    /// The CA was not found; these objects were found instead.
    Missing(Vec<Candidate>),
}

/// What was found instead of the CA.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Candidate {
    /// A vault without it.
    #[error("{0} has none")]
    Nothing(url::Url),
    /// A certificate of that name, with another certificate in all of its versions.
    #[error("{object} is another certificate, with thumbprint {thumbprint}")]
    Other {
        /// Its newest version.
        object: ObjectId,
        /// Of that version.
        thumbprint: Thumbprint,
    },
    /// The very CA, deleted and not yet purged.
    #[error("{0} is deleted")]
    Deleted(ObjectId),
}

/// A vault object to prove possession with.
#[derive(Clone, Debug)]
pub struct Found {
    /// The certificate or secret, in the version that was found.
    pub object: ObjectId,
    /// What its owner allows.
    pub grant: Grant,
    /// All of its tags.
    pub tags: Vec<(String, String)>,
    /// How its key can be used.
    pub key: KeyUse,
    /// The newest version, where that is another one. It has to grant too, whether it is enabled or not: an owner
    /// withdraws a grant from the object, and what they see of the object is its newest version. Several, where the
    /// vault does not say which of them is the newest.
    pub newest: Vec<Version>,
    /// When reading its grant began.
    pub read: Instant,
}

/// One version of a vault object, and what its owner allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Which.
    pub object: ObjectId,
    /// What its owner allows.
    pub grant: Grant,
    /// All of its tags.
    pub tags: Vec<(String, String)>,
}

impl Found {
    /// Returns the entry of the grant that allows this CA to prove possession for a registry, or else the versions
    /// that do not grant it. The one that was found and the newest both have to.
    pub fn granted_by(&self, registry: &RegistryId) -> Result<&str, Vec<Version>> {
        let Found { object, grant, tags, .. } = self;
        let found = Version { object: object.clone(), grant: grant.clone(), tags: tags.clone() };
        let versions = [found].into_iter().chain(self.newest.iter().cloned());
        let lacking: Vec<Version> =
            versions.filter(|version| version.grant.allowing(registry).is_none()).collect();
        match grant.allowing(registry) {
            Some(rule) if lacking.is_empty() => Ok(rule),
            _ => Err(lacking),
        }
    }
}

/// How the key of a found CA can be used.
#[derive(Clone, Debug)]
pub enum KeyUse {
    /// The vault signs with this key, which belongs to this certificate.
    SignInVault {
        /// The version of the key that goes with the version of the certificate, never "the latest".
        key: ObjectId,
        /// The CA certificate; its thumbprint is the wanted one.
        certificate: CaCertificate,
        /// The secret behind the certificate, where pulling keys is allowed: it is read if the vault will not
        /// sign.
        or_read: Option<ObjectId>,
    },
    /// The key has to be pulled out of the secret, which has not been read yet.
    ReadSecret,
}

/// Why a secret gave no key.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The call did not work.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What it holds is no key we can use.
    #[error(transparent)]
    Unusable(#[from] UnusableSecret),
}

/// Where CA keys live.
pub trait Vault: Send + Sync {
    /// What `prefetch` returned.
    type Prefetched: Send;

    /// Looks for the CA under its name in the registry, where it is most likely. It does not need to know which CA is
    /// wanted, so it can run while the registry is read. Reads no key material.
    fn prefetch(&self, name: &str) -> impl Future<Output = Self::Prefetched> + Send;

    /// Looks for a CA without reading any key material. Begins with what `prefetch` returned for its name.
    fn find(
        &self,
        wanted: Wanted<'_>,
        prefetched: Self::Prefetched,
    ) -> impl Future<Output = Result<Search, CallError>> + Send;

    /// Has a key sign a digest.
    fn sign(
        &self,
        key: &ObjectId,
        algorithm: SignatureAlgorithm,
        digest: &[u8],
    ) -> impl Future<Output = Result<RawSignature, CallError>> + Send;

    /// Pulls a key out of a secret.
    fn read_key(&self, secret: &ObjectId) -> impl Future<Output = Result<OpenKey, ReadError>> + Send;
}
