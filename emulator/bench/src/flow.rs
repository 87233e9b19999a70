//! Uploads through Event Grid, host and handler: how long until each is verified, and what that costs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use serde::Serialize;

use crate::distribution::{Distribution, milliseconds};
use crate::error::BenchError;
use crate::limit::Cryptography;
use crate::machine;
use crate::plot::{Line, Plot};
use crate::report::Section;
use crate::stage::{Run, Scene, Stage};

/// How many uploads warm a process up, for each that is to be under way at once.
const WARM_UP: usize = 2;
/// So that a run with many at once has a middle, and not only a beginning and an end.
const ROUNDS: usize = 4;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Uploads to measure; four times as many as at once, if that is more
    #[arg(long, default_value_t = 200)]
    uploads: usize,
    /// How many are under way at once
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16, 64, 256, 1000])]
    concurrency: Vec<usize>,
    /// How many milliseconds later each answer of a service comes
    #[arg(long, value_delimiter = ',', default_values_t = [20, 0])]
    latency: Vec<u64>,
}

#[derive(Serialize)]
struct Row {
    latency_ms: u64,
    at_once: usize,
    uploads: usize,
    verified_ms: Option<Distribution>,
    limit_ms: f64,
    p50_to_limit: Option<f64>,
    per_second: f64,
    /// What the handler could do with all cores to itself, going by the time it takes of them.
    handler_alone_per_second: Option<f64>,
    cpu_ms: Cpu,
    handler_mib: Memory,
    connections: u64,
}

/// Of one verification.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Cpu {
    pub(crate) handler: Option<f64>,
    pub(crate) emulator: Option<f64>,
}

#[derive(Serialize)]
pub(crate) struct Memory {
    pub(crate) after: Option<f64>,
    pub(crate) peak: Option<f64>,
}

#[derive(Serialize)]
struct Calls {
    latency_ms: u64,
    at_once: usize,
    all: f64,
    #[serde(flatten)]
    by_kind: BTreeMap<&'static str, f64>,
}

/// The tables, and latency against concurrency as a chart.
pub(crate) async fn measure(
    arguments: &Arguments,
    handler: &[OsString],
    cryptography: Cryptography,
    say: &dyn Fn(&str),
) -> Result<(Vec<Section>, Plot), BenchError> {
    let mut times = Section::new(
        "flow",
        "from an upload's event until DPS's answer that it is verified; RSA-2048 CAs in the vault; the limit is 4 \
         calls one after the other and a signature",
    );
    let mut calls = Section::new("calls", "calls upstream for each verification, by kind");
    let mut lines = Vec::new();
    for latency in &arguments.latency {
        let (mut p50, mut p99) = (Vec::new(), Vec::new());
        for at_once in arguments.concurrency.iter().copied().filter(|at_once| *at_once > 0) {
            say(&format!("flow: {at_once} at once, {latency} ms latency"));
            let run = run(arguments.uploads, handler, *latency, at_once).await?;
            let row = row(*latency, at_once, cryptography, &run);
            if let Some(verified) = row.verified_ms {
                p50.push((at_once as f64, verified.p50));
                p99.push((at_once as f64, verified.p99));
            }
            times.push(row);
            calls.push(calls_of(*latency, at_once, &run));
        }
        lines.push(Line { name: format!("p50, {latency} ms away"), points: p50 });
        lines.push(Line { name: format!("p99, {latency} ms away"), points: p99 });
    }
    let title = "From upload to verified, by uploads at once";
    Ok((vec![times, calls], Plot { title, x: "uploads at once", y: "ms", lines }))
}

async fn run(uploads: usize, handler: &[OsString], latency: u64, at_once: usize) -> Result<Run, BenchError> {
    let latency = Duration::from_millis(latency);
    let stage = Stage::start(&Scene { latency, ..Scene::new(handler, at_once.max(100)) }).await?;
    stage.verify(at_once * WARM_UP, at_once).await?;
    let run = stage.verify(uploads.max(at_once * ROUNDS), at_once).await?;
    stage.stop().await;
    Ok(run)
}

fn row(latency_ms: u64, at_once: usize, cryptography: Cryptography, run: &Run) -> Row {
    let limit_ms = milliseconds(cryptography.warm(Duration::from_millis(latency_ms)));
    let verified_ms = Distribution::of(run.verified.clone());
    Row {
        latency_ms,
        at_once,
        uploads: run.verified.len(),
        verified_ms,
        limit_ms,
        p50_to_limit: verified_ms.map(|verified| verified.p50 / limit_ms),
        per_second: run.per_second(),
        handler_alone_per_second: run.cpu().handler.map(|ms| machine::cores() as f64 * 1e3 / ms),
        cpu_ms: run.cpu(),
        handler_mib: run.memory(),
        connections: run.connections,
    }
}

fn calls_of(latency_ms: u64, at_once: usize, run: &Run) -> Calls {
    let uploads = run.verified.len() as f64;
    let by_kind: BTreeMap<_, _> =
        run.calls.iter().map(|(kind, calls)| (*kind, *calls as f64 / uploads)).collect();
    Calls { latency_ms, at_once, all: by_kind.values().sum(), by_kind }
}

impl Run {
    pub(crate) fn per_second(&self) -> f64 {
        self.verified.len() as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn cpu(&self) -> Cpu {
        let of_one = |spent: Duration| milliseconds(spent) / self.verified.len() as f64;
        Cpu {
            handler: self.handlers.map(|usage| of_one(usage.cpu)),
            emulator: self.emulator.map(|usage| of_one(usage.cpu)),
        }
    }

    pub(crate) fn memory(&self) -> Memory {
        Memory {
            after: self.handlers.map(|usage| usage.resident),
            peak: self.handlers.map(|usage| usage.peak),
        }
    }
}
