//! What ARM shows of itself and of everything above a certificate.

use serde_json::{Value, json};

use crate::arm::resources::{ProvisioningService, ResourceGroup, Subscription};
use crate::arm::route::{GroupId, InstanceId};
use crate::world::TENANT;

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

/// Members in the recorded order.
pub(crate) fn instance(group: &GroupId, instance: &ProvisioningService) -> Value {
    use base64::Engine as _;
    let etag = base64::engine::general_purpose::STANDARD.encode(u64::from(instance.number).to_be_bytes());
    let id = InstanceId { group: group.clone(), name: instance.name.clone() };
    json!({
        "etag": etag,
        "name": instance.name,
        "location": instance.location,
        "properties": {
            "state": "Active",
            "provisioningState": "Succeeded",
            "iotHubs": [],
            "allocationPolicy": "Hashed",
            "serviceOperationsHostName": format!("{}.azure-devices-provisioning.net", instance.name),
            "deviceProvisioningHostName": "global.azure-devices-provisioning.net",
            "idScope": format!("0ne{:08X}", instance.number),
            "enableDataResidency": false,
        },
        "resourcegroup": group.name,
        "type": "Microsoft.Devices/provisioningServices",
        "id": id.path(),
        "subscriptionid": group.subscription,
        "tags": instance.tags,
        "sku": {"name": "S1", "tier": "Standard", "capacity": 1},
    })
}

pub(crate) fn list(items: Vec<Value>) -> Value {
    json!({"value": items})
}
