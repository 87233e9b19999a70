//! Decides what a run does next, from what it has observed.
//!
//! The event is only a hint. The registry holds the truth, and others write to it too. So a run is a loop over
//! observations: a duplicate event, a crash, a lost answer and a race are all handled by looking again and
//! deciding again. Nothing here does I/O, waits, or reads a clock, so all of it can be tested as a table.

use std::time::Duration;

use time::OffsetDateTime;

use crate::accounting::account;
use crate::certificate_id::CertificateId;
use crate::error::CallError;
use crate::etag::Etag;
use crate::event::Upload;
use crate::outcome::{Denial, Failure, Outcome, TemporaryFailure};
use crate::proof::Proof;
use crate::registry::{Challenge, Registered};
use crate::thumbprint::Thumbprint;
use crate::trust::AllowedRegistries;
use crate::vault::{Candidate, Found, KeyUse, Search};
use crate::verification_code::VerificationCode;

/// How often one run looks at a certificate that others keep changing. After that, the next delivery continues.
pub const MAX_LOOKS: u32 = 8;
/// How often one run waits for a service that is busy or unreachable.
pub const MAX_TEMPORARY_FAILURES: u32 = 3;

/// What one run remembers between its steps.
#[derive(Debug)]
pub struct Verification {
    id: CertificateId,
    looks: u32,
    /// How often someone else changed the certificate between a look and a write of this run.
    changes: u32,
    temporary_failures: u32,
    /// The CA, once found. It stays valid while the thumbprint stays the same.
    found: Option<(Thumbprint, GrantedCa)>,
    /// The entry of the allow-list that covers the registry.
    allowed_by: String,
    /// The CA certificate for which a verification certificate was submitted.
    submitted: Option<Thumbprint>,
    /// The CA certificate that may be verified without a look into the vaults.
    accounted_for: Option<Thumbprint>,
}

/// A CA that its owner granted to the registry, and the entry of the grant.
#[derive(Clone, Debug)]
pub struct GrantedCa {
    /// The vault object.
    pub ca: Found,
    /// The entry of the grant.
    pub rule: String,
}

/// What a run does next.
#[derive(Debug)]
// A run holds one of it at a time, so a box would save nothing.
#[allow(clippy::large_enum_variant)]
pub enum Next {
    /// Take a step, and decide again.
    Do(Step),
    /// End the run.
    Finish(Outcome),
}

/// One step of a run.
#[derive(Debug)]
pub enum Step {
    /// Look at the certificate in the registry.
    Look,
    /// Wait for a service to recover, or for another process to finish, and then look.
    Wait {
        /// Counts from 1. Lost races and temporary failures are counted apart.
        nth: u32,
        /// The service's `Retry-After`.
        at_least: Option<Duration>,
        /// Why the run waits.
        error: CallError,
    },
    /// Search the vaults for the CA.
    Search(Registered),
    /// Ask for a verification code.
    RequestCode(Registered, GrantedCa),
    /// Make the verification certificate.
    Prove {
        /// What to sign.
        code: VerificationCode,
        /// The state that the code belongs to.
        registered: Registered,
        /// Whose key signs.
        granted: GrantedCa,
    },
    /// Submit the verification certificate, with the etag that came with the code as If-Match.
    Submit(Etag, Proof),
}

impl Verification {
    /// Creates a run that has observed nothing yet.
    pub fn new(upload: Upload) -> Verification {
        Verification {
            id: upload.id,
            looks: 0,
            changes: 0,
            temporary_failures: 0,
            found: None,
            allowed_by: String::new(),
            submitted: None,
            accounted_for: None,
        }
    }

    /// Begins the run, or ends it if the allow-list does not cover the registry.
    pub fn begin(&mut self, allowed: &AllowedRegistries) -> Next {
        match allowed.allowing(self.id.registry()) {
            Some(scope) => {
                self.allowed_by = scope.to_string();
                Next::Do(Step::Look)
            }
            None => Next::Finish(Outcome::Denied(Denial::NotAllowed { certificate: self.id.clone() })),
        }
    }

    /// Returns whether the run has found the CA, so that a look needs no search after it.
    pub fn has_found(&self) -> bool {
        self.found.is_some()
    }

    /// Notes that a CA certificate may be verified already: this process proved it before, or an operator named it.
    pub fn account_for(&mut self, thumbprint: Thumbprint) {
        self.accounted_for = Some(thumbprint);
    }

    /// Decides after a look at the registry. If a certificate is verified and this run has not found its CA, the vaults
    /// are searched for a grant.
    pub fn looked(&mut self, registered: Option<Registered>) -> Next {
        self.looks += 1;
        let Some(registered) = registered else { return Next::Finish(Outcome::Gone) };
        let proven = self.submitted == Some(registered.thumbprint);
        match (registered.is_verified, self.found_for(registered.thumbprint)) {
            (true, Some(granted)) if proven => Next::Finish(Outcome::Verified {
                thumbprint: registered.thumbprint,
                signed_with: granted.ca.object,
                allowed_by: self.allowed_by.clone(),
                granted_by: granted.rule,
            }),
            (true, None) if self.accounted_for != Some(registered.thumbprint) => {
                Next::Do(Step::Search(registered))
            }
            (true, _) => Next::Finish(Outcome::AlreadyVerified),
            (false, _) if self.looks > MAX_LOOKS => Next::Finish(Outcome::TryAgain(self.contended())),
            (false, Some(granted)) => Next::Do(Step::RequestCode(registered, granted)),
            (false, None) => Next::Do(Step::Search(registered)),
        }
    }

