//! What belongs to Azure Resource Manager itself: the tenant, subscriptions and resource groups. Only as much of them
//! as a client needs to find its way to a provider's resource.

use http::StatusCode;

use crate::access::rbac::Rights;
use crate::arm::bodies;
use crate::arm::group::GroupId;
use crate::arm::problem::{self, ArmProblem};
use crate::arm::resources::Arm;
use crate::arm::route::{READ_GROUP, Route, Target};
use crate::ground::exchange::{self, Request, Response};

/// Answers what is no provider's.
pub(super) fn answer(
    arm: &mut Arm,
    route: &Route,
    request: &Request,
    rights: Rights<'_>,
) -> Result<Response, ArmProblem> {
    let body = match (&route.target, route.method.as_str()) {
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
        (Target::ResourceGroup(id), "PUT") => return put_group(arm, request, id),
        _ => return Err(ArmProblem::MethodNotAllowed(route.method.clone())),
    };
    Ok(exchange::json(StatusCode::OK, &body))
}

fn put_group(arm: &mut Arm, request: &Request, id: &GroupId) -> Result<Response, ArmProblem> {
    let body = problem::json_body(request)?;
    let location = body["location"].as_str().filter(|location| !location.is_empty());
    let location = location.ok_or(ArmProblem::LocationRequired)?;
    let subscription = arm.subscription_mut(&id.subscription)?;
    let (group, is_new) = subscription.group_or_new(&id.name, Some(location));
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(exchange::json(status, &bodies::group(&id.subscription, group)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use crate::dps::testing::{Client, instance};
    use crate::names::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION};

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
        assert_eq!(names(&get("/tenants"), "tenantId"), [crate::names::TENANT]);
        assert_eq!(names(&get("/subscriptions"), "id"), [subscription.as_str()]);
        assert_eq!(get(&subscription)["state"], "Enabled");
        assert_eq!(names(&get(&format!("{subscription}/resourcegroups")), "id"), [group.as_str()]);
        assert_eq!(get(&group)["name"], RESOURCE_GROUP);
        assert_eq!(names(&get(&format!("{group}/{type_}")), "id"), [instance()]);
        assert_eq!(names(&get(&format!("{subscription}/{type_}")), "resourcegroup"), [RESOURCE_GROUP]);
        assert_eq!(get(&instance())["name"], PROVISIONING_SERVICE);
    }

    #[test]
    fn a_resource_group_is_created_once_and_somewhere() {
        let mut client = Client::new();
        let path = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/new-rg");
        let nowhere = client.send("PUT", &path, None, Some(json!({})));
        assert_eq!((nowhere.status, &nowhere.body["error"]["code"]), (400, &json!("LocationRequired")));
        let body = || Some(json!({"location": "westeurope"}));
        assert_eq!(client.send("PUT", &path, None, body()).status, 201);
        assert_eq!(client.send("PUT", &path, None, body()).status, 200);
        assert_eq!(client.send("GET", &path, None, None).ok().body["location"], "westeurope");
    }
}
