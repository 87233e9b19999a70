//! What a person sees while something takes its time: one line that says what, and for how long already.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::output::hint;

/// How often the line is written again.
const EVERY: Duration = Duration::from_millis(250);
/// Back to the start of the line, and clear it.
const CLEAR: &str = "\r\x1b[K";

/// Shows that something is under way until it is dropped.
pub(super) struct Progress(Option<JoinHandle<()>>);

impl Progress {
    /// Starts a line that counts the seconds, on a terminal. Otherwise prints once what has begun, for a log.
    pub(super) fn start(what: &str) -> Progress {
        if !io::stderr().is_terminal() {
            hint(&format!("{what} …"));
        }
        Progress::start_quietly(what)
    }

    /// Starts the same for one of many steps. It prints nothing for a log, because each step prints its result.
    pub(super) fn start_quietly(what: &str) -> Progress {
        if !io::stderr().is_terminal() {
            return Progress(None);
        }
        let what = what.to_owned();
        Progress(Some(tokio::spawn(async move {
            let begun = Instant::now();
            loop {
                // First, so that what is done at once leaves no trace.
                tokio::time::sleep(EVERY).await;
                write(&line(&what, begun.elapsed()));
            }
        })))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(line) = self.0.take() {
            line.abort();
            write(CLEAR);
        }
    }
}

fn line(what: &str, elapsed: Duration) -> String {
    format!("{CLEAR}{what} … {} s", elapsed.as_secs())
}

/// Writes to stderr. Errors are ignored: the line is only for information.
fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_takes_the_place_of_the_one_before() {
        assert_eq!(line("verifying root-ca", Duration::from_millis(3900)), "\r\x1b[Kverifying root-ca … 3 s");
    }
}
