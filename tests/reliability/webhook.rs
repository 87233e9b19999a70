//! The handler as Event Grid's webhook, a process beside the emulated cloud.

use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use url::Url;

use crate::process::{self, Process};

/// What Event Grid knows and hostile callers do not.
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const SUBSCRIPTION: &str = "verify-on-upload";

pub(crate) struct Webhook {
    child: Mutex<Child>,
    address: String,
    lines: Arc<AtomicUsize>,
}

impl Webhook {
    /// Starts it, and has Event Grid deliver to it instead of the Functions host.
    pub(crate) async fn start(process: &Process) -> Webhook {
        let mut child = Command::new(env!("CARGO_BIN_EXE_handler-under-test"))
            .args(["--webhook", "127.0.0.1:0"])
            .env_clear()
            .envs(process.azure.app_settings().iter().cloned())
            .env("KEYHOLDER_WEBHOOK_SECRET", SECRET)
            .env("KEYHOLDER_WEBHOOK_SUBSCRIPTIONS", SUBSCRIPTION)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (ready, mut addresses) = mpsc::channel(1);
        let lines = Arc::new(AtomicUsize::new(0));
        tokio::spawn(count(child.stdout.take().unwrap(), lines.clone(), ready.clone()));
        tokio::spawn(count(child.stderr.take().unwrap(), lines.clone(), ready));
        let address = addresses.recv().await.expect("it says where it listens");
        let endpoint = Url::parse(&format!("http://{address}/eventgrid?code={SECRET}")).unwrap();
        process.emulator().with(|world, _| {
            let mut subscription =
                world.event_grid.subscriptions().next().expect("one is there at start").clone();
            subscription.endpoint = endpoint.into();
            world.event_grid.subscribe(subscription);
        });
        Webhook { child: Mutex::new(child), address, lines }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Its resident memory in KiB, where the system tells.
    pub(crate) fn memory(&self) -> Option<u64> {
        process::resident(self.child.lock().unwrap().id()?)
    }

    /// How many lines it has logged.
    pub(crate) fn lines(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.child.lock().unwrap().try_wait(), Ok(None))
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
