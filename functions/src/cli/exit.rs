//! How a command ends, as the shell sees it.

use std::error::Error;
use std::process::ExitCode;

use keyholder::config::Identity;
use keyholder::error;
use keyholder::reason::{DeliveryAnswer, Reason};

use super::output::hint;

/// The exit codes, the most severe last. Of several the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    /// 0
    Done,
    /// 4: a temporary failure.
    TryAgain,
    /// 1: a person has to fix something.
    Failed,
    /// 3: a right, or one of the two locks.
    Denied,
    /// 2: the arguments or the settings.
    Usage,
}

impl Exit {
    /// Reports settings that cannot be used.
    pub(super) fn usage(problem: &str) -> Exit {
        hint(problem);
        Exit::Usage
    }

    /// Reports why the command could not start.
    pub(super) fn failed(problem: &(dyn Error + 'static)) -> Exit {
        hint(&error::chain(problem));
        Exit::Failed
    }

    /// Returns the exit code for a missing identity. An endpoint may still be starting, but waiting does not sign in a
    /// developer.
    pub(super) fn without_identity(identity: &Identity) -> Exit {
        match identity {
            Identity::Developer => Exit::Denied,
            Identity::Managed { .. } | Identity::Workload => Exit::TryAgain,
        }
    }
}

impl From<Reason> for Exit {
    fn from(reason: Reason) -> Exit {
        match (reason, reason.answer()) {
            // The app is done with what is gone; a person who asked for it is not.
            (Reason::Gone, _) => Exit::Failed,
            (
                Reason::RegistryNotAllowed
                | Reason::NoGrant
                | Reason::CertificateNotNamed
                | Reason::AccessRefused
                | Reason::Firewall,
                _,
            ) => Exit::Denied,
            (_, DeliveryAnswer::Done) => Exit::Done,
            (_, DeliveryAnswer::NeedsAction) => Exit::Failed,
            (_, DeliveryAnswer::Retry) => Exit::TryAgain,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Denied => 3,
            Exit::TryAgain => 4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_code() {
        let rows = [
            (Reason::Verified, Exit::Done),
            (Reason::AlreadyVerified, Exit::Done),
            (Reason::VerifiedWithoutProof, Exit::Failed),
            (Reason::Gone, Exit::Failed),
            (Reason::RegistryNotAllowed, Exit::Denied),
            (Reason::NoGrant, Exit::Denied),
            (Reason::AccessRefused, Exit::Denied),
            (Reason::Firewall, Exit::Denied),
            (Reason::CaMissing, Exit::Failed),
            (Reason::KeyDisabled, Exit::Failed),
            (Reason::Throttled, Exit::TryAgain),
            (Reason::Deadline, Exit::TryAgain),
        ];
        for (reason, expected) in rows {
            assert_eq!(Exit::from(reason), expected, "{}", reason.name());
        }
    }

    #[test]
    fn of_several_the_gravest_counts() {
        let all = [Exit::Done, Exit::Denied, Exit::TryAgain, Exit::Failed];
        assert_eq!(all.into_iter().max(), Some(Exit::Denied));
    }
}
