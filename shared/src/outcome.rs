//! How a run can end, with everything an operator needs to know. The answer to the Functions host is in the
//! table of [`crate::reason`].

use std::fmt;
use std::time::Duration;

use crate::accounting::Unaccounted;
use crate::ca::UnsuitableCa;
use crate::certificate_id::CertificateId;
use crate::error::{self, CallError};
use crate::fingerprint::Fingerprint;
use crate::proof::ProofError;
use crate::reason::Reason;
use crate::thumbprint::Thumbprint;
use crate::trust::GRANT_TAG;
use crate::vault::{ObjectId, Version};
use crate::verification_code::UnexpectedCode;

/// The end of one run.
#[derive(Debug)]
pub enum Outcome {
    /// This run proved possession, and the registry shows the CA as verified.
    Verified {
        /// Of the CA certificate.
        thumbprint: Thumbprint,
        /// The vault object whose key signed.
        signed_with: ObjectId,
        /// The entry of the allow-list that covers the registry.
        allowed_by: String,
        /// The entry of the CA's grant that allows it.
        granted_by: String,
    },
    /// Nothing was left to do.
    AlreadyVerified,
    /// The certificate is verified and nothing accounts for that. Its upload may have set `isVerified`.
    VerifiedWithoutProof {
        /// What was uploaded.
        certificate: CertificateId,
        /// Of the CA certificate.
        thumbprint: Thumbprint,
        /// Why nothing accounts for it.
        why: Unaccounted,
    },
    /// The certificate does not exist, or no longer exists.
    Gone,
    /// One of the two locks is closed.
    Denied(Denial),
    /// A person has to fix something first.
    Failed(Failure),
    /// A temporary failure. The same event, delivered again, may succeed.
    TryAgain(TemporaryFailure),
}

/// Which lock was closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The allow-list does not cover the registry.
    #[error("{certificate} belongs to a registry that KEYHOLDER_REGISTRIES does not cover")]
    NotAllowed {
        /// What was uploaded.
        certificate: CertificateId,
    },
    /// The CA's owner did not grant its use for the registry.
    #[error("{object} may not prove possession for {}: {}", .certificate.registry(), why_not(.object, .lacking))]
    NotGranted {
        /// What was uploaded.
        certificate: CertificateId,
        /// The vault object found for it.
        object: ObjectId,
        /// The versions that would have to grant it and do not: the one that was found, the newest, or both.
        lacking: Vec<Version>,
        /// Whether the version that was found is the newest.
        is_newest: bool,
    },
    /// The vault object holds the key alone, and the certificate that the registry shows may be the uploader's work.
    #[error(
        "the registry alone shows {certificate}: {object} holds its key but not the certificate, the key itself did \
         not sign it, and no tag of {object} names it. It has the SHA-256 fingerprint {fingerprint}"
    )]
    CertificateNotNamed {
        /// What was uploaded.
        certificate: CertificateId,
        /// The secret with the key.
        object: ObjectId,
        /// Of the certificate that the registry shows.
        fingerprint: Fingerprint,
        /// All tags of the object; setting one replaces them all.
        tags: Vec<(String, String)>,
    },
}

