//! Verifies uploaded certificates: within one deadline each, one run at a time for the same certificate, and
//! so many at once that the process stays small.

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

/// How many proofs of its own a process remembers, to account for them without asking the vaults.
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
    /// A verifier for the registries that are `allowed`.
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

    /// The registry it works on.
    pub fn registry(&self) -> &R {
        &self.registry
    }

    /// Whether the settings allow it to work on a certificate's registry.
    pub fn allows(&self, certificate: &CertificateId) -> bool {
        self.allowed.allowing(certificate.registry()).is_some()
    }

    /// Has it read another clock than the machine's.
    pub fn with_clock(self, now: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        Verifier { now: Box::new(now), ..self }
    }

    /// Has it account for CA certificates that were verified by hand.
    pub fn accounting_for(self, by_hand: Vec<Thumbprint>) -> Self {
        Verifier { by_hand, ..self }
    }

    /// What time it is.
    pub(crate) fn now(&self) -> OffsetDateTime {
        (self.now)()
    }

    /// Makes what the first verification would otherwise have to wait for.
    pub async fn warm_up(&self) {
        if let Err(error) = self.leaf_keys.public_key_info(SignatureAlgorithm::Rs256).await {
            warn!(%error, "no RSA key could be made in advance");
        }
    }

    /// Brings one certificate as far as it can be brought, and says how far that was. It always ends within
    /// the deadline, and also if it panics; what has been left half-done then, the next delivery finishes.
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
            // It is large, and only those whose turn it is have one.
            let run = Box::pin(self.run(upload, deadline, on_record));
            // Nothing that a run leaves half-changed outlives it.
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

    /// Remembers a proof.
    fn remember(&self, id: &CertificateId, outcome: &Outcome) {
        if let Outcome::Verified { thumbprint, .. } = outcome {
            let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
            if proven.len() == REMEMBERED {
                proven.pop_front();
            }
            proven.push_back((id.clone(), *thumbprint));
        }
    }

    /// Whether a certificate may be verified without a look into the vaults: it was proven here, or by hand.
    pub(crate) fn accounts_for(&self, id: &CertificateId, thumbprint: Thumbprint) -> bool {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        self.by_hand.contains(&thumbprint) || proven.contains(&(id.clone(), thumbprint))
    }
}

#[cfg(test)]
mod tests;
