//! Verifies what events missed: every unverified certificate of every allowed registry goes through the same
//! verifier. This makes a lost event harmless, and retries after a person has fixed a problem. For every verified
//! certificate the sweep checks whether something accounts for it.

mod expiry;
mod unproven;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError};

use futures::StreamExt;
use futures::stream;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::certificate_id::{CertificateId, RegistryId};
use crate::error::CallError;
use crate::event::Upload;
use crate::outcome::Outcome;
use crate::reason::{DeliveryAnswer, Reason};
use crate::registry::{Listed, ListedCertificate, Registry};
use crate::telemetry::metrics;
use crate::vault::Vault;
use crate::verifier::{Verifier, milliseconds};

pub use expiry::THRESHOLDS;
pub use unproven::Unproven;

/// What a sweep found and did.
#[derive(Debug, Default)]
pub struct Report {
    /// Registries looked into.
    pub registries: usize,
    /// Certificates in them.
    pub found: usize,
    /// Of those, verified before the sweep.
    pub verified_before: usize,
    /// What became of the others.
    pub ended: Vec<(CertificateId, Arc<Outcome>)>,
    /// Lists, and items of lists, that could not be read.
    pub unread: Vec<CallError>,
    /// Of those found, how many end within 30 days, or have ended.
    pub expiring: usize,
    /// Of those verified before, the ones that nothing accounts for.
    pub unproven: Vec<Unproven>,
    /// Certificates there was no time for, or that could not be looked for in the vaults.
    pub left: usize,
}

impl<R: Registry, V: Vault> Verifier<R, V> {
    /// Sweeps once, within the time and the share of the process that a sweep may take. `since` is when the last
    /// sweep was, if the caller knows it; otherwise the last one of this process counts.
    pub async fn sweep(&self, since: Option<OffsetDateTime>) -> Report {
        let begun = Instant::now();
        let end = begun + self.limits.sweep;
        let of_this_process = self.swept.lock().unwrap_or_else(PoisonError::into_inner).replace(self.now());
        let since = since.or(of_this_process);
        let mut report = Report::default();
        let (mut verified, mut unverified) = (Vec::new(), Vec::new());
        for registry in self.registries(&mut report, end).await {
            let call = format!("listing the certificates of {registry}");
            let list = report.list(&call, end, self.registry.certificates(&registry)).await;
            let Some(certificates) = list else { continue };
            report.registries += 1;
            report.found += certificates.len();
            report.expiring += certificates.iter().filter(|listed| self.is_expiring(listed, since)).count();
            let (closed, open): (Vec<_>, Vec<_>) =
                certificates.into_iter().partition(|listed| listed.is_verified);
            verified.extend(closed);
            unverified.extend(open.into_iter().map(|listed| listed.id));
        }
        report.verified_before = verified.len();
        let (ended, checked) = tokio::join!(
            self.verify_all(unverified, end, &mut report.left),
            self.check_verified(verified, end)
        );
        report.ended = ended;
        report.unproven = checked.unproven;
        report.left += checked.left;
        report.unread.extend(checked.error);
        report.log(begun);
        report
    }

    /// Has each of them verified, as far as there is time, and counts those that are left.
    async fn verify_all(
        &self,
        unverified: Vec<CertificateId>,
        end: Instant,
        left: &mut usize,
    ) -> Vec<(CertificateId, Arc<Outcome>)> {
        *left = unverified.len();
        let mut runs = stream::iter(unverified)
            .map(|id| async move {
                let outcome = self.verify(&Upload { id: id.clone(), at: None }).await;
                (id, outcome)
            })
            .buffer_unordered(self.limits.at_once_in_sweep);
        let mut all = Vec::new();
        while let Ok(Some(ended)) = timeout_at(end, runs.next()).await {
            all.push(ended);
            *left -= 1;
        }
        all
    }

