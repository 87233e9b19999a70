//! What a vault keeps, and the changes that can be made to it.
//!
//! An imported certificate is three objects under one name and version: the certificate, its key and a
//! secret. This is the one place that keeps them in step.

use std::collections::BTreeMap;

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::x509::X509Ref;
use serde_json::Value;
use time::OffsetDateTime;

use super::certificates::Certificate;
use super::import::Import;
use super::keys::{self, Key};
use super::object::{Attributes, Changes, Collection, Stamp, Tags, Target, Version, check_name, to_tags};
use super::refusal::Refusal;
use super::secrets::Secret;
use crate::hidden::Hidden;

const SECONDS_A_DAY: i64 = 86_400;

/// The vaults of the world, and how tests and the demo fill them without HTTP.
#[derive(Clone, Debug, Default)]
pub struct KeyVaults(BTreeMap<String, Vault>);

/// A secret to store.
#[derive(Clone, Debug)]
pub struct NewSecret {
    value: Hidden<String>,
    content_type: Option<String>,
    changes: Changes,
}

/// One vault.
#[derive(Clone, Debug, Default)]
pub(super) struct Vault {
    pub(super) certificates: Collection<Certificate>,
    pub(super) keys: Collection<Key>,
    pub(super) secrets: Collection<Secret>,
}

impl KeyVaults {
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
        self.vault(vault)?.import(name, &import, stamp)
    }

    /// Stores a new version of a secret.
    pub fn set_secret(
        &mut self,
        vault: &str,
        name: &str,
        secret: NewSecret,
        stamp: Stamp,
    ) -> Result<(), Refusal> {
        self.vault(vault)?.set_secret(name, secret, stamp)
    }

    /// Changes the latest version of a certificate, and with it its key and secret.
    pub fn update_certificate(
        &mut self,
        vault: &str,
        name: &str,
        changes: Changes,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        self.vault(vault)?.update_certificate(&Target::latest(name), changes, now)
    }

    /// Changes the latest version of a secret.
    pub fn update_secret(
        &mut self,
        vault: &str,
        name: &str,
        changes: Changes,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        self.vault(vault)?.update_secret(&Target::latest(name), changes, now)
    }

    pub(super) fn vault(&mut self, name: &str) -> Result<&mut Vault, Refusal> {
        self.0.get_mut(&name.to_ascii_lowercase()).ok_or_else(|| Refusal::unknown_vault(name))
    }
}

impl NewSecret {
    /// A value without a content type or tags.
    pub fn new(value: impl Into<String>) -> NewSecret {
        NewSecret { value: Hidden(value.into()), content_type: None, changes: Changes::default() }
    }

    /// What the value is, in words a vault does not interpret.
    pub fn content_type(self, content_type: impl Into<String>) -> NewSecret {
        NewSecret { content_type: Some(content_type.into()), ..self }
    }

    /// The tags of the new version.
    pub fn tags<K: Into<String>, V: Into<String>>(
        mut self,
        tags: impl IntoIterator<Item = (K, V)>,
    ) -> NewSecret {
        self.changes.tags = Some(to_tags(tags));
        self
    }

    /// The secret a request's body describes.
    pub(super) fn read(body: &Value) -> Result<NewSecret, Refusal> {
        let Some(value) = body["value"].as_str() else {
            return Err(Refusal::bad_parameter("Property 'value' is required: the text to store."));
        };
        Ok(NewSecret {
            value: Hidden(value.to_owned()),
            content_type: body["contentType"].as_str().map(str::to_owned),
            changes: Changes::read(body)?,
        })
    }
}

impl Vault {
    pub(super) fn import(&mut self, name: &str, import: &Import, stamp: Stamp) -> Result<(), Refusal> {
        check_name(name)?;
        if self.certificates.get(name).is_none() && self.secrets.get(name).is_some() {
            return Err(Refusal::name_taken(name, "secret"));
        }
        let pair = import.open()?;
        let (form, exportable) = (import.secret_type(), import.exportable);
        let unreadable = |_| Refusal::bad_parameter("The certificate's validity cannot be read.");
        let mut attributes = Attributes::new(stamp.now);
        attributes.enabled = import.enabled;
        (attributes.not_before, attributes.expires) = validity(&pair.leaf).map_err(unreadable)?;
        let value = pair
            .secret(form, exportable)
            .map_err(|_| Refusal::internal("encode the certificate's secret"))?;

        let operations = keys::operations(&pair.leaf, &pair.key.0);
        let secret =
            Secret { value: Hidden(value), content_type: Some(form.name().to_owned()), managed: true };
        let version = Version { id: stamp.version, attributes, tags: import.tags.clone(), content: () };
        self.keys.add(name, version.with(Key { private: pair.key, operations, exportable }));
        self.secrets.add(name, version.with(secret));
        self.certificates
            .add(name, version.with(Certificate { leaf: pair.leaf, exportable, secret_type: form }));
        Ok(())
    }

    pub(super) fn set_secret(&mut self, name: &str, secret: NewSecret, stamp: Stamp) -> Result<(), Refusal> {
        check_name(name)?;
        if self.certificates.get(name).is_some() {
            return Err(Refusal::name_taken(name, "certificate"));
        }
        let content = Secret { value: secret.value, content_type: secret.content_type, managed: false };
        let attributes = Attributes::new(stamp.now);
        let mut version = Version { id: stamp.version, attributes, tags: Tags::new(), content };
        version.apply(secret.changes, stamp.now);
        self.secrets.add(name, version);
        Ok(())
    }

    /// The key and the secret follow their certificate, tags included (chosen, not observed). A certificate's
    /// validity is its own and does not change.
    pub(super) fn update_certificate(
        &mut self,
        target: &Target,
        changes: Changes,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        let (_, version) = self.certificates.find(target)?;
        let target = Target::version(target.name.as_str(), version.id.as_str());
        let changes = Changes { not_before: None, expires: None, ..changes };
        self.keys.find_mut(&target)?.apply(changes.clone(), now);
        self.secrets.find_mut(&target)?.apply(changes.clone(), now);
        self.certificates.find_mut(&target)?.apply(changes, now);
        Ok(())
    }

    pub(super) fn update_secret(
        &mut self,
        target: &Target,
        changes: Changes,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        self.secrets.find_mut(target)?.apply(changes, now);
        Ok(())
    }
}

fn validity(certificate: &X509Ref) -> Result<(Option<i64>, Option<i64>), ErrorStack> {
    let epoch = Asn1Time::from_unix(0)?;
    let seconds = |moment: &Asn1TimeRef| {
        let since = epoch.diff(moment)?;
        Ok(Some(i64::from(since.days) * SECONDS_A_DAY + i64::from(since.secs)))
    };
    Ok((seconds(certificate.not_before())?, seconds(certificate.not_after())?))
}
