//! What ARM shows of itself.

use serde_json::{Value, json};

use crate::arm::resources::{ResourceGroup, Subscription};
use crate::names::TENANT;

/// What `az cloud register` asks for: one object, with every member that the client looks up. Services that
/// are not emulated point nowhere (`.invalid`), so that no client ends up at the real ones.
pub(crate) fn metadata(origin: &str) -> Value {
    let port = url::Url::parse(origin).ok().and_then(|url| url.port());
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    json!({
        "name": "Keyholder",
        "portal": origin,
        "authentication": {
            "loginEndpoint": origin,
            "audiences": [format!("{origin}/"), "https://management.azure.com/"],
            "tenant": TENANT,
            "identityProvider": "AAD",
        },
        "resourceManager": format!("{origin}/"),
        "graph": "https://graph.invalid/",
        "graphAudience": "https://graph.invalid/",
        "microsoftGraphResourceId": "https://graph.invalid/",
        "gallery": "https://gallery.invalid/",
        "media": "https://media.invalid/",
        "batch": "https://batch.invalid/",
        "sqlManagement": "https://sql.invalid/",
        "vmImageAliasDoc": "https://images.invalid/",
        "activeDirectoryDataLake": "https://datalake.invalid/",
        "suffixes": {
            "keyVaultDns": format!("vault.localhost{port}"),
            "storage": "storage.invalid",
        },
    })
}

/// The one tenant.
pub(crate) fn tenants() -> Value {
    json!({"value": [{
        "id": format!("/tenants/{TENANT}"),
        "tenantId": TENANT,
        "countryCode": "US",
        "displayName": "Keyholder emulator",
        "domains": [],
        "tenantCategory": "Home",
    }]})
}

pub(crate) fn subscription(subscription: &Subscription) -> Value {
    json!({
        "id": subscription.path(),
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": subscription.id,
        "tenantId": TENANT,
        "displayName": "Keyholder emulator",
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    })
}

pub(crate) fn group(subscription: &str, group: &ResourceGroup) -> Value {
    json!({
        "id": group.id(subscription).path(),
        "name": group.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": group.location,
        "properties": {"provisioningState": "Succeeded"},
    })
}

pub(crate) fn list(items: Vec<Value>) -> Value {
    json!({"value": items})
}
