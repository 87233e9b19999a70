//! The etag of a certificate and the condition a request puts on it.
//!
//! An etag looks like the recorded ones, the base64 of a quoted GUID that ends in the hexadecimal time of the
//! write. That time has whole seconds, so the first group counts writes: no two writes share an etag.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ground::exchange::{self, Request};

/// Names one state of one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Etag(String);

impl TryFrom<String> for Etag {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Etag, Self::Error> {
        STANDARD.decode(&text).map(|_| Etag(text))
    }
}

impl Etag {
    /// The etag of the n-th write of this world.
    pub(crate) fn of_write(number: u32, at: OffsetDateTime) -> Etag {
        let seconds = at.unix_timestamp() & 0xffff_ffff;
        Etag(STANDARD.encode(format!("\"{number:08x}-0000-0700-0000-{seconds:08x}0000\"")))
    }

    /// The etag of the n-th write to an instance: in eight bytes, as those of certificates were before 2022.
    pub(crate) fn of_instance(number: u32) -> Etag {
        Etag(STANDARD.encode(u64::from(number).to_be_bytes()))
    }

    /// As it stands in the `etag` member of an answer.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What `If-Match` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// Nothing: the header is missing or empty (Terraform sends it empty).
    Absent,
    /// `*`: any state.
    Any,
    /// Exactly this state.
    Exactly(String),
}

impl IfMatch {
    /// Reads the header, whether its value is bare or quoted.
    pub fn of(request: &Request) -> IfMatch {
        let value = exchange::header_text(request, header::IF_MATCH).unwrap_or_default().trim();
        let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        match bare {
            "" => IfMatch::Absent,
            "*" => IfMatch::Any,
            etag => IfMatch::Exactly(etag.to_owned()),
        }
    }

    /// Whether a certificate in this state may be changed. Absent never is enough.
    pub fn admits(&self, current: &Etag) -> bool {
        match self {
            IfMatch::Absent => false,
            IfMatch::Any => true,
            IfMatch::Exactly(etag) => *etag == current.0,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use time::macros::datetime;

    use super::*;

    fn if_match(value: Option<&str>) -> IfMatch {
        let mut request = http::Request::new(bytes::Bytes::new());
        if let Some(value) = value {
            request.headers_mut().insert(header::IF_MATCH, value.parse().unwrap());
        }
        IfMatch::of(&request)
    }

    #[test]
    fn has_the_recorded_form() {
        let etag = Etag::of_write(0x0500_6bea, datetime!(2022-05-03 17:50:03 UTC));
        assert_eq!(etag.as_str(), "IjA1MDA2YmVhLTAwMDAtMDcwMC0wMDAwLTYyNzE2YjRiMDAwMCI=");
    }

    #[test]
    fn two_writes_in_one_second_differ() {
        let at = datetime!(2026-11-23 12:00:00 UTC);
        assert_ne!(Etag::of_write(1, at), Etag::of_write(2, at));
    }

    #[test]
    fn a_condition_is_read_bare_quoted_starred_and_empty() {
        let etag = || IfMatch::Exactly("IjA1=".to_owned());
        for (header, expected) in [
            (Some("IjA1="), etag()),
            (Some("\"IjA1=\""), etag()),
            (Some("*"), IfMatch::Any),
            (Some(""), IfMatch::Absent),
            (Some("\"\""), IfMatch::Absent),
            (None, IfMatch::Absent),
        ] {
            assert_eq!(if_match(header), expected, "{header:?}");
        }
    }

    #[test]
    fn only_the_current_etag_or_a_star_is_admitted() {
        let now = datetime!(2026-11-23 12:00:00 UTC);
        let (current, former) = (Etag::of_write(2, now), Etag::of_write(1, now));
        assert!(IfMatch::Exactly(current.to_string()).admits(&current));
        assert!(IfMatch::Any.admits(&current));
        assert!(!IfMatch::Exactly(former.to_string()).admits(&current));
        assert!(!IfMatch::Exactly(current.to_string().to_lowercase()).admits(&current));
        assert!(!IfMatch::Absent.admits(&current));
    }
}
