//! Reading what ARM and DPS answer. Both speak JSON, each with its own error envelope, and the shape of a
//! certificate changed between api-versions; all of them are read here, whatever was asked for.

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::{Challenge, ListedCertificate, Registered};
use crate::certificate_id::{CertificateId, InvalidId};
use crate::error::{self, Refusal};
use crate::etag::{Etag, InvalidEtag};
use crate::thumbprint::{InvalidThumbprint, Thumbprint};

/// A certificate: since 2022-02-05, and in every recorded answer, under `properties`; flat is read too.
#[derive(Deserialize)]
struct Resource {
    etag: String,
    properties: Option<Properties>,
    #[serde(flatten)]
    flat: Properties,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Properties {
    thumbprint: Option<String>,
    is_verified: Option<bool>,
    verification_code: Option<String>,
    updated: Option<String>,
    expiry: Option<String>,
    /// `null`, absent, or whatever form the uploader chose, depending on the api-version.
    certificate: Option<String>,
}

/// What an error answer says, each fit for a line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorAnswer {
    /// The peer's name or number for the error.
    pub code: String,
    /// The peer's sentence.
    pub message: String,
}

/// Why an answer of ARM or DPS cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableAnswer {
    /// It is not JSON of the expected form.
    #[error("{0}")]
    Json(String),
    /// A property is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The certificate's id.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// The certificate's etag.
    #[error(transparent)]
    Etag(#[from] InvalidEtag),
    /// The certificate's thumbprint.
    #[error(transparent)]
    Thumbprint(#[from] InvalidThumbprint),
    /// It describes a certificate that cannot exist.
    #[error("it describes a certificate that does not exist")]
    Impossible,
}

impl From<serde_json::Error> for UnreadableAnswer {
    /// Shortens the parser's message, which quotes the answer.
    fn from(error: serde_json::Error) -> UnreadableAnswer {
        UnreadableAnswer::Json(error::one_line(&error.to_string()))
    }
}

impl ErrorAnswer {
    /// Reads the code, which tells whether a right is missing.
    pub fn refusal(&self) -> Refusal {
        match self.code.as_str() {
            "AuthorizationFailed" => Refusal::Role,
            _ => Refusal::Other,
        }
    }
}

/// Reads a certificate.
pub fn registered(body: &[u8]) -> Result<Registered, UnreadableAnswer> {
    let (etag, properties) = read(body)?;
    to_registered(&etag, properties)
}

/// Reads a certificate with the challenge for it.
pub fn challenge(body: &[u8]) -> Result<Challenge, UnreadableAnswer> {
    let (etag, mut properties) = read(body)?;
    let code = properties
        .verification_code
        .take()
        .ok_or(UnreadableAnswer::Missing("properties.verificationCode"))?;
    Ok(Challenge { code, registered: to_registered(&etag, properties)? })
}

/// One page of a list: DPS instances, or certificates.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    pub(super) value: Vec<Item>,
    pub(super) next_link: Option<String>,
}

/// An item of a list, as far as it matters.
#[derive(Deserialize)]
pub(super) struct Item {
    pub(super) id: String,
    #[serde(default)]
    properties: Properties,
}

impl Item {
    /// Returns the certificate it is.
    pub(super) fn listed(&self) -> Result<ListedCertificate, UnreadableAnswer> {
        Ok(ListedCertificate {
            id: CertificateId::parse(&self.id)?,
            is_verified: self.properties.is_verified.unwrap_or_default(),
            thumbprint: self.properties.thumbprint.as_deref().and_then(|text| Thumbprint::parse(text).ok()),
            expiry: self.properties.expiry.as_deref().and_then(moment),
        })
    }
}

pub(super) fn page(body: &[u8]) -> Result<Page, UnreadableAnswer> {
    Ok(serde_json::from_slice(body)?)
}

/// Reads an error answer. DPS answers flat with a numeric code, ARM wraps and uses a string; proxies send neither.
pub fn error_answer(body: &[u8]) -> ErrorAnswer {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = body.get("error").unwrap_or(&body);
    let code = match error.get("code") {
        Some(Value::String(code)) => error::one_line(code),
        Some(Value::Number(code)) => code.to_string(),
        _ => "(no code)".to_owned(),
    };
    let message = error.get("message").and_then(Value::as_str).unwrap_or("(no message)");
    ErrorAnswer { code, message: error::one_line(message) }
}

fn read(body: &[u8]) -> Result<(String, Properties), UnreadableAnswer> {
    let resource: Resource = serde_json::from_slice(body)?;
    Ok((resource.etag, resource.properties.unwrap_or(resource.flat)))
}

/// Reads RFC 1123 with a four-digit year, which RFC 2822 has too.
fn moment(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc2822).ok()
}

fn to_registered(etag: &str, properties: Properties) -> Result<Registered, UnreadableAnswer> {
    let thumbprint = properties.thumbprint.ok_or(UnreadableAnswer::Missing("properties.thumbprint"))?;
    Ok(Registered {
        etag: Etag::parse(etag)?,
        thumbprint: Thumbprint::parse(&thumbprint)?,
        is_verified: properties.is_verified.ok_or(UnreadableAnswer::Missing("properties.isVerified"))?,
        updated: properties.updated.as_deref().and_then(moment),
        expiry: properties.expiry.as_deref().and_then(moment),
        certificate: properties.certificate.filter(|text| !text.trim().is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "IjA1MDA2YmVhLTAwMDAtMDcwMC0wMDAwLTYyNzE2YjRiMDAwMCI=";
    const THUMBPRINT: &str = "9F0983E8F2DB2DB3582997FEF331247D872DEE32";

    #[test]
    fn both_body_shapes_are_read() {
        let inner = format!(r#""thumbprint":"{THUMBPRINT}","isVerified":true,"certificate":null"#);
        let rows = [
            ("properties", format!(r#"{{"properties":{{{inner}}},"etag":"{ETAG}"}}"#)),
            ("flat", format!(r#"{{{inner},"etag":"{ETAG}"}}"#)),
        ];
        for (name, body) in rows {
            let registered = registered(body.as_bytes()).expect(name);
            assert_eq!(registered.etag.as_str(), ETAG, "{name}");
            assert_eq!(registered.thumbprint.to_string(), THUMBPRINT, "{name}");
            assert!(registered.is_verified, "{name}");
        }
    }

    #[test]
    fn an_answer_of_another_shape_is_refused_with_what_is_missing() {
        let rows = [
            ("HTML", "<html>".to_owned(), "expected value"),
            ("list", r#"{"value":[]}"#.to_owned(), "etag"),
            ("no properties", format!(r#"{{"etag":"{ETAG}"}}"#), "thumbprint"),
            (
                "wildcard etag",
                format!(r#"{{"etag":"*","thumbprint":"{THUMBPRINT}","isVerified":false}}"#),
                "etag",
            ),
        ];
        for (name, body, expected) in rows {
            let error = registered(body.as_bytes()).expect_err(name).to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }

    #[test]
    fn both_error_envelopes_are_read() {
        let rows = [
            (r#"{"code":404015,"httpStatusCode":"NotFound","message":"gone"}"#, "404015", "gone"),
            (r#"{"error":{"code":"AuthorizationFailed","message":"no"}}"#, "AuthorizationFailed", "no"),
            (r#"{"code":"412001","message":"a\r\nb"}"#, "412001", "a  b"),
            ("<html>", "(no code)", "(no message)"),
        ];
        for (body, code, message) in rows {
            let expected = ErrorAnswer { code: code.into(), message: message.into() };
            assert_eq!(error_answer(body.as_bytes()), expected, "{body}");
        }
    }
}
