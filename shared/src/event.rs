//! Which events mean that a CA certificate was uploaded.
//!
//! DPS has no events of its own; an upload is a *write* in the log of Azure Resource Manager, which Event
//! Grid delivers in its own schema or as CloudEvents 1.0. The event is a hint and nothing more: it carries
//! neither certificate nor etag, and anyone who can reach the endpoint can forge it. So all that is taken from it
//! is an id, which then has to pass the allow-list.

mod lenient;

use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::certificate_id::CertificateId;
use crate::error::{one_line, quoted};
use lenient::{Data, Text};

/// The event type of a finished write, in either schema.
pub const EVENT_TYPE: &str = "Microsoft.Resources.ResourceWriteSuccess";
/// The operation that uploads or replaces a CA certificate.
pub const OPERATION_NAME: &str = "Microsoft.Devices/provisioningServices/certificates/write";

/// What an event means to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A certificate was written.
    Uploaded(Upload),
    /// A well-formed event about something else; says about what.
    Ignored(String),
    /// Not an event, or an upload that names no certificate; says what is wrong. Delivering it again would
    /// not help.
    Unreadable(String),
}

/// A certificate that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Which.
    pub id: CertificateId,
    /// When, as far as the event says it.
    pub at: Option<OffsetDateTime>,
}

/// Both schemas, as far as they matter: Event Grid says `eventType`, CloudEvents `type` and `specversion`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    event_type: Option<String>,
    #[serde(rename = "type")]
    cloud_event_type: Option<String>,
    #[serde(rename = "specversion")]
    spec_version: Option<String>,
    subject: Option<String>,
    #[serde(alias = "eventTime")]
    time: Option<String>,
    #[serde(default)]
    data: Data,
}

/// What tells one event from another.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    id: Text,
}

/// Reads one event. Of what it says, only what is needed is kept.
pub fn read<'de>(event: impl Deserializer<'de>) -> Notice {
    match Event::deserialize(event) {
        Ok(event) => event.notice(),
        Err(error) => Notice::Unreadable(one_line(&format!("this is not an event: {error}"))),
    }
}

/// Event Grid's id of an event, if it has one.
pub fn id<'de>(event: impl Deserializer<'de>) -> Option<String> {
    Named::deserialize(event).ok()?.id.0
}

