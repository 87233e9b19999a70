//! Compares an answer with the recorded one.
//!
//! What follows from the request and the moment is compared by value. What the service makes up is compared by form,
//! and from then on our value stands for the recorded one: etags (and which answers share one), the URL of a
//! long-running operation, request ids, the correlation identifier in an error, an instance's id scope. `created` was
//! right until 2021 and is year 1 since; both are taken.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, ETAG, HeaderName, RETRY_AFTER};
use serde_json::{Map, Value};
use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// An answer that was read to its end.
pub(super) struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    pub(super) async fn read(response: reqwest::Response) -> Answer {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.text().await.unwrap() }
    }
}

/// Knows which of our values stands for which recorded one.
#[derive(Default)]
pub(super) struct Judge {
    ours: HashMap<String, String>,
    place: String,
    now: Option<OffsetDateTime>,
}

impl Judge {
    /// What stands for a recorded value.
    pub(super) fn ours<'a>(&'a self, recorded: &'a str) -> &'a str {
        self.ours.get(recorded).map_or(recorded, String::as_str)
    }

    pub(super) fn compare(&mut self, exchange: &Value, live: &Answer, now: OffsetDateTime) {
        let (request, recorded) = (&exchange["request"], &exchange["response"]);
        self.place = format!("{} {}", request["method"], request["url"]);
        self.now = Some(now);
        assert_eq!(recorded["status"], live.status, "{}: {}", self.place, live.body);
        self.compare_headers(&super::headers(recorded), &live.headers);
        let body: Value = serde_json::from_str(&live.body).unwrap_or_default();
        let expected = match self.expected("", &recorded["body"], &body) {
            // Some answers have no body, and some have one that says so.
            Value::Null if super::headers(recorded).get(&CONTENT_LENGTH) != Some(&"4") => String::new(),
            expected => expected.to_string(),
        };
        assert_eq!(live.body, expected, "{}", self.place);
    }

    /// The recorded value with what the service made up replaced by ours, once that has the recorded form.
    fn expected(&mut self, member: &str, recorded: &Value, live: &Value) -> Value {
        match recorded {
            Value::Object(members) => {
                let each = members
                    .iter()
                    .map(|(name, value)| (name.clone(), self.expected(name, value, &live[name.as_str()])));
                Value::Object(each.collect::<Map<_, _>>())
            }
            Value::Array(items) => {
                items.iter().zip(0..).map(|(item, at)| self.expected(member, item, &live[at])).collect()
            }
            Value::String(text) => {
                Value::String(self.expected_text(member, text, live.as_str().unwrap_or_default()))
            }
            other => other.clone(),
        }
    }

    fn expected_text(&mut self, member: &str, recorded: &str, live: &str) -> String {
        let has_the_form = match member {
            "etag" => return self.expected_etag(recorded, live),
            "created" => live.len() == recorded.len() && rfc1123(live) <= rfc1123(recorded),
            "message" => uncorrelated(recorded) == uncorrelated(live),
            "idScope" => form(recorded) == form(live),
            _ => false,
        };
        if has_the_form { live.to_owned() } else { recorded.to_owned() }
    }

    /// Where two recorded answers share an etag, ours do; where they don't, ours don't. Each names the moment of its
    /// write, as those recorded since December 2021 do; an instance's is the base64 of eight bytes, as ever.
    fn expected_etag(&mut self, recorded: &str, live: &str) -> String {
        if let Some(known) = self.ours.get(recorded) {
            return known.clone();
        }
        let place = &self.place;
        assert!(!self.ours.values().any(|known| known == live), "{place}: {live} is not new");
        let decoded = STANDARD.decode(live).unwrap_or_else(|_| panic!("{place}: {live} is no base64"));
        if place.contains("/certificates") {
            let decoded = String::from_utf8(decoded).unwrap_or_else(|_| panic!("{place}: {live} is no text"));
            assert_eq!(form(&decoded), "\"00000000-0000-0000-0000-000000000000\"", "{place}");
            let second = self.now.map_or(0, OffsetDateTime::unix_timestamp);
            assert!(
                decoded.ends_with(&format!("-{second:08x}0000\"")),
                "{place}: {decoded} is not of {second}"
            );
        } else {
            assert_eq!(decoded.len(), 8, "{place}");
        }
        self.ours.insert(recorded.to_owned(), live.to_owned());
        live.to_owned()
    }

    fn compare_headers(&mut self, recorded: &HashMap<HeaderName, &str>, live: &HeaderMap) {
        for name in [ETAG, RETRY_AFTER] {
            assert!(!live.contains_key(&name), "{}: {name} was never seen", self.place);
        }
        for (name, recorded) in recorded {
            // The body is compared as a whole.
            if name == CONTENT_LENGTH {
                continue;
            }
            // What counts as which kind changed over the years, as did the numbers.
            if name.as_str().starts_with(RATE) {
                let mut names = live.iter().filter(|(name, _)| name.as_str().starts_with(RATE));
                assert!(
                    names.any(|(_, left)| left.to_str().unwrap().parse::<u32>().is_ok()),
                    "{}",
                    self.place
                );
                continue;
            }
            let live = live.get(name).unwrap_or_else(|| panic!("{}: no header {name}", self.place));
            self.compare_header(name.as_str(), recorded, live.to_str().unwrap());
        }
    }

    fn compare_header(&mut self, name: &str, recorded: &str, live: &str) {
        let pair = match name {
            "date" => {
                rfc1123(live);
                return;
            }
            "x-ms-request-id" | "x-ms-correlation-request-id" => (form(recorded), form(live)),
            "x-ms-routing-request-id" => (behind_region(recorded), behind_region(live)),
            "location" | "azure-asyncoperation" => {
                self.ours.insert(recorded.to_owned(), live.to_owned());
                (around_operation(recorded), around_operation(live))
            }
            _ => (recorded.to_owned(), live.to_owned()),
        };
        assert_eq!(pair.0, pair.1, "{}: {name}", self.place);
    }
}

const RATE: &str = "x-ms-ratelimit-remaining-subscription-";

/// A text with all its hexadecimal digits alike.
fn form(text: &str) -> String {
    text.replace(|sign: char| sign.is_ascii_hexdigit(), "0")
}

fn behind_region(id: &str) -> String {
    form(id.split_once(':').map_or(id, |(_, rest)| rest))
}

/// The URL of a long-running operation without the operation's own id.
fn around_operation(url: &str) -> String {
    let (before, rest) = url.split_once("/operationResults/").unwrap_or((url, ""));
    let (_, query) = rest.split_once('?').unwrap_or_default();
    format!("{before}?{query}")
}

/// An error's text and code, and the form of the correlation identifier and the timestamp between them.
fn uncorrelated(message: &str) -> Option<(&str, String, String, &str)> {
    let (text, rest) = message.split_once("identifier: ")?;
    let (id, rest) = rest.split_once(", timestamp: ")?;
    let (timestamp, code) = rest.split_once(", ")?;
    Some((text, form(id), form(timestamp), code))
}

/// Reads a date as DPS writes it.
pub(super) fn rfc1123(text: &str) -> OffsetDateTime {
    const FORMAT: StaticFormatDescription = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    PrimitiveDateTime::parse(text, FORMAT).unwrap_or_else(|_| panic!("{text:?} is no date")).assume_utc()
}
