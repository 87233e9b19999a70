//! The programs of this repository as processes.

use std::process::{Command, Output, Stdio};

/// The handler that Azure Functions starts.
pub(crate) const HANDLER: &str = env!("CARGO_BIN_EXE_handler-under-test");
/// Keyholder from a shell.
pub(crate) const KEYHOLDER: &str = env!("CARGO_BIN_EXE_keyholder-under-test");
/// The webhook as a Lambda function.
pub(crate) const LAMBDA: &str = env!("CARGO_BIN_EXE_lambda-under-test");
/// The emulator's command line.
pub(crate) const EMULATOR: &str = env!("CARGO_BIN_EXE_emulator-under-test");
/// The benchmarks.
pub(crate) const BENCH: &str = env!("CARGO_BIN_EXE_bench-under-test");

/// A program that inherits nothing, so that whatever is set on this machine has no say.
pub(crate) fn program(path: &str) -> Command {
    let mut command = Command::new(path);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Where a handler listens, once its log says so.
pub(crate) fn address_in(log: &str) -> Option<String> {
    let ready = log.lines().find(|line| line.contains("app.ready"))?;
    // In front of a line the emulator says whose it is.
    let ready: serde_json::Value = serde_json::from_str(&ready[ready.find('{')?..]).ok()?;
    Some(ready["address"].as_str()?.to_owned())
}

/// Exit code, stdout, stderr.
pub(crate) fn result(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("our programs print text");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Sends a process a signal, such as `TERM`.
pub(crate) fn signal(pid: u32, name: &str) {
    let (name, pid) = (format!("-{name}"), pid.to_string());
    let told = Command::new("kill").args([&name, &pid]).status().expect("there is a kill program");
    assert!(told.success(), "process {pid} is there to be told");
}
