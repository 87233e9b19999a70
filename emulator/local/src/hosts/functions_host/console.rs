//! The host's log: what the handler prints, what functions log, and what the host itself has to say.
//!
//! The last lines stay in memory for whoever comes late; who is there already can listen.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

const KEPT: usize = 500;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Anything on stdout, and what functions log.
    Information,
    /// A line on stderr with "warn" in it.
    Warning,
    /// Any other line on stderr, and the host's own trouble.
    Error,
}

/// Who says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The host.
    Host,
    /// The handler, on stdout or stderr.
    Handler,
    /// The function of this name, in the `Logs` of an answer.
    Function(String),
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How bad it is.
    pub level: Level,
    /// Who says it.
    pub source: Source,
    /// What.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Host => "host",
            Source::Handler => "handler",
            Source::Function(name) => name,
        };
        write!(f, "[{source}] {}", self.text)
    }
}

/// The log; cheap to clone, every clone is the same log.
#[derive(Clone, Debug)]
pub(crate) struct Console(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lines: Mutex<VecDeque<Line>>,
    listeners: broadcast::Sender<Line>,
}

impl Console {
    pub(crate) fn new() -> Console {
        Console(Arc::new(Inner { lines: Mutex::default(), listeners: broadcast::Sender::new(KEPT) }))
    }

    /// The lines so far, and every later one.
    pub(crate) fn follow(&self) -> (Vec<Line>, broadcast::Receiver<Line>) {
        let lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        (lines.iter().cloned().collect(), self.0.listeners.subscribe())
    }

    pub(crate) fn stdout(&self, text: &str) {
        self.handler(Level::Information, text);
    }

    pub(crate) fn stderr(&self, text: &str) {
        let level = if text.to_ascii_lowercase().contains("warn") { Level::Warning } else { Level::Error };
        self.handler(level, text);
    }

    /// Two beginnings make a line no line of the app's: one for the host's own log, one for tools, which no log
    /// shows.
    fn handler(&self, level: Level, text: &str) {
        match text.strip_prefix("LanguageWorkerConsoleLog") {
            Some(text) => self.host(level, text.trim_start_matches([':', ' ']).to_owned()),
            None if text.starts_with("azfuncjsonlog:") => {}
            None => self.write(level, Source::Handler, text.to_owned()),
        }
    }

    pub(crate) fn function(&self, name: &str, text: String) {
        self.write(Level::Information, Source::Function(name.to_owned()), text);
    }

    pub(crate) fn host(&self, level: Level, text: String) {
        self.write(level, Source::Host, text);
    }

    fn write(&self, level: Level, source: Source, text: String) {
        let line = Line { level, source, text };
        match level {
            Level::Information => tracing::info!(target: "functions_host", "{line}"),
            Level::Warning => tracing::warn!(target: "functions_host", "{line}"),
            Level::Error => tracing::error!(target: "functions_host", "{line}"),
        }
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line.clone());
        // Sent under the lock, so that `follow` misses nothing; nobody listening is fine.
        let _ = self.0.listeners.send(line);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn stderr_is_an_error_unless_it_warns() {
        let console = Console::new();
        console.stdout("warn: but on stdout");
        console.stderr("WARNING: low disk");
        console.stderr("it broke");
        let levels: Vec<_> = console.follow().0.into_iter().map(|line| line.level).collect();
        assert_eq!(levels, [Level::Information, Level::Warning, Level::Error]);
    }

    #[test]
    fn lines_for_the_host_and_for_tools_are_none_of_the_app_s() {
        let console = Console::new();
        console.stdout("LanguageWorkerConsoleLog: started");
        console.stdout("azfuncjsonlog:{}");
        console.stdout("hello");
        let lines: Vec<_> = console.follow().0.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["[host] started", "[handler] hello"]);
    }

    #[test]
    fn who_comes_late_sees_the_last_lines_and_then_every_new_one_once() {
        let console = Console::new();
        for number in 0..KEPT + 2 {
            console.stdout(&number.to_string());
        }
        let (lines, mut later) = console.follow();
        assert_eq!((lines.len(), lines[0].text.as_str()), (KEPT, "2"));
        console.function("OnEvent", "new".to_owned());
        assert_eq!(later.try_recv().unwrap().to_string(), "[OnEvent] new");
        assert!(later.try_recv().is_err());
    }
}
