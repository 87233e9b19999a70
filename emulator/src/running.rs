//! A world with a clock, shared by whoever serves it and whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::exchange::{Request, Response};
use crate::faults::Fault;
use crate::reply::Reply;
use crate::stopwatch::Stopwatch;
use crate::world::World;

/// The emulator without any way in; cheap to clone, every clone is the same world.
#[derive(Clone, Debug)]
pub struct Emulator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    world: Mutex<World>,
    /// What a reset goes back to.
    at_start: Mutex<World>,
    clock: Clock,
    started: Instant,
    changed: watch::Sender<()>,
    /// The clock was moved. Apart from `changed`, because many wait for a moment and few moments are moved to.
    moved: watch::Sender<()>,
    connections: AtomicU64,
}

impl Emulator {
    /// Starts the clock of a world.
    pub fn new(world: World) -> Emulator {
        Emulator(Arc::new(Inner {
            at_start: Mutex::new(world.clone()),
            world: Mutex::new(world),
            clock: Clock::default(),
            started: Instant::now(),
            changed: watch::Sender::new(()),
            moved: watch::Sender::new(()),
            connections: AtomicU64::new(0),
        }))
    }

    /// Answers one request, or says what else a server has to do about it.
    pub fn reply(&self, request: &Request) -> Reply {
        let watch = self.stopwatch();
        self.with(|world, now| {
            let reply = world.reply(request, now);
            if let Some(entry) = world.journal.newest_mut() {
                match &reply {
                    Reply::Silence => watch.never_stop(entry),
                    Reply::AnswerAfter(time, _) => watch.stop_after(entry, *time),
                    _ => watch.stop(entry),
                }
            }
            reply
        })
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

    /// Adds a rule that stays in force for as long as the guard is kept: `let _fault = emulator.fault(…)`.
    ///
    /// # Panics
    ///
    /// When the rule could never apply, or an earlier one leaves it no call.
    #[track_caller]
    pub fn fault(&self, fault: Fault) -> FaultGuard {
        let added = self.with(|world, _| world.faults.try_add(fault.clone()).map(|rule| rule.id()));
        match added {
            Ok(id) => FaultGuard { emulator: self.clone(), id, fault },
            Err(error) => panic!("{error}"),
        }
    }

    /// Looks at the world at this moment without waking anybody.
    pub fn look<T>(&self, look: impl FnOnce(&World, OffsetDateTime) -> T) -> T {
        look(&self.world(), self.now())
    }

    /// What time it is in this world.
    pub fn now(&self) -> OffsetDateTime {
        self.0.clock.now()
    }

    /// The clock of this world, to look at.
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Moves the clock in whatever way; whatever falls due happens at once.
    pub(crate) fn move_clock<T>(&self, change: impl FnOnce(&Clock) -> T) -> T {
        let result = change(&self.0.clock);
        self.moved();
        result
    }

    /// From now on a reset goes back to the world as it is now, and all that is drawn from here on depends on
    /// the seed alone.
    pub(crate) fn is_set_up(&self) {
        let mut world = self.world();
        let seed = world.seed;
        world.reseed(seed);
        *lock(&self.0.at_start) = world.clone();
    }

    /// Puts the world and the clock back to how they were at start, with another seed if one is given.
    pub(crate) fn reset(&self, seed: Option<u64>) {
        let mut world = lock(&self.0.at_start).clone();
        if let Some(seed) = seed {
            world.reseed(seed);
        }
        self.replace(world, Clock::default());
    }

    /// Puts another world in place of this one. Whoever still works for the old one does no harm: sequence
    /// numbers and deliveries are counted on.
    pub(crate) fn replace(&self, mut world: World, clock: Clock) {
        let mut current = self.world();
        world.replaces(&mut current);
        *current = world;
        self.0.clock.follow(clock);
        drop(current);
        self.moved();
    }

    /// For an exchange that begins now.
    pub(crate) fn stopwatch(&self) -> Stopwatch {
        Stopwatch { origin: self.0.started, began: Instant::now() }
    }

    /// Moves the clock forward; whatever falls due happens at once.
    pub fn advance(&self, by: Duration) {
        self.move_clock(|clock| clock.advance(by));
    }

    /// Stops the clock at a moment.
    pub fn freeze(&self, at: OffsetDateTime) {
        self.move_clock(|clock| clock.freeze(at));
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

    /// Waits until the clock shows a moment, however it gets there: by itself, or moved by somebody.
    pub async fn reaches(&self, moment: OffsetDateTime) {
        let mut moves = self.0.moved.subscribe();
        loop {
            // Whatever moves from here on ends the wait below.
            moves.mark_unchanged();
            let left = moment - self.now();
            if !left.is_positive() {
                return;
            }
            let is_frozen = self.0.clock.is_frozen();
            tokio::select! {
                // The sender lives in `self`, so this never fails.
                _ = moves.changed() => {}
                () = tokio::time::sleep(left.unsigned_abs()), if !is_frozen => {}
            }
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

    fn moved(&self) {
        self.0.moved.send_replace(());
        self.0.changed.send_replace(());
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.0.world)
    }
}

/// Keeps a rule in force until it is dropped; see [`Emulator::fault`].
#[must_use = "the rule ends at once unless the guard is kept: `let _fault = …`"]
#[derive(Debug)]
pub struct FaultGuard {
    emulator: Emulator,
    id: u64,
    fault: Fault,
}

impl Drop for FaultGuard {
    fn drop(&mut self) {
        self.emulator.with(|world, _| world.faults.withdraw(self.id, &self.fault));
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use time::macros::datetime;

    use super::*;
    use crate::faults::{Calls, Effect};
    use crate::operation::Operation;

    #[test]
    fn a_rule_ends_when_its_guard_is_dropped_and_no_other_rule_does() {
        let emulator = Emulator::new(World::empty(1));
        let silence = || Fault {
            operation: Operation::GetSecret,
            object: None,
            calls: Calls::First(1),
            effect: Effect::Silence,
        };
        let ids = || emulator.look(|world, _| world.faults.rules().map(|rule| rule.id()).collect::<Vec<_>>());
        let first = emulator.fault(silence());
        let _second = emulator.fault(silence());
        drop(first);
        assert_eq!(ids(), [2]);

        let forgotten = emulator.fault(silence());
        emulator.reset(None);
        let html = Fault { effect: Effect::Html, ..silence() };
        emulator.with(|world, _| (0..3).for_each(|_| world.faults.add(html.clone())));
        drop(forgotten);
        assert_eq!(ids(), [1, 2, 3], "a reset has given the ids to other rules");
    }

    #[tokio::test]
    async fn a_moment_is_reached_when_the_clock_is_moved_there_or_gets_there() {
        let noon = datetime!(2026-03-05 12:00 UTC);
        let emulator = Emulator::new(World::empty(1));
        emulator.freeze(noon);
        emulator.reaches(noon).await;

        let later = noon + Duration::from_secs(30);
        let mut waiting = Box::pin(emulator.reaches(later));
        assert!((&mut waiting).now_or_never().is_none());
        emulator.advance(Duration::from_secs(29));
        assert!((&mut waiting).now_or_never().is_none());
        emulator.advance(Duration::from_secs(1));
        waiting.await;
    }
}
