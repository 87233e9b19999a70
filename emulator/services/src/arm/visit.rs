//! What a provider may use of one request, besides the context.

use http::header;
use serde_json::Value;

use crate::access::rbac::Rights;
use crate::arm::group::GroupId;
use crate::arm::problem::{self, ArmProblem};
use crate::arm::resources::{Arm, ResourceGroup};
use crate::arm::route::Route;
use crate::context::Context;
use crate::ground::exchange::{self, Request, Response};

/// A request that the gateway let through to a provider.
pub(crate) struct Visit<'a> {
    pub(super) arm: &'a Arm,
    pub(super) route: &'a Route,
    /// As the caller sent it.
    pub(crate) request: &'a Request,
    /// Scheme, host and port the caller reached us at.
    pub(crate) origin: String,
    /// One of the provider's own.
    pub(crate) api_version: &'static str,
    /// What the caller may do.
    pub(crate) rights: Rights<'a>,
}

impl Visit<'_> {
    /// The method.
    pub(crate) fn method(&self) -> &str {
        self.route.method.as_str()
    }

    /// The refusal of a method that does not fit the path.
    pub(crate) fn method_not_allowed(&self) -> ArmProblem {
        ArmProblem::MethodNotAllowed(self.route.method.clone())
    }

    /// The body, which must be JSON.
    pub(crate) fn json_body(&self) -> Result<Value, ArmProblem> {
        problem::json_body(self.request)
    }

    /// A resource group, which has to be there.
    pub(crate) fn group(&self, id: &GroupId) -> Result<&ResourceGroup, ArmProblem> {
        self.arm.group(id)
    }

    /// The resource groups of a subscription, which has to be there.
    pub(crate) fn groups(&self, subscription: &str) -> Result<&[ResourceGroup], ArmProblem> {
        Ok(&self.arm.subscription(subscription)?.groups)
    }

    /// Tells the audience of something besides the request itself that was done to the same resource.
    pub(crate) fn announce(&self, action: &str, method: &str, object_id: &str, context: &mut Context<'_>) {
        let url = format!("{}{}", self.origin, self.route.resource_id);
        self.route.announce(action, method, &url, object_id, context);
    }

    /// Points to where the request was sent.
    pub(crate) fn set_location_here(&self, response: &mut Response) {
        let target = self.request.uri().path_and_query().map_or("/", |target| target.as_str());
        let url = format!("{}{target}", exchange::origin(self.request));
        exchange::set_header(response.headers_mut(), header::LOCATION, &url);
    }
}
