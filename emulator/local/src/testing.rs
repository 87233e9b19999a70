//! What the tests here share: an upload, a subscription to it, and a person who asks Azure Resource Manager.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use http::header;
use keyholder_emulator::World;
use keyholder_emulator::event_grid::{ArmOperation, Scope, Subscription};
use keyholder_emulator::identity::Principal;
use keyholder_emulator::names::{RESOURCE_GROUP, SUBSCRIPTION};
use serde_json::Value;
use time::OffsetDateTime;
use url::Url;

use crate::local_azure::certificate_id;

const CERTIFICATE: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/iot-x509-demo-rg/providers/Microsoft.Devices/provisioningServices/my-dps-x509/certificates/factory-ca";

pub(crate) fn upload() -> ArmOperation<'static> {
    ArmOperation {
        event_type: "Microsoft.Resources.ResourceWriteSuccess",
        name: "Microsoft.Devices/provisioningServices/certificates/write",
        resource_id: CERTIFICATE,
        method: "PUT",
        url: "https://localhost:8443/put",
        object_id: "33333333-aaaa-bbbb-cccc-444444444444",
    }
}

pub(crate) fn subscription(name: &str, endpoint: &str) -> Subscription {
    let scope = Scope::resource_group(SUBSCRIPTION, RESOURCE_GROUP);
    let subscription = Subscription::new(name.parse().unwrap(), scope, endpoint.parse::<Url>().unwrap());
    subscription.with_dead_letters("letters")
}

/// Writes a certificate of the registry, and returns the answer's body.
#[track_caller]
pub(crate) fn put_certificate(
    world: &mut World,
    now: OffsetDateTime,
    name: &str,
    properties: Value,
) -> Value {
    let body = serde_json::json!({ "properties": properties });
    ask(world, now, http::Request::put(address(name, "")), &body)
}

/// Asks for a verification code with the etag of the last answer.
#[track_caller]
pub(crate) fn generate_code(world: &mut World, now: OffsetDateTime, name: &str, last: &Value) {
    let request = http::Request::post(address(name, "/generateVerificationCode"));
    ask(world, now, request.header(header::IF_MATCH, last["etag"].as_str().unwrap()), &Value::Null);
}

fn address(name: &str, below: &str) -> String {
    format!("https://management.azure.com{}{below}?api-version=2022-12-12", certificate_id(name))
}

#[track_caller]
fn ask(world: &mut World, now: OffsetDateTime, request: http::request::Builder, body: &Value) -> Value {
    let token = world.identity.mint_for(&Principal::function_app(), "https://management.azure.com", now);
    let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    let request = request.header(header::CONTENT_TYPE, "application/json");
    let response = world.handle(&request.body(Bytes::from(body.to_string())).unwrap(), now);
    let answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    assert_eq!(response.status(), 200, "{answer}");
    answer
}
