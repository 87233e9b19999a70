//! Headers of a subscriber's own on every delivery ("delivery attributes").

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::filter;
use crate::ground::hidden::Hidden;
use crate::ground::stored;

/// The most of them a subscription may have.
pub(super) const MOST: usize = 10;
/// The longest value, in bytes.
const LONGEST: usize = 4096;

/// A header on every delivery of a subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct DeliveryAttribute {
    #[serde(with = "stored::text")]
    name: HeaderName,
    source: Source,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Source {
    Fixed {
        #[serde(with = "stored::secret")]
        value: Hidden<String>,
        is_secret: bool,
    },
    Member(String),
}

/// Why a header cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAttribute {
    /// A name no header of one's own can have.
    #[error("{0:?} cannot name a delivery attribute: a header's name can, unless Event Grid sets it itself")]
    Name(String),
    /// A value no header can have.
    #[error(
        "the delivery attribute {0} has a value that is no header's: at most {LONGEST} bytes of plain text are"
    )]
    Value(HeaderName),
}

impl DeliveryAttribute {
    /// A header that is always the same; a secret one is never shown again.
    pub fn fixed(
        name: &str,
        value: impl Into<String>,
        is_secret: bool,
    ) -> Result<DeliveryAttribute, InvalidAttribute> {
        let (name, value) = (own_name(name)?, value.into());
        if value.len() > LONGEST || HeaderValue::from_str(&value).is_err() {
            return Err(InvalidAttribute::Value(name));
        }
        Ok(DeliveryAttribute { name, source: Source::Fixed { value: Hidden(value), is_secret } })
    }

    /// A header whose value is a member of the event, named as filters name it.
    pub fn member(name: &str, key: impl Into<String>) -> Result<DeliveryAttribute, InvalidAttribute> {
        Ok(DeliveryAttribute { name: own_name(name)?, source: Source::Member(key.into()) })
    }

    fn check_stored(&self) -> Result<(), InvalidAttribute> {
        match self.source() {
            Ok((value, is_secret)) => DeliveryAttribute::fixed(self.name.as_str(), value, is_secret),
            Err(key) => DeliveryAttribute::member(self.name.as_str(), key),
        }
        .map(|_| ())
    }

    /// The header's name, in lower case.
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    /// The header for an event; none if the event has nothing to put in it (chosen, not observed).
    pub(super) fn value(&self, event: &Value) -> Option<HeaderValue> {
        let text = match &self.source {
            Source::Fixed { value, .. } => value.0.clone(),
            Source::Member(key) => match filter::member(event, key)? {
                Value::String(text) => text.clone(),
                value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => return None,
            },
        };
        if text.len() > LONGEST { None } else { HeaderValue::from_str(&text).ok() }
    }

    /// The fixed value and whether it is a secret, or else the key of the member.
    pub(super) fn source(&self) -> Result<(&str, bool), &str> {
        match &self.source {
            Source::Fixed { value, is_secret } => Ok((&value.0, *is_secret)),
            Source::Member(key) => Err(key),
        }
    }
}

stored::checked!(DeliveryAttribute);

fn own_name(name: &str) -> Result<HeaderName, InvalidAttribute> {
    let wrong = || InvalidAttribute::Name(name.to_owned());
    let parsed: HeaderName = name.parse().map_err(|_| wrong())?;
    let is_taken = parsed.as_str().starts_with("aeg-")
        || ["host", "content-type", "content-length", "transfer-encoding", "connection"]
            .contains(&parsed.as_str());
    if is_taken { Err(wrong()) } else { Ok(parsed) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_fixed_or_a_member_of_the_event() {
        let event = json!({ "subject": "factory-ca", "data": { "count": 3, "list": [1], "text": "a\nb" } });
        for (attribute, value) in [
            (DeliveryAttribute::fixed("X-Line", "7", false), Some("7")),
            (DeliveryAttribute::member("X-About", "Subject"), Some("factory-ca")),
            (DeliveryAttribute::member("X-Count", "data.count"), Some("3")),
            (DeliveryAttribute::member("X-List", "data.list"), None),
            (DeliveryAttribute::member("X-Text", "data.text"), None),
            (DeliveryAttribute::member("X-None", "data.none"), None),
        ] {
            let attribute = attribute.unwrap();
            let found = attribute.value(&event);
            assert_eq!(found.as_ref().map(|found| found.to_str().unwrap()), value, "{}", attribute.name());
        }
    }

    #[test]
    fn names_and_values_that_no_header_may_have_are_refused() {
        for name in ["", "two words", "aeg-event-type", "AEG-Mine", "Host"] {
            assert!(DeliveryAttribute::fixed(name, "v", false).is_err(), "{name}");
        }
        for value in ["a\nb", &"v".repeat(4097)] {
            assert!(DeliveryAttribute::fixed("X-Line", value, false).is_err());
        }
        assert!(DeliveryAttribute::fixed("X-Line", "v".repeat(4096), true).is_ok());
    }

    #[test]
    fn a_value_is_never_printed() {
        let attribute = DeliveryAttribute::fixed("X-Key", "open sesame", true).unwrap();
        assert!(!format!("{attribute:?}").contains("open sesame"));
    }
}