/// A problem that a person has to fix.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No vault holds it.
    #[error("no vault holds the CA certificate with thumbprint {thumbprint}: {searched}")]
    CaMissing {
        /// The certificate's name in the registry.
        name: String,
        /// The certificate's thumbprint.
        thumbprint: Thumbprint,
        /// Where was looked.
        searched: String,
    },
    /// Something else has its name.
    #[error(
        "{object} has the name of the uploaded CA certificate and is another one, in every version: it has \
         thumbprint {found}, the uploaded one {thumbprint}"
    )]
    OtherCertificate {
        /// What has the name.
        object: ObjectId,
        /// Its thumbprint.
        found: Thumbprint,
        /// The thumbprint of what was uploaded.
        thumbprint: Thumbprint,
    },
    /// It has been deleted.
    #[error("{object} is the uploaded CA, and it is deleted")]
    CaDeleted {
        /// What was deleted.
        object: ObjectId,
    },
    /// It cannot prove anything, for example because it has expired.
    #[error("{object} cannot prove possession: {reason}")]
    CaUnsuitable {
        /// The CA in the vault.
        object: ObjectId,
        /// Why not.
        reason: UnsuitableCa,
    },
    /// Same SHA-1, another key: the uploaded certificate imitates the CA's.
    #[error(
        "{object} has the thumbprint of the uploaded CA certificate, but what the registry shows has another public key \
         or cannot be read; nothing was signed"
    )]
    OtherKey {
        /// The CA in the vault.
        object: ObjectId,
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
    /// The registry's code does not have the expected form.
    #[error(transparent)]
    Code(#[from] UnexpectedCode),
    /// The certificate could not be made or did not pass its checks.
    #[error("no verification certificate could be made with {object}: {}", error::chain(.error))]
    Proof {
        /// The vault object of the CA.
        object: ObjectId,
        /// What went wrong.
        error: ProofError,
    },
    /// A service refused a call.
    #[error("{0}")]
    Refused(CallError),
    /// The registry accepted the verification certificate and still shows the CA as unverified.
    #[error("{certificate} is still unverified although the registry accepted the verification certificate")]
    NotAccepted {
        /// What was uploaded.
        certificate: CertificateId,
    },
}

/// A failure that may be gone when the event is delivered again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemporaryFailure {
    /// A service was busy or unreachable more often than one run retries.
    #[error("{0}")]
    Unavailable(CallError),
    /// Others kept changing the certificate.
    #[error("{certificate} changed {looks} times during the run")]
    Contended {
        /// What was uploaded.
        certificate: CertificateId,
        /// How often it was looked at.
        looks: u32,
    },
    /// The run took longer than its deadline.
    #[error("{certificate} took longer than {} s", .limit.as_secs())]
    Deadline {
        /// What was uploaded.
        certificate: CertificateId,
        /// How long a run may take.
        limit: Duration,
    },
    /// Too many runs were waiting in this process.
    #[error("the run for {certificate} was not started because too many others are waiting")]
    Overloaded {
        /// What was uploaded.
        certificate: CertificateId,
    },
    /// The run panicked; where and why stands in the log.
    #[error("the run for {certificate} failed because of a defect in this program")]
    Broken {
        /// What was uploaded.
        certificate: CertificateId,
    },
}

impl Outcome {
    /// Returns its row in the table of outcomes.
    pub fn reason(&self) -> Reason {
        match self {
            Outcome::Verified { .. } => Reason::Verified,
            Outcome::AlreadyVerified => Reason::AlreadyVerified,
            Outcome::VerifiedWithoutProof { .. } => Reason::VerifiedWithoutProof,
            Outcome::Gone => Reason::Gone,
            Outcome::Denied(Denial::NotAllowed { .. }) => Reason::RegistryNotAllowed,
            Outcome::Denied(Denial::NotGranted { .. }) => Reason::NoGrant,
            Outcome::Denied(Denial::CertificateNotNamed { .. }) => Reason::CertificateNotNamed,
            Outcome::Failed(failure) => failure.reason(),
            Outcome::TryAgain(failure) => failure.reason(),
        }
    }

