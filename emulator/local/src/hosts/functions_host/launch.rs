//! Everything the handler is started with, as often as it takes: its port stays the same.

use std::fmt;
use std::time::Duration;

use super::app::App;
use super::program::CommandLine;

/// A start that can be repeated.
#[derive(Clone)]
pub(super) struct Launch {
    pub(super) line: CommandLine,
    /// Beside what this process has itself.
    pub(super) environment: Vec<(String, String)>,
    pub(super) port: u16,
    pub(super) initialization_timeout: Duration,
}

impl Launch {
    /// How an app starts with these settings, on this port, as the worker of this id.
    pub(super) fn new(app: &App, settings: &[(String, String)], port: u16, id: &str) -> Launch {
        let own = [
            ("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string()),
            ("FUNCTIONS_HTTPWORKER_PORT", port.to_string()),
            ("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", id.to_owned()),
            ("FUNCTIONS_HTTPWORKER_ID", id.to_owned()),
            ("FUNCTIONS_APP_ROOT_PATH", app.root.display().to_string()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let environment: Vec<_> = settings.iter().cloned().chain(own).collect();
        let line = app.program.command_line(&app.root, |name| variable(&environment, name));
        Launch { line, environment, port, initialization_timeout: app.initialization_timeout }
    }

    /// An app setting, or else a variable of this process, as the handler will find it.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        variable(&self.environment, name)
    }
}

impl fmt::Debug for Launch {
    /// Without the environment: app settings may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch").field("line", &self.line).field("port", &self.port).finish_non_exhaustive()
    }
}

fn variable(environment: &[(String, String)], name: &str) -> Option<String> {
    let set = environment.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    set.or_else(|| std::env::var(name).ok())
}

/// A certain loopback port, if nobody uses it at the moment.
pub(super) fn this_port(port: u16) -> std::io::Result<u16> {
    std::net::TcpListener::bind(("127.0.0.1", port)).map(|_| port)
}

/// A loopback port nobody uses at the moment.
pub(super) fn free_port() -> std::io::Result<u16> {
    std::net::TcpListener::bind("127.0.0.1:0")?.local_addr().map(|address| address.port())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn settings_stay_out_of_debug_output_and_cannot_replace_the_port() {
        let app = App::built_in(vec!["handler".into()]).unwrap();
        let settings = [("PASSWORD", "hidden"), ("FUNCTIONS_CUSTOMHANDLER_PORT", "80")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let launch = Launch::new(&app, &settings, 5000, "worker");

        assert!(!format!("{launch:?}").contains("hidden"));
        let mut ports = launch.environment.iter().filter(|(name, _)| name == "FUNCTIONS_CUSTOMHANDLER_PORT");
        assert_eq!(ports.next_back().unwrap().1, "5000");
    }
}
