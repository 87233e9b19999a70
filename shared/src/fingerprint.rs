//! The SHA-256 fingerprint of a certificate, and the tag with which a key's owner says which certificate is theirs.

use std::fmt;

use openssl::sha::sha256;

/// The tag on a vault's secret that names, by SHA-256, the CA certificates whose key it holds. It is for secrets that
/// hold a key and no certificate; several are separated by commas.
pub const CERTIFICATE_TAG: &str = "keyholder-certificate-sha256";

/// SHA-256 of a certificate's DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Computes that of a certificate.
    pub fn of(der: &[u8]) -> Fingerprint {
        Fingerprint(sha256(der))
    }

    /// Whether the owner of an object with these tags named it. Read as people copy it: upper or lower case, with or
    /// without the colons that `openssl x509 -fingerprint` writes.
    pub fn is_named_in(&self, tags: &[(String, String)]) -> bool {
        let own = self.to_string();
        let values = tags.iter().filter(|(name, _)| name == CERTIFICATE_TAG).map(|(_, value)| value);
        values.flat_map(|value| value.split(',')).any(|entry| {
            let digits: String = entry.trim().chars().filter(|character| *character != ':').collect();
            digits.eq_ignore_ascii_case(&own)
        })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_named_by_its_whole_fingerprint_as_people_copy_it() {
        let (own, other) = (Fingerprint::of(b"ours"), Fingerprint::of(b"another"));
        let text = own.to_string();
        let pairs: Vec<&str> = (0..32).map(|at| &text[2 * at..2 * at + 2]).collect();
        let rows = [
            ("upper case", CERTIFICATE_TAG, text.clone(), true),
            ("lower case", CERTIFICATE_TAG, text.to_lowercase(), true),
            ("with colons", CERTIFICATE_TAG, pairs.join(":"), true),
            ("the second of two", CERTIFICATE_TAG, format!("{other}, {own}"), true),
            ("another one", CERTIFICATE_TAG, other.to_string(), false),
            ("its beginning", CERTIFICATE_TAG, text[..62].to_owned(), false),
            ("more than it", CERTIFICATE_TAG, format!("{text}00"), false),
            ("nothing", CERTIFICATE_TAG, String::new(), false),
            ("any", CERTIFICATE_TAG, "*".to_owned(), false),
            ("another tag", "keyholder", text.clone(), false),
            ("another spelling of the tag", "Keyholder-Certificate-SHA256", text.clone(), false),
        ];
        for (name, tag, value, named) in rows {
            let tags = [("owner".to_owned(), "pki".to_owned()), (tag.to_owned(), value)];
            assert_eq!(own.is_named_in(&tags), named, "{name}");
        }
        assert!(!own.is_named_in(&[]), "no tags at all");
        assert_eq!(text.len(), 64);
    }
}
