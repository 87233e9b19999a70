//! New processes: until one answers, and until it has verified something with everything cold: token, challenge,
//! TLS, the key of the certificate that is the proof.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::process::{Child, Command};

use crate::distribution::{Distribution, median, milliseconds};
use crate::error::BenchError;
use crate::limit::Cryptography;
use crate::process;
use crate::report::Section;
use crate::stage::{Family, Scene, Stage};
use keyholder_emulator::dps;
use keyholder_emulator::operation::Operation;

/// After that long a process that is asked nothing has settled.
const IDLE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_micros(100);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many processes are started for each figure
    #[arg(long, default_value_t = 20)]
    starts: usize,
    /// How many milliseconds later each answer of a service comes
    #[arg(long, default_value_t = 20)]
    latency: u64,
}

#[derive(Serialize)]
struct Row {
    ca: &'static str,
    starts: usize,
    first_answer_ms: Option<Distribution>,
    exec_to_verified_ms: Option<Distribution>,
    event_to_verified_ms: Option<Distribution>,
    limit_ms: f64,
    p50_to_limit: Option<f64>,
    idle_mib: Option<f64>,
    after_mib: Option<f64>,
}

/// One process.
struct Start {
    child: Child,
    address: SocketAddr,
    begun: OffsetDateTime,
    first_answer: Duration,
}

pub(crate) async fn measure(
    arguments: &Arguments,
    handler: &[OsString],
    cryptography: Cryptography,
    say: &dyn Fn(&str),
) -> Result<Section, BenchError> {
    let mut section = Section::new(
        "cold",
        format!(
            "new processes, {} ms latency; the event comes as soon as the process has answered. The limit is 5 calls \
             one after the other and a signature; an RSA key ({:.0} ms here) is made beside the first 3",
            arguments.latency,
            milliseconds(cryptography.key)
        ),
    );
    let latency = Duration::from_millis(arguments.latency);
    let host = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    for (ca, family, makes_key) in [("RSA-2048", Family::Rsa2048, true), ("P-256", Family::P256, false)] {
        say(&format!("cold: {} starts with {ca}", 2 * arguments.starts));
        let scene = Scene { latency, family, ..Scene::new(handler, dps::LIMIT) };
        let stage = Stage::start(&scene).await?;
        // Its own handler is only there because a stage has one.
        stage.azure().emulator().with(|world, _| world.event_grid.hold_back());
        let (mut first_answers, mut idle) = (Vec::new(), Vec::new());
        for _ in 0..arguments.starts {
            let start = Start::exec(&stage, handler).await?;
            first_answers.push(start.first_answer);
            tokio::time::sleep(IDLE).await;
            idle.extend(start.resident());
            start.stop().await?;
        }
        let (mut from_exec, mut from_event, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..arguments.starts {
            let start = Start::exec(&stage, handler).await?;
            first_answers.push(start.first_answer);
            let (delivered, verified) = verify(&host, &stage, &start, number % dps::LIMIT).await?;
            from_exec.push((verified - start.begun).unsigned_abs() + latency);
            from_event.push((verified - delivered).unsigned_abs() + latency);
            after.extend(start.resident());
            start.stop().await?;
        }
        stage.stop().await;
        let limit_ms = milliseconds(cryptography.cold(latency, makes_key));
        let event_to_verified_ms = Distribution::of(from_event);
        section.push(Row {
            ca,
            starts: first_answers.len(),
            first_answer_ms: Distribution::of(first_answers),
            exec_to_verified_ms: Distribution::of(from_exec),
            event_to_verified_ms,
            limit_ms,
            p50_to_limit: event_to_verified_ms.map(|verified| verified.p50 / limit_ms),
            idle_mib: median(idle),
            after_mib: median(after),
        });
    }
    Ok(section)
}

/// Posts the event of an upload to a process, as the Functions host does: when that was, and when it was verified.
async fn verify(
    host: &reqwest::Client,
    stage: &Stage,
    start: &Start,
    certificate: usize,
) -> Result<(OffsetDateTime, OffsetDateTime), BenchError> {
    let emulator = stage.azure().emulator();
    stage.upload(certificate);
    let (event, told) = emulator.look(|world, _| {
        let event = world.event_grid.history().next_back().map(|delivery| delivery.event().clone());
        (event.unwrap_or_default(), world.journal.written())
    });
    let delivered = emulator.now();
    let answer = host
        .post(format!("http://{}/VerifyOnUpload", start.address))
        .json(&json!({ "Data": { "event": event }, "Metadata": {} }))
        .send()
        .await?;
    let status = answer.status();
    let told_back: Value = answer.json().await?;
    let verified = emulator.look(|world, _| {
        let mut proofs = world.journal.since(told);
        proofs.find(|entry| (entry.operation, entry.status) == (Operation::Verify, 200)).map(|entry| entry.at)
    });
    verified.map(|verified| (delivered, verified)).ok_or_else(|| BenchError::Program {
        program: "the handler".to_owned(),
        what: format!("answered {status} and verified nothing: {told_back}"),
    })
}

impl Start {
    async fn exec(stage: &Stage, handler: &[OsString]) -> Result<Start, BenchError> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let (program, arguments) = handler.split_first().expect("a handler has a program");
        let (begun, clock) = (OffsetDateTime::now_utc(), Instant::now());
        let child = Command::new(program)
            .args(arguments)
            .envs(stage.azure().app_settings().iter().map(|(name, value)| (name, value)))
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", address.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let answered = tokio::task::spawn_blocking(move || first_answer(address, clock + PATIENCE)).await;
        answered.expect("asking neither panics nor is cancelled").map_err(|error| BenchError::Program {
            program: program.display().to_string(),
            what: format!("did not answer within {PATIENCE:?}: {error}"),
        })?;
        Ok(Start { child, address, begun, first_answer: clock.elapsed() })
    }

    fn resident(&self) -> Option<f64> {
        Some(process::usage(self.child.id()?)?.resident)
    }

    async fn stop(mut self) -> Result<(), BenchError> {
        Ok(self.child.kill().await?)
    }
}

/// Asks until there is an answer; blocking, because the runtime's timer is too coarse.
fn first_answer(address: SocketAddr, until: Instant) -> std::io::Result<()> {
    let ask = || -> std::io::Result<()> {
        let mut connection = TcpStream::connect(address)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.write_all(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
        connection.read_exact(&mut [0; 12])
    };
    loop {
        match ask() {
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => thread::sleep(ASK_EVERY),
            Ok(()) => return Ok(()),
        }
    }
}
