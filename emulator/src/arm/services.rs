//! Everything above a certificate: the tenant, subscriptions, resource groups and DPS instances. Only as much
//! of them as a client needs to find its way to a certificate, and to set up and tear down an instance.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, StatusCode, header};
use serde_json::{Value, json};

use crate::arm::answers::{self, Problem};
use crate::arm::resources::{Arm, ResourceGroup};
use crate::arm::route::{GroupId, InstanceId, READ_GROUP, READ_INSTANCE, Target};
use crate::arm::{Visit, bodies};
use crate::dps;
use crate::exchange::{self, Response};
use crate::guid::guid;
use crate::rbac::Rights;

/// Answers what is not about certificates.
pub(super) fn answer(
    arm: &mut Arm,
    visit: &Visit<'_>,
    rights: Rights<'_>,
    random: &mut fastrand::Rng,
) -> Result<Response, Problem> {
    let body = match (&visit.route.target, visit.route.method.as_str()) {
        (Target::Tenants, "GET") => bodies::tenants(),
        (Target::Subscriptions, "GET") => {
            let seen = arm.subscriptions.iter().filter(|subscription| rights.reach(&subscription.path()));
            bodies::list(seen.map(bodies::subscription).collect())
        }
        (Target::Subscription(id), "GET") => bodies::subscription(arm.subscription(id)?),
        (Target::ResourceGroups(id), "GET") => {
            let groups = arm.subscription(id)?.groups.iter();
            let seen = groups.filter(|group| rights.allow(READ_GROUP, &group.id(id).path()));
            bodies::list(seen.map(|group| bodies::group(id, group)).collect())
        }
        (Target::ResourceGroup(id), "GET") => bodies::group(&id.subscription, arm.group(id)?),
        (Target::ResourceGroup(id), "PUT") => return put_group(arm, visit, id),
        (Target::AllInstances(subscription), "GET") => {
            let groups = arm.subscription(subscription)?.groups.iter();
            bodies::list(groups.flat_map(|group| instances(group, &group.id(subscription), rights)).collect())
        }
        (Target::Instances(id), "GET") => bodies::list(instances(arm.group(id)?, id, rights)),
        (Target::Instance(id), "GET") => bodies::instance(&id.group, arm.instance(id)?),
        (Target::Instance(id), "PUT") => return put_instance(arm, visit, id),
        (Target::Instance(id), "DELETE") => return delete_instance(arm, visit, id, random),
        // Every operation is over by the time somebody asks.
        (Target::OperationResult(id), "GET") => {
            arm.group(id)?;
            json!({"status": "Succeeded"})
        }
        _ => return Err(Problem::MethodNotAllowed(visit.route.method.clone())),
    };
    Ok(exchange::json(StatusCode::OK, &body))
}

/// The instances of a group that the caller may see.
fn instances(group: &ResourceGroup, id: &GroupId, rights: Rights<'_>) -> Vec<Value> {
    let seen = group.instances.iter().filter(|instance| {
        let id = InstanceId { group: id.clone(), name: instance.name.clone() };
        rights.allow(READ_INSTANCE, &id.path())
    });
    seen.map(|instance| bodies::instance(id, instance)).collect()
}

fn put_group(arm: &mut Arm, visit: &Visit<'_>, id: &GroupId) -> Result<Response, Problem> {
    let body = exchange::body_json(visit.request).unwrap_or_default();
    let subscription = arm.subscription(&id.subscription)?;
    let (group, is_new) = subscription.group_or_new(&id.name, body["location"].as_str());
    Ok(exchange::json(created_or_ok(is_new), &bodies::group(&id.subscription, group)))
}

/// Done at once, unlike the live service, which answers `Accepted` and has its client poll.
fn put_instance(arm: &mut Arm, visit: &Visit<'_>, id: &InstanceId) -> Result<Response, Problem> {
    let body = exchange::body_json(visit.request).unwrap_or_default();
    let number = arm.mint.count();
    let group = arm.group(&id.group)?;
    if !is_well_formed(&id.name) {
        return Err(dps::Problem::InvalidInstanceName.into());
    }
    let (instance, is_new) = group.instance_or_new(&id.name, number);
    if let (Some(location), true) = (body["location"].as_str(), is_new) {
        instance.location = location.to_owned();
    }
    if let Some(tags) = body["tags"].as_object() {
        instance.tags = tags.clone();
    }
    Ok(exchange::json(created_or_ok(is_new), &bodies::instance(&id.group, instance)))
}

fn delete_instance(
    arm: &mut Arm,
    visit: &Visit<'_>,
    id: &InstanceId,
    random: &mut fastrand::Rng,
) -> Result<Response, Problem> {
    if !arm.group(&id.group)?.remove_instance(&id.name) {
        return Ok(exchange::empty(StatusCode::NO_CONTENT));
    }
    let mut response = exchange::json(StatusCode::ACCEPTED, &Value::Null);
    let operation = STANDARD.encode(format!("id=os_id_{};region=eastus", guid(random)));
    // The caller's own api-version; it was checked before.
    let version = exchange::query(visit.request, "api-version").unwrap_or_default();
    let location =
        format!("{}{}/operationResults/{operation}?api-version={version}", visit.origin, id.path());
    let headers = response.headers_mut();
    answers::set(headers, HeaderName::from_static("azure-asyncoperation"), &format!("{location}&asyncinfo"));
    answers::set(headers, header::LOCATION, &location);
    Ok(response)
}

