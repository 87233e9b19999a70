//! Managed identity as App Service and Functions hand it out.

use http::{Method, StatusCode};
use serde_json::json;
use time::OffsetDateTime;

use crate::access::callers::Principal;
use crate::ground::exchange::{self, Request, Response};
use crate::identity::issuer::Identity;
use crate::identity::wire::{parameter, texts};

const API_VERSION: &str = "2019-08-01";

/// Answers a token request. But for the one about an unknown identity, which was quoted, the texts of the refusals
/// are chosen, not observed.
pub(super) fn answer(identity: &Identity, request: &Request, now: OffsetDateTime) -> Response {
    if request.method() != Method::GET {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "Tokens are fetched with GET.");
    }
    let header = exchange::header_text(request, "x-identity-header").filter(|header| !header.is_empty());
    let Some(header) = header else {
        return refuse(
            StatusCode::UNAUTHORIZED,
            "The X-IDENTITY-HEADER header is missing; send the value of IDENTITY_HEADER.",
        );
    };
    if exchange::query(request, "api-version").as_deref() != Some(API_VERSION) {
        return refuse(StatusCode::BAD_REQUEST, "The api-version must be 2019-08-01.");
    }
    let Some(resource) = parameter(request, "resource") else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "The resource parameter is missing; name the audience of the token.",
        );
    };
    let is_app = header == identity.app_header.0;
    let asker = if is_app { Principal::function_app() } else { Principal::operator() };
    let Some(principal) = identity.directory.managed(asker, request) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.",
        );
    };
    texts(&[
        ("access_token", identity.mint_for(&principal, &resource, now)),
        ("expires_on", identity.expiry(now).to_string()),
        ("resource", resource),
        ("token_type", "Bearer".to_owned()),
        ("client_id", principal.client_id),
    ])
}

pub(super) fn refuse(status: StatusCode, message: &str) -> Response {
    exchange::json(status, &json!({ "statusCode": status.as_u16(), "message": message }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;
    use serde_json::Value;
    use time::Duration;

    use super::*;
    use crate::World;
    use crate::identity::testing::*;
    use crate::identity::{APP_HEADER, OPERATOR_OBJECT_ID};

    fn ask_as(header: &str, query: &str) -> Request {
        http::Request::get(format!("/msi/token?{query}"))
            .header("X-IDENTITY-HEADER", header)
            .body(Bytes::new())
            .unwrap()
    }

    fn ask(query: &str) -> Request {
        ask_as("any", query)
    }

    #[test]
    fn the_answer_has_texts_only() {
        let mut world = World::empty(1);
        for target in [
            "/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net",
            "/MSI/token/?api-version=2019-08-01&resource=https://vault.azure.net",
            "/some/where/msi/token?resource=https://vault.azure.net&api%2Dversion=2019-08-01",
        ] {
            let request =
                http::Request::get(target).header("X-IDENTITY-HEADER", "any").body(Bytes::new()).unwrap();
            let (status, body) = asked(&mut world, &request);
            assert_eq!(status, StatusCode::OK, "{target}");
            let names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, ["access_token", "expires_on", "resource", "token_type", "client_id"]);
            assert!(body.as_object().unwrap().values().all(Value::is_string));
            assert_eq!(body["resource"], VAULT);
            assert_eq!(body["expires_on"], (NOW.unix_timestamp() + 3600).to_string());
            speaks_for(&world, &body, VAULT);
        }
    }

    #[test]
    fn an_incomplete_request_is_told_what_is_missing() {
        let mut world = World::empty(1);
        let no_header = http::Request::get("/msi/token?api-version=2019-08-01&resource=a").body(Bytes::new());
        let post = http::Request::post("/msi/token").header("X-IDENTITY-HEADER", "any").body(Bytes::new());
        for (request, expected, hint) in [
            (no_header.unwrap(), StatusCode::UNAUTHORIZED, "X-IDENTITY-HEADER"),
            (ask("api-version=2019-08-01"), StatusCode::BAD_REQUEST, "resource"),
            (ask("api-version=2018-02-01&resource=a"), StatusCode::BAD_REQUEST, "2019-08-01"),
            (post.unwrap(), StatusCode::METHOD_NOT_ALLOWED, "GET"),
        ] {
            let (status, body) = asked(&mut world, &request);
            assert_eq!(
                (status.as_u16(), &body["statusCode"]),
                (expected.as_u16(), &json!(expected.as_u16()))
            );
            assert!(body["message"].as_str().unwrap().contains(hint), "{body}");
        }
    }

    #[test]
    fn the_app_is_known_by_its_header_and_everybody_else_is_the_operator() {
        let mut world = World::empty(1);
        let who = |world: &mut World, header: &str| {
            let (_, body) = asked(world, &ask_as(header, "api-version=2019-08-01&resource=a"));
            speaks_for(world, &body, "a")
        };
        let (app, operator) = (Principal::function_app().into(), Principal::operator().into());
        assert_eq!(who(&mut world, APP_HEADER), app);
        assert_eq!(who(&mut world, "any"), operator);
        world.identity.set_app_header("another");
        assert_eq!(who(&mut world, "another"), app);
        assert_eq!(who(&mut world, APP_HEADER), operator);
    }

    #[test]
    fn a_user_assigned_identity_is_had_by_any_of_its_ids() {
        let mut world = World::empty(1);
        world.identity.add_user_assigned(user_assigned());
        for id in ["client_id=C", "object_id=o", "principal_id=O", "mi_res_id=/Subscriptions/s/x"] {
            let (_, body) = asked(&mut world, &ask(&format!("api-version=2019-08-01&resource=a&{id}")));
            assert_eq!(speaks_for(&world, &body, "a"), user_assigned().into(), "{id}");
            assert_eq!(body["client_id"], "c");
        }
    }

    #[test]
    fn an_identity_that_there_is_not_or_is_somebody_else_s_is_refused() {
        let mut world = World::empty(1);
        world.identity.add_user_assigned(user_assigned());
        let operator = format!("object_id={OPERATOR_OBJECT_ID}");
        for (header, id, status) in [
            ("any", "client_id=ghost", 400),
            ("any", "client_id=c&object_id=ghost", 400),
            (APP_HEADER, operator.as_str(), 400),
            ("any", operator.as_str(), 200),
        ] {
            let query = format!("api-version=2019-08-01&resource=a&{id}");
            let (found, body) = asked(&mut world, &ask_as(header, &query));
            assert_eq!(found, status, "{header} {id}: {body}");
        }
    }

    #[test]
    fn the_lifetime_of_tokens_can_be_shortened() {
        let mut world = World::empty(1);
        world.identity.lifetime = Duration::minutes(4);
        let (_, body) = asked(&mut world, &ask("api-version=2019-08-01&resource=a"));
        assert_eq!(body["expires_on"], (NOW.unix_timestamp() + 240).to_string());
    }
}
