//! The table of outcomes: every way a run can end, what it means, and the answer to the Functions host.
//!
//! Event Grid delivers an event again, for up to a day, when the answer is a failure. That helps against
//! temporary failures only. A problem that needs a person is therefore answered as a success and logged as
//! an error, and the sweep tries again.

/// The answer to the Functions host, or to Event Grid itself. Of several answers the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryAnswer {
    /// 200: the event needs nothing more.
    Done,
    /// 200, and an error in the log: a person has to act, and delivering the event again would not help.
    NeedsAction,
    /// 503: Event Grid delivers the event again, for up to a day.
    Retry,
}

impl DeliveryAnswer {
    /// Returns the HTTP status. It is never 400, 401, 403 or 413, because Event Grid drops an event on those.
    pub fn status(self) -> u16 {
        match self {
            DeliveryAnswer::Done | DeliveryAnswer::NeedsAction => 200,
            DeliveryAnswer::Retry => 503,
        }
    }

    /// Returns the value of the log field `answer`.
    pub fn name(self) -> &'static str {
        match self {
            DeliveryAnswer::Done => "done",
            DeliveryAnswer::NeedsAction => "needs-action",
            DeliveryAnswer::Retry => "retry",
        }
    }

    /// Returns the text for the README's table.
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
            /// All reasons, in the order of the table.
            pub const ALL: &[Reason] = &[$(Reason::$variant),+];

            /// Returns the value of the log field `outcome`.
            pub fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name),+ }
            }

            /// Returns the answer to the Functions host.
            pub fn answer(self) -> DeliveryAnswer {
                match self { $(Reason::$variant => DeliveryAnswer::$answer),+ }
            }

            /// Returns one sentence about what happened.
            pub fn meaning(self) -> &'static str {
                match self { $(Reason::$variant => $meaning),+ }
            }
        }
    };
}

table! {
    Verified, "verified", Done, "This run proved possession, and the registry shows the CA as verified.";
    AlreadyVerified, "already-verified", Done, "Nothing was left to do.";
    VerifiedWithoutProof, "verified-without-proof", NeedsAction, "It is verified, and neither a proof by this app nor a granted CA in a vault accounts for it.";
    Gone, "gone", Done, "The certificate does not exist, or no longer exists.";
    RegistryNotAllowed, "registry-not-allowed", NeedsAction, "The allow-list does not cover the registry.";
    NoGrant, "no-grant", NeedsAction, "The CA's owner did not tag it for the registry.";
    CertificateNotNamed, "certificate-not-named", NeedsAction, "Only the registry shows the CA certificate, and the key's owner did not name it.";
    CaMissing, "ca-missing", NeedsAction, "No vault holds the CA.";
    OtherCertificate, "other-certificate", NeedsAction, "The vault has another certificate under that name.";
    CaDeleted, "ca-deleted", NeedsAction, "The CA is deleted in the vault, and can be recovered.";
    CaExpired, "ca-expired", NeedsAction, "The CA has expired.";
    CaNotYetValid, "ca-not-yet-valid", NeedsAction, "The CA is not valid yet.";
    CaUnsuitable, "ca-unsuitable", NeedsAction, "The CA's key, name or key identifier is of a kind that cannot be used.";
    NotACa, "not-a-ca", NeedsAction, "The certificate does not say that it is a CA that may sign certificates.";
    OtherKey, "other-key", NeedsAction, "Same thumbprint, but another public key or one that cannot be read.";
    WrongSecret, "wrong-secret", NeedsAction, "The secret holds no usable key of the CA.";
    UnexpectedCode, "unexpected-code", NeedsAction, "The registry's verification code does not have the expected form.";
    NoProof, "no-proof", NeedsAction, "The verification certificate could not be made, or did not pass its checks.";
    KeyDisabled, "key-disabled", NeedsAction, "The key or secret is disabled.";
    KeyCannotSign, "key-cannot-sign", NeedsAction, "The key does not allow signing.";
    KeyNotValidNow, "key-not-valid-now", NeedsAction, "The vault signs only within the key's validity.";
    Firewall, "firewall", NeedsAction, "The vault's firewall blocks the app.";
    AccessRefused, "access-refused", NeedsAction, "The app's identity lacks a right.";
    Refused, "refused", NeedsAction, "A service refused a call.";
    NotAccepted, "not-accepted", NeedsAction, "The registry accepted the verification certificate and still shows the CA as unverified.";
    Throttled, "throttled", Retry, "A service throttled us (429).";
    TokenRefused, "token-refused", Retry, "A service rejected the token, or there was none to be had.";
    Unavailable, "unavailable", Retry, "A service failed.";
    Unreachable, "unreachable", Retry, "A service did not answer, or its answer could not be read.";
    Contended, "contended", Retry, "Others kept changing the certificate.";
    Deadline, "deadline", Retry, "The run took longer than its deadline.";
    Overloaded, "overloaded", Retry, "Too many runs were waiting already.";
    Broken, "broken", Retry, "A defect of this program.";
}

/// Returns the table in Markdown, as the README prints it.
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
