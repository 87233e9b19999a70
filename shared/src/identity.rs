//! Who the app is: the credential that every Azure client here shares.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::ClientOptions;
use azure_identity::{
    ClientAssertionCredentialOptions, DeveloperToolsCredential, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};

use crate::config::Identity;
use crate::error::{self, CallError};

/// Builds the credential a setting names. One object serves all clients, because it holds the token cache.
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
        Identity::Developer => DeveloperToolsCredential::new(None)?,
    })
}

/// No token is never final: the endpoint may be starting, or the assignment spreading.
pub(crate) fn call_error(audience: &str, error: &azure_core::Error) -> CallError {
    CallError::Unavailable {
        call: format!("getting a token for {audience}"),
        status: None,
        reason: error::one_line(&error.to_string()),
        retry_after: None,
    }
}
