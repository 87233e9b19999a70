//! A secret that a caller has to know: kept as a digest and compared in constant time.
//!
//! Event Grid signs nothing, so a webhook knows it by a secret in the address it was given, or in a header.
//! Several may be good at once, because a refused delivery is never repeated: to replace a secret, add the new
//! one, update the event subscription, and only then take away the old one.

use std::fmt;

use openssl::memcmp;
use openssl::sha::sha256;

/// What `openssl rand -hex 16` has, and so much less is worth guessing.
const SHORTEST: usize = 32;

/// The secrets that are good at the moment.
#[derive(Clone)]
pub struct SharedSecrets(Vec<[u8; 32]>);

/// Why a list of secrets is rejected. It repeats nothing of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecrets {
    /// The list is empty.
    #[error("it holds no secret")]
    Empty,
    /// A secret is easy to guess.
    #[error("one of its secrets has less than {SHORTEST} characters")]
    TooShort,
    /// A secret would read differently in a URL than in a header.
    #[error("one of its secrets has characters that a URL does not carry as they are")]
    NotPlain,
}

impl SharedSecrets {
    /// Reads a comma-separated list.
    pub fn parse(text: &str) -> Result<SharedSecrets, InvalidSecrets> {
        let secrets: Vec<&str> = text.split(',').map(str::trim).filter(|secret| !secret.is_empty()).collect();
        // What a URL carries as it is, so that query and header hold the same text.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if secrets.is_empty() {
            return Err(InvalidSecrets::Empty);
        }
        if secrets.iter().any(|secret| secret.len() < SHORTEST) {
            return Err(InvalidSecrets::TooShort);
        }
        if !secrets.iter().all(|secret| secret.bytes().all(plain)) {
            return Err(InvalidSecrets::NotPlain);
        }
        Ok(SharedSecrets(secrets.iter().map(|secret| sha256(secret.as_bytes())).collect()))
    }

    /// Returns whether this is one of them. How long it takes says nothing about any of them, not even their lengths.
    pub fn admit(&self, offered: &str) -> bool {
        let offered = sha256(offered.as_bytes());
        self.0.iter().fold(false, |admitted, secret| admitted | memcmp::eq(secret, &offered))
    }
}

impl fmt::Debug for SharedSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "0123456789abcdef0123456789abcdef";
    const NEW: &str = "-._~56789abcdef0123456789abcdef0123456789";

    #[test]
    fn each_of_several_is_good_and_nothing_like_them_is() {
        let secrets = SharedSecrets::parse(&format!(" {OLD}, {NEW},")).expect("well-formed");
        let rows = [
            (OLD.to_owned(), true),
            (NEW.to_owned(), true),
            (String::new(), false),
            (OLD[..31].to_owned(), false),
            (format!("{OLD}0"), false),
            (OLD.to_uppercase(), false),
            (format!("{OLD},{NEW}"), false),
        ];
        for (offered, expected) in rows {
            assert_eq!(secrets.admit(&offered), expected, "{offered:?}");
        }
    }

    #[test]
    fn debug_output_holds_neither_a_secret_nor_its_digest() {
        assert_eq!(format!("{:?}", SharedSecrets::parse(OLD).expect("well-formed")), "[hidden]");
    }
}
