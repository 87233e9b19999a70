//! What is run as a function, and how.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

/// The function's name, in its environment and in the ARN of each invocation.
pub const FUNCTION: &str = "keyholder";

/// What to run, and how.
#[derive(Clone)]
pub struct Options {
    /// The program and its arguments; in AWS it is called `bootstrap`.
    pub program: Vec<OsString>,
    /// The function's environment variables. It has no others but those of Lambda.
    pub environment: Vec<(String, String)>,
    /// How long the program may take until it asks for its first event.
    pub initialization: Duration,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// How many instances there may be; each handles one invocation at a time.
    pub concurrency: usize,
}

impl Options {
    /// A program that may take half a minute for an event, in up to ten instances.
    pub fn new(program: Vec<OsString>, environment: Vec<(String, String)>) -> Options {
        Options {
            program,
            environment,
            initialization: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            concurrency: 10,
        }
    }
}

impl fmt::Debug for Options {
    /// Without the environment, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("program", &self.program)
            .field("timeout", &self.timeout)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}
