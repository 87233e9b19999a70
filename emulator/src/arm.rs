//! Azure Resource Manager: the front door of DPS.
//!
//! ARM looks at the token, the api-version and the parents of a resource before the provider sees anything.
//! The order of these checks decides which error a client meets, so it is written down once, in
//! `Visit::answer`. Plain HTTP is let in: where TLS matters, the listener has seen to it already.

mod answers;
mod bodies;
mod instances;
mod operations;
#[cfg(test)]
mod rbac_tests;
mod resources;
mod route;
mod services;
#[cfg(test)]
mod tests;

use http::{StatusCode, header};
use serde_json::Value;
use time::OffsetDateTime;

use crate::callers::Caller;
use crate::change::ArmOperation;
use crate::choices::Choices;
use crate::context::Context;
use crate::dps::api_version::ApiVersion;
use crate::dps::{Action, Call, Judge};
use crate::exchange::{self, Request, Response};
use crate::faults::{self, Effect};
use crate::rbac::Rights;
use answers::Problem;
pub use answers::fault;
pub use resources::{Arm, ProvisioningService};
pub use route::Route;
pub(crate) use route::is_certificate_id;
use route::{InstanceId, Target};

/// Who wrote when [`Effect::SomebodyElseWrites`] strikes; tells that event from the caller's own.
pub const SOMEBODY_ELSE: &str = "00000000-0000-0000-0000-00000000e15e";

/// Answers a request to ARM.
pub(crate) fn handle(arm: &mut Arm, route: &Route, request: &Request, context: &mut Context<'_>) -> Response {
    let Context { strict, choices, effect, now, .. } = *context;
    let visit = Visit { route, request, effect, strict, choices, now, origin: exchange::origin(request) };
    let mut response = visit
        .answer(arm, context)
        .unwrap_or_else(|problem| problem.answer(&visit.origin, now, context.random));
    answers::add_headers(&mut response, route, now, context.random);
    response
}

/// A request that is too large to be read.
pub(crate) fn too_large(route: &Route, now: OffsetDateTime, random: &mut fastrand::Rng) -> Response {
    let mut response = Problem::RequestContentTooLarge.answer("", now, random);
    answers::add_headers(&mut response, route, now, random);
    response
}

/// One request on its way through ARM.
struct Visit<'a> {
    route: &'a Route,
    request: &'a Request,
    effect: Option<Effect>,
    strict: bool,
    choices: Choices,
    now: OffsetDateTime,
    /// Scheme, host and port the caller reached us at.
    origin: String,
}

