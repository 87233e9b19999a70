//! The name of an event subscription.

use std::fmt;
use std::str::FromStr;

/// A subscription's name, compared without case: 3 to 64 letters, digits and hyphens.
#[derive(Clone, Debug)]
pub struct SubscriptionName(String);

impl SubscriptionName {
    /// As the delivery header carries it.
    pub(super) fn upper_case(&self) -> String {
        self.0.to_ascii_uppercase()
    }

    /// As maps know it.
    pub(super) fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for SubscriptionName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for SubscriptionName {}

impl fmt::Display for SubscriptionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SubscriptionName {
    type Err = InvalidSubscriptionName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let well_formed = (3..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if well_formed {
            Ok(SubscriptionName(name.to_owned()))
        } else {
            Err(InvalidSubscriptionName(name.to_owned()))
        }
    }
}

/// A name no event subscription can have.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no event subscription name: 3 to 64 letters, digits and hyphens are")]
pub struct InvalidSubscriptionName(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_into_a_header() {
        assert!("on-upload".parse::<SubscriptionName>().is_ok());
        for wrong in ["", "ab", "on upload", "on\nupload", &"a".repeat(65)] {
            assert!(wrong.parse::<SubscriptionName>().is_err(), "{wrong:?}");
        }
    }
}
