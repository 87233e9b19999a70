//! The sweep's look at what is verified already: a certificate that nothing accounts for ([`crate::accounting`]) is
//! reported at every sweep, until it is deleted or accounted for. That finds those that no event told of, too.
//!
//! It costs one call to a vault for each certificate that is accounted for. For the others the vaults' lists are read
//! once in a sweep, however many they are.

use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};
use tracing::error;

use super::Report;
use crate::accounting::{Unaccounted, account};
use crate::error::CallError;
use crate::registry::{ListedCertificate, Registry};
use crate::vault::{Vault, Wanted};
use crate::verifier::Verifier;

/// How many certificates are looked for at once; beside them goes what a sweep verifies.
const AT_ONCE: usize = 4;
/// How many certificates one line names; the rest are counted.
const NAMED: usize = 50;
/// For how many it says why.
const EXPLAINED: usize = 5;

/// A verified certificate that nothing accounts for.
#[derive(Debug)]
pub struct Unproven {
    /// What the list says of it.
    pub listed: ListedCertificate,
    /// Why it is none.
    pub why: Unaccounted,
}

/// What came of looking.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) unproven: Vec<Unproven>,
    /// Those that could not be looked for, or that there was no time for.
    pub(super) left: usize,
    /// Why one of them could not.
    pub(super) error: Option<CallError>,
}

impl<R: Registry, V: Vault> Verifier<R, V> {
    /// Looks for the CAs of verified certificates until the end comes.
    pub(super) async fn check_verified(&self, verified: Vec<ListedCertificate>, end: Instant) -> Checked {
        let begun = Instant::now();
        let mut checked = Checked { left: verified.len(), ..Checked::default() };
        let mut checks = stream::iter(verified)
            .map(|listed| async move {
                let why = self.unaccounted(&listed, begun).await;
                (listed, why)
            })
            .buffer_unordered(AT_ONCE);
        while let Ok(Some((listed, why))) = timeout_at(end, checks.next()).await {
            match why {
                Ok(None) => checked.left -= 1,
                Ok(Some(why)) => {
                    checked.left -= 1;
                    checked.unproven.push(Unproven { listed, why });
                }
                Err(error) => _ = checked.error.get_or_insert(error),
            }
        }
        checked
    }

    async fn unaccounted(
        &self,
        listed: &ListedCertificate,
        as_of: Instant,
    ) -> Result<Option<Unaccounted>, CallError> {
        let Some(thumbprint) = listed.thumbprint else { return Ok(Some(Unaccounted::NoThumbprint)) };
        if self.accounts_for(&listed.id, thumbprint) {
            return Ok(None);
        }
        let name = listed.id.name();
        let prefetched = self.vault.prefetch(name).await;
        let search = self.vault.find(Wanted { name, thumbprint, as_of }, prefetched).await?;
        Ok(account(listed.id.registry(), thumbprint, None, search).err())
    }
}

impl Report {
    /// Writes one line about all of them.
    pub(super) fn log_unproven(&self) {
        if self.unproven.is_empty() {
            return;
        }
        let ids: Vec<String> =
            self.unproven.iter().take(NAMED).map(|one| one.listed.id.to_string()).collect();
        let explained = self.unproven.iter().take(EXPLAINED);
        let (reasons, remedies): (Vec<String>, Vec<String>) = explained
            .map(|Unproven { listed, why }| {
                let (name, registry) = (listed.id.name(), listed.id.registry());
                let remedy = why.remedy(registry, listed.thumbprint);
                (format!("{name} in {}: {why}", registry.name()), format!("{name}: {remedy}"))
            })
            .unzip();
        error!(
            event = "sweep.unproven",
            unproven = self.unproven.len(),
            certificates = ids.join(", "),
            reason = reasons.join("; "),
            remedy = format!("delete each that is not yours. For one that is: {}", remedies.join("; ")),
            "certificates are verified, and neither a proof by this app nor a granted CA in a vault accounts for them"
        );
    }
}
