//! What certificates, keys and secrets have in common: a name, versions, attributes and tags.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::kind::Kind;
use super::refusal::Refusal;
use super::site::Site;
use crate::ground::stored;

/// The content of a version: what makes it a certificate, a key or a secret.
pub(super) trait Stored: Sized {
    const KIND: Kind;

    /// Whether it belongs to the certificate of the same name.
    fn is_managed(&self) -> bool;

    /// The form in lists, under the id it has there.
    fn listed(id: &str, version: &Version<Self>) -> Value;

    /// The form in everything but lists, without a secret's value.
    fn bundle(name: &str, version: &Version<Self>, site: &Site) -> Result<Value, Refusal>;
}

/// For how long a deleted object can be recovered; the service's default and maximum.
pub(super) const RECOVERABLE_DAYS: i64 = 90;

/// Name-value pairs on an object.
pub type Tags = BTreeMap<String, String>;

/// What a request is about: an object, and a version of it unless the latest is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) version: Option<String>,
}

impl Target {
    pub(super) fn latest(name: impl Into<String>) -> Target {
        Target { name: name.into(), version: None }
    }

    pub(super) fn version(name: impl Into<String>, version: impl Into<String>) -> Target {
        Target { name: name.into(), version: Some(version.into()) }
    }
}

/// When something is stored, and as which version.
///
/// Made before the vault is touched, because both are the world's to give.
#[derive(Clone, Debug)]
pub struct Stamp {
    version: String,
    pub(super) now: OffsetDateTime,
}

impl Stamp {
    /// A new version id at this moment.
    pub fn new(now: OffsetDateTime, random: &mut fastrand::Rng) -> Stamp {
        Stamp { version: hex_id(random), now }
    }

    /// The version that is stored: enabled, without limits in time and tags.
    pub(super) fn version<T>(&self, content: T) -> Version<T> {
        let attributes = Attributes::new(self.now);
        Version { id: self.version.clone(), attributes, tags: Tags::new(), content }
    }
}

/// An id as Key Vault makes them: 32 hex digits.
pub(super) fn hex_id(random: &mut fastrand::Rng) -> String {
    format!("{:032x}", random.u128(..))
}

/// Reads such an id.
fn read_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    let fits = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if fits { Ok(id) } else { Err(serde::de::Error::custom("a version's id that is none")) }
}

/// The attributes every version has. Times are whole seconds, as on the wire.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Attributes {
    pub(super) enabled: bool,
    pub(super) not_before: Option<i64>,
    pub(super) expires: Option<i64>,
    created: i64,
    updated: i64,
}

impl Attributes {
    fn new(now: OffsetDateTime) -> Attributes {
        let now = now.unix_timestamp();
        Attributes { enabled: true, not_before: None, expires: None, created: now, updated: now }
    }

    /// The form in lists.
    pub(super) fn listed(&self) -> Value {
        let mut json = Map::new();
        json.insert("enabled".to_owned(), json!(self.enabled));
        for (name, moment) in [("nbf", self.not_before), ("exp", self.expires)] {
            if let Some(moment) = moment {
                json.insert(name.to_owned(), json!(moment));
            }
        }
        json.insert("created".to_owned(), json!(self.created));
        json.insert("updated".to_owned(), json!(self.updated));
        Value::Object(json)
    }

    /// The form in everything but lists.
    pub(super) fn full(&self) -> Value {
        let mut json = self.listed();
        json["recoveryLevel"] = json!("Recoverable+Purgeable");
        json["recoverableDays"] = json!(RECOVERABLE_DAYS);
        json
    }

    /// A policy's form: it has no validity of its own.
    pub(super) fn of_policy(&self) -> Value {
        json!({ "enabled": self.enabled, "created": self.created, "updated": self.updated })
    }
}

/// A change to attributes and tags; what is not mentioned stays.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Switch the version on or off.
    pub enabled: Option<bool>,
    /// Replace all tags.
    pub tags: Option<Tags>,
    pub(super) not_before: Option<i64>,
    pub(super) expires: Option<i64>,
}

impl Changes {
    /// Replaces all tags.
    pub fn tags<K: Into<String>, V: Into<String>>(tags: impl IntoIterator<Item = (K, V)>) -> Changes {
        Changes { tags: Some(to_tags(tags)), ..Changes::default() }
    }

