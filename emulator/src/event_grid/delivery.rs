//! One event on its way to one subscriber: the request it becomes, and the dead letter it may end as.
//!
//! Sending it is `crate::delivery`'s business.

use bytes::Bytes;
use serde_json::{Value, json};
use time::OffsetDateTime;
use url::Url;

use super::event::{Schema, timestamp};
use super::schedule::{self, Attempt, Next, Reason, RetryPolicy};
use super::subscription::{Endpoint, Subscription, SubscriptionName};

/// An event for a subscriber.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Tells it from its duplicates.
    pub(super) number: u64,
    subscription: SubscriptionName,
    schema: Schema,
    retry: RetryPolicy,
    endpoint: Endpoint,
    event: Value,
    published: OffsetDateTime,
    attempts: u32,
    last: Option<(Attempt, OffsetDateTime)>,
}

impl Delivery {
    pub(super) fn first(subscription: &Subscription, event: Value, now: OffsetDateTime) -> Delivery {
        Delivery {
            number: 0,
            subscription: subscription.name.clone(),
            schema: subscription.schema,
            retry: subscription.retry,
            endpoint: subscription.endpoint.clone(),
            event,
            published: now,
            attempts: 0,
            last: None,
        }
    }

    /// The same event as if it had never been delivered.
    pub(super) fn duplicate(self, now: OffsetDateTime) -> Delivery {
        Delivery { published: now, attempts: 0, last: None, ..self }
    }

    /// Whose it is.
    pub fn subscription(&self) -> &SubscriptionName {
        &self.subscription
    }

    /// Where it goes, key included.
    pub fn endpoint(&self) -> &Url {
        self.endpoint.url()
    }

    /// The event, in the subscription's schema.
    pub fn event(&self) -> &Value {
        &self.event
    }

    /// The event's id, the same in every duplicate.
    pub fn event_id(&self) -> &str {
        self.event["id"].as_str().unwrap_or_default()
    }

    /// What the event is about: an ARM id.
    pub fn subject(&self) -> &str {
        self.event["subject"].as_str().unwrap_or_default()
    }

    /// How many attempts were made before this one.
    pub fn attempts_before(&self) -> u32 {
        self.attempts
    }

