//! DPS as a provider behind Azure Resource Manager.

use http::StatusCode;

use crate::arm::{ArmProblem, Claim, GroupId, Path, Place, Provider, ProviderAnswer, ProviderProblem, Visit};
use crate::context::Context;
use crate::dps::api_version::{self, ApiVersion};
use crate::dps::certificates::Certificates;
use crate::dps::endpoint::{Action, Call};
use crate::dps::instance::InstanceId;
use crate::dps::instances;
use crate::dps::mint::Stamp;
use crate::dps::paths::{self, WRITE_CERTIFICATE};
use crate::dps::problem::Problem;
use crate::dps::state::Dps;
use crate::ground::exchange::Response;
use crate::steering::faults::{Interference, answers};

/// Who wrote when [`Effect::SomebodyElseWrites`](crate::steering::faults::Effect::SomebodyElseWrites) applies; tells that event from the caller's own.
pub const SOMEBODY_ELSE: &str = "00000000-0000-0000-0000-00000000e15e";

impl Provider for Dps {
    fn namespace(&self) -> &'static str {
        paths::PATHS.0
    }

    fn paths(&self) -> &'static [Path] {
        paths::PATHS.1
    }

    fn api_versions(&self, strict: bool) -> Vec<&'static str> {
        api_version::supported(strict).collect()
    }

    fn answer(
        &mut self,
        claim: &Claim,
        visit: &Visit<'_>,
        context: &mut Context<'_>,
    ) -> Result<ProviderAnswer, ArmProblem> {
        let names: Vec<&str> = claim.names.iter().map(String::as_str).collect();
        let group = match &claim.place {
            Place::Subscription(id) => {
                return instances::answer_of_subscription(self, claim, id, visit, context)
                    .map(ProviderAnswer::Ready);
            }
            Place::ResourceGroup(group) => group,
        };
        let of = |name: &str| InstanceId { group: group.clone(), name: name.to_owned() };
        let (instance, action) = match (claim.path.pattern, names.as_slice(), visit.method()) {
            (paths::CERTIFICATES, [instance], "GET") => (instance, Action::List),
            (paths::CERTIFICATE, [instance, name], "GET") => (instance, Action::Get(name)),
            (paths::CERTIFICATE, [instance, name], "PUT") => (instance, Action::Put(name)),
            (paths::CERTIFICATE, [instance, name], "DELETE") => (instance, Action::Delete(name)),
            (paths::GENERATE_CODE, [instance, name], "POST") => (instance, Action::GenerateCode(name)),
            (paths::VERIFY, [instance, name], "POST") => (instance, Action::Verify(name)),
            _ => {
                return instances::answer(self, claim, group, visit, context).map(ProviderAnswer::Ready);
            }
        };
        self.answer_of_certificate(group, of(instance), action, visit, context)
    }

    fn failure(&self, status: StatusCode) -> Option<Box<dyn ProviderProblem>> {
        (status == StatusCode::PRECONDITION_FAILED).then(|| Box::new(Problem::InvalidEtag) as _)
    }
}

impl Dps {
    /// Answers one of the six operations on certificates. A proof is examined before it is taken.
    fn answer_of_certificate(
        &mut self,
        group: &GroupId,
        id: InstanceId,
        action: Action<'_>,
        visit: &Visit<'_>,
        context: &mut Context<'_>,
    ) -> Result<ProviderAnswer, ArmProblem> {
        visit.group(group)?;
        let meddling = Meddling::of(context.interference);
        let (certificates, mint) = self.certificates(&id, context.now)?;
        let overtaken = meddling.somebody_else_writes
            && action
                .certificate()
                .is_some_and(|name| certificates.replace_with_itself(name, mint.stamp(context.now)));
        let certificate = action.certificate().map(str::to_owned);
        let write = Write { id, certificate, meddling, overtaken, stamp: mint.stamp(context.now) };
        let (certificates, mint) = self.certificates(&write.id, context.now)?;
        let call = write.call(visit, context);
        let result = match action {
            Action::Verify(name) if !meddling.any_proof => match call.question(name, certificates) {
                Ok(question) => {
                    return Ok(ProviderAnswer::later(
                        move || question.examine(),
                        move |evidence, dps: &mut Dps, visit, context| {
                            let (certificates, _) = dps.certificates(&write.id, context.now)?;
                            let name = write.certificate.as_deref().unwrap_or_default();
                            let result = write.call(visit, context).verify(name, &evidence, certificates);
                            write.end(result, certificates, visit, context)
                        },
                    ));
                }
                Err(problem) => Err(problem),
            },
            _ => call.carry_out(action, certificates, mint),
        };
        write.end(result, certificates, visit, context).map(ProviderAnswer::Ready)
    }
}

/// An operation on a certificate under way, with what was drawn for it.
struct Write {
    id: InstanceId,
    certificate: Option<String>,
    meddling: Meddling,
    /// Another caller wrote first.
    overtaken: bool,
    stamp: Stamp,
}

impl Write {
    fn call<'a>(&self, visit: &Visit<'a>, context: &Context<'_>) -> Call<'a> {
        Call {
            request: visit.request,
            api_version: ApiVersion::new(visit.api_version),
            instance: self.id.path(),
            strict: context.strict,
            choices: context.choices,
            stamp: self.stamp.clone(),
        }
    }

    fn end(
        &self,
        result: Result<Response, Problem>,
        certificates: &Certificates,
        visit: &Visit<'_>,
        context: &mut Context<'_>,
    ) -> Result<Response, ArmProblem> {
        let certificate = self.certificate.as_deref().and_then(|name| certificates.get(name));
        let result = match certificate {
            Some(certificate) if self.meddling.stale_etag => {
                result.map(|response| answers::with_etag(response, certificate.former_etag().as_str()))
            }
            _ => result,
        };
        if self.overtaken {
            visit.announce(WRITE_CERTIFICATE, "PUT", SOMEBODY_ELSE, context);
        }
        Ok(result?)
    }
}

/// What a fault makes of an operation on a certificate.
#[derive(Clone, Copy)]
struct Meddling {
    somebody_else_writes: bool,
    stale_etag: bool,
    any_proof: bool,
}

impl Meddling {
    fn of(interference: Option<Interference>) -> Meddling {
        let none = Meddling { somebody_else_writes: false, stale_etag: false, any_proof: false };
        match interference {
            None => none,
            Some(Interference::SomebodyElseWrites) => Meddling { somebody_else_writes: true, ..none },
            Some(Interference::StaleEtag) => Meddling { stale_etag: true, ..none },
            Some(Interference::AcceptAnyProof) => Meddling { any_proof: true, ..none },
        }
    }
}
