//! Verifies uploaded certificates. Each run has a deadline, the same certificate has one run at a time, and the
//! number of concurrent runs is limited so that the process stays small.

mod issuer;
pub mod preview;
mod run;
mod run_record;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, info, info_span, warn};

use crate::ca::SignatureAlgorithm;
use crate::certificate_id::CertificateId;
use crate::event::Upload;
use crate::leaf_key::LeafKeys;
pub use crate::limits::Limits;
use crate::outcome::{Outcome, TemporaryFailure};
use crate::registry::Registry;
use crate::single_flight::SingleFlight;
use crate::thumbprint::Thumbprint;
use crate::trust::AllowedRegistries;
use crate::vault::Vault;
use run_record::RunRecord;
pub(crate) use run_record::milliseconds;

/// How many certificates that it verified a process remembers. It accounts for these without asking the vaults.
const REMEMBERED: usize = 1024;

/// Verifies CA certificates of a registry with keys of a vault.
pub struct Verifier<R, V> {
    pub(crate) registry: R,
    pub(crate) vault: V,
    pub(crate) allowed: AllowedRegistries,
    pub(crate) limits: Limits,
    leaf_keys: LeafKeys,
    flights: SingleFlight<CertificateId, Arc<Outcome>>,
    places: Semaphore,
    turns: Semaphore,
    proven: Mutex<VecDeque<(CertificateId, Thumbprint)>>,
    /// CA certificates that may be verified although no vault holds them.
    by_hand: Vec<Thumbprint>,
    /// When the last sweep began.
    pub(crate) swept: Mutex<Option<OffsetDateTime>>,
    now: Box<dyn Fn() -> OffsetDateTime + Send + Sync>,
}

impl<R: Registry, V: Vault> Verifier<R, V> {
    /// Creates a verifier for the `allowed` registries.
    pub fn new(registry: R, vault: V, allowed: AllowedRegistries, limits: Limits) -> Self {
        Verifier {
            registry,
            vault,
            allowed,
            limits,
            leaf_keys: LeafKeys::default(),
            flights: SingleFlight::default(),
            places: Semaphore::new(limits.at_once + limits.waiting),
            turns: Semaphore::new(limits.at_once),
            proven: Mutex::default(),
            by_hand: Vec::new(),
            swept: Mutex::default(),
            now: Box::new(OffsetDateTime::now_utc),
        }
    }

    /// Returns the registry client.
    pub fn registry(&self) -> &R {
        &self.registry
    }

    /// Returns whether the allow-list covers a certificate's registry.
    pub fn allows(&self, certificate: &CertificateId) -> bool {
        self.allowed.allowing(certificate.registry()).is_some()
    }

    /// Replaces the machine's clock.
    pub fn with_clock(self, now: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        Verifier { now: Box::new(now), ..self }
    }

    /// Sets the CA certificates that were verified by hand.
    pub fn accounting_for(self, by_hand: Vec<Thumbprint>) -> Self {
        Verifier { by_hand, ..self }
    }

    /// Returns the time.
    pub(crate) fn now(&self) -> OffsetDateTime {
        (self.now)()
    }

    /// Makes the key that the first verification would otherwise wait for.
    pub async fn warm_up(&self) {
        if let Err(error) = self.leaf_keys.public_key_info(SignatureAlgorithm::Rs256).await {
            warn!(%error, "no RSA key could be made in advance");
        }
    }

    /// Verifies one certificate, and returns the outcome. It always ends within the deadline, even after a panic. The
    /// next delivery finishes what a run left unfinished.
    pub async fn verify(&self, upload: &Upload) -> Arc<Outcome> {
        let span = info_span!("verification", certificateId = %upload.id);
        self.verify_once(upload).instrument(span).await
    }

    async fn verify_once(&self, upload: &Upload) -> Arc<Outcome> {
        let try_again = |failure| Arc::new(Outcome::TryAgain(failure));
        let certificate = || upload.id.clone();
        let mut record = RunRecord::begin();
        let Ok(_place) = self.places.try_acquire() else {
            let outcome = try_again(TemporaryFailure::Overloaded { certificate: certificate() });
            record.finish(&outcome);
            return outcome;
        };
        let deadline = Instant::now() + self.limits.deadline;
        let too_late = || {
            try_again(TemporaryFailure::Deadline { certificate: certificate(), limit: self.limits.deadline })
        };
        let on_record = &mut record;
        let run = self.flights.run(&upload.id, || async move {
            on_record.is_leader = true;
            // The semaphore is never closed.
            let _turn = self.turns.acquire().await;
            if Instant::now() >= deadline {
                return too_late();
            }
            // The future is large, so it is allocated only for runs that have their turn.
            let run = Box::pin(self.run(upload, deadline, on_record));
            // Nothing that a run may leave inconsistent outlives it.
            match AssertUnwindSafe(run).catch_unwind().await {
                Ok(outcome) => {
                    self.remember(&upload.id, &outcome);
                    Arc::new(outcome)
                }
                Err(_) => try_again(TemporaryFailure::Broken { certificate: certificate() }),
            }
        });
        let outcome = timeout_at(deadline, run).await.unwrap_or_else(|_| too_late());
        if record.is_leader {
            record.finish(&outcome);
        } else {
            let reason = outcome.reason();
            info!(
                event = "verification.shared",
                outcome = reason.name(),
                answer = reason.answer().name(),
                "another delivery of the same certificate made the run"
            );
        }
        outcome
    }

    /// Remembers a certificate that this process verified.
    fn remember(&self, id: &CertificateId, outcome: &Outcome) {
        if let Outcome::Verified { thumbprint, .. } = outcome {
            let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
            if proven.len() == REMEMBERED {
                proven.pop_front();
            }
            proven.push_back((id.clone(), *thumbprint));
        }
    }

    /// Returns whether a verified certificate needs no look into the vaults: this process verified it, or an operator.
    pub(crate) fn accounts_for(&self, id: &CertificateId, thumbprint: Thumbprint) -> bool {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        self.by_hand.contains(&thumbprint) || proven.contains(&(id.clone(), thumbprint))
    }
}

#[cfg(test)]
mod tests;
