//! Managed identity: the App Service token endpoint, and the tokens every other service checks.
//!
//! Tokens are real (signed, dated, bound to an audience), so that a client which caches one for too long or
//! takes it to the wrong service fails here as it would in Azure.
//!
//! Who is who: whoever sends the function app's `IDENTITY_HEADER` is the function app, as in Azure, where only
//! the app knows it. Whoever sends anything else is the operator, the person at the keyboard: `az`, `curl`.

mod token;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

use crate::exchange::{self, Request, Response};
use crate::hidden::Hidden;
use crate::identity::token::SigningKey;
use crate::world::{TENANT, World};

/// The application id of the function app's identity.
pub const CLIENT_ID: &str = "00000000-0000-0000-0000-000000000001";
/// The object id of the function app's identity.
pub const OBJECT_ID: &str = "00000000-0000-0000-0000-000000000002";

/// The application id of the operator.
pub const OPERATOR_CLIENT_ID: &str = "00000000-0000-0000-0000-000000000003";
/// The object id of the operator.
pub const OPERATOR_OBJECT_ID: &str = "00000000-0000-0000-0000-000000000004";
/// The function app's `IDENTITY_HEADER`, unless it is given another.
pub const APP_HEADER: &str = "function-app";

/// The name the journal and faults know the endpoint by.
pub const OBJECT: &str = "managed identity";

const API_VERSION: &str = "2019-08-01";

/// The issuer of tokens.
#[derive(Clone, Debug)]
pub struct Identity {
    /// How long a new token is good for; an hour at first. Clients renew when less than five minutes remain.
    pub lifetime: Duration,
    key: SigningKey,
    app_header: Hidden<String>,
}

/// Somebody a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The application id.
    pub client_id: String,
    /// The object id, which roles are assigned to.
    pub object_id: String,
    /// The id of the Azure resource it is, if it is one.
    pub resource_id: Option<String>,
}

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The identity's object id.
    pub object_id: String,
    /// The identity's application id.
    pub client_id: String,
}

/// Why a request is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenProblem {
    /// There is no bearer token.
    Missing,
    /// It is no token of this tenant, or not valid yet.
    Invalid,
    /// It was good once.
    Expired,
    /// It is for another service.
    Audience,
}

impl Identity {
    /// An issuer with a key of its own.
    pub fn new() -> Identity {
        let key = SigningKey::generate().expect("OpenSSL makes P-256 keys");
        Identity { lifetime: Duration::HOUR, key, app_header: Hidden(APP_HEADER.to_owned()) }
    }

    /// Tells by which `IDENTITY_HEADER` the function app is known.
    pub fn set_app_header(&mut self, header: &str) {
        self.app_header = Hidden(header.to_owned());
    }

