//! The emulator on this machine.

use std::process::ExitCode;

use keyholder_emulator_local::program;
use keyholder_functions::run_if_asked;

fn main() -> ExitCode {
    // As its own handler it may pull keys.
    if let Some(ended) = run_if_asked() {
        return ended;
    }
    program::run(std::env::args_os())
}
