//! A resource provider, as Azure Resource Manager knows it.
//!
//! The gateway knows no provider by name: it is handed all there are, asks each for the paths it answers, checks
//! token, api-version, body and permission by what the path's row says, and only then hands the request over.

use std::any::Any;

use http::StatusCode;

use crate::arm::claim::Claim;
use crate::arm::path::Path;
use crate::arm::problem::{ArmProblem, ProviderProblem};
use crate::arm::visit::Visit;
use crate::context::Context;
use crate::ground::exchange::Response;
use crate::service::Work;

/// Keeps the resources of some types and answers for them.
pub(crate) trait Provider: Any {
    /// `Microsoft.Devices` and its kind.
    fn namespace(&self) -> &'static str;

    /// Every path below the namespace that it answers.
    fn paths(&self) -> &'static [Path];

    /// Its api-versions, oldest first; with `strict` only those that were published.
    fn api_versions(&self, strict: bool) -> Vec<&'static str>;

    /// Answers a request that the gateway let through.
    fn answer(
        &mut self,
        claim: &Claim,
        visit: &Visit<'_>,
        context: &mut Context<'_>,
    ) -> Result<ProviderAnswer, ArmProblem>;

    /// The error of its own that it would answer with this status, where that is not the gateway's.
    fn failure(&self, status: StatusCode) -> Option<Box<dyn ProviderProblem>>;
}

/// Every provider, as the gateway is handed them.
pub(crate) type Providers<'p> = [&'p mut (dyn Provider + 'static)];

/// What a provider makes of a request.
pub(crate) enum ProviderAnswer {
    /// The answer.
    Ready(Response),
    /// The answer needs work first.
    Later(Work<ProviderRest>),
}

/// How an answer goes on in its provider once its work is done.
pub(crate) struct ProviderRest(Box<Finish>);

type Finish = dyn FnOnce(&mut (dyn Provider + 'static), &Visit<'_>, &mut Context<'_>) -> Result<Response, ArmProblem>
    + Send;

impl ProviderAnswer {
    /// Answers after some work, with what `finish` makes of its result in the same provider.
    pub(crate) fn later<P: Provider, T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
        finish: impl FnOnce(T, &mut P, &Visit<'_>, &mut Context<'_>) -> Result<Response, ArmProblem>
        + Send
        + 'static,
    ) -> ProviderAnswer {
        ProviderAnswer::Later(Box::new(move || {
            let result = work();
            ProviderRest(Box::new(move |provider, visit, context| {
                let provider: &mut dyn Any = provider;
                let provider = provider.downcast_mut().expect("the provider that began an answer ends it");
                finish(result, provider, visit, context)
            }))
        }))
    }
}

impl ProviderRest {
    pub(super) fn finish(
        self,
        provider: &mut (dyn Provider + 'static),
        visit: &Visit<'_>,
        context: &mut Context<'_>,
    ) -> Result<Response, ArmProblem> {
        (self.0)(provider, visit, context)
    }
}
