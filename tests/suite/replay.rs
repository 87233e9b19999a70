//! The TLS listener against recorded traffic of the live service: every recorded request is sent again, as it was
//! written then, and has to meet the recorded status, headers and body, this byte for byte.
//!
//! What the service makes up is compared by form: see [`judge`]. The clock stands at the recorded moment and the
//! recorded code is set beforehand, so the recorded proofs have to pass the real check.

mod judge;

use std::collections::HashMap;

use http::Method;
use http::header::{CONTENT_LENGTH, HOST, HeaderName};
use keyholder_emulator::tls::ServerIdentity;
use keyholder_emulator::{Emulator, World, listener};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::{Position, Url};

use judge::{Answer, Judge, rfc1123};

const POWERSHELL_2018: &str = include_str!("../fixtures/dps/recorded-2017-11-15-powershell.json");
const DOTNET_2021: &str = include_str!("../fixtures/dps/recorded-2020-03-01-dotnet-ecc.json");
const CLI_2022: &str = include_str!("../fixtures/dps/recorded-2021-10-15-cli.json");
const DOTNET_2023: &str = include_str!("../fixtures/dps/recorded-2022-02-05-dotnet.json");

#[tokio::test]
async fn as_recorded_in_2018_with_2017_11_15() {
    Conversation::powershell_2018().replay().await;
}

#[tokio::test]
async fn as_recorded_in_2021_with_2020_03_01_and_an_expired_ecc_certificate() {
    Conversation::dotnet_2021().replay().await;
}

#[tokio::test]
async fn as_recorded_in_2022_with_2021_10_15() {
    Conversation::cli_2022().replay().await;
}

#[tokio::test]
async fn as_recorded_in_2023_with_2022_02_05() {
    Conversation::dotnet_2023().replay().await;
}

/// One recording: what was said to one DPS instance, in order.
pub(crate) struct Conversation(Vec<Value>);

impl Conversation {
    /// All there are, with the year of each.
    pub(crate) fn all() -> [(&'static str, Conversation); 4] {
        [
            ("2018", Conversation::powershell_2018()),
            ("2021", Conversation::dotnet_2021()),
            ("2022", Conversation::cli_2022()),
            ("2023", Conversation::dotnet_2023()),
        ]
    }

    fn powershell_2018() -> Conversation {
        Conversation::of(POWERSHELL_2018)
    }

    fn dotnet_2021() -> Conversation {
        Conversation::of(DOTNET_2021)
    }

    /// The recorder changed the common name in the answers, but not in the certificate.
    fn cli_2022() -> Conversation {
        Conversation::of(&CLI_2022.replace("TESTCERT000005", "TESTCERTp52ge6w33t3wbmnd"))
    }

    /// The recorder took the certificate out. By its thumbprint it is the one of the recording of 2021, so that one
    /// stands in; whether the live service repeated it in its answers, as ours does, the recording cannot say.
    fn dotnet_2023() -> Conversation {
        let Conversation(of_2021) = Conversation::dotnet_2021();
        let certificate = of_2021[0]["request"]["body"]["certificate"].as_str().expect("it was uploaded");
        Conversation::of(&DOTNET_2023.replace("Sanitized", certificate))
    }

    /// The look at the instance itself, where a recording has one, comes first.
    fn of(recording: &str) -> Conversation {
        let mut recording: Value = serde_json::from_str(recording).expect("a recording is JSON");
        let mut exchanges = Vec::new();
        exchanges.extend(recording.get_mut("dpsInstanceGet").map(Value::take));
        exchanges.append(recording["exchanges"].as_array_mut().expect("it has exchanges"));
        Conversation(exchanges)
    }

    /// Has it once more, over TLS, with the emulator that is given back.
    pub(crate) async fn replay(&self) -> Emulator {
        let emulator = Emulator::new(self.world());
        let mut caller = Caller::of(&emulator).await;
        let mut judge = Judge::default();
        for exchange in &self.0 {
            let (request, response) = (&exchange["request"], &exchange["response"]);
            if let Some(moment) = moment(exchange) {
                emulator.freeze(moment);
            }
            if let Some(code) = response["body"]["properties"]["verificationCode"].as_str() {
                emulator.with(|world, _| world.dps.set_next_code(code));
            }
            let answer = caller.send(request, &judge).await;
            judge.compare(exchange, &answer, emulator.now());
        }
        emulator
    }

    /// A world with the instance of the first request, keeping to the recordings.
    fn world(&self) -> World {
        let url = url(&self.0[0]["request"]);
        let segments: Vec<&str> = url.path_segments().expect("an https URL has segments").collect();
        let mut world = World { strict: true, ..World::empty(1) };
        world.add_provisioning_service(segments[1], segments[3], segments[7]);
        world
    }
}

/// When the live service answered: by what it says of its write, else by its clock.
fn moment(exchange: &Value) -> Option<OffsetDateTime> {
    let response = &exchange["response"];
    let wrote = exchange["request"]["method"] != "GET";
    let written = Some(&response["body"]["properties"]["updated"]).filter(|_| wrote);
    let headers = [&response["headers"]["Date"], &response["headers"]["date"]];
    written.into_iter().chain(headers).find_map(Value::as_str).map(rfc1123)
}

/// A client of the TLS listener that repeats recorded requests.
struct Caller {
    http: reqwest::Client,
    listener: Url,
    emulator: Emulator,
    /// Ends the listener when dropped.
    _serving: JoinSet<()>,
}

impl Caller {
    async fn of(emulator: &Emulator) -> Caller {
        let identity = ServerIdentity::generate().unwrap();
        let ca = reqwest::Certificate::from_pem(&identity.ca_pem().unwrap()).unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = Url::parse(&format!("https://{}", socket.local_addr().unwrap())).unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(listener::serve_tls(socket, identity.acceptor().unwrap(), emulator.clone()));
        let http = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap();
        Caller { http, listener, emulator: emulator.clone(), _serving: serving }
    }

