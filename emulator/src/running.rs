//! A world with a clock, shared by whoever serves it and whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::exchange::{Request, Response};
use crate::reply::Reply;
use crate::world::World;

/// The emulator without any way in; cheap to clone, every clone is the same world.
#[derive(Clone, Debug)]
pub struct Emulator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    world: Mutex<World>,
    clock: Clock,
    changed: watch::Sender<()>,
    connections: AtomicU64,
}

impl Emulator {
    /// Starts the clock of a world.
    pub fn new(world: World) -> Emulator {
        Emulator(Arc::new(Inner {
            world: Mutex::new(world),
            clock: Clock::default(),
            changed: watch::Sender::new(()),
            connections: AtomicU64::new(0),
        }))
    }

    /// Answers one request, or says what else a server has to do about it.
    pub fn reply(&self, request: &Request) -> Reply {
        self.with(|world, now| world.reply(request, now))
    }

    /// Answers one request for callers that cannot go without an answer; see [`Reply::into_response`].
    pub fn handle(&self, request: &Request) -> Response {
        self.reply(request).into_response()
    }

    /// Looks at the world, or changes it, at this moment.
    pub fn with<T>(&self, look: impl FnOnce(&mut World, OffsetDateTime) -> T) -> T {
        let result = look(&mut self.world(), self.now());
        self.0.changed.send_replace(());
        result
    }

    /// Looks at the world at this moment without waking anybody.
    pub fn look<T>(&self, look: impl FnOnce(&World, OffsetDateTime) -> T) -> T {
        look(&self.world(), self.now())
    }

    /// What time it is in this world.
    pub fn now(&self) -> OffsetDateTime {
        self.0.clock.now()
    }

    /// Moves the clock forward; whatever falls due happens at once.
    pub fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
        self.0.changed.send_replace(());
    }

    /// Stops the clock at a moment.
    pub fn freeze(&self, at: OffsetDateTime) {
        self.0.clock.freeze(at);
        self.0.changed.send_replace(());
    }

    /// Waits, without polling, until the world shows what the caller is looking for.
    pub async fn until<T>(&self, mut look: impl FnMut(&World) -> Option<T>) -> T {
        let mut changes = self.changes();
        loop {
            if let Some(found) = look(&self.world()) {
                return found;
            }
            // The sender lives in `self`, so a change is the only way out of this wait.
            let _ = changes.changed().await;
        }
    }

    /// Wakes up after every change of the world or the clock.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// How many connections its listeners have ever taken.
    pub fn connections(&self) -> u64 {
        self.0.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn connected(&self) {
        self.0.connections.fetch_add(1, Ordering::Relaxed);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
