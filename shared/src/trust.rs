//! The two locks on a CA key, both closed by default.
//!
//! The **allow-list** (`KEYHOLDER_REGISTRIES`) is held by the owner of the app: which registries it serves
//! at all. The **grant** (a tag on the vault object) is held by the owner of the CA: for which registries
//! this CA may prove possession. An uploader holds neither, so uploading somebody else's CA certificate to
//! one's own registry gets nothing signed. Each decision names the rule that made it.

use std::fmt;

use crate::certificate_id::{self, InvalidId, RegistryId};

/// The tag on a vault's certificate or secret that holds its grant.
pub const GRANT_TAG: &str = "keyholder";

/// One entry of the allow-list: everything at or below an ARM id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every DPS instance of a subscription.
    Subscription(String),
    /// Every DPS instance of a resource group.
    ResourceGroup(String, String),
    /// One DPS instance.
    Registry(RegistryId),
}

/// The registries this app serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registries(Vec<Scope>);

/// Why a text is no allow-list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRegistries {
    /// Nothing but blanks and commas.
    #[error("it is empty, so no registry would be served")]
    Empty,
    /// An entry that is no scope.
    #[error("{0}")]
    Entry(String),
}

impl Scope {
    /// Reads the id of a subscription, a resource group or a DPS instance.
    pub fn parse(text: &str) -> Result<Scope, String> {
        let segments = certificate_id::segments(text).map_err(|reason| format!("{text:?}: {reason}"))?;
        let scope = match segments.as_slice() {
            [subscriptions, subscription] => certificate_id::keyword(subscriptions, "subscriptions")
                .and_then(|()| certificate_id::subscription(subscription))
                .map(Scope::Subscription),
            [subscriptions, subscription, groups, group] => {
                certificate_id::keyword(subscriptions, "subscriptions")
                    .and_then(|()| certificate_id::keyword(groups, "resourceGroups"))
                    .and_then(|()| certificate_id::subscription(subscription))
                    .and_then(|subscription| {
                        Ok(Scope::ResourceGroup(subscription, certificate_id::resource_group(group)?))
                    })
            }
            _ => RegistryId::parse(text).map(Scope::Registry).map_err(|error: InvalidId| error.to_string()),
        };
        scope.map_err(|reason| format!("{text:?}: {reason}"))
    }

    fn covers(&self, registry: &RegistryId) -> bool {
        match self {
            Scope::Subscription(subscription) => same(subscription, registry.subscription()),
            Scope::ResourceGroup(subscription, group) => {
                same(subscription, registry.subscription()) && same(group, registry.resource_group())
            }
            Scope::Registry(served) => served == registry,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Subscription(subscription) => write!(f, "/subscriptions/{subscription}"),
            Scope::ResourceGroup(subscription, group) => {
                write!(f, "/subscriptions/{subscription}/resourceGroups/{group}")
            }
            Scope::Registry(registry) => registry.fmt(f),
        }
    }
}

impl Registries {
    /// Reads a comma-separated list of scopes; blanks around them and empty entries do not count.
    pub fn parse(text: &str) -> Result<Registries, InvalidRegistries> {
        let scopes = entries(text).map(Scope::parse).collect::<Result<Vec<_>, _>>();
        match scopes.map_err(InvalidRegistries::Entry)? {
            scopes if scopes.is_empty() => Err(InvalidRegistries::Empty),
            scopes => Ok(Registries(scopes)),
        }
    }

    /// The first entry that covers a registry.
    pub fn serving(&self, registry: &RegistryId) -> Option<&Scope> {
        self.0.iter().find(|scope| scope.covers(registry))
    }

    /// Its entries, in order.
    pub fn scopes(&self) -> &[Scope] {
        &self.0
    }
}

impl fmt::Display for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scopes: Vec<String> = self.0.iter().map(Scope::to_string).collect();
        f.write_str(&scopes.join(", "))
    }
}

