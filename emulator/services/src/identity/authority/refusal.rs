//! Why Entra ID hands out no token, in its own form. Codes, texts and layout are documented or were quoted; which of
//! them a request meets that is wrong in two ways is chosen, not observed.

use http::{Method, StatusCode};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use crate::ground::exchange::{self, Response};
use crate::ground::guid::guid;
use crate::names::TENANT;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("The endpoint only accepts {0} requests. Received a {1} request.")]
    MethodNotAllowed(&'static str, Method),
    #[error(
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the \
         correct cloud. Check with your subscription administrator, this may happen if there are no active \
         subscriptions for the tenant."
    )]
    Tenant {
        tenant: String,
        /// Differs from endpoint to endpoint.
        error: &'static str,
    },
    #[error("The request body must contain the following parameter: '{0}'.")]
    Missing(&'static str),
    #[error("The app requested an unsupported grant type '{0}'.")]
    GrantType(String),
    #[error(
        "The provided value for scope {0} is not valid. Client credential flows must have a scope value with /.default \
         suffixed to the resource identifier (application ID URI)."
    )]
    Scope(String),
    #[error(
        "Application with identifier '{0}' was not found in the directory '{TENANT}'. This can happen if the \
         application has not been installed by the administrator of the tenant or consented to by any user in the \
         tenant. You may have sent your authentication request to the wrong tenant."
    )]
    UnknownApplication(String),
    #[error(
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not \
         the client secret ID, for a secret added to app '{0}'."
    )]
    Secret(String),
    #[error(
        "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."
    )]
    NoCredential,
    #[error("JWT token is invalid or malformed.")]
    MalformedAssertion,
    #[error(
        "No matching federated identity record found for presented assertion audience '{0}'. Please note that the \
         matching is done using a case-sensitive comparison."
    )]
    AssertionAudience(String),
    #[error("Client assertion is not within its valid time range.")]
    AssertionTime,
}

impl Refusal {
    pub(super) fn answer(&self, now: OffsetDateTime, random: &mut fastrand::Rng) -> Response {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        const WHO: StatusCode = StatusCode::UNAUTHORIZED;
        let (status, error, number) = match self {
            Refusal::MethodNotAllowed(..) => (BAD, "invalid_request", 900_561),
            Refusal::Tenant { error, .. } => (BAD, *error, 90_002),
            Refusal::Missing(_) => (BAD, "invalid_request", 900_144),
            Refusal::GrantType(_) => (BAD, "unsupported_grant_type", 70_003),
            Refusal::Scope(_) => (BAD, "invalid_scope", 1_002_012),
            Refusal::UnknownApplication(_) => (BAD, "unauthorized_client", 700_016),
            Refusal::Secret(_) => (WHO, "invalid_client", 7_000_215),
            Refusal::NoCredential => (WHO, "invalid_client", 7_000_216),
            Refusal::MalformedAssertion => (BAD, "invalid_request", 50_027),
            Refusal::AssertionAudience(_) => (WHO, "invalid_client", 700_212),
            Refusal::AssertionTime => (WHO, "invalid_client", 700_024),
        };
        body(status, error, number, &self.to_string(), now, random)
    }
}

/// An error in the service's form.
pub(super) fn body(
    status: StatusCode,
    error: &str,
    number: u32,
    message: &str,
    now: OffsetDateTime,
    random: &mut fastrand::Rng,
) -> Response {
    let (trace, correlation) = (guid(random), guid(random));
    let timestamp = now.to_offset(time::UtcOffset::UTC).format(TIMESTAMP);
    let timestamp = timestamp.expect("the format only names parts of a date and time");
    let description = format!(
        "AADSTS{number}: {message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"
    );
    exchange::json(
        status,
        &json!({
            "error": error,
            "error_description": description,
            "error_codes": [number],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
        }),
    )
}

const TIMESTAMP: StaticFormatDescription =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
