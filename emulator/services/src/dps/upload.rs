//! Reading an uploaded certificate in every encoding the live service was seen to take, and the facts shown of
//! it.
//!
//! Nothing is judged here: an expired CA, one without `CA:TRUE` and several PEMs in one text were all taken by
//! the live service, so they are taken here too. The text is kept as it came, for answers repeat it verbatim.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::x509::{X509, X509NameEntryRef, X509NameRef};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// An uploaded CA certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Upload {
    /// As the caller sent it.
    pub(crate) text: String,
    pub(crate) x509: X509,
    /// The common name; the whole name of a subject without one (chosen, not observed).
    pub(crate) subject: String,
    pub(crate) expiry: OffsetDateTime,
    /// SHA-1 in upper-case hex.
    pub(crate) thumbprint: String,
}

impl Upload {
    /// `None` if there is no certificate in the text. The strict want it in base64: PEM as it is was only ever
    /// recorded in a proof.
    pub(crate) fn read(text: &str, strict: bool) -> Option<Upload> {
        let x509 = decode(text).filter(|_| !strict || !text.contains(PEM))?;
        let digest = x509.digest(MessageDigest::sha1()).ok()?;
        Some(Upload {
            text: text.to_owned(),
            subject: subject(x509.subject_name()),
            expiry: moment(x509.not_after()).ok()?,
            thumbprint: digest.iter().map(|byte| format!("{byte:02X}")).collect(),
            x509,
        })
    }
}

/// What was taken once is taken back from a snapshot, however strict the world is.
impl TryFrom<String> for Upload {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Upload, Self::Error> {
        Upload::read(&text, false).ok_or("an upload without a certificate")
    }
}

impl From<Upload> for String {
    fn from(upload: Upload) -> String {
        upload.text
    }
}

const PEM: &str = "-----BEGIN";

/// The (first) certificate in PEM, base64 of PEM or base64 of DER.
pub(crate) fn decode(text: &str) -> Option<X509> {
    if text.contains(PEM) {
        return X509::from_pem(text.as_bytes()).ok();
    }
    let without_blanks: String = text.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(without_blanks).ok()?;
    match std::str::from_utf8(&bytes) {
        Ok(pem) if pem.contains(PEM) => X509::from_pem(&bytes).ok(),
        _ => X509::from_der(&bytes).ok(),
    }
}

/// Every value of the common name, in order.
pub(crate) fn common_names(name: &X509NameRef) -> impl Iterator<Item = String> {
    name.entries_by_nid(Nid::COMMONNAME).map(entry_text)
}

/// A name as `CN=…, O=…`.
pub(crate) fn full_name(name: &X509NameRef) -> String {
    let parts = name.entries().map(|entry| {
        let key =
            entry.object().nid().short_name().map_or_else(|_| entry.object().to_string(), str::to_owned);
        format!("{key}={}", entry_text(entry))
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// What `time` calls an ASN.1 time.
pub(crate) fn moment(asn1: &Asn1TimeRef) -> Result<OffsetDateTime, ErrorStack> {
    let since_epoch = Asn1Time::from_unix(0)?.diff(asn1)?;
    Ok(OffsetDateTime::UNIX_EPOCH
        + time::Duration::days(i64::from(since_epoch.days))
        + time::Duration::seconds(i64::from(since_epoch.secs)))
}

/// Text that OpenSSL cannot turn into UTF-8 still has to be shown as something.
fn entry_text(entry: &X509NameEntryRef) -> String {
    let data = entry.data();
    data.to_string().unwrap_or_else(|_| String::from_utf8_lossy(data.as_slice()).into_owned())
}

fn subject(name: &X509NameRef) -> String {
    common_names(name).next().unwrap_or_else(|| full_name(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dps::testing::{Ca, NOW};

    #[test]
    fn every_accepted_encoding_yields_the_same_facts() {
        let ca = Ca::new("Azure IoT Root CA");
        let two = format!("{}\r\n\r\n{}", ca.pem(), Ca::new("another").pem());
        for text in [
            ca.base64_of_der(),
            ca.base64_of_pem(),
            ca.pem(),
            ca.pem().replace('\n', "\r\n"),
            two.clone(),
            STANDARD.encode(&two),
        ] {
            let upload = Upload::read(&text, false).unwrap();
            assert_eq!(upload.subject, "Azure IoT Root CA");
            assert_eq!(upload.expiry, NOW + time::Duration::days(365));
            let digest = ca.certificate.digest(MessageDigest::sha1()).unwrap();
            assert_eq!(upload.thumbprint.to_lowercase(), hex(&digest));
            assert_eq!(upload.thumbprint, upload.thumbprint.to_uppercase());
            assert_eq!(upload.text, text);
        }
    }

    #[test]
    fn the_strict_want_base64() {
        let ca = Ca::new("my-ca");
        assert!(Upload::read(&ca.pem(), true).is_none());
        for text in [ca.base64_of_der(), ca.base64_of_pem()] {
            assert!(Upload::read(&text, true).is_some(), "{text}");
        }
    }

    #[test]
    fn what_holds_no_certificate_is_not_read() {
        let twice = STANDARD.encode(Ca::new("my-ca").base64_of_der());
        for text in
            ["", "MA==", "not base64", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", &twice]
        {
            assert!(Upload::read(text, false).is_none(), "{text}");
        }
    }

    #[test]
    fn a_subject_without_a_common_name_is_shown_whole() {
        let upload = Upload::read(&Ca::nameless().pem(), false).unwrap();
        assert_eq!(upload.subject, "O=No name");
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
