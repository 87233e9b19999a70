//! Who the app is: the credential of every Azure client here.

mod remembering;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::ClientOptions;
use azure_core::http::headers::RETRY_AFTER;
use azure_identity::{
    ClientAssertionCredentialOptions, DeveloperToolsCredential, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};

use crate::config::Identity;
use crate::error::{self, CallError};
use remembering::Remembering;

/// Builds the credential a setting names. All clients of one audience share one, because it holds the token cache.
pub fn credential(
    identity: &Identity,
    client_options: ClientOptions,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    Ok(match identity {
        Identity::Managed { client_id } => {
            ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                client_options,
            }))?
        }
        Identity::Workload => WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options },
            ..Default::default()
        }))?,
        Identity::Developer => Arc::new(Remembering::new(DeveloperToolsCredential::new(None)?)),
    })
}

/// No token is never final: the endpoint may be starting, or the assignment spreading.
pub(crate) fn call_error(audience: &str, error: &azure_core::Error) -> CallError {
    let (status, retry_after) = answer_behind(error);
    CallError::Unavailable {
        call: format!("getting a token for {audience}"),
        status,
        reason: error::one_line(&error.to_string()),
        retry_after,
    }
}

/// Status and `Retry-After` of the answer that a credential's error wraps, if it was an answer that failed it.
pub(crate) fn answer_behind(error: &azure_core::Error) -> (Option<u16>, Option<Duration>) {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(ErrorKind::HttpResponse { status, raw_response, .. }) =
            error.downcast_ref::<azure_core::Error>().map(azure_core::Error::kind)
        {
            let headers = raw_response.as_ref().map(|response| response.headers());
            let retry_after = headers.and_then(|headers| headers.get_optional_str(&RETRY_AFTER));
            return (Some(u16::from(*status)), error::retry_after(retry_after));
        }
        cause = error.source();
    }
    (None, None)
}
