//! The errors ARM raises itself, before the provider sees a request.
//!
//! ARM wraps its errors in `error` and gives them a word for a code; those of a provider pass through as they are, in
//! the case of DPS flat and with a number. Clients have to read both, so both come from where they would really come
//! from.

use std::fmt;

use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::access::callers::{Caller, TokenProblem};
use crate::arm::group::GroupId;
use crate::ground::exchange::{self, Request, Response};
use crate::names::TENANT;

/// An error that a provider puts into words itself. The gateway hands it on as it is.
pub(crate) trait ProviderProblem: fmt::Debug + fmt::Display + Send + Sync {
    /// The answer that says so.
    fn answer(&self, now: OffsetDateTime, random: &mut fastrand::Rng) -> Response;
}

/// Why a request fails. Codes and texts are those quoted of ARM, unless the variant says "chosen".
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArmProblem {
    #[error("{}", token_problem(*.0))]
    Unauthenticated(TokenProblem),
    #[error("The api-version query parameter (?api-version=) is required for all requests.")]
    MissingApiVersion,
    #[error(
        "The resource type '{resource_type}' could not be found in the namespace '{namespace}' for api \
         version '{version}'. The supported api-versions are '{supported}'."
    )]
    InvalidResourceType {
        namespace: &'static str,
        resource_type: &'static str,
        version: String,
        supported: String,
    },
    #[error("The api-version '{0}' is invalid. The supported versions are dates, as in '2022-12-01'.")]
    InvalidApiVersion(String),
    #[error("The content media type '{0}' is not supported. Only 'application/json' is supported.")]
    UnsupportedMediaType(String),
    #[error("The request content size exceeds the maximum size of 4 MB.")]
    RequestContentTooLarge,
    #[error("The request content was invalid and could not be deserialized: '{0}'.")]
    InvalidRequestContent(String),
    #[error("The location property is required for this definition.")]
    LocationRequired,
    #[error(
        "The resource '{}' already exists in location '{location}' in resource group '{}'. A resource with the same \
         name cannot be created in location '{asked_for}'. Please select a new resource name.", .name, .group.name
    )]
    InvalidResourceLocation { name: String, group: GroupId, location: String, asked_for: String },
    #[error(
        "The client '{}' with object id '{}' does not have authorization to perform action '{action}' over scope \
         '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
        caller.client_id, caller.object_id
    )]
    AuthorizationFailed { caller: Caller, action: &'static str, scope: String },
    #[error("The subscription '{0}' could not be found.")]
    SubscriptionNotFound(String),
    #[error("Resource group '{0}' could not be found.")]
    ResourceGroupNotFound(String),
    #[error(
        "The Resource '{resource_type}/{name}' under resource group '{}' was not found. For \
         more details please go to https://aka.ms/ARMResourceNotFoundFix", .group.name
    )]
    ResourceNotFound { resource_type: &'static str, name: String, group: GroupId },
    #[error("Can not perform requested operation on nested resource. Parent resource '{0}' not found.")]
    ParentResourceNotFound(String),
    /// Chosen.
    #[error("The operation '{0}' could not be found.")]
    OperationNotFound(String),
    /// Chosen.
    #[error("The requested resource does not support http method '{0}'.")]
    MethodNotAllowed(Method),
    #[error("{0}")]
    Provider(Box<dyn ProviderProblem>),
}

