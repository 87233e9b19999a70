//! The same uploads on the same emulator, verified by Keyholder and by what people would run instead, in turns.

use std::ffi::OsString;
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Serialize;
use tempfile::TempDir;
use tokio::process::Command;

use crate::distribution::{Distribution, median, milliseconds};
use crate::error::BenchError;
use crate::report::Section;
use crate::stage::{PLACE, Run, Scene, Stage};
use keyholder_emulator::authority::Authority;
use keyholder_emulator::names::VAULT;

const HANDLER: &str = include_str!("../../../tests/peers/handler.py");
const TUTORIAL: &str = include_str!("../../../tests/peers/tutorial.sh");
/// Where `tests/clients/install` puts them.
const PYTHON: &str = "target/clients/sdks/bin/python";
const AZ: &str = "target/clients/az/bin/az";
const WARM_UP: usize = 2;
/// How many uploads are under way at once where there are many.
const MANY: usize = 32;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often each takes its turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Uploads in each turn of the Python program, for each that is under way at once
    #[arg(long, default_value_t = 20)]
    uploads: usize,
    /// A Python that has the SDKs; target/clients/sdks/bin/python unless given
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// The Azure CLI; target/clients/az/bin/az unless given
    #[arg(long, value_name = "PROGRAM")]
    az: Option<PathBuf>,
}

/// Of both, in the middle of the rounds; and how many times better ours is, in the middle of the rounds too.
#[derive(Serialize)]
struct Pair {
    ours: Option<f64>,
    theirs: Option<f64>,
    ratio: Option<f64>,
}

#[derive(Serialize)]
struct Row {
    peer: &'static str,
    latency_ms: u64,
    at_once: usize,
    per_second: Pair,
    p50_ms: Pair,
    cpu_ms: Pair,
    peak_mib: Pair,
}

#[derive(Serialize)]
struct ScriptRow {
    peer: &'static str,
    latency_ms: u64,
    ours_at_once: usize,
    each_ms: Pair,
}

pub(crate) async fn measure(
    arguments: &Arguments,
    handler: &[OsString],
    say: &dyn Fn(&str),
) -> Result<Vec<Section>, BenchError> {
    let files = tempfile::tempdir()?;
    Ok(vec![
        match program(&arguments.python, PYTHON).and_then(|python| vault_is_found().map(|()| python)) {
            Ok(python) => with_python(arguments, &python, handler, &files, say).await?,
            Err(why) => Section::new("python", format!("not measured: {why}")),
        },
        match program(&arguments.az, AZ) {
            Ok(az) => with_az(arguments, &az, handler, &files, say).await?,
            Err(why) => Section::new("az", format!("not measured: {why}")),
        },
    ])
}

/// A program's whole path, or why there is none.
fn program(asked_for: &Option<PathBuf>, installed: &str) -> Result<PathBuf, String> {
    let path = asked_for.as_deref().unwrap_or(Path::new(installed));
    match std::path::absolute(path) {
        Ok(path) if path.is_file() => Ok(path),
        _ => Err(format!(
            "there is no {}; install it with tests/clients/install, or name another one with an option",
            path.display()
        )),
    }
}

/// Whether other programs than Keyholder find the vault by its name.
fn vault_is_found() -> Result<(), String> {
    let host = format!("{VAULT}.vault.localhost");
    match (host.as_str(), 443).to_socket_addrs() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{host} is not found on this machine; docs/clients.md says what to do")),
    }
}

async fn with_python(
    arguments: &Arguments,
    python: &Path,
    handler: &[OsString],
    files: &TempDir,
    say: &dyn Fn(&str),
) -> Result<Section, BenchError> {
    let script = files.path().join("handler.py");
    std::fs::write(&script, HANDLER)?;
    let theirs = [python.into(), script.into()];
    let mut section = Section::new(
        "python",
        format!(
            "a Python program with the official SDKs under the same host, {} turns each; the ratio says how many \
             times better Keyholder is",
            arguments.rounds
        ),
    );
    for (latency_ms, at_once) in [(20, 1), (20, MANY), (0, 1), (0, MANY)] {
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        for round in 1..=arguments.rounds {
            say(&format!("peers: Python, {latency_ms} ms latency, {at_once} at once, turn {round}"));
            let latency = Duration::from_millis(latency_ms);
            for (command, runs) in [(handler, &mut ours), (&theirs[..], &mut others)] {
                let stage = Stage::start(&Scene { latency, ..Scene::new(command, 100) }).await?;
                stage.verify(at_once * WARM_UP, at_once).await?;
                runs.push(stage.verify(at_once * arguments.uploads, at_once).await?);
                stage.stop().await;
            }
        }
        let pair = |figure: &dyn Fn(&Run) -> Option<f64>| Pair::of(&ours, &others, figure);
        section.push(Row {
            peer: "Python",
            latency_ms,
            at_once,
            per_second: Pair::of_rates(&ours, &others, &|run| Some(run.per_second())),
            p50_ms: pair(&|run| Distribution::of(run.verified.clone()).map(|verified| verified.p50)),
            cpu_ms: pair(&|run| run.cpu().handler),
            peak_mib: pair(&|run| run.memory().peak),
        });
    }
    Ok(section)
}

