//! An event about an ARM operation, in the two schemas Event Grid can write it.
//!
//! No capture of an event about a DPS certificate is public. The members are those documented for ARM events
//! in general; ids nobody here keeps (roles, correlation, client) are made up.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::change::ArmOperation;
use crate::ground::guid::guid;
use crate::names::TENANT;

/// Seven decimals and `Z`, as .NET writes a moment.
const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]Z");

/// The built-in role Contributor, the same id in every tenant.
const CONTRIBUTOR: &str = "b24988ac618042a0ab8820f7382dd24c";

/// How an event is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schema {
    /// Event Grid's own.
    #[default]
    EventGrid,
    /// CloudEvents 1.0.
    CloudEvents,
}

/// What happened, before a subscription's schema and topic give it a form.
#[derive(Debug)]
pub(super) struct Event {
    id: String,
    event_type: String,
    subject: String,
    time: String,
    data: Value,
}

impl Event {
    pub(super) fn of(operation: &ArmOperation<'_>, now: OffsetDateTime, random: &mut fastrand::Rng) -> Event {
        let subscription = segment_after(operation.resource_id, "subscriptions");
        Event {
            id: guid(random),
            event_type: operation.event_type.to_owned(),
            subject: operation.resource_id.to_owned(),
            time: timestamp(now),
            data: json!({
                "authorization": {
                    "scope": operation.resource_id,
                    "action": operation.name,
                    "evidence": {
                        "role": "Contributor",
                        "roleAssignmentScope": format!("/subscriptions/{subscription}"),
                        "roleAssignmentId": without_hyphens(&guid(random)),
                        "roleDefinitionId": CONTRIBUTOR,
                        "principalId": without_hyphens(operation.object_id),
                        "principalType": "ServicePrincipal",
                    },
                },
                "claims": claims(operation.object_id, now, random),
                "correlationId": guid(random),
                // Documented as optional, without saying when a write has it; here it always does.
                "httpRequest": {
                    "clientRequestId": guid(random),
                    "clientIpAddress": "127.0.0.1",
                    "method": operation.method,
                    "url": operation.url,
                },
                "resourceProvider": operation.name.split('/').next().unwrap_or_default(),
                "resourceUri": operation.resource_id,
                "operationName": operation.name,
                "status": "Succeeded",
                "subscriptionId": subscription,
                "tenantId": TENANT,
            }),
        }
    }

    pub(super) fn render(&self, schema: Schema, topic: &str) -> Value {
        match schema {
            Schema::EventGrid => json!({
                "subject": self.subject,
                "eventType": self.event_type,
                "eventTime": self.time,
                "id": self.id,
                "data": self.data,
                "dataVersion": "2",
                "metadataVersion": "1",
                "topic": topic,
            }),
            Schema::CloudEvents => json!({
                "subject": self.subject,
                "type": self.event_type,
                "time": self.time,
                "id": self.id,
                "data": self.data,
                "specversion": "1.0",
                "source": topic,
            }),
        }
    }
}

/// A moment as Event Grid and the Functions host write it.
pub fn timestamp(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC)
        .format(TIMESTAMP)
        .expect("every component of the format is one an OffsetDateTime has")
}

/// What a token of the caller would say; the token itself is in no event.
fn claims(object_id: &str, now: OffsetDateTime, random: &mut fastrand::Rng) -> Value {
    let seconds = |minutes: i64| (now.unix_timestamp() + minutes * 60).to_string();
    let issuer = format!("https://sts.windows.net/{TENANT}/");
    json!({
        "aud": "https://management.core.windows.net/",
        "iss": issuer,
        "iat": seconds(-5),
        "nbf": seconds(-5),
        "exp": seconds(55),
        "appid": guid(random),
        "appidacr": "2",
        "http://schemas.microsoft.com/identity/claims/identityprovider": issuer,
        "http://schemas.microsoft.com/identity/claims/objectidentifier": object_id,
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier": object_id,
        "http://schemas.microsoft.com/identity/claims/tenantid": TENANT,
        "uti": without_hyphens(&guid(random)),
        "ver": "1.0",
    })
}

