//! Benchmarks: what a verification costs, beside what it must cost and what people would run instead.
//!
//! Machines differ and are noisy, so most figures are beside another one from the same run: a limit that follows
//! from the calls that wait for each other, or a peer that does the same work. Nothing here is a test.

mod cold;
mod crowd;
mod distribution;
mod doors;
mod endurance;
mod error;
mod flow;
mod limit;
mod machine;
mod peers;
mod plot;
mod process;
mod report;
mod scale;
mod serving;
mod stage;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use error::BenchError;
use limit::Cryptography;
use machine::Circumstances;
use plot::Plot;
use report::Report;

/// What to measure, and with what.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// How the results are printed
    #[arg(short, long, global = true, value_enum, default_value = "table")]
    output: Output,
    /// The handler to measure, such as target/release/handler; this very program unless given
    #[arg(long, global = true, value_name = "PROGRAM")]
    handler: Option<PathBuf>,
    /// Folder to draw the charts into, as SVG
    #[arg(long, global = true, value_name = "DIR")]
    plots: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Latency, throughput and cost of a verification, with so many uploads at once
    Flow(flow::Arguments),
    /// Start of a handler, and the first verification in a new process
    Cold(cold::Arguments),
    /// How cost grows with the number of certificates, of CAs in the vault, of processes
    Scale(scale::Arguments),
    /// The emulator itself: requests per second, memory, start
    Emulator(serving::Arguments),
    /// The emulator's start to its first answer; its memory and the handler's over a long run
    Endurance(endurance::Arguments),
    /// The webhook under hostile callers: good deliveries, memory and log
    Doors(doors::Arguments),
    /// The same uploads verified by Keyholder and by what people would run instead, in turns (tests/peers)
    Peers(peers::Arguments),
    /// Serve the emulated services in one form, to be measured
    #[command(hide = true)]
    Serve { form: serving::Form },
}

/// Defaults are those of the command line, so they are written down once.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Defaults<A: Args> {
    #[command(flatten)]
    arguments: A,
}

/// Measures, and prints what came of it.
pub async fn run(
    arguments: Arguments,
    this_program: &Path,
    out: &mut impl Write,
    say: &dyn Fn(&str),
) -> Result<(), BenchError> {
    if let Some(What::Serve { form }) = arguments.what {
        return serving::serve(form, out).await;
    }
    let handler: Vec<OsString> = match arguments.handler {
        // It is started in another folder than this one, perhaps.
        Some(handler) => vec![std::path::absolute(handler)?.into()],
        None => vec![this_program.into(), "handler".into()],
    };
    let mut report = Report { circumstances: Circumstances::now(), sections: Vec::new() };
    let mut charts = Vec::new();
    let cryptography = Cryptography::measure()?;
    for what in arguments.what.map_or_else(everything, |what| vec![what]) {
        match what {
            What::Flow(arguments) => {
                let (sections, chart) = flow::measure(&arguments, &handler, cryptography, say).await?;
                report.sections.extend(sections);
                charts.push(("latency.svg", chart));
            }
            What::Cold(arguments) => {
                report.sections.push(cold::measure(&arguments, &handler, cryptography, say).await?);
            }
            What::Scale(arguments) => {
                let (sections, chart) = scale::measure(&arguments, &handler, say).await?;
                report.sections.extend(sections);
                charts.push(("cost.svg", chart));
            }
            What::Emulator(arguments) => {
                report.sections.extend(serving::measure(&arguments, this_program, say).await?);
            }
            What::Endurance(arguments) => {
                report.sections.extend(endurance::measure(&arguments, this_program, &handler, say).await?);
            }
            What::Doors(arguments) => {
                report.sections.push(doors::measure(&arguments, &handler, say).await?);
            }
            What::Peers(arguments) => {
                report.sections.extend(peers::measure(&arguments, &handler, say).await?);
            }
            What::Serve { .. } => {}
        }
    }
    if let Some(folder) = &arguments.plots {
        draw(folder, &charts)?;
    }
    match arguments.output {
        Output::Table => report.write_tables(out)?,
        Output::Json => report.write_json(out)?,
    }
    Ok(())
}

fn everything() -> Vec<What> {
    vec![
        What::Flow(defaults()),
        What::Cold(defaults()),
        What::Scale(defaults()),
        What::Emulator(defaults()),
        What::Endurance(defaults()),
        What::Doors(defaults()),
        What::Peers(defaults()),
    ]
}

fn defaults<A: Args>() -> A {
    Defaults::parse_from::<[&str; 0], &str>([]).arguments
}

fn draw(folder: &Path, charts: &[(&str, Plot)]) -> Result<(), BenchError> {
    let write = |path: PathBuf, text: String| {
        std::fs::write(&path, text).map_err(|source| BenchError::Write { path, source })
    };
    std::fs::create_dir_all(folder)
        .map_err(|source| BenchError::Write { path: folder.to_owned(), source })?;
    charts.iter().try_for_each(|(name, chart)| write(folder.join(name), chart.svg()))
}
