//! Key Vault's data plane: certificates, keys that sign, and secrets.
//!
//! As strict as the service in what clients notice (the challenge comes before anything is read, tokens are
//! checked, keys sign only when they may) and as lenient in what they differ in (see [`Route`]). Private keys
//! leave in one place only, the secret of an exportable certificate.
//!
//! Each kind of object reads its own part of the path and answers it; this module keeps the gate before them
//! and dresses their answers.

mod answer;
mod certificates;
mod collection;
mod content;
mod creation;
mod deleted;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod documented_tests;
mod import;
mod key_operation;
mod key_spec;
mod key_usage;
mod keys;
mod kind;
mod making;
mod new_key;
mod new_secret;
mod object;
mod paging;
mod permission;
mod policy;
mod private_jwk;
mod refusal;
mod route;
mod secrets;
mod signing;
mod site;
mod subject;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;
mod vault;
mod vaults;
mod visit;

use http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};

pub(crate) use self::answer::Rest;
use self::answer::{Answer, Done};
pub use self::import::{ContentType, Import};
pub use self::key_operation::KeyOperation;
use self::kind::Kind;
pub use self::new_secret::NewSecret;
pub use self::object::{Changes, Stamp, Tags};
use self::permission::Missing;
pub use self::refusal::Refusal;
use self::route::Call;
pub use self::route::Route;
pub use self::vaults::KeyVaults;
pub use self::vaults::is_vault_name;
use self::visit::Visit;
use crate::access::callers::Principal;
use crate::context::Context;
use crate::ground::exchange::{self, Request, Response};
use crate::ground::guid::guid;
use crate::service::{self, Task};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const REGION: HeaderName = HeaderName::from_static("x-ms-keyvault-region");
const SERVICE_VERSION: HeaderName = HeaderName::from_static("x-ms-keyvault-service-version");

/// Does what it is told about a request to a vault.
pub(crate) fn handle(
    vaults: &mut KeyVaults,
    route: &Route,
    request: &Request,
    task: Task,
    context: &mut Context<'_>,
) -> service::Answer<Rest> {
    let result = match task {
        Task::Answer => match answer(vaults, route, request, context) {
            Ok(Answer::Later(work)) => return service::Answer::Later(work),
            Ok(Answer::Done(done)) => Ok(done),
            Err(refusal) => Err(refusal),
        },
        Task::RefuseTooLarge => Err(Refusal::too_large()),
        Task::Fail(status) => Err(failure(route, status)),
    };
    let mut response = respond(route, result, context.random);
    if task == Task::Answer {
        repeat_client_request_id(request, &mut response);
    }
    service::Answer::Ready(response)
}

/// Finishes an answer whose work is done.
pub(crate) fn finish(
    vaults: &mut KeyVaults,
    rest: Rest,
    route: &Route,
    request: &Request,
    context: &mut Context<'_>,
) -> Response {
    let now = context.now;
    let result = vaults.vault(&route.vault, now).and_then(|vault| {
        rest.finish(vault, &mut Visit { site: &route.site, request, random: context.random, now })
    });
    let mut response = respond(route, result, context.random);
    repeat_client_request_id(request, &mut response);
    response
}

fn repeat_client_request_id(request: &Request, response: &mut Response) {
    if let Some(id) = request.headers().get(CLIENT_REQUEST_ID) {
        response.headers_mut().insert(CLIENT_REQUEST_ID, id.clone());
    }
}

/// A failure on demand, in the vault's own form. A 429 carries no `Retry-After`, and a 401 carries the
/// challenge, so that a client fetches a token and tries again as it would in Azure.
fn failure(route: &Route, status: StatusCode) -> Refusal {
    match Missing::at_all(route) {
        Some(missing) if status == StatusCode::FORBIDDEN => {
            Refusal::forbidden_by_rbac(missing.message(&Principal::function_app().into()))
        }
        _ => Refusal::on_demand(status, &route.site),
    }
}

fn answer(
    vaults: &mut KeyVaults,
    route: &Route,
    request: &Request,
    context: &mut Context<'_>,
) -> Result<Answer, Refusal> {
    let now = context.now;
    let vault = vaults.vault(&route.vault, now)?;
    let caller = context
        .access
        .caller(request, |audience| route.site.accepts(audience), now)
        .map_err(|problem| Refusal::unauthorized(problem, &route.site))?;
    check_api_version(request)?;
    if let Some(missing) = Missing::of(route, context.access.rights(&caller)) {
        return Err(Refusal::forbidden_by_rbac(missing.message(&caller)));
    }
    let visit = &mut Visit { site: &route.site, request, random: context.random, now };
    match &route.call {
        Some(Call::Certificates(call)) => certificates::answer(vault, call, visit),
        Some(Call::Keys(call)) => keys::answer(vault, call, visit),
        Some(Call::Secrets(call)) => secrets::answer(vault, call, visit).map(Answer::from),
        Some(Call::Deleted(Kind::Certificate, call)) => {
            deleted::answer(vault, |vault| &vault.certificates, call, visit)
        }
        Some(Call::Deleted(Kind::Key, call)) => deleted::answer(vault, |vault| &vault.keys, call, visit),
        Some(Call::Deleted(Kind::Secret, call)) => {
            deleted::answer(vault, |vault| &vault.secrets, call, visit)
        }
        None if Call::allows_another_method(request) => Err(Refusal::method_not_allowed(request.method())),
        None => Err(Refusal::not_emulated(request.method(), request.uri().path())),
    }
}

