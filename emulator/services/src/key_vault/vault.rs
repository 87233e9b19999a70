//! What one vault keeps, and the changes that can be made to it.
//!
//! A certificate is three objects under one name and version: the certificate, its key and a secret. This is
//! the one place that keeps them in step, from the first version to the purge.

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::x509::X509Ref;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::collection::Collection;
use super::content::{Certificate, Key, Secret};
use super::creation::{self, Made};
use super::import::{Import, Sealed};
use super::key_operation::KeyOperation;
use super::kind::Kind;
use super::new_key::NewKey;
use super::new_secret::NewSecret;
use super::object::{Changes, Object, Stamp, Target};
use super::refusal::Refusal;
use crate::ground::stored;

const SECONDS_A_DAY: i64 = 86_400;

/// One vault.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub(super) struct Vault {
    pub(super) certificates: Collection<Certificate>,
    pub(super) keys: Collection<Key>,
    pub(super) secrets: Collection<Secret>,
}

stored::checked!(Vault);

impl Vault {
    /// Certificates have their keys and secrets beside them, and nothing else is a certificate's.
    fn check_stored(&self) -> Result<(), &'static str> {
        let live = self
            .certificates
            .iter()
            .all(|(name, certificate)| belongs(certificate, self.keys.get(name), self.secrets.get(name)));
        let deleted = self.certificates.iter_deleted().all(|(name, certificate)| {
            let key = self.keys.deleted(name).ok().map(|deleted| &deleted.object);
            let secret = self.secrets.deleted(name).ok().map(|deleted| &deleted.object);
            belongs(&certificate.object, key, secret)
        });
        let keys = self.keys.count_managed() == self.certificates.count();
        let secrets = self.secrets.count_managed() == self.certificates.count();
        if live && deleted && keys && secrets { Ok(()) } else { Err("a certificate that is not whole") }
    }

    pub(super) fn import(&mut self, name: &str, import: &Import, stamp: Stamp) -> Result<(), Refusal> {
        self.check_certificate_name(name)?;
        self.add_import(name, import.seal()?, import, stamp)
    }

    /// Adds a certificate that was opened before.
    pub(super) fn add_import(
        &mut self,
        name: &str,
        sealed: Sealed,
        import: &Import,
        stamp: Stamp,
    ) -> Result<(), Refusal> {
        let changes =
            Changes { enabled: Some(import.enabled), tags: Some(import.tags.clone()), ..Changes::default() };
        self.add_certificate(name, sealed, None, changes, stamp)
    }

    /// Adds a certificate that was made before.
    pub(super) fn add_made(
        &mut self,
        name: &str,
        made: Made,
        changes: Changes,
        stamp: Stamp,
    ) -> Result<(), Refusal> {
        self.add_certificate(name, made.sealed, Some(made.request), changes, stamp)
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
        let changes = changes.without_validity();
        self.keys.find_mut(&target)?.apply(changes.clone(), now);
        self.secrets.find_mut(&target)?.apply(changes.clone(), now);
        self.certificates.find_mut(&target)?.apply(changes, now);
        Ok(())
    }

    pub(super) fn add_key(&mut self, name: &str, key: NewKey, stamp: Stamp) -> Result<(), Refusal> {
        self.keys.check_free(name)?;
        let content =
            Key { private: key.private, operations: key.operations, exportable: false, managed: false };
        let mut version = stamp.version(content);
        version.apply(key.changes, stamp.now);
        self.keys.add(name, version);
        Ok(())
    }

    /// Changes a key alone. A certificate's key stays as valid as its certificate (chosen, not observed).
    pub(super) fn update_key(
        &mut self,
        target: &Target,
        changes: Changes,
        operations: Option<Vec<KeyOperation>>,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        let version = self.keys.find_mut(target)?;
        if let Some(operations) = operations {
            KeyOperation::check(&operations, version.content.private.0.rsa().is_ok())?;
            version.content.operations = operations;
        }
        let changes = if version.content.managed { changes.without_validity() } else { changes };
        version.apply(changes, now);
        Ok(())
    }

    pub(super) fn set_secret(&mut self, name: &str, secret: NewSecret, stamp: Stamp) -> Result<(), Refusal> {
        self.secrets.check_free(name)?;
        self.secrets.check_own(name, "set")?;
        let content = Secret { value: secret.value, content_type: secret.content_type, managed: false };
        let mut version = stamp.version(content);
        version.apply(secret.changes, stamp.now);
        self.secrets.add(name, version);
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

    /// Deletes an object for as long as it can be recovered; a certificate with its key and secret.
    pub(super) fn delete(&mut self, kind: Kind, name: &str, now: OffsetDateTime) -> Result<(), Refusal> {
        self.check_own(kind, name, "delete")?;
        match kind {
            Kind::Certificate => {
                self.certificates.delete(name, now)?;
                self.keys.delete(name, now)?;
                self.secrets.delete(name, now)
            }
            Kind::Key => self.keys.delete(name, now),
            Kind::Secret => self.secrets.delete(name, now),
        }
    }

    /// Brings a deleted object back, with all that was deleted with it.
    pub(super) fn recover(&mut self, kind: Kind, name: &str) -> Result<(), Refusal> {
        self.check_own(kind, name, "recover")?;
        match kind {
            Kind::Certificate => {
                self.certificates.recover(name)?;
                self.keys.recover(name)?;
                self.secrets.recover(name)
            }
            Kind::Key => self.keys.recover(name),
            Kind::Secret => self.secrets.recover(name),
        }
    }

    /// Forgets a deleted object for good, with all that was deleted with it.
    pub(super) fn purge(&mut self, kind: Kind, name: &str) -> Result<(), Refusal> {
        self.check_own(kind, name, "purge")?;
        match kind {
            Kind::Certificate => {
                self.certificates.purge(name)?;
                self.keys.purge(name)?;
                self.secrets.purge(name)
            }
            Kind::Key => self.keys.purge(name),
            Kind::Secret => self.secrets.purge(name),
        }
    }

    /// Forgets everything deleted whose time is up.
    pub(super) fn purge_due(&mut self, now: OffsetDateTime) {
        self.certificates.purge_due(now);
        self.keys.purge_due(now);
        self.secrets.purge_due(now);
    }

    fn check_own(&self, kind: Kind, name: &str, operation: &str) -> Result<(), Refusal> {
        match kind {
            Kind::Certificate => self.certificates.check_own(name, operation),
            Kind::Key => self.keys.check_own(name, operation),
            Kind::Secret => self.secrets.check_own(name, operation),
        }
    }

    /// A certificate needs its name for key and secret too. (The service has been seen to take over a plain
    /// secret of the same name instead of refusing.)
    pub(super) fn check_certificate_name(&self, name: &str) -> Result<(), Refusal> {
        self.certificates.check_free(name)?;
        self.keys.check_free(name)?;
        self.secrets.check_free(name)?;
        if self.certificates.get(name).is_some() {
            return Ok(());
        }
        if self.keys.get(name).is_some() {
            return Err(Refusal::name_taken(name, Kind::Key));
        }
        if self.secrets.get(name).is_some() {
            return Err(Refusal::name_taken(name, Kind::Secret));
        }
        Ok(())
    }

    fn add_certificate(
        &mut self,
        name: &str,
        sealed: Sealed,
        request: Option<creation::Request>,
        changes: Changes,
        stamp: Stamp,
    ) -> Result<(), Refusal> {
        self.check_certificate_name(name)?;
        let Sealed { key, leaf, secret, secret_type, exportable } = sealed;
        let unreadable = |_| Refusal::bad_parameter("The certificate's validity cannot be read.");
        let secret =
            Secret { value: secret, content_type: Some(secret_type.name().to_owned()), managed: true };
        let operations = KeyOperation::of_certificate(&leaf, &key.0);

        let mut version = stamp.version(());
        version.apply(changes, stamp.now);
        let attributes = &mut version.attributes;
        (attributes.not_before, attributes.expires) = validity(&leaf).map_err(unreadable)?;
        self.keys.add(name, version.with(Key { private: key, operations, exportable, managed: true }));
        self.secrets.add(name, version.with(secret));
        let certificate = Certificate { leaf, exportable, secret_type, request };
        self.certificates.add(name, version.with(certificate));
        Ok(())
    }
}

/// Whether key and secret are those of a certificate, version by version.
fn belongs(
    certificate: &Object<Certificate>,
    key: Option<&Object<Key>>,
    secret: Option<&Object<Secret>>,
) -> bool {
    let (Some(key), Some(secret)) = (key, secret) else { return false };
    let count = certificate.versions().count();
    let are_as_many = key.versions().count() == count && secret.versions().count() == count;
    are_as_many
        && certificate.versions().zip(key.versions()).zip(secret.versions()).all(|((leaf, key), secret)| {
            let public = leaf.content.leaf.public_key();
            key.id == leaf.id
                && secret.id == leaf.id
                && key.content.managed
                && secret.content.managed
                && public.is_ok_and(|public| public.public_eq(&key.content.private.0))
        })
}

fn validity(certificate: &X509Ref) -> Result<(Option<i64>, Option<i64>), ErrorStack> {
    let epoch = Asn1Time::from_unix(0)?;
    let seconds = |moment: &Asn1TimeRef| {
        let since = epoch.diff(moment)?;
        Ok(Some(i64::from(since.days) * SECONDS_A_DAY + i64::from(since.secs)))
    };
    Ok((seconds(certificate.not_before())?, seconds(certificate.not_after())?))
}
