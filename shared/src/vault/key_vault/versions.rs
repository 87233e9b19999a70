//! Every version in a vault, with what its owner allows: to tell what still grants after a grant was withdrawn.

use azure_security_keyvault_certificates::models::CertificateProperties;
use azure_security_keyvault_secrets::models::SecretProperties;
use futures::{StreamExt, TryStreamExt, stream};
use time::OffsetDateTime;

use super::answer::{call_error, grant_and_tags, unreadable};
use super::calls::Calls;
use crate::error::CallError;
use crate::vault::{Kind, ObjectId, Version};

/// For how many objects the versions are listed at once.
const AT_ONCE: usize = 8;

/// One version as a list has it.
#[derive(Clone, Debug)]
pub struct ListedVersion {
    /// Which, and what its owner allows.
    pub version: Version,
    /// Whether it can be used at all.
    pub is_enabled: bool,
    /// Whether none of the same object is newer. Moments have whole seconds, so several may be the newest.
    pub is_newest: bool,
    created: Option<OffsetDateTime>,
}

impl Calls {
    /// Returns all versions of all certificates, or of all secrets but those that belong to certificates.
    pub(super) async fn versions(&self, kind: Kind) -> Result<Vec<ListedVersion>, CallError> {
        let names = match kind {
            Kind::Secret => self.secret_names().await?,
            Kind::Certificate | Kind::Key => self.grants().await?.into_iter().map(|(name, _)| name).collect(),
        };
        let lists = stream::iter(names).map(|name| self.versions_of(kind, name)).buffered(AT_ONCE);
        Ok(lists.try_collect::<Vec<_>>().await?.concat())
    }

    async fn versions_of(&self, kind: Kind, name: String) -> Result<Vec<ListedVersion>, CallError> {
        let object = ObjectId::newest(self.vault_url(), kind, &name);
        let call = format!("listing the versions of {object}");
        let fail = |error: azure_core::Error| call_error(&call, &object, &error);
        let read = |id: Option<String>, tags, enabled: Option<bool>, created| {
            let id = ObjectId::parse(id.as_deref().unwrap_or_default(), self.vault_url(), kind)
                .map_err(|error| unreadable(&call, &error.to_string()))?;
            let (grant, tags) = grant_and_tags(tags);
            let version = Version { object: id, grant, tags };
            Ok(ListedVersion { version, is_enabled: enabled != Some(false), is_newest: false, created })
        };
        let versions: Result<Vec<ListedVersion>, CallError> = match kind {
            Kind::Secret => {
                let items = self.secrets().list_secret_properties_versions(&name, None).map_err(fail)?;
                let items: Vec<SecretProperties> = items.try_collect().await.map_err(fail)?;
                let read = |item: SecretProperties| {
                    let attributes = item.attributes.unwrap_or_default();
                    read(item.id, item.tags, attributes.enabled, attributes.created)
                };
                items.into_iter().map(read).collect()
            }
            Kind::Certificate | Kind::Key => {
                let items =
                    self.certificates().list_certificate_properties_versions(&name, None).map_err(fail)?;
                let items: Vec<CertificateProperties> = items.try_collect().await.map_err(fail)?;
                let read = |item: CertificateProperties| {
                    let attributes = item.attributes.unwrap_or_default();
                    read(item.id, item.tags, attributes.enabled, attributes.created)
                };
                items.into_iter().map(read).collect()
            }
        };
        let mut versions = versions?;
        let last = versions.iter().filter_map(|version| version.created).max();
        for version in &mut versions {
            version.is_newest = version.created.is_none_or(|created| Some(created) == last);
        }
        Ok(versions)
    }

    async fn secret_names(&self) -> Result<Vec<String>, CallError> {
        let all = ObjectId::newest(self.vault_url(), Kind::Secret, "");
        let call = format!("listing the secrets of {}", self.vault());
        let fail = |error: azure_core::Error| call_error(&call, &all, &error);
        let items = self.secrets().list_secret_properties(None).map_err(fail)?;
        let items: Vec<SecretProperties> = items.try_collect().await.map_err(fail)?;
        let own = items.into_iter().filter(|item| item.managed != Some(true));
        own.map(|item| {
            let id = item.id.as_deref().unwrap_or_default();
            let id = ObjectId::parse(id, self.vault_url(), Kind::Secret);
            Ok(id.map_err(|error| unreadable(&call, &error.to_string()))?.name().to_owned())
        })
        .collect()
    }
}