    /// A token of the function app's identity for an audience.
    pub fn mint(&self, audience: &str, now: OffsetDateTime) -> String {
        self.mint_for(&Principal::function_app(), audience, now)
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

    /// A token of anybody's for an audience.
    pub fn mint_for(&self, principal: &Principal, audience: &str, now: OffsetDateTime) -> String {
        let mut claims = json!({
            "aud": audience,
            "iss": format!("https://sts.windows.net/{TENANT}/"),
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

    fn expiry(&self, now: OffsetDateTime) -> i64 {
        (now + self.lifetime).unix_timestamp()
    }
}

impl Default for Identity {
    fn default() -> Identity {
        Identity::new()
    }
}

/// Whether a request is for the token endpoint: any path that ends in `/msi/token`, because hosts differ in
/// what comes before.
pub fn is_token_request(request: &Request) -> bool {
    request.uri().path().trim_end_matches('/').to_ascii_lowercase().ends_with("/msi/token")
}

/// Answers a token request in the form of App Service.
///
/// All values are strings: the Rust SDK refuses `expires_on` as a number. The form of the refusals is chosen,
/// not observed.
pub fn handle(world: &mut World, request: &Request, now: OffsetDateTime) -> Response {
    if request.method() != Method::GET {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "Tokens are fetched with GET.");
    }
    let Some(header) =
        exchange::header_text(request, "x-identity-header").filter(|header| !header.is_empty())
    else {
        return refuse(
            StatusCode::UNAUTHORIZED,
            "The X-IDENTITY-HEADER header is missing; send the value of IDENTITY_HEADER.",
        );
    };
    if exchange::query(request, "api-version").as_deref() != Some(API_VERSION) {
        return refuse(StatusCode::BAD_REQUEST, "The api-version must be 2019-08-01.");
    }
    let Some(resource) = exchange::query(request, "resource").filter(|resource| !resource.is_empty()) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "The resource parameter is missing; name the audience of the token.",
        );
    };
    let caller =
        if header == world.identity.app_header.0 { Principal::function_app() } else { Principal::operator() };
    let principal = caller.named_by(request);
    let mut answer = Map::new();
    let mut tell = |name: &str, value: String| answer.insert(name.to_owned(), Value::String(value));
    tell("access_token", world.identity.mint_for(&principal, &resource, now));
    tell("expires_on", world.identity.expiry(now).to_string());
    tell("resource", resource);
    tell("token_type", "Bearer".to_owned());
    tell("client_id", principal.client_id);
    if let Some(resource_id) = principal.resource_id {
        tell("mi_res_id", resource_id);
    }
    exchange::json(StatusCode::OK, &Value::Object(answer))
}

/// A failure on demand, in the form of a refusal.
pub fn fault(status: StatusCode) -> Response {
    refuse(status, "The emulator was asked for this failure.")
}

impl From<Principal> for Caller {
    fn from(principal: Principal) -> Caller {
        Caller { object_id: principal.object_id, client_id: principal.client_id }
    }
}

impl Principal {
    /// The identity of the function app.
    pub fn function_app() -> Principal {
        Principal { client_id: CLIENT_ID.to_owned(), object_id: OBJECT_ID.to_owned(), resource_id: None }
    }

    /// Whoever sets the scene.
    pub fn operator() -> Principal {
        Principal {
            client_id: OPERATOR_CLIENT_ID.to_owned(),
            object_id: OPERATOR_OBJECT_ID.to_owned(),
            resource_id: None,
        }
    }

    fn named_by(self, request: &Request) -> Principal {
        Principal {
            client_id: exchange::query(request, "client_id").unwrap_or(self.client_id),
            object_id: exchange::query(request, "object_id").unwrap_or(self.object_id),
            resource_id: exchange::query(request, "mi_res_id"),
        }
    }
}

fn bearer(request: &Request) -> Result<&str, TokenProblem> {
    let header = exchange::header_text(request, http::header::AUTHORIZATION).ok_or(TokenProblem::Missing)?;
    match header.trim().split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_start()),
        _ => Err(TokenProblem::Missing),
    }
}

