//! Builds the function app and packs it.

#![allow(clippy::print_stdout, clippy::print_stderr)] // this is a command line

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use keyholder_package::app::LOCAL_SETTINGS;
use keyholder_package::cold_start::{self, ColdStart};
use keyholder_package::compiler::{self, Compiler, Machine};
use keyholder_package::notices::NOTICES;
use keyholder_package::requirements::OLDEST_GLIBC;
use keyholder_package::sbom::SBOM;
use keyholder_package::{App, FOLDER, Linked, Requirements, ZIP, notices, sbom};
use serde_json::Value;

const STARTS: usize = 20;

/// Builds the function app and packs it into target/keyholder-functions.zip, and into a folder beside it.
#[derive(Parser)]
#[command(
    after_help = "The folder is for `func start` and `cargo run -- up --app target/keyholder-functions`."
)]
struct Arguments {
    /// Pack this program instead of building one; x86-64 Linux, with OpenSSL inside
    #[arg(long, value_name = "FILE")]
    handler: Option<PathBuf>,
    /// Fail where there would be a warning, if the handler may not start on every Functions image
    #[arg(long)]
    every_image: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("error: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprint!(": {error}");
                cause = error.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let handler = match arguments.handler {
        Some(handler) => handler,
        None => build(&repository)?,
    };
    let program =
        fs::read(&handler).map_err(|error| format!("{} cannot be read: {error}", handler.display()))?;
    let size = program.len();
    let requirements = checked(&program).map_err(|problem| format!("{}: {problem}", handler.display()))?;

    let warning = warning(&requirements);
    if arguments.every_image {
        warning.clone().map_or(Ok(()), Err)?;
    }

    let linked = Linked::of(&repository)?;
    let openssl = linked.openssl().unwrap_or_default().to_owned();
    if !linked.has_its_openssl(&program) {
        return Err(format!(
            "{}: OpenSSL {openssl} of Cargo.lock is not inside, so the bill of materials would be wrong; build the \
             handler from this commit",
            handler.display()
        )
        .into());
    }
    let left = folders_in(&program, &repository);

    let app = App::assemble(&repository, program)?
        .with(SBOM, sbom::document(&linked))
        .with(NOTICES, notices::document(&linked)?);
    let zip = app.zip()?;
    let folder = repository.join(FOLDER);
    app.write(&folder)?;
    fs::write(repository.join(ZIP), &zip).map_err(|error| format!("{ZIP} cannot be written: {error}"))?;

    println!("handler     {}  x86-64 Linux, {}", megabytes(size), needs(&requirements));
    println!("zip         {}  {ZIP}", megabytes(zip.len()));
    println!("folder                {FOLDER}");
    println!("inside      {} crates and OpenSSL {openssl}, in {SBOM} and {NOTICES}", linked.crates());
    println!("cold start  {}", cold(&folder));
    if let Some(warning) = warning {
        eprintln!("\nWARNING: {warning}");
    }
    if !left.is_empty() {
        eprintln!(
            "\nWARNING: this handler names folders of the machine it was built on ({}), so it is not the same bytes \
             elsewhere",
            left.join(", ")
        );
    }
    Ok(())
}

/// The folders of this machine that a program names.
fn folders_in(program: &[u8], repository: &Path) -> Vec<String> {
    let folders = compiler::folders(repository).into_iter().map(|(folder, _)| folder.display().to_string());
    folders.filter(|folder| program.windows(folder.len()).any(|window| window == folder.as_bytes())).collect()
}

fn needs(requirements: &Requirements) -> String {
    requirements.glibc.map_or("static".to_owned(), |glibc| format!("needs {glibc}"))
}

/// What is to be said about a handler that an image may be too old for.
fn warning(requirements: &Requirements) -> Option<String> {
    (!requirements.suits_every_image()).then(|| {
        format!(
            "this handler {}, and the oldest Functions image has {OLDEST_GLIBC}: it may not start in Azure. It was \
             linked against this machine's C library. To have it linked against that one, install cargo-zigbuild, as \
             infra/README.md says, and run this again",
            needs(requirements)
        )
    })
}

fn build(repository: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let compiler = Compiler::choose(&Machine::look())?;
    let (mut command, handler) = compiler.command(repository);
    eprintln!("building the handler with {compiler}");
    let status = command.status().map_err(|error| format!("Cargo could not be started: {error}"))?;
    match status.success() {
        true => Ok(handler),
        false => Err(format!("the handler could not be built ({status}); what is above says why").into()),
    }
}

/// What it asks for, if that can be had on a Functions image at all.
fn checked(program: &[u8]) -> Result<Requirements, String> {
    let requirements = Requirements::read(program).map_err(|error| error.to_string())?;
    let missing = requirements.missing_libraries();
    match missing.is_empty() {
        true => Ok(requirements),
        false => Err(format!("it needs {}, which a Functions image may not have", missing.join(", "))),
    }
}

/// With the settings of `local.settings.json`, which nobody needs to be there for.
fn cold(folder: &Path) -> String {
    let settings = || -> Result<Vec<(String, String)>, Box<dyn Error>> {
        let document: Value = serde_json::from_slice(&fs::read(folder.join(LOCAL_SETTINGS))?)?;
        let values = document["Values"].as_object().ok_or("it has no Values")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(values.iter().map(|(name, value)| (name.clone(), text(value))).collect())
    };
    let measured = settings().and_then(|settings| {
        Ok(cold_start::measure(&folder.join(keyholder_package::app::HANDLER), &settings, STARTS)?)
    });
    match measured {
        Ok(ColdStart { fastest, median, slowest, starts }) => {
            let [fastest, median, slowest] =
                [fastest, median, slowest].map(|time| 1000.0 * time.as_secs_f64());
            format!(
                "{fastest:5.1} ms from exec to the first answer, the fastest of {starts} starts (median {median:.1} ms, \
                 slowest {slowest:.1} ms)"
            )
        }
        Err(error) => format!("not measured, the handler does not run here: {error}"),
    }
}

fn megabytes(bytes: usize) -> String {
    // Exact enough for a size.
    #[allow(clippy::cast_precision_loss)]
    let megabytes = bytes as f64 / 1e6;
    format!("{megabytes:5.2} MB")
}
