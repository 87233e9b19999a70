//! The program `emulator`: its command line, and what each command does.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use keyholder_emulator::choices::{ChoiceError, Choices};
use keyholder_emulator::rbac::Rbac;
use keyholder_emulator::world::World;
use keyholder_functions::signals::stopped;
use url::Url;

use crate::hosts::functions_host::App;
use crate::local_azure::{LocalAzure, Options, Ports};
use crate::tools::{app_roles, command_line, demo, up};

/// DPS certificates, Key Vault, managed identity, Event Grid and the Functions host on this machine.
#[derive(Parser)]
#[command(name = "emulator", version, after_help = "The whole story, in a few seconds: cargo run -- demo")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Tell the whole story in one go: two CAs become verified, four failures happen; exit code 0 or 1
    Demo {
        /// Makes a run repeatable: verification codes, etags and ids come from it
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Stay up, and print every address and what to try next
    Up(Up),
    #[command(flatten)]
    Control(command_line::Command),
    /// Be the function app's handler; the emulated Functions host starts it
    #[command(hide = true)]
    Handler {
        /// The handler's own
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(Args)]
struct Up {
    /// Port of ARM and the vaults (TLS); 0 is any free one
    #[arg(long, default_value_t = Ports::STANDARD.services)]
    port: u16,
    /// Port of the managed identity endpoint; 0 is any free one
    #[arg(long, default_value_t = Ports::STANDARD.identity)]
    identity_port: u16,
    /// Port of the Functions host; 0 is any free one
    #[arg(long, default_value_t = Ports::STANDARD.functions)]
    functions_port: u16,
    /// Do only what recordings of the live service show
    #[arg(long)]
    strict: bool,
    /// Do the other thing, where the service does one of two: see docs/emulator.md for the names
    #[arg(long, value_name = "NAME=VALUE", value_parser = choice)]
    choose: Vec<String>,
    /// Start with a subscription and nothing in it: no DPS instance, no vault, no event subscription
    #[arg(long)]
    empty: bool,
    /// Give the app these Azure roles and no other rights: JSON files of role definitions, or without any the
    /// roles that infra/ deploys. You keep all rights
    #[arg(long, value_name = "FILE", num_args = 0..)]
    rbac: Option<Vec<PathBuf>>,
    /// Folder of a function app to run instead of the built-in one (host.json, and a folder with a function.json for each function)
    #[arg(long, value_name = "DIR")]
    app: Option<PathBuf>,
    /// Send uploads to this webhook instead of the app here, which then rests; Core Tools' is
    /// http://localhost:7071/runtime/webhooks/eventgrid?functionName=VerifyOnUpload
    #[arg(long, value_name = "URL")]
    deliver_to: Option<Url>,
    /// Have the Functions host ask its callers for keys, as it does in Azure
    #[arg(long)]
    enable_auth: bool,
    /// Makes a run repeatable: verification codes, etags and ids come from it
    #[arg(long)]
    seed: Option<u64>,
    /// Folder to write events to that no subscriber took, as Event Grid writes them to a storage account
    #[arg(long, value_name = "DIR")]
    dead_letters: Option<PathBuf>,
}

/// Does what these arguments say, of which the first is the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let result = match Arguments::parse_from(arguments).command {
        Command::Handler { arguments } => {
            end_with_parent();
            return keyholder_functions::handler::main(&arguments);
        }
        Command::Demo { seed } => run_demo(seed),
        Command::Up(up) => run_up(up),
        Command::Control(command) => command_line::run(command).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run_demo(seed: u64) -> Result<bool, Box<dyn Error>> {
    let stopped = stopped();
    tokio::pin!(stopped);
    let world = World { strict: true, ..World::tutorial(seed) };
    let options =
        Options { app_settings: demo::app_settings(), ..Options::new(world, Ports::FREE, built_in()?) };
    let azure = tokio::select! {
        azure = LocalAzure::start(options) => azure?,
        () = &mut stopped => return Ok(false),
    };
    let color = demo::wants_color(io::stdout().is_terminal(), std::env::var_os("NO_COLOR").as_deref());
    let story = tokio::select! {
        story = demo::run(&azure, io::stdout(), color) => story.map_err(Into::into),
        () = &mut stopped => Ok(false),
    };
    azure.stop().await;
    story
}

#[tokio::main]
async fn run_up(up: Up) -> Result<bool, Box<dyn Error>> {
    let stopped = stopped();
    tokio::pin!(stopped);
    let Up { port, identity_port, functions_port, strict, choose, empty, .. } = up;
    let Up { rbac, app, deliver_to, enable_auth, seed, dead_letters, .. } = up;
    let ports = Ports { services: port, identity: identity_port, functions: functions_port };
    let app = match app {
        Some(root) => App::from_dir(root)?,
        None => built_in()?,
    };
    let app = if enable_auth { app.asking_for_keys() } else { app };
    let rbac = match rbac {
        None => Rbac::off(),
        // The app of `up` may pull keys out of secrets.
        Some(files) if files.is_empty() => app_roles::rbac(app_roles::of_infrastructure(true)),
        Some(files) => app_roles::rbac(app_roles::from_files(&files)?),
    };
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let world = if empty { World::unused(seed) } else { World::tutorial(seed) };
    let mut world = World { strict, rbac, ..world };
    for choice in &choose {
        world.choices.choose(choice)?;
    }
    let deliver_to = deliver_to.map(Into::into);
    let options = Options { dead_letters, deliver_to, ..Options::new(world, ports, app) };
    let azure = tokio::select! {
        azure = LocalAzure::start(options) => azure?,
        () = &mut stopped => return Ok(true),
    };
    up::run(azure, io::stdout(), stopped).await;
    Ok(true)
}

/// The text of a choice that can be taken.
fn choice(text: &str) -> Result<String, ChoiceError> {
    Choices::default().choose(text).map(|()| text.to_owned())
}

/// Has the system end this process when its parent ends, however that happens: a parent that is killed cannot do it.
#[cfg(target_os = "linux")]
fn end_with_parent() {
    use rustix::process::{Signal, set_parent_process_death_signal};

    // Every Linux takes this signal. If one did not, the handler would be left behind, and work until then.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent() {}

/// This program, as the handler.
fn built_in() -> Result<App, Box<dyn Error>> {
    Ok(App::built_in(vec![std::env::current_exe()?.into(), "handler".into()])?)
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
