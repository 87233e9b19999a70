//! The decision: what was observed, and what to do next.
//!
//! The event was only a hint, the registry is the truth, and others write to it too. So a run is a loop over
//! observations, and a duplicate event, a crash half-way, a lost answer and a race are all the same case:
//! look again, decide again. Nothing here does I/O, waits, or reads a clock, which is why all of it can be
//! tested as a table.

use std::time::Duration;

use crate::certificate_id::CertificateId;
use crate::error::CallError;
use crate::etag::Etag;
use crate::outcome::{Denial, Failure, Outcome};
use crate::proof::Proof;
use crate::registry::{Challenge, Registered};
use crate::thumbprint::Thumbprint;
use crate::trust::Registries;
use crate::vault::{Found, Search};
use crate::verification_code::VerificationCode;

/// How often one run looks at a certificate that others keep changing, before it leaves the rest to the next
/// delivery.
pub const MAX_LOOKS: u32 = 8;
/// How often one run is put off by a peer that is busy or away.
pub const MAX_TROUBLES: u32 = 3;

/// What one run remembers between its steps.
#[derive(Debug)]
pub struct Verification {
    id: CertificateId,
    looks: u32,
    troubles: u32,
    /// The CA, once found: it need not be searched again while the thumbprint stays.
    found: Option<(Thumbprint, Allowed)>,
    /// For which CA certificate a proof has been handed in.
    handed_in: Option<Thumbprint>,
}

/// A CA whose owner granted its use, and by which entry.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// The vault object.
    pub ca: Found,
    /// The entry of the grant.
    pub rule: String,
}

/// The next step.
#[derive(Debug)]
pub enum Next {
    /// Look at the certificate in the registry.
    Look,
    /// Let the peer recover, then look.
    Wait {
        /// Counts from 1.
        trouble: u32,
        /// How long the peer asked for.
        at_least: Option<Duration>,
        /// What the trouble was.
        reason: String,
    },
    /// Search the vaults for the CA.
    Search(Registered),
    /// Ask for a verification code.
    RequestCode(Registered, Allowed),
    /// Make the proof.
    Prove {
        /// What to sign.
        code: VerificationCode,
        /// The state that the code belongs to.
        registered: Registered,
        /// Whose key signs.
        allowed: Allowed,
    },
    /// Hand in the proof, if nobody wrote since the code was made.
    HandIn(Etag, Proof),
    /// That was it.
    Finish(Outcome),
}

impl Verification {
    /// A run that has observed nothing yet.
    pub fn new(id: CertificateId) -> Verification {
        Verification { id, looks: 0, troubles: 0, found: None, handed_in: None }
    }

    /// Begins, unless the allow-list says that this certificate is none of our business.
    pub fn begin(&self, served: &Registries) -> Next {
        match served.serving(self.id.registry()) {
            Some(_) => Next::Look,
            None => Next::Finish(Outcome::Denied(Denial::NotServed {
                certificate: self.id.clone(),
                served: served.clone(),
            })),
        }
    }

    /// The registry was looked at.
    pub fn looked(&mut self, registered: Option<Registered>) -> Next {
        self.looks += 1;
        let Some(registered) = registered else { return Next::Finish(Outcome::Gone) };
        let proven = self.handed_in == Some(registered.thumbprint);
        match (registered.is_verified, self.found_for(registered.thumbprint)) {
            (true, Some(allowed)) if proven => Next::Finish(Outcome::Verified {
                thumbprint: registered.thumbprint,
                signed_with: allowed.ca.object,
                rule: allowed.rule,
            }),
            (true, _) => Next::Finish(Outcome::AlreadyVerified),
            (false, _) if self.looks > MAX_LOOKS => Next::Finish(Outcome::TryAgain(format!(
                "{} changed {MAX_LOOKS} times while its proof was made",
                self.id
            ))),
            (false, Some(allowed)) => Next::RequestCode(registered, allowed),
            (false, None) => Next::Search(registered),
        }
    }

    /// The vaults were searched.
    pub fn searched(&mut self, registered: Registered, search: Search) -> Next {
        let ca = match search {
            Search::Found(ca) => ca,
            Search::Missing(searched) => {
                return Next::Finish(Outcome::Failed(Failure::CaMissing {
                    name: self.id.name().to_owned(),
                    thumbprint: registered.thumbprint,
                    searched,
                }));
            }
        };
        let Some(rule) = ca.grant.allowing(self.id.registry()).map(str::to_owned) else {
            return Next::Finish(Outcome::Denied(Denial::NotGranted {
                certificate: self.id.clone(),
                object: ca.object,
                grant: ca.grant,
                tags: ca.tags,
            }));
        };
        let allowed = Allowed { ca, rule };
        self.found = Some((registered.thumbprint, allowed.clone()));
        Next::RequestCode(registered, allowed)
    }

    /// A code was handed out. It is for whatever certificate is there now, which may be another one by now.
    pub fn challenged(&mut self, challenge: Challenge) -> Next {
        let Challenge { code, registered } = challenge;
        let Some(allowed) = self.found_for(registered.thumbprint) else { return Next::Look };
        match VerificationCode::parse(&code) {
            Ok(code) => Next::Prove { code, registered, allowed },
            Err(unexpected) => Next::Finish(Outcome::Failed(Failure::Code(unexpected))),
        }
    }

    /// The proof was made.
    pub fn proven(&mut self, registered: &Registered, proof: Proof) -> Next {
        self.handed_in = Some(registered.thumbprint);
        Next::HandIn(registered.etag.clone(), proof)
    }

    /// The proof was taken. What counts is what the registry says when it is asked again.
    pub fn handed_in(&mut self, registered: &Registered) -> Next {
        if registered.is_verified {
            Next::Look
        } else {
            Next::Finish(Outcome::Failed(Failure::NotAccepted { certificate: self.id.clone() }))
        }
    }

    /// A call did not work. Whether it had an effect is unknown, so the way on is always to look.
    pub fn failed(&mut self, error: CallError) -> Next {
        match error {
            CallError::Changed { .. } => Next::Look,
            CallError::Unavailable { retry_after, .. } if self.troubles < MAX_TROUBLES => {
                self.troubles += 1;
                Next::Wait { trouble: self.troubles, at_least: retry_after, reason: error.to_string() }
            }
            CallError::Unavailable { .. } => Next::Finish(Outcome::TryAgain(error.to_string())),
            CallError::Refused { .. } => Next::Finish(Outcome::Failed(Failure::Refused(error))),
        }
    }

    fn found_for(&self, thumbprint: Thumbprint) -> Option<Allowed> {
        let (of, allowed) = self.found.as_ref()?;
        (*of == thumbprint).then(|| allowed.clone())
    }
}

#[cfg(test)]
mod tests;
