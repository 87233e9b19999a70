//! Which events a subscription wants.
//!
//! Filters look at the event as it will be delivered, so a key means the same as it does in Azure: it names a
//! member of the schema the subscription chose.

mod case;
mod condition;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use case::fold;
pub use condition::Condition;

/// The most advanced filters a subscription may have, and the most values in all of them together.
const MOST: usize = 25;
/// The longest string a filter may compare with, in characters.
const LONGEST: usize = 512;

/// The filters of one subscription; an event has to pass all of them. The default lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Filter {
    /// Wanted event types, compared without case; none means every type.
    pub included_event_types: Vec<String>,
    /// What the subject begins with.
    pub subject_begins_with: String,
    /// What the subject ends with.
    pub subject_ends_with: String,
    /// Whether case matters in subjects. It never does elsewhere.
    pub is_subject_case_sensitive: bool,
    /// Whether advanced filters look at each item of an array of scalars.
    pub into_arrays: bool,
    /// Conditions on members of the event.
    pub advanced: Vec<AdvancedFilter>,
}

/// A condition on one member of the event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdvancedFilter {
    /// `Subject`, `EventType`, `data.operationName` and their kind.
    pub key: String,
    /// What the member has to be.
    #[serde(flatten)]
    pub condition: Condition,
}

impl AdvancedFilter {
    /// A condition on the member of this name.
    pub fn new(key: impl Into<String>, condition: Condition) -> AdvancedFilter {
        AdvancedFilter { key: key.into(), condition }
    }
}

/// Why a filter cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidFilter {
    /// No filter at all.
    #[error("filter has to be an object")]
    NotAnObject,
    /// A member of another form.
    #[error("filter.{member} has to be {expected}")]
    Member {
        /// Which.
        member: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// An advanced filter that cannot be read.
    #[error("filter.advancedFilters[{index}] cannot be read: {source}")]
    Advanced {
        /// Which, counted from 0.
        index: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// More than the service allows.
    #[error("filter has {count} {what}; at most {MOST} are allowed in a subscription")]
    TooMany {
        /// How many.
        count: usize,
        /// Of what.
        what: &'static str,
    },
    /// A string longer than the service compares with.
    #[error(
        "filter.advancedFilters on {key:?} compares with a string of {length} characters; {LONGEST} are the most"
    )]
    TooLong {
        /// The filter's key.
        key: String,
        /// How long the string is.
        length: usize,
    },
}

impl Filter {
    /// The filter that sees uploads, renewals and replacements of DPS certificates and nothing else.
    pub fn certificate_writes() -> Filter {
        const WRITE: &str = "Microsoft.Devices/provisioningServices/certificates/write";
        Filter {
            included_event_types: vec!["Microsoft.Resources.ResourceWriteSuccess".to_owned()],
            advanced: vec![AdvancedFilter::new(
                "data.operationName",
                Condition::StringIn { values: vec![WRITE.to_owned()] },
            )],
            ..Filter::default()
        }
    }

    /// Reads the `filter` of an event subscription as Azure Resource Manager has it; what is null or missing
    /// filters nothing.
    pub fn read(filter: &Value) -> Result<Filter, InvalidFilter> {
        let wrong = |member, expected| InvalidFilter::Member { member, expected };
        if !matches!(filter, Value::Null | Value::Object(_)) {
            return Err(InvalidFilter::NotAnObject);
        }
        let text = |member| match &filter[member] {
            Value::Null => Ok(String::new()),
            Value::String(text) => Ok(text.clone()),
            _ => Err(wrong(member, "a string")),
        };
        let switch = |member| match &filter[member] {
            Value::Null => Ok(false),
            Value::Bool(switch) => Ok(*switch),
            _ => Err(wrong(member, "true or false")),
        };
        let list = |member, expected| match &filter[member] {
            Value::Null => Ok(&[][..]),
            Value::Array(items) => Ok(items.as_slice()),
            _ => Err(wrong(member, expected)),
        };
        const TYPES: (&str, &str) = ("includedEventTypes", "a list of event types");
        let types = list(TYPES.0, TYPES.1)?.iter().map(|item| item.as_str().map(str::to_owned));
        let types: Vec<_> = types.collect::<Option<_>>().ok_or_else(|| wrong(TYPES.0, TYPES.1))?;
        let advanced = list("advancedFilters", "a list of filters")?.iter().enumerate();
        let filter = Filter {
            included_event_types: types,
            subject_begins_with: text("subjectBeginsWith")?,
            subject_ends_with: text("subjectEndsWith")?,
            is_subject_case_sensitive: switch("isSubjectCaseSensitive")?,
            into_arrays: switch("enableAdvancedFilteringOnArrays")?,
            advanced: advanced
                .map(|(index, item)| {
                    serde_json::from_value(item.clone())
                        .map_err(|source| InvalidFilter::Advanced { index, source })
                })
                .collect::<Result<_, _>>()?,
        };
        filter.check()?;
        Ok(filter)
    }

