//! Paths of providers, as rows of their tables.

use crate::arm::group::GroupId;
use crate::steering::operation::Operation;

/// A path below a provider's namespace, and what can be done there.
#[derive(Debug)]
pub(crate) struct Path {
    /// Whether it lies below a resource group or below the subscription itself.
    pub(crate) below: Below,
    /// Its segments, with `{}` for a name; compared without case.
    pub(crate) pattern: &'static str,
    /// The type within the namespace, which its api-versions belong to.
    pub(crate) resource_type: &'static str,
    /// What the path names.
    pub(crate) form: Form,
    /// The methods that fit it.
    pub(crate) verbs: &'static [Verb],
}

/// Where a provider's path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Below {
    /// Below `/subscriptions/{}`.
    Subscription,
    /// Below `/subscriptions/{}/resourceGroups/{}`.
    ResourceGroup,
}

/// What a path names, which decides whose role assignments count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A resource: its own role assignments count.
    Resource,
    /// An action on the resource that the path names without its last segment.
    Action,
    /// Something in a resource, a group or a subscription, whose role assignments count.
    Collection,
    /// A collection of which callers see the part they may see.
    FilteredCollection,
}

/// A method, and what it means at its path.
#[derive(Debug)]
pub(crate) struct Verb {
    /// The HTTP method.
    pub(crate) method: &'static str,
    /// The action as roles and events name it; `None` for what needs a token and no role.
    pub(crate) action: Option<&'static str>,
    /// The name the journal and the faults know it by.
    pub(crate) operation: Operation,
}

/// A row of a table of verbs.
pub(crate) const fn verb(method: &'static str, action: &'static str, operation: Operation) -> Verb {
    Verb { method, action: Some(action), operation }
}

/// A subscription or a resource group in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The subscription of this id.
    Subscription(String),
    /// A resource group.
    ResourceGroup(GroupId),
}

impl Path {
    /// Where the path begins and the names in it, if these are the segments of one like it.
    pub(crate) fn matches(&self, namespace: &str, segments: &[String]) -> Option<(Place, Vec<String>)> {
        let is = |segment: &String, word: &str| segment.eq_ignore_ascii_case(word);
        let (place, below) = match (self.below, segments) {
            (Below::Subscription, [subscriptions, id, below @ ..]) if is(subscriptions, "subscriptions") => {
                (Place::Subscription(id.clone()), below)
            }
            (Below::ResourceGroup, [subscriptions, id, groups, name, below @ ..])
                if is(subscriptions, "subscriptions") && is(groups, "resourceGroups") =>
            {
                let group = GroupId { subscription: id.clone(), name: name.clone() };
                (Place::ResourceGroup(group), below)
            }
            _ => return None,
        };
        let [providers, its, below @ ..] = below else { return None };
        if !is(providers, "providers") || !is(its, namespace) {
            return None;
        }
        let pattern: Vec<&str> = self.pattern.split('/').collect();
        if pattern.len() != below.len() {
            return None;
        }
        let mut names = Vec::new();
        for (segment, expected) in below.iter().zip(pattern) {
            if expected == "{}" {
                names.push(segment.clone());
            } else if !is(segment, expected) {
                return None;
            }
        }
        Some((place, names))
    }
}

impl Place {
    /// The id, in canonical casing.
    pub(crate) fn path(&self) -> String {
        match self {
            Place::Subscription(id) => format!("/subscriptions/{id}"),
            Place::ResourceGroup(group) => group.path(),
        }
    }
}
