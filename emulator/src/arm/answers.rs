//! The errors ARM raises itself, before the provider sees a request, and the headers on every answer.
//!
//! ARM wraps its errors in `error` and gives them a word for a code; those of DPS pass through flat, with a
//! number. Clients have to read both, so both come from where they would really come from.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use crate::arm::route::{InstanceId, Route};
use crate::callers::{Caller, Principal, TokenProblem};
use crate::dps;
use crate::exchange::{self, Response};
use crate::guid::guid;
use crate::names::TENANT;

/// Why a request fails. Codes and texts are those quoted of ARM, unless the variant says "chosen".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("{}", token_problem(*.0))]
    Unauthenticated(TokenProblem),
    #[error("The api-version query parameter (?api-version=) is required for all requests.")]
    MissingApiVersion,
    #[error(
        "The resource type '{resource_type}' could not be found in the namespace 'Microsoft.Devices' for api \
         version '{version}'. The supported api-versions are '{supported}'."
    )]
    InvalidResourceType { resource_type: &'static str, version: String, supported: String },
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
         name cannot be created in location '{asked_for}'. Please select a new resource name.", .id.name, .id.group.name
    )]
    InvalidResourceLocation { id: InstanceId, location: String, asked_for: String },
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
        "The Resource 'Microsoft.Devices/provisioningServices/{}' under resource group '{}' was not found. For \
         more details please go to https://aka.ms/ARMResourceNotFoundFix", .0.name, .0.group.name
    )]
    ResourceNotFound(InstanceId),
    #[error("Can not perform requested operation on nested resource. Parent resource '{0}' not found.")]
    ParentResourceNotFound(String),
    /// Chosen.
    #[error("The operation '{0}' could not be found.")]
    OperationNotFound(String),
    /// Chosen.
    #[error("The requested resource does not support http method '{0}'.")]
    MethodNotAllowed(Method),
    #[error(transparent)]
    Dps(#[from] dps::Problem),
}

impl Problem {
    /// The answer that says so; `origin` is where the caller may get a token.
    pub(crate) fn answer(&self, origin: &str, now: OffsetDateTime, random: &mut fastrand::Rng) -> Response {
        let (status, code) = match self {
            Problem::Dps(problem) => return problem.answer(now, random),
            Problem::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "AuthenticationFailed"),
            Problem::MissingApiVersion => (StatusCode::BAD_REQUEST, "MissingApiVersionParameter"),
            Problem::InvalidResourceType { .. } => (StatusCode::NOT_FOUND, "InvalidResourceType"),
            Problem::InvalidApiVersion(_) => (StatusCode::BAD_REQUEST, "InvalidApiVersionParameter"),
            Problem::UnsupportedMediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType"),
            Problem::RequestContentTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestContentTooLarge"),
            Problem::InvalidRequestContent(_) => (StatusCode::BAD_REQUEST, "InvalidRequestContent"),
            Problem::LocationRequired => (StatusCode::BAD_REQUEST, "LocationRequired"),
            Problem::InvalidResourceLocation { .. } => (StatusCode::CONFLICT, "InvalidResourceLocation"),
            Problem::OperationNotFound(_) => (StatusCode::NOT_FOUND, "OperationNotFound"),
            Problem::AuthorizationFailed { .. } => (StatusCode::FORBIDDEN, "AuthorizationFailed"),
            Problem::SubscriptionNotFound(_) => (StatusCode::NOT_FOUND, "SubscriptionNotFound"),
            Problem::ResourceGroupNotFound(_) => (StatusCode::NOT_FOUND, "ResourceGroupNotFound"),
            Problem::ResourceNotFound(_) => (StatusCode::NOT_FOUND, "ResourceNotFound"),
            Problem::ParentResourceNotFound(_) => (StatusCode::NOT_FOUND, "ParentResourceNotFound"),
            Problem::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        };
        let mut response = wrapped(status, code, &self.to_string());
        if let Problem::Unauthenticated(_) = self {
            let challenge = format!(
                "Bearer authorization_uri=\"{origin}/{TENANT}\", error=\"invalid_token\", \
                 error_description=\"{self}\""
            );
            set(response.headers_mut(), header::WWW_AUTHENTICATE, &challenge);
        }
        response
    }
}

