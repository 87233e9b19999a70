//! One run at a time for the same key, shared by all callers that ask for it meanwhile.
//!
//! A caller that asks while a run is under way does not get that run's result, because its event may have
//! happened after the run's last look. It shares the *next* run instead: of n concurrent callers, one runs, and
//! the others share one more run, which finds the work done and costs one look.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Runs by key.
#[derive(Debug)]
pub struct SingleFlight<K, T> {
    flights: Mutex<HashMap<K, Arc<Flight<T>>>>,
}

#[derive(Debug)]
struct Flight<T> {
    /// How many runs have begun.
    begun: Mutex<u64>,
    /// Held during a run; the number of the last one that ended, and its result.
    last: tokio::sync::Mutex<Option<(u64, T)>>,
}

impl<K, T> Default for SingleFlight<K, T> {
    fn default() -> Self {
        SingleFlight { flights: Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone, T: Clone> SingleFlight<K, T> {
    /// Runs `work`, or waits for a run that begins after this call and takes its result.
    pub async fn run<F: Future<Output = T>>(&self, key: &K, work: impl FnOnce() -> F) -> T {
        let flight = self.join(key);
        let begun_before = *locked(&flight.begun);
        let _landing = Landing { flights: self, key, flight: &flight };
        let mut last = flight.last.lock().await;
        if let Some((number, result)) = last.as_ref()
            && *number > begun_before
        {
            return result.clone();
        }
        let number = {
            let mut begun = locked(&flight.begun);
            *begun += 1;
            *begun
        };
        let result = work().await;
        *last = Some((number, result.clone()));
        result
    }

    /// Returns the number of keys that have a run or a waiting caller.
    pub fn len(&self) -> usize {
        locked(&self.flights).len()
    }

    /// Returns whether there is no run and no waiting caller.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn join(&self, key: &K) -> Arc<Flight<T>> {
        let mut flights = locked(&self.flights);
        let new = || Arc::new(Flight { begun: Mutex::new(0), last: tokio::sync::Mutex::new(None) });
        flights.entry(key.clone()).or_insert_with(new).clone()
    }
}

/// Forgets a key when the last one who asked for it leaves, however they leave.
struct Landing<'a, K: Eq + Hash, T> {
    flights: &'a SingleFlight<K, T>,
    key: &'a K,
    flight: &'a Arc<Flight<T>>,
}

impl<K: Eq + Hash, T> Drop for Landing<'_, K, T> {
    fn drop(&mut self) {
        let mut flights = locked(&self.flights.flights);
        // The map and this guard hold the only two references, and no caller can join while the map is locked.
        if Arc::strong_count(self.flight) == 2 {
            flights.remove(self.key);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use futures::future::join_all;
    use tokio::time::sleep;

    use super::*;

    async fn counted(runs: &AtomicU32) -> u32 {
        let number = runs.fetch_add(1, Ordering::Relaxed) + 1;
        sleep(Duration::from_secs(1)).await;
        number
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_who_meet_one_runs_and_the_others_share_one_more_run() {
        let (flights, runs) = (SingleFlight::default(), AtomicU32::new(0));
        let results = join_all((0..50).map(|_| flights.run(&"a", || counted(&runs)))).await;
        assert_eq!(runs.load(Ordering::Relaxed), 2);
        assert_eq!(results.iter().filter(|number| **number == 2).count(), 49);
        assert!(flights.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn other_keys_and_later_callers_run_on_their_own() {
        let (flights, runs) = (SingleFlight::default(), AtomicU32::new(0));
        join_all(["a", "b"].iter().map(|key| flights.run(key, || counted(&runs)))).await;
        flights.run(&"a", || counted(&runs)).await;
        assert_eq!(runs.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_gives_up_leaves_the_run_to_the_next() {
        let (flights, runs) = (SingleFlight::default(), AtomicU32::new(0));
        let impatient = tokio::time::timeout(Duration::from_millis(10), flights.run(&"a", || counted(&runs)));
        let (gave_up, result) = tokio::join!(impatient, flights.run(&"a", || counted(&runs)));
        assert!(gave_up.is_err());
        assert_eq!(result, 2);
        assert!(flights.is_empty());
    }
}
