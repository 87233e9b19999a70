//! Reading what a vault answers, into types that can be trusted.

use std::collections::HashMap;
use std::sync::Arc;

use azure_core::error::ErrorKind;
use azure_core::http::headers::RETRY_AFTER;
use azure_security_keyvault_certificates::models;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::remedy;
use crate::ca::CaCertificate;
use crate::error::{self, Advice, CallError};
use crate::identity;
use crate::trust::{GRANT_TAG, Grant};
use crate::vault::{Kind, ObjectId};

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

impl Certificate {
    /// Reads a certificate bundle of the vault at `vault`.
    pub fn read(bundle: models::Certificate, vault: &Arc<Url>) -> Result<Certificate, String> {
        let der = bundle.cer.ok_or("no certificate in it")?;
        let (grant, tags) = grant_and_tags(bundle.tags);
        Ok(Certificate {
            object: versioned(bundle.id, vault, Kind::Certificate)?,
            key: versioned(bundle.kid, vault, Kind::Key)?,
            secret: bundle.sid.map(|id| versioned(Some(id), vault, Kind::Secret)).transpose()?,
            ca: CaCertificate::from_der(&der).map_err(|error| error.to_string())?,
            grant,
            tags,
            read: Instant::now(),
        })
    }
}

/// The grant among the tags, and all tags in a stable order.
pub(super) fn grant_and_tags(tags: Option<HashMap<String, String>>) -> (Grant, Vec<(String, String)>) {
    let mut tags: Vec<(String, String)> = tags.unwrap_or_default().into_iter().collect();
    tags.sort();
    let grant = tags.iter().find(|(name, _)| name == GRANT_TAG).map(|(_, value)| value.clone());
    (Grant::new(grant), tags)
}

/// An id without a version would mean "the latest" when it is used.
fn versioned(id: Option<String>, vault: &Arc<Url>, kind: Kind) -> Result<ObjectId, String> {
    let id = ObjectId::parse(&id.ok_or("an id is missing")?, vault, kind)?;
    if id.version().is_empty() { Err(format!("{id} has no version")) } else { Ok(id) }
}

/// What an SDK call that failed asks of us.
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
    let code = match body.pointer("/error/innererror/code").and_then(Value::as_str) {
        Some(inner) => error::one_line(&format!("{outer}/{inner}")),
        None => error::one_line(outer),
    };
    let message = body.pointer("/error/message").and_then(Value::as_str).unwrap_or("(no message)");
    let message = error::one_line(message);
    match Advice::for_status(status) {
        Advice::GiveUp => {
            let remedy = remedy::for_refusal(status, &code, object);
            CallError::Refused { call: call.to_owned(), status, code, message, remedy }
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

/// A success we cannot read.
pub(super) fn unreadable(call: &str, reason: &str) -> CallError {
    CallError::Unavailable {
        call: call.to_owned(),
        status: None,
        reason: format!("the answer could not be read: {reason}"),
        retry_after: None,
    }
}
