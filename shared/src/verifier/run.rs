//! Carries out the decisions of one run, one call at a time.

use std::time::Duration;

use openssl::sha::sha256;
use tokio::time::Instant;
use tracing::{Instrument, info, warn};

use super::Verifier;
use super::issuer::{Unbelieved, issuer};
use super::run_record::{RunRecord, StepKind, milliseconds};
use crate::ca::CaCertificate;
use crate::certificate_id::CertificateId;
use crate::error::CallError;
use crate::event::Upload;
use crate::key_opener::KeyError;
use crate::outcome::{Denial, Failure, Outcome, TemporaryFailure};
use crate::prefetch::Prefetch;
use crate::proof::{Proof, ProofError, UnsignedProof};
use crate::reason::Reason;
use crate::registry::{Challenge, Registered, Registry};
use crate::telemetry::metrics;
use crate::vault::{KeyUse, ObjectId, ReadError, Vault, Wanted};
use crate::verification::{GrantedCa, Next, Step, Verification};
use crate::verification_code::VerificationCode;

/// The longest first pause. It doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause, unless the service's `Retry-After` is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long before a signature the grant may have been read. A run without a temporary failure is quicker; one that had to wait
/// reads it again, because its owner may have withdrawn it meanwhile.
const GRANT_GOOD_FOR: Duration = Duration::from_secs(2);

/// What a run has read in the vaults.
struct Reading<'r, G> {
    /// The look at the vault that was begun together with the look at the registry.
    prefetched: Option<Prefetch<'r, G>>,
    /// Whether the grant has just been read for the second time. However long that took, the signature comes next.
    again: bool,
}

/// Why there is no verification certificate: a call failed, or a person has to fix something.
enum NoProof {
    Call(CallError),
    Denial(Denial),
    Failure(Failure),
}

impl<R: Registry, V: Vault> Verifier<R, V> {
    /// Takes one step after the other until the decision is to finish. No step waits beyond the deadline.
    pub(super) async fn run(&self, upload: &Upload, deadline: Instant, record: &mut RunRecord) -> Outcome {
        let mut run = Verification::new(upload.clone());
        let mut next = run.begin(&self.allowed);
        let mut reading = Reading { prefetched: None, again: false };
        loop {
            let step = match next {
                Next::Do(step) => step,
                Next::Finish(outcome) => return outcome,
            };
            let (kind, begun) = (StepKind::of(&step), Instant::now());
            let taken = self.take(step, &upload.id, &mut run, &mut reading, deadline, record);
            next = taken.instrument(kind.span()).await;
            record.spent(kind, begun);
        }
    }

