//! Which resource a request is for. Segments are compared without case, as ARM does, and kept as the caller
//! wrote them, because answers and events repeat them.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::dps::Action;
use crate::exchange::Request;
use crate::operation::Operation;

/// A request ARM answers to.
#[derive(Clone, Debug)]
pub struct Route {
    pub(crate) method: Method,
    pub(crate) target: Target,
    /// The decoded path in the caller's casing, without an action at its end.
    pub(crate) resource_id: String,
}

/// The resource a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Metadata,
    Tenants,
    Subscriptions,
    Subscription(String),
    ResourceGroups(String),
    ResourceGroup(GroupId),
    /// The instances of a whole subscription.
    AllInstances(String),
    Instances(GroupId),
    Instance(InstanceId),
    /// Whether a name for an instance can be had.
    NameAvailability(String),
    /// How far an operation is.
    OperationResult(String),
    Certificates(InstanceId),
    Certificate(InstanceId, String),
    GenerateVerificationCode(InstanceId, String),
    Verify(InstanceId, String),
}

/// What an upload is called.
pub(crate) const WRITE_CERTIFICATE: &str = "Microsoft.Devices/provisioningServices/certificates/write";
/// What looking at an instance is called, or at all of a resource group.
pub(crate) const READ_INSTANCE: &str = "Microsoft.Devices/provisioningServices/read";
/// What looking at a resource group is called, or at all of a subscription.
pub(crate) const READ_GROUP: &str = "Microsoft.Resources/subscriptions/resourceGroups/read";

/// A resource group of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupId {
    pub(crate) subscription: String,
    pub(crate) name: String,
}

/// A DPS instance of a resource group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstanceId {
    pub(crate) group: GroupId,
    pub(crate) name: String,
}

impl Route {
    /// `None` if the path is nothing of ARM's.
    pub fn parse(request: &Request) -> Option<Route> {
        let mut segments = Vec::new();
        // Empty segments are skipped: clients put together an endpoint with and without a slash at its end.
        for segment in request.uri().path().split('/').filter(|segment| !segment.is_empty()) {
            segments.push(percent_decode_str(segment).decode_utf8().ok()?.into_owned());
        }
        let target = Target::parse(&segments)?;
        if matches!(target, Target::GenerateVerificationCode(..) | Target::Verify(..)) {
            segments.pop();
        }
        let resource_id = format!("/{}", segments.join("/"));
        Some(Route { method: request.method().clone(), target, resource_id })
    }

    /// The name the journal and the faults know it by.
    pub fn operation(&self) -> Operation {
        match self.certificate_action() {
            Some((_, Action::List)) => Operation::ListCertificates,
            Some((_, Action::Get(_))) => Operation::GetCertificate,
            Some((_, Action::Put(_))) => Operation::PutCertificate,
            Some((_, Action::Delete(_))) => Operation::DeleteCertificate,
            Some((_, Action::GenerateCode(_))) => Operation::GenerateVerificationCode,
            Some((_, Action::Verify(_))) => Operation::Verify,
            None => Operation::Arm,
        }
    }

    /// The certificate's name, else that of whatever resource it is.
    pub fn object(&self) -> String {
        match &self.target {
            Target::Metadata => "metadata",
            Target::Tenants => "tenants",
            Target::Subscriptions => "subscriptions",
            Target::Subscription(id)
            | Target::ResourceGroups(id)
            | Target::AllInstances(id)
            | Target::NameAvailability(id)
            | Target::OperationResult(id) => id,
            Target::ResourceGroup(group) | Target::Instances(group) => &group.name,
            Target::Instance(instance) | Target::Certificates(instance) => &instance.name,
            Target::Certificate(_, name)
            | Target::GenerateVerificationCode(_, name)
            | Target::Verify(_, name) => name,
        }
        .to_owned()
    }

    /// The id of the DPS certificate it is about, if it is about one.
    pub(crate) fn certificate_id(&self) -> Option<&str> {
        let about_one = matches!(
            self.target,
            Target::Certificate(..) | Target::GenerateVerificationCode(..) | Target::Verify(..)
        );
        about_one.then_some(self.resource_id.as_str())
    }

