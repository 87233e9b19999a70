//! Everything a vault says instead of doing what was asked, in its own error form.
//!
//! Clients branch on three things: the status, `error.code` and, for a 403, `error.innererror.code`. Those
//! follow the recordings where there is one; sentences follow them where they are known to be parsed or
//! shown to people, and are otherwise chosen to name the object and the remedy.

use http::StatusCode;
use serde_json::{Value, json};

use super::kind::Kind;
use super::site::Site;
use crate::access::callers::TokenProblem;

/// A request that a vault turned down.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    inner: Option<&'static str>,
    message: String,
}

impl Refusal {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// `error.code`, or the more telling `error.innererror.code` where there is one.
    pub fn code(&self) -> &'static str {
        self.inner.unwrap_or(self.code)
    }

    pub(super) fn body(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(inner) = self.inner {
            error["innererror"] = json!({ "code": inner });
        }
        json!({ "error": error })
    }

    /// The request itself is wrong; sending it again is no use.
    pub(super) fn bad_parameter(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "BadParameter", message)
    }

    pub(super) fn unauthorized(problem: TokenProblem, site: &Site) -> Refusal {
        let message = match problem {
            TokenProblem::Missing => "AKV10000: Request is missing a Bearer or PoP token.".to_owned(),
            TokenProblem::Audience => {
                format!("AKV10022: Invalid audience. This vault accepts tokens for {}.", site.resource())
            }
            // Chosen, not observed, like the next one.
            TokenProblem::Expired => "[TokenExpired] Error validating token: it has expired.".to_owned(),
            TokenProblem::Invalid => {
                "Error validating token: it was not issued by this emulator, or is not valid yet.".to_owned()
            }
        };
        Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
    }

    pub(super) fn forbidden(inner: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { inner: Some(inner), ..Refusal::new(StatusCode::FORBIDDEN, "Forbidden", message) }
    }

    /// The caller has no role that grants it.
    pub(super) fn forbidden_by_rbac(message: String) -> Refusal {
        Refusal::forbidden("ForbiddenByRbac", message)
    }

    /// As quoted by users.
    pub(super) fn method_not_allowed(method: &http::Method) -> Refusal {
        let message = format!("HTTP {method} not allowed");
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// Chosen, not observed.
    pub(super) fn too_large() -> Refusal {
        let message = "The request content size exceeds the maximum size of 4 MB.";
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestContentTooLarge", message)
    }

    pub(super) fn not_found(kind: Kind, name: &str) -> Refusal {
        let message = format!(
            "A {} with (name/id) {name} was not found in this key vault. If it was deleted, recover it \
             from /{}.",
            kind.noun(),
            kind.deleted_collection(),
        );
        Refusal::new(StatusCode::NOT_FOUND, kind.not_found(), message)
    }

    pub(super) fn deleted_not_found(kind: Kind, name: &str) -> Refusal {
        let message = format!("Deleted {} not found: {name}", kind.title());
        Refusal::new(StatusCode::NOT_FOUND, kind.not_found(), message)
    }

    /// The name belongs to a deleted object.
    pub(super) fn deleted_but_recoverable(kind: Kind, name: &str) -> Refusal {
        let message = format!(
            "{} {name} is deleted but recoverable, and its name cannot be reused; recover or purge it first.",
            kind.title(),
        );
        Refusal {
            inner: Some("ObjectIsDeletedButRecoverable"),
            ..Refusal::new(StatusCode::CONFLICT, "Conflict", message)
        }
    }

    /// The object lives and dies with its certificate.
    pub(super) fn managed(kind: Kind, operation: &str) -> Refusal {
        let message = format!(
            "Operation \"{operation}\" is not allowed: the lifetime of this {} is its certificate's. \
             Do it to the certificate.",
            kind.noun()
        );
        Refusal::forbidden(kind.managed(), message)
    }

    /// No certificate of this name was created here.
    pub(super) fn pending_not_found(name: &str) -> Refusal {
        let message = format!("Pending certificate not found: {name}");
        Refusal::new(StatusCode::NOT_FOUND, "PendingCertificateNotFound", message)
    }

    /// The name belongs to something of another kind. Chosen, not observed.
    pub(super) fn name_taken(name: &str, by: Kind) -> Refusal {
        let by = by.noun();
        let message = format!("The name {name} is taken by a {by} of this key vault; choose another one.");
        Refusal::new(StatusCode::CONFLICT, "Conflict", message)
    }

    /// There is no such vault. Chosen, not observed: in Azure its name does not resolve.
    pub(super) fn unknown_vault(name: &str) -> Refusal {
        let message = format!("There is no vault {name} here. Add it to the emulated world first.");
        Refusal::new(StatusCode::NOT_FOUND, "VaultNotFound", message)
    }

    /// Key Vault may do this; the emulator does not. 501 is a status no client retries.
    pub(super) fn not_emulated(method: &http::Method, path: &str) -> Refusal {
        let message = format!("{method} {path} is not emulated.");
        Refusal::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    /// What the emulator itself failed at.
    pub(super) fn internal(doing: &str) -> Refusal {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", format!("Could not {doing}."))
    }

    /// A failure on demand: what a vault would plausibly say with this status.
    pub(super) fn on_demand(status: StatusCode, site: &Site) -> Refusal {
        match status {
            StatusCode::UNAUTHORIZED => Refusal::unauthorized(TokenProblem::Expired, site),
            StatusCode::TOO_MANY_REQUESTS => Refusal::new(
                status,
                "Throttled",
                "Request was not processed because too many requests were received. \
                 Reason: VaultRequestTypeLimitReached",
            ),
            _ => {
                let code = match status {
                    StatusCode::BAD_REQUEST => "BadParameter",
                    StatusCode::FORBIDDEN => "Forbidden",
                    StatusCode::NOT_FOUND => "NotFound",
                    StatusCode::CONFLICT => "Conflict",
                    StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
                    status if status.is_client_error() => "BadRequest",
                    _ => "InternalServerError",
                };
                Refusal::new(status, code, format!("The fault plan asked for this {}.", status.as_u16()))
            }
        }
    }

    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, code, inner: None, message: message.into() }
    }
}
