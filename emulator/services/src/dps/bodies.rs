//! What DPS shows of an instance.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::arm::GroupId;
use crate::dps::api_version::ApiVersion;
use crate::dps::etag::Etag;
use crate::dps::instance::{InstanceId, ProvisioningService, RESOURCE_TYPE};

/// The members in the recorded order, the group in the casing of the caller.
pub(super) fn instance(
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
pub(super) fn accepted_instance(
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
        ("type", json!(RESOURCE_TYPE)),
        ("id", json!(id.path())),
        ("subscriptionid", json!(group.subscription)),
        ("tags", json!(instance.tags)),
        ("sku", json!({"name": "S1", "tier": "Standard", "capacity": instance.capacity})),
    ] {
        body.insert(name.to_owned(), value);
    }
    Value::Object(body)
}
