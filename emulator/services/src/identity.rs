//! Who is who: the issuer of tokens, and the tokens every other service checks.
//!
//! Tokens are real (signed, dated, bound to an audience), so that a client which caches one for too long or
//! takes it to the wrong service fails here as it would in Azure.
//!
//! There are three ways to get one, as in Azure: the App Service form of managed identity, the form of virtual
//! machines (IMDS), and Entra ID itself. Whoever sends the function app's `IDENTITY_HEADER` is the function app,
//! because in Azure only the app knows it. Everybody else is the operator, the person at the keyboard, or whom
//! they name: a user-assigned identity, or an application whose secret they know.

mod app_service;
mod authority;
mod directory;
mod imds;
mod issuer;
mod token;
mod wire;

use http::StatusCode;
use time::OffsetDateTime;

use crate::ground::exchange::{Request, Response};
use crate::names::{ENTRA_ID, MANAGED_IDENTITY};
use crate::service::{ON_DEMAND, Routed, Task};
use crate::steering::operation::Operation;

pub use crate::access::callers::{
    CLIENT_ID, Caller, OBJECT_ID, OPERATOR_CLIENT_ID, OPERATOR_OBJECT_ID, OPERATOR_SECRET, Principal,
    TokenProblem,
};
pub use issuer::{APP_HEADER, Identity};

/// What is asked for, read from the path alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// A token, as App Service hands them out.
    AppService,
    /// A token, as virtual machines get them.
    Imds,
    /// Something of Entra ID's.
    Authority(authority::Call),
}

impl Route {
    /// `None` if the path is nothing of identity's.
    pub fn parse(request: &Request) -> Option<Route> {
        let path = request.uri().path().trim_end_matches('/').to_ascii_lowercase();
        // Hosts differ in what comes before.
        if path.ends_with("/msi/token") {
            Some(Route::AppService)
        } else if path == "/metadata/identity/oauth2/token" {
            Some(Route::Imds)
        } else {
            authority::Call::parse(request.uri().path()).map(Route::Authority)
        }
    }
}

impl Routed for Route {
    fn operation(&self) -> Operation {
        match self {
            Route::AppService | Route::Imds => Operation::GetToken,
            Route::Authority(call) => call.operation(),
        }
    }

    /// Which of the two hands out tokens.
    fn object(&self) -> String {
        match self {
            Route::AppService | Route::Imds => MANAGED_IDENTITY,
            Route::Authority(_) => ENTRA_ID,
        }
        .to_owned()
    }
}

/// Does what it is told about a request.
pub(crate) fn handle(
    identity: &Identity,
    route: &Route,
    request: &Request,
    task: Task,
    now: OffsetDateTime,
    random: &mut fastrand::Rng,
) -> Response {
    match task {
        Task::Answer => match route {
            Route::AppService => app_service::answer(identity, request, now),
            Route::Imds => imds::answer(identity, request, now),
            Route::Authority(call) => authority::answer(identity, call, request, now, random),
        },
        Task::RefuseTooLarge => {
            refuse(route, StatusCode::PAYLOAD_TOO_LARGE, "The request is too large.", now, random)
        }
        Task::Fail(status) => refuse(route, status, ON_DEMAND, now, random),
    }
}

