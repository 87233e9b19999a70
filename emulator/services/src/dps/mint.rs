//! Where new etags and verification codes come from.
//!
//! One mint serves the whole of ARM: its counter makes an etag unique across certificates too, so a test that
//! mixes up two certificates is caught.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::dps::etag::Etag;
use crate::ground::stored;

/// Makes etags and verification codes, none of them twice.
///
/// Codes are drawn from a source of their own: which code comes how many-th depends on the seed alone, and not on
/// what else is asked meanwhile.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub(crate) struct Mint {
    writes: u32,
    #[serde(with = "stored::random")]
    codes: fastrand::Rng,
    next_code: Option<String>,
}

/// What a write leaves on a certificate.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) etag: Etag,
    pub(crate) at: OffsetDateTime,
}

impl Default for Mint {
    fn default() -> Mint {
        Mint { writes: 0, codes: fastrand::Rng::with_seed(0), next_code: None }
    }
}

stored::checked!(Mint);

/// The longest verification code that can be chosen. Hostile ones are a reason to choose one.
pub const LONGEST_CODE: usize = 16 * 1024;

/// Whether a code can be chosen.
pub fn is_code(code: &str) -> bool {
    (1..=LONGEST_CODE).contains(&code.len())
}

impl Mint {
    fn check_stored(&self) -> Result<(), &'static str> {
        if self.next_code.as_deref().is_none_or(is_code) {
            Ok(())
        } else {
            Err("a code that cannot be chosen")
        }
    }

    /// Has the codes from here on depend on this seed alone.
    pub(crate) fn reseed(&mut self, seed: u64) {
        self.codes = fastrand::Rng::with_seed(seed);
    }

    /// A stamp for a write at this moment.
    pub(crate) fn stamp(&mut self, at: OffsetDateTime) -> Stamp {
        Stamp { etag: Etag::of_write(self.count(), at), at }
    }

    /// A number no other write has.
    pub(crate) fn count(&mut self) -> u32 {
        self.writes = self.writes.wrapping_add(1);
        self.writes
    }

    /// Has the next code be this one.
    pub(crate) fn set_next_code(&mut self, code: &str) {
        self.next_code = Some(code.to_owned());
    }

    /// The code that comes next, if it was chosen.
    pub(crate) fn next_code(&self) -> Option<&str> {
        self.next_code.as_deref()
    }

    /// Leaves the next code to chance.
    pub(crate) fn forget_next_code(&mut self) {
        self.next_code = None;
    }

    /// A verification code of the recorded form: 24 random bytes in upper-case hex.
    pub(crate) fn code(&mut self) -> String {
        let codes = &mut self.codes;
        self.next_code.take().unwrap_or_else(|| (0..24).map(|_| format!("{:02X}", codes.u8(..))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_48_upper_case_hex_digits_and_is_new_each_time() {
        let mut mint = Mint::default();
        let (first, second) = (mint.code(), mint.code());
        assert_eq!(first.len(), 48);
        assert!(first.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')), "{first}");
        assert_ne!(first, second);
    }

    #[test]
    fn a_code_set_beforehand_is_handed_out_once() {
        let mut mint = Mint::default();
        mint.set_next_code("A1B2C3D4E5F6G7H8");
        assert_eq!(mint.code(), "A1B2C3D4E5F6G7H8");
        assert_ne!(mint.code(), "A1B2C3D4E5F6G7H8");
    }

    #[test]
    fn a_seed_gives_the_same_codes_each_time_and_another_one_others() {
        let codes = |seed| {
            let mut mint = Mint::default();
            mint.reseed(seed);
            [mint.code(), mint.code()]
        };
        assert_eq!(codes(7), codes(7));
        assert_ne!(codes(7), codes(8));
    }
}
