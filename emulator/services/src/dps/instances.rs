//! The life of a DPS instance: made, changed and deleted by operations that take their time.
//!
//! The answers are those recorded in 2020, 2022 and 2025; that the instance can be seen, and nothing be done to its
//! certificates, while it is being made is chosen, not observed.

use http::StatusCode;
use serde_json::{Value, json};

use crate::arm::{ArmProblem, Claim, GroupId, ResourceGroup, Visit};
use crate::context::Context;
use crate::dps::api_version::ApiVersion;
use crate::dps::bodies;
use crate::dps::etag::{Etag, IfMatch};
use crate::dps::instance::{InstanceId, Phase, is_well_formed};
use crate::dps::paths::{self, READ_INSTANCE};
use crate::dps::problem::Problem;
use crate::dps::state::Dps;
use crate::ground::exchange::{self, Response};

/// Answers what is asked of a whole subscription.
pub(super) fn answer_of_subscription(
    dps: &mut Dps,
    claim: &Claim,
    subscription: &str,
    visit: &Visit<'_>,
    context: &Context<'_>,
) -> Result<Response, ArmProblem> {
    let body = match (claim.path.pattern, claim.names.as_slice(), visit.method()) {
        (paths::INSTANCES, [], "GET") => {
            let groups = visit.groups(subscription)?.iter();
            let items = groups.flat_map(|group| seen(dps, &group.id(subscription), visit, context));
            json!({"value": items.collect::<Vec<_>>()})
        }
        (paths::NAME_AVAILABILITY, [], "POST") => check_name(dps, visit)?,
        (paths::REGIONAL_OPERATION_RESULT, [_, id], "GET") => {
            return dps.operations.answer(id, visit, context.now);
        }
        _ => return Err(visit.method_not_allowed()),
    };
    Ok(exchange::json(StatusCode::OK, &body))
}

/// Answers what is about instances of a resource group, and not about their certificates.
pub(super) fn answer(
    dps: &mut Dps,
    claim: &Claim,
    group: &GroupId,
    visit: &Visit<'_>,
    context: &mut Context<'_>,
) -> Result<Response, ArmProblem> {
    let id = |name: &String| InstanceId { group: group.clone(), name: name.clone() };
    let body = match (claim.path.pattern, claim.names.as_slice(), visit.method()) {
        (paths::INSTANCES, [], "GET") => {
            visit.group(group)?;
            json!({"value": seen(dps, group, visit, context)})
        }
        (paths::INSTANCE, [name], "GET") => {
            visit.group(group)?;
            let version = ApiVersion::new(visit.api_version);
            bodies::instance(group, dps.instance(&id(name))?, version, context.now)
        }
        (paths::INSTANCE, [name], "PUT") => return put(dps, &id(name), visit, context),
        (paths::INSTANCE, [name], "PATCH") => return patch(dps, &id(name), visit, context),
        (paths::INSTANCE, [name], "DELETE") => return delete(dps, &id(name), visit, context),
        (paths::OPERATION_RESULT, [_, id], "GET") => return dps.operations.answer(id, visit, context.now),
        _ => return Err(visit.method_not_allowed()),
    };
    Ok(exchange::json(StatusCode::OK, &body))
}

/// The instances of a group that the caller may see.
fn seen(dps: &Dps, group: &GroupId, visit: &Visit<'_>, context: &Context<'_>) -> Vec<Value> {
    let version = ApiVersion::new(visit.api_version);
    let its = dps.instances.iter().filter(|instance| instance.group.is(group));
    let seen = its.filter(|instance| {
        let id = InstanceId { group: group.clone(), name: instance.name.clone() };
        visit.rights.allow(READ_INSTANCE, &id.path())
    });
    seen.map(|instance| bodies::instance(group, instance, version, context.now)).collect()
}

