//! What may be done in a vault, asked without doing any of it: no secret is read, and no signature is made.
//!
//! A request that no right could make succeed is refused for another reason by a vault that lets the caller through. That
//! takes the vault to ask for rights before it looks at the rest; in which order it checks is not documented.

use url::Url;

use super::{KeyVault, KeyVaults, ListedVersion};
use crate::ca::SignatureAlgorithm;
use crate::config::KeyAccess;
use crate::error::CallError;
use crate::trust::Grant;
use crate::vault::{Kind, ObjectId};

/// One vault to ask about.
#[derive(Clone, Copy)]
pub struct Probe<'v> {
    vault: &'v KeyVault,
    access: KeyAccess,
}

/// What was asked about signing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaySign {
    /// This very key, the newest of a certificate.
    Key(ObjectId),
    /// Keys in general: there was no certificate to ask about.
    AnyKey,
}

impl KeyVaults {
    /// Each of them, in order.
    pub fn probes(&self) -> impl Iterator<Item = Probe<'_>> {
        self.vaults.iter().map(|vault| Probe { vault, access: self.access })
    }
}

impl Probe<'_> {
    /// Returns which vault it is.
    pub fn url(&self) -> &Url {
        self.vault.calls.vault()
    }

    /// Returns the name and the grant of each certificate in it.
    pub async fn grants(&self) -> Result<Vec<(String, Grant)>, CallError> {
        self.vault.calls.grants().await
    }

    /// Returns every version of each certificate and, where the settings allow to read them, of each secret.
    pub async fn versions(&self) -> Result<Vec<ListedVersion>, CallError> {
        let mut versions = self.vault.calls.versions(Kind::Certificate).await?;
        if self.access == KeyAccess::ReadSecret {
            versions.extend(self.vault.calls.versions(Kind::Secret).await?);
        }
        Ok(versions)
    }

    /// Checks whether keys may be used to sign, asked about a certificate's key if one is named.
    pub async fn may_sign(&self, certificate: Option<&str>) -> Result<MaySign, CallError> {
        let certificate = match certificate {
            Some(name) => self.vault.calls.certificate(name, None).await?,
            None => None,
        };
        match certificate {
            Some(certificate) => {
                self.vault.calls.may_sign(&certificate.key, certificate.ca.algorithm()).await?;
                Ok(MaySign::Key(certificate.key))
            }
            None => {
                self.vault
                    .calls
                    .may_sign(&self.vault.calls.missing(Kind::Key), SignatureAlgorithm::Rs256)
                    .await?;
                Ok(MaySign::AnyKey)
            }
        }
    }

    /// Checks whether secrets may be read; `None` where the settings do not allow it anyway.
    pub async fn may_read_secrets(&self) -> Option<Result<(), CallError>> {
        match self.access {
            KeyAccess::SignInVault => None,
            KeyAccess::ReadSecret => {
                Some(self.vault.calls.may_read_secrets(&self.vault.calls.missing(Kind::Secret)).await)
            }
        }
    }
}