impl Visit<'_> {
    fn answer(&self, arm: &mut Arm, context: &mut Context<'_>) -> Result<Response, Problem> {
        if self.route.target == Target::Metadata {
            return Ok(exchange::json(StatusCode::OK, &bodies::metadata(&self.origin)));
        }
        let caller = context
            .access
            .caller(self.request, |audience| self.is_meant(audience), self.now)
            .map_err(Problem::Unauthenticated)?;
        let api_version = self.api_version()?;
        self.check_body()?;
        let rights = context.access.rights(&caller);
        self.authorize(rights, &caller)?;
        let mut response = match (api_version, self.route.certificate_action()) {
            (Some(version), Some((instance, action))) => {
                self.to_dps(arm, context, instance, action, version)?
            }
            (Some(version), None) => instances::answer(arm, self, version, rights, context.random)?,
            (None, _) => services::answer(arm, self, rights)?,
        };
        if self.route.target.resource_type().is_some() {
            answers::add_operation_identifier(&mut response, &caller, self.now, context.random);
        }
        let changed = response.status().is_success() && response.status() != StatusCode::NO_CONTENT;
        if changed && let Some(action) = self.route.action() {
            let target = self.request.uri().path_and_query().map_or("/", |target| target.as_str());
            self.publish(context, action, self.request.method().as_str(), target, &caller.object_id);
        }
        Ok(response)
    }

    /// Whether the caller may do what it asks for. Whoever may see a part of a list is let through to it (chosen,
    /// not observed).
    fn authorize(&self, rights: Rights<'_>, caller: &Caller) -> Result<(), Problem> {
        let Some(action) = self.route.action() else { return Ok(()) };
        let scope = self.route.scope();
        let allowed = rights.allow(action, &scope)
            || self.route.is_filtered() && rights.allow_somewhere(action, &scope);
        if allowed {
            Ok(())
        } else {
            Err(Problem::AuthorizationFailed { caller: caller.clone(), action, scope })
        }
    }

    /// The api-version, which every call must carry; `None` for resources that belong to ARM itself, which are
    /// answered the same for every version.
    fn api_version(&self) -> Result<Option<ApiVersion>, Problem> {
        let version = exchange::query(self.request, "api-version")
            .filter(|version| !version.is_empty())
            .ok_or(Problem::MissingApiVersion)?;
        match self.route.target.resource_type() {
            None if is_dated(&version) => Ok(None),
            None => Err(Problem::InvalidApiVersion(version)),
            Some(resource_type) => match ApiVersion::parse(&version, self.strict) {
                Some(known) => Ok(Some(known)),
                None => Err(Problem::InvalidResourceType {
                    resource_type,
                    version,
                    supported: ApiVersion::list(self.strict),
                }),
            },
        }
    }

    /// Azure Resource Manager reads what is to be written before the provider does, and nothing but JSON. What goes
    /// with an action it passes on as it is.
    fn check_body(&self) -> Result<(), Problem> {
        let method = self.route.method.as_str();
        if self.request.body().is_empty() || !["PUT", "PATCH", "POST"].contains(&method) {
            return Ok(());
        }
        let media_type = exchange::header_text(self.request, header::CONTENT_TYPE).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(Problem::UnsupportedMediaType(media_type.to_owned()));
        }
        if method == "POST" { Ok(()) } else { self.json_body().map(|_| ()) }
    }

    fn json_body(&self) -> Result<Value, Problem> {
        serde_json::from_slice(self.request.body())
            .map_err(|error| Problem::InvalidRequestContent(error.to_string()))
    }

    fn to_dps(
        &self,
        arm: &mut Arm,
        context: &mut Context<'_>,
        id: &InstanceId,
        action: Action<'_>,
        api_version: ApiVersion,
    ) -> Result<Response, Problem> {
        let (certificates, mint) = arm.certificates(id, self.now)?;
        let overtaken = self.effect == Some(Effect::SomebodyElseWrites)
            && action
                .certificate()
                .is_some_and(|name| certificates.replace_with_itself(name, mint.stamp(self.now)));
        let call = Call {
            request: self.request,
            api_version,
            instance: &id.path(),
            strict: self.strict,
            choices: self.choices,
            judge: match self.effect {
                Some(Effect::AcceptAnyProof) => Judge::Nobody,
                _ => Judge::OpenSsl,
            },
            stamp: mint.stamp(self.now),
        };
        let mut result = call.carry_out(action, certificates, mint);
        if self.effect == Some(Effect::StaleEtag)
            && let Some(certificate) = action.certificate().and_then(|name| certificates.get(name))
        {
            let former = certificate.former_etag().as_str();
            result = result.map(|response| faults::answers::with_etag(response, former));
        }
        if overtaken {
            let resource = &self.route.resource_id;
            self.publish(context, route::WRITE_CERTIFICATE, "PUT", resource, SOMEBODY_ELSE);
        }
        Ok(result?)
    }

    fn publish(&self, context: &mut Context<'_>, name: &str, method: &str, target: &str, object_id: &str) {
        let Some(event_type) = route::event_type(name) else { return };
        let url = format!("{}{target}", self.origin);
        let resource_id = &self.route.resource_id;
        let operation = ArmOperation { event_type, name, resource_id, method, url: &url, object_id };
        context.audience.hear(&operation, self.now, context.random);
    }

    /// Whether a token with this audience is one for ARM: for the address it was reached at, or for the public
    /// one, which clients ask for by default.
    fn is_meant(&self, audience: &str) -> bool {
        let audience = audience.strip_suffix('/').unwrap_or(audience);
        let host = audience.strip_prefix("https://").or_else(|| audience.strip_prefix("http://"));
        host.is_some_and(|host| host.eq_ignore_ascii_case(exchange::authority(self.request)))
            || ["https://management.azure.com", "https://management.core.windows.net"].contains(&audience)
    }
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
