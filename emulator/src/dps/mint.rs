//! Where new etags and verification codes come from.
//!
//! One mint serves the whole of ARM: its counter makes an etag unique across certificates too, so a test that
//! mixes up two certificates is caught.

use time::OffsetDateTime;

use crate::dps::etag::Etag;

/// Makes etags and verification codes, none of them twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mint {
    writes: u32,
    next_code: Option<String>,
}

/// What a write leaves on a certificate.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) etag: Etag,
    pub(crate) at: OffsetDateTime,
}

impl Mint {
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
    pub(crate) fn code(&mut self, random: &mut fastrand::Rng) -> String {
        self.next_code.take().unwrap_or_else(|| (0..24).map(|_| format!("{:02X}", random.u8(..))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_48_upper_case_hex_digits_and_is_new_each_time() {
        let (mut mint, mut random) = (Mint::default(), fastrand::Rng::with_seed(7));
        let (first, second) = (mint.code(&mut random), mint.code(&mut random));
        assert_eq!(first.len(), 48);
        assert!(first.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')), "{first}");
        assert_ne!(first, second);
    }

    #[test]
    fn a_code_set_beforehand_is_handed_out_once() {
        let (mut mint, mut random) = (Mint::default(), fastrand::Rng::with_seed(7));
        mint.set_next_code("A1B2C3D4E5F6G7H8");
        assert_eq!(mint.code(&mut random), "A1B2C3D4E5F6G7H8");
        assert_ne!(mint.code(&mut random), "A1B2C3D4E5F6G7H8");
    }
}
