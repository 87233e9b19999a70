//! The verifier against Azure, wired from the settings.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::ClientOptions;

use crate::config::Settings;
use crate::identity;
use crate::registry::arm::Arm;
use crate::vault::key_vault::KeyVaults;
use crate::verifier::Verifier;

/// A verifier for DPS with CA keys in Key Vault.
pub type AzureVerifier = Verifier<Arm, KeyVaults>;

/// Wires it. `client` makes our own calls, `options` the SDKs'; normally both come from
/// [`crate::http_client`].
pub fn verifier(
    settings: &Settings,
    client: &reqwest::Client,
    options: &ClientOptions,
) -> azure_core::Result<AzureVerifier> {
    let credential = identity::credential(&settings.identity, options.clone())?;
    verifier_with(settings, &credential, client, options)
}

/// Wires it with a credential from elsewhere, whatever the settings say about identity.
pub fn verifier_with(
    settings: &Settings,
    credential: &Arc<dyn TokenCredential>,
    client: &reqwest::Client,
    options: &ClientOptions,
) -> azure_core::Result<AzureVerifier> {
    let arm = Arm::new(client.clone(), credential.clone(), settings.arm_endpoint.clone());
    let vaults = KeyVaults::new(&settings.vaults, settings.key_access, credential, options)?;
    Ok(Verifier::new(arm, vaults, settings.registries.clone()))
}