/// What the owner of a CA wrote into its tag, or that there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant(Option<String>);

impl Grant {
    /// Takes the value of the tag [`GRANT_TAG`], if the object has it.
    pub fn new(tag: Option<String>) -> Grant {
        Grant(tag)
    }

    /// The entry that lets this CA prove possession for a registry: its name, its id, or `*`. An entry that
    /// is none of these grants nothing.
    pub fn allowing(&self, registry: &RegistryId) -> Option<&str> {
        entries(self.0.as_deref()?).find(|entry| {
            *entry == "*"
                || same(entry, registry.name())
                || RegistryId::parse(entry).is_ok_and(|granted| granted == *registry)
        })
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => write!(f, "its tag {GRANT_TAG} is {value:?}"),
            None => write!(f, "it has no tag {GRANT_TAG}"),
        }
    }
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBSCRIPTION: &str = "/subscriptions/00000000-0000-0000-0000-00000000000a";

    fn registry(group: &str, name: &str) -> RegistryId {
        RegistryId::parse(&id(group, name)).expect("well-formed")
    }

    fn id(group: &str, name: &str) -> String {
        format!(
            "{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Devices/provisioningServices/{name}"
        )
    }

    #[test]
    fn the_allow_list_serves_what_is_at_or_below_an_entry_and_nothing_that_looks_like_it() {
        let rows = [
            ("its subscription", SUBSCRIPTION.to_owned(), true),
            ("another subscription", SUBSCRIPTION.replace("00a", "00b"), false),
            ("its group", format!("{SUBSCRIPTION}/resourceGroups/rg"), true),
            ("its group, other casing, slash", format!("{SUBSCRIPTION}/RESOURCEGROUPS/RG/"), true),
            ("a shorter group", format!("{SUBSCRIPTION}/resourceGroups/r"), false),
            ("a longer group", format!("{SUBSCRIPTION}/resourceGroups/rg-evil"), false),
            ("itself", id("rg", "dps1"), true),
            ("itself in upper case", id("rg", "dps1").to_uppercase(), true),
            ("a longer name", id("rg", "dps10"), false),
            ("the same name elsewhere", id("rg2", "dps1"), false),
            ("the second of two", format!("{}, {}", id("rg", "dps2"), id("rg", "dps1")), true),
            ("blanks and empty entries", format!(" , {} ,, ", id("rg", "dps1")), true),
        ];
        let asked = registry("rg", "dps1");
        for (name, list, served) in rows {
            let registries = Registries::parse(&list).expect(name);
            assert_eq!(registries.serving(&asked).is_some(), served, "{name}");
        }
    }

    #[test]
    fn an_allow_list_that_says_nothing_or_nonsense_is_refused() {
        for list in ["", " , ", "*", "dps1", "/", "/subscriptions/", "/subscriptions/*", "/providers/x"] {
            assert!(Registries::parse(list).is_err(), "{list:?}");
        }
    }

    #[test]
    fn a_grant_names_registries_and_default_is_denial() {
        let rows = [
            ("no tag", None, false),
            ("empty", Some(String::new()), false),
            ("blank", Some(" , ".into()), false),
            ("its name", Some("dps1".into()), true),
            ("its name, other casing", Some("DPS1".into()), true),
            ("a longer name", Some("dps10".into()), false),
            ("a shorter name", Some("dps".into()), false),
            ("one of several", Some("dps0, dps1".into()), true),
            ("its id", Some(id("RG", "dps1")), true),
            ("the id of its namesake", Some(id("rg2", "dps1")), false),
            ("everything", Some("*".into()), true),
            ("a pattern", Some("dps*".into()), false),
            ("yes", Some("true".into()), false),
        ];
        let asked = registry("rg", "dps1");
        for (name, tag, allowed) in rows {
            assert_eq!(Grant::new(tag).allowing(&asked).is_some(), allowed, "{name}");
        }
    }
}
