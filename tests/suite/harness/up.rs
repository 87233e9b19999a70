//! `emulator up`, as a person runs it: a process that prints.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::programs::{EMULATOR, address_in, program, signal};

pub(crate) const FREE_PORTS: [&str; 6] = ["--port", "0", "--identity-port", "0", "--functions-port", "0"];

/// Only ends a test that would wait for ever.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running emulator, and what it has printed so far.
pub(crate) struct Up {
    pub(crate) child: Child,
    pub(crate) printed: String,
    pub(crate) output: BufReader<ChildStdout>,
    _watched: mpsc::Sender<()>,
}

impl Up {
    /// Starts it with temporary files in a folder, and waits until everything in it is ready.
    pub(crate) fn start(folder: &Path, options: &[&str]) -> Up {
        let mut command = program(EMULATOR);
        command.arg("up").args(FREE_PORTS).args(options).env("TMPDIR", folder);
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (watched, ended) = mpsc::channel::<()>();
        let pid = child.id();
        thread::spawn(move || {
            if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                signal(pid, "TERM");
            }
        });
        let mut up = Up { child, printed: String::new(), output, _watched: watched };
        up.until("it is ready", |printed| printed.contains("Ctrl-C") && address_in(printed).is_some());
        up
    }

    /// Reads on until what is printed says so.
    pub(crate) fn until(&mut self, what: &str, says: impl Fn(&str) -> bool) {
        while !says(&self.printed) {
            let read = self.output.read_line(&mut self.printed).expect("it prints text");
            assert_ne!(read, 0, "it ended before {what}: {}{}", self.printed, rest(&mut self.child));
        }
    }

    /// The address in the line that starts like this.
    pub(crate) fn address(&self, of: &str) -> String {
        let line =
            self.printed.lines().find(|line| line.starts_with(of)).expect("every address has its line");
        line[of.len()..].trim().to_owned()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Asked to end, it ends its handler too and takes its files away.
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(self.child.id(), "TERM");
        }
        let _ = self.child.wait();
    }
}

/// What a process that has ended said on stderr.
pub(crate) fn rest(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(errors) = &mut child.stderr {
        let _ = errors.read_to_string(&mut text);
    }
    text
}
