//! The registry's mark of one state of a certificate, passed back as `If-Match`.

use std::fmt;

/// Opaque text from the body of an answer (DPS sends no `ETag` header, and the text is base64 of something
/// that looks like an etag itself: it must not be decoded).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etag(String);

/// The text cannot be sent as `If-Match`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an etag of 1 to 256 visible ASCII characters was expected")]
pub struct InvalidEtag;

impl Etag {
    /// Takes what the registry gave, as long as a header can carry it and it is not the wildcard.
    pub fn parse(text: &str) -> Result<Etag, InvalidEtag> {
        let fits = (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits && text != "*" { Ok(Etag(text.to_owned())) } else { Err(InvalidEtag) }
    }

    /// Returns the text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_header_can_carry_is_an_etag() {
        assert_eq!(Etag::parse("AAAAAAAbvCY=").map(|etag| etag.to_string()), Ok("AAAAAAAbvCY=".to_owned()));
        for text in ["", "*", "a b", "a\r\nIf-Match: b", "é", &"a".repeat(257)] {
            assert_eq!(Etag::parse(text), Err(InvalidEtag), "{text:?}");
        }
    }
}
