//! Azure Key Vault. Several vaults, searched in order.
//!
//! The cheapest place is looked at first: the certificate of the same name is one call. Only if that is not
//! the CA is the vault's list read, then the older versions of the certificate of that name (a CA that was
//! renewed in the vault and not yet in the registry), and, where pulling keys is allowed, the secret of that
//! name.

pub mod answer;
mod calls;
mod remedy;

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::ClientOptions;
use url::Url;
use zeroize::Zeroizing;

use super::directory::Directory;
use super::object_id::is_name;
use super::{Found, KeyUse, ObjectId, ReadError, Search, Sighting, Vault, Wanted};
use crate::ca::SignatureAlgorithm;
use crate::config::KeyAccess;
use crate::error::CallError;
use crate::proof::RawSignature;
use crate::pulled_key::PulledKey;
pub use answer::Certificate;
use calls::Calls;

/// The vaults of the settings.
pub struct KeyVaults {
    vaults: Vec<KeyVault>,
    access: KeyAccess,
}

struct KeyVault {
    calls: Calls,
    directory: Directory,
}

impl KeyVaults {
    /// Makes the clients of every vault, once: each of them remembers its challenge and its tokens.
    pub fn new(
        urls: &[Url],
        access: KeyAccess,
        credential: &Arc<dyn TokenCredential>,
        options: &ClientOptions,
    ) -> azure_core::Result<KeyVaults> {
        let vaults = urls.iter().map(|url| {
            Ok(KeyVault { calls: Calls::new(url, credential, options)?, directory: Directory::default() })
        });
        Ok(KeyVaults { vaults: vaults.collect::<azure_core::Result<_>>()?, access })
    }

    fn calls(&self, object: &ObjectId) -> &Calls {
        let vault = self.vaults.iter().find(|vault| vault.calls.vault() == object.vault());
        &vault.expect("object ids are only made by the vaults they are in").calls
    }
}

impl Vault for KeyVaults {
    async fn find(&self, wanted: Wanted<'_>) -> Result<Search, CallError> {
        let mut sightings = Vec::new();
        for vault in &self.vaults {
            match vault.find(wanted, self.access).await? {
                Search::Missing(seen) => sightings.extend(seen),
                found @ Search::Found(_) => return Ok(found),
            }
        }
        Ok(Search::Missing(sightings))
    }

    async fn sign(
        &self,
        key: &ObjectId,
        algorithm: SignatureAlgorithm,
        digest: &[u8],
    ) -> Result<RawSignature, CallError> {
        self.calls(key).sign(key, algorithm, digest).await
    }

    async fn read_key(&self, secret: &ObjectId) -> Result<PulledKey, ReadError> {
        let value: Zeroizing<String> = self.calls(secret).secret_value(secret).await?;
        // A PFX says itself how many rounds its password takes, so this may outlast the deadline, but not hold it.
        let key = tokio::task::spawn_blocking(move || PulledKey::from_secret(value)).await;
        Ok(key.expect("reading neither panics nor is cancelled")?)
    }
}

impl KeyVault {
    async fn find(&self, wanted: Wanted<'_>, access: KeyAccess) -> Result<Search, CallError> {
        // Names go into paths as they are, and the registry's naming rule allows more than the vault's.
        let name = Some(wanted.name).filter(|name| is_name(name));
        let same_name = match name {
            Some(name) => visible(self.calls.certificate(name, None).await, access)?.flatten(),
            None => None,
        };
        if let Some(certificate) = &same_name
            && certificate.ca.thumbprint() == wanted.thumbprint
        {
            return Ok(Search::Found(Box::new(found(certificate.clone(), access))));
        }
        if let Some(listed) = self.listed(wanted, access).await? {
            return Ok(Search::Found(Box::new(found(listed, access))));
        }
        if let Some(certificate) = same_name {
            return self.version(certificate, wanted, access).await;
        }
        let Some(name) = name else { return Ok(self.nothing()) };
        if access == KeyAccess::ReadSecret
            && let Some(found) = self.calls.secret(name).await?
        {
            return Ok(Search::Found(Box::new(found)));
        }
        match self.calls.deleted_certificate(name, wanted.thumbprint).await? {
            Some(deleted) => Ok(Search::Missing(vec![Sighting::Deleted(deleted)])),
            None => Ok(self.nothing()),
        }
    }

    /// A certificate of another name.
    async fn listed(&self, wanted: Wanted<'_>, access: KeyAccess) -> Result<Option<Certificate>, CallError> {
        let name = self.directory.find(wanted.thumbprint, || self.calls.names_by_thumbprint()).await;
        let Some(name) = visible(name, access)?.flatten() else { return Ok(None) };
        let certificate = self.calls.certificate(&name, None).await?;
        Ok(certificate.filter(|certificate| certificate.ca.thumbprint() == wanted.thumbprint))
    }

    /// An older version of the certificate of the same name.
    async fn version(
        &self,
        newest: Certificate,
        wanted: Wanted<'_>,
        access: KeyAccess,
    ) -> Result<Search, CallError> {
        let name = newest.object.name();
        if let Some(version) = self.calls.version_by_thumbprint(name, wanted.thumbprint).await?
            && let Some(certificate) = self.calls.certificate(name, Some(&version)).await?
            && certificate.ca.thumbprint() == wanted.thumbprint
        {
            return Ok(Search::Found(Box::new(found(certificate, access))));
        }
        let thumbprint = newest.ca.thumbprint();
        Ok(Search::Missing(vec![Sighting::Other { object: newest.object, thumbprint }]))
    }

    fn nothing(&self) -> Search {
        Search::Missing(vec![Sighting::Nothing(self.calls.vault().clone())])
    }
}

/// An app that may pull keys need not have the right to read certificates. What it may not see is not there
/// for it.
fn visible<T>(result: Result<T, CallError>, access: KeyAccess) -> Result<Option<T>, CallError> {
    match result {
        Err(CallError::Refused { status: 403, .. }) if access == KeyAccess::ReadSecret => Ok(None),
        result => result.map(Some),
    }
}

fn found(certificate: Certificate, access: KeyAccess) -> Found {
    let Certificate { object, key, secret, ca, grant, tags } = certificate;
    let or_read = secret.filter(|_| access == KeyAccess::ReadSecret);
    Found { object, grant, tags, key: KeyUse::SignInVault { key, certificate: ca, or_read } }
}
