//! The function behind the URL: its warm instances, and how many there may be.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::Semaphore;

use super::error::InvokeError;
use super::instance::Instance;
use super::options::Options;
use crate::hosts::functions_host::{Console, Level};

/// The function behind the URL.
pub(super) struct Function {
    options: Options,
    console: Console,
    /// Warm instances nobody uses at the moment.
    idle: Mutex<Vec<Instance>>,
    free: Semaphore,
}

impl Function {
    pub(super) fn new(options: Options) -> Function {
        Function {
            free: Semaphore::new(options.concurrency),
            options,
            console: Console::new(),
            idle: Mutex::default(),
        }
    }

    pub(super) fn console(&self) -> &Console {
        &self.console
    }

    /// How many instances wait for work.
    pub(super) fn idle_instances(&self) -> usize {
        self.idle().len()
    }

    /// Kills what waits for work.
    pub(super) async fn stop(&self) {
        let idle = std::mem::take(&mut *self.idle());
        for instance in idle {
            instance.kill().await;
        }
    }

    pub(super) async fn invoke(&self, event: &Value) -> Result<Value, InvokeError> {
        let Ok(_turn) = self.free.try_acquire() else {
            return Err(InvokeError::Throttled(self.options.concurrency));
        };
        let warm = self.warm();
        let mut instance = match warm {
            Some(instance) => instance,
            None => Instance::start(&self.options, &self.console).await?,
        };
        let answer = instance.invoke(event).await;
        match &answer {
            Ok(_) | Err(InvokeError::Reported(_)) => self.idle().push(instance),
            Err(_) => instance.kill().await,
        }
        if let Err(error) = &answer {
            self.console.host(Level::Error, error.to_string());
        }
        answer
    }

    /// An instance that is still there.
    fn warm(&self) -> Option<Instance> {
        let mut idle = self.idle();
        idle.retain_mut(Instance::is_alive);
        idle.pop()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Function {
    /// Without the environment, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("program", &self.options.program).finish_non_exhaustive()
    }
}
