//! Hostile callers at the ports of the real program, which is allowed few open files: however many connections, slow
//! requests and events they send, a good delivery is answered as ever, and memory and log stay small. The benchmark
//! `bench doors` does the same with more of them.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use crate::harness::cloud::Cloud;
use crate::harness::events;
use crate::harness::front_door::{FrontDoor, SECRET};

/// What the program may open; half of it are connections of callers.
const FILES: usize = 128;
/// More than it lets in.
const HOSTILE: usize = 200;
/// Good deliveries while they are there.
const DELIVERIES: usize = 3;
/// How long each may take. Without the bounds it takes for ever.
const SOON: Duration = Duration::from_secs(5);
/// What the program may have resident, in KiB, and say.
const MEMORY: u64 = 64 << 10;
const LINES: usize = 100;

/// One of the two ports, and how it is called.
struct Port {
    arguments: &'static [&'static str],
    path: &'static str,
    headers: String,
    wrap: fn(&str) -> String,
}

fn webhook() -> Port {
    let headers = format!("x-functions-key: {SECRET}\r\naeg-event-type: Notification\r\n");
    Port { arguments: &["--webhook", "127.0.0.1:0"], path: "/eventgrid", headers, wrap: str::to_owned }
}

fn custom_handler() -> Port {
    let wrap = |events: &str| format!(r#"{{"Data":{{"event":{events}}},"Metadata":{{}}}}"#);
    Port { arguments: &[], path: "/VerifyOnUpload", headers: String::new(), wrap }
}

impl Port {
    /// A request without its body, of which it promises so much.
    fn head(&self, length: usize) -> String {
        format!("POST {} HTTP/1.1\r\nhost: x\r\n{}content-length: {length}\r\n\r\n", self.path, self.headers)
    }

    fn request(&self, events: &str) -> String {
        let body = (self.wrap)(events);
        self.head(body.len()) + &body
    }

    /// Sends a request over a connection of its own: the status line.
    async fn ask(&self, door: &FrontDoor, events: &str) -> String {
        let mut connection = connect(door).await;
        // A body that is refused early is not read to its end.
        let _ = connection.write_all(self.request(events).as_bytes()).await;
        let mut answer = vec![0; 12];
        connection.read_exact(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// Good deliveries, all in time.
    async fn answers_in_time(&self, door: &FrontDoor, meanwhile: &str) {
        for _ in 0..DELIVERIES {
            let begun = Instant::now();
            let events = json!([events::upload("no-such-ca")]).to_string();
            let answer = timeout(SOON, self.ask(door, &events)).await;
            assert_eq!(answer.as_deref(), Ok("HTTP/1.1 200"), "{meanwhile}, {:?}", begun.elapsed());
        }
    }
}

async fn connect(door: &FrontDoor) -> TcpStream {
    let url: Url = door.url("");
    TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).await.unwrap()
}

/// Connections that send this and nothing more.
async fn hostile(door: &FrontDoor, bytes: &str) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for _ in 0..HOSTILE {
        let mut connection = connect(door).await;
        // The door may have closed it already.
        let _ = connection.write_all(bytes.as_bytes()).await;
        connections.push(connection);
    }
    connections
}

async fn stands(port: Port) {
    let cloud = Cloud::start().await;
    let door = FrontDoor::with_few_files(&cloud, FILES, port.arguments).await;
    port.answers_in_time(&door, "no hostile caller is there").await;

    let large = port.head(1 << 20) + &" ".repeat(20 << 10);
    let scenes = [
        ("idle connections", String::new()),
        ("slow headers", format!("POST {} HTTP/1.1\r\nhost: x\r\nx-func", port.path)),
        ("slow bodies", port.head(1000) + "["),
        ("slow bodies that are large", large),
    ];
    for (scene, bytes) in scenes {
        let _connections = hostile(&door, &bytes).await;
        port.answers_in_time(&door, scene).await;
    }
    let zeros = format!("[{}]", vec!["0"; (1 << 19) - 100].join(","));
    for _ in 0..5 {
        assert_eq!(port.ask(&door, &zeros).await, "HTTP/1.1 413");
    }
    let unreadable = format!("[{}]", vec!["0"; 5000].join(","));
    for _ in 0..5 {
        assert_eq!(port.ask(&door, &unreadable).await, "HTTP/1.1 200");
    }
    if !port.headers.is_empty() {
        for _ in 0..HOSTILE {
            assert_eq!(door.post("eventgrid", &[], "[]").await.0, 401);
        }
    }
    port.answers_in_time(&door, "floods are over").await;

    let log = door.log();
    assert!(log.lines().count() < LINES, "{} lines\n{log}", log.lines().count());
    assert!(log.contains("connections.closed"), "{log}");
    if let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", door.pid())) {
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak < MEMORY, "{peak} KiB");
    }
}

#[tokio::test]
async fn the_webhook_stands_whatever_its_callers_do() {
    stands(webhook()).await;
}

#[tokio::test]
async fn the_custom_handler_stands_whatever_its_callers_do() {
    stands(custom_handler()).await;
}
