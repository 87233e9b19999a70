//! The benchmarks, and the programs they measure unless others are named: this one is the handler and the emulator, too.

use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use keyholder_bench::Arguments;
use keyholder_emulator_local::program;
use keyholder_functions::run_if_asked;
use keyholder_functions::signals::stopped;

/// What is measured is started as this program, with the emulator's own commands.
const OF_THE_EMULATOR: [&str; 2] = ["up", "handler"];

/// What a verification costs, beside its physical limit and beside what people would run instead.
#[derive(Parser)]
#[command(name = "bench", version)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    // As a handler it may pull keys.
    if let Some(ended) = run_if_asked() {
        return ended;
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|command| OF_THE_EMULATOR.iter().any(|of_it| command == of_it)) {
        return program::run(arguments);
    }
    match run(Program::parse_from(arguments).arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// Measures; `false` when it was stopped before the end.
#[tokio::main]
#[allow(clippy::print_stderr)]
async fn run(arguments: Arguments) -> Result<bool, Box<dyn Error>> {
    let stopped = stopped();
    let say = |what: &str| eprintln!("{what} …");
    let this_program = std::env::current_exe()?;
    let mut out = io::stdout();
    tokio::select! {
        measured = keyholder_bench::run(arguments, &this_program, &mut out, &say) => measured?,
        () = stopped => return Ok(false),
    }
    Ok(true)
}

#[allow(clippy::print_stderr)]
fn report(error: &dyn Error) {
    eprint!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
}
