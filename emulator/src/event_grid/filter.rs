//! Which events a subscription wants.
//!
//! Filters look at the event as it will be delivered, so a key means the same as it does in Azure: it names a
//! member of the schema the subscription chose.

use serde_json::Value;

/// The filters of one subscription; an event has to pass all of them. The default lets everything through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Wanted event types, compared without case; none means every type.
    pub included_event_types: Vec<String>,
    /// Conditions on members of the event.
    pub advanced: Vec<AdvancedFilter>,
}

impl Filter {
    /// The filter that sees uploads, renewals and replacements of DPS certificates and nothing else.
    pub fn certificate_writes() -> Filter {
        Filter {
            included_event_types: vec!["Microsoft.Resources.ResourceWriteSuccess".to_owned()],
            advanced: vec![AdvancedFilter {
                key: "data.operationName".to_owned(),
                condition: Condition::StringIn(vec![
                    "Microsoft.Devices/provisioningServices/certificates/write".to_owned(),
                ]),
            }],
        }
    }

    /// Whether an event, written down in the subscription's schema, passes.
    pub fn takes(&self, event: &Value) -> bool {
        self.takes_type(event) && self.advanced.iter().all(|filter| filter.takes(event))
    }

    fn takes_type(&self, event: &Value) -> bool {
        let event_type =
            ["eventType", "type"].iter().find_map(|member| event[member].as_str()).unwrap_or_default();
        self.included_event_types.is_empty()
            || self.included_event_types.iter().any(|wanted| same(wanted, event_type))
    }
}

/// A condition on one member of the event.
#[derive(Clone, Debug)]
pub struct AdvancedFilter {
    /// `Subject`, `EventType`, `data.operationName` and their kind.
    pub key: String,
    /// What the member has to be.
    pub condition: Condition,
}

/// What a member has to be; the names are those of `operatorType`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Condition {
    /// A string that equals, without case, one of these.
    StringIn(Vec<String>),
}

impl AdvancedFilter {
    fn takes(&self, event: &Value) -> bool {
        let value = member(event, &self.key);
        match &self.condition {
            Condition::StringIn(wanted) => value
                .and_then(Value::as_str)
                .is_some_and(|value| wanted.iter().any(|wanted| same(wanted, value))),
        }
    }
}

/// The value a key names. Members of the envelope are found without case, because Azure writes `Subject` for
/// `subject`; those inside `data` exactly as they are (chosen, not observed).
fn member<'e>(event: &'e Value, key: &str) -> Option<&'e Value> {
    let mut path = key.split('.');
    let first = path.next()?;
    let (_, envelope) = event.as_object()?.iter().find(|(name, _)| same(name, first))?;
    path.try_fold(envelope, |value, name| value.get(name))
}

fn same(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn event() -> Value {
        let events: Value = serde_json::from_str(include_str!(
            "../../../tests/fixtures/eventgrid/event.resources.resource-write-success.json"
        ))
        .unwrap();
        events[0].clone()
    }

    fn string_in(key: &str, values: &[&str]) -> AdvancedFilter {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        AdvancedFilter { key: key.to_owned(), condition: Condition::StringIn(values) }
    }

    #[test]
    fn an_event_type_has_to_be_included() {
        for (included, taken) in [
            (vec![], true),
            (vec!["Microsoft.Resources.ResourceWriteSuccess"], true),
            (vec!["microsoft.resources.resourcewritesuccess"], true),
            (vec!["Microsoft.Resources.ResourceDeleteSuccess"], false),
            (
                vec!["Microsoft.Resources.ResourceDeleteSuccess", "Microsoft.Resources.ResourceWriteSuccess"],
                true,
            ),
        ] {
            let included_event_types = included.iter().map(|&name| name.to_owned()).collect();
            let filter = Filter { included_event_types, ..Filter::default() };
            assert_eq!(filter.takes(&event()), taken, "{included:?}");
        }
    }

    #[test]
    fn advanced_filters_compare_strings_without_case() {
        const WRITE: &str = "microsoft.devices/PROVISIONINGSERVICES/write";
        for (name, filters, taken) in [
            ("equal but for case", vec![string_in("data.operationName", &[WRITE])], true),
            ("one of several values", vec![string_in("data.operationName", &["no", WRITE])], true),
            ("no value", vec![string_in("data.operationName", &[])], false),
            ("part of the string", vec![string_in("data.operationName", &["write"])], false),
            ("missing key", vec![string_in("data.missing", &["x"])], false),
            ("no string", vec![string_in("data.authorization", &["x"])], false),
            ("deeper", vec![string_in("data.authorization.evidence.role", &["contributor"])], true),
            ("envelope", vec![string_in("EventType", &["Microsoft.Resources.ResourceWriteSuccess"])], true),
            (
                "all have to match",
                vec![string_in("DataVersion", &["2"]), string_in("DataVersion", &["1"])],
                false,
            ),
        ] {
            let filter = Filter { advanced: filters, ..Filter::default() };
            assert_eq!(filter.takes(&event()), taken, "{name}");
        }
    }

    #[test]
    fn the_type_of_a_cloud_event_counts_too() {
        let event: Value = serde_json::from_str(include_str!(
            "../../../tests/fixtures/eventgrid/event.cloudevents-single.json"
        ))
        .unwrap();
        let included =
            |name: &str| Filter { included_event_types: vec![name.to_owned()], ..Filter::default() };
        assert!(included("Microsoft.KeyVault.CertificateNearExpiry").takes(&event));
        assert!(!included("Microsoft.KeyVault.CertificateExpired").takes(&event));
    }

    #[test]
    fn certificate_writes_are_told_from_writes_of_their_registry() {
        let filter = Filter::certificate_writes();
        let mut event = event();
        assert!(!filter.takes(&event), "{}", event["data"]["operationName"]);
        event["data"]["operationName"] = "MICROSOFT.DEVICES/PROVISIONINGSERVICES/CERTIFICATES/WRITE".into();
        assert!(filter.takes(&event));
    }
}
