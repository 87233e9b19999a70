//! A resource provider, as Azure Resource Manager knows it.
//!
//! The gateway knows no provider by name: it is handed all there are, asks each for the paths it answers, checks
//! token, api-version, body and permission by what the path's row says, and only then hands the request over.

use http::StatusCode;

use crate::arm::claim::Claim;
use crate::arm::path::Path;
use crate::arm::problem::{ArmProblem, ProviderProblem};
use crate::arm::visit::Visit;
use crate::context::Context;
use crate::exchange::Response;

/// Keeps the resources of some types and answers for them.
pub(crate) trait Provider {
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
    ) -> Result<Response, ArmProblem>;

    /// The error of its own that it would answer with this status, where that is not the gateway's.
    fn failure(&self, status: StatusCode) -> Option<Box<dyn ProviderProblem>>;
}
