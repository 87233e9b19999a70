//! Events as Azure writes them, from the documented samples.

use keyholder_emulator_local::local_azure::certificate_id;
use serde_json::Value;
use url::Url;

use super::HTTP;

const UPLOAD: &str = include_str!("../../fixtures/eventgrid/event.dps-certificate-write.json");
const UPLOAD_AS_CLOUD_EVENT: &str =
    include_str!("../../fixtures/eventgrid/event.dps-certificate-write.cloudevents.json");
const PLACEHOLDER: &str = "/subscriptions/{subscription-id}/resourceGroups/{resource-group}/providers/Microsoft.Devices/provisioningServices/{dps}/certificates/{certificate}";

/// An upload to the registry that is there at start, in Event Grid's schema.
pub(crate) fn upload(name: &str) -> Value {
    let events: Value = about(name, UPLOAD);
    events[0].clone()
}

/// The same as CloudEvents 1.0.
pub(crate) fn upload_as_cloud_event(name: &str) -> Value {
    about(name, UPLOAD_AS_CLOUD_EVENT)
}

/// Hands an event to the Functions host as Event Grid does: the host's answer.
pub(crate) async fn notify(webhook: &Url, events: &Value) -> u16 {
    let body = if events.is_array() { events.clone() } else { Value::from(vec![events.clone()]) };
    let request = HTTP.post(webhook.clone()).header("aeg-event-type", "Notification").body(body.to_string());
    request.send().await.expect("the host answers").status().as_u16()
}

fn about(name: &str, sample: &str) -> Value {
    let text = sample.replace(PLACEHOLDER, &certificate_id(name));
    serde_json::from_str(&text).expect("the sample is JSON")
}
