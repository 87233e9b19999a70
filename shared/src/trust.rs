//! The two locks on a CA key, both closed by default.
//!
//! The owner of the app sets the **allow-list** (`KEYHOLDER_REGISTRIES`): the registries that the app works for. The
//! owner of the CA sets the **grant** (a tag on the vault object): the registries for which this CA may prove
//! possession. An uploader controls neither, so nothing is signed for someone who uploads another owner's CA
//! certificate to their own registry. Each decision names the rule that made it.

use std::fmt;

use crate::certificate_id::{self, InvalidId, RegistryId, folded_group};

/// The tag on a vault's certificate or secret that holds its grant.
pub const GRANT_TAG: &str = "keyholder";

/// The tag on a secret that names, by thumbprint, the CA certificates whose key is in it.
pub const CA_TAG: &str = "keyholder-ca";

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

/// The registries that the app may work for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedRegistries(Vec<Scope>);

/// Why a text is not an allow-list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRegistries {
    /// It has only blanks and commas.
    #[error("it is empty, so no registry would be allowed")]
    Empty,
    /// An entry is not a scope.
    #[error(transparent)]
    Entry(#[from] InvalidScope),
}

/// Why a text is not the id of a subscription, a resource group or a DPS instance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{input:?}: {reason}")]
pub struct InvalidScope {
    input: String,
    reason: String,
}

impl Scope {
    /// Reads the id of a subscription, a resource group or a DPS instance.
    pub fn parse(text: &str) -> Result<Scope, InvalidScope> {
        let invalid = |reason| InvalidScope { input: text.to_owned(), reason };
        let segments = certificate_id::segments(text).map_err(invalid)?;
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
        scope.map_err(invalid)
    }

    /// Returns the path of its resource, ready for a URL.
    pub fn path(&self) -> String {
        match self {
            Scope::Subscription(subscription) => certificate_id::path(&["subscriptions", subscription]),
            Scope::ResourceGroup(subscription, group) => {
                certificate_id::path(&["subscriptions", subscription, "resourceGroups", group])
            }
            Scope::Registry(registry) => registry.path(),
        }
    }

    fn covers(&self, registry: &RegistryId) -> bool {
        match self {
            Scope::Subscription(subscription) => subscription.eq_ignore_ascii_case(registry.subscription()),
            Scope::ResourceGroup(subscription, group) => {
                subscription.eq_ignore_ascii_case(registry.subscription())
                    && folded_group(group) == folded_group(registry.resource_group())
            }
            Scope::Registry(allowed) => allowed == registry,
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

impl AllowedRegistries {
    /// Reads a comma-separated list of scopes; blanks around them and empty entries do not count.
    pub fn parse(text: &str) -> Result<AllowedRegistries, InvalidRegistries> {
        let scopes = entries(text).map(Scope::parse).collect::<Result<Vec<_>, _>>();
        match scopes? {
            scopes if scopes.is_empty() => Err(InvalidRegistries::Empty),
            scopes => Ok(AllowedRegistries(scopes)),
        }
    }

    /// Returns the first entry that covers a registry.
    pub fn allowing(&self, registry: &RegistryId) -> Option<&Scope> {
        self.0.iter().find(|scope| scope.covers(registry))
    }

    /// Returns its entries, in order.
    pub fn scopes(&self) -> &[Scope] {
        &self.0
    }
}

impl fmt::Display for AllowedRegistries {
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

    /// Returns the entry that lets this CA prove possession for a registry: its name, its id, or `*`. An entry that
    /// is none of these grants nothing.
    pub fn allowing(&self, registry: &RegistryId) -> Option<&str> {
        entries(self.0.as_deref()?).find(|entry| {
            *entry == "*"
                || entry.eq_ignore_ascii_case(registry.name())
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

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
