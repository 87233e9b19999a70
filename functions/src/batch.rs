//! The events of a body, counted while they are read: an array of a megabyte can have half a million items.

use keyholder::event::{self, Notice};
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The most that Event Grid puts into one batch.
pub const MAX_EVENTS: usize = 5_000;

/// An event as it came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    /// Event Grid's id of it.
    pub id: Option<String>,
    /// What it means.
    pub notice: Notice,
}

/// Why there are no events.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBatch {
    /// It is no JSON.
    #[error(transparent)]
    NotJson(#[from] serde_json::Error),
    /// It is an array of more events than Event Grid sends.
    #[error("more than {MAX_EVENTS} events in one body; Event Grid sends no more at once")]
    TooMany,
}

/// Reads one event.
pub(crate) fn event(text: &RawValue) -> Delivered {
    Delivered { id: event::id(text), notice: event::read(text) }
}

/// Reads the items of an array one after the other, or what is no array as the one item.
pub(crate) fn items<T>(json: &[u8], mut read: impl FnMut(&RawValue) -> T) -> Result<Vec<T>, InvalidBatch> {
    if first_byte(json) != Some(b'[') {
        return Ok(vec![read(serde_json::from_slice(json)?)]);
    }
    let (mut items, mut too_many) = (Vec::new(), false);
    let mut array = serde_json::Deserializer::from_slice(json);
    let each = Each { each: |item: &RawValue| items.push(read(item)), too_many: &mut too_many };
    match each.deserialize(&mut array).and_then(|()| array.end()) {
        Err(_) if too_many => Err(InvalidBatch::TooMany),
        Err(error) => Err(InvalidBatch::NotJson(error)),
        Ok(()) => Ok(items),
    }
}

/// What kind of JSON it is, if it is any.
pub(crate) fn first_byte(json: &[u8]) -> Option<u8> {
    json.trim_ascii_start().first().copied()
}

struct Each<'t, F> {
    each: F,
    too_many: &'t mut bool,
}

impl<'de, F: FnMut(&RawValue)> DeserializeSeed<'de> for Each<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, array: D) -> Result<(), D::Error> {
        array.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&RawValue)> Visitor<'de> for Each<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        let mut count = 0;
        while let Some(item) = array.next_element::<&RawValue>()? {
            count += 1;
            if count > MAX_EVENTS {
                *self.too_many = true;
                return Err(A::Error::custom("too many"));
            }
            (self.each)(item);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(json: &str) -> Result<Vec<usize>, InvalidBatch> {
        items(json.as_bytes(), |item| item.get().len())
    }

    #[test]
    fn items_are_read_one_by_one_and_anything_else_is_the_one_item() {
        let rows = [
            ("[]", vec![]),
            (" [ 1 , [22], {\"a\":3} ] ", vec![1, 4, 7]),
            (" {\"a\":[]} ", vec![8]),
            ("7", vec![1]),
            ("\"[]\"", vec![4]),
        ];
        for (json, expected) in rows {
            assert_eq!(lengths(json).expect(json), expected, "{json}");
        }
        for json in ["", "[", "[1", "[1,]", "[] []", "{} {}", "hello"] {
            assert!(matches!(lengths(json), Err(InvalidBatch::NotJson(_))), "{json}");
        }
    }

    #[test]
    fn counting_stops_at_the_first_event_too_many() {
        let zeros = |count: usize| vec!["0"; count].join(",");
        let most = format!("[{}]", zeros(MAX_EVENTS));
        assert_eq!(lengths(&most).expect("it is the most").len(), MAX_EVENTS);
        // What comes after it is not even JSON.
        let more = format!("[{},hello", zeros(MAX_EVENTS + 1));
        assert!(matches!(lengths(&more), Err(InvalidBatch::TooMany)));
        let mut read = 0;
        let megabyte = format!("[{}]", zeros(1 << 19));
        let counted = items(megabyte.as_bytes(), |_| read += 1);
        assert!(matches!(counted, Err(InvalidBatch::TooMany)));
        assert_eq!(read, MAX_EVENTS);
    }
}
