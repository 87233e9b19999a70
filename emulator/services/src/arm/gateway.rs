//! What happens to every request before a provider sees it, and to every answer after.

use http::{StatusCode, header};

use crate::access::callers::{Caller, Principal};
use crate::access::rbac::Rights;
use crate::arm::claim::Paths;
use crate::arm::problem::{self, ArmProblem};
use crate::arm::provider::{Provider, ProviderAnswer, ProviderRest, Providers};
use crate::arm::resources::Arm;
use crate::arm::route::{Route, Target};
use crate::arm::visit::Visit;
use crate::arm::{bodies, headers, own};
use crate::context::Context;
use crate::ground::exchange::{self, Request, Response};
use crate::service::{Answer, ON_DEMAND, Task};

/// How an answer goes on once its work is done.
pub(crate) struct Rest {
    caller: Caller,
    api_version: &'static str,
    rest: ProviderRest,
}

/// Finds out whether a request is for ARM or one of these providers, and what it is about.
pub(crate) fn route(request: &Request, providers: &Providers<'_>) -> Option<Route> {
    let paths: Vec<Paths> =
        providers.iter().map(|provider| (provider.namespace(), provider.paths())).collect();
    Route::parse(request, &paths)
}

/// Does what it is told about a request to ARM or to one of these providers.
pub(crate) fn handle(
    arm: &mut Arm,
    providers: &mut Providers<'_>,
    route: &Route,
    request: &Request,
    task: Task,
    context: &mut Context<'_>,
) -> Answer<Rest> {
    let result = match task {
        Task::Answer => match answer(arm, providers, route, request, context) {
            Ok(Answer::Later(work)) => return Answer::Later(work),
            Ok(Answer::Ready(response)) => Ok(response),
            Err(problem) => Err(problem),
        },
        Task::RefuseTooLarge => Err(ArmProblem::RequestContentTooLarge),
        Task::Fail(status) => failure(providers, route, status),
    };
    Answer::Ready(respond(result, route, request, context))
}

/// Finishes an answer whose work is done.
pub(crate) fn finish(
    arm: &Arm,
    providers: &mut Providers<'_>,
    rest: Rest,
    route: &Route,
    request: &Request,
    context: &mut Context<'_>,
) -> Response {
    let Rest { caller, api_version, rest } = rest;
    let result = match route.claim() {
        Some(claim) => {
            let (origin, rights) = (exchange::origin(request), context.access.rights(&caller));
            let visit = Visit { arm, route, request, origin, api_version, rights };
            let provider = &mut *providers[claim.provider];
            rest.finish(provider, &visit, context)
                .map(|response| of_provider(response, route, request, &caller, context))
        }
        None => Err(ArmProblem::MethodNotAllowed(route.method.clone())),
    };
    respond(result, route, request, context)
}

/// The answer with the headers that all of them have.
fn respond(
    result: Result<Response, ArmProblem>,
    route: &Route,
    request: &Request,
    context: &mut Context<'_>,
) -> Response {
    let mut response = result
        .unwrap_or_else(|problem| problem.answer(&exchange::origin(request), context.now, context.random));
    headers::add(&mut response, route, context.now, context.random);
    response
}

/// An answer of this status in the form it would plausibly have.
fn failure(providers: &Providers<'_>, route: &Route, status: StatusCode) -> Result<Response, ArmProblem> {
    if let Some(problem) = route.claim().and_then(|claim| providers[claim.provider].failure(status)) {
        return Err(ArmProblem::Provider(problem));
    }
    if status == StatusCode::FORBIDDEN
        && let Some(action) = route.action()
    {
        let caller = Principal::function_app().into();
        return Err(ArmProblem::AuthorizationFailed { caller, action, scope: route.scope() });
    }
    let mut response = problem::wrapped(status, &exchange::dot_net_name(status), ON_DEMAND);
    if status == StatusCode::TOO_MANY_REQUESTS {
        exchange::set_header(response.headers_mut(), header::RETRY_AFTER, "1");
    }
    Ok(response)
}

fn answer(
    arm: &mut Arm,
    providers: &mut Providers<'_>,
    route: &Route,
    request: &Request,
    context: &mut Context<'_>,
) -> Result<Answer<Rest>, ArmProblem> {
    let origin = exchange::origin(request);
    if matches!(route.target, Target::Metadata) {
        return Ok(Answer::Ready(exchange::json(StatusCode::OK, &bodies::metadata(&origin))));
    }
    let access = context.access;
    let caller = access
        .caller(request, |audience| is_meant(request, audience), context.now)
        .map_err(ArmProblem::Unauthenticated)?;
    let rights = access.rights(&caller);
    let Some(claim) = route.claim() else {
        check_date(request)?;
        check_body(route, request)?;
        authorize(route, rights, &caller)?;
        let response = own::answer(arm, route, request, rights)?;
        announce(route, request, &caller, &response, context);
        return Ok(Answer::Ready(response));
    };
    let provider = &mut *providers[claim.provider];
    let api_version = check_version(request, provider, claim.path.resource_type, context.strict)?;
    check_body(route, request)?;
    authorize(route, rights, &caller)?;
    let visit = Visit { arm, route, request, origin, api_version, rights };
    Ok(match provider.answer(claim, &visit, context)? {
        ProviderAnswer::Ready(response) => {
            Answer::Ready(of_provider(response, route, request, &caller, context))
        }
        ProviderAnswer::Later(work) => {
            Answer::Later(Box::new(move || Rest { caller, api_version, rest: work() }))
        }
    })
}

