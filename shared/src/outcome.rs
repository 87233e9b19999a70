//! How a run can end, and the one table that says what the Functions host is told then.

use std::fmt;

use crate::certificate_id::CertificateId;
use crate::error::{self, CallError};
use crate::proof::ProofError;
use crate::thumbprint::Thumbprint;
use crate::trust::{GRANT_TAG, Grant, Registries};
use crate::vault::ObjectId;
use crate::verification_code::UnexpectedCode;

/// The end of one run.
#[derive(Debug)]
pub enum Outcome {
    /// This run proved possession, and the registry says so.
    Verified {
        /// Of the CA certificate.
        thumbprint: Thumbprint,
        /// The vault object whose key signed.
        signed_with: ObjectId,
        /// The entry of its grant that allowed it.
        rule: String,
    },
    /// Nothing was left to do.
    AlreadyVerified,
    /// There is no such certificate (any more).
    Gone,
    /// One of the two locks is closed.
    Denied(Denial),
    /// A person has to do something first.
    Failed(Failure),
    /// Something was busy or away; the same event, delivered again, may succeed.
    TryAgain(String),
}

/// Which lock was closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The allow-list does not cover the registry.
    #[error(
        "{certificate} belongs to a registry this app does not serve; KEYHOLDER_REGISTRIES is {served}. To serve \
         it, add {} to that setting", .certificate.registry()
    )]
    NotServed {
        /// What was uploaded.
        certificate: CertificateId,
        /// The allow-list.
        served: Registries,
    },
    /// The CA's owner did not grant its use for the registry.
    #[error(
        "{object} may not prove possession for {}: {grant}. Its owner grants it with: {}",
        .certificate.registry(), .object.grant_command(.tags, .certificate.registry().name())
    )]
    NotGranted {
        /// What was uploaded.
        certificate: CertificateId,
        /// The vault object found for it.
        object: ObjectId,
        /// What its tag says.
        grant: Grant,
        /// All of its tags; setting one replaces them all.
        tags: Vec<(String, String)>,
    },
}

/// What a person has to mend.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No vault holds it.
    #[error(
        "no vault holds the CA certificate with thumbprint {thumbprint}: {searched}. Import it with its key: az \
         keyvault certificate import --vault-name <vault> --name {name} --file <ca.pfx> --tags {GRANT_TAG}=<dps>"
    )]
    CaMissing {
        /// The certificate's name in the registry.
        name: String,
        /// The certificate's thumbprint.
        thumbprint: Thumbprint,
        /// Where was looked, and what was found there instead.
        searched: String,
    },
    /// A secret was pulled and holds no key of this CA.
    #[error("{object} does not hold the key of the CA certificate with thumbprint {thumbprint}: {reason}")]
    WrongSecret {
        /// The secret.
        object: ObjectId,
        /// The CA certificate wanted.
        thumbprint: Thumbprint,
        /// What it holds instead.
        reason: String,
    },
    /// The registry's challenge is nothing to sign.
    #[error(transparent)]
    Code(#[from] UnexpectedCode),
    /// The certificate could not be made or did not pass its checks.
    #[error("no proof could be made with {object}: {}", error::chain(.error))]
    Proof {
        /// The vault object of the CA.
        object: ObjectId,
        /// What went wrong.
        error: ProofError,
    },
    /// A peer said no.
    #[error("{0}")]
    Refused(CallError),
    /// The registry took the proof and still calls the certificate unverified.
    #[error("{certificate} is still unverified although the registry accepted the proof")]
    NotAccepted {
        /// What was uploaded.
        certificate: CertificateId,
    },
}

/// What the Functions host is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: it is done.
    Done,
    /// 200, with an error in the log: delivering the event again would change nothing.
    Loud,
    /// 503: Event Grid delivers the event again, for up to a day.
    DeliverAgain,
}

impl Outcome {
    /// The table.
    pub fn answer(&self) -> Answer {
        match self {
            Outcome::Verified { .. } | Outcome::AlreadyVerified | Outcome::Gone => Answer::Done,
            Outcome::Denied(_) | Outcome::Failed(_) => Answer::Loud,
            Outcome::TryAgain(_) => Answer::DeliverAgain,
        }
    }

    /// One word for logs and counters.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Verified { .. } => "verified",
            Outcome::AlreadyVerified => "already-verified",
            Outcome::Gone => "gone",
            Outcome::Denied(_) => "denied",
            Outcome::Failed(_) => "failed",
            Outcome::TryAgain(_) => "try-again",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Verified { thumbprint, signed_with, rule } => {
                write!(f, "verified: thumbprint {thumbprint}, signed with {signed_with}, granted by {rule:?}")
            }
            Outcome::AlreadyVerified => write!(f, "already verified: nothing to do"),
            Outcome::Gone => write!(f, "gone: there is no such certificate"),
            Outcome::Denied(denial) => write!(f, "denied: {denial}"),
            Outcome::Failed(failure) => write!(f, "failed: {failure}"),
            Outcome::TryAgain(reason) => write!(f, "try again: {reason}"),
        }
    }
}
