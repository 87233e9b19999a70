//! Which certificate of a vault has which thumbprint.
//!
//! A vault can only be listed, 25 certificates a call, so the list is kept for a minute and read by one
//! caller at a time, whoever else needs it waiting for that one. A miss reads it once more, unless that has
//! happened since the moment the question is about: the CA may have been imported a moment ago.
//!
//! A reading goes on when whoever asked for it has no time left. In a vault with thousands of certificates it may
//! take longer than one run may, and would otherwise begin anew each time and never end.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use crate::error::CallError;
use crate::thumbprint::Thumbprint;

/// How old a list may be that is asked for a CA it knows.
const LIFETIME: Duration = Duration::from_secs(60);
/// How long a reading may take, for a vault whose list has no end.
const LONGEST_READING: Duration = Duration::from_secs(120);

/// Names by thumbprint; of a certificate that is there twice, the first name.
pub(super) type Names = HashMap<Thumbprint, String>;

/// The list of one vault.
#[derive(Debug, Default)]
pub(super) struct Directory(Arc<Mutex<Option<Listing>>>);

#[derive(Debug)]
struct Listing {
    names: Arc<Names>,
    /// When reading it began: what was imported later may be missing.
    begun: Instant,
    ended: Instant,
}

impl Directory {
    /// The certificate with this thumbprint. `read` lists the vault; `get` looks at the name that the list has for
    /// it, and says if the list is wrong about that by now, which is a miss too. What was imported after `as_of` need not
    /// be found.
    pub(super) async fn find<F, G, T>(
        &self,
        wanted: Thumbprint,
        as_of: Instant,
        read: impl Fn() -> F,
        get: impl Fn(String) -> G,
    ) -> Result<Option<T>, CallError>
    where
        F: Future<Output = Result<Names, CallError>> + Send + 'static,
        G: Future<Output = Result<Option<T>, CallError>>,
    {
        let asked = Instant::now();
        let is_young = |listing: &Listing| asked.duration_since(listing.ended) < LIFETIME;
        let is_newer = |listing: &Listing| listing.begun >= as_of;
        let known = self.names(is_young, &read).await?;
        if let Some(name) = known.get(&wanted)
            && let Some(found) = get(name.clone()).await?
        {
            return Ok(Some(found));
        }
        match self.names(is_newer, &read).await?.get(&wanted) {
            Some(name) => get(name.clone()).await,
            None => Ok(None),
        }
    }

    async fn names<F>(
        &self,
        will_do: impl Fn(&Listing) -> bool,
        read: impl Fn() -> F,
    ) -> Result<Arc<Names>, CallError>
    where
        F: Future<Output = Result<Names, CallError>> + Send + 'static,
    {
        let mut kept = self.0.clone().lock_owned().await;
        if let Some(listing) = kept.as_ref().filter(|listing| will_do(listing)) {
            return Ok(listing.names.clone());
        }
        let reading = timeout(LONGEST_READING, read());
        let reading = async move {
            let begun = Instant::now();
            let names = Arc::new(reading.await.unwrap_or_else(|_| Err(endless()))?);
            *kept = Some(Listing { names: names.clone(), begun, ended: Instant::now() });
            Ok(names)
        };
        let reading = tokio::spawn(reading.in_current_span()).await;
        reading.unwrap_or_else(|broken| resume_unwind(broken.into_panic()))
    }
}

