//! Fires timers by the emulator's clock: moving the clock is all it takes to see one.
//!
//! Each has a task of its own that waits for its function to end, so one function never runs twice at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::function::Function;
use super::runner::Runner;
use super::timer::Timer;
use super::webhook::Payload;

/// The timers of an app, by function.
#[derive(Debug)]
pub(super) struct Timers(BTreeMap<String, Mutex<Timer>>);

impl Timers {
    pub(super) fn new(timers: BTreeMap<String, Timer>) -> Timers {
        Timers(timers.into_iter().map(|(function, timer)| (function, Mutex::new(timer))).collect())
    }

    pub(super) fn has(&self, function: &Function) -> bool {
        self.0.contains_key(function.name())
    }

    /// What a function is told when somebody calls it without its timer being due.
    pub(super) fn asked(&self, function: &Function) -> Value {
        self.timer(function).map(|timer| timer.asked()).unwrap_or_default()
    }

    /// Runs a function whenever its timer is due, until the host stops.
    pub(super) async fn run(self: Arc<Self>, function: Function, runner: Arc<Runner>) {
        let emulator = &runner.emulator;
        while let Some(due) = self.timer(&function).and_then(|timer| timer.due()) {
            emulator.reaches(due).await;
            if runner.has_stopped() {
                return;
            }
            let Some(info) = self.timer(&function).map(|mut timer| timer.fire(emulator.now())) else {
                return;
            };
            runner.run(runner.invocation(&function, Payload::Value(info))).await;
        }
    }

    fn timer(&self, function: &Function) -> Option<MutexGuard<'_, Timer>> {
        let timer = self.0.get(function.name())?;
        Some(timer.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
