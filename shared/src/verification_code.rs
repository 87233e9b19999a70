//! The registry's challenge: the one thing from outside that is ever put under a CA's signature.

use std::fmt;
use std::ops::RangeInclusive;

/// 48 upper-case hexadecimal digits, or 16 to 64 upper-case letters and digits of which at least six are digits.
///
/// All recorded codes are of the first form; Microsoft's tutorial shows `A1B2C3D4E5F6G7H8`, which is of the second. The
/// rule leaves no room for what could mean something else as a subject: a host name, an account, a word, a second
/// attribute. 64 is also the limit of a common name (X.520 `ub-common-name`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationCode(String);

/// How long recorded codes are.
const RECORDED_LENGTH: usize = 48;
/// The lengths of codes in any other form.
const LENGTHS: RangeInclusive<usize> = 16..=64;
/// The digits that a code in any other form has at least.
const FEWEST_DIGITS: usize = 6;

/// The registry handed out something that we do not sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the verification code has {length} characters or others than expected; nothing was signed. A code is 48 \
     upper-case hexadecimal digits, or 16 to 64 upper-case letters and digits with at least six digits"
)]
pub struct UnexpectedCode {
    length: usize,
}

impl VerificationCode {
    /// Takes a code, if it is one.
    pub fn parse(text: &str) -> Result<VerificationCode, UnexpectedCode> {
        let well_formed = is_as_recorded(text) || is_as_in_the_tutorial(text);
        if well_formed {
            Ok(VerificationCode(text.to_owned()))
        } else {
            Err(UnexpectedCode { length: text.chars().count() })
        }
    }

    /// Returns the code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_as_recorded(text: &str) -> bool {
    text.len() == RECORDED_LENGTH && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'))
}

fn is_as_in_the_tutorial(text: &str) -> bool {
    LENGTHS.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && text.bytes().filter(u8::is_ascii_digit).count() >= FEWEST_DIGITS
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
        fn forty_eight_hexadecimal_digits_are_a_code(text in "[0-9A-F]{48}|[A-F]{48}|[A-F]{43}[0-9]{5}") {
            prop_assert!(VerificationCode::parse(&text).is_ok(), "{}", text);
        }

        #[test]
        fn of_letters_and_digits_those_with_six_digits_are_a_code(text in "[A-Z0-9]{16,64}|[A-Z]{4,60}[0-9]{4,8}") {
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            let hexadecimal = text.len() == 48 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let well_formed = hexadecimal || (digits >= 6 && (16..=64).contains(&text.len()));
            prop_assert_eq!(VerificationCode::parse(&text).is_ok(), well_formed, "{}", text);
        }

        #[test]
        fn no_other_word_is(text in "[A-Z0-9]{0,66}", letter in any::<char>(), at in any::<prop::sample::Index>()) {
            let at = at.index(text.len() + 1);
            let text = format!("{}{letter}{}", &text[..at], &text[at..]);
            let letters = text.chars().all(|letter| matches!(letter, 'A'..='Z' | '0'..='9'));
            let digits = text.chars().filter(char::is_ascii_digit).count();
            let hexadecimal = text.len() == 48 && text.chars().all(|letter| matches!(letter, 'A'..='F' | '0'..='9'));
            let well_formed = hexadecimal || (letters && digits >= 6 && (16..=64).contains(&text.len()));
            prop_assert_eq!(VerificationCode::parse(&text).is_ok(), well_formed, "{}", text);
        }
    }

    #[test]
    fn recorded_and_tutorial_codes_are_codes() {
        let all_letters = "ABCDEF".repeat(8);
        let longest = format!("{}123456", "Z".repeat(58));
        for text in [
            "7D07A6A51F8AF1469499A1D92074D629894BE9FA8A013E49",
            "A1B2C3D4E5F6G7H8",
            "ABCDEFGHIJ123456",
            &all_letters,
            &longest,
        ] {
            assert_eq!(VerificationCode::parse(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn nothing_else_is_ever_signed() {
        let rows = [
            ("empty", String::new()),
            ("a server", "SERVER01".to_owned()),
            ("a domain controller", "DC01CORP1".to_owned()),
            ("a number", "1234567890".to_owned()),
            ("short by one", "A1B2C3D4E5F6G7H".to_owned()),
            ("few digits", "ABCDEFGHIJK12345".to_owned()),
            (
                "47 hexadecimal digits, few of them digits",
                "ABCDEF12".repeat(6)[..47].replace(['1', '2'], "A"),
            ),
            ("48 letters, one of them not hexadecimal", format!("{}G", "A".repeat(47))),
            ("lower-case hexadecimal", "7d07a6a51f8af1469499a1d92074d629894be9fa8a013e49".to_owned()),
            ("too long for a common name", "A1".repeat(33)),
            ("4 kB", "A1".repeat(2048)),
            ("lower case", "a1b2c3d4e5f6g7h8".to_owned()),
            ("a word", "ADMINISTRATOR".to_owned()),
            ("a host name", "WWW.EXAMPLE1.COM".to_owned()),
            ("another attribute", "A1B2C3D4E5F6/CN=EVIL".to_owned()),
            ("newline", "A1B2C3D4E5F6\nG7H8I9".to_owned()),
            ("NUL", "A1B2C3D4E5F6\0G7H8I9".to_owned()),
            ("full-width digits", "Ａ１Ｂ２Ｃ３Ｄ４Ｅ５Ｆ６Ｇ７Ｈ８".to_owned()),
            ("blank at the end", "A1B2C3D4E5F6G7H8 ".to_owned()),
        ];
        for (name, text) in rows {
            let error = VerificationCode::parse(&text).expect_err(name);
            assert!(!error.to_string().contains("EVIL"), "{name}: the message repeats hostile text");
        }
    }
}
