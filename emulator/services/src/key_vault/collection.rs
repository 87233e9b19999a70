//! All objects of one kind in one vault: the live ones, and the deleted ones that can still be recovered.
//!
//! Names are compared without case and keep the spelling of the first writer. A name is live or deleted,
//! never both: whoever wants to store something asks [`Collection::check_free`] first.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::object::{Object, RECOVERABLE_DAYS, Stored, Target, Version};
use super::refusal::Refusal;

const SECONDS_A_DAY: i64 = 86_400;

/// The objects of one kind, by their names in lower case.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Unchecked<T>", bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct Collection<T> {
    live: BTreeMap<String, Object<T>>,
    deleted: BTreeMap<String, Deleted<T>>,
}

/// A collection as it is written.
#[derive(Deserialize)]
struct Unchecked<T> {
    live: BTreeMap<String, Object<T>>,
    deleted: BTreeMap<String, Deleted<T>>,
}

impl<T> TryFrom<Unchecked<T>> for Collection<T> {
    type Error = &'static str;

    fn try_from(Unchecked { live, deleted }: Unchecked<T>) -> Result<Collection<T>, Self::Error> {
        let gone = deleted.iter().map(|(key, deleted)| (key, &deleted.object));
        let are_named = live
            .iter()
            .chain(gone)
            .all(|(at, object)| check_name(&object.name).is_ok() && *at == key(&object.name));
        let are_apart = deleted.keys().all(|key| !live.contains_key(key));
        let are_of_their_time =
            deleted.values().all(|deleted| OffsetDateTime::from_unix_timestamp(deleted.at).is_ok());
        if are_named && are_apart && are_of_their_time {
            Ok(Collection { live, deleted })
        } else {
            Err("an object that is not where it belongs")
        }
    }
}

/// An object that was deleted, and when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Deleted<T> {
    pub(super) object: Object<T>,
    /// In Unix seconds.
    pub(super) at: i64,
}

impl<T> Deleted<T> {
    /// When it is gone for good, in Unix seconds.
    pub(super) fn purge_at(&self) -> i64 {
        self.at + RECOVERABLE_DAYS * SECONDS_A_DAY
    }
}

impl<T> Default for Collection<T> {
    fn default() -> Collection<T> {
        Collection { live: BTreeMap::new(), deleted: BTreeMap::new() }
    }
}

impl<T: Stored> Collection<T> {
    /// Every live object, by its name in lower case, in the order of those names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Object<T>)> {
        self.live.iter().map(|(key, object)| (key.as_str(), object))
    }

    /// Every deleted object, likewise.
    pub(super) fn iter_deleted(&self) -> impl Iterator<Item = (&str, &Deleted<T>)> {
        self.deleted.iter().map(|(key, deleted)| (key.as_str(), deleted))
    }

    /// How many there are, live or deleted.
    pub(super) fn count(&self) -> usize {
        self.live.len() + self.deleted.len()
    }

    /// How many of them belong to certificates, by any of their versions.
    pub(super) fn count_managed(&self) -> usize {
        let all = self.live.values().chain(self.deleted.values().map(|deleted| &deleted.object));
        all.filter(|object| object.versions().any(|version| version.content.is_managed())).count()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Object<T>> {
        self.live.get(&key(name))
    }

    /// The live object of this name.
    pub(super) fn object(&self, name: &str) -> Result<&Object<T>, Refusal> {
        check_name(name)?;
        self.get(name).ok_or_else(|| Refusal::not_found(T::KIND, name))
    }

    /// The deleted object of this name.
    pub(super) fn deleted(&self, name: &str) -> Result<&Deleted<T>, Refusal> {
        check_name(name)?;
        self.deleted.get(&key(name)).ok_or_else(|| Refusal::deleted_not_found(T::KIND, name))
    }

    /// The version a target means, and the object's name as it was first spelt.
    pub(super) fn find(&self, target: &Target) -> Result<(&str, &Version<T>), Refusal> {
        let object = self.object(&target.name)?;
        match object.version(target.version.as_deref()) {
            Some(version) => Ok((&object.name, version)),
            None => Err(Refusal::not_found(T::KIND, &target.name)),
        }
    }

    /// The same, to change it.
    pub(super) fn find_mut(&mut self, target: &Target) -> Result<&mut Version<T>, Refusal> {
        check_name(&target.name)?;
        self.live
            .get_mut(&key(&target.name))
            .and_then(|object| object.version_mut(target.version.as_deref()))
            .ok_or_else(|| Refusal::not_found(T::KIND, &target.name))
    }

    /// Whether a version may be stored under this name: not while it is a deleted object's.
    pub(super) fn check_free(&self, name: &str) -> Result<(), Refusal> {
        check_name(name)?;
        if self.deleted.contains_key(&key(name)) {
            return Err(Refusal::deleted_but_recoverable(T::KIND, name));
        }
        Ok(())
    }

    /// Whether an operation may be done to this object alone: not while it is a certificate's, live or
    /// deleted. A missing object passes; the operation itself says so better.
    pub(super) fn check_own(&self, name: &str, operation: &str) -> Result<(), Refusal> {
        let key = key(name);
        let object = self.live.get(&key).or_else(|| self.deleted.get(&key).map(|deleted| &deleted.object));
        match object {
            Some(object) if object.latest().content.is_managed() => Err(Refusal::managed(T::KIND, operation)),
            _ => Ok(()),
        }
    }

    /// Stores a version, which becomes the latest.
    pub(super) fn add(&mut self, name: &str, version: Version<T>) {
        match self.live.get_mut(&key(name)) {
            Some(object) => object.push(version),
            None => {
                self.live.insert(key(name), Object::new(name, version));
            }
        }
    }

    /// Takes a live object away, for as long as it can be recovered.
    pub(super) fn delete(&mut self, name: &str, now: OffsetDateTime) -> Result<(), Refusal> {
        check_name(name)?;
        let object = self.live.remove(&key(name)).ok_or_else(|| Refusal::not_found(T::KIND, name))?;
        self.deleted.insert(key(name), Deleted { object, at: now.unix_timestamp() });
        Ok(())
    }

    /// Brings a deleted object back with all its versions.
    pub(super) fn recover(&mut self, name: &str) -> Result<(), Refusal> {
        let deleted = self.take_deleted(name)?;
        self.live.insert(key(name), deleted.object);
        Ok(())
    }

    /// Forgets a deleted object for good.
    pub(super) fn purge(&mut self, name: &str) -> Result<(), Refusal> {
        self.take_deleted(name).map(|_| ())
    }

    /// Forgets every deleted object whose time is up.
    pub(super) fn purge_due(&mut self, now: OffsetDateTime) {
        self.deleted.retain(|_, deleted| now.unix_timestamp() < deleted.purge_at());
    }

    fn take_deleted(&mut self, name: &str) -> Result<Deleted<T>, Refusal> {
        check_name(name)?;
        self.deleted.remove(&key(name)).ok_or_else(|| Refusal::deleted_not_found(T::KIND, name))
    }
}

fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Names are 1 to 127 letters, digits and hyphens.
fn check_name(name: &str) -> Result<(), Refusal> {
    let well_formed = (1..=127).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if well_formed {
        Ok(())
    } else {
        Err(Refusal::bad_parameter(format!("The request URI contains an invalid name: {name}")))
    }
}
