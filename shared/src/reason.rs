//! The table of outcomes: every way a run can end, what it means, and what the Functions host is told.
//!
//! Event Grid delivers an event again for up to a day when it is told that something failed. That is right
//! for what time mends and wrong for what a person has to mend, which is therefore told as a success, loudly
//! logged, and tried again by the sweep.

/// What the Functions host, or Event Grid itself, is told. Of several the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryAnswer {
    /// 200: it is done.
    Done,
    /// 200, with an error in the log: delivering the event again would change nothing.
    NeedsAction,
    /// 503: Event Grid delivers the event again, for up to a day.
    Retry,
}

impl DeliveryAnswer {
    /// The HTTP status. 400, 401, 403 and 413 are none of them: Event Grid would give the event up.
    pub fn status(self) -> u16 {
        match self {
            DeliveryAnswer::Done | DeliveryAnswer::NeedsAction => 200,
            DeliveryAnswer::Retry => 503,
        }
    }

    /// A word for programs.
    pub fn name(self) -> &'static str {
        match self {
            DeliveryAnswer::Done => "done",
            DeliveryAnswer::NeedsAction => "needs-action",
            DeliveryAnswer::Retry => "retry",
        }
    }

    /// In words.
    pub fn meaning(self) -> &'static str {
        match self {
            DeliveryAnswer::Done => "200, done",
            DeliveryAnswer::NeedsAction => "200, and an error in the log",
            DeliveryAnswer::Retry => "503, deliver it again",
        }
    }
}

macro_rules! table {
    ($($variant:ident, $name:literal, $answer:ident, $meaning:literal;)+) => {
        /// How a run ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $(#[doc = $meaning] $variant),+ }

        impl Reason {
            /// All of them, in the order of the table.
            pub const ALL: &[Reason] = &[$(Reason::$variant),+];

            /// One word for logs and counters.
            pub fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name),+ }
            }

            /// What the Functions host is told.
            pub fn answer(self) -> DeliveryAnswer {
                match self { $(Reason::$variant => DeliveryAnswer::$answer),+ }
            }

            /// One sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Reason::$variant => $meaning),+ }
            }
        }
    };
}

table! {
    Verified, "verified", Done, "This run proved possession, and the registry says so.";
    AlreadyVerified, "already-verified", Done, "Nothing was left to do.";
    VerifiedWithoutProof, "verified-without-proof", NeedsAction, "It is verified, and neither a proof by this app nor a granted CA in a vault accounts for it.";
    Gone, "gone", Done, "There is no such certificate (any more).";
    RegistryNotAllowed, "registry-not-allowed", NeedsAction, "The allow-list does not cover the registry.";
    NoGrant, "no-grant", NeedsAction, "The CA's owner did not tag it for the registry.";
    CertificateNotNamed, "certificate-not-named", NeedsAction, "Only the registry shows the CA certificate, and the key's owner did not name it.";
    CaMissing, "ca-missing", NeedsAction, "No vault holds the CA.";
    OtherCertificate, "other-certificate", NeedsAction, "The vault has another certificate under that name.";
    CaDeleted, "ca-deleted", NeedsAction, "The CA is deleted in the vault, and can be recovered.";
    CaExpired, "ca-expired", NeedsAction, "The CA has expired.";
    CaNotYetValid, "ca-not-yet-valid", NeedsAction, "The CA's validity has not begun.";
    CaUnsuitable, "ca-unsuitable", NeedsAction, "The CA's key, name or key identifier is of a kind that cannot be used.";
    NotACa, "not-a-ca", NeedsAction, "The certificate does not say that it is a CA that may sign certificates.";
    OtherKey, "other-key", NeedsAction, "Same thumbprint, and another public key or none that can be read.";
    WrongSecret, "wrong-secret", NeedsAction, "The secret holds no usable key of the CA.";
    UnexpectedCode, "unexpected-code", NeedsAction, "The registry's code is nothing to sign.";
    NoProof, "no-proof", NeedsAction, "The certificate could not be made, or did not pass its checks.";
    KeyDisabled, "key-disabled", NeedsAction, "The key or secret is disabled.";
    KeyCannotSign, "key-cannot-sign", NeedsAction, "The key does not allow signing.";
    KeyNotValidNow, "key-not-valid-now", NeedsAction, "The vault signs only within the key's validity.";
    Firewall, "firewall", NeedsAction, "The vault's firewall keeps the app out.";
    AccessRefused, "access-refused", NeedsAction, "The app's identity lacks a right.";
    Refused, "refused", NeedsAction, "A peer said no.";
    NotAccepted, "not-accepted", NeedsAction, "The registry took the proof and still says unverified.";
    Throttled, "throttled", Retry, "A peer asked to be left alone for a while.";
    TokenRefused, "token-refused", Retry, "A peer did not take the token, or gave none.";
    Unavailable, "unavailable", Retry, "A peer failed.";
    Unreachable, "unreachable", Retry, "A peer did not answer, or not so that it could be read.";
    Contended, "contended", Retry, "Others kept writing to the certificate.";
    Deadline, "deadline", Retry, "Time was up.";
    Overloaded, "overloaded", Retry, "Too many others wait already.";
    Broken, "broken", Retry, "A defect of this program.";
}

/// The table in Markdown, as the README prints it.
pub fn markdown() -> String {
    let rows = Reason::ALL.iter().map(|reason| {
        format!("| `{}` | {} | {} |\n", reason.name(), reason.meaning(), reason.answer().meaning())
    });
    ["| outcome | means | the host is told |\n| --- | --- | --- |\n".to_owned()]
        .into_iter()
        .chain(rows)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_prints_this_very_table() {
        let readme = include_str!("../../README.md");
        assert!(readme.contains(&markdown()), "put this into README.md:\n{}", markdown());
    }
}