    /// What DPS is asked about which instance's certificates, if the method fits the path.
    pub(crate) fn certificate_action(&self) -> Option<(&InstanceId, Action<'_>)> {
        Some(match (&self.target, self.method.as_str()) {
            (Target::Certificates(instance), "GET") => (instance, Action::List),
            (Target::Certificate(instance, name), "GET") => (instance, Action::Get(name)),
            (Target::Certificate(instance, name), "PUT") => (instance, Action::Put(name)),
            (Target::Certificate(instance, name), "DELETE") => (instance, Action::Delete(name)),
            (Target::GenerateVerificationCode(instance, name), "POST") => {
                (instance, Action::GenerateCode(name))
            }
            (Target::Verify(instance, name), "POST") => (instance, Action::Verify(name)),
            _ => return None,
        })
    }

    /// The action as roles and events name it. `None` for what needs a token and no role, and where the method
    /// does not fit the path.
    pub(crate) fn action(&self) -> Option<&'static str> {
        Some(match (&self.target, self.method.as_str()) {
            (Target::Subscription(_), "GET") => "Microsoft.Resources/subscriptions/read",
            (Target::ResourceGroups(_) | Target::ResourceGroup(_), "GET") => READ_GROUP,
            (Target::ResourceGroup(_), "PUT") => "Microsoft.Resources/subscriptions/resourceGroups/write",
            (Target::AllInstances(_) | Target::Instances(_) | Target::Instance(_), "GET") => READ_INSTANCE,
            (Target::NameAvailability(_), "POST") => {
                "Microsoft.Devices/checkProvisioningServiceNameAvailability/action"
            }
            (Target::Instance(_), "PUT" | "PATCH") => "Microsoft.Devices/provisioningServices/write",
            (Target::Instance(_), "DELETE") => "Microsoft.Devices/provisioningServices/delete",
            (Target::Certificates(_) | Target::Certificate(..), "GET") => {
                "Microsoft.Devices/provisioningServices/certificates/read"
            }
            (Target::Certificate(..), "PUT") => WRITE_CERTIFICATE,
            (Target::Certificate(..), "DELETE") => {
                "Microsoft.Devices/provisioningServices/certificates/delete"
            }
            (Target::GenerateVerificationCode(..), "POST") => {
                "Microsoft.Devices/provisioningServices/certificates/generateVerificationCode/action"
            }
            (Target::Verify(..), "POST") => {
                "Microsoft.Devices/provisioningServices/certificates/verify/action"
            }
            _ => return None,
        })
    }

    /// The resource whose role assignments decide: for a collection, what it is in.
    pub(crate) fn scope(&self) -> String {
        match &self.target {
            Target::ResourceGroups(subscription)
            | Target::AllInstances(subscription)
            | Target::NameAvailability(subscription) => format!("/subscriptions/{subscription}"),
            Target::Instances(group) => group.path(),
            Target::Certificates(instance) => instance.path(),
            _ => self.resource_id.clone(),
        }
    }

    /// Whether it asks for a list of which everybody sees the part they may see.
    pub(crate) fn is_filtered(&self) -> bool {
        matches!(self.target, Target::ResourceGroups(_) | Target::AllInstances(_) | Target::Instances(_))
    }
}

/// The type of the event that the success of an action raises; reading raises none, and nor does asking for a name.
pub(crate) fn event_type(action: &str) -> Option<&'static str> {
    match action.rsplit('/').next()? {
        "action" if action.contains("/check") => None,
        "write" => Some("Microsoft.Resources.ResourceWriteSuccess"),
        "delete" => Some("Microsoft.Resources.ResourceDeleteSuccess"),
        "action" => Some("Microsoft.Resources.ResourceActionSuccess"),
        _ => None,
    }
}

/// Whether this is the id of a DPS certificate.
pub(crate) fn is_certificate_id(id: &str) -> bool {
    let segments: Vec<String> = id.split('/').skip(1).map(str::to_owned).collect();
    matches!(Target::parse(&segments), Some(Target::Certificate(..)))
}