/// A provider's success, with what the gateway adds to it; others hear of it.
fn of_provider(
    mut response: Response,
    route: &Route,
    request: &Request,
    caller: &Caller,
    context: &mut Context<'_>,
) -> Response {
    headers::add_operation_identifier(&mut response, caller, context.now, context.random);
    announce(route, request, caller, &response, context);
    response
}

/// Whether the caller may do what it asks for. Whoever may see a part of a list is let through to it (chosen,
/// not observed).
fn authorize(route: &Route, rights: Rights<'_>, caller: &Caller) -> Result<(), ArmProblem> {
    let Some(action) = route.action() else { return Ok(()) };
    let scope = route.scope();
    let allowed =
        rights.allow(action, &scope) || route.is_filtered() && rights.allow_somewhere(action, &scope);
    if allowed {
        Ok(())
    } else {
        Err(ArmProblem::AuthorizationFailed { caller: caller.clone(), action, scope })
    }
}

/// Tells the audience of what has succeeded and changed something.
fn announce(
    route: &Route,
    request: &Request,
    caller: &Caller,
    response: &Response,
    context: &mut Context<'_>,
) {
    let changed = response.status().is_success() && response.status() != StatusCode::NO_CONTENT;
    if changed && let Some(action) = route.action() {
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let url = format!("{}{target}", exchange::origin(request));
        let method = request.method().as_str();
        route.announce(action, method, &url, &caller.object_id, context);
    }
}

/// The api-version, which every call must carry. Resources that belong to ARM itself are answered the same for
/// every version.
fn check_date(request: &Request) -> Result<(), ArmProblem> {
    let version = version(request)?;
    if is_dated(&version) { Ok(()) } else { Err(ArmProblem::InvalidApiVersion(version)) }
}

/// The api-version as its provider knows it.
fn check_version(
    request: &Request,
    provider: &dyn Provider,
    resource_type: &'static str,
    strict: bool,
) -> Result<&'static str, ArmProblem> {
    let version = version(request)?;
    let supported = provider.api_versions(strict);
    let known = supported.iter().find(|known| known.eq_ignore_ascii_case(&version));
    known.copied().ok_or_else(|| ArmProblem::InvalidResourceType {
        namespace: provider.namespace(),
        resource_type,
        version,
        supported: supported.join(","),
    })
}

fn version(request: &Request) -> Result<String, ArmProblem> {
    exchange::query(request, "api-version")
        .filter(|version| !version.is_empty())
        .ok_or(ArmProblem::MissingApiVersion)
}

/// Azure Resource Manager reads what is to be written before the provider does, and nothing but JSON. What goes
/// with an action it passes on as it is.
fn check_body(route: &Route, request: &Request) -> Result<(), ArmProblem> {
    let method = route.method.as_str();
    if request.body().is_empty() || !["PUT", "PATCH", "POST"].contains(&method) {
        return Ok(());
    }
    let media_type = exchange::header_text(request, header::CONTENT_TYPE).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(ArmProblem::UnsupportedMediaType(media_type.to_owned()));
    }
    if method == "POST" { Ok(()) } else { problem::json_body(request).map(|_| ()) }
}

/// Whether a token with this audience is one for ARM: for the address it was reached at, or for the public
/// one, which clients ask for by default.
fn is_meant(request: &Request, audience: &str) -> bool {
    let audience = audience.strip_suffix('/').unwrap_or(audience);
    let host = audience.strip_prefix("https://").or_else(|| audience.strip_prefix("http://"));
    host.is_some_and(|host| host.eq_ignore_ascii_case(exchange::authority(request)))
        || ["https://management.azure.com", "https://management.core.windows.net"].contains(&audience)
}

/// What every version looks like: a date, and perhaps `-preview`.
fn is_dated(version: &str) -> bool {
    let (date, preview) = version.split_at_checked(10).unwrap_or((version, ""));
    let is_date = date.len() == 10
        && date
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    is_date && (preview.is_empty() || preview.eq_ignore_ascii_case("-preview"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;
    use serde_json::Value;

    use super::*;
    use crate::dps::testing::{NOW, instance};
    use crate::steering::faults::{Calls, Effect, Fault};
    use crate::steering::operation::Operation;
    use crate::world::World;

    /// What a request to this path gets that a fault is aimed at.
    fn failed(path: &str, status: u16) -> (Response, Value) {
        let mut world = World::tutorial(1);
        let effect = Effect::Answer(status);
        world.faults.add(Fault { operation: Operation::Arm, object: None, calls: Calls::Always, effect });
        let request = http::Request::get(path).body(Bytes::new()).unwrap();
        let response = world.handle(&request, NOW);
        let body = serde_json::from_slice(response.body()).unwrap();
        (response, body)
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
            let (response, body) = failed("/subscriptions/s", status);
            assert_eq!(response.status(), status);
            assert_eq!(body["error"]["code"], code);
        }
        let (response, body) = failed(&instance(), 412);
        assert_eq!(response.status(), 412);
        assert_eq!(body["code"], 412_001, "a provider has its own words");
    }

    #[test]
    fn a_throttled_caller_learns_when_to_come_back() {
        assert_eq!(failed("/subscriptions/s", 429).0.headers()[header::RETRY_AFTER], "1");
        assert!(!failed("/subscriptions/s", 503).0.headers().contains_key(header::RETRY_AFTER));
    }
}