/// A refusal with this status, in the form of whoever was asked.
fn refuse(
    route: &Route,
    status: StatusCode,
    message: &str,
    now: OffsetDateTime,
    random: &mut fastrand::Rng,
) -> Response {
    match route {
        Route::AppService => app_service::refuse(status, message),
        Route::Imds => imds::refuse(status, "unknown", message),
        Route::Authority(_) => authority::refuse(status, message, now, random),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing {
    use bytes::Bytes;
    use serde_json::Value;
    use time::macros::datetime;

    use super::*;
    use crate::world::World;

    pub(super) const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
    pub(super) const VAULT: &str = "https://vault.azure.net";

    pub(super) fn asked(world: &mut World, request: &Request) -> (StatusCode, Value) {
        let response = world.handle(request, NOW);
        (response.status(), serde_json::from_slice(response.body()).unwrap())
    }

    /// Whom the token in an answer speaks for, and to whom.
    pub(super) fn speaks_for(world: &World, body: &Value, audience: &str) -> Caller {
        let request = with_token(body["access_token"].as_str().unwrap_or_else(|| panic!("{body}")));
        world.identity.check(&request, |found| found == audience, NOW).unwrap()
    }

    pub(super) fn with_token(token: &str) -> Request {
        http::Request::get("/").header("Authorization", format!("Bearer {token}")).body(Bytes::new()).unwrap()
    }

    pub(super) fn user_assigned() -> Principal {
        Principal {
            client_id: "c".to_owned(),
            object_id: "o".to_owned(),
            resource_id: Some("/subscriptions/s/x".to_owned()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;

    use serde_json::{Value, json};
    use time::Duration;

    use super::testing::*;
    use super::*;
    use crate::ground::jose;
    use crate::names::TENANT;

    #[test]
    fn other_paths_are_nothing_of_identity_s() {
        for path in ["/subscriptions?api-version=2022-12-01", "/dmsi/tokens", "/metadata/endpoints", "/"] {
            let request = http::Request::get(path).body(Bytes::new()).unwrap();
            assert_eq!(Route::parse(&request), None, "{path}");
        }
    }

    #[test]
    fn a_token_is_a_signed_jwt_with_the_usual_claims() {
        let token = Identity::new().mint(VAULT, NOW);
        let parts: Vec<Vec<u8>> = token.split('.').map(|part| jose::from_base64url(part).unwrap()).collect();
        let header: Value = serde_json::from_slice(&parts[0]).unwrap();
        let claims: Value = serde_json::from_slice(&parts[1]).unwrap();
        assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("JWT")));
        assert!(header["kid"].is_string());
        assert_eq!(claims["aud"], VAULT);
        assert_eq!(claims["tid"], TENANT);
        assert_eq!(claims["oid"], claims["sub"]);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
        assert_eq!(parts[2].len(), 64);
    }

    #[test]
    fn a_token_is_good_from_its_minting_until_it_expires() {
        let identity = Identity::new();
        let request = with_token(&identity.mint(VAULT, NOW));
        let at = |moment| identity.check(&request, |_| true, moment).map(|_| ());
        assert_eq!(at(NOW - Duration::SECOND), Err(TokenProblem::Invalid));
        assert_eq!(at(NOW), Ok(()));
        assert_eq!(at(NOW + Duration::HOUR - Duration::SECOND), Ok(()));
        assert_eq!(at(NOW + Duration::HOUR), Err(TokenProblem::Expired));
    }

    #[test]
    fn what_is_not_our_token_is_refused() {
        let identity = Identity::new();
        let token = identity.mint(VAULT, NOW);
        let (signed, _) = token.rsplit_once('.').unwrap();
        let basic = http::Request::get("/").header("Authorization", "Basic abc").body(Bytes::new()).unwrap();
        for (request, expected) in [
            (Request::new(Bytes::new()), TokenProblem::Missing),
            (basic, TokenProblem::Missing),
            (with_token("nonsense"), TokenProblem::Invalid),
            (with_token(signed), TokenProblem::Invalid),
            (with_token(&format!("{signed}.")), TokenProblem::Invalid),
            (with_token(&Identity::new().mint(VAULT, NOW)), TokenProblem::Invalid),
        ] {
            assert_eq!(identity.check(&request, |_| true, NOW), Err(expected));
        }
        let elsewhere = identity.check(&with_token(&token), |audience| audience != VAULT, NOW);
        assert_eq!(elsewhere, Err(TokenProblem::Audience));
    }

    #[test]
    fn keys_and_secrets_are_not_printed() {
        let mut identity = Identity::new();
        identity.set_app_header("the app's header");
        identity.add_application(user_assigned(), "the secret");
        let printed = format!("{identity:?}");
        assert!(printed.contains("[hidden]"));
        for secret in ["the app's header", "the secret"] {
            assert!(!printed.contains(secret), "{secret}");
        }
    }
}
