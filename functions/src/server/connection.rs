//! What a connection is doing, and since when.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Limits;

/// The stages of a connection, round and round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing of the next request has come.
    Idle,
    /// Some of its header has.
    Head,
    /// The header is complete, the body is not.
    Body,
    /// All of it is here, or what was needed of it.
    Working,
    /// The answer is on its way.
    Answering,
    /// It makes room for another connection.
    Evicted,
}

/// A connection: its stage is changed by what passes through it, and when its place is needed.
#[derive(Debug)]
pub(super) struct Connection {
    limits: Limits,
    stage: Mutex<(Stage, Instant)>,
    evicted: Notify,
}

impl Connection {
    pub(super) fn new(limits: Limits) -> Connection {
        let stage = Mutex::new((Stage::Idle, Instant::now()));
        Connection { limits, stage, evicted: Notify::new() }
    }

    /// Notes that bytes came from the caller.
    pub(super) fn received(&self) {
        self.pass(Stage::Idle, Stage::Head);
    }

    /// Notes that a header is complete. Returns false if the connection is lost already.
    pub(super) fn requested(&self) -> bool {
        let mut stage = self.locked();
        if stage.0 == Stage::Evicted {
            return false;
        }
        *stage = (Stage::Body, Instant::now());
        true
    }

    /// Notes that no more of the body is needed.
    pub(super) fn complete(&self) {
        self.pass(Stage::Body, Stage::Working);
    }

    /// Notes that there is an answer.
    pub(super) fn answered(&self) {
        let mut stage = self.locked();
        if stage.0 != Stage::Evicted {
            *stage = (Stage::Answering, Instant::now());
        }
    }

    /// Notes that everything that was written has left.
    pub(super) fn flushed(&self) {
        self.pass(Stage::Answering, Stage::Idle);
    }

    /// Returns the present stage, and when it has to be over.
    pub(super) fn deadline(&self) -> (Stage, Option<Instant>) {
        let (stage, since) = *self.locked();
        let limit = match stage {
            Stage::Idle => self.limits.idle,
            Stage::Head => self.limits.head,
            Stage::Body => self.limits.body,
            Stage::Answering => self.limits.answer,
            // A run has its own deadline.
            Stage::Working | Stage::Evicted => return (stage, None),
        };
        (stage, Some(since + limit))
    }

    /// Returns since when the connection waits for the caller, if it does.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        let (stage, since) = *self.locked();
        matches!(stage, Stage::Idle | Stage::Head | Stage::Body).then_some(since)
    }

    /// Closes it, if the caller is waited for still.
    pub(super) fn evict(&self) -> bool {
        let mut stage = self.locked();
        if !matches!(stage.0, Stage::Idle | Stage::Head | Stage::Body) {
            return false;
        }
        *stage = (Stage::Evicted, Instant::now());
        self.evicted.notify_one();
        true
    }

    /// Ready once it has been evicted.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    fn pass(&self, from: Stage, to: Stage) {
        let mut stage = self.locked();
        if stage.0 == from {
            *stage = (to, Instant::now());
        }
    }

    fn locked(&self) -> MutexGuard<'_, (Stage, Instant)> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