impl Target {
    /// Whether it is an instance itself.
    pub(crate) fn is_instance(&self) -> bool {
        matches!(self, Target::Instance(_))
    }

    /// The type within Microsoft.Devices; `None` for what belongs to ARM itself.
    pub(crate) fn resource_type(&self) -> Option<&'static str> {
        match self {
            Target::Metadata
            | Target::Tenants
            | Target::Subscriptions
            | Target::Subscription(_)
            | Target::ResourceGroups(_)
            | Target::ResourceGroup(_) => None,
            Target::AllInstances(_)
            | Target::Instances(_)
            | Target::Instance(_)
            | Target::OperationResult(_) => Some("provisioningServices"),
            Target::NameAvailability(_) => Some("checkProvisioningServiceNameAvailability"),
            Target::Certificates(_)
            | Target::Certificate(..)
            | Target::GenerateVerificationCode(..)
            | Target::Verify(..) => Some("provisioningServices/certificates"),
        }
    }

    fn parse(segments: &[String]) -> Option<Target> {
        let lower: Vec<String> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let at = |position: usize| segments[position].clone();
        let group = || GroupId { subscription: at(1), name: at(3) };
        Some(match lower.as_slice() {
            ["metadata", "endpoints"] => Target::Metadata,
            ["tenants"] => Target::Tenants,
            ["subscriptions"] => Target::Subscriptions,
            ["subscriptions", _] => Target::Subscription(at(1)),
            ["subscriptions", _, "resourcegroups"] => Target::ResourceGroups(at(1)),
            ["subscriptions", _, "resourcegroups", _] => Target::ResourceGroup(group()),
            ["subscriptions", _, "providers", "microsoft.devices", "provisioningservices"] => {
                Target::AllInstances(at(1))
            }
            [
                "subscriptions",
                _,
                "providers",
                "microsoft.devices",
                "checkprovisioningservicenameavailability",
            ] => Target::NameAvailability(at(1)),
            [
                "subscriptions",
                _,
                "providers",
                "microsoft.devices",
                "locations",
                _,
                "provisioningserviceoperationresults",
                _,
            ] => Target::OperationResult(at(7)),
            [
                "subscriptions",
                _,
                "resourcegroups",
                _,
                "providers",
                "microsoft.devices",
                "provisioningservices",
                below @ ..,
            ] => {
                let instance = || InstanceId { group: group(), name: at(7) };
                match below {
                    [] => Target::Instances(group()),
                    [_] => Target::Instance(instance()),
                    [_, "operationresults", _] => Target::OperationResult(at(9)),
                    [_, "certificates"] => Target::Certificates(instance()),
                    [_, "certificates", _] => Target::Certificate(instance(), at(9)),
                    [_, "certificates", _, "generateverificationcode"] => {
                        Target::GenerateVerificationCode(instance(), at(9))
                    }
                    [_, "certificates", _, "verify"] => Target::Verify(instance(), at(9)),
                    _ => return None,
                }
            }
            _ => return None,
        })
    }
}

impl GroupId {
    /// `/subscriptions/…/resourceGroups/…`
    pub(crate) fn path(&self) -> String {
        format!("/subscriptions/{}/resourceGroups/{}", self.subscription, self.name)
    }
}

impl InstanceId {
    /// `/subscriptions/…/resourceGroups/…/providers/Microsoft.Devices/provisioningServices/…`
    pub(crate) fn path(&self) -> String {
        format!("{}/providers/Microsoft.Devices/provisioningServices/{}", self.group.path(), self.name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;

    use super::*;

    const INSTANCE: &str =
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Devices/provisioningServices/dps";

    fn route(method: &str, path: &str) -> Option<Route> {
        let request = http::Request::builder().method(method).uri(path).body(Bytes::new()).unwrap();
        Route::parse(&request)
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
        assert_eq!(route("GET", "//subscriptions/").unwrap().target, Target::Subscriptions);
    }

    #[test]
    fn other_paths_are_not_arm() {
        for path in ["/", "/keys", "/subscriptions/s/other", &format!("{INSTANCE}/certificates/a/b"), "/%FF"]
        {
            assert!(route("GET", path).is_none(), "{path}");
        }
    }
}