impl ArmProblem {
    /// The answer that says so; `origin` is where the caller may get a token.
    pub(crate) fn answer(&self, origin: &str, now: OffsetDateTime, random: &mut fastrand::Rng) -> Response {
        let (status, code) = match self {
            ArmProblem::Provider(problem) => return problem.answer(now, random),
            ArmProblem::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "AuthenticationFailed"),
            ArmProblem::MissingApiVersion => (StatusCode::BAD_REQUEST, "MissingApiVersionParameter"),
            ArmProblem::InvalidResourceType { .. } => (StatusCode::NOT_FOUND, "InvalidResourceType"),
            ArmProblem::InvalidApiVersion(_) => (StatusCode::BAD_REQUEST, "InvalidApiVersionParameter"),
            ArmProblem::UnsupportedMediaType(_) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType")
            }
            ArmProblem::RequestContentTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestContentTooLarge"),
            ArmProblem::InvalidRequestContent(_) => (StatusCode::BAD_REQUEST, "InvalidRequestContent"),
            ArmProblem::LocationRequired => (StatusCode::BAD_REQUEST, "LocationRequired"),
            ArmProblem::InvalidResourceLocation { .. } => (StatusCode::CONFLICT, "InvalidResourceLocation"),
            ArmProblem::OperationNotFound(_) => (StatusCode::NOT_FOUND, "OperationNotFound"),
            ArmProblem::AuthorizationFailed { .. } => (StatusCode::FORBIDDEN, "AuthorizationFailed"),
            ArmProblem::SubscriptionNotFound(_) => (StatusCode::NOT_FOUND, "SubscriptionNotFound"),
            ArmProblem::ResourceGroupNotFound(_) => (StatusCode::NOT_FOUND, "ResourceGroupNotFound"),
            ArmProblem::ResourceNotFound { .. } => (StatusCode::NOT_FOUND, "ResourceNotFound"),
            ArmProblem::ParentResourceNotFound(_) => (StatusCode::NOT_FOUND, "ParentResourceNotFound"),
            ArmProblem::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        };
        let mut response = wrapped(status, code, &self.to_string());
        if let ArmProblem::Unauthenticated(_) = self {
            let challenge = format!(
                "Bearer authorization_uri=\"{origin}/{TENANT}\", error=\"invalid_token\", \
                 error_description=\"{self}\""
            );
            exchange::set_header(response.headers_mut(), header::WWW_AUTHENTICATE, &challenge);
        }
        response
    }
}

impl<P: ProviderProblem + 'static> From<P> for ArmProblem {
    fn from(problem: P) -> ArmProblem {
        ArmProblem::Provider(Box::new(problem))
    }
}

/// The body, which must be JSON.
pub(crate) fn json_body(request: &Request) -> Result<Value, ArmProblem> {
    serde_json::from_slice(request.body())
        .map_err(|error| ArmProblem::InvalidRequestContent(error.to_string()))
}

/// An error in ARM's form.
pub(crate) fn wrapped(status: StatusCode, code: &str, message: &str) -> Response {
    exchange::json(status, &json!({"error": {"code": code, "message": message}}))
}

fn token_problem(problem: TokenProblem) -> &'static str {
    match problem {
        TokenProblem::Missing => "Authentication failed. The 'Authorization' header is missing.",
        // The texts below are chosen, not observed.
        TokenProblem::Invalid => "Authentication failed. The access token is invalid.",
        TokenProblem::Expired => "Authentication failed. The access token has expired.",
        TokenProblem::Audience => "Authentication failed. The access token is for another audience.",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::Value;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn known_errors_read_as_quoted() {
        let known: Value =
            serde_json::from_str(include_str!("../../../../tests/fixtures/dps/errors.json")).unwrap();
        let group = GroupId { subscription: "s".to_owned(), name: "{rg}".to_owned() };
        for problem in [
            ArmProblem::Unauthenticated(TokenProblem::Missing),
            ArmProblem::MissingApiVersion,
            ArmProblem::AuthorizationFailed {
                caller: Caller { client_id: "{appId}".to_owned(), object_id: "{oid}".to_owned() },
                action: "Microsoft.Devices/provisioningServices/certificates/write",
                scope: "{resourceId}".to_owned(),
            },
            ArmProblem::ResourceGroupNotFound("{rg}".to_owned()),
            ArmProblem::ResourceNotFound {
                resource_type: "Microsoft.Devices/provisioningServices",
                name: "{dps}".to_owned(),
                group,
            },
            ArmProblem::ParentResourceNotFound("{dps}".to_owned()),
        ] {
            let now = datetime!(2026-11-23 12:00 UTC);
            let answer = problem.answer("https://localhost:8443", now, &mut fastrand::Rng::with_seed(1));
            let body: Value = serde_json::from_slice(answer.body()).unwrap();
            let mut samples = known["armEnvelope"]["samples"].as_array().unwrap().iter();
            let sample = samples.find(|sample| sample["body"] == body);
            assert_eq!(sample.unwrap_or_else(|| panic!("{body}"))["http"], answer.status().as_u16());
        }
    }
}