    /// Sends a recorded request to the listener, under the name the live service was called by. What the recorder
    /// took out (the token) is put back, and what the service had made up is what ours made up.
    async fn send(&mut self, recorded: &Value, judge: &Judge) -> Answer {
        let meant = Url::parse(judge.ours(recorded["url"].as_str().unwrap())).unwrap();
        let mut url = self.listener.clone();
        url.set_path(meant.path());
        url.set_query(meant.query());
        let token = self.emulator.look(|world, now| world.identity.mint("https://management.azure.com", now));
        let method = Method::from_bytes(recorded["method"].as_str().unwrap().as_bytes()).unwrap();
        let mut request = self
            .http
            .request(method, url)
            .header(HOST, &meant[Position::BeforeHost..Position::AfterPort])
            .bearer_auth(token);
        let headers: HashMap<HeaderName, &str> = headers(recorded);
        for (name, value) in headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH) {
            request = request.header(name, judge.ours(value));
        }
        if !recorded["body"].is_null() {
            request = request.body(as_written(&recorded["body"], headers.get(&CONTENT_LENGTH).copied()));
        }
        Answer::read(request.send().await.unwrap()).await
    }
}

/// The body as its client wrote it: compact, with a blank behind each sign, or indented; the length tells which.
fn as_written(body: &Value, length: Option<&str>) -> String {
    let compact = body.to_string();
    let Some(length) = length else { return compact };
    let indented = serde_json::to_string_pretty(body).unwrap().replace('\n', "\r\n");
    let spaced = compact.replace("\":", "\": ").replace(",\"", ", \"");
    let mut forms = [compact, spaced, indented].into_iter();
    forms.find(|form| form.len().to_string() == length).expect("one of the forms has the recorded length")
}

fn url(request: &Value) -> Url {
    Url::parse(request["url"].as_str().unwrap()).expect("recorded URLs are URLs")
}

fn headers(recorded: &Value) -> HashMap<HeaderName, &str> {
    let headers = recorded["headers"].as_object().expect("headers are recorded");
    headers.iter().map(|(name, value)| (name.parse().unwrap(), value.as_str().unwrap())).collect()
}