    /// The form that [`Filter::read`] reads.
    pub fn to_json(&self) -> Value {
        json!({
            "includedEventTypes": self.included_event_types,
            "subjectBeginsWith": self.subject_begins_with,
            "subjectEndsWith": self.subject_ends_with,
            "isSubjectCaseSensitive": self.is_subject_case_sensitive,
            "enableAdvancedFilteringOnArrays": self.into_arrays,
            "advancedFilters": self.advanced,
        })
    }

    /// Refuses what is beyond the limits of the service.
    pub fn check(&self) -> Result<(), InvalidFilter> {
        let values = self.advanced.iter().map(|filter| filter.condition.values()).sum();
        for (count, what) in [(self.advanced.len(), "advanced filters"), (values, "values in them")] {
            if count > MOST {
                return Err(InvalidFilter::TooMany { count, what });
            }
        }
        for filter in &self.advanced {
            let lengths =
                filter.condition.texts().unwrap_or_default().iter().map(|text| text.chars().count());
            if let Some(length) = lengths.max().filter(|length| *length > LONGEST) {
                return Err(InvalidFilter::TooLong { key: filter.key.clone(), length });
            }
        }
        Ok(())
    }

    /// Whether an event, written down in the subscription's schema, passes.
    pub fn takes(&self, event: &Value) -> bool {
        self.takes_type(event)
            && self.takes_subject(event["subject"].as_str().unwrap_or_default())
            && self
                .advanced
                .iter()
                .all(|filter| filter.condition.takes(member(event, &filter.key), self.into_arrays))
    }

    fn takes_type(&self, event: &Value) -> bool {
        let event_type =
            ["eventType", "type"].iter().find_map(|member| event[member].as_str()).unwrap_or_default();
        self.included_event_types.is_empty()
            || self.included_event_types.iter().any(|wanted| same(wanted, event_type) || same(wanted, "All"))
    }

    fn takes_subject(&self, subject: &str) -> bool {
        let (begin, end) = (&self.subject_begins_with, &self.subject_ends_with);
        if self.is_subject_case_sensitive {
            return subject.starts_with(begin) && subject.ends_with(end);
        }
        let subject = fold(subject);
        subject.starts_with(&fold(begin)) && subject.ends_with(&fold(end))
    }
}

/// The value a key names. Members of the envelope are found without case, because Azure writes `Subject` for
/// `subject`; those inside `data` exactly as they are (chosen, not observed).
pub(super) fn member<'e>(event: &'e Value, key: &str) -> Option<&'e Value> {
    let mut path = key.split('.');
    let first = path.next()?;
    let (_, envelope) = event.as_object()?.iter().find(|(name, _)| same(name, first))?;
    path.try_fold(envelope, |value, name| value.get(name))
}

