//! Which certificate of a vault has which thumbprint.
//!
//! A vault can only be listed, 25 certificates a call, so the list is kept for a minute and read by one
//! caller at a time, whoever else needs it waiting for that one. A miss reads it once more, unless that has
//! happened since the question was asked: the CA may have been imported a moment ago.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::CallError;
use crate::thumbprint::Thumbprint;

/// How old a list may be that is asked for a CA it knows.
const LIFETIME: Duration = Duration::from_secs(60);

/// Names by thumbprint; of a certificate that is there twice, the first name.
pub(super) type Names = HashMap<Thumbprint, String>;

/// The list of one vault.
#[derive(Debug, Default)]
pub(super) struct Directory(Mutex<Option<Listing>>);

#[derive(Debug)]
struct Listing {
    names: Arc<Names>,
    /// When reading it began: what was imported later may be missing.
    begun: Instant,
}

impl Directory {
    /// The name of the certificate with this thumbprint; `read` lists the vault.
    pub(super) async fn find<F>(
        &self,
        wanted: Thumbprint,
        read: impl Fn() -> F,
    ) -> Result<Option<String>, CallError>
    where
        F: Future<Output = Result<Names, CallError>>,
    {
        let asked = Instant::now();
        let oldest = asked.checked_sub(LIFETIME).unwrap_or(asked);
        let known = self.names(oldest, &read).await?;
        if let Some(name) = known.get(&wanted) {
            return Ok(Some(name.clone()));
        }
        Ok(self.names(asked, &read).await?.get(&wanted).cloned())
    }

    async fn names<F>(&self, oldest: Instant, read: impl Fn() -> F) -> Result<Arc<Names>, CallError>
    where
        F: Future<Output = Result<Names, CallError>>,
    {
        let mut listing = self.0.lock().await;
        if let Some(listing) = listing.as_ref().filter(|listing| listing.begun >= oldest) {
            return Ok(listing.names.clone());
        }
        let begun = Instant::now();
        let names = Arc::new(read().await?);
        *listing = Some(Listing { names: names.clone(), begun });
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;
    use tokio::time::{advance, sleep};

    use super::*;

    fn thumbprint(of: u8) -> Thumbprint {
        Thumbprint::of(&[of])
    }

    /// A vault that holds one CA and counts how often it is listed.
    #[derive(Default)]
    struct Vault {
        listed: AtomicU32,
        also: std::sync::Mutex<Option<u8>>,
    }

    impl Vault {
        async fn list(&self) -> Result<Names, CallError> {
            self.listed.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(50)).await;
            let also = *self.also.lock().expect("no test panics while holding it");
            Ok([1].into_iter().chain(also).map(|of| (thumbprint(of), format!("ca-{of}"))).collect())
        }

        fn listed(&self) -> u32 {
            self.listed.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_is_read_once_a_minute_for_what_it_knows() {
        let (vault, directory) = (Vault::default(), Directory::default());
        let find = || directory.find(thumbprint(1), || vault.list());
        for _ in 0..5 {
            assert_eq!(find().await, Ok(Some("ca-1".to_owned())));
        }
        assert_eq!(vault.listed(), 1);
        advance(LIFETIME).await;
        assert_eq!(find().await, Ok(Some("ca-1".to_owned())));
        assert_eq!(vault.listed(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn many_at_once_share_one_reading() {
        let (vault, directory) = (Vault::default(), Directory::default());
        let found = join_all((0..100).map(|_| directory.find(thumbprint(1), || vault.list()))).await;
        assert!(found.iter().all(|found| *found == Ok(Some("ca-1".to_owned()))));
        assert_eq!(vault.listed(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_miss_reads_it_once_more_and_finds_what_was_imported_since() {
        let (vault, directory) = (Vault::default(), Directory::default());
        assert_eq!(directory.find(thumbprint(2), || vault.list()).await, Ok(None));
        assert_eq!(vault.listed(), 1, "the list was as new as the question");

        *vault.also.lock().expect("no test panics while holding it") = Some(2);
        advance(Duration::from_secs(1)).await;
        assert_eq!(directory.find(thumbprint(2), || vault.list()).await, Ok(Some("ca-2".to_owned())));
        assert_eq!(vault.listed(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_that_failed_is_not_remembered() {
        let (vault, directory) = (Vault::default(), Directory::default());
        let refused = CallError::Changed { call: "listing".into() };
        let failed = directory.find(thumbprint(1), || async { Err(refused.clone()) }).await;
        assert_eq!(failed, Err(refused.clone()));
        assert_eq!(directory.find(thumbprint(1), || vault.list()).await, Ok(Some("ca-1".to_owned())));
    }
}