fn refuse(status: StatusCode, message: &str) -> Response {
    exchange::json(status, &json!({ "statusCode": status.as_u16(), "message": message }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;
    use time::macros::datetime;

    use super::*;
    use crate::jose;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
    const VAULT: &str = "https://vault.azure.net";

    fn ask(target: &str) -> Request {
        http::Request::get(target).header("X-IDENTITY-HEADER", "any").body(Bytes::new()).unwrap()
    }

    fn answer(world: &mut World, request: &Request) -> (StatusCode, Value) {
        let response = handle(world, request, NOW);
        (response.status(), serde_json::from_slice(response.body()).unwrap())
    }

    fn with_token(token: &str) -> Request {
        http::Request::get("/").header("Authorization", format!("Bearer {token}")).body(Bytes::new()).unwrap()
    }

    #[test]
    fn the_token_endpoint_answers_strings_only() {
        let mut world = World::empty(1);
        for target in [
            "/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net",
            "/MSI/token/?api-version=2019-08-01&resource=https://vault.azure.net",
            "/some/where/msi/token?resource=https://vault.azure.net&api%2Dversion=2019-08-01",
        ] {
            let request = ask(target);
            assert!(is_token_request(&request), "{target}");
            let (status, body) = answer(&mut world, &request);
            assert_eq!(status, StatusCode::OK, "{target}");
            let names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, ["access_token", "expires_on", "resource", "token_type", "client_id"]);
            assert!(body.as_object().unwrap().values().all(Value::is_string));
            assert_eq!(body["resource"], VAULT);
            assert_eq!(body["expires_on"], (NOW.unix_timestamp() + 3600).to_string());
            let token = with_token(body["access_token"].as_str().unwrap());
            assert!(world.identity.check(&token, |audience| audience == VAULT, NOW).is_ok());
        }
    }

    #[test]
    fn other_paths_are_not_the_token_endpoint() {
        assert!(!is_token_request(&ask("/subscriptions?api-version=2022-12-01")));
        assert!(!is_token_request(&ask("/dmsi/tokens")));
    }

    #[test]
    fn an_incomplete_token_request_is_told_what_is_missing() {
        let mut world = World::empty(1);
        let no_header = http::Request::get("/msi/token?api-version=2019-08-01&resource=a").body(Bytes::new());
        let post = http::Request::post("/msi/token").header("X-IDENTITY-HEADER", "any").body(Bytes::new());
        for (request, expected, hint) in [
            (no_header.unwrap(), StatusCode::UNAUTHORIZED, "X-IDENTITY-HEADER"),
            (ask("/msi/token?api-version=2019-08-01"), StatusCode::BAD_REQUEST, "resource"),
            (ask("/msi/token?api-version=2018-02-01&resource=a"), StatusCode::BAD_REQUEST, "2019-08-01"),
            (post.unwrap(), StatusCode::METHOD_NOT_ALLOWED, "GET"),
        ] {
            let (status, body) = answer(&mut world, &request);
            assert_eq!(status, expected);
            assert!(body["message"].as_str().unwrap().contains(hint), "{body}");
        }
    }

    #[test]
    fn the_app_is_known_by_its_header_and_everybody_else_is_the_operator() {
        let mut world = World::empty(1);
        let who = |world: &mut World, header: &str| {
            let request = http::Request::get("/msi/token?api-version=2019-08-01&resource=a")
                .header("X-IDENTITY-HEADER", header)
                .body(Bytes::new());
            let (_, body) = answer(world, &request.unwrap());
            let token = with_token(body["access_token"].as_str().unwrap());
            world.identity.check(&token, |_| true, NOW).unwrap()
        };
        let (app, operator) = (Principal::function_app().into(), Principal::operator().into());
        assert_eq!(who(&mut world, APP_HEADER), app);
        assert_eq!(who(&mut world, "any"), operator);
        world.identity.set_app_header("another");
        assert_eq!(who(&mut world, "another"), app);
        assert_eq!(who(&mut world, APP_HEADER), operator);
        assert!(!format!("{:?}", world.identity).contains("another"));
    }

    #[test]
    fn a_user_assigned_identity_is_echoed() {
        let mut world = World::empty(1);
        let request = ask("/msi/token?api-version=2019-08-01&resource=a&client_id=c&object_id=o&mi_res_id=r");
        let (_, body) = answer(&mut world, &request);
        assert_eq!((&body["client_id"], &body["mi_res_id"]), (&json!("c"), &json!("r")));
        let token = with_token(body["access_token"].as_str().unwrap());
        let caller = world.identity.check(&token, |_| true, NOW).unwrap();
        assert_eq!(caller, Caller { object_id: "o".to_owned(), client_id: "c".to_owned() });
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
    fn the_lifetime_of_tokens_can_be_shortened() {
        let mut world = World::empty(1);
        world.identity.lifetime = Duration::minutes(4);
        let (_, body) = answer(&mut world, &ask("/msi/token?api-version=2019-08-01&resource=a"));
        assert_eq!(body["expires_on"], (NOW.unix_timestamp() + 240).to_string());
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
    fn the_signing_key_is_not_printed() {
        assert!(format!("{:?}", Identity::new()).contains("[hidden]"));
    }
}