/// 7.0 to 7.6 and the dated versions that current SDKs send, previews included.
fn check_api_version(request: &Request) -> Result<(), Refusal> {
    let Some(version) = exchange::query(request, "api-version").filter(|version| !version.is_empty()) else {
        return Err(Refusal::bad_parameter("api-version must be specified; send api-version=2025-07-01."));
    };
    let (stable, _preview) = version.split_once("-preview").unwrap_or((&version, ""));
    let numbered = matches!(stable, "7.0" | "7.1" | "7.2" | "7.3" | "7.4" | "7.5" | "7.6");
    let dated = stable.len() == "2025-07-01".len()
        && stable.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
        && ("2025-07-01"..="2026-04-01").contains(&stable);
    if numbered || dated {
        Ok(())
    } else {
        Err(Refusal::bad_parameter(format!(
            "The specified version ({version}) is not recognized. Consider using 2025-07-01."
        )))
    }
}

fn respond(route: &Route, result: Result<Done, Refusal>, random: &mut fastrand::Rng) -> Response {
    let mut response = match result {
        Ok(done) => done.into_response(),
        Err(refusal) => exchange::json(refusal.status(), &refusal.body()),
    };
    let unauthorized = response.status() == StatusCode::UNAUTHORIZED;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(REGION, HeaderValue::from_static("westeurope"));
    // Chosen, not observed: clients only log it.
    headers.insert(SERVICE_VERSION, HeaderValue::from_static("1.9.0.0"));
    headers.insert(REQUEST_ID, text(&guid(random)));
    if unauthorized {
        headers.insert(WWW_AUTHENTICATE, text(&route.site.challenge()));
    }
    response
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("ids and hosts that came in a header are fit for a header")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;
    use http::Method;
    use http::header::AUTHORIZATION;
    use time::Duration;

    use super::testing::*;
    use super::*;
    use crate::steering::faults::{Calls, Effect, Fault};
    use crate::steering::operation::Operation;

    const LIST: &str = "/certificates?api-version=2025-07-01";

    fn header(response: &Response, name: impl http::header::AsHeaderName) -> &str {
        response.headers()[name].to_str().unwrap()
    }

    fn with_token(token: &str) -> Request {
        http::Request::get(LIST)
            .header("Host", HOST)
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Bytes::new())
            .unwrap()
    }

    #[test]
    fn a_stranger_is_challenged_before_anything_is_read() {
        let mut lab = Lab::new();
        for (host, resource) in [
            (HOST, AUDIENCE),
            ("my-vault.vault.azure.net", "https://vault.azure.net"),
            ("MY-VAULT.vault.azure.net:18443", "https://vault.azure.net:18443"),
        ] {
            // What SDKs send first: a call that has neither its token nor its body yet.
            let request = http::Request::post("/keys/missing//sign?api-version=2025-07-01")
                .header("Host", host)
                .body(Bytes::new());
            let response = lab.send(&request.unwrap());
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(
                header(&response, WWW_AUTHENTICATE),
                format!(
                    "Bearer authorization=\"https://login.microsoftonline.com/{}\", resource=\"{resource}\"",
                    crate::names::TENANT
                )
            );
            assert_eq!(
                json(&response),
                serde_json::json!({ "error": {
                    "code": "Unauthorized",
                    "message": "AKV10000: Request is missing a Bearer or PoP token.",
                }})
            );
        }
        assert_eq!(lab.world.journal.count(Operation::VaultChallenge), 3);
    }

    #[test]
    fn a_token_for_the_challenged_resource_opens_the_vault() {
        let mut lab = Lab::new();
        for audience in ["https://vault.localhost:8443", "https://vault.localhost:8443/"] {
            let request = with_token(&lab.world.identity.mint(audience, NOW));
            assert_eq!(lab.send(&request).status(), StatusCode::OK, "{audience}");
        }
    }

    #[test]
    fn a_token_for_anything_else_is_challenged_again() {
        let mut lab = Lab::new();
        for audience in ["https://management.azure.com/", "https://vault.localhost", ""] {
            let request = with_token(&lab.world.identity.mint(audience, NOW));
            let response = lab.send(&request);
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert!(header(&response, WWW_AUTHENTICATE).contains(AUDIENCE));
            assert!(json(&response)["error"]["message"].as_str().unwrap().starts_with("AKV10022"));
        }
    }

    #[test]
    fn a_token_ends_with_its_hour() {
        let mut lab = Lab::new();
        let request = with_token(&lab.world.identity.mint(AUDIENCE, NOW));
        lab.now = NOW + Duration::minutes(59);
        assert_eq!(lab.send(&request).status(), StatusCode::OK);
        lab.now = NOW + Duration::HOUR;
        let response = lab.send(&request);
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.headers().contains_key(WWW_AUTHENTICATE));
    }

    #[test]
    fn every_api_version_of_current_clients_is_accepted() {
        let mut lab = Lab::new();
        for version in
            ["7.0", "7.4", "7.6", "7.6-preview.2", "2025-07-01", "2026-03-01-preview", "2026-04-01"]
        {
            let (status, body) = lab.get(&format!("/secrets?api-version={version}"));
            assert_eq!(status, StatusCode::OK, "{version}: {body}");
        }
        let (status, _) = lab.get("/secrets/?api%2Dversion=2025-07-01");
        assert_eq!(status, StatusCode::OK);
        for query in
            ["", "?api-version=", "?api-version=7.7", "?api-version=2024-01-01", "?api-version=2025-aa-bb"]
        {
            let (status, body) = lab.get(&format!("/secrets{query}"));
            assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
            assert_eq!(body["error"]["code"], "BadParameter");
        }
    }

    #[test]
    fn answers_carry_the_headers_of_the_service() {
        let mut lab = Lab::new();
        let mut request = lab.request(Method::GET, LIST, None);
        request.headers_mut().insert(CLIENT_REQUEST_ID, HeaderValue::from_static("mine"));
        for request in [request, lab.request(Method::GET, "/certificates/none?api-version=7.4", None)] {
            let response = lab.send(&request);
            assert_eq!(header(&response, REQUEST_ID).len(), 36);
            assert_eq!(header(&response, CACHE_CONTROL), "no-cache");
            assert!(response.headers().contains_key(REGION));
            assert!(response.headers().contains_key(SERVICE_VERSION));
            assert_eq!(response.headers().get(CLIENT_REQUEST_ID), request.headers().get(CLIENT_REQUEST_ID));
        }
    }

    #[test]
    fn an_unknown_vault_and_an_unknown_call_say_so() {
        let mut lab = Lab::new();
        let elsewhere = http::Request::get(LIST).header("Host", "other.vault.localhost").body(Bytes::new());
        let response = lab.send(&elsewhere.unwrap());
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert!(json(&response)["error"]["message"].as_str().unwrap().contains("other"));

        let (status, body) =
            lab.ask(Method::POST, "/secrets/a/backup?api-version=7.4", &serde_json::json!({}));
        assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
        assert!(body["error"]["message"].as_str().unwrap().contains("POST /secrets/a/backup"));

        let (status, body) = lab.ask(Method::DELETE, "/secrets?api-version=7.4", &serde_json::json!({}));
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        let expected = serde_json::json!({"code": "MethodNotAllowed", "message": "HTTP DELETE not allowed"});
        assert_eq!(body["error"], expected);
    }

    #[test]
    fn failures_on_demand_look_like_the_service() {
        let mut lab = Lab::new();
        for (status, code, inner) in [
            (401, "Unauthorized", None),
            (403, "Forbidden", Some("ForbiddenByRbac")),
            (429, "Throttled", None),
            (500, "InternalServerError", None),
            (503, "ServiceUnavailable", None),
        ] {
            lab.world.faults.clear();
            lab.world.faults.add(Fault {
                operation: Operation::ListVaultCertificates,
                object: Some("MY-VAULT".to_owned()),
                calls: Calls::Always,
                effect: Effect::Answer(status),
            });
            let response = lab.send(&lab.request(Method::GET, LIST, None));
            let body = json(&response);
            assert_eq!(response.status(), status);
            assert_eq!(body["error"]["code"], code);
            assert_eq!(body["error"]["innererror"]["code"].as_str(), inner);
            assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), status == 401);
            assert!(!response.headers().contains_key("retry-after"));
        }
    }

    #[test]
    fn no_private_key_or_secret_is_printed() {
        let mut lab = Lab::new();
        lab.import("ca", Import::new(ca_pem()).password("open sesame"));
        let stamp = lab.stamp();
        let secret = NewSecret::new("the value").content_type("text/plain");
        let printed = format!("{secret:?} {:?}", Import::new("-----BEGIN key").password("open sesame"));
        lab.world.key_vaults.set_secret("my-vault", "s", secret, stamp).unwrap();
        let printed = format!("{printed} {:?}", lab.world);
        for sensitive in ["the value", "open sesame", "BEGIN"] {
            assert!(!printed.contains(sensitive), "{sensitive}");
        }
    }
}