/// Makes or changes one. Either is answered with 201 before it is done, and with what was asked for.
fn put(
    dps: &mut Dps,
    id: &InstanceId,
    visit: &Visit<'_>,
    context: &mut Context<'_>,
) -> Result<Response, ArmProblem> {
    let body = visit.json_body()?;
    let location = body["location"].as_str().filter(|location| !location.is_empty());
    let location = location.ok_or(ArmProblem::LocationRequired)?;
    let is_taken = dps.is_taken_elsewhere(id);
    let (name_number, etag_number) = (dps.mint.count(), dps.mint.count());
    let group: &ResourceGroup = visit.group(&id.group)?;
    match dps.find(id) {
        Some(instance) if !same_location(&instance.location, location) => {
            return Err(ArmProblem::InvalidResourceLocation {
                name: id.name.clone(),
                group: id.group.clone(),
                location: instance.location.clone(),
                asked_for: location.to_owned(),
            });
        }
        Some(instance) => check_etag(visit, &body, &instance.etag())?,
        None if !is_well_formed(&id.name) => return Err(Problem::InvalidInstanceName.into()),
        None if is_taken => return Err(Problem::NameTaken(id.name.clone()).into()),
        None => {}
    }
    let canonical = InstanceId { group: group.id(&id.group.subscription), name: id.name.clone() };
    let (instance, is_new) = dps.instance_or_new(&canonical, location, name_number);
    let former_etag = (!is_new).then(|| instance.etag());
    let ends = context.now + context.choices.provisioning;
    instance.location = location.to_owned();
    instance.phase = Phase { ends, is_first: is_new };
    instance.etag_number = etag_number;
    instance.describe(&body);
    let answer = bodies::accepted_instance(&id.group, instance, &body, former_etag.as_ref());
    let location = instance.location.clone();
    let address = dps.operations.begin(id, &location, visit, ends, context);
    let mut response = exchange::json(StatusCode::CREATED, &answer);
    address.set_async_operation(&mut response);
    Ok(response)
}

/// Changes the tags of one, at once.
fn patch(
    dps: &mut Dps,
    id: &InstanceId,
    visit: &Visit<'_>,
    context: &Context<'_>,
) -> Result<Response, ArmProblem> {
    let body = visit.json_body()?;
    let etag_number = dps.mint.count();
    visit.group(&id.group)?;
    let instance = dps.instance(id)?;
    if let Some(tags) = body["tags"].as_object() {
        instance.tags = tags.clone();
    }
    instance.etag_number = etag_number;
    let version = ApiVersion::new(visit.api_version);
    Ok(exchange::json(StatusCode::OK, &bodies::instance(&id.group, instance, version, context.now)))
}

/// Deletes one with all it holds.
fn delete(
    dps: &mut Dps,
    id: &InstanceId,
    visit: &Visit<'_>,
    context: &mut Context<'_>,
) -> Result<Response, ArmProblem> {
    visit.group(&id.group)?;
    let Some(instance) = dps.remove(id) else {
        return Ok(exchange::empty(StatusCode::NO_CONTENT));
    };
    let ends = context.now + context.choices.provisioning;
    let address = dps.operations.begin(id, &instance.location, visit, ends, context);
    let mut response = exchange::json(StatusCode::ACCEPTED, &Value::Null);
    address.set_async_operation(&mut response);
    address.set_location(&mut response);
    Ok(response)
}

/// Whether a new instance could have a name; names are unique in all of Azure.
fn check_name(dps: &Dps, visit: &Visit<'_>) -> Result<Value, ArmProblem> {
    let body = visit.json_body()?;
    let name = body["name"].as_str().unwrap_or_default();
    let is_taken = dps.instances.iter().any(|instance| instance.name.eq_ignore_ascii_case(name));
    // The reason of a name that can be had is recorded so.
    Ok(if !is_well_formed(name) {
        let message = Problem::InvalidInstanceName.to_string();
        json!({"nameAvailable": false, "reason": "Invalid", "message": message})
    } else if is_taken {
        let message = Problem::NameTaken(name.to_owned()).to_string();
        json!({"nameAvailable": false, "reason": "AlreadyExists", "message": message})
    } else {
        json!({"nameAvailable": true, "reason": "Invalid", "message": null})
    })
}

/// Whoever names a state, in the header or the body, means that one.
fn check_etag(visit: &Visit<'_>, body: &Value, current: &Etag) -> Result<(), ArmProblem> {
    let condition = IfMatch::of(visit.request);
    let in_header = condition == IfMatch::Absent || condition.admits(current);
    let in_body = body["etag"].as_str().is_none_or(|etag| etag == current.as_str());
    if in_header && in_body { Ok(()) } else { Err(Problem::InvalidEtag.into()) }
}