async fn with_az(
    arguments: &Arguments,
    az: &Path,
    handler: &[OsString],
    files: &TempDir,
    say: &dyn Fn(&str),
) -> Result<Section, BenchError> {
    let mut section = Section::new(
        "az",
        format!(
            "certificates verified by the tutorial's az and openssl, one after the other, and by Keyholder, one or \
             {MANY} at once; {} turns, time for each",
            arguments.rounds
        ),
    );
    for latency_ms in [20, 0] {
        let latency = Duration::from_millis(latency_ms);
        let scene = |certificates| Scene { latency, strict: false, ..Scene::new(handler, certificates) };
        let stage = Stage::start(&scene(MANY)).await?;
        let scripted = Stage::start(&scene(1)).await?;
        // What az uploads is az's to verify.
        scripted.azure().emulator().with(|world, _| world.event_grid.hold_back());
        let tutorial = Tutorial::prepare(az, &scripted, files).await?;
        stage.verify(MANY * WARM_UP, MANY).await?;
        let (mut alone, mut many, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=arguments.rounds {
            say(&format!("peers: az and openssl, {latency_ms} ms latency, turn {round}"));
            let one_by_one = stage.verify(arguments.uploads, 1).await?.verified;
            alone.push(Distribution::of(one_by_one).map(|each| each.p50));
            many.push(Some(1e3 / stage.verify(MANY * arguments.uploads, MANY).await?.per_second()));
            theirs.push(Some(milliseconds(tutorial.verify(round).await?)));
        }
        stage.stop().await;
        scripted.stop().await;
        for (ours_at_once, ours) in [(1, &alone), (MANY, &many)] {
            let each_ms = Pair::of(ours, &theirs, &|ms| *ms);
            section.push(ScriptRow { peer: "az + openssl", latency_ms, ours_at_once, each_ms });
        }
    }
    Ok(section)
}

/// The tutorial's script, with az logged in to the emulator.
struct Tutorial {
    environment: Vec<(&'static str, OsString)>,
    folder: PathBuf,
}

impl Tutorial {
    async fn prepare(az: &Path, stage: &Stage, files: &TempDir) -> Result<Tutorial, BenchError> {
        let folder = files.path().join(stage.azure().services_address().port().to_string());
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("tutorial.sh"), TUTORIAL)?;
        let mut path = az.parent().map(|folder| folder.as_os_str().to_owned()).unwrap_or_default();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let azure = stage.azure();
        let environment = vec![
            ("PATH", path),
            ("AZURE_CONFIG_DIR", folder.join("az").into()),
            ("AZURE_CORE_ONLY_SHOW_ERRORS", "true".into()),
            ("AZURE_CORE_COLLECT_TELEMETRY", "false".into()),
            ("REQUESTS_CA_BUNDLE", azure.ca_file().into()),
            ("IDENTITY_ENDPOINT", azure.identity().as_str().into()),
            ("IDENTITY_HEADER", "emulator".into()),
        ];
        let tutorial = Tutorial { environment, folder };
        let arm = azure.arm();
        let arm = arm.as_str().trim_end_matches('/');
        tutorial
            .az(&["cloud", "register", "--name", "keyholder", "--endpoint-resource-manager", arm])
            .await?;
        tutorial.az(&["cloud", "set", "--name", "keyholder"]).await?;
        tutorial.az(&["login", "--identity"]).await?;
        // Whatever is compiled or cached when it is first used, is.
        tutorial.verify(0).await?;
        Ok(tutorial)
    }

    /// How long the script takes for a CA.
    async fn verify(&self, number: usize) -> Result<Duration, BenchError> {
        let ca = Authority::rsa_root(&format!("Tutorial CA {number}"))?;
        let (certificate, key) = (self.folder.join("ca.pem"), self.folder.join("ca.key"));
        std::fs::write(&certificate, ca.certificate_pem()?)?;
        std::fs::write(&key, ca.key_and_certificate_pem()?)?;
        let (group, instance) = PLACE;
        let mut script = Command::new("bash");
        script.arg(self.folder.join("tutorial.sh")).args([group, instance, &format!("az-{number}")]);
        script.args([certificate, key]);
        let begun = Instant::now();
        self.run(script, "tests/peers/tutorial.sh").await?;
        Ok(begun.elapsed())
    }

    async fn az(&self, arguments: &[&str]) -> Result<(), BenchError> {
        let mut az = Command::new("az");
        az.args(arguments);
        self.run(az, &format!("az {}", arguments.join(" "))).await
    }

    async fn run(&self, mut command: Command, name: &str) -> Result<(), BenchError> {
        let failed = |what| BenchError::Program { program: name.to_owned(), what };
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
        let output = output.map_err(|error| failed(format!("cannot be started: {error}")))?;
        if output.status.success() {
            return Ok(());
        }
        Err(failed(format!("failed: {}", String::from_utf8_lossy(&output.stderr).trim())))
    }
}

impl Pair {
    /// Of a figure that is better where it is smaller.
    fn of<T>(ours: &[T], theirs: &[T], figure: &dyn Fn(&T) -> Option<f64>) -> Pair {
        Pair::with(ours, theirs, figure, |ours, theirs| theirs / ours)
    }

    /// Of a figure that is better where it is larger.
    fn of_rates<T>(ours: &[T], theirs: &[T], figure: &dyn Fn(&T) -> Option<f64>) -> Pair {
        Pair::with(ours, theirs, figure, |ours, theirs| ours / theirs)
    }

    fn with<T>(
        ours: &[T],
        theirs: &[T],
        figure: &dyn Fn(&T) -> Option<f64>,
        ratio: fn(f64, f64) -> f64,
    ) -> Pair {
        let all = |runs: &[T]| median(runs.iter().filter_map(figure).collect());
        let ratios = ours.iter().zip(theirs);
        let ratios = ratios.filter_map(|(ours, theirs)| Some(ratio(figure(ours)?, figure(theirs)?)));
        Pair { ours: all(ours), theirs: all(theirs), ratio: median(ratios.collect()) }
    }
}