/// An answer of this status in the form it would plausibly have; what a fault puts in place of the real one.
pub fn fault(route: &Route, status: StatusCode, now: OffsetDateTime, random: &mut fastrand::Rng) -> Response {
    let mut response = match (status, route.action()) {
        (StatusCode::PRECONDITION_FAILED, _) => dps::Problem::InvalidEtag.answer(now, random),
        (StatusCode::FORBIDDEN, Some(action)) => {
            let caller = Principal::function_app().into();
            Problem::AuthorizationFailed { caller, action, scope: route.scope() }.answer("", now, random)
        }
        _ => {
            let name = dps::dot_net_name(status);
            wrapped(status, &name, "The emulator was asked for this failure.")
        }
    };
    if status == StatusCode::TOO_MANY_REQUESTS {
        set(response.headers_mut(), header::RETRY_AFTER, "1");
    }
    add_headers(&mut response, route, now, random);
    response
}

/// Puts the recorded headers on an answer, those of the year that the emulator's clock shows. There is never an
/// `ETag` among them.
pub(crate) fn add_headers(
    response: &mut Response,
    route: &Route,
    now: OffsetDateTime,
    random: &mut fastrand::Rng,
) {
    let headers = response.headers_mut();
    for (name, value) in CONSTANT {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let id = guid(random);
    let second = text(now, COMPACT);
    set(headers, HeaderName::from_static("x-ms-request-id"), &id);
    set(headers, HeaderName::from_static("x-ms-correlation-request-id"), &id);
    set(headers, HeaderName::from_static("x-ms-routing-request-id"), &format!("EASTUS:{second}:{id}"));
    set(headers, header::DATE, &dps::rfc1123(now));
    let left: &[(&str, u32)] = if is_since_2025(now) {
        headers.insert(HeaderName::from_static("x-cache"), HeaderValue::from_static("CONFIG_NOCACHE"));
        let edge = format!(
            "Ref A: {} Ref B: EWR30EDGE0000 Ref C: {}",
            guid(random).replace('-', "").to_uppercase(),
            text(now, EXTENDED)
        );
        set(headers, HeaderName::from_static("x-msedge-ref"), &edge);
        match (route.method.as_str(), route.target.is_instance()) {
            ("GET", _) => &[("global-reads", 16499)],
            ("PUT", true) => &[("resource-requests", 799)],
            ("DELETE", _) => &[("deletes", 799), ("global-deletes", 11999)],
            _ => &[("writes", 799), ("global-writes", 11999)],
        }
    } else {
        headers.insert(header::SERVER, HeaderValue::from_static("Microsoft-HTTPAPI/2.0"));
        match (route.method.as_str(), route.target.is_instance()) {
            ("GET", _) => &[("reads", 11999)],
            ("PUT", true) => &[("resource-requests", 4999)],
            ("DELETE", _) => &[("deletes", 14999)],
            _ => &[("writes", 1199)],
        }
    };
    for (kind, count) in left {
        let name = format!("x-ms-ratelimit-remaining-subscription-{kind}");
        let name = HeaderName::try_from(name).expect("the kinds are fit for a header's name");
        headers.insert(name, HeaderValue::from(*count));
    }
}

/// What a provider's answers have besides in recordings of 2025.
pub(crate) fn add_operation_identifier(
    response: &mut Response,
    caller: &Caller,
    now: OffsetDateTime,
    random: &mut fastrand::Rng,
) {
    if is_since_2025(now) {
        let identifier = format!("tenantId={TENANT},objectId={}/eastus/{}", caller.object_id, guid(random));
        set(response.headers_mut(), HeaderName::from_static("x-ms-operation-identifier"), &identifier);
    }
}

/// Between the recordings of 2023 and those of November 2025 the front door was replaced; when, nobody recorded.
pub(crate) fn is_since_2025(now: OffsetDateTime) -> bool {
    now.year() >= 2025
}

fn text(at: OffsetDateTime, format: StaticFormatDescription) -> String {
    at.to_offset(time::UtcOffset::UTC).format(format).expect("the formats only name parts of a date and time")
}

fn wrapped(status: StatusCode, code: &str, message: &str) -> Response {
    exchange::json(status, &json!({"error": {"code": code, "message": message}}))
}

/// Sets a header to text; whatever a header cannot hold came from the caller and is left out.
pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
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

/// As recorded from 2018 to 2025.
const CONSTANT: [(&str, &str); 5] = [
    ("cache-control", "no-cache"),
    ("pragma", "no-cache"),
    ("expires", "-1"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
];

const EXTENDED: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const COMPACT: StaticFormatDescription = format_description!("[year][month][day]T[hour][minute][second]Z");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;
    use serde_json::Value;
    use time::macros::datetime;

    use super::*;
    use crate::arm::route::{GroupId, WRITE_CERTIFICATE};

    fn fault_body(status: u16) -> (Response, Value) {
        let status = StatusCode::from_u16(status).unwrap();
        let now = datetime!(2026-11-23 12:00 UTC);
        let request =
            http::Request::get("/subscriptions/s?api-version=2022-12-01").body(Bytes::new()).unwrap();
        let route = Route::parse(&request).unwrap();
        let response = fault(&route, status, now, &mut fastrand::Rng::with_seed(1));
        let body = serde_json::from_slice(response.body()).unwrap();
        (response, body)
    }

    #[test]
    fn known_errors_read_as_quoted() {
        let known: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/dps/errors.json")).unwrap();
        let group = GroupId { subscription: "s".to_owned(), name: "{rg}".to_owned() };
        for problem in [
            Problem::Unauthenticated(TokenProblem::Missing),
            Problem::MissingApiVersion,
            Problem::AuthorizationFailed {
                caller: Caller { client_id: "{appId}".to_owned(), object_id: "{oid}".to_owned() },
                action: WRITE_CERTIFICATE,
                scope: "{resourceId}".to_owned(),
            },
            Problem::ResourceGroupNotFound("{rg}".to_owned()),
            Problem::ResourceNotFound(InstanceId { group, name: "{dps}".to_owned() }),
            Problem::ParentResourceNotFound("{dps}".to_owned()),
        ] {
            let now = datetime!(2026-11-23 12:00 UTC);
            let answer = problem.answer("https://localhost:8443", now, &mut fastrand::Rng::with_seed(1));
            let body: Value = serde_json::from_slice(answer.body()).unwrap();
            let mut samples = known["armEnvelope"]["samples"].as_array().unwrap().iter();
            let sample = samples.find(|sample| sample["body"] == body);
            assert_eq!(sample.unwrap_or_else(|| panic!("{body}"))["http"], answer.status().as_u16());
        }
    }

    #[test]
    fn a_fault_looks_like_the_service_that_would_raise_it() {
        for (status, code) in [
            (403, "AuthorizationFailed"),
            (404, "NotFound"),
            (409, "Conflict"),
            (429, "TooManyRequests"),
            (500, "InternalServerError"),
            (503, "ServiceUnavailable"),
        ] {
            let (response, body) = fault_body(status);
            assert_eq!(response.status(), status);
            assert_eq!(body["error"]["code"], code);
        }
        let (response, body) = fault_body(412);
        assert_eq!(response.status(), 412);
        assert_eq!(body["code"], 412_001);
    }

    #[test]
    fn a_throttled_caller_learns_when_to_come_back() {
        assert_eq!(fault_body(429).0.headers()[header::RETRY_AFTER], "1");
        assert!(!fault_body(503).0.headers().contains_key(header::RETRY_AFTER));
    }
}
