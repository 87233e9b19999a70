//! Reads ASN.1 as it comes: BER, of which DER is the strict part. PFX files are written by many programs, some with
//! indefinite lengths and with strings in pieces, and OpenSSL reads all of them.
//!
//! Nothing here fails. What cannot be read ends the list it is in, as OpenSSL too reads what stands before it.

use std::borrow::Cow;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
/// `[0]`, as a string and around something else.
pub(super) const CONTEXT_0: u8 = 0x80;
pub(super) const CONSTRUCTED: u8 = 0x20;

/// How deep lists may be nested; OpenSSL gives up at 30.
const DEEPEST: usize = 32;

/// One element, by its first identifier octet and its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
}

impl<'a> Element<'a> {
    pub(super) fn is_constructed(&self) -> bool {
        self.tag & CONSTRUCTED != 0
    }

    /// Returns what it consists of; nothing, if it is not made of elements.
    pub(super) fn parts(&self) -> Vec<Element<'a>> {
        if self.is_constructed() { elements(self.content) } else { Vec::new() }
    }

    /// Returns its bytes as a string, put together from its pieces.
    pub(super) fn octets(&self) -> Cow<'a, [u8]> {
        self.joined(0)
    }

    fn joined(&self, depth: usize) -> Cow<'a, [u8]> {
        match self.is_constructed() && depth < DEEPEST {
            false => Cow::Borrowed(self.content),
            true => {
                let pieces = self.parts();
                Cow::Owned(pieces.iter().flat_map(|piece| piece.joined(depth + 1).into_owned()).collect())
            }
        }
    }

    /// Returns its value as an `INTEGER`; what is negative or has no place in 64 bits is the greatest there is.
    pub(super) fn number(&self) -> Option<u64> {
        let digits = match self {
            Element { tag: INTEGER, content: [] } => return Some(0),
            Element { tag: INTEGER, content: [first, ..] } if first & 0x80 != 0 => return Some(u64::MAX),
            Element { tag: INTEGER, content } => content,
            _ => return None,
        };
        let significant = digits.iter().position(|digit| *digit != 0).map_or(&[][..], |at| &digits[at..]);
        Some(match significant.len() {
            0..=8 => significant.iter().fold(0, |number, digit| (number << 8) | u64::from(*digit)),
            _ => u64::MAX,
        })
    }
}

/// Returns the elements that stand one after the other.
pub(super) fn elements(bytes: &[u8]) -> Vec<Element<'_>> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while let Some((element, after)) = first(rest, 0) {
        found.push(element);
        rest = after;
    }
    found
}

/// Returns the first element, and what stands behind it.
fn first(bytes: &[u8], depth: usize) -> Option<(Element<'_>, &[u8])> {
    let (&tag, mut rest) = bytes.split_first()?;
    if tag & 0x1f == 0x1f {
        // A tag with a number of several octets, of which the last has no high bit.
        let last = rest.iter().position(|octet| octet & 0x80 == 0)?;
        rest = &rest[last + 1..];
    }
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0x00..0x80 => (usize::from(length), rest),
        0x80 => return indefinite(tag, rest, depth),
        0x81.. => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let number = Element { tag: INTEGER, content: &[&[0][..], digits].concat() }.number()?;
            (usize::try_from(number).ok()?, rest)
        }
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((Element { tag, content }, after))
}

/// Returns an element that ends where two zero octets stand in place of the next one.
fn indefinite(tag: u8, bytes: &[u8], depth: usize) -> Option<(Element<'_>, &[u8])> {
    if tag & CONSTRUCTED == 0 || depth >= DEEPEST {
        return None;
    }
    let mut rest = bytes;
    loop {
        if let Some(after) = rest.strip_prefix(&[0, 0]) {
            let content = &bytes[..bytes.len() - rest.len()];
            return Some((Element { tag, content }, after));
        }
        rest = first(rest, depth + 1)?.1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        elements(bytes).iter().map(|element| (element.tag, element.content.to_vec())).collect()
    }

    #[test]
    fn every_way_to_write_a_length_is_read() {
        type Row = (&'static str, &'static [u8], &'static [(u8, &'static [u8])]);
        let rows: [Row; 9] = [
            ("short", &[0x04, 2, 7, 8], &[(0x04, &[7, 8])]),
            ("long", &[0x04, 0x81, 2, 7, 8], &[(0x04, &[7, 8])]),
            ("long with zeros", &[0x04, 0x84, 0, 0, 0, 2, 7, 8], &[(0x04, &[7, 8])]),
            ("longer than a number", &[0x04, 0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7], &[(0x04, &[7])]),
            ("indefinite", &[0x30, 0x80, 2, 1, 7, 0, 0, 5, 0], &[(0x30, &[2, 1, 7]), (0x05, &[])]),
            (
                "indefinite in indefinite",
                &[0x30, 0x80, 0x30, 0x80, 0, 0, 0, 0],
                &[(0x30, &[0x30, 0x80, 0, 0])],
            ),
            ("a tag of two octets", &[0x3f, 0x81, 0x01, 1, 7], &[(0x3f, &[7])]),
            ("cut off", &[2, 1, 7, 0x04, 3, 1], &[(2, &[7])]),
            ("without an end", &[2, 1, 7, 0x30, 0x80, 2, 1, 7], &[(2, &[7])]),
        ];
        for (name, bytes, expected) in rows {
            let expected: Vec<_> = expected.iter().map(|(tag, content)| (*tag, content.to_vec())).collect();
            assert_eq!(shown(bytes), expected, "{name}");
        }
    }

    #[test]
    fn a_number_is_read_whole_or_as_the_greatest() {
        let rows: [(&[u8], u64); 8] = [
            (&[], 0),
            (&[0], 0),
            (&[0x7f], 127),
            (&[0, 0xff], 255),
            (&[0x7f, 0xff, 0xff, 0xff], 0x7fff_ffff),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5], 5),
            (&[0x80], u64::MAX),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0], u64::MAX),
        ];
        for (content, expected) in rows {
            assert_eq!(Element { tag: INTEGER, content }.number(), Some(expected), "{content:?}");
        }
        assert_eq!(Element { tag: OCTET_STRING, content: &[1] }.number(), None);
    }

    #[test]
    fn a_string_in_pieces_is_put_together() {
        let bytes = [0x24, 0x80, 4, 2, 1, 2, 0x24, 5, 4, 1, 3, 4, 0, 4, 1, 4, 0, 0];
        assert_eq!(elements(&bytes)[0].octets().as_ref(), [1, 2, 3, 4]);
    }

    #[test]
    fn what_is_nested_without_end_is_given_up() {
        for bytes in [[0x30, 0x80].repeat(100_000), [0x24, 0x80].repeat(100_000)] {
            assert!(elements(&bytes).is_empty());
        }
        let nested = [0x24, 0x82, 0xff, 0xff].repeat(1000);
        assert!(elements(&nested).is_empty());
    }
}
