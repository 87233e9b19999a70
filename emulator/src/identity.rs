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
mod token;

use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::context::Context;
use crate::exchange::{self, Request, Response};
use crate::hidden::Hidden;
use crate::identity::directory::Directory;
use crate::identity::token::SigningKey;
use crate::names::{ENTRA_ID, MANAGED_IDENTITY, TENANT};
use crate::operation::Operation;
use crate::service::{ON_DEMAND, Routed, Task};
use crate::stored;

pub use crate::callers::{
    CLIENT_ID, Caller, OBJECT_ID, OPERATOR_CLIENT_ID, OPERATOR_OBJECT_ID, OPERATOR_SECRET, Principal,
    TokenProblem,
};

/// The function app's `IDENTITY_HEADER`, unless it is given another.
pub const APP_HEADER: &str = "function-app";

/// The issuer of tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// How long a new token is good for; an hour at first. Clients renew when less than five minutes remain.
    pub lifetime: Duration,
    key: SigningKey,
    #[serde(with = "stored::secret")]
    app_header: Hidden<String>,
    directory: Directory,
}

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

impl Identity {
    /// An issuer with a key of its own, who knows the function app and the operator.
    pub fn new() -> Identity {
        let key = SigningKey::generate().expect("OpenSSL makes P-256 keys");
        let app_header = Hidden(APP_HEADER.to_owned());
        Identity { lifetime: Duration::HOUR, key, app_header, directory: Directory::default() }
    }

    /// Tells by which `IDENTITY_HEADER` the function app is known.
    pub fn set_app_header(&mut self, header: &str) {
        self.app_header = Hidden(header.to_owned());
    }

    /// Adds a user-assigned managed identity, which anybody gets a token of who names one of its ids.
    pub fn add_user_assigned(&mut self, principal: Principal) {
        self.directory.add(principal, None);
    }

    /// Adds an application, which anybody gets a token of who knows its secret.
    pub fn add_application(&mut self, principal: Principal, secret: &str) {
        self.directory.add(principal, Some(secret));
    }

    /// Knows the function app by what it is known by elsewhere.
    pub(crate) fn keep_app_header(&mut self, other: &Identity) {
        self.app_header = other.app_header.clone();
    }

    /// A token of the function app's identity for an audience.
    pub fn mint(&self, audience: &str, now: OffsetDateTime) -> String {
        self.mint_for(&Principal::function_app(), audience, now)
    }

    /// A token of anybody's for an audience.
    pub fn mint_for(&self, principal: &Principal, audience: &str, now: OffsetDateTime) -> String {
        let mut claims = json!({
            "aud": audience,
            "iss": authority::issuer(),
            "iat": now.unix_timestamp(),
            "nbf": now.unix_timestamp(),
            "exp": self.expiry(now),
            "appid": principal.client_id,
            "idtyp": "app",
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": TENANT,
            "ver": "1.0",
        });
        if let Some(resource_id) = &principal.resource_id {
            claims["xms_mirid"] = json!(resource_id);
        }
        self.key.sign(&claims).expect("OpenSSL signs with the P-256 key it made")
    }

    /// Who sent this request: somebody with a token of ours, in time, for an audience the caller accepts.
    pub fn check(
        &self,
        request: &Request,
        accepts: impl Fn(&str) -> bool,
        now: OffsetDateTime,
    ) -> Result<Caller, TokenProblem> {
        let claims = self.key.open(bearer(request)?).ok_or(TokenProblem::Invalid)?;
        let moment = |claim: &str| claims[claim].as_i64().ok_or(TokenProblem::Invalid);
        let text = |claim: &str| claims[claim].as_str().ok_or(TokenProblem::Invalid);
        if now.unix_timestamp() < moment("nbf")? {
            return Err(TokenProblem::Invalid);
        }
        if now.unix_timestamp() >= moment("exp")? {
            return Err(TokenProblem::Expired);
        }
        if !accepts(text("aud")?) {
            return Err(TokenProblem::Audience);
        }
        Ok(Caller { object_id: text("oid")?.to_owned(), client_id: text("appid")?.to_owned() })
    }

    fn expiry(&self, now: OffsetDateTime) -> i64 {
        (now + self.lifetime).unix_timestamp()
    }
}

impl Default for Identity {
    fn default() -> Identity {
        Identity::new()
    }
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
    context: &mut Context<'_>,
) -> Response {
    let (now, random) = (context.now, &mut *context.random);
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

fn bearer(request: &Request) -> Result<&str, TokenProblem> {
    let header = exchange::header_text(request, header::AUTHORIZATION).ok_or(TokenProblem::Missing)?;
    match header.trim().split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_start()),
        _ => Err(TokenProblem::Missing),
    }
}

/// A parameter with something in it.
fn parameter(request: &Request, name: &str) -> Option<String> {
    exchange::query(request, name).filter(|value| !value.is_empty())
}

/// JSON whose members are all texts: the Rust SDK refuses `expires_on` as a number.
fn texts(members: &[(&str, String)]) -> Response {
    let members = members.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
    exchange::json(StatusCode::OK, &Value::Object(members.collect()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing {
    use bytes::Bytes;
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

    use super::testing::*;
    use super::*;
    use crate::jose;

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
