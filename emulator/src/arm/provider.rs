//! A resource provider, as Azure Resource Manager knows it.
//!
//! The gateway knows no provider by name: it is handed all there are, asks each for the paths it answers, checks
//! token, api-version, body and permission by what the path's row says, and only then hands the request over.

use std::fmt;

use http::StatusCode;
use time::OffsetDateTime;

use crate::arm::problem::ArmProblem;
use crate::arm::resources::GroupId;
use crate::arm::visit::Visit;
use crate::context::Context;
use crate::exchange::Response;
use crate::operation::Operation;

/// Keeps the resources of some types and answers for them.
pub(crate) trait Provider {
    /// `Microsoft.Devices` and its kind.
    fn namespace(&self) -> &'static str;

    /// Every path below the namespace that it answers.
    fn paths(&self) -> &'static [Path];

    /// Its api-versions, oldest first; with `strict` only those that were published.
    fn api_versions(&self, strict: bool) -> Vec<&'static str>;

    /// Answers a request that the gateway let through.
    fn answer(
        &mut self,
        claim: &Claim,
        visit: &Visit<'_>,
        context: &mut Context<'_>,
    ) -> Result<Response, ArmProblem>;

    /// The error of its own that it would answer with this status, where that is not the gateway's.
    fn failure(&self, status: StatusCode) -> Option<Box<dyn ProviderProblem>>;
}

/// An error that a provider puts into words itself. The gateway hands it on as it is.
pub(crate) trait ProviderProblem: fmt::Debug + fmt::Display + Send + Sync {
    /// The answer that says so.
    fn answer(&self, now: OffsetDateTime, random: &mut fastrand::Rng) -> Response;
}

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

/// A request's path, recognised as one of a provider's.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// Which of the providers, as the gateway is handed them.
    pub(super) provider: usize,
    namespace: &'static str,
    /// The row of the provider's table.
    pub(crate) path: &'static Path,
    /// Where the path begins, in the caller's casing.
    pub(crate) place: Place,
    /// What stood for each `{}`, in the caller's casing.
    pub(crate) names: Vec<String>,
}

/// A subscription or a resource group in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The subscription of this id.
    Subscription(String),
    /// A resource group.
    ResourceGroup(GroupId),
}

impl Claim {
    /// Finds the provider of a path, given by its segments.
    pub(super) fn find(segments: &[String], providers: &[&mut dyn Provider]) -> Option<Claim> {
        providers.iter().enumerate().find_map(|(index, provider)| {
            let namespace = provider.namespace();
            let mut paths = provider.paths().iter();
            paths.find_map(|path| {
                let (place, names) = path.matches(namespace, segments)?;
                Some(Claim { provider: index, namespace, path, place, names })
            })
        })
    }

    /// What the method means here, if it fits the path.
    pub(super) fn verb(&self, method: &str) -> Option<&'static Verb> {
        self.path.verbs.iter().find(|verb| verb.method == method)
    }

    /// The nearest name: of the resource, or else of what the path begins with.
    pub(super) fn object(&self) -> &str {
        match (self.names.last(), &self.place) {
            (Some(name), _) => name,
            (None, Place::ResourceGroup(group)) => &group.name,
            (None, Place::Subscription(id)) => id,
        }
    }

    /// The id of what the collection is in.
    pub(super) fn parent(&self) -> String {
        let mut id = self.place.path();
        if self.names.is_empty() {
            return id;
        }
        id += "/providers/";
        id += self.namespace;
        let above = self.path.pattern.rsplit_once('/').map_or("", |(above, _)| above);
        let mut names = self.names.iter();
        for segment in above.split('/') {
            id.push('/');
            id += if segment == "{}" { names.next().map_or("", String::as_str) } else { segment };
        }
        id
    }

    /// Whether it is about one certificate.
    pub(super) fn is_of_certificate(&self) -> bool {
        self.path.resource_type.ends_with("/certificates")
            && matches!(self.path.form, Form::Resource | Form::Action)
    }

    /// Whether it is a resource of a group, and not something in one.
    pub(super) fn is_top_level(&self) -> bool {
        self.path.below == Below::ResourceGroup && self.path.form == Form::Resource && self.names.len() == 1
    }
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