fn created_or_ok(is_new: bool) -> StatusCode {
    if is_new { StatusCode::CREATED } else { StatusCode::OK }
}

/// The rule the service's own message states.
fn is_well_formed(name: &str) -> bool {
    let alphanumeric = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    (3..=50).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && alphanumeric(name.bytes().next())
        && alphanumeric(name.bytes().last())
        && !name.eq_ignore_ascii_case("global")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::header;

    use super::*;
    use crate::dps::testing::{Ca, Client, instance};
    use crate::world::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION};

    fn names(list: &Value, member: &str) -> Vec<String> {
        let items = list["value"].as_array().unwrap().iter();
        items.map(|item| item[member].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_client_finds_its_way_down_to_the_instance() {
        let mut client = Client::new();
        let mut get = |path: &str| client.send("GET", path, None, None).ok().body;
        let subscription = format!("/subscriptions/{SUBSCRIPTION}");
        let group = format!("{subscription}/resourceGroups/{RESOURCE_GROUP}");
        let type_ = "providers/Microsoft.Devices/provisioningServices";
        assert_eq!(names(&get("/tenants"), "tenantId"), [crate::world::TENANT]);
        assert_eq!(names(&get("/subscriptions"), "id"), [subscription.as_str()]);
        assert_eq!(get(&subscription)["state"], "Enabled");
        assert_eq!(names(&get(&format!("{subscription}/resourcegroups")), "id"), [group.as_str()]);
        assert_eq!(get(&group)["name"], RESOURCE_GROUP);
        assert_eq!(names(&get(&format!("{group}/{type_}")), "id"), [instance()]);
        assert_eq!(names(&get(&format!("{subscription}/{type_}")), "resourcegroup"), [RESOURCE_GROUP]);
        assert_eq!(get(&instance())["name"], PROVISIONING_SERVICE);
    }

    #[test]
    fn an_instance_is_created_updated_and_deleted_with_its_certificates() {
        let mut client = Client::new();
        let path = instance().replace(PROVISIONING_SERVICE, "new-dps");
        let body = json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}});
        let created = client.send("PUT", &path, None, Some(body));
        assert_eq!(created.status, 201);
        assert_eq!(created.body["location"], "westeurope");
        assert_eq!(created.body["properties"]["provisioningState"], "Succeeded");
        let body = json!({"location": "westeurope", "tags": {"owner": "me"}});
        let updated = client.send("PUT", &path, None, Some(body)).ok();
        assert_eq!(updated.body["tags"]["owner"], "me");

        let certificate = format!("{path}/certificates/my-ca");
        let body = json!({"properties": {"certificate": Ca::new("my-ca").pem()}});
        client.send("PUT", &certificate, None, Some(body)).ok();
        let deleted = client.send("DELETE", &path, None, None);
        assert_eq!((deleted.status, deleted.body), (202, Value::Null));
        let location = deleted.headers[header::LOCATION].to_str().unwrap();
        assert_eq!(deleted.headers["azure-asyncoperation"], format!("{location}&asyncinfo"));
        let poll = location.strip_prefix("https://management.azure.com").unwrap();
        let (poll, _) = poll.split_once('?').unwrap();
        assert_eq!(client.send("GET", poll, None, None).ok().body, json!({"status": "Succeeded"}));
        assert_eq!(client.send("GET", &path, None, None).body["error"]["code"], "ResourceNotFound");
        assert_eq!(
            client.send("GET", &certificate, None, None).body["error"]["code"],
            "ParentResourceNotFound"
        );
        assert_eq!(client.send("DELETE", &path, None, None).status, 204);
    }

    #[test]
    fn a_resource_group_is_created_once() {
        let mut client = Client::new();
        let path = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/new-rg");
        let body = || Some(json!({"location": "westeurope"}));
        assert_eq!(client.send("PUT", &path, None, body()).status, 201);
        assert_eq!(client.send("PUT", &path, None, body()).status, 200);
        assert_eq!(client.send("GET", &path, None, None).ok().body["location"], "westeurope");
    }

    #[test]
    fn an_instance_name_follows_the_services_own_rule() {
        let mut client = Client::new();
        for name in ["ab", "-abc", "abc-", "a_c", "global", &"n".repeat(51)] {
            let path = instance().replace(PROVISIONING_SERVICE, name);
            let error = client.send("PUT", &path, None, Some(json!({})));
            assert_eq!((error.status, &error.body["code"]), (400, &json!(400_305)), "{name}");
        }
    }
}
