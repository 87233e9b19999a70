//! The vaults of the world, and how tests and the demo fill and change them without HTTP.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::import::Import;
use super::key_operation::KeyOperation;
use super::kind::Kind;
use super::new_secret::NewSecret;
use super::object::{Changes, Stamp, Target};
use super::refusal::Refusal;
use super::vault::Vault;
use crate::ground::stored;

/// Whether a vault can have a name: it becomes a host's, which punycode's `--` would upset.
pub fn is_vault_name(name: &str) -> bool {
    (3..=24).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && !name.ends_with('-')
        && !name.contains("--")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// All vaults, by their names.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct KeyVaults(BTreeMap<String, Vault>);

stored::checked!(KeyVaults);

impl KeyVaults {
    fn check_stored(&self) -> Result<(), &'static str> {
        let mut names = self.0.keys();
        let fit = |name: &String| is_vault_name(name) && *name == name.to_ascii_lowercase();
        if names.all(fit) { Ok(()) } else { Err("a vault of a name that none can have") }
    }

    /// Adds an empty vault, unless there is one of that name.
    pub fn add(&mut self, name: &str) {
        self.0.entry(name.to_ascii_lowercase()).or_default();
    }

    /// The names of all vaults.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Imports a certificate with its key as a new version.
    pub fn import_certificate(
        &mut self,
        vault: &str,
        name: &str,
        import: Import,
        stamp: Stamp,
    ) -> Result<(), Refusal> {
        self.vault(vault, stamp.now)?.import(name, &import, stamp)
    }

    /// Changes the latest version of a certificate, and with it its key and secret.
    pub fn update_certificate(
        &mut self,
        vault: &str,
        name: &str,
        changes: Changes,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        self.vault(vault, now)?.update_certificate(&Target::latest(name), changes, now)
    }

    /// Deletes a certificate with its key and secret; for 90 days it can be recovered.
    pub fn delete_certificate(
        &mut self,
        vault: &str,
        name: &str,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        self.vault(vault, now)?.delete(Kind::Certificate, name, now)
    }

    /// Changes the latest version of a key alone, even if it is a certificate's.
    pub fn update_key(
        &mut self,
        vault: &str,
        name: &str,
        changes: Changes,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        self.vault(vault, now)?.update_key(&Target::latest(name), changes, None, now)
    }

    /// Decides what the latest version of a key may be used for, even if it is a certificate's.
    pub fn set_key_operations(
        &mut self,
        vault: &str,
        name: &str,
        operations: &[KeyOperation],
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        let (target, operations) = (Target::latest(name), Some(operations.to_vec()));
        self.vault(vault, now)?.update_key(&target, Changes::default(), operations, now)
    }

    /// Stores a new version of a secret.
    pub fn set_secret(
        &mut self,
        vault: &str,
        name: &str,
        secret: NewSecret,
        stamp: Stamp,
    ) -> Result<(), Refusal> {
        self.vault(vault, stamp.now)?.set_secret(name, secret, stamp)
    }

    /// Changes the latest version of a secret.
    pub fn update_secret(
        &mut self,
        vault: &str,
        name: &str,
        changes: Changes,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        self.vault(vault, now)?.update_secret(&Target::latest(name), changes, now)
    }

    /// A vault as it is at this moment: without what could be recovered only until then.
    pub(super) fn vault(&mut self, name: &str, now: OffsetDateTime) -> Result<&mut Vault, Refusal> {
        let vault = self.0.get_mut(&name.to_ascii_lowercase()).ok_or_else(|| Refusal::unknown_vault(name))?;
        vault.purge_due(now);
        Ok(vault)
    }
}