    /// The headers of the POST.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let (media_type, data_version) = match self.schema {
            Schema::EventGrid => ("application/json; charset=utf-8", "2"),
            Schema::CloudEvents => ("application/cloudevents+json; charset=utf-8", ""),
        };
        let mut headers = vec![
            ("content-type", media_type.to_owned()),
            ("aeg-event-type", "Notification".to_owned()),
            ("aeg-subscription-name", self.subscription.upper_case()),
            ("aeg-delivery-count", self.attempts.to_string()),
            ("aeg-data-version", data_version.to_owned()),
            ("aeg-metadata-version", "1".to_owned()),
        ];
        if self.schema == Schema::CloudEvents {
            headers.push(("origin", "eventgrid.azure.net".to_owned()));
        }
        headers
    }

    /// The body of the POST: one event is an array in one schema and an object in the other.
    pub fn body(&self) -> Bytes {
        match self.schema {
            Schema::EventGrid => format!("[{}]", self.event).into(),
            Schema::CloudEvents => self.event.to_string().into(),
        }
    }

    pub(super) fn record(&mut self, attempt: Attempt, now: OffsetDateTime) -> Next {
        self.attempts += 1;
        self.last = Some((attempt, now));
        schedule::after(attempt, self.attempts, self.retry, now)
    }

    pub(super) fn has_expired(&self, now: OffsetDateTime) -> bool {
        self.last.is_some() && now - self.published >= self.retry.time_to_live
    }

    pub(super) fn dead_letter(self, reason: Reason) -> Value {
        let mut letter = self.event;
        let outcome = self.last.map(|(attempt, _)| attempt.outcome());
        let published = timestamp(self.published);
        match self.schema {
            Schema::EventGrid => {
                letter["deadLetterReason"] = json!(reason.name());
                letter["deliveryAttempts"] = json!(self.attempts);
                letter["lastDeliveryOutcome"] = json!(outcome);
                letter["publishTime"] = json!(published);
                letter["lastDeliveryAttemptTime"] = json!(self.last.map(|(_, at)| timestamp(at)));
            }
            // Attributes of a CloudEvent are lower case; the documented sample lacks the last attempt.
            Schema::CloudEvents => {
                letter["deadletterreason"] = json!(reason.name());
                letter["deliveryattempts"] = json!(self.attempts);
                letter["lastdeliveryoutcome"] = json!(outcome);
                letter["publishtime"] = json!(published);
            }
        }
        letter
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use http::StatusCode;
    use time::macros::datetime;

    use super::super::tests::subscription;
    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-05 10:00 UTC);

    fn delivery(schema: Schema, event: Value) -> Delivery {
        let mut subscription = subscription("My-Subscription", "http://127.0.0.1/?code=secret");
        subscription.schema = schema;
        Delivery::first(&subscription, event, NOW)
    }

    fn json(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    fn captured(text: &str) -> BTreeMap<String, String> {
        let mut headers: BTreeMap<String, String> = serde_json::from_str(text).unwrap();
        headers.retain(|name, _| !["Accept-Encoding", "Connection"].contains(&name.as_str()));
        headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect()
    }

    fn sent(delivery: &Delivery) -> BTreeMap<String, String> {
        delivery.headers().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn headers_are_those_of_a_captured_delivery() {
        let mut expected =
            captured(include_str!("../../../tests/fixtures/eventgrid/delivery.eventgrid.headers.json"));
        // The capture is of a Key Vault event; ARM events have data version 2.
        expected.insert("aeg-data-version".to_owned(), "2".to_owned());
        assert_eq!(sent(&delivery(Schema::EventGrid, json!({}))), expected);

        let expected =
            captured(include_str!("../../../tests/fixtures/eventgrid/delivery.cloudevents.headers.json"));
        assert_eq!(sent(&delivery(Schema::CloudEvents, json!({}))), expected);
    }

    #[test]
    fn the_delivery_count_is_that_of_earlier_attempts() {
        let mut delivery = delivery(Schema::EventGrid, json!({}));
        for count in ["0", "1", "2"] {
            assert_eq!(sent(&delivery)["aeg-delivery-count"], count);
            delivery.record(Attempt::TimedOut, NOW);
        }
        assert_eq!(sent(&delivery.duplicate(NOW))["aeg-delivery-count"], "0");
    }

    #[test]
    fn one_event_is_an_array_or_an_object_by_schema() {
        let event = json!({"id": "1"});
        assert_eq!(delivery(Schema::EventGrid, event.clone()).body(), r#"[{"id":"1"}]"#);
        assert_eq!(delivery(Schema::CloudEvents, event).body(), r#"{"id":"1"}"#);
    }

    #[test]
    fn a_dead_letter_has_the_documented_members() {
        for (schema, event, expected) in [
            (
                Schema::EventGrid,
                include_str!("../../../tests/fixtures/eventgrid/event.resources.resource-write-success.json"),
                include_str!("../../../tests/fixtures/eventgrid/deadletter.eventgrid.json"),
            ),
            (
                Schema::CloudEvents,
                include_str!("../../../tests/fixtures/eventgrid/event.cloudevents-single.json"),
                include_str!("../../../tests/fixtures/eventgrid/deadletter.cloudevents.json"),
            ),
        ] {
            let event = match json(event) {
                Value::Array(events) => events[0].clone(),
                event => event,
            };
            let mut delivery = delivery(schema, event);
            delivery.record(Attempt::Answered(StatusCode::NOT_FOUND), NOW);
            let letter = delivery.dead_letter(Reason::MaxDeliveryAttemptsExceeded);

            let expected = &json(expected)[0];
            let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(names(&letter), names(expected), "{schema:?}");
            for member in ["deadLetterReason", "deliveryAttempts", "lastDeliveryOutcome"] {
                let member =
                    if schema == Schema::CloudEvents { member.to_lowercase() } else { member.to_owned() };
                assert_eq!(letter[&member], expected[&member], "{member}");
            }
        }
    }

    #[test]
    fn the_endpoint_s_key_stays_out_of_debug_output() {
        assert!(!format!("{:?}", delivery(Schema::EventGrid, json!({}))).contains("secret"));
    }
}
