//! The emulator against recorded traffic of the live service: every recorded request is sent again, and has to
//! meet the recorded status, headers and members, these in the recorded order.
//!
//! What follows from the request is compared by value. What the service makes up is compared by form: ids,
//! etags (and which answers share one), and `created`, which was right until 2021 and is year 1 since. The
//! clock stands at the recorded moment and the recorded code is set beforehand, so the recorded proofs have to
//! pass the real check.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header;
use serde_json::Value;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::dps::testing::{Answer, Client};
use crate::world::World;

const POWERSHELL_2018: &str = include_str!("../../../tests/fixtures/dps/recorded-2017-11-15-powershell.json");
const DOTNET_2021: &str = include_str!("../../../tests/fixtures/dps/recorded-2020-03-01-dotnet-ecc.json");
const CLI_2022: &str = include_str!("../../../tests/fixtures/dps/recorded-2021-10-15-cli.json");
const DOTNET_2023: &str = include_str!("../../../tests/fixtures/dps/recorded-2022-02-05-dotnet.json");

#[test]
fn as_recorded_in_2018_with_2017_11_15() {
    Replay::of(POWERSHELL_2018).run();
}

#[test]
fn as_recorded_in_2021_with_2020_03_01_and_an_expired_ecc_certificate() {
    Replay::of(DOTNET_2021).run();
}

/// The recorder changed the common name in the answers, but not in the certificate.
#[test]
fn as_recorded_in_2022_with_2021_10_15() {
    Replay::of(&CLI_2022.replace("TESTCERT000005", "TESTCERTp52ge6w33t3wbmnd")).run();
}

/// The recorder took the certificate out. By its thumbprint it is the one of the recording of 2021, so that
/// one stands in; whether the live service repeated it in its answers, as ours does, the recording cannot say.
#[test]
fn as_recorded_in_2023_with_2022_02_05() {
    let certificate = Replay::of(DOTNET_2021).exchanges[0]["request"]["body"]["certificate"].clone();
    Replay::of(&DOTNET_2023.replace("Sanitized", certificate.as_str().unwrap())).run();
}

#[test]
fn the_instance_looks_as_recorded_in_2023() {
    let recording: Value = serde_json::from_str(DOTNET_2023).unwrap();
    Replay { exchanges: vec![recording["dpsInstanceGet"].clone()] }.run();
}

struct Replay {
    exchanges: Vec<Value>,
}

impl Replay {
    fn of(recording: &str) -> Replay {
        let mut recording: Value = serde_json::from_str(recording).unwrap();
        Replay { exchanges: serde_json::from_value(recording["exchanges"].take()).unwrap() }
    }

    fn run(&self) {
        let mut client = Client { world: self.world(), now: self.start(), ..Client::new() };
        let mut judge = Judge::default();
        for exchange in &self.exchanges {
            let response = &exchange["response"];
            client.now = moment(response).unwrap_or(client.now);
            if let Some(code) = response["body"]["properties"]["verificationCode"].as_str() {
                client.world.arm.set_next_code(code);
            }
            let answer = send(&mut client, &exchange["request"], &judge);
            judge.place = format!("{} {}", exchange["request"]["method"], exchange["request"]["url"]);
            judge.compare_answer(response, &answer);
        }
    }

    /// A world with the instance of the first request, keeping to the recordings.
    fn world(&self) -> World {
        let url: url::Url = self.exchanges[0]["request"]["url"].as_str().unwrap().parse().unwrap();
        let segments: Vec<&str> = url.path_segments().unwrap().collect();
        let mut world = World::empty(1);
        world.strict = true;
        world.arm.add_provisioning_service(segments[1], segments[3], segments[7]);
        world
    }

    fn start(&self) -> OffsetDateTime {
        self.exchanges.iter().find_map(|exchange| moment(&exchange["response"])).unwrap()
    }
}

/// When the live service answered: by what it says of a write, else by the header.
fn moment(response: &Value) -> Option<OffsetDateTime> {
    let headers = &response["headers"];
    [&response["body"]["properties"]["updated"], &headers["Date"], &headers["date"]]
        .iter()
        .find_map(|text| text.as_str())
        .map(rfc1123)
}

fn send(client: &mut Client, recorded: &Value, judge: &Judge) -> Answer {
    let token = client.world.identity.mint("https://management.azure.com", client.now);
    let mut request = http::Request::builder()
        .method(recorded["method"].as_str().unwrap())
        .uri(recorded["url"].as_str().unwrap())
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    for (name, value) in recorded["headers"].as_object().unwrap() {
        let value = value.as_str().unwrap();
        let value = if name == "If-Match" { judge.etags[value].as_str() } else { value };
        request = request.header(name, value);
    }
    let body = match &recorded["body"] {
        Value::Null => Bytes::new(),
        body => body.to_string().into(),
    };
    client.handle(&request.body(body).unwrap())
}

/// Compares, and remembers which of our etags stands for which recorded one.
#[derive(Default)]
struct Judge {
    etags: HashMap<String, String>,
    place: String,
}