    /// Returns the remedy, where one is known: a command, or a sentence with one.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Outcome::Denied(denial) => Some(denial.remedy()),
            Outcome::Failed(failure) => failure.remedy(),
            Outcome::VerifiedWithoutProof { certificate, thumbprint, why } => Some(format!(
                "if the CA is not yours, delete the certificate: {}; if it is, {}",
                delete_command(certificate),
                why.remedy(certificate.registry(), Some(*thumbprint))
            )),
            Outcome::Verified { .. } | Outcome::AlreadyVerified | Outcome::Gone | Outcome::TryAgain(_) => {
                None
            }
        }
    }

    /// Returns how the run ended, for the caller who delivered the event. It names nothing that a vault or a setting holds.
    pub fn summary(&self) -> String {
        let reason = self.reason().name();
        match self {
            Outcome::Verified { .. } => "verified".to_owned(),
            Outcome::AlreadyVerified => "already verified".to_owned(),
            Outcome::VerifiedWithoutProof { .. } => "verified without proof".to_owned(),
            Outcome::Gone => "gone".to_owned(),
            Outcome::Denied(_) => format!("denied: {reason}"),
            Outcome::Failed(_) => format!("failed: {reason}"),
            Outcome::TryAgain(_) => format!("try again: {reason}"),
        }
    }

    /// Returns the command that tags what was denied and keeps every other tag, for an operator who may read the tags.
    /// Returns `None` where there are no other tags, or where one would need the quotes of a certain shell.
    pub fn whole_command(&self) -> Option<String> {
        match self {
            Outcome::Denied(Denial::NotGranted { certificate, lacking, is_newest, .. }) => {
                let registry = certificate.registry().name();
                let whole = |version: &Version| {
                    addressed(version, *is_newest).whole_grant_command(&version.tags, registry)
                };
                let commands: Option<Vec<String>> = lacking.iter().map(whole).collect();
                commands.map(|commands| commands.join(" && "))
            }
            Outcome::Denied(Denial::CertificateNotNamed { object, fingerprint, tags, .. }) => {
                object.whole_naming_command(tags, fingerprint)
            }
            _ => None,
        }
    }

    /// Returns why the run ended this way.
    pub fn explanation(&self) -> String {
        match self {
            Outcome::Denied(denial) => denial.to_string(),
            Outcome::Failed(failure) => failure.to_string(),
            Outcome::TryAgain(failure) => failure.to_string(),
            Outcome::VerifiedWithoutProof { certificate, thumbprint, why } => format!(
                "{certificate} with thumbprint {thumbprint} is verified, and neither a proof by this app nor a granted CA in \
                 a vault accounts for it; {why}"
            ),
            ended => ended.reason().meaning().to_owned(),
        }
    }
}

/// Returns the command that deletes a certificate, in the state an operator has seen, from its registry.
fn delete_command(certificate: &CertificateId) -> String {
    let registry = certificate.registry();
    format!(
        "az iot dps certificate delete --subscription {} --resource-group {} --dps-name {} --name {} --etag <etag>",
        registry.subscription(),
        registry.resource_group(),
        registry.name(),
        certificate.name()
    )
}

/// Returns the object as a command names it. A command about the newest version needs no version id.
fn addressed(Version { object, .. }: &Version, is_newest: bool) -> ObjectId {
    if is_newest { object.of_newest_version() } else { object.clone() }
}

/// Returns what each version says that does not grant the registry.
fn why_not(found: &ObjectId, lacking: &[Version]) -> String {
    let why = |Version { object, grant, .. }: &Version| match object == found {
        true => grant.to_string(),
        false => format!(
            "an older version may be used only while the newest grants it too, and of {object}: {grant}"
        ),
    };
    lacking.iter().map(why).collect::<Vec<_>>().join("; ")
}

impl Denial {
    fn remedy(&self) -> String {
        match self {
            Denial::NotAllowed { certificate, .. } => {
                format!("to allow it, add {} to KEYHOLDER_REGISTRIES", certificate.registry())
            }
            Denial::NotGranted { certificate, lacking, is_newest, .. } => {
                let registry = certificate.registry().name();
                let command =
                    |version: &Version| addressed(version, *is_newest).grant_command(&version.tags, registry);
                let commands: Vec<String> = lacking.iter().map(command).collect();
                format!("its owner grants it with: {}", commands.join(" && "))
            }
            Denial::CertificateNotNamed { object, fingerprint, tags, .. } => {
                let naming = object.naming_command(tags, fingerprint);
                format!(
                    "if the key's owner issued this certificate (openssl x509 -in ca.pem -noout -fingerprint -sha256), \
                     they add it to the secret, or name it with: {naming}"
                )
            }
        }
    }
}

