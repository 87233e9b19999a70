//! So many connections at once, and who makes room for the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Limits;
use super::connection::Connection;

/// How soon it is looked again for a connection that can make room, while all are busy.
const LOOK: Duration = Duration::from_millis(20);

/// All connections that are open.
#[derive(Debug)]
pub(super) struct Places {
    limits: Limits,
    free: Arc<Semaphore>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    connections: HashMap<u64, Arc<Connection>>,
}

/// The place of one connection, free again once it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    connection: Arc<Connection>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Places {
        Places { limits, free: Arc::new(Semaphore::new(limits.connections)), open: Mutex::default() }
    }

    pub(super) fn limit(&self) -> usize {
        self.limits.connections
    }

    /// Takes a place, and says whether another connection had to make room. If all of them are being answered, it
    /// waits for one: the next caller waits in the system's own queue then.
    pub(super) async fn take(self: &Arc<Self>) -> (Place, bool) {
        let mut evicted = false;
        loop {
            if let Ok(permit) = self.free.clone().try_acquire_owned() {
                return (self.place(permit), evicted);
            }
            evicted |= self.evict();
            // The semaphore is never closed.
            if let Ok(Ok(permit)) = timeout(LOOK, self.free.clone().acquire_owned()).await {
                return (self.place(permit), evicted);
            }
        }
    }

    /// Closes the connection whose caller has been waited for longest, if there is one.
    pub(super) fn evict(&self) -> bool {
        let open = self.locked();
        let waiting = open.connections.values().filter_map(|one| Some((one.waiting_since()?, one)));
        let oldest = waiting.min_by_key(|(since, _)| *since);
        oldest.is_some_and(|(_, connection)| connection.evict())
    }

    fn place(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        let connection = Arc::new(Connection::new(self.limits));
        let mut open = self.locked();
        let number = open.next;
        open.next += 1;
        open.connections.insert(number, connection.clone());
        Place { places: self.clone(), number, connection, _permit: permit }
    }

    fn locked(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.locked().connections.remove(&self.number);
    }
}