fn segment_after<'i>(id: &'i str, keyword: &str) -> &'i str {
    let mut segments = id.split('/');
    segments.find(|segment| segment.eq_ignore_ascii_case(keyword));
    segments.next().unwrap_or_default()
}

fn without_hyphens(id: &str) -> String {
    id.replace('-', "")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use time::macros::datetime;

    use super::super::tests::{CERTIFICATE, upload};
    use super::*;

    const TOPIC: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/iot-x509-demo-rg";

    fn event(schema: Schema) -> Value {
        let now = datetime!(2026-03-05 10:00:00.6117357 UTC);
        Event::of(&upload(), now, &mut fastrand::Rng::with_seed(1)).render(schema, TOPIC)
    }

    /// Every member with its kind of value, as a path.
    fn shape(value: &Value, path: &str, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(name, value)| shape(value, &format!("{path}/{name}"), into));
            }
            Value::String(_) => {
                into.insert(path.to_owned());
            }
            other => panic!("{path}: no documented member is {other}"),
        }
    }

    fn assert_same_members(ours: &Value, documented: &Value) {
        let (mut found, mut expected) = (BTreeSet::new(), BTreeSet::new());
        shape(ours, "", &mut found);
        shape(documented, "", &mut expected);
        // An opaque part of the token; we have none.
        expected.remove("/data/claims/aio");
        assert_eq!(found, expected);
    }

    #[test]
    fn the_event_grid_schema_has_the_documented_members() {
        let documented: Value = serde_json::from_str(include_str!(
            "../../../../tests/fixtures/eventgrid/event.dps-certificate-write.json"
        ))
        .unwrap();
        assert_same_members(&event(Schema::EventGrid), &documented[0]);
    }

    #[test]
    fn the_cloud_events_schema_has_the_documented_members() {
        let documented: Value = serde_json::from_str(include_str!(
            "../../../../tests/fixtures/eventgrid/event.dps-certificate-write.cloudevents.json"
        ))
        .unwrap();
        assert_same_members(&event(Schema::CloudEvents), &documented);
    }

    #[test]
    fn the_event_says_what_happened_to_which_resource() {
        let event = event(Schema::EventGrid);
        for (pointer, value) in [
            ("/topic", TOPIC),
            ("/subject", CERTIFICATE),
            ("/eventType", "Microsoft.Resources.ResourceWriteSuccess"),
            ("/eventTime", "2026-03-05T10:00:00.6117357Z"),
            ("/dataVersion", "2"),
            ("/metadataVersion", "1"),
            ("/data/resourceUri", CERTIFICATE),
            ("/data/authorization/scope", CERTIFICATE),
            ("/data/authorization/action", "Microsoft.Devices/provisioningServices/certificates/write"),
            ("/data/operationName", "Microsoft.Devices/provisioningServices/certificates/write"),
            ("/data/resourceProvider", "Microsoft.Devices"),
            ("/data/status", "Succeeded"),
            ("/data/subscriptionId", "00000000-0000-0000-0000-000000000000"),
            ("/data/httpRequest/method", "PUT"),
        ] {
            assert_eq!(event.pointer(pointer).unwrap(), value, "{pointer}");
        }
    }

    #[test]
    fn both_schemas_tell_the_same_story() {
        let (grid, cloud) = (event(Schema::EventGrid), event(Schema::CloudEvents));
        for (in_grid, in_cloud) in [
            ("id", "id"),
            ("subject", "subject"),
            ("eventType", "type"),
            ("eventTime", "time"),
            ("topic", "source"),
        ] {
            assert_eq!(grid[in_grid], cloud[in_cloud], "{in_grid}");
        }
        assert_eq!(grid["data"], cloud["data"]);
        assert_eq!(cloud["specversion"], "1.0");
    }
}
