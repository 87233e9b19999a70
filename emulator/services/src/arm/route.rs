//! Which resource a request is for. Segments are compared without case, as ARM does, and kept as the caller
//! wrote them, because answers and events repeat them.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::arm::claim::{Claim, Paths};
use crate::arm::group::GroupId;
use crate::arm::path::Form;
use crate::change::ArmOperation;
use crate::context::Context;
use crate::ground::exchange::Request;
use crate::service::Routed;
use crate::steering::operation::Operation;

/// A request ARM answers to.
#[derive(Clone, Debug)]
pub struct Route {
    pub(crate) method: Method,
    pub(crate) target: Target,
    /// The decoded path in the caller's casing, without an action at its end.
    pub(crate) resource_id: String,
}

/// The resource a path names.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// The metadata endpoint.
    Metadata,
    /// The tenants a caller sees.
    Tenants,
    /// The subscriptions a caller sees.
    Subscriptions,
    /// One subscription.
    Subscription(String),
    /// The resource groups of a subscription.
    ResourceGroups(String),
    /// One resource group.
    ResourceGroup(GroupId),
    /// Something of a provider's.
    Provided(Claim),
}

/// What looking at a resource group is called, or at all of a subscription.
pub(crate) const READ_GROUP: &str = "Microsoft.Resources/subscriptions/resourceGroups/read";

impl Route {
    /// `None` if the path is nothing of ARM's.
    pub(crate) fn parse(request: &Request, providers: &[Paths]) -> Option<Route> {
        let mut segments = Vec::new();
        // Empty segments are skipped: clients put together an endpoint with and without a slash at its end.
        for segment in request.uri().path().split('/').filter(|segment| !segment.is_empty()) {
            segments.push(percent_decode_str(segment).decode_utf8().ok()?.into_owned());
        }
        let target = Target::parse(&segments, providers)?;
        if matches!(&target, Target::Provided(claim) if claim.path.form == Form::Action) {
            segments.pop();
        }
        let resource_id = format!("/{}", segments.join("/"));
        Some(Route { method: request.method().clone(), target, resource_id })
    }

    /// What a provider is asked, if it is a provider's business.
    pub(crate) fn claim(&self) -> Option<&Claim> {
        match &self.target {
            Target::Provided(claim) => Some(claim),
            _ => None,
        }
    }

    /// The action as roles and events name it. `None` for what needs a token and no role, and where the method
    /// does not fit the path.
    pub(crate) fn action(&self) -> Option<&'static str> {
        Some(match (&self.target, self.method.as_str()) {
            (Target::Subscription(_), "GET") => "Microsoft.Resources/subscriptions/read",
            (Target::ResourceGroups(_) | Target::ResourceGroup(_), "GET") => READ_GROUP,
            (Target::ResourceGroup(_), "PUT") => "Microsoft.Resources/subscriptions/resourceGroups/write",
            (Target::Provided(claim), method) => return claim.verb(method).and_then(|verb| verb.action),
            _ => return None,
        })
    }

    /// The resource whose role assignments decide: for a collection, what it is in.
    pub(crate) fn scope(&self) -> String {
        match &self.target {
            Target::ResourceGroups(subscription) => format!("/subscriptions/{subscription}"),
            Target::Provided(claim) => match claim.path.form {
                Form::Collection | Form::FilteredCollection => claim.parent(),
                Form::Resource | Form::Action => self.resource_id.clone(),
            },
            _ => self.resource_id.clone(),
        }
    }

    /// Whether it asks for a list of which everybody sees the part they may see.
    pub(crate) fn is_filtered(&self) -> bool {
        match &self.target {
            Target::ResourceGroups(_) => true,
            Target::Provided(claim) => claim.path.form == Form::FilteredCollection,
            _ => false,
        }
    }

    /// Whether it is a resource of a group, and not something in one.
    pub(crate) fn is_top_level(&self) -> bool {
        self.claim().is_some_and(Claim::is_top_level)
    }

    /// Tells the audience of an action on the resource, if it is one that raises an event.
    pub(super) fn announce(
        &self,
        action: &str,
        method: &str,
        url: &str,
        object_id: &str,
        context: &mut Context<'_>,
    ) {
        let Some(event_type) = event_type(action) else { return };
        let resource_id = &self.resource_id;
        let operation = ArmOperation { event_type, name: action, resource_id, method, url, object_id };
        context.audience.hear(&operation, context.now, context.random);
    }
}

impl Routed for Route {
    fn operation(&self) -> Operation {
        let verb = self.claim().and_then(|claim| claim.verb(self.method.as_str()));
        verb.map_or(Operation::Arm, |verb| verb.operation)
    }

