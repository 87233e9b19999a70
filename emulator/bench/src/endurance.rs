//! How soon `emulator up` answers, and what a long day leaves in memory: requests of every kind in the emulator's,
//! uploads in the handler's.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use http::Method;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::crowd::{self, AT_ONCE};
use crate::distribution::Distribution;
use crate::error::BenchError;
use crate::process;
use crate::report::Section;
use crate::serving::token;
use crate::stage::{Scene, Stage};
use keyholder_emulator::authority::Authority;
use keyholder_emulator::names::VAULT;
use keyholder_emulator_local::local_azure::certificate_id;

/// How often the memory is looked at.
const LOOKS: usize = 10;
/// One upload among so many requests: each has the handler run.
const UPLOAD_EVERY: usize = 100;
/// How long a start may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Requests to the listener
    #[arg(long, default_value_t = 200_000)]
    requests: usize,
    /// Uploads to the handler
    #[arg(long, default_value_t = 20_000)]
    uploads: usize,
    /// How often the emulator is started
    #[arg(long, default_value_t = 20)]
    starts: usize,
}

#[derive(Serialize)]
struct StartRow {
    starts: usize,
    first_answer_ms: Option<Distribution>,
}

#[derive(Serialize)]
struct MemoryRow {
    requests: usize,
    mib: Option<f64>,
}

#[derive(Serialize)]
struct HandlerRow {
    uploads: usize,
    mib: Option<f64>,
}

pub(crate) async fn measure(
    arguments: &Arguments,
    emulator: &Path,
    handler: &[OsString],
    say: &dyn Fn(&str),
) -> Result<Vec<Section>, BenchError> {
    let mut starts =
        Section::new("first_answer", "emulator up: from exec to the first answer of the TLS listener");
    say(&format!("endurance: {} starts", arguments.starts));
    let mut times = Vec::new();
    for _ in 0..arguments.starts {
        times.push(Up::start(emulator).await?.answered_after);
    }
    starts.push(StartRow { starts: arguments.starts, first_answer_ms: Distribution::of(times) });

    let mut memory = Section::new(
        "memory",
        format!(
            "emulator up, resident after so many requests on {AT_ONCE} kept connections: tokens, looks, lists, codes, \
             signatures, and an upload in {UPLOAD_EVERY}"
        ),
    );
    say(&format!("endurance: {} requests", arguments.requests));
    let up = Up::start(emulator).await?;
    let day = Day::begin(&up).await?;
    memory.push(MemoryRow { requests: 0, mib: up.mebibytes() });
    for look in 1..=LOOKS {
        let (from, to) = (arguments.requests * (look - 1) / LOOKS, arguments.requests * look / LOOKS);
        crowd::ask(from..to, async |number| day.request(number).await).await?;
        memory.push(MemoryRow { requests: to, mib: up.mebibytes() });
    }
    drop(up);
    Ok(vec![starts, memory, uploads(arguments.uploads, handler, say).await?])
}

async fn uploads(uploads: usize, handler: &[OsString], say: &dyn Fn(&str)) -> Result<Section, BenchError> {
    let mut memory = Section::new(
        "handler_memory",
        format!("the handler, resident after so many uploads, {AT_ONCE} at once; no latency"),
    );
    say(&format!("endurance: {uploads} uploads"));
    let stage = Stage::start(&Scene::new(handler, AT_ONCE)).await?;
    let mut look = |uploads| {
        let mib = stage.handlers().map(|usage| usage.resident);
        memory.push(HandlerRow { uploads, mib });
    };
    look(0);
    for part in 1..=LOOKS {
        let (from, to) = (uploads * (part - 1) / LOOKS, uploads * part / LOOKS);
        stage.verify(to - from, AT_ONCE).await?;
        look(to);
    }
    stage.stop().await;
    Ok(memory)
}

/// A running `emulator up`, killed when dropped.
struct Up {
    child: Child,
    services: SocketAddr,
    answered_after: Duration,
    /// Takes any certificate: whose it is comes out only once the emulator is up.
    http: reqwest::Client,
}