    /// Returns whether a CA is near its end; warns if it has just come nearer.
    fn is_expiring(&self, listed: &ListedCertificate, since: Option<OffsetDateTime>) -> bool {
        let Some(expiry) = listed.expiry else { return false };
        let now = self.now();
        let days = (expiry - now).whole_days();
        metrics::expires(&listed.id.to_string(), days);
        if let Some(threshold) = expiry::crossed(expiry, since, now) {
            warn!(
                event = "ca.expiring",
                certificateId = %listed.id,
                thumbprint = listed.thumbprint.map(|thumbprint| thumbprint.to_string()),
                daysToExpiry = days,
                threshold,
                "{} of {} ends on {}",
                listed.id.name(),
                listed.id.registry().name(),
                expiry.date()
            );
        }
        expiry::is_near(expiry, now)
    }

    async fn registries(&self, report: &mut Report, end: Instant) -> Vec<RegistryId> {
        let mut registries: Vec<RegistryId> = Vec::new();
        for scope in self.allowed.scopes() {
            let call = format!("listing the DPS instances in {scope}");
            let found = report.list(&call, end, self.registry.registries(scope)).await;
            for registry in found.unwrap_or_default() {
                if !registries.contains(&registry) {
                    registries.push(registry);
                }
            }
        }
        registries
    }
}

impl Report {
    /// Returns the items of a list, as far as they can be read before the end; `None` if the list cannot.
    async fn list<T>(
        &mut self,
        call: &str,
        end: Instant,
        list: impl Future<Output = Result<Listed<T>, CallError>>,
    ) -> Option<Vec<T>> {
        let too_late = |_| {
            let (call, reason) = (call.to_owned(), "there was no time left for it".to_owned());
            Err(CallError::Unavailable { call, status: None, reason, retry_after: None })
        };
        let items = match timeout_at(end, list).await.unwrap_or_else(too_late) {
            Ok(items) => items,
            Err(error) => {
                self.unread.push(error);
                return None;
            }
        };
        Some(
            items.into_iter().filter_map(|item| item.map_err(|error| self.unread.push(error)).ok()).collect(),
        )
    }

    /// Returns how often each outcome there was, without those of certificates that were verified before.
    pub fn outcomes(&self) -> BTreeMap<Reason, usize> {
        let mut counts = BTreeMap::new();
        for (_, outcome) in &self.ended {
            *counts.entry(outcome.reason()).or_default() += 1;
        }
        counts
    }

    /// Returns how many ended as one of these.
    fn count(&self, of: impl Fn(Reason) -> bool) -> usize {
        self.ended.iter().filter(|(_, outcome)| of(outcome.reason())).count()
    }

    fn log(&self, begun: Instant) {
        self.log_unproven();
        let denied = |reason| matches!(reason, Reason::RegistryNotAllowed | Reason::NoGrant);
        let done = |reason: Reason| reason.answer() == DeliveryAnswer::Done;
        let unread: Vec<String> = self.unread.iter().map(ToString::to_string).collect();
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    event = "sweep.ended",
                    registries = self.registries,
                    found = self.found,
                    verifiedBefore = self.verified_before,
                    verified = self.count(done),
                    denied = self.count(denied),
                    failed = self.count(|reason| !done(reason) && !denied(reason)),
                    expiring = self.expiring,
                    unproven = self.unproven.len(),
                    left = self.left,
                    reason = (!unread.is_empty()).then(|| unread.join("; ")),
                    durationMs = milliseconds(begun.elapsed()),
                    "{self}"
                )
            };
        }
        match self.needs_action() {
            true => line!(warn),
            false => line!(info),
        }
    }

    /// Returns whether a person should look at it.
    pub fn needs_action(&self) -> bool {
        let quiet = self.ended.iter().all(|(_, outcome)| outcome.reason().answer() == DeliveryAnswer::Done);
        !(quiet && self.unproven.is_empty() && self.unread.is_empty() && self.left == 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { registries, found, verified_before, .. } = self;
        write!(
            f,
            "{found} certificates in {registries} registries, {verified_before} of them verified before"
        )?;
        for (reason, count) in self.outcomes() {
            write!(f, ", {count} {}", reason.name())?;
        }
        if !self.unproven.is_empty() {
            write!(f, ", {} verified without proof", self.unproven.len())?;
        }
        if self.left > 0 {
            write!(f, ", {} left for the next time", self.left)?;
        }
        self.unread.iter().try_for_each(|error| write!(f, "; {error}"))
    }
}

#[cfg(test)]
mod tests;
