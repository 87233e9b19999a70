//! Where and with what something was measured: a figure without it means nothing.

use std::fs;
use std::process::Command;
use std::thread;

use serde::Serialize;

/// Machine, program and command.
#[derive(Debug, Serialize)]
pub(crate) struct Circumstances {
    cpu: Option<String>,
    cores: usize,
    system: Option<String>,
    commit: Option<String>,
    build: &'static str,
    openssl: &'static str,
    command: String,
    /// Processes that wanted to run in the last minute, on average, when it began: how noisy the machine was.
    load: Option<f64>,
}

impl Circumstances {
    /// Of this process.
    pub(crate) fn now() -> Circumstances {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        Circumstances {
            cpu: cpu(),
            cores: cores(),
            system: said_by("uname", &["-sr"]),
            commit: said_by("git", &["describe", "--always", "--dirty"]),
            build: if cfg!(debug_assertions) { "debug: these figures mean little" } else { "release" },
            openssl: openssl::version::version(),
            command: format!("cargo run --release -- {}", arguments.join(" ")),
            load: load(),
        }
    }
}

/// How many cores this process may use.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn cpu() -> Option<String> {
    let described = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = described.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(line.trim_start_matches([' ', '\t', ':']).to_owned())
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// The first line a program prints; `None` if it is not there or fails.
fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}