    /// The certificate's name, else that of whatever resource it is.
    fn object(&self) -> String {
        match &self.target {
            Target::Metadata => "metadata",
            Target::Tenants => "tenants",
            Target::Subscriptions => "subscriptions",
            Target::Subscription(id) | Target::ResourceGroups(id) => id,
            Target::ResourceGroup(group) => &group.name,
            Target::Provided(claim) => claim.object(),
        }
        .to_owned()
    }

    fn certificate(&self) -> Option<&str> {
        self.claim().filter(|claim| claim.is_of_certificate()).map(|_| self.resource_id.as_str())
    }
}

/// The type of the event that the success of an action raises; reading raises none, and nor does asking for a name.
fn event_type(action: &str) -> Option<&'static str> {
    match action.rsplit('/').next()? {
        "action" if action.contains("/check") => None,
        "write" => Some("Microsoft.Resources.ResourceWriteSuccess"),
        "delete" => Some("Microsoft.Resources.ResourceDeleteSuccess"),
        "action" => Some("Microsoft.Resources.ResourceActionSuccess"),
        _ => None,
    }
}

impl Target {
    fn parse(segments: &[String], providers: &[Paths]) -> Option<Target> {
        let lower: Vec<String> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let at = |position: usize| segments[position].clone();
        Some(match lower.as_slice() {
            ["metadata", "endpoints"] => Target::Metadata,
            ["tenants"] => Target::Tenants,
            ["subscriptions"] => Target::Subscriptions,
            ["subscriptions", _] => Target::Subscription(at(1)),
            ["subscriptions", _, "resourcegroups"] => Target::ResourceGroups(at(1)),
            ["subscriptions", _, "resourcegroups", _] => {
                Target::ResourceGroup(GroupId { subscription: at(1), name: at(3) })
            }
            _ => Target::Provided(Claim::find(segments, providers)?),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;

    use super::*;
    use crate::dps;

    const INSTANCE: &str =
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Devices/provisioningServices/dps";

    fn route(method: &str, path: &str) -> Option<Route> {
        let request = http::Request::builder().method(method).uri(path).body(Bytes::new()).unwrap();
        Route::parse(&request, &[dps::PATHS])
    }

    #[test]
    fn every_certificate_path_names_its_operation() {
        for (method, below, operation, object) in [
            ("GET", "/certificates?api-version=2022-02-05", Operation::ListCertificates, "dps"),
            ("GET", "/certificates/my-ca", Operation::GetCertificate, "my-ca"),
            ("PUT", "/certificates/my-ca", Operation::PutCertificate, "my-ca"),
            ("DELETE", "/certificates/my-ca", Operation::DeleteCertificate, "my-ca"),
            (
                "POST",
                "/certificates/my-ca/generateVerificationCode",
                Operation::GenerateVerificationCode,
                "my-ca",
            ),
            ("POST", "/certificates/my-ca/verify", Operation::Verify, "my-ca"),
            ("PATCH", "/certificates/my-ca", Operation::Arm, "my-ca"),
            ("GET", "/certificates/my-ca/verify", Operation::Arm, "my-ca"),
            ("GET", "", Operation::Arm, "dps"),
        ] {
            let route = route(method, &format!("{INSTANCE}{below}")).unwrap();
            assert_eq!(route.operation(), operation, "{method} {below}");
            assert_eq!(route.object(), object, "{method} {below}");
        }
    }

    #[test]
    fn segments_are_compared_without_case_and_kept_as_written() {
        let path = "/SUBSCRIPTIONS/Sub/resourcegroups/Rg/PROVIDERS/microsoft.devices/ProvisioningServices/Dps\
                    /Certificates/My-CA/GENERATEVERIFICATIONCODE";
        let route = route("POST", path).unwrap();
        assert_eq!(route.operation(), Operation::GenerateVerificationCode);
        assert_eq!(route.object(), "My-CA");
        assert_eq!(
            route.resource_id,
            "/SUBSCRIPTIONS/Sub/resourcegroups/Rg/PROVIDERS/microsoft.devices/ProvisioningServices/Dps\
             /Certificates/My-CA"
        );
    }

    #[test]
    fn segments_are_decoded_once() {
        let route = route("GET", &format!("{INSTANCE}/certificates/a%2520b%2Fc")).unwrap();
        assert_eq!(route.object(), "a%20b/c");
    }

    #[test]
    fn slashes_at_the_end_and_doubled_do_not_matter() {
        assert!(matches!(route("GET", "//subscriptions/").unwrap().target, Target::Subscriptions));
    }

    #[test]
    fn other_paths_are_not_arm() {
        for path in ["/", "/keys", "/subscriptions/s/other", &format!("{INSTANCE}/certificates/a/b"), "/%FF"]
        {
            assert!(route("GET", path).is_none(), "{path}");
        }
    }
}