/// `East US` is `eastus`.
fn same_location(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.to_ascii_lowercase().replace(' ', "");
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::header;
    use serde_json::{Value, json};
    use std::time::Duration;
    use time::macros::datetime;

    use crate::dps::testing::{Answer, Ca, Client, instance};
    use crate::names::{PROVISIONING_SERVICE, SUBSCRIPTION};

    fn path_of(name: &str) -> String {
        instance().replace(PROVISIONING_SERVICE, name)
    }

    fn put(client: &mut Client, name: &str, body: Value) -> Answer {
        client.send("PUT", &path_of(name), None, Some(body))
    }

    /// Follows an address as a client does: as it is.
    fn follow(client: &mut Client, answer: &Answer, header: &str) -> Answer {
        let address = answer.headers[header].to_str().unwrap().to_owned();
        assert!(address.starts_with("https://management.azure.com/subscriptions/"), "{address}");
        client.get_as_it_is(&address)
    }

    fn keys(value: &Value) -> String {
        value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_instance_is_made_by_an_operation_that_takes_its_time() {
        let mut client = Client::new();
        client.world.choices.provisioning = Duration::from_secs(30);
        let body = json!({"location": "westus", "properties": {}, "sku": {"name": "S1", "capacity": 2}});
        let made = put(&mut client, "new-dps", body);
        assert_eq!(made.status, 201);
        assert_eq!(
            keys(&made.body),
            "name location properties resourcegroup type id subscriptionid tags sku"
        );
        assert_eq!(
            made.body["properties"],
            json!({"state": "Activating", "provisioningState": "Accepted", "allocationPolicy": "Hashed", "idScope": null})
        );
        assert_eq!(made.body["sku"], json!({"name": "S1", "tier": "Standard", "capacity": 2}));
        assert!(!made.headers.contains_key(header::LOCATION));

        let poll = |client: &mut Client| follow(client, &made, "azure-asyncoperation").ok().body;
        let certificates = format!("{}/certificates", path_of("new-dps"));
        assert_eq!(poll(&mut client), json!({"status": "Running"}));
        assert_eq!(
            client.send("GET", &path_of("new-dps"), None, None).ok().body["properties"]["provisioningState"],
            "Accepted"
        );
        assert_eq!(client.send("GET", &certificates, None, None).status, 409);
        client.now += Duration::from_secs(30);
        assert_eq!(poll(&mut client), json!({"status": "Succeeded"}));
        let shown = client.send("GET", &path_of("new-dps"), None, None).ok().body;
        assert_eq!(keys(&shown), format!("etag {}", keys(&made.body)));
        assert_eq!(shown["properties"]["state"], "Active");
        assert_eq!(client.send("GET", &certificates, None, None).ok().body, json!({"value": []}));
    }

    #[test]
    fn a_change_is_an_operation_too_and_gives_back_the_etag_that_was_sent() {
        let mut client = Client::new();
        let etag = client.send("GET", &instance(), None, None).ok().etag().to_owned();
        client.world.choices.provisioning = Duration::from_secs(30);
        let body = json!({
            "location": "East US", "tags": {"owner": "me"}, "etag": etag,
            "properties": {"iotHubs": [], "allocationPolicy": "GeoLatency"}, "sku": {"name": "S1", "capacity": 1},
        });
        let changed = put(&mut client, PROVISIONING_SERVICE, body);
        assert_eq!((changed.status, changed.etag()), (201, etag.as_str()));
        assert_eq!(
            changed.body["properties"],
            json!({
                "state": "Transitioning", "provisioningState": "Accepted", "iotHubs": [],
                "allocationPolicy": "GeoLatency", "idScope": null,
            })
        );
        client.now += Duration::from_secs(30);
        let shown = client.send("GET", &instance(), None, None).ok();
        assert_ne!(shown.etag(), etag);
        assert_eq!(shown.body["properties"]["allocationPolicy"], "GeoLatency");

        let stale = put(&mut client, PROVISIONING_SERVICE, json!({"location": "eastus", "etag": etag}));
        assert_eq!((stale.status, &stale.body["code"]), (412, &json!(412_001)));
        let patched = client.send("PATCH", &instance(), None, Some(json!({"tags": {"a": "b"}}))).ok();
        assert_eq!(patched.body["tags"], json!({"a": "b"}));
    }

    #[test]
    fn an_instance_is_deleted_with_its_certificates() {
        let mut client = Client::new();
        let certificate = format!("{}/certificates/my-ca", instance());
        client.put("my-ca", None, &Ca::new("my-ca").pem()).ok();
        let deleted = client.send("DELETE", &instance(), None, None);
        assert_eq!((deleted.status, &deleted.body), (202, &Value::Null));
        assert_eq!(
            follow(&mut client, &deleted, "azure-asyncoperation").body,
            json!({"status": "Succeeded"})
        );
        let last = follow(&mut client, &deleted, "location");
        assert_eq!((last.status, &last.body), (200, &Value::Null));
        assert!(last.headers.contains_key(header::LOCATION));
        assert_eq!(client.send("GET", &instance(), None, None).body["error"]["code"], "ResourceNotFound");
        assert_eq!(
            client.send("GET", &certificate, None, None).body["error"]["code"],
            "ParentResourceNotFound"
        );
        assert_eq!(client.send("DELETE", &instance(), None, None).status, 204);
    }

    #[test]
    fn an_operation_is_asked_about_where_the_answer_says_and_nowhere_else() {
        let mut client = Client::new();
        for (now, form) in [
            (datetime!(2022-05-03 17:50 UTC), "/operationResults/"),
            (datetime!(2025-11-07 21:24 UTC), "/locations/eastus/provisioningserviceoperationresults/"),
        ] {
            client.now = now;
            client.world.add_provisioning_service(SUBSCRIPTION, "iot-x509-demo-rg", PROVISIONING_SERVICE);
            let deleted = client.send("DELETE", &instance(), None, None);
            let address = deleted.headers["azure-asyncoperation"].to_str().unwrap().to_owned();
            assert!(address.contains(form), "{address}");
            assert_eq!(client.get_as_it_is(&address).status, 200);
            let elsewhere = match address.split_once("&t=") {
                Some((before, _)) => before.to_owned(),
                None => address.replace("/operationResults/", "/operationResults/x"),
            };
            assert_eq!(client.get_as_it_is(&elsewhere).status, 404, "{elsewhere}");
        }
    }

    #[test]
    fn an_instance_is_somewhere_and_stays_there() {
        let mut client = Client::new();
        for (body, status, code) in [
            (json!({}), 400, "LocationRequired"),
            (json!({"location": "westus"}), 409, "InvalidResourceLocation"),
        ] {
            let error = put(&mut client, PROVISIONING_SERVICE, body);
            assert_eq!((error.status, &error.body["error"]["code"]), (status, &json!(code)));
        }
    }

    #[test]
    fn a_name_follows_the_services_own_rule_and_is_had_once_in_all_of_azure() {
        let mut client = Client::new();
        client.world.add_provisioning_service("another", "rg", "taken-dps");
        let check = format!(
            "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Devices/checkProvisioningServiceNameAvailability"
        );
        let available = |client: &mut Client, name: &str| {
            let answer = client.send("POST", &check, None, Some(json!({"name": name}))).ok().body;
            assert_eq!(keys(&answer), "nameAvailable reason message");
            (answer["nameAvailable"].as_bool().unwrap(), answer["reason"].as_str().unwrap().to_owned())
        };
        for name in ["ab", "-abc", "abc-", "a_c", "global", &"n".repeat(51)] {
            let error = put(&mut client, name, json!({"location": "eastus"}));
            assert_eq!((error.status, &error.body["code"]), (400, &json!(400_305)), "{name}");
            assert_eq!(available(&mut client, name), (false, "Invalid".to_owned()), "{name}");
        }
        let error = put(&mut client, "Taken-DPS", json!({"location": "eastus"}));
        assert_eq!((error.status, &error.body["code"]), (409, &json!(409_004)));
        assert_eq!(available(&mut client, "Taken-DPS"), (false, "AlreadyExists".to_owned()));
        assert_eq!(available(&mut client, "new-dps"), (true, "Invalid".to_owned()));
    }

    #[test]
    fn what_an_instance_says_of_its_data_depends_on_the_api_version() {
        for (version, shown) in [("2021-10-15", None), ("2022-02-05", Some(&json!(false)))] {
            let mut client = Client { version, ..Client::new() };
            let answer = client.send("GET", &instance(), None, None).ok();
            assert_eq!(answer.body["properties"].get("enableDataResidency"), shown, "{version}");
        }
    }
}
