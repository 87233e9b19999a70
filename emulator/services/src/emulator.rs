//! A world with a clock, shared by whoever serves it and whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::sync::watch;

use crate::ground::exchange::{Request, Response};
use crate::ground::reply::Reply;
use crate::steering::clock::Clock;
use crate::steering::faults::Fault;
use crate::steering::stopwatch::Stopwatch;
use crate::world::{Begun, Working, World};

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
    /// Counts the worlds that took the place of another; changes only while the world is locked.
    incarnation: AtomicU64,
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
            incarnation: AtomicU64::new(0),
        }))
    }

    /// Answers one request, or says what else a server has to do about it. Keys are made and signatures made and
    /// checked on a thread of their own, while others are answered.
    pub async fn answer(&self, request: Request) -> Reply {
        let watch = self.stopwatch();
        let (working, incarnation) = match self.begin(&request, &watch) {
            (Begun::Replied(reply), _) => return reply,
            (Begun::Working(working), incarnation) => (working, incarnation),
        };
        // It goes on when the caller is gone, as it would in the cloud.
        let emulator = self.clone();
        let work = move || emulator.finish(working, incarnation, &request, &watch);
        match tokio::task::spawn_blocking(work).await {
            Ok(reply) => reply,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down.
                Err(_) => Reply::Reset,
            },
        }
    }

    /// [`Emulator::answer`] on this thread alone. Others are answered meanwhile all the same.
    pub fn reply(&self, request: &Request) -> Reply {
        let watch = self.stopwatch();
        match self.begin(request, &watch) {
            (Begun::Replied(reply), _) => reply,
            (Begun::Working(working), incarnation) => self.finish(working, incarnation, request, &watch),
        }
    }

    /// [`Emulator::reply`] for callers that cannot go without an answer; see [`Reply::into_response`].
    pub fn handle(&self, request: &Request) -> Response {
        self.reply(request).into_response()
    }

    /// Decides what becomes of a request, in which incarnation of the world.
    fn begin(&self, request: &Request, watch: &Stopwatch) -> (Begun, u64) {
        self.with(|world, now| {
            let begun = world.begin(request, now);
            if let Begun::Replied(reply) = &begun {
                stop(watch, world, reply);
            }
            (begun, self.0.incarnation.load(Ordering::Relaxed))
        })
    }

    /// Does the work of a request and replies to it. A world that was put in place of the other meanwhile is asked
    /// from the beginning.
    fn finish(
        &self,
        mut working: Working,
        mut incarnation: u64,
        request: &Request,
        watch: &Stopwatch,
    ) -> Reply {
        loop {
            let worked = working.carry_out();
            let reply = self.with(|world, now| {
                (incarnation == self.0.incarnation.load(Ordering::Relaxed)).then(|| {
                    let reply = world.finish(worked, request, now);
                    stop(watch, world, &reply);
                    reply
                })
            });
            if let Some(reply) = reply {
                return reply;
            }
            (working, incarnation) = match self.begin(request, watch) {
                (Begun::Replied(reply), _) => return reply,
                (Begun::Working(working), incarnation) => (working, incarnation),
            };
        }
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
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Moves the clock in whatever way; whatever falls due happens at once.
    pub fn move_clock<T>(&self, change: impl FnOnce(&Clock) -> T) -> T {
        let result = change(&self.0.clock);
        self.moved();
        result
    }

    /// From now on a reset goes back to the world as it is now, and all that is drawn from here on depends on
    /// the seed alone.
    pub fn is_set_up(&self) {
        let mut world = self.world();
        let seed = world.seed;
        world.reseed(seed);
        *lock(&self.0.at_start) = world.clone();
    }

    /// Puts the world and the clock back to how they were at start, with another seed if one is given.
    pub fn reset(&self, seed: Option<u64>) {
        let mut world = lock(&self.0.at_start).clone();
        if let Some(seed) = seed {
            world.reseed(seed);
        }
        self.replace(world, Clock::default());
    }

    /// Puts another world in place of this one. Whoever still works for the old one does no harm: sequence
    /// numbers and deliveries are counted on.
    pub fn replace(&self, mut world: World, clock: Clock) {
        let mut current = self.world();
        world.replaces(&mut current);
        *current = world;
        self.0.incarnation.fetch_add(1, Ordering::Relaxed);
        self.0.clock.follow(clock);
        drop(current);
        self.moved();
    }

    /// For an exchange that begins now.
    pub fn stopwatch(&self) -> Stopwatch {
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

    #[cfg(feature = "tls")]
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

/// Says in the newest entry how long the exchange took.
fn stop(watch: &Stopwatch, world: &mut World, reply: &Reply) {
    let Some(entry) = world.journal.newest_mut() else { return };
    match reply {
        Reply::Silence => watch.never_stop(entry),
        Reply::AnswerAfter(time, _) => watch.stop_after(entry, *time),
        Reply::Answer(_) | Reply::Truncated { .. } | Reply::Reset => watch.stop(entry),
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures::FutureExt;
    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::steering::faults::{Calls, Effect};
    use crate::steering::operation::Operation;

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

    const AUDIENCE: &str = "https://vault.azure.net";

    /// A call of the tutorial's vault.
    fn to_vault(emulator: &Emulator, method: &str, target: &str, body: &serde_json::Value) -> Request {
        let token = emulator.look(|world, now| world.identity.mint(AUDIENCE, now));
        http::Request::builder()
            .method(method)
            .uri(format!("https://my-vault.vault.azure.net{target}?api-version=7.4"))
            .header("Authorization", format!("Bearer {token}"))
            .body(bytes::Bytes::from(body.to_string()))
            .unwrap()
    }

    fn make_rsa_4096(emulator: &Emulator) -> Request {
        to_vault(emulator, "POST", "/keys/slow/create", &json!({ "kty": "RSA", "key_size": 4096 }))
    }

    fn read_keys(emulator: &Emulator) -> Request {
        to_vault(emulator, "GET", "/keys", &json!(null))
    }

    /// How many keys a list shows.
    fn listed(reply: &Reply) -> usize {
        let body: serde_json::Value = serde_json::from_slice(reply.response().unwrap().body()).unwrap();
        body["value"].as_array().unwrap().len()
    }

    fn state(emulator: &Emulator) -> serde_json::Value {
        emulator.look(|world, _| serde_json::to_value(world).unwrap())
    }

    #[test]
    fn a_request_that_waits_for_a_key_delays_no_other_on_one_thread() {
        let gate = std::sync::mpsc::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            // The one thread for such work is held, so that the key cannot be made before the gate opens.
            let held = tokio::task::spawn_blocking(move || gate.1.recv());
            let emulator = Emulator::new(World::tutorial(1));
            let mut making = Box::pin(emulator.answer(make_rsa_4096(&emulator)));
            assert!((&mut making).now_or_never().is_none(), "the key is not there yet");

            for _ in 0..3 {
                let reply =
                    emulator.answer(read_keys(&emulator)).now_or_never().expect("nothing to wait for");
                assert_eq!(listed(&reply), 0);
            }
            gate.0.send(()).unwrap();
            held.await.unwrap().unwrap();
            assert_eq!(making.await.response().unwrap().status(), 200);
            assert_eq!(listed(&emulator.answer(read_keys(&emulator)).await), 1);
            let order = emulator
                .look(|world, _| world.journal.entries().map(|entry| entry.operation).collect::<Vec<_>>());
            assert_eq!(order[3], Operation::CreateVaultKey, "written down when it is answered");
        });
    }

    #[test]
    fn a_decision_changes_nothing_until_its_work_is_done() {
        let emulator = Emulator::new(World::tutorial(1));
        let request = make_rsa_4096(&emulator);
        let drawn = |state: &serde_json::Value| state["random"].clone();
        let mut before = state(&emulator);
        let (Begun::Working(working), incarnation) = emulator.begin(&request, &emulator.stopwatch()) else {
            panic!("a key takes work")
        };
        let mut between = state(&emulator);
        assert_ne!(drawn(&before), drawn(&between), "the version is drawn with the decision");
        (before["random"], between["random"]) = (json!(0), json!(0));
        assert_eq!(before, between);
        let reply = emulator.finish(working, incarnation, &request, &emulator.stopwatch());
        assert_eq!(reply.response().unwrap().status(), 200);
    }

    #[test]
    fn work_for_a_world_that_is_gone_is_done_again_for_the_one_in_its_place() {
        let emulator = Emulator::new(World::tutorial(1));
        let request = make_rsa_4096(&emulator);
        let (Begun::Working(working), incarnation) = emulator.begin(&request, &emulator.stopwatch()) else {
            panic!("a key takes work")
        };
        let mut other = World::empty(2);
        other.identity = emulator.look(|world, _| world.identity.clone());
        emulator.replace(other, Clock::default());
        let reply = emulator.finish(working, incarnation, &request, &emulator.stopwatch());
        assert_eq!(reply.response().unwrap().status(), 404, "there is no such vault here");
    }

    #[test]
    fn a_seed_draws_the_same_with_and_without_another_thread_for_the_work() {
        let ids = |reply: fn(&Emulator, Request) -> Reply| {
            let emulator = Emulator::new(World::tutorial(7));
            let answers: Vec<_> = [make_rsa_4096(&emulator), read_keys(&emulator)]
                .into_iter()
                .map(|request| {
                    let reply = reply(&emulator, request);
                    reply.response().unwrap().headers()["x-ms-request-id"].clone()
                })
                .collect();
            (answers, state(&emulator)["random"].clone())
        };
        let alone = ids(|emulator, request| emulator.reply(&request));
        let beside = ids(|emulator, request| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(emulator.answer(request))
        });
        assert_eq!(alone, beside);
    }
}