impl Up {
    async fn start(emulator: &Path) -> Result<Up, BenchError> {
        let services = free_address().await?;
        let http = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .resolve(&vault_host(), services)
            .no_proxy()
            .build()?;
        let metadata = format!("https://{services}/metadata/endpoints?api-version=2022-09-01");
        let port = format!("--port={}", services.port());
        let begun = Instant::now();
        let mut child = Command::new(emulator)
            .args(["up", &port, "--identity-port=0", "--functions-port=0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        loop {
            match http.get(&metadata).send().await {
                Ok(answer) => {
                    answer.error_for_status()?.bytes().await?;
                    break;
                }
                Err(error) if !error.is_connect() || begun.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) if child.try_wait()?.is_some() => {
                    let (program, what) = ("emulator up".to_owned(), "ended at once".to_owned());
                    return Err(BenchError::Program { program, what });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
        Ok(Up { child, services, answered_after: begun.elapsed(), http })
    }

    fn mebibytes(&self) -> Option<f64> {
        self.child.id().and_then(process::usage).map(|usage| usage.resident)
    }
}

/// Requests of every kind to one emulator, about one CA.
struct Day<'u> {
    http: &'u reqwest::Client,
    arm: String,
    vault: String,
    arm_token: String,
    vault_token: String,
    certificate: Value,
}

impl Day<'_> {
    async fn begin(up: &Up) -> Result<Day<'_>, BenchError> {
        let port = up.services.port();
        let (arm, vault) = (format!("https://localhost:{port}"), format!("https://{}:{port}", vault_host()));
        let audience = format!("https://vault.localhost:{port}");
        let ca = Authority::ec_root("Endurance")?;
        let day = Day {
            http: &up.http,
            arm_token: token(&up.http, &arm, &arm).await?,
            vault_token: token(&up.http, &arm, &audience).await?,
            arm,
            vault,
            certificate: json!({ "properties": { "certificate": ca.certificate_pem()? } }),
        };
        let kept = json!({ "value": ca.key_and_certificate_pem()? });
        day.ask_vault(Method::POST, "/certificates/ca/import", Some(&kept)).await?;
        day.upload().await?;
        Ok(day)
    }

    async fn request(&self, number: usize) -> Result<(), BenchError> {
        if number.is_multiple_of(UPLOAD_EVERY) {
            return self.upload().await;
        }
        match number % 5 {
            0 => token(self.http, &self.arm, &self.arm).await.map(|_| ()),
            1 => self.ask_dps(Method::GET, "ca", None).await,
            2 => self.ask_dps(Method::GET, "", None).await,
            3 => self.ask_dps(Method::POST, "ca/generateVerificationCode", None).await,
            _ => {
                let digest = json!({ "alg": "ES256", "value": "A".repeat(43) });
                self.ask_vault(Method::POST, "/keys/ca//sign", Some(&digest)).await
            }
        }
    }

    async fn upload(&self) -> Result<(), BenchError> {
        self.ask_dps(Method::PUT, "ca", Some(&self.certificate)).await
    }

    async fn ask_dps(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(), BenchError> {
        let path = certificate_id(path);
        let url = format!("{}{}?api-version=2022-12-12", self.arm, path.trim_end_matches('/'));
        let request = self.http.request(method, url).bearer_auth(&self.arm_token).header("If-Match", "*");
        answered(request, body).await
    }

    async fn ask_vault(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(), BenchError> {
        let url = format!("{}{path}?api-version=2025-07-01", self.vault);
        answered(self.http.request(method, url).bearer_auth(&self.vault_token), body).await
    }
}

async fn answered(mut request: reqwest::RequestBuilder, body: Option<&Value>) -> Result<(), BenchError> {
    if let Some(body) = body {
        request = request.json(body);
    }
    request.send().await?.error_for_status()?.bytes().await?;
    Ok(())
}

fn vault_host() -> String {
    format!("{VAULT}.vault.localhost")
}

/// An address nobody listens on. Somebody else might, a moment later; then the start fails and says so.
async fn free_address() -> std::io::Result<SocketAddr> {
    tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()
}