fn endless() -> CallError {
    CallError::Unavailable {
        call: "listing the certificates of a vault".to_owned(),
        status: None,
        reason: format!("it has no end after {} s", LONGEST_READING.as_secs()),
        retry_after: None,
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

    /// A vault that holds some CAs by name, and counts how often it is listed.
    struct Vault {
        listed: AtomicU32,
        holds: std::sync::Mutex<Vec<(u8, &'static str)>>,
        takes: Duration,
    }

    impl Vault {
        fn with(holds: &[(u8, &'static str)]) -> Arc<Vault> {
            let holds = std::sync::Mutex::new(holds.to_vec());
            Arc::new(Vault { listed: AtomicU32::new(0), holds, takes: Duration::from_millis(50) })
        }

        fn holds(&self) -> std::sync::MutexGuard<'_, Vec<(u8, &'static str)>> {
            self.holds.lock().expect("no test panics while holding it")
        }

        async fn list(self: Arc<Vault>) -> Result<Names, CallError> {
            self.listed.fetch_add(1, Ordering::Relaxed);
            sleep(self.takes).await;
            Ok(self.holds().iter().map(|(of, name)| (thumbprint(*of), (*name).to_owned())).collect())
        }

        fn listed(&self) -> u32 {
            self.listed.load(Ordering::Relaxed)
        }
    }

    /// The name under which the vault really has it.
    async fn find(directory: &Directory, vault: &Arc<Vault>, of: u8) -> Result<Option<String>, CallError> {
        let get = |name: String| async move {
            let is_there = vault.holds().iter().any(|(held, as_name)| *held == of && *as_name == name);
            Ok(is_there.then_some(name))
        };
        directory.find(thumbprint(of), Instant::now(), || vault.clone().list(), get).await
    }

    fn named(name: &str) -> Result<Option<String>, CallError> {
        Ok(Some(name.to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_is_read_once_a_minute_for_what_it_knows() {
        let (vault, directory) = (Vault::with(&[(1, "ca-1")]), Directory::default());
        for _ in 0..5 {
            assert_eq!(find(&directory, &vault, 1).await, named("ca-1"));
        }
        assert_eq!(vault.listed(), 1);
        advance(LIFETIME).await;
        assert_eq!(find(&directory, &vault, 1).await, named("ca-1"));
        assert_eq!(vault.listed(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn many_at_once_share_one_reading() {
        let (vault, directory) = (Vault::with(&[(1, "ca-1")]), Directory::default());
        let found = join_all((0..100).map(|_| find(&directory, &vault, 1))).await;
        assert!(found.iter().all(|found| *found == named("ca-1")));
        assert_eq!(vault.listed(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_miss_reads_it_once_more_and_finds_what_was_imported_since() {
        let (vault, directory) = (Vault::with(&[(1, "ca-1")]), Directory::default());
        assert_eq!(find(&directory, &vault, 2).await, Ok(None));
        assert_eq!(vault.listed(), 1, "the list was as new as the question");

        vault.holds().push((2, "ca-2"));
        advance(Duration::from_secs(1)).await;
        assert_eq!(find(&directory, &vault, 2).await, named("ca-2"));
        assert_eq!(vault.listed(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_is_wrong_by_now_is_a_miss_too() {
        let (vault, directory) = (Vault::with(&[(1, "old-name")]), Directory::default());
        assert_eq!(find(&directory, &vault, 1).await, named("old-name"));
        *vault.holds() = vec![(1, "new-name")];
        advance(Duration::from_secs(1)).await;
        assert_eq!(find(&directory, &vault, 1).await, named("new-name"));
        assert_eq!(vault.listed(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_that_failed_is_not_remembered() {
        let (vault, directory) = (Vault::with(&[(1, "ca-1")]), Directory::default());
        let refused = CallError::Changed { call: "listing".into() };
        let fails = || std::future::ready(Err(refused.clone()));
        let failed = directory
            .find(thumbprint(1), Instant::now(), fails, |name| std::future::ready(Ok(Some(name))))
            .await;
        assert_eq!(failed, Err(refused.clone()));
        assert_eq!(find(&directory, &vault, 1).await, named("ca-1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_outlasts_whoever_had_no_time_for_it() {
        let vault = Vault::with(&[(1, "ca-1")]);
        let slow = Vault { takes: Duration::from_secs(90), ..Arc::into_inner(vault).expect("ours alone") };
        let (vault, directory) = (Arc::new(slow), Directory::default());
        let mut runs = 0;
        while timeout(Duration::from_secs(25), find(&directory, &vault, 1)).await != Ok(named("ca-1")) {
            runs += 1;
        }
        assert_eq!((runs, vault.listed()), (3, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_without_an_end_is_given_up() {
        let vault = Vault::with(&[(1, "ca-1")]);
        let endless = Vault { takes: Duration::MAX, ..Arc::into_inner(vault).expect("ours alone") };
        let given_up = find(&Directory::default(), &Arc::new(endless), 1).await;
        assert!(matches!(given_up, Err(CallError::Unavailable { .. })), "{given_up:?}");
    }
}
