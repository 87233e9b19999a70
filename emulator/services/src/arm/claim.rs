//! A request's path, recognised as one of a provider's.

use crate::arm::path::{Below, Form, Path, Place, Verb};

/// The namespace of a provider, and its paths there.
pub(crate) type Paths = (&'static str, &'static [Path]);

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

impl Claim {
    /// Finds the provider of a path, given by its segments.
    pub(super) fn find(segments: &[String], providers: &[Paths]) -> Option<Claim> {
        providers.iter().enumerate().find_map(|(index, (namespace, paths))| {
            paths.iter().find_map(|path| {
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