fn same(left: &str, right: &str) -> bool {
    fold(left) == fold(right)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn event() -> Value {
        let events: Value = serde_json::from_str(include_str!(
            "../../../../tests/fixtures/eventgrid/event.resources.resource-write-success.json"
        ))
        .unwrap();
        events[0].clone()
    }

    fn string_in(key: &str, values: &[&str]) -> AdvancedFilter {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        AdvancedFilter::new(key, Condition::StringIn { values })
    }

    #[test]
    fn the_documented_cases_are_decided_as_documented() {
        let file: Value =
            serde_json::from_str(include_str!("../../../../tests/fixtures/eventgrid/filter-cases.json"))
                .unwrap();
        for case in file["cases"].as_array().unwrap() {
            let filter = Filter::read(&case["filter"]).unwrap();
            assert_eq!(filter.takes(&file["event"]), case["match"], "{case}");
            assert_eq!(Filter::read(&filter.to_json()).unwrap(), filter, "{case}");
        }
    }

    #[test]
    fn an_event_type_has_to_be_included() {
        for (included, taken) in [
            (vec![], true),
            (vec!["Microsoft.Resources.ResourceWriteSuccess"], true),
            (vec!["microsoft.resources.resourcewritesuccess"], true),
            (vec!["Microsoft.Resources.ResourceDeleteSuccess"], false),
            (vec!["All"], true),
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
    fn a_subject_has_to_begin_and_end_as_wished() {
        for (begin, end, is_case_sensitive, taken) in [
            ("", "", true, true),
            ("/SUBSCRIPTIONS/", "/DPS1", false, true),
            ("/SUBSCRIPTIONS/", "", true, false),
            ("", "/DPS1", true, false),
            ("/subscriptions/", "/dps1", true, true),
            ("/subscriptions/", "/dps2", false, false),
            ("subscriptions/", "", false, false),
        ] {
            let filter = Filter {
                subject_begins_with: begin.to_owned(),
                subject_ends_with: end.to_owned(),
                is_subject_case_sensitive: is_case_sensitive,
                ..Filter::default()
            };
            assert_eq!(filter.takes(&event()), taken, "{begin} {end} {is_case_sensitive}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_by_the_member_that_is_wrong() {
        let long = "x".repeat(513);
        let filter =
            |key: &str, values: &[&str]| json!({ "operatorType": "StringIn", "key": key, "values": values });
        for (body, hint) in [
            (json!([]), "an object"),
            (json!({ "subjectBeginsWith": 1 }), "subjectBeginsWith"),
            (json!({ "isSubjectCaseSensitive": "yes" }), "isSubjectCaseSensitive"),
            (json!({ "includedEventTypes": "All" }), "includedEventTypes"),
            (json!({ "includedEventTypes": [1] }), "includedEventTypes"),
            (json!({ "advancedFilters": {} }), "advancedFilters"),
            (
                json!({ "advancedFilters": [filter("a", &[]), { "operatorType": "Like" }] }),
                "advancedFilters[1]",
            ),
            (json!({ "advancedFilters": [{ "operatorType": "Like", "key": "a" }] }), "StringNotEndsWith"),
            (json!({ "advancedFilters": [{ "operatorType": "StringIn", "key": "a" }] }), "values"),
            (
                json!({ "advancedFilters": [{ "operatorType": "NumberIn", "key": "a", "values": ["1"] }] }),
                "number",
            ),
            (json!({ "advancedFilters": [{ "operatorType": "IsNotNull" }] }), "key"),
            (json!({ "advancedFilters": vec![filter("a", &["x"]); 26] }), "26 advanced filters"),
            (json!({ "advancedFilters": vec![filter("a", &["x"; 13]); 2] }), "26 values"),
            (json!({ "advancedFilters": [filter("a", &[&long])] }), "513 characters"),
        ] {
            let message = Filter::read(&body).unwrap_err().to_string();
            assert!(message.contains(hint), "{body}: {message}");
        }
        assert!(Filter::read(&json!({ "advancedFilters": vec![filter("a", &["x"]); 25] })).is_ok());
        assert_eq!(Filter::read(&json!({ "includedEventTypes": null })).unwrap(), Filter::default());
    }

    #[test]
    fn the_type_of_a_cloud_event_counts_too() {
        let event: Value = serde_json::from_str(include_str!(
            "../../../../tests/fixtures/eventgrid/event.cloudevents-single.json"
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