impl Failure {
    fn remedy(&self) -> Option<String> {
        match self {
            Failure::CaMissing { name, .. } => Some(format!(
                "import it with its key: az keyvault certificate import --vault-name <vault> --name {name} --file \
                 <ca.pfx> --tags {GRANT_TAG}=<dps>"
            )),
            Failure::OtherCertificate { object, .. } => Some(format!(
                "import the uploaded one with its key, or upload the one in the vault: az keyvault certificate \
                 download --vault-name {} --name {} --file ca.pem",
                object.vault_name(),
                object.name()
            )),
            Failure::CaDeleted { object } => Some(format!("to get it back: {}", object.command("recover"))),
            Failure::Refused(error) => error.remedy().map(str::to_owned),
            Failure::CaUnsuitable { reason: UnsuitableCa::Expired { .. }, .. } => {
                Some("renew the CA, and upload the new certificate".to_owned())
            }
            Failure::CaUnsuitable { reason: UnsuitableCa::NotACa(_), .. }
            | Failure::Proof { error: ProofError::Ca(UnsuitableCa::NotACa(_)), .. } => Some(
                "issue the CA certificate with basicConstraints=critical,CA:TRUE and \
                 keyUsage=critical,keyCertSign,cRLSign, import it into the vault, and upload it; what it says now: openssl \
                 x509 -in ca.pem -noout -ext basicConstraints,keyUsage"
                    .to_owned(),
            ),
            Failure::CaUnsuitable { .. }
            | Failure::OtherKey { .. }
            | Failure::WrongSecret { .. }
            | Failure::Code(_)
            | Failure::Proof { .. }
            | Failure::NotAccepted { .. } => None,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Failure::CaMissing { .. } => Reason::CaMissing,
            Failure::OtherCertificate { .. } => Reason::OtherCertificate,
            Failure::CaDeleted { .. } => Reason::CaDeleted,
            Failure::CaUnsuitable { reason, .. } | Failure::Proof { error: ProofError::Ca(reason), .. } => {
                match reason {
                    UnsuitableCa::Expired { .. } => Reason::CaExpired,
                    UnsuitableCa::NotYetValid { .. } => Reason::CaNotYetValid,
                    UnsuitableCa::NotACa(_) => Reason::NotACa,
                    UnsuitableCa::Key(_) | UnsuitableCa::Unreadable(_) | UnsuitableCa::TooLong { .. } => {
                        Reason::CaUnsuitable
                    }
                }
            }
            Failure::OtherKey { .. } => Reason::OtherKey,
            Failure::WrongSecret { .. } => Reason::WrongSecret,
            Failure::Code(_) => Reason::UnexpectedCode,
            Failure::Proof { .. } => Reason::NoProof,
            Failure::Refused(error) => error.reason(),
            Failure::NotAccepted { .. } => Reason::NotAccepted,
        }
    }
}

impl TemporaryFailure {
    fn reason(&self) -> Reason {
        match self {
            TemporaryFailure::Unavailable(error) => error.reason(),
            TemporaryFailure::Contended { .. } => Reason::Contended,
            TemporaryFailure::Deadline { .. } => Reason::Deadline,
            TemporaryFailure::Overloaded { .. } => Reason::Overloaded,
            TemporaryFailure::Broken { .. } => Reason::Broken,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Verified { thumbprint, signed_with, allowed_by, granted_by } => write!(
                f,
                "verified: thumbprint {thumbprint}, signed with {signed_with}, allowed by {allowed_by}, granted by \
                 {granted_by:?}"
            ),
            Outcome::AlreadyVerified => write!(f, "already verified: nothing to do"),
            Outcome::VerifiedWithoutProof { .. } => {
                write!(f, "verified without proof: {}", self.explanation())
            }
            Outcome::Gone => write!(f, "gone: there is no such certificate"),
            Outcome::Denied(denial) => write!(f, "denied: {denial}"),
            Outcome::Failed(failure) => write!(f, "failed: {failure}"),
            Outcome::TryAgain(reason) => write!(f, "try again: {reason}"),
        }?;
        self.remedy().map_or(Ok(()), |remedy| write!(f, ". To fix it: {remedy}"))
    }
}
