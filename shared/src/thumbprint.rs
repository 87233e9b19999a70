//! The SHA-1 of a certificate, which is how Azure names certificates. It narrows a search; it proves nothing.

use std::fmt;

use openssl::sha::sha1;

/// SHA-1 of a certificate's DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; 20]);

/// The text is not a thumbprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a thumbprint of 40 hexadecimal digits was expected")]
pub struct InvalidThumbprint;

impl Thumbprint {
    /// Computes the thumbprint of a certificate in DER.
    pub fn of(der: &[u8]) -> Thumbprint {
        Thumbprint(sha1(der))
    }

    /// Takes 20 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Thumbprint> {
        bytes.try_into().ok().map(Thumbprint)
    }

    /// Reads 40 hexadecimal digits in either case.
    pub fn parse(text: &str) -> Result<Thumbprint, InvalidThumbprint> {
        let digits = text.as_bytes();
        let mut bytes = [0; 20];
        if digits.len() != 40 {
            return Err(InvalidThumbprint);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
            let (Some(high), Some(low)) = (high, low) else { return Err(InvalidThumbprint) };
            *byte = (high * 16 + low) as u8;
        }
        Ok(Thumbprint(bytes))
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_either_case_and_writes_upper_case() {
        let text = "9f0983E8F2DB2DB3582997FEF331247D872DEE32";
        let thumbprint = Thumbprint::parse(text).expect("40 digits");
        assert_eq!(thumbprint.to_string(), text.to_uppercase());
    }

    #[test]
    fn refuses_what_is_no_thumbprint() {
        for text in ["", "9F", &"G".repeat(40), &"0".repeat(41), &"é".repeat(20)] {
            assert_eq!(Thumbprint::parse(text), Err(InvalidThumbprint), "{text:?}");
        }
    }
}
