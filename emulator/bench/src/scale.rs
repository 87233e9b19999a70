//! What grows: the number of certificates, of CAs in the vault, of handler processes.

use std::ffi::OsString;
use std::time::Duration;

use serde::Serialize;

use crate::distribution::Distribution;
use crate::error::BenchError;
use crate::flow::{Cpu, Memory};
use crate::plot::{Line, Plot};
use crate::report::Section;
use crate::stage::{Scene, Stage};

/// No more than the smallest size, so that sizes differ in nothing else.
const AT_ONCE: usize = 10;
/// Fewer certificates are uploaded more often, so that each size is measured as well as the others.
const UPLOADS: usize = 2_000;
/// At least so many before; each certificate once, because a vault's key is slower when it signs for the first time.
const WARM_UP: usize = 200;
const VAULT_UPLOADS: usize = 100;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many certificates there are, 25 in each DPS instance
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1_000, 10_000])]
    certificates: Vec<usize>,
    /// How many CAs the vault holds
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 1_000])]
    vault: Vec<usize>,
    /// How many handler processes there are
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4])]
    processes: Vec<usize>,
}

#[derive(Serialize)]
struct Sized {
    certificates: usize,
    uploads: usize,
    per_second: f64,
    ms_each: f64,
    cpu_ms: Cpu,
    handler_mib: Memory,
    emulator_mib: Option<f64>,
}

#[derive(Serialize)]
struct Vault {
    cas_in_vault: usize,
    found: &'static str,
    first_ms: Option<f64>,
    verified_ms: Option<Distribution>,
    calls_each: f64,
}

#[derive(Serialize)]
struct Processes {
    processes: usize,
    latency_ms: u64,
    at_once: usize,
    per_second: f64,
    cpu_ms: Cpu,
    handler_mib: Memory,
}

/// The tables, and cost against size as a chart.
pub(crate) async fn measure(
    arguments: &Arguments,
    handler: &[OsString],
    say: &dyn Fn(&str),
) -> Result<(Vec<Section>, Plot), BenchError> {
    let (sizes, plot) = sizes(&arguments.certificates, handler, say).await?;
    let vaults = vaults(&arguments.vault, handler, say).await?;
    let processes = processes(&arguments.processes, handler, say).await?;
    Ok((vec![sizes, vaults, processes], plot))
}

async fn sizes(
    sizes: &[usize],
    handler: &[OsString],
    say: &dyn Fn(&str),
) -> Result<(Section, Plot), BenchError> {
    let mut section = Section::new(
        "certificates",
        format!("cost of each as their number grows, {AT_ONCE} at once, no latency"),
    );
    let (mut wall, mut own, mut emulators) = (Vec::new(), Vec::new(), Vec::new());
    for certificates in sizes.iter().copied().filter(|size| *size > 0) {
        say(&format!("scale: {certificates} certificates"));
        let at_once = AT_ONCE.min(certificates);
        let stage = Stage::start(&Scene::new(handler, certificates)).await?;
        stage.verify(certificates.max(WARM_UP), at_once).await?;
        let run = stage.verify(certificates.max(UPLOADS), at_once).await?;
        stage.stop().await;
        let ms_each = 1e3 / run.per_second();
        let cpu_ms = run.cpu();
        let point = |line: &mut Vec<_>, ms: Option<f64>| line.extend(ms.map(|ms| (certificates as f64, ms)));
        point(&mut wall, Some(ms_each));
        point(&mut own, cpu_ms.handler);
        point(&mut emulators, cpu_ms.emulator);
        section.push(Sized {
            certificates,
            uploads: run.verified.len(),
            per_second: run.per_second(),
            ms_each,
            cpu_ms,
            handler_mib: run.memory(),
            emulator_mib: run.emulator.map(|usage| usage.resident),
        });
    }
    let named = |name: &str, points| Line { name: name.to_owned(), points };
    let lines = vec![named("time", wall), named("CPU, handler", own), named("CPU, emulator", emulators)];
    let title = "Cost of a verification, by certificates there are";
    Ok((section, Plot { title, x: "certificates", y: "ms for each", lines }))
}

async fn vaults(sizes: &[usize], handler: &[OsString], say: &dyn Fn(&str)) -> Result<Section, BenchError> {
    let mut section = Section::new(
        "vaults",
        "a CA among others in its vault, by the same name as in DPS or by another one; 5 ms latency, one at a time. \
         The first of another name has the vault listed, 25 a call",
    );
    for cas in sizes.iter().copied().filter(|cas| *cas > 0) {
        for (found, other_names) in [("by name", false), ("in the list", true)] {
            say(&format!("scale: vault of {cas}, found {found}"));
            let latency = Duration::from_millis(5);
            let stage =
                Stage::start(&Scene { strangers: cas - 1, other_names, latency, ..Scene::new(handler, 1) })
                    .await?;
            let first = stage.verify(1, 1).await?;
            let later = stage.verify(VAULT_UPLOADS, 1).await?;
            stage.stop().await;
            section.push(Vault {
                cas_in_vault: cas,
                found,
                first_ms: Distribution::of(first.verified).map(|first| first.p50),
                calls_each: later.calls.values().sum::<u64>() as f64 / later.verified.len() as f64,
                verified_ms: Distribution::of(later.verified),
            });
        }
    }
    Ok(section)
}

async fn processes(
    numbers: &[usize],
    handler: &[OsString],
    say: &dyn Fn(&str),
) -> Result<Section, BenchError> {
    let mut section = Section::new(
        "processes",
        "handler processes beside each other, each with its share of the DPS instances; memory is that of all",
    );
    for latency_ms in [20, 0] {
        for processes in numbers.iter().copied().filter(|number| *number > 0) {
            say(&format!("scale: {processes} processes, {latency_ms} ms latency"));
            let at_once = 64 * processes;
            let latency = Duration::from_millis(latency_ms);
            let scene = Scene { processes, latency, ..Scene::new(handler, 2 * at_once) };
            let stage = Stage::start(&scene).await?;
            stage.verify(2 * at_once, at_once).await?;
            let run = stage.verify(UPLOADS, at_once).await?;
            stage.stop().await;
            section.push(Processes {
                processes,
                latency_ms,
                at_once,
                per_second: run.per_second(),
                cpu_ms: run.cpu(),
                handler_mib: run.memory(),
            });
        }
    }
    Ok(section)
}
