//! The emulator itself, as a process: how fast and how small it is, in both forms in which it is served.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use wiremock::MockServer;

use crate::crowd::{self, AT_ONCE};
use crate::distribution::{Distribution, median, milliseconds};
use crate::error::BenchError;
use crate::process::{self, Usage};
use crate::report::Section;
use keyholder_emulator::authority::Authority;
use keyholder_emulator::listener;
use keyholder_emulator::mock;
use keyholder_emulator::tls::ServerIdentity;
use keyholder_emulator::{Emulator, World};
use keyholder_emulator_local::local_azure::certificate_id;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Requests to each form
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// How often the emulator is started
    #[arg(long, default_value_t = 20)]
    starts: usize,
}

/// How the emulated services are served.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Form {
    Listener,
    Wiremock,
}

#[derive(Serialize)]
struct Row {
    form: &'static str,
    requests: usize,
    per_second: f64,
    cpu_us: Option<f64>,
    mib_before: Option<f64>,
    mib_after: Option<f64>,
}

#[derive(Serialize)]
struct StartRow {
    starts: usize,
    ready_ms: Option<Distribution>,
    idle_mib: Option<f64>,
}

/// Where a child serves.
#[derive(Serialize, Deserialize)]
struct Served {
    url: String,
    ca: Option<String>,
}

pub(crate) async fn measure(
    arguments: &Arguments,
    emulator: &Path,
    say: &dyn Fn(&str),
) -> Result<Vec<Section>, BenchError> {
    let mut served = Section::new(
        "emulator",
        format!(
            "GET of one certificate with a token, on {AT_ONCE} kept connections; the listener speaks TLS, wiremock \
             does not and keeps every request"
        ),
    );
    for form in ["listener", "wiremock"] {
        say(&format!("emulator: {} requests to the {form}", arguments.requests));
        served.push(load(emulator, form, arguments.requests).await?);
    }
    let mut starts = Section::new(
        "start",
        "emulator up: from exec until every address is printed, when everything answers and the handler is there",
    );
    say(&format!("emulator: {} starts", arguments.starts));
    starts.push(start(emulator, arguments.starts).await?);
    Ok(vec![served, starts])
}

/// Serves the tutorial's world in one form until it is killed, and says where.
pub(crate) async fn serve(form: Form, out: &mut impl Write) -> Result<(), BenchError> {
    let emulator = Emulator::new(World { strict: true, ..World::tutorial(7) });
    match form {
        Form::Listener => {
            let identity = ServerIdentity::generate()?;
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let url = format!("https://localhost:{}", listener.local_addr()?.port());
            let ca = Some(String::from_utf8_lossy(&identity.ca_pem()?).into_owned());
            tell(out, &Served { url, ca })?;
            listener::serve_tls(listener, identity.acceptor()?, emulator).await;
        }
        Form::Wiremock => {
            let server = MockServer::start().await;
            mock::mount(&emulator, &server).await;
            tell(out, &Served { url: server.uri(), ca: None })?;
            std::future::pending::<()>().await;
        }
    }
    Ok(())
}

fn tell(out: &mut impl Write, served: &Served) -> std::io::Result<()> {
    writeln!(out, "{}", serde_json::to_string(served)?)?;
    out.flush()
}

async fn load(emulator: &Path, form: &'static str, requests: usize) -> Result<Row, BenchError> {
    let mut child = spawn(emulator, &["serve", form])?;
    let served: Served = serde_json::from_str(&first_line(&mut child).await?).map_err(|error| {
        BenchError::Program { program: format!("bench serve {form}"), what: error.to_string() }
    })?;
    let mut client = reqwest::Client::builder().no_proxy();
    if let Some(ca) = &served.ca {
        client = client.tls_certs_only([reqwest::Certificate::from_pem(ca.as_bytes())?]);
    }
    let client = client.build()?;
    let certificate = format!("{}{}?api-version=2022-12-12", served.url, certificate_id("ca"));
    let token = token(&client, &served.url, "https://management.azure.com/").await?;
    let ca = STANDARD.encode(Authority::ec_root("Benchmark")?.certificate_pem()?);
    let body = json!({ "properties": { "certificate": ca } });
    client.put(&certificate).bearer_auth(&token).json(&body).send().await?.error_for_status()?;

    let get = async |_| {
        let answer = client.get(&certificate).bearer_auth(&token).send().await?;
        answer.error_for_status()?.bytes().await?;
        Ok(())
    };
    crowd::ask(0..10 * AT_ONCE, get).await?;
    let usage = |child: &Child| child.id().and_then(process::usage);
    let before = usage(&child);
    let begun = Instant::now();
    crowd::ask(0..requests, get).await?;
    let took = begun.elapsed();
    let after = usage(&child);
    child.kill().await?;
    Ok(Row {
        form,
        requests,
        per_second: requests as f64 / took.as_secs_f64(),
        cpu_us: cpu_of_each(before, after, requests),
        mib_before: before.map(|usage| usage.resident),
        mib_after: after.map(|usage| usage.resident),
    })
}

async fn start(emulator: &Path, starts: usize) -> Result<StartRow, BenchError> {
    let (mut ready, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..starts {
        let begun = Instant::now();
        let arguments = ["up", "--port=0", "--identity-port=0", "--functions-port=0"];
        let mut child = spawn(emulator, &arguments)?;
        first_line(&mut child).await?;
        ready.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(300)).await;
        idle.extend(child.id().and_then(process::usage).map(|usage| usage.resident));
        child.kill().await?;
    }
    Ok(StartRow { starts, ready_ms: Distribution::of(ready), idle_mib: median(idle) })
}

fn spawn(program: &Path, arguments: &[&str]) -> std::io::Result<Child> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()
}

/// The first line that is not blank.
async fn first_line(child: &mut Child) -> Result<String, BenchError> {
    let stdout = child.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        if !line.trim().is_empty() {
            return Ok(line);
        }
    }
    Err(BenchError::Program { program: "the emulator".to_owned(), what: "ended at once".to_owned() })
}

/// A token for an audience, from the identity endpoint at this address.
pub(crate) async fn token(client: &reqwest::Client, url: &str, audience: &str) -> Result<String, BenchError> {
    let asked = format!("{url}/msi/token?api-version=2019-08-01&resource={audience}");
    let answer = client.get(asked).header("x-identity-header", "any").send().await?.error_for_status()?;
    Ok(answer.json::<Value>().await?["access_token"].as_str().unwrap_or_default().to_owned())
}

fn cpu_of_each(before: Option<Usage>, after: Option<Usage>, requests: usize) -> Option<f64> {
    let spent = after?.cpu.saturating_sub(before?.cpu);
    Some(milliseconds(spent) * 1e3 / requests as f64)
}
