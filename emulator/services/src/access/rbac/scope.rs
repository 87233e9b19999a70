//! Where a role holds.

use serde::{Deserialize, Serialize};

/// A resource, and with it everything below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Scope(String);

impl From<String> for Scope {
    fn from(resource_id: String) -> Scope {
        Scope::at(&resource_id)
    }
}

impl Scope {
    /// All subscriptions.
    pub fn everywhere() -> Scope {
        Scope(String::new())
    }

    /// A subscription, resource group, resource, or an object in it, by its id.
    pub fn at(resource_id: &str) -> Scope {
        Scope(resource_id.trim_end_matches('/').to_ascii_lowercase())
    }

    /// Whether a resource is this one or below it.
    pub(super) fn covers(&self, resource: &str) -> bool {
        is_at_or_below(&resource.to_ascii_lowercase(), &self.0)
    }

    /// Whether this is a resource, or below it.
    pub(super) fn is_below(&self, resource: &str) -> bool {
        is_at_or_below(&self.0, &resource.to_ascii_lowercase())
    }
}

fn is_at_or_below(id: &str, above: &str) -> bool {
    id.strip_prefix(above).is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_itself_and_what_is_below_by_whole_segments() {
        let group = Scope::at("/subscriptions/S/resourceGroups/rg/");
        for (resource, covered) in [
            ("/subscriptions/s/resourcegroups/RG", true),
            ("/subscriptions/s/resourceGroups/rg/providers/x/y/z", true),
            ("/subscriptions/s/resourceGroups/rg2", false),
            ("/subscriptions/s", false),
        ] {
            assert_eq!(group.covers(resource), covered, "{resource}");
            assert!(Scope::everywhere().covers(resource), "{resource}");
        }
        assert!(group.is_below("/subscriptions/s") && !group.is_below("/subscriptions/s2"));
        assert!(!Scope::everywhere().is_below("/subscriptions/s"));
    }
}
