//! Bytes that are nearly right: a seed with a few edits, which get further into a parser than noise does.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

/// What has a meaning somewhere: separators, escapes, letters that fold strangely, numbers at an edge.
const TOKENS: [&str; 30] = [
    "/",
    "//",
    "..",
    "%2F",
    "%2e",
    "%25",
    "?",
    "#",
    "*",
    ",",
    ";",
    "\\",
    "\r\n",
    "\0",
    "\u{2028}",
    "\u{212a}",
    "\u{17f}",
    "\u{131}",
    "\u{fb01}",
    "\"",
    "{}",
    "[]",
    "null",
    "-1",
    "1e400",
    "18446744073709551616",
    "-----BEGIN ",
    "PRIVATE KEY-----",
    "ENCRYPTED",
    "https://evil.vault.azure.net/",
];

#[derive(Clone, Debug)]
enum Edit {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, u8),
    Repeat(Index, u8, u8),
    Cut(Index),
    /// The rest is another seed's.
    Splice(Index, Index),
    /// One value of a JSON document becomes another one.
    Replace(Index, Value),
}

/// A seed, edited.
pub(super) fn mutation(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (any::<Index>(), prop::collection::vec(edit(), 1..5)).prop_map(move |(seed, edits)| {
        edits.into_iter().fold(seed.get(&seeds).clone(), |bytes, edit| edit.apply(bytes, &seeds))
    })
}

fn edit() -> impl Strategy<Value = Edit> {
    let token = prop::sample::select(&TOKENS[..]).prop_map(|token| token.as_bytes().to_vec());
    let at = any::<Index>;
    prop_oneof![
        2 => (at(), any::<u8>()).prop_map(|(at, mask)| Edit::Flip(at, mask)),
        2 => (at(), token).prop_map(|(at, token)| Edit::Insert(at, token)),
        1 => (at(), any::<u8>()).prop_map(|(at, length)| Edit::Remove(at, length)),
        1 => (at(), 1..40_u8, any::<u8>()).prop_map(|(at, length, times)| Edit::Repeat(at, length, times)),
        1 => at().prop_map(Edit::Cut),
        1 => (at(), at()).prop_map(|(at, other)| Edit::Splice(at, other)),
        4 => (at(), value()).prop_map(|(at, value)| Edit::Replace(at, value)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let token = prop::sample::select(&TOKENS[..]);
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        (token, 1..400_usize).prop_map(|(token, times)| Value::from(token.repeat(times))),
        any::<String>().prop_map(|text| Value::from(vec![text])),
    ]
}

impl Edit {
    fn apply(self, mut bytes: Vec<u8>, seeds: &[Vec<u8>]) -> Vec<u8> {
        match self {
            Edit::Flip(at, mask) if !bytes.is_empty() => *at.get_mut(&mut bytes) ^= mask,
            Edit::Insert(at, token) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, token);
            }
            Edit::Remove(at, length) => {
                let from = at.index(bytes.len() + 1);
                let until = bytes.len().min(from + usize::from(length));
                bytes.drain(from..until);
            }
            Edit::Repeat(at, length, times) => {
                let from = at.index(bytes.len() + 1);
                let until = bytes.len().min(from + usize::from(length));
                let part = bytes[from..until].repeat(usize::from(times));
                bytes.splice(from..from, part);
            }
            Edit::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Edit::Splice(at, other) => {
                bytes.truncate(at.index(bytes.len() + 1));
                let other = other.get(seeds);
                bytes.extend_from_slice(&other[bytes.len().min(other.len())..]);
            }
            Edit::Replace(at, value) => return replaced(bytes, at, value),
            Edit::Flip(..) => {}
        }
        bytes
    }
}

/// Bytes that are no JSON stay as they are.
fn replaced(bytes: Vec<u8>, at: Index, value: Value) -> Vec<u8> {
    let Ok(mut document) = serde_json::from_slice::<Value>(&bytes) else { return bytes };
    let chosen = at.index(count(&document));
    *nth(&mut document, &mut { chosen }).expect("as many as were counted") = value;
    document.to_string().into_bytes()
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

/// The nth value, the whole document being the first.
fn nth<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, left)),
        Value::Object(members) => members.values_mut().find_map(|member| nth(member, left)),
        _ => None,
    }
}