    /// Takes one step and returns the next. While a look that may lead to a search is under way, the vault is
    /// asked for the CA under its name.
    async fn take<'r>(
        &'r self,
        step: Step,
        id: &'r CertificateId,
        run: &mut Verification,
        reading: &mut Reading<'r, V::Prefetched>,
        deadline: Instant,
        record: &mut RunRecord,
    ) -> Next {
        match step {
            Step::Look => {
                let look = self.registry.get(id);
                let mut prefetch = (!run.has_found()).then(|| Prefetch::new(self.vault.prefetch(id.name())));
                let looked = match &mut prefetch {
                    Some(prefetch) => prefetch.poll_alongside(look).await,
                    None => look.await,
                };
                let next = match looked {
                    Ok(registered) => {
                        if let Some(seen) = &registered {
                            record.saw(id, seen, (self.now)());
                            if self.accounts_for(id, seen.thumbprint) {
                                run.account_for(seen.thumbprint);
                            }
                        }
                        run.looked(registered)
                    }
                    Err(error) => run.failed(error),
                };
                reading.prefetched = prefetch.filter(|_| matches!(next, Next::Do(Step::Search(_))));
                next
            }
            Step::Wait { nth, at_least, error } => {
                let pause = pause(nth, at_least);
                if pause >= deadline.saturating_duration_since(Instant::now()) {
                    return Next::Finish(Outcome::TryAgain(TemporaryFailure::Unavailable(error)));
                }
                metrics::retried(record.last_step(), error.reason());
                warn!(
                    event = "verification.waiting",
                    attempt = record.attempt(),
                    call = record.last_step(),
                    reason = %error,
                    pauseMs = milliseconds(pause),
                    "waiting before looking again"
                );
                tokio::time::sleep(pause).await;
                Next::Do(Step::Look)
            }
            Step::Search(registered) => self.search(registered, id, run, reading).await,
            Step::RequestCode(registered, _) => {
                match self.registry.generate_verification_code(id, &registered.etag).await {
                    Ok(challenge) => run.challenged(challenge),
                    Err(error) => run.failed(error),
                }
            }
            Step::Prove { code, registered, granted }
                if !reading.again && granted.ca.read.elapsed() > GRANT_GOOD_FOR =>
            {
                let next = self.search(registered, id, run, reading).await;
                reading.again = true;
                match next {
                    Next::Do(Step::RequestCode(registered, _)) => {
                        run.challenged(Challenge { code: code.as_str().to_owned(), registered })
                    }
                    next => next,
                }
            }
            Step::Prove { code, registered, granted } => {
                reading.again = false;
                match self.prove(id, &code, &registered, &granted, record).await {
                    Ok(proof) => run.proven(&registered, proof),
                    Err(NoProof::Call(error)) => run.failed(error),
                    Err(NoProof::Denial(denial)) => Next::Finish(Outcome::Denied(denial)),
                    Err(NoProof::Failure(failure)) => Next::Finish(Outcome::Failed(failure)),
                }
            }
            Step::Submit(etag, proof) => match self.registry.verify(id, &etag, &proof).await {
                Ok(registered) => run.submitted(&registered),
                Err(error) => run.failed(error),
            },
        }
    }

    /// Searches the vaults. This reads the grant, too.
    async fn search(
        &self,
        registered: Registered,
        id: &CertificateId,
        run: &mut Verification,
        reading: &mut Reading<'_, V::Prefetched>,
    ) -> Next {
        let wanted = Wanted { name: id.name(), thumbprint: registered.thumbprint, as_of: Instant::now() };
        let seen = match reading.prefetched.take() {
            Some(prefetched) => prefetched.result().await,
            None => self.vault.prefetch(id.name()).await,
        };
        match self.vault.find(wanted, seen).await {
            Ok(search) => run.searched(registered, search, (self.now)()),
            Err(error) => run.failed(error),
        }
    }

    async fn prove(
        &self,
        id: &CertificateId,
        code: &VerificationCode,
        registered: &Registered,
        granted: &GrantedCa,
        record: &mut RunRecord,
    ) -> Result<Proof, NoProof> {
        let (key, certificate, or_read) = match &granted.ca.key {
            KeyUse::ReadSecret => {
                return self.prove_with_secret(id, code, registered, granted, record).await;
            }
            KeyUse::SignInVault { key, certificate, or_read } => (key, certificate, or_read),
        };
        let failed = |error| Failure::Proof { object: granted.ca.object.clone(), error };
        let unsigned = self.unsigned(certificate, code).await.map_err(failed)?;
        announce(key, &unsigned, record);
        let digest = unsigned.digest().map_err(|error| failed(error.into()))?;
        match (self.vault.sign(key, certificate.algorithm(), &digest).await, or_read) {
            (Ok(signature), _) => {
                metrics::signed(certificate.algorithm());
                Ok(unsigned.assemble(&signature).map_err(failed)?)
            }
            // Only a missing right leads here. A key that its owner disabled is not used.
            (Err(error), Some(secret))
                if matches!(error.reason(), Reason::KeyCannotSign | Reason::AccessRefused) =>
            {
                info!(
                    event = "key.pulled",
                    key = %secret,
                    reason = %error,
                    "the vault will not sign, so the key is pulled"
                );
                let pulled = self.prove_with_secret(id, code, registered, granted, record).await;
                // A certificate that is not exportable has a secret without a key: then the outcome is
                // the refusal to sign.
                pulled.map_err(|instead| match instead {
                    NoProof::Failure(Failure::WrongSecret { .. }) => NoProof::Call(error),
                    instead => instead,
                })
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    async fn prove_with_secret(
        &self,
        id: &CertificateId,
        code: &VerificationCode,
        registered: &Registered,
        granted: &GrantedCa,
        record: &mut RunRecord,
    ) -> Result<Proof, NoProof> {
        let (secret, held) = match &granted.ca.key {
            KeyUse::SignInVault { certificate, or_read: Some(secret), .. } => (secret, Some(certificate)),
            KeyUse::SignInVault { .. } | KeyUse::ReadSecret => (&granted.ca.object, None),
        };
        let failed = |error| Failure::Proof { object: secret.clone(), error };
        let wrong = |reason| Failure::WrongSecret {
            object: secret.clone(),
            thumbprint: registered.thumbprint,
            reason,
        };
        let pulled = self.vault.read_key(secret).await.map_err(|error| match error {
            ReadError::Call(error) => NoProof::Call(error),
            ReadError::Unusable(reason) => NoProof::Failure(wrong(reason.to_string())),
        })?;
        let tags = &granted.ca.tags;
        let ca = issuer(&pulled, held, registered, tags).map_err(|unbelieved| match unbelieved {
            Unbelieved::OtherKey => wrong("its key is another one".to_owned()).into(),
            Unbelieved::Missing => {
                wrong("the CA certificate does not stand beside the key; add it to the secret".to_owned())
                    .into()
            }
            Unbelieved::OnlyShown(fingerprint) => NoProof::Denial(Denial::CertificateNotNamed {
                certificate: id.clone(),
                object: secret.clone(),
                fingerprint,
                tags: tags.clone(),
            }),
        })?;
        if !registered.may_have_the_key_of(&ca) {
            return Err(Failure::OtherKey { object: secret.clone() }.into());
        }
        let unsigned = self.unsigned(&ca, code).await.map_err(failed)?;
        announce(secret, &unsigned, record);
        let signature = pulled.sign(&ca, unsigned.tbs()).await.map_err(|error| match error {
            KeyError::Refused(reason) => NoProof::Failure(failed(ProofError::PulledKey(reason))),
            KeyError::Process(error) => NoProof::Call(CallError::Unavailable {
                call: format!("signing with the key in {secret}"),
                status: None,
                reason: error.to_string(),
                retry_after: None,
            }),
        })?;
        Ok(unsigned.assemble(&signature).map_err(failed)?)
    }

    async fn unsigned(
        &self,
        ca: &CaCertificate,
        code: &VerificationCode,
    ) -> Result<UnsignedProof, ProofError> {
        let leaf = self.leaf_keys.public_key_info(ca.algorithm()).await?;
        UnsignedProof::build(ca, code, leaf, (self.now)())
    }
}

/// Written before a key is used, so that no signature is ever made without a trace.
fn announce(key: &ObjectId, unsigned: &UnsignedProof, record: &mut RunRecord) {
    record.uses(key);
    let digest: String = sha256(unsigned.tbs()).iter().map(|byte| format!("{byte:02x}")).collect();
    info!(
        event = "signature.intended",
        thumbprint = record.thumbprint(),
        %key,
        tbsSha256 = digest,
        "about to sign a verification certificate"
    );
}

impl From<CallError> for NoProof {
    fn from(error: CallError) -> Self {
        NoProof::Call(error)
    }
}

impl From<Failure> for NoProof {
    fn from(failure: Failure) -> Self {
        NoProof::Failure(failure)
    }
}

/// Exponential with full jitter, and never less than the peer asked for.
fn pause(nth: u32, at_least: Option<Duration>) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(nth - 1)).min(LONGEST_PAUSE);
    longest.mul_f64(fastrand::f64()).max(at_least.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_drawn_from_all_there_is_up_to_a_bound_that_doubles() {
        fastrand::seed(7);
        let bounds = [200, 400, 800, 1600, 2000, 2000].map(Duration::from_millis);
        for (nth, bound) in (1..).zip(bounds).chain([(u32::MAX, LONGEST_PAUSE)]) {
            let drawn: Vec<Duration> = (0..500).map(|_| pause(nth, None)).collect();
            assert!(drawn.iter().all(|pause| *pause < bound), "{nth}");
            assert!(drawn.iter().any(|pause| *pause < bound / 10), "{nth}: no full jitter");
            assert!(drawn.iter().any(|pause| *pause > bound * 9 / 10), "{nth}: it does not double");
        }
    }

    #[test]
    fn a_peer_is_never_asked_again_before_it_wants_to_be() {
        let wish = Duration::from_secs(7);
        assert_eq!(pause(1, Some(wish)), wish);
        assert_eq!(pause(1, Some(Duration::MAX)), Duration::MAX);
    }
}