impl Judge {
    fn compare_answer(&mut self, recorded: &Value, live: &Answer) {
        assert_eq!(recorded["status"], live.status, "{}: {}", self.place, live.body);
        self.compare("", &recorded["body"], &live.body);
        for (name, value) in recorded["headers"].as_object().unwrap() {
            self.compare_header(&name.to_lowercase(), value.as_str().unwrap(), live);
        }
        assert!(!live.headers.contains_key(header::ETAG));
    }

    fn compare(&mut self, member: &str, recorded: &Value, live: &Value) {
        match (recorded, live) {
            (Value::Object(recorded), Value::Object(live)) => {
                let (expected, found): (Vec<_>, Vec<_>) = (recorded.keys().collect(), live.keys().collect());
                assert_eq!(expected, found, "{}: members below {member:?}", self.place);
                for (name, value) in recorded {
                    self.compare(name, value, &live[name]);
                }
            }
            (Value::Array(recorded), Value::Array(live)) => {
                assert_eq!(recorded.len(), live.len(), "{}: {member}", self.place);
                for (recorded, live) in recorded.iter().zip(live) {
                    self.compare(member, recorded, live);
                }
            }
            (Value::String(recorded), Value::String(live)) => self.compare_text(member, recorded, live),
            _ => assert_eq!(recorded, live, "{}: {member}", self.place),
        }
    }

    fn compare_text(&mut self, member: &str, recorded: &str, live: &str) {
        match member {
            "etag" => self.compare_etag(recorded, live),
            "created" => {
                rfc1123(live);
            }
            "message" => {
                let (recorded, live) = (without_correlation(recorded), without_correlation(live));
                assert_eq!(recorded, live, "{}", self.place);
            }
            "idScope" => assert_eq!((live.len(), &live[..3]), (recorded.len(), &recorded[..3])),
            _ => assert_eq!(recorded, live, "{}: {member}", self.place),
        }
    }

    /// Where two recorded answers share an etag, ours do; where they don't, ours don't.
    fn compare_etag(&mut self, recorded: &str, live: &str) {
        assert!(STANDARD.decode(live).is_ok(), "{live}");
        match self.etags.get(recorded) {
            Some(known) => assert_eq!(known, live, "{}", self.place),
            None => {
                assert!(!self.etags.values().any(|known| known == live), "{}: etag is not new", self.place);
                self.etags.insert(recorded.to_owned(), live.to_owned());
            }
        }
    }

    fn compare_header(&self, name: &str, recorded: &str, live: &Answer) {
        if name == "content-length" {
            // The transport's business.
            return;
        }
        if name.starts_with("x-ms-ratelimit-remaining-subscription-") {
            // What counts as which kind changed over the years, as did the numbers.
            let mut names = live.headers.keys().map(header::HeaderName::as_str);
            assert!(names.any(|name| name.starts_with("x-ms-ratelimit-remaining-subscription-")));
            return;
        }
        let value = live.headers.get(name).unwrap_or_else(|| panic!("{}: no header {name}", self.place));
        let value = value.to_str().unwrap();
        match name {
            "date" => {
                rfc1123(value);
            }
            "x-ms-request-id" | "x-ms-correlation-request-id" => {
                assert_eq!(id_form(recorded), id_form(value), "{}: {name}", self.place);
            }
            "x-ms-routing-request-id" => {
                let behind_region = |id: &str| id_form(id.split_once(':').unwrap().1);
                assert_eq!(behind_region(recorded), behind_region(value), "{}: {name}", self.place);
            }
            "location" | "azure-asyncoperation" => {
                let around = |url: &str| {
                    let (before, rest) = url.split_once("/operationResults/").unwrap();
                    let (_, after) = rest.split_once('?').unwrap();
                    [before.to_owned(), after.to_owned()]
                };
                assert_eq!(around(recorded), around(value), "{}: {name}", self.place);
            }
            _ => assert_eq!(recorded, value, "{}: {name}", self.place),
        }
    }
}

/// An id with all its digits alike.
fn id_form(id: &str) -> String {
    id.replace(|sign: char| sign.is_ascii_digit() || ('a'..='f').contains(&sign), "0")
}

/// The text and the error code, with a look at the correlation identifier and the timestamp between them.
fn without_correlation(message: &str) -> (&str, &str) {
    let (text, rest) = message.split_once("identifier: ").unwrap();
    let (id, rest) = rest.split_once(", timestamp: ").unwrap();
    let (timestamp, code) = rest.split_once(", ").unwrap();
    assert_eq!(id_form(id), "00000000-0000-0000-0000-000000000000");
    assert_eq!(id_form(timestamp), "0000-00-00 00:00:00Z");
    (text, code)
}

fn rfc1123(text: &str) -> OffsetDateTime {
    const FORMAT: StaticFormatDescription = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    PrimitiveDateTime::parse(text, FORMAT).unwrap().assume_utc()
}
