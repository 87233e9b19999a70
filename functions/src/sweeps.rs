//! Sweeps, one at a time, however many ask for one.

use std::sync::Arc;

use keyholder::Verifier;
use keyholder::registry::Registry;
use keyholder::single_flight::SingleFlight;
use keyholder::sweep::Report;
use keyholder::vault::Vault;
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use crate::invocation::apart;

/// How many may wait for a sweep. A timer asks once in a quarter of an hour.
const WAITING: usize = 16;

/// The sweep that is under way, and those who wait for one.
#[derive(Debug)]
pub(crate) struct Sweeps {
    flights: SingleFlight<(), Arc<Report>>,
    waiting: Arc<Semaphore>,
}

/// Why there was no sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSweep {
    #[error("the sweep broke; its reason is in the log")]
    Broke,
    #[error("a sweep is under way, and {WAITING} callers wait for it already; ask again in some minutes")]
    Crowded,
}

impl Default for Sweeps {
    fn default() -> Self {
        Sweeps { flights: SingleFlight::default(), waiting: Arc::new(Semaphore::new(WAITING)) }
    }
}

impl Sweeps {
    /// Looks once for what events missed. Those who ask while a sweep is under way share the next one. A caller who
    /// leaves does not end a sweep. `since` is when the last one was, if the caller knows.
    pub(crate) async fn run<R: Registry + 'static, V: Vault + 'static>(
        self: &Arc<Self>,
        verifier: Arc<Verifier<R, V>>,
        since: Option<OffsetDateTime>,
    ) -> Result<Arc<Report>, NoSweep> {
        let place = self.waiting.clone().try_acquire_owned().map_err(|_| NoSweep::Crowded)?;
        let sweeps = self.clone();
        let sweep = async move {
            let report = sweeps.flights.run(&(), || async { Arc::new(verifier.sweep(since).await) }).await;
            drop(place);
            report
        };
        apart(sweep).await.map_err(|_| NoSweep::Broke)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use keyholder::verifier::Limits;

    use super::*;
    use crate::testing::Counting;

    #[tokio::test(start_paused = true)]
    async fn of_sweeps_that_meet_one_runs_and_the_others_share_one_more() {
        let counting = Arc::new(Counting::verifier(Limits::default()));
        let sweeps = Arc::new(Sweeps::default());
        let asked = join_all((0..40).map(|_| sweeps.run(counting.clone(), None))).await;
        assert_eq!(counting.registry().lists(), 2);
        assert_eq!(asked.iter().filter(|swept| swept.is_ok()).count(), WAITING);
        assert!(asked.iter().all(|swept| !matches!(swept, Err(NoSweep::Broke))));
        assert!(sweeps.run(counting.clone(), None).await.is_ok(), "a later caller is answered again");
        assert_eq!(counting.registry().lists(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_leaves_does_not_end_a_sweep_nor_begin_a_second() {
        let counting = Arc::new(Counting::verifier(Limits::default()));
        let sweeps = Arc::new(Sweeps::default());
        let impatient = tokio::time::timeout(Counting::TAKES / 2, sweeps.run(counting.clone(), None)).await;
        assert!(impatient.is_err());
        assert!(sweeps.run(counting.clone(), None).await.is_ok());
        assert_eq!((counting.registry().lists(), counting.registry().at_once()), (2, 1));
    }
}