impl Event {
    fn notice(&self) -> Notice {
        let event_type = match (&self.event_type, &self.cloud_event_type, self.spec_version.as_deref()) {
            (Some(event_type), _, None) => event_type,
            (None, Some(event_type), Some("1.0")) => event_type,
            (_, _, Some(version)) if version != "1.0" => {
                let version = quoted(version);
                return Notice::Unreadable(format!("CloudEvents {version} is not understood, 1.0 is"));
            }
            _ => {
                return Notice::Unreadable(
                    "an event has eventType (Event Grid schema) or type and specversion (CloudEvents 1.0)"
                        .into(),
                );
            }
        };
        let operation = self.data.operation_name.0.as_deref().unwrap_or_default();
        if !event_type.eq_ignore_ascii_case(EVENT_TYPE) {
            return Notice::Ignored(format!("{} is not an upload ({EVENT_TYPE})", quoted(event_type)));
        }
        if !operation.eq_ignore_ascii_case(OPERATION_NAME) {
            let operation = quoted(operation);
            return Notice::Ignored(format!("operation {operation} is not an upload ({OPERATION_NAME})"));
        }
        let at = self.time.as_deref().and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok());
        self.certificate().map_or_else(Notice::Unreadable, |id| Notice::Uploaded(Upload { id, at }))
    }

    /// Subject and `data.resourceUri` are documented to be the same id. An event in which they differ was
    /// not made by Azure.
    fn certificate(&self) -> Result<CertificateId, String> {
        let subject = self.subject.as_deref().ok_or("an upload without a subject")?;
        let id = CertificateId::parse(subject).map_err(|error| error.to_string())?;
        match self.data.resource_uri.0.as_deref().map(CertificateId::parse) {
            None => Ok(id),
            Some(Ok(same)) if same == id => Ok(id),
            Some(_) => Err(format!("subject and data.resourceUri differ; the subject is {id}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;

    const ID: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Devices/provisioningServices/dps1/certificates/root";

    fn event_grid() -> Value {
        json!({
            "topic": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg",
            "subject": ID, "eventType": EVENT_TYPE, "id": "1", "eventTime": "2026-11-23T10:00:00.0000000Z",
            "data": { "operationName": OPERATION_NAME, "resourceUri": ID, "status": "Succeeded" },
            "dataVersion": "2", "metadataVersion": "1"
        })
    }

    fn cloud_event() -> Value {
        json!({
            "specversion": "1.0", "type": EVENT_TYPE, "source": "/subscriptions/x", "id": "1", "subject": ID,
            "time": "2026-11-23T10:00:00Z", "data": { "operationName": OPERATION_NAME, "resourceUri": ID }
        })
    }

    fn with(mut event: Value, pointer: &str, value: Value) -> Value {
        *event.pointer_mut(pointer).expect("the member is there") = value;
        event
    }

    #[test]
    fn an_upload_is_recognised_in_both_schemas_and_any_casing() {
        let at = Some(datetime!(2026-11-23 10:00 UTC));
        let uploaded = Notice::Uploaded(Upload { id: CertificateId::parse(ID).expect("well-formed"), at });
        let rows = [
            ("Event Grid", event_grid()),
            ("CloudEvents", cloud_event()),
            (
                "lower-case operation",
                with(event_grid(), "/data/operationName", OPERATION_NAME.to_lowercase().into()),
            ),
            ("lower-case resourceUri", with(event_grid(), "/data/resourceUri", ID.to_lowercase().into())),
        ];
        for (name, event) in rows {
            assert_eq!(read(&event), uploaded, "{name}");
        }
    }

    #[test]
    fn other_events_are_ignored_with_a_reason() {
        let rows = [
            ("delete", with(event_grid(), "/eventType", "Microsoft.Resources.ResourceDeleteSuccess".into())),
            (
                "our own action",
                with(cloud_event(), "/type", "Microsoft.Resources.ResourceActionSuccess".into()),
            ),
            (
                "the instance",
                with(
                    event_grid(),
                    "/data/operationName",
                    "Microsoft.Devices/provisioningServices/write".into(),
                ),
            ),
            ("no operation", with(event_grid(), "/data", json!({}))),
            ("Key Vault", json!({"eventType": "Microsoft.KeyVault.CertificateNearExpiry", "data": {}})),
        ];
        for (name, event) in rows {
            assert!(matches!(read(&event), Notice::Ignored(_)), "{name}: {:?}", read(&event));
        }
    }

    #[test]
    fn data_may_be_anything_and_its_other_members_are_skipped() {
        let other = [json!(null), json!(true), json!(-1), json!(1.5), json!("data"), json!([[], {}])];
        for data in other {
            let event = with(event_grid(), "/data", data.clone());
            assert!(matches!(read(&event), Notice::Ignored(_)), "{data}: {:?}", read(&event));
        }
        for member in [json!(null), json!(7), json!(["a"]), json!({ "a": [] })] {
            let mut event = event_grid();
            event["data"]["claims"] = member.clone();
            assert!(matches!(read(&event), Notice::Uploaded(_)), "{member}: {:?}", read(&event));
            event["data"]["resourceUri"] = member.clone();
            assert!(
                matches!(read(&event), Notice::Uploaded(_)),
                "no resourceUri is none: {:?}",
                read(&event)
            );
            event["data"]["operationName"] = member.clone();
            assert!(matches!(read(&event), Notice::Ignored(_)), "{member}: {:?}", read(&event));
        }
    }

    #[test]
    fn an_id_is_text_or_none() {
        assert_eq!(id(event_grid()), Some("1".to_owned()));
        for other in [json!(null), json!(7), json!({}), json!({ "id": 7 }), json!({ "id": ["1"] })] {
            assert_eq!(id(&other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_event_or_names_no_certificate_is_unreadable() {
        let rows = [
            ("null", json!(null)),
            ("text", json!("event")),
            ("empty object", json!({})),
            ("wrong type of a member", with(event_grid(), "/eventType", json!(7))),
            ("old CloudEvents", with(cloud_event(), "/specversion", "0.1".into())),
            ("no subject", with(event_grid(), "/subject", json!(null))),
            ("subject is no id", with(event_grid(), "/subject", "root".into())),
            ("two ids", with(event_grid(), "/data/resourceUri", ID.replace("dps1", "dps2").into())),
        ];
        for (name, event) in rows {
            assert!(matches!(read(&event), Notice::Unreadable(_)), "{name}: {:?}", read(&event));
        }
    }
}
