//! How long a PFX has us compute, found out before anything is computed.
//!
//! The author of a PFX also chose how often its password is hashed, for its MAC and for each of its encrypted parts;
//! OpenSSL does what it is told, and 31 bits of it take hours. So the counts are read first, wherever they stand, and
//! bounded. A part that is encrypted may hold another count, so each is opened here, with the empty password, once its
//! own count is known to be small.
//!
//! A DSA key is refused for the same reason: OpenSSL computes its public half when it is read, in a field as large as its
//! writer likes.

use super::UnusableSecret;
use super::ber::{
    CONSTRUCTED, CONTEXT_0, Element, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, elements,
};
use super::sealed::Sealed;

/// The most rounds of one derivation. OpenSSL writes 2,048, Windows 2,000, and .NET reads up to 300,000.
pub(super) const MOST_ROUNDS: u64 = 1_000_000;
/// The most rounds of all of them: a MAC, two encrypted parts and one key.
const MOST_IN_ALL: u64 = 4 * MOST_ROUNDS;
/// How deep a PFX may be nested; common ones are 20 deep.
const DEEPEST: usize = 48;

/// `pkcs-5 12` and scrypt of RFC 7914; the others are the schemes of PKCS#5 and PKCS#12 that derive by themselves.
const PKCS_5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05];
const PKCS_12_PBE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];
pub(super) const SCRYPT: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];

/// What stands in a PFX, as far as it is to be seen.
#[derive(Default)]
struct Seen {
    /// The count of each derivation.
    rounds: Vec<u64>,
    /// Encrypted parts.
    sealed: Vec<Sealed>,
    /// Encrypted keys.
    keys: Vec<Sealed>,
    has_dsa_key: bool,
    is_too_deep: bool,
}

/// Refuses a key in PEM, whatever its label says, that would take long to read: one that is encrypted, or of DSA.
pub(super) fn check_key(der: &[u8]) -> Result<(), UnusableSecret> {
    let mut seen = Seen::default();
    seen.walk(der, 0);
    match seen {
        Seen { has_dsa_key: true, .. } => Err(UnusableSecret::OtherKind),
        Seen { keys, .. } if !keys.is_empty() => Err(UnusableSecret::EncryptedPem),
        _ => Ok(()),
    }
}

/// Refuses a PFX that would take long to read. It says nothing of whether it can be read.
pub(super) fn check(pfx: &[u8]) -> Result<(), UnusableSecret> {
    let mut seen = Seen::default();
    if let [outer, ..] = elements(pfx).as_slice() {
        // `MacData`, beside the contents, has its count directly in it.
        let counts = outer.parts().into_iter().flat_map(|part| part.parts()).filter_map(|part| part.number());
        seen.rounds.extend(counts);
    }
    seen.walk(pfx, 0);
    seen.check()?;
    for sealed in std::mem::take(&mut seen.sealed) {
        for opened in sealed.open()? {
            seen.walk(&opened, 0);
        }
    }
    seen.check()?;
    // OpenSSL says what is wrong with a key that cannot be opened.
    for key in std::mem::take(&mut seen.keys) {
        for opened in key.open().unwrap_or_default() {
            seen.walk(&opened, 0);
        }
    }
    seen.check()
}

impl Seen {
    fn check(&self) -> Result<(), UnusableSecret> {
        let greatest = self.rounds.iter().copied().max().unwrap_or_default();
        let in_all = self.rounds.iter().fold(0_u64, |sum, rounds| sum.saturating_add(*rounds));
        match () {
            () if self.is_too_deep => Err(UnusableSecret::Unknown),
            () if self.has_dsa_key => Err(UnusableSecret::OtherKind),
            () if greatest > MOST_ROUNDS => Err(UnusableSecret::TooManyRounds(greatest)),
            () if in_all > MOST_IN_ALL => Err(UnusableSecret::TooManyRounds(in_all)),
            () => Ok(()),
        }
    }

    /// Visits whatever is an element, strings that hold some included.
    fn walk(&mut self, bytes: &[u8], depth: usize) {
        if depth > DEEPEST {
            self.is_too_deep = true;
            return;
        }
        for element in elements(bytes) {
            if element.tag == SEQUENCE {
                self.note(&element.parts());
            }
            match element.tag {
                tag if tag == OCTET_STRING | CONSTRUCTED => self.walk(&element.octets(), depth + 1),
                OCTET_STRING | CONTEXT_0 => self.walk(element.content, depth + 1),
                _ if element.is_constructed() => self.walk(element.content, depth + 1),
                _ => {}
            }
        }
    }

    fn note(&mut self, parts: &[Element<'_>]) {
        match parts {
            // `AlgorithmIdentifier`
            [Element { tag: OBJECT_IDENTIFIER, content: algorithm }, parameters, ..] => {
                self.rounds.extend(rounds(algorithm, parameters));
                // `EncryptedContentInfo`: its algorithm and its content follow its type.
                if let (SEQUENCE, Some(content)) = (parameters.tag, parts.get(2))
                    && content.tag & !CONSTRUCTED == CONTEXT_0
                {
                    self.sealed.extend(Sealed::read(&parameters.parts(), &content.octets()));
                }
            }
            // `EncryptedPrivateKeyInfo`
            [algorithm @ Element { tag: SEQUENCE, .. }, content]
                if content.tag & !CONSTRUCTED == OCTET_STRING
                    && algorithm.parts().first().is_some_and(|name| derives(name.content)) =>
            {
                self.keys.extend(Sealed::read(&algorithm.parts(), &content.octets()));
            }
            // `PrivateKeyInfo`
            [Element { tag: INTEGER, .. }, algorithm @ Element { tag: SEQUENCE, .. }, ..] => {
                self.has_dsa_key |= algorithm.parts().first().is_some_and(|name| name.content == DSA);
            }
            _ => {}
        }
    }
}

/// Returns whether an algorithm encrypts with a key that it derives from a password.
fn derives(algorithm: &[u8]) -> bool {
    algorithm.starts_with(PKCS_5) || algorithm.starts_with(PKCS_12_PBE)
}

/// Returns how often an algorithm hashes, if it is one that derives keys.
fn rounds(algorithm: &[u8], parameters: &Element<'_>) -> Option<u64> {
    let parts = parameters.parts();
    let numbers = parts.iter().filter_map(Element::number);
    match algorithm {
        // Cost, block size and parallelism, and perhaps a length, which makes it dearer at most.
        SCRYPT => Some(numbers.take(3).fold(1, u64::saturating_mul)),
        _ if derives(algorithm) => numbers.max(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
