//! What ARM shows of itself and of everything above a certificate.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::arm::resources::{ProvisioningService, ResourceGroup, Subscription};
use crate::arm::route::{GroupId, InstanceId};
use crate::dps::Etag;
use crate::dps::api_version::ApiVersion;
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

/// Members in the recorded order.
pub(crate) fn instance(
    group: &GroupId,
    instance: &ProvisioningService,
    version: ApiVersion,
    now: OffsetDateTime,
) -> Value {
    if now < instance.phase.ends {
        return accepted_instance(group, instance, &Value::Null, Some(&instance.etag()));
    }
    let mut properties = json!({
        "state": "Active",
        "provisioningState": "Succeeded",
        "iotHubs": [],
        "allocationPolicy": instance.allocation_policy,
        "serviceOperationsHostName": format!("{}.azure-devices-provisioning.net", instance.name),
        "deviceProvisioningHostName": "global.azure-devices-provisioning.net",
        "idScope": instance.id_scope(),
    });
    if version.shows_data_residency() {
        properties["enableDataResidency"] = json!(false);
    }
    described(group, instance, properties, Some(&instance.etag()))
}

/// What is answered before an operation is done: what was asked for, and nothing that is only made by it.
pub(crate) fn accepted_instance(
    group: &GroupId,
    instance: &ProvisioningService,
    body: &Value,
    former_etag: Option<&Etag>,
) -> Value {
    let state = if instance.phase.is_first { "Activating" } else { "Transitioning" };
    let mut properties = json!({"state": state, "provisioningState": "Accepted"});
    let asked_for = &body["properties"];
    if asked_for["iotHubs"].is_array() {
        properties["iotHubs"] = asked_for["iotHubs"].clone();
    }
    properties["allocationPolicy"] = json!(instance.allocation_policy);
    properties["idScope"] = Value::Null;
    // Only a caller who sends the former etag gets it back.
    let etag = former_etag.filter(|etag| body.is_null() || body["etag"] == etag.as_str());
    described(group, instance, properties, etag)
}

fn described(
    group: &GroupId,
    instance: &ProvisioningService,
    properties: Value,
    etag: Option<&Etag>,
) -> Value {
    let id = InstanceId { group: group.clone(), name: instance.name.clone() };
    let mut body = Map::new();
    if let Some(etag) = etag {
        body.insert("etag".to_owned(), json!(etag.as_str()));
    }
    for (name, value) in [
        ("name", json!(instance.name)),
        ("location", json!(instance.location)),
        ("properties", properties),
        ("resourcegroup", json!(group.name)),
        ("type", json!("Microsoft.Devices/provisioningServices")),
        ("id", json!(id.path())),
        ("subscriptionid", json!(group.subscription)),
        ("tags", json!(instance.tags)),
        ("sku", json!({"name": "S1", "tier": "Standard", "capacity": instance.capacity})),
    ] {
        body.insert(name.to_owned(), value);
    }
    Value::Object(body)
}

pub(crate) fn list(items: Vec<Value>) -> Value {
    json!({"value": items})
}
