//! The registry's challenge: the one thing from outside that is ever put under a CA's signature.

use std::fmt;

/// 8 to 64 ASCII upper-case letters and digits, at least one of them a digit.
///
/// Recorded codes are 48 upper-case hexadecimal digits; the tutorial shows shorter ones with other letters.
/// The rule keeps out whatever could mean something else as a subject: a host name, a second attribute, a
/// word. 64 is also the limit of a common name (X.520 `ub-common-name`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationCode(String);

/// The registry handed out something that we do not sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the verification code has {length} characters or others than expected; nothing was signed. A code is 8 \
     to 64 upper-case letters and digits, with at least one digit"
)]
pub struct UnexpectedCode {
    length: usize,
}

impl VerificationCode {
    /// Takes a code, if it is one.
    pub fn parse(text: &str) -> Result<VerificationCode, UnexpectedCode> {
        let well_formed = (8..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            && text.bytes().any(|byte| byte.is_ascii_digit());
        if well_formed {
            Ok(VerificationCode(text.to_owned()))
        } else {
            Err(UnexpectedCode { length: text.chars().count() })
        }
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VerificationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::cases;

    proptest! {
        #![proptest_config(cases(1000))]

        #[test]
        fn every_word_of_the_language_is_a_code(text in "[A-Z0-9]{7,64}", digit in "[0-9]", at in 0..8_usize) {
            let mut text = text;
            text.insert_str(at.min(text.len()), &digit);
            text.truncate(64);
            let well_formed = text.bytes().any(|byte| byte.is_ascii_digit());
            prop_assert_eq!(VerificationCode::parse(&text).is_ok(), well_formed, "{}", text);
        }

        #[test]
        fn no_other_word_is(text in "[A-Z0-9]{0,66}", letter in any::<char>(), at in any::<prop::sample::Index>()) {
            let at = at.index(text.len() + 1);
            let text = format!("{}{letter}{}", &text[..at], &text[at..]);
            let letters = text.chars().all(|letter| matches!(letter, 'A'..='Z' | '0'..='9'));
            let well_formed = letters
                && text.chars().any(|letter| letter.is_ascii_digit())
                && (8..=64).contains(&text.chars().count());
            prop_assert_eq!(VerificationCode::parse(&text).is_ok(), well_formed, "{}", text);
        }
    }

    #[test]
    fn recorded_and_tutorial_codes_are_codes() {
        for text in ["7D07A6A51F8AF1469499A1D92074D629894BE9FA8A013E49", "A1B2C3D4E5F6G7H8"] {
            assert_eq!(VerificationCode::parse(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn nothing_else_is_ever_signed() {
        let rows = [
            ("empty", String::new()),
            ("short", "A1B2C3D".to_owned()),
            ("too long for a common name", "A1".repeat(33)),
            ("4 kB", "A1".repeat(2048)),
            ("lower case", "a1b2c3d4e5f6".to_owned()),
            ("a word", "ADMINISTRATOR".to_owned()),
            ("a host name", "WWW.EXAMPLE1.COM".to_owned()),
            ("another attribute", "A1B2C3D4/CN=EVIL".to_owned()),
            ("newline", "A1B2C3D4\nE5".to_owned()),
            ("NUL", "A1B2C3D4\0E5".to_owned()),
            ("full-width digits", "Ａ１Ｂ２Ｃ３Ｄ４".to_owned()),
            ("blank at the end", "A1B2C3D4 ".to_owned()),
        ];
        for (name, text) in rows {
            let error = VerificationCode::parse(&text).expect_err(name);
            assert!(!error.to_string().contains("EVIL"), "{name}: the message repeats hostile text");
        }
    }
}
