//! Managed identity as virtual machines get it: the Instance Metadata Service.
//!
//! In Azure it has a fixed address. Python and JavaScript go elsewhere when `AZURE_POD_IDENTITY_AUTHORITY_HOST`
//! says so. Nothing tells the app from anybody else here, so everybody is the operator, or whom they name.

use http::{Method, StatusCode};
use serde_json::json;
use time::OffsetDateTime;

use crate::access::callers::Principal;
use crate::ground::exchange::{self, Request, Response};
use crate::identity::issuer::Identity;
use crate::identity::wire::{parameter, texts};

/// The first version that has tokens; later ones are dates too.
const FIRST_VERSION: &str = "2018-02-01";

/// Answers a token request. Codes and texts of the refusals are documented or were quoted, that about the method is
/// chosen.
pub(super) fn answer(identity: &Identity, request: &Request, now: OffsetDateTime) -> Response {
    if request.method() != Method::GET {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "Tokens are fetched with GET.");
    }
    if exchange::header_text(request, "metadata") != Some("true") {
        return refuse(
            StatusCode::BAD_REQUEST,
            "bad_request_102",
            "Required metadata header not specified or not correct",
        );
    }
    // A proxy in between would hand tokens to others.
    if request.headers().contains_key("x-forwarded-for") {
        return refuse(
            StatusCode::BAD_REQUEST,
            "bad_request_100",
            "The request contains the X-Forwarded-For header",
        );
    }
    let version = exchange::query(request, "api-version").unwrap_or_default();
    if version.as_str() < FIRST_VERSION || version.len() != FIRST_VERSION.len() {
        return refuse(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "api-version is invalid or was not specified in the request; send api-version=2018-02-01",
        );
    }
    let Some(resource) = parameter(request, "resource") else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "Required audience parameter not specified",
        );
    };
    let Some(principal) = identity.directory.managed(Principal::operator(), request) else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request", "Identity not found");
    };
    let seconds = identity.lifetime.whole_seconds().to_string();
    texts(&[
        ("access_token", identity.mint_for(&principal, &resource, now)),
        ("client_id", principal.client_id),
        ("expires_in", seconds.clone()),
        ("expires_on", identity.expiry(now).to_string()),
        ("ext_expires_in", seconds),
        ("not_before", now.unix_timestamp().to_string()),
        ("resource", resource),
        ("token_type", "Bearer".to_owned()),
    ])
}

pub(super) fn refuse(status: StatusCode, error: &str, description: &str) -> Response {
    exchange::json(status, &json!({ "error": error, "error_description": description }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::World;
    use crate::identity::testing::*;

    fn ask(headers: &[(&str, &str)], query: &str) -> Request {
        let mut request = http::Request::get(format!("/metadata/identity/oauth2/token?{query}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Bytes::new()).unwrap()
    }

    #[test]
    fn a_machine_gets_the_operator_s_token_or_the_one_it_names() {
        let mut world = World::empty(1);
        world.identity.add_user_assigned(user_assigned());
        for (id, expected) in [
            ("", Principal::operator()),
            ("&client_id=c", user_assigned()),
            ("&msi_res_id=/subscriptions/s/x", user_assigned()),
        ] {
            let query = format!("api-version=2018-02-01&resource={VAULT}{id}");
            let (status, body) = asked(&mut world, &ask(&[("Metadata", "true")], &query));
            assert_eq!(status, StatusCode::OK, "{body}");
            assert_eq!(speaks_for(&world, &body, VAULT), expected.into());
            assert_eq!((&body["expires_in"], &body["token_type"]), (&json!("3600"), &json!("Bearer")));
            assert_eq!(body["expires_on"], (NOW.unix_timestamp() + 3600).to_string());
        }
    }

    #[test]
    fn a_wrong_request_is_refused_with_a_code() {
        let mut world = World::empty(1);
        let metadata = ("Metadata", "true");
        for (headers, query, code) in [
            (vec![], "api-version=2018-02-01&resource=a", "bad_request_102"),
            (vec![("Metadata", "True")], "api-version=2018-02-01&resource=a", "bad_request_102"),
            (
                vec![metadata, ("X-Forwarded-For", "10.0.0.1")],
                "api-version=2018-02-01&resource=a",
                "bad_request_100",
            ),
            (vec![metadata], "resource=a", "invalid_request"),
            (vec![metadata], "api-version=2017-08-01&resource=a", "invalid_request"),
            (vec![metadata], "api-version=2018-02-01", "invalid_request"),
            (vec![metadata], "api-version=2018-02-01&resource=a&client_id=ghost", "invalid_request"),
        ] {
            let (status, body) = asked(&mut world, &ask(&headers, query));
            assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!(code)), "{query}: {body}");
            assert!(body.get("access_token").is_none());
        }
    }
}
