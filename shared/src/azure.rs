//! The verifier against Azure, wired from the settings.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::HttpClient;

use crate::config::Settings;
use crate::key_opener::KeyOpener;
use crate::registry::arm::Arm;
use crate::vault::key_vault::KeyVaults;
use crate::verifier::Verifier;
use crate::{http_client, identity};

/// A verifier for DPS with CA keys in Key Vault.
pub type AzureVerifier = Verifier<Arm, KeyVaults>;

/// Wires it for a program, which opens pulled keys in processes of their own: its `main` begins with
/// [`run_if_asked`](crate::key_opener::run_if_asked).
pub fn verifier(settings: &Settings, client: &Arc<dyn HttpClient>) -> azure_core::Result<AzureVerifier> {
    Ok(verifier_of(settings, peers(settings, client)?))
}

/// Wires it with a credential from elsewhere, whatever the settings say about identity, and with a place of one's own
/// choice to open pulled keys in.
pub fn verifier_with(
    settings: &Settings,
    opener: KeyOpener,
    credential: &Arc<dyn TokenCredential>,
    client: &Arc<dyn HttpClient>,
) -> azure_core::Result<AzureVerifier> {
    Ok(verifier_of(settings, wire(settings, opener, credential, credential, client)?))
}

/// Returns the registry and the vaults alone, for callers that only read.
pub fn peers(settings: &Settings, client: &Arc<dyn HttpClient>) -> azure_core::Result<(Arm, KeyVaults)> {
    // One of the SDK's credentials fetches one token at a time, for every audience. Two of them fetch both at once.
    let credential = || identity::credential(&settings.identity, http_client::azure_options(client));
    wire(settings, KeyOpener::in_own_process(), &credential()?, &credential()?, client)
}

fn wire(
    settings: &Settings,
    opener: KeyOpener,
    for_arm: &Arc<dyn TokenCredential>,
    for_vaults: &Arc<dyn TokenCredential>,
    client: &Arc<dyn HttpClient>,
) -> azure_core::Result<(Arm, KeyVaults)> {
    let arm = Arm::new(client.clone(), for_arm.clone(), settings.arm_endpoint.clone());
    let vaults = KeyVaults::new(&settings.vaults, settings.key_access, opener, for_vaults, client)?;
    Ok((arm, vaults))
}

fn verifier_of(settings: &Settings, (arm, vaults): (Arm, KeyVaults)) -> AzureVerifier {
    Verifier::new(arm, vaults, settings.registries.clone(), settings.limits)
        .accounting_for(settings.verified_by_hand.clone())
}