    /// Switches the version on or off.
    pub fn enabled(enabled: bool) -> Changes {
        Changes { enabled: Some(enabled), ..Changes::default() }
    }

    /// The same but for when a version is valid.
    pub(super) fn without_validity(self) -> Changes {
        Changes { not_before: None, expires: None, ..self }
    }

    /// The `attributes` and `tags` of a request's body.
    pub(super) fn read(body: &Value) -> Result<Changes, Refusal> {
        let wrong = |member: &str, form: &str| {
            Refusal::bad_parameter(format!("The member {member} of the body must be {form}."))
        };
        let attributes = match &body["attributes"] {
            Value::Null => &Map::new(),
            Value::Object(attributes) => attributes,
            _ => return Err(wrong("attributes", "an object")),
        };
        let given = |name: &str| attributes.get(name).filter(|value| !value.is_null());
        let moment = |name: &str| {
            let read = |value: &Value| value.as_i64().ok_or_else(|| wrong(name, "a number of seconds"));
            given(name).map(read).transpose()
        };
        let enabled = |value: &Value| value.as_bool().ok_or_else(|| wrong("enabled", "true or false"));
        Ok(Changes {
            enabled: given("enabled").map(enabled).transpose()?,
            tags: match &body["tags"] {
                Value::Null => None,
                tags => Some(
                    serde_json::from_value(tags.clone())
                        .map_err(|_| wrong("tags", "an object of strings"))?,
                ),
            },
            not_before: moment("nbf")?,
            expires: moment("exp")?,
        })
    }
}

pub(super) fn to_tags<K: Into<String>, V: Into<String>>(tags: impl IntoIterator<Item = (K, V)>) -> Tags {
    tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

/// One version of an object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Version<T> {
    #[serde(deserialize_with = "read_id")]
    pub(super) id: String,
    pub(super) attributes: Attributes,
    pub(super) tags: Tags,
    pub(super) content: T,
}

impl<T> Version<T> {
    /// The same version of another kind of object.
    pub(super) fn with<U>(&self, content: U) -> Version<U> {
        let Version { id, attributes, tags, .. } = self;
        Version { id: id.clone(), attributes: attributes.clone(), tags: tags.clone(), content }
    }

    pub(super) fn apply(&mut self, changes: Changes, now: OffsetDateTime) {
        let attributes = &mut self.attributes;
        attributes.updated = now.unix_timestamp();
        attributes.enabled = changes.enabled.unwrap_or(attributes.enabled);
        attributes.not_before = changes.not_before.or(attributes.not_before);
        attributes.expires = changes.expires.or(attributes.expires);
        if let Some(tags) = changes.tags {
            self.tags = tags;
        }
    }
}

/// An object with all its versions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Object<T> {
    pub(super) name: String,
    /// Oldest first; never empty.
    #[serde(deserialize_with = "stored::not_empty", bound(deserialize = "T: Deserialize<'de>"))]
    versions: Vec<Version<T>>,
}

impl<T> Object<T> {
    pub(super) fn new(name: &str, first: Version<T>) -> Object<T> {
        Object { name: name.to_owned(), versions: vec![first] }
    }

    /// Adds a version, which becomes the latest.
    pub(super) fn push(&mut self, version: Version<T>) {
        self.versions.push(version);
    }

    /// A certain version, or the latest.
    pub(super) fn version(&self, id: Option<&str>) -> Option<&Version<T>> {
        self.index(id).map(|index| &self.versions[index])
    }

    /// The same, to change it.
    pub(super) fn version_mut(&mut self, id: Option<&str>) -> Option<&mut Version<T>> {
        self.index(id).map(|index| &mut self.versions[index])
    }

    pub(super) fn latest(&self) -> &Version<T> {
        self.versions.last().expect("an object is stored with its first version")
    }

    pub(super) fn versions(&self) -> impl DoubleEndedIterator<Item = &Version<T>> {
        self.versions.iter()
    }

    fn index(&self, version: Option<&str>) -> Option<usize> {
        match version {
            None => self.versions.len().checked_sub(1),
            Some(id) => self.versions.iter().position(|version| version.id.eq_ignore_ascii_case(id)),
        }
    }
}
