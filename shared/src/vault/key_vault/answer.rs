//! Reads a vault's answers into types that can be trusted.

use std::collections::HashMap;
use std::sync::Arc;

use azure_core::error::ErrorKind;
use azure_core::http::headers::RETRY_AFTER;
use azure_security_keyvault_certificates::models;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::remedy;
use crate::ca::{CaCertificate, UnsuitableCa};
use crate::error::{self, Advice, CallError, Refusal};
use crate::identity;
use crate::trust::{GRANT_TAG, Grant};
use crate::vault::{InvalidObjectId, Kind, ObjectId};

/// A certificate of a vault, with what belongs to it.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Its id, version included.
    pub object: ObjectId,
    /// The key that belongs to this version.
    pub key: ObjectId,
    /// The secret that belongs to this version.
    pub secret: Option<ObjectId>,
    /// The certificate itself.
    pub ca: CaCertificate,
    /// What its owner allows.
    pub grant: Grant,
    /// All of its tags.
    pub tags: Vec<(String, String)>,
    /// When reading it began.
    pub read: Instant,
}

/// Why a certificate bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableBundle {
    /// It has no certificate.
    #[error("no certificate in it")]
    NoCertificate,
    /// The id of the certificate or of its key is missing.
    #[error("an id is missing")]
    NoId,
    /// An id belongs to another vault, or is malformed.
    #[error(transparent)]
    Id(#[from] InvalidObjectId),
    /// An id has no version. It would mean the newest version at the time of use.
    #[error("{0} has no version")]
    NoVersion(ObjectId),
    /// The certificate is not a CA certificate that can be read.
    #[error(transparent)]
    Ca(#[from] UnsuitableCa),
}

impl Certificate {
    /// Reads a certificate bundle of the vault at `vault`.
    pub fn read(bundle: models::Certificate, vault: &Arc<Url>) -> Result<Certificate, UnreadableBundle> {
        let der = bundle.cer.ok_or(UnreadableBundle::NoCertificate)?;
        let (grant, tags) = grant_and_tags(bundle.tags);
        Ok(Certificate {
            object: versioned(bundle.id, vault, Kind::Certificate)?,
            key: versioned(bundle.kid, vault, Kind::Key)?,
            secret: bundle.sid.map(|id| versioned(Some(id), vault, Kind::Secret)).transpose()?,
            ca: CaCertificate::from_der(&der)?,
            grant,
            tags,
            read: Instant::now(),
        })
    }
}

/// Returns the grant among the tags, and all tags in a stable order.
pub(super) fn grant_and_tags(tags: Option<HashMap<String, String>>) -> (Grant, Vec<(String, String)>) {
    let mut tags: Vec<(String, String)> = tags.unwrap_or_default().into_iter().collect();
    tags.sort();
    let grant = tags.iter().find(|(name, _)| name == GRANT_TAG).map(|(_, value)| value.clone());
    (Grant::new(grant), tags)
}

/// Reads an id that names a version.
fn versioned(id: Option<String>, vault: &Arc<Url>, kind: Kind) -> Result<ObjectId, UnreadableBundle> {
    let id = ObjectId::parse(&id.ok_or(UnreadableBundle::NoId)?, vault, kind)?;
    if id.version().is_empty() { Err(UnreadableBundle::NoVersion(id)) } else { Ok(id) }
}

/// Reads the inner error code, or the outer one where there is no inner code.
fn refusal(code: &str) -> Refusal {
    match code {
        "KeyDisabled" | "SecretDisabled" => Refusal::Disabled,
        "KeyOperationForbidden" => Refusal::OperationNotAllowed,
        "KeyExpired" | "KeyNotYetValid" => Refusal::NotValidNow,
        "ForbiddenByFirewall" => Refusal::Firewall,
        "AccessDenied" => Refusal::AccessPolicy,
        "ForbiddenByRbac" => Refusal::Role,
        _ => Refusal::Other,
    }
}

/// Turns an error of the SDK into what the caller should do next.
pub fn call_error(call: &str, object: &ObjectId, error: &azure_core::Error) -> CallError {
    let ErrorKind::HttpResponse { status, error_code, raw_response } = error.kind() else {
        // Not the vault's answer, but perhaps the identity endpoint's.
        let (status, retry_after) = identity::answer_behind(error);
        let (call, reason) = (call.to_owned(), error::one_line(&error::chain(error)));
        return CallError::Unavailable { call, status, reason, retry_after };
    };
    let status = u16::from(*status);
    let body: Value = raw_response
        .as_ref()
        .and_then(|response| serde_json::from_slice(response.body().as_ref()).ok())
        .unwrap_or_default();
    let outer = error_code.as_deref().unwrap_or("(no code)");
    let inner = body.pointer("/error/innererror/code").and_then(Value::as_str);
    let code = match inner {
        Some(inner) => error::one_line(&format!("{outer}/{inner}")),
        None => error::one_line(outer),
    };
    let message = body.pointer("/error/message").and_then(Value::as_str).unwrap_or("(no message)");
    let message = error::one_line(message);
    match Advice::for_status(status) {
        Advice::GiveUp => {
            let refusal = refusal(inner.unwrap_or(outer));
            let remedy = remedy::for_refusal(status, refusal, object);
            CallError::Refused { call: call.to_owned(), status, refusal, code, message, remedy }
        }
        Advice::LookAgain | Advice::TryLater => CallError::Unavailable {
            call: call.to_owned(),
            status: Some(status),
            reason: format!("{status} {code}: {message}"),
            retry_after: error::retry_after(
                raw_response.as_ref().and_then(|response| response.headers().get_optional_str(&RETRY_AFTER)),
            ),
        },
    }
}

/// Returns the error for a success that cannot be read.
pub(super) fn unreadable(call: &str, reason: &str) -> CallError {
    CallError::Unavailable {
        call: call.to_owned(),
        status: None,
        reason: format!("the answer could not be read: {reason}"),
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use azure_core::error::check_success;
    use azure_core::http::RawResponse;
    use azure_core::http::headers::Headers;
    use futures::FutureExt;

    use super::*;
    use crate::reason::Reason;

    #[test]
    fn the_code_of_a_refusal_is_read_once_and_decides_the_outcome() {
        let rows = [
            (r#"{"error":{"code":"Forbidden","innererror":{"code":"KeyDisabled"}}}"#, Reason::KeyDisabled),
            (r#"{"error":{"code":"Forbidden","innererror":{"code":"SecretDisabled"}}}"#, Reason::KeyDisabled),
            (
                r#"{"error":{"code":"Forbidden","innererror":{"code":"KeyOperationForbidden"}}}"#,
                Reason::KeyCannotSign,
            ),
            (r#"{"error":{"code":"Forbidden","innererror":{"code":"KeyExpired"}}}"#, Reason::KeyNotValidNow),
            (
                r#"{"error":{"code":"Forbidden","innererror":{"code":"KeyNotYetValid"}}}"#,
                Reason::KeyNotValidNow,
            ),
            (
                r#"{"error":{"code":"Forbidden","innererror":{"code":"ForbiddenByFirewall"}}}"#,
                Reason::Firewall,
            ),
            (
                r#"{"error":{"code":"Forbidden","innererror":{"code":"ForbiddenByRbac"}}}"#,
                Reason::AccessRefused,
            ),
            (r#"{"error":{"code":"Forbidden","innererror":{"code":"AccessDenied"}}}"#, Reason::AccessRefused),
            (r#"{"error":{"code":"KeyDisabled","message":"an outer code alone"}}"#, Reason::KeyDisabled),
            (r#"{"error":{"code":"Forbidden","message":"KeyDisabled is only said here"}}"#, Reason::Refused),
            ("<html>", Reason::Refused),
        ];
        let vault = Arc::new(Url::parse("https://my-vault.vault.azure.net").expect("a URL"));
        let key = ObjectId::newest(&vault, Kind::Key, "ca");
        for (body, expected) in rows {
            let answer = RawResponse::from_bytes(403.into(), Headers::new(), body.to_owned());
            let checked = check_success(answer, None).now_or_never().expect("the body is there already");
            let error = call_error("signing", &key, &checked.expect_err("403 is no success"));
            assert_eq!(error.reason(), expected, "{body}");
        }
    }
}