    /// Decides after a search of the vaults.
    pub fn searched(&mut self, registered: Registered, search: Search, now: OffsetDateTime) -> Next {
        if registered.is_verified {
            return Next::Finish(self.accounted(&registered, search));
        }
        let ca = match search {
            Search::Found(ca) => *ca,
            Search::Missing(seen) => {
                return Next::Finish(Outcome::Failed(self.missing(registered.thumbprint, seen)));
            }
        };
        let rule = match ca.granted_by(self.id.registry()) {
            Ok(rule) => rule.to_owned(),
            Err(lacking) => {
                return Next::Finish(Outcome::Denied(Denial::NotGranted {
                    certificate: self.id.clone(),
                    is_newest: ca.newest.is_empty(),
                    object: ca.object,
                    lacking,
                }));
            }
        };
        // A certificate beside a key in a secret is judged when that is read, before its key is used; until then what
        // the registry shows can only speak against it.
        let issuer = match &ca.key {
            KeyUse::SignInVault { certificate, .. } => Some(certificate.clone()),
            KeyUse::ReadSecret => registered.shown(),
        };
        if let Some(Err(reason)) = issuer.map(|issuer| issuer.check_may_issue(now)) {
            return Next::Finish(Outcome::Failed(Failure::CaUnsuitable { object: ca.object, reason }));
        }
        let granted = GrantedCa { ca, rule };
        self.found = Some((registered.thumbprint, granted.clone()));
        Next::Do(Step::RequestCode(registered, granted))
    }

    /// Decides after the registry returned a code. The code is for the certificate that is there now, which may be
    /// another one than before.
    pub fn challenged(&mut self, challenge: Challenge) -> Next {
        let Challenge { code, registered } = challenge;
        let Some(granted) = self.found_for(registered.thumbprint) else { return Next::Do(Step::Look) };
        // A key in a secret is looked at when it is pulled.
        if let KeyUse::SignInVault { certificate, .. } = &granted.ca.key
            && !registered.may_have_the_key_of(certificate)
        {
            return Next::Finish(Outcome::Failed(Failure::OtherKey { object: granted.ca.object }));
        }
        match VerificationCode::parse(&code) {
            Ok(code) => Next::Do(Step::Prove { code, registered, granted }),
            Err(unexpected) => Next::Finish(Outcome::Failed(Failure::Code(unexpected))),
        }
    }

    /// Decides after the verification certificate was made.
    pub fn proven(&mut self, registered: &Registered, proof: Proof) -> Next {
        self.submitted = Some(registered.thumbprint);
        Next::Do(Step::Submit(registered.etag.clone(), proof))
    }

    /// Decides after the registry accepted the verification certificate. The result counts only when the registry
    /// shows it at the next look.
    pub fn submitted(&mut self, registered: &Registered) -> Next {
        if registered.is_verified {
            Next::Do(Step::Look)
        } else {
            Next::Finish(Outcome::Failed(Failure::NotAccepted { certificate: self.id.clone() }))
        }
    }

    /// Decides after a call failed. Whether the call had an effect is mostly unknown, so the run looks again. It waits
    /// first, so that another process with the same certificate can finish: two that never pause void each other's
    /// codes.
    pub fn failed(&mut self, error: CallError) -> Next {
        match error {
            CallError::Changed { .. } if self.changes == MAX_LOOKS => {
                Next::Finish(Outcome::TryAgain(self.contended()))
            }
            CallError::Changed { .. } => {
                self.changes += 1;
                // This is the only failure that is known to have had no effect. If the certificate is verified now,
                // another process did it.
                self.submitted = None;
                Next::Do(Step::Wait { nth: self.changes, at_least: None, error })
            }
            CallError::Unavailable { retry_after, .. }
                if self.temporary_failures < MAX_TEMPORARY_FAILURES =>
            {
                self.temporary_failures += 1;
                Next::Do(Step::Wait { nth: self.temporary_failures, at_least: retry_after, error })
            }
            CallError::Unavailable { .. } => {
                Next::Finish(Outcome::TryAgain(TemporaryFailure::Unavailable(error)))
            }
            CallError::Refused { .. } => Next::Finish(Outcome::Failed(Failure::Refused(error))),
        }
    }

    fn contended(&self) -> TemporaryFailure {
        TemporaryFailure::Contended { certificate: self.id.clone(), looks: MAX_LOOKS }
    }

    /// Returns the outcome for a certificate that is verified, by whether something accounts for it.
    fn accounted(&self, registered: &Registered, search: Search) -> Outcome {
        let thumbprint = registered.thumbprint;
        match account(self.id.registry(), thumbprint, Some(registered), search) {
            Ok(()) => Outcome::AlreadyVerified,
            Err(why) => Outcome::VerifiedWithoutProof { certificate: self.id.clone(), thumbprint, why },
        }
    }

    /// Returns the failure for a CA that was not found, by the most useful of the candidates.
    fn missing(&self, thumbprint: Thumbprint, seen: Vec<Candidate>) -> Failure {
        let searched = seen.iter().map(Candidate::to_string).collect::<Vec<_>>().join("; ");
        let telling = seen.into_iter().min_by_key(|candidate| match candidate {
            Candidate::Deleted(_) => 0,
            Candidate::Other { .. } => 1,
            Candidate::Nothing(_) => 2,
        });
        match telling {
            Some(Candidate::Deleted(object)) => Failure::CaDeleted { object },
            Some(Candidate::Other { object, thumbprint: found }) => {
                Failure::OtherCertificate { object, found, thumbprint }
            }
            Some(Candidate::Nothing(_)) | None => {
                Failure::CaMissing { name: self.id.name().to_owned(), thumbprint, searched }
            }
        }
    }

    fn found_for(&self, thumbprint: Thumbprint) -> Option<GrantedCa> {
        let (of, granted) = self.found.as_ref()?;
        (*of == thumbprint).then(|| granted.clone())
    }
}

#[cfg(test)]
mod tests;
