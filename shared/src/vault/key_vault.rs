//! Azure Key Vault. Several vaults, searched in order.
//!
//! The cheapest place is looked at first: the certificate of the same name is one call, and in the first vault it
//! is made before it is known which CA is wanted. Only if that is not the CA is the vault's list read, then the older versions of the certificate of that name (a CA that was
//! renewed in the vault and not yet in the registry), and, where pulling keys is allowed, the secret of that
//! name.

pub mod answer;
mod calls;
mod gate;
mod pages;
mod probe;
mod remedy;
mod secret_versions;
mod versions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use azure_core::credentials::TokenCredential;
use azure_core::http::HttpClient;
use tracing::debug;
use url::Url;
use zeroize::Zeroizing;

use super::directory::Directory;
use super::object_id::is_name;
use super::{Candidate, Found, KeyUse, ObjectId, ReadError, Search, Vault, Version, Wanted};
use crate::ca::SignatureAlgorithm;
use crate::config::KeyAccess;
use crate::error::CallError;
use crate::http_client;
use crate::key_opener::{KeyOpener, OpenError, OpenKey};
use crate::prefetch::Prefetch;
use crate::proof::RawSignature;
pub use answer::Certificate;
use calls::Calls;
use gate::Gate;
pub use probe::{MaySign, Probe};
pub use versions::ListedVersion;

/// The vaults of the settings.
pub struct KeyVaults {
    vaults: Vec<KeyVault>,
    access: KeyAccess,
    credential: Arc<dyn TokenCredential>,
    /// Whether a search has reached the first vault, and so has fetched a token for it.
    opened: AtomicBool,
    opener: KeyOpener,
}

struct KeyVault {
    calls: Arc<Calls>,
    directory: Directory,
}

impl KeyVaults {
    /// Makes the clients of every vault, once: each of them remembers its challenge and its tokens.
    pub fn new(
        urls: &[Url],
        access: KeyAccess,
        opener: KeyOpener,
        credential: &Arc<dyn TokenCredential>,
        client: &Arc<dyn HttpClient>,
    ) -> azure_core::Result<KeyVaults> {
        let vaults = urls.iter().map(|url| {
            let gate: Arc<dyn HttpClient> = Arc::new(Gate::new(client.clone(), url));
            let calls = Arc::new(Calls::new(url, credential, &http_client::azure_options(&gate))?);
            Ok(KeyVault { calls, directory: Directory::default() })
        });
        Ok(KeyVaults {
            vaults: vaults.collect::<azure_core::Result<_>>()?,
            access,
            credential: credential.clone(),
            opened: AtomicBool::new(false),
            opener,
        })
    }

    /// In a new process, fetches the token that the vault is going to ask for while it is still being asked. A
    /// failure is that of the call that needs the token, if any does.
    async fn fetch_token(&self, vault: &KeyVault) {
        if let Some(scope) = gate::likely_scope(vault.calls.vault())
            && !self.opened.swap(true, Ordering::Relaxed)
            && let Err(error) = self.credential.get_token(&[&scope], None).await
        {
            debug!(%error, scope, "no token in advance");
        }
    }

    fn calls(&self, object: &ObjectId) -> &Calls {
        let vault = self.vaults.iter().find(|vault| vault.calls.vault() == object.vault());
        &vault.expect("object ids are only made by the vaults they are in").calls
    }
}

impl Vault for KeyVaults {
    /// What the first vault has as the certificate of that name. The others are asked only if they have
    /// to be: each would be a call more, and one that is slow would hold up what the first could answer.
    type Prefetched = Result<Option<Certificate>, CallError>;

    async fn prefetch(&self, name: &str) -> Self::Prefetched {
        match self.vaults.first() {
            Some(vault) => Prefetch::new(self.fetch_token(vault)).poll_alongside(vault.of_name(name)).await,
            None => Ok(None),
        }
    }

    async fn find(&self, wanted: Wanted<'_>, prefetched: Self::Prefetched) -> Result<Search, CallError> {
        let mut prefetched = Some(prefetched);
        let mut candidates = Vec::new();
        for vault in &self.vaults {
            let same_name = match prefetched.take() {
                Some(seen) => seen,
                None => vault.of_name(wanted.name).await,
            };
            match vault.find(wanted, same_name, self.access).await? {
                Search::Missing(seen) => candidates.extend(seen),
                found @ Search::Found(_) => return Ok(found),
            }
        }
        Ok(Search::Missing(candidates))
    }

