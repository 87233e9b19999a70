//! The webhook under hostile callers: how long a good delivery takes while they are there, and what they cost in
//! memory and in lines of the log.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::distribution::Distribution;
use crate::error::BenchError;
use crate::process;
use crate::report::Section;
use crate::stage::{Scene, Stage};
use keyholder_emulator_local::local_azure::certificate_id;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// What the program may open, as a service of systemd's.
const FILES: usize = 1_024;
const DELIVERIES: usize = 20;
/// A delivery that takes longer failed.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Hostile connections that are held at once
    #[arg(long, default_value_t = 1_100)]
    held: usize,
    /// Connections that are opened and left, one after the other
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Bodies of 1 MiB
    #[arg(long, default_value_t = 50)]
    bodies: usize,
}

#[derive(Serialize)]
struct Row {
    callers: &'static str,
    sent: usize,
    good_ms: Option<Distribution>,
    peak_mib: Option<f64>,
    log_lines: usize,
}

pub(crate) async fn measure(
    arguments: &Arguments,
    handler: &[OsString],
    say: &dyn Fn(&str),
) -> Result<Section, BenchError> {
    let mut section = Section::new(
        "doors",
        format!(
            "{DELIVERIES} good deliveries to the webhook while hostile callers are there, {} connections of theirs \
             at once; it may open {FILES} files; peak memory and lines of the log since its start",
            arguments.held
        ),
    );
    let stage = Stage::start(&Scene::new(handler, 1)).await?;
    let webhook = Webhook::start(handler, &stage).await?;
    let with_secret = format!("x-functions-key: {SECRET}\r\naeg-event-type: Notification\r\n");
    let head = |headers: &str, length: usize| {
        format!("POST /eventgrid HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\n\r\n")
    };
    let zeros = format!("[{}]", vec!["0"; (1 << 19) - 10].join(","));
    let unreadable = format!("[{}]", vec!["0"; 5_000].join(","));
    let scenes = [
        ("none", 0, String::new()),
        ("idle", arguments.held, String::new()),
        ("slow headers", arguments.held, "POST /eventgrid HTTP/1.1\r\nhost: x\r\nx-fun".to_owned()),
        ("slow bodies", arguments.held, head(&with_secret, 1_000) + "["),
        ("slow large bodies", arguments.held, head(&with_secret, 1 << 20) + &" ".repeat(20 << 10)),
        ("without the secret", arguments.held, head("", 2) + "[]"),
        ("1 MiB of [0,0,…]", arguments.bodies, head(&with_secret, zeros.len()) + &zeros),
        ("5,000 unreadable events", arguments.bodies, head(&with_secret, unreadable.len()) + &unreadable),
        ("opened and left", arguments.connections, String::new()),
    ];
    for (callers, sent, bytes) in scenes {
        say(&format!("doors: {callers}, {sent}"));
        let hostile = webhook.attack(sent, arguments.held, bytes);
        let good = webhook.deliveries().await?;
        // They stay until all of them were there.
        drop(hostile.await);
        section.push(Row {
            callers,
            sent,
            good_ms: Distribution::of(good),
            peak_mib: webhook.child.id().and_then(process::usage).map(|usage| usage.peak),
            log_lines: webhook.lines.load(Ordering::Relaxed),
        });
    }
    drop(webhook);
    stage.stop().await;
    Ok(section)
}

/// The handler as a webhook, killed when dropped.
struct Webhook {
    child: Child,
    address: String,
    lines: Arc<AtomicUsize>,
}

impl Webhook {
    async fn start(handler: &[OsString], stage: &Stage) -> Result<Webhook, BenchError> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", &format!("ulimit -n {FILES} && exec \"$0\" \"$@\"")])
            .args(handler)
            .args(["--webhook", "127.0.0.1:0"])
            .envs(stage.azure().app_settings().iter().cloned())
            .env("KEYHOLDER_WEBHOOK_SECRET", SECRET)
            .env("KEYHOLDER_WEBHOOK_SUBSCRIPTIONS", "verify-on-upload")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (ready, mut addresses) = mpsc::channel(1);
        let lines = Arc::new(AtomicUsize::new(0));
        tokio::spawn(count(child.stdout.take().expect("it is piped"), lines.clone(), ready.clone()));
        tokio::spawn(count(child.stderr.take().expect("it is piped"), lines.clone(), ready));
        let ended =
            || BenchError::Program { program: "handler --webhook".into(), what: "did not start".into() };
        let address = addresses.recv().await.ok_or_else(ended)?;
        Ok(Webhook { child, address, lines })
    }

    /// Opens so many connections, sends the same over each, and holds the last of them.
    fn attack(&self, connections: usize, most: usize, bytes: String) -> JoinHandle<VecDeque<TcpStream>> {
        let address = self.address.clone();
        tokio::spawn(async move {
            let mut held = VecDeque::new();
            for _ in 0..connections {
                let Ok(mut connection) = TcpStream::connect(&address).await else { continue };
                // It may be closed before all of it is sent.
                let _ = connection.write_all(bytes.as_bytes()).await;
                held.push_back(connection);
                if held.len() > most {
                    held.pop_front();
                }
            }
            held
        })
    }

    /// Good deliveries over connections of their own, spread over some seconds.
    async fn deliveries(&self) -> Result<Vec<Duration>, BenchError> {
        let mut times = Vec::new();
        for _ in 0..DELIVERIES {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let begun = Instant::now();
            let delivered = tokio::time::timeout(PATIENCE, self.deliver()).await;
            let status = delivered.map_err(|_| self.failed("answered nothing"))??;
            if status != "HTTP/1.1 200" {
                return Err(self.failed(&format!("answered {status}")));
            }
            times.push(begun.elapsed());
        }
        Ok(times)
    }

    /// An event about something else, so that no service has a part in it.
    async fn deliver(&self) -> std::io::Result<String> {
        let event = json!([{
            "id": "1", "eventType": "Microsoft.Resources.ResourceDeleteSuccess", "subject": certificate_id("ca"),
            "data": {},
        }]);
        let body = event.to_string();
        let mut connection = TcpStream::connect(&self.address).await?;
        let request = format!(
            "POST /eventgrid?code={SECRET} HTTP/1.1\r\nhost: x\r\naeg-event-type: Notification\r\ncontent-length: \
             {}\r\n\r\n{body}",
            body.len()
        );
        connection.write_all(request.as_bytes()).await?;
        let mut status = [0; 12];
        connection.read_exact(&mut status).await?;
        Ok(String::from_utf8_lossy(&status).into_owned())
    }

    fn failed(&self, what: &str) -> BenchError {
        BenchError::Program { program: "handler --webhook".to_owned(), what: what.to_owned() }
    }
}

/// Counts lines, and tells the address in one of them.
async fn count(output: impl AsyncRead + Unpin, lines: Arc<AtomicUsize>, ready: mpsc::Sender<String>) {
    let mut output = BufReader::new(output).lines();
    while let Ok(Some(line)) = output.next_line().await {
        lines.fetch_add(1, Ordering::Relaxed);
        let Ok(line) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
        if let (Some("app.ready"), Some(address)) = (line["event"].as_str(), line["address"].as_str()) {
            let _ = ready.send(address.to_owned()).await;
        }
    }
}