    async fn sign(
        &self,
        key: &ObjectId,
        algorithm: SignatureAlgorithm,
        digest: &[u8],
    ) -> Result<RawSignature, CallError> {
        self.calls(key).sign(key, algorithm, digest).await
    }

    async fn read_key(&self, secret: &ObjectId) -> Result<OpenKey, ReadError> {
        let value: Zeroizing<String> = self.calls(secret).secret_value(secret).await?;
        self.opener.open(value).await.map_err(|error| match error {
            OpenError::Unusable(reason) => ReadError::Unusable(reason),
            OpenError::Process(error) => ReadError::Call(CallError::Unavailable {
                call: format!("opening the key in {secret}"),
                status: None,
                reason: error.to_string(),
                retry_after: None,
            }),
        })
    }
}

impl KeyVault {
    async fn of_name(&self, name: &str) -> Result<Option<Certificate>, CallError> {
        match name_here(name) {
            Some(name) => self.calls.certificate(name, None).await,
            None => Ok(None),
        }
    }

    async fn find(
        &self,
        wanted: Wanted<'_>,
        same_name: Result<Option<Certificate>, CallError>,
        access: KeyAccess,
    ) -> Result<Search, CallError> {
        let name = name_here(wanted.name);
        let same_name = visible(same_name, access)?.flatten();
        if let Some(certificate) = &same_name
            && certificate.ca.thumbprint() == wanted.thumbprint
        {
            return Ok(Search::Found(Box::new(found(certificate.clone(), Vec::new(), access))));
        }
        if let Some(listed) = self.listed(wanted, access).await? {
            return Ok(Search::Found(Box::new(found(listed, Vec::new(), access))));
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
            Some(deleted) => Ok(Search::Missing(vec![Candidate::Deleted(deleted)])),
            None => Ok(self.nothing()),
        }
    }

    /// Returns a certificate of another name.
    async fn listed(&self, wanted: Wanted<'_>, access: KeyAccess) -> Result<Option<Certificate>, CallError> {
        let read = || {
            let calls = self.calls.clone();
            async move { Ok(visible(calls.names_by_thumbprint().await, access)?.unwrap_or_default()) }
        };
        let get = |name: String| async move {
            let certificate = self.calls.certificate(&name, None).await?;
            Ok(certificate.filter(|certificate| certificate.ca.thumbprint() == wanted.thumbprint))
        };
        self.directory.find(wanted.thumbprint, wanted.as_of, read, get).await
    }

    /// Returns an older version of the certificate of the same name, for which the newest has to grant too.
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
            let Certificate { object, grant, tags, read, .. } = newest;
            let certificate = Certificate { read: read.min(certificate.read), ..certificate };
            let newest = vec![Version { object, grant, tags }];
            return Ok(Search::Found(Box::new(found(certificate, newest, access))));
        }
        let thumbprint = newest.ca.thumbprint();
        Ok(Search::Missing(vec![Candidate::Other { object: newest.object, thumbprint }]))
    }

    fn nothing(&self) -> Search {
        Search::Missing(vec![Candidate::Nothing(self.calls.vault().clone())])
    }
}

/// Returns the name if a vault can have it. The registry's naming rule allows more than the vault's.
fn name_here(name: &str) -> Option<&str> {
    Some(name).filter(|name| is_name(name))
}

/// Turns 403 into `None` for an app that may pull keys. It need not have the right to read certificates.
fn visible<T>(result: Result<T, CallError>, access: KeyAccess) -> Result<Option<T>, CallError> {
    match result {
        Err(CallError::Refused { status: 403, .. }) if access == KeyAccess::ReadSecret => Ok(None),
        result => result.map(Some),
    }
}

fn found(certificate: Certificate, newest: Vec<Version>, access: KeyAccess) -> Found {
    let Certificate { object, key, secret, ca, grant, tags, read } = certificate;
    let or_read = secret.filter(|_| access == KeyAccess::ReadSecret);
    Found { object, grant, tags, key: KeyUse::SignInVault { key, certificate: ca, or_read }, newest, read }
}
