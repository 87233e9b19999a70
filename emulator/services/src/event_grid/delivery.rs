//! What is on its way to one subscriber: the request it becomes, and the dead letters it may end as.
//!
//! Mostly that is one event; with batching it is several, which succeed and fail together. Sending it is
//! a host's business.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use url::Url;

use super::batching::Batching;
use super::event::{Schema, timestamp};
use super::name::SubscriptionName;
use super::schedule::{self, Attempt, Next, Reason};
use super::subscription::Subscription;
use crate::ground::exchange::Request;
use crate::ground::stored;

/// One event, or a batch of them, for a subscriber.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Delivery {
    /// Tells it from its duplicates.
    pub(super) number: u64,
    /// As it was when the event was published.
    pub(super) subscription: Arc<Subscription>,
    /// Never empty.
    #[serde(deserialize_with = "stored::not_empty")]
    items: Vec<Item>,
    #[serde(deserialize_with = "stored::count")]
    attempts: u32,
    last: Option<(Attempt, OffsetDateTime)>,
    /// Whether its latest turn was not taken because the endpoint is on probation.
    is_spared: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(remote = "Self")]
struct Item {
    event: Arc<Value>,
    #[serde(deserialize_with = "stored::moment")]
    published: OffsetDateTime,
}

impl Item {
    fn check_stored(&self) -> Result<(), &'static str> {
        if self.event.is_object() { Ok(()) } else { Err("an event that is no object") }
    }
}

stored::checked!(Item);

impl Delivery {
    pub(super) fn first(subscription: &Arc<Subscription>, event: Value, now: OffsetDateTime) -> Delivery {
        Delivery {
            number: 0,
            subscription: Arc::clone(subscription),
            items: vec![Item { event: Arc::new(event), published: now }],
            attempts: 0,
            last: None,
            is_spared: false,
        }
    }

    /// The same event as if it had never been delivered.
    pub(super) fn duplicate(mut self, now: OffsetDateTime) -> Delivery {
        self.items.iter_mut().for_each(|item| item.published = now);
        Delivery { attempts: 0, last: None, is_spared: false, ..self }
    }

    fn check_stored(&self) -> Result<(), &'static str> {
        let last = self.last.map(|(_, at)| at);
        if last.is_none_or(stored::is_possible) {
            Ok(())
        } else {
            Err("an attempt beyond the time that can be shown")
        }
    }

    /// Whose it is.
    pub fn subscription(&self) -> &SubscriptionName {
        &self.subscription.name
    }

    /// Where it goes, key included.
    pub fn endpoint(&self) -> &Url {
        self.subscription.endpoint.url()
    }

    /// The events, in the subscription's schema.
    pub fn events(&self) -> impl ExactSizeIterator<Item = &Value> {
        self.items.iter().map(|item| &*item.event)
    }

    /// The event, or the first of a batch.
    pub fn event(&self) -> &Value {
        &self.items[0].event
    }

    /// The event's id, the same in every duplicate.
    pub fn event_id(&self) -> &str {
        self.event()["id"].as_str().unwrap_or_default()
    }

    /// What the event is about: an ARM id.
    pub fn subject(&self) -> &str {
        self.event()["subject"].as_str().unwrap_or_default()
    }

    /// How many attempts were made before this one.
    pub fn attempts_before(&self) -> u32 {
        self.attempts
    }

    /// The whole POST.
    pub fn request(&self) -> Request {
        let mut request = Request::new(self.body());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint().as_str().parse().unwrap_or_default();
        *request.headers_mut() = self.headers();
        request
    }

    /// The headers of the POST.
    pub fn headers(&self) -> HeaderMap {
        let media_type = match (self.subscription.schema, self.subscription.batching.is_on()) {
            (Schema::EventGrid, _) => "application/json; charset=utf-8",
            (Schema::CloudEvents, false) => "application/cloudevents+json; charset=utf-8",
            (Schema::CloudEvents, true) => "application/cloudevents-batch+json; charset=utf-8",
        };
        let data_version = self.event()["dataVersion"].as_str().unwrap_or_default();
        let mut headers = notification("Notification", self.subscription(), self.attempts, data_version);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        if self.subscription.schema == Schema::CloudEvents {
            headers.insert(header::ORIGIN, HeaderValue::from_static(ORIGIN));
        }
        for attribute in &self.subscription.attributes {
            if let Some(value) = attribute.value(self.event()) {
                headers.insert(attribute.name(), value);
            }
        }
        headers
    }

    /// The body of the POST. In the Event Grid schema it is always an array; a CloudEvent is an object unless
    /// the subscription takes batches.
    pub fn body(&self) -> Bytes {
        match self.subscription.schema {
            Schema::CloudEvents if !self.subscription.batching.is_on() => self.event().to_string().into(),
            Schema::EventGrid | Schema::CloudEvents => {
                let events: Vec<&Value> = self.events().collect();
                serde_json::to_vec(&events).expect("values can be written").into()
            }
        }
    }

    pub(super) fn record(&mut self, attempt: Attempt, now: OffsetDateTime) -> Next {
        self.attempts += 1;
        self.last = Some((attempt, now));
        self.is_spared = false;
        let Subscription { retry, endpoint, .. } = &*self.subscription;
        schedule::after(attempt, self.attempts, *retry, endpoint.kind(), now)
    }

    /// Takes note that it is not sent although it is due.
    pub(super) fn spare(&mut self) {
        self.is_spared = true;
    }

    /// Takes the events whose time to live has run out, as dead letters. A first attempt is made however late,
    /// unless the endpoint is on probation.
    pub(super) fn expire(&mut self, now: OffsetDateTime) -> Vec<Value> {
        if self.last.is_none() && !self.is_spared {
            return Vec::new();
        }
        let time_to_live = self.subscription.retry.time_to_live;
        let is_old = |item: &Item| now - item.published >= time_to_live;
        let (old, items) = std::mem::take(&mut self.items).into_iter().partition(is_old);
        self.items = items;
        self.letters(old, Reason::TimeToLiveExceeded)
    }

    /// Whether nothing is left to be delivered.
    pub(super) fn is_over(&self) -> bool {
        self.items.is_empty()
    }

    /// All its events as dead letters.
    pub(super) fn give_up(&mut self, reason: Reason) -> Vec<Value> {
        let items = std::mem::take(&mut self.items);
        self.letters(items, reason)
    }

    /// Takes another delivery's events into this one, if the subscription wants them together and there is room;
    /// else gives it back.
    pub(super) fn absorb(&mut self, other: Delivery) -> Option<Delivery> {
        let Batching { max_events, preferred_kilobytes } = self.subscription.batching;
        let size = |delivery: &Delivery| -> usize {
            delivery.items.iter().map(|item| item.event.to_string().len()).sum()
        };
        let fits = Arc::ptr_eq(&self.subscription, &other.subscription)
            && (self.attempts, other.attempts) == (0, 0)
            && self.items.len() + other.items.len() <= max_events as usize
            && size(self) + size(&other) <= preferred_kilobytes as usize * 1024;
        if !fits {
            return Some(other);
        }
        self.items.extend(other.items);
        None
    }

    fn letters(&self, items: Vec<Item>, reason: Reason) -> Vec<Value> {
        items.into_iter().map(|item| self.letter(item, reason)).collect()
    }

    fn letter(&self, Item { event, published }: Item, reason: Reason) -> Value {
        let mut letter = Arc::unwrap_or_clone(event);
        let outcome = match self.last {
            _ if self.is_spared => Some("Probation"),
            last => last.map(|(attempt, _)| attempt.outcome()),
        };
        let published = timestamp(published);
        match self.subscription.schema {
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

stored::checked!(Delivery);

/// Who Event Grid says it is.
pub(super) const ORIGIN: &str = "eventgrid.azure.net";

/// The headers on everything Event Grid posts.
pub(super) fn notification(
    event_type: &'static str,
    subscription: &SubscriptionName,
    attempts: u32,
    data_version: &str,
) -> HeaderMap {
    let text = |value: &str| HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""));
    HeaderMap::from_iter([
        (HeaderName::from_static("aeg-event-type"), HeaderValue::from_static(event_type)),
        (HeaderName::from_static("aeg-subscription-name"), text(&subscription.upper_case())),
        (HeaderName::from_static("aeg-delivery-count"), HeaderValue::from(attempts)),
        (HeaderName::from_static("aeg-data-version"), text(data_version)),
        (HeaderName::from_static("aeg-metadata-version"), HeaderValue::from_static("1")),
    ])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use http::StatusCode;
    use time::macros::datetime;

    use super::super::attribute::DeliveryAttribute;
    use super::super::tests::subscription;
    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-05 10:00 UTC);

    fn delivery(schema: Schema, event: Value) -> Delivery {
        delivery_with(schema, event, |_| {})
    }

    fn delivery_with(schema: Schema, event: Value, change: impl FnOnce(&mut Subscription)) -> Delivery {
        let mut subscription = subscription("My-Subscription", "http://127.0.0.1/?code=secret");
        subscription.schema = schema;
        change(&mut subscription);
        Delivery::first(&Arc::new(subscription), event, NOW)
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
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        delivery.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    #[test]
    fn headers_are_those_of_a_captured_delivery() {
        let mut expected =
            captured(include_str!("../../../../tests/fixtures/eventgrid/delivery.eventgrid.headers.json"));
        // The capture is of a Key Vault event; ARM events have data version 2.
        expected.insert("aeg-data-version".to_owned(), "2".to_owned());
        assert_eq!(sent(&delivery(Schema::EventGrid, json!({ "dataVersion": "2" }))), expected);

        let expected =
            captured(include_str!("../../../../tests/fixtures/eventgrid/delivery.cloudevents.headers.json"));
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
    fn whoever_takes_batches_gets_an_array_even_of_one() {
        for (schema, media_type) in [
            (Schema::EventGrid, "application/json; charset=utf-8"),
            (Schema::CloudEvents, "application/cloudevents-batch+json; charset=utf-8"),
        ] {
            let batches = |subscription: &mut Subscription| subscription.batching.max_events = 2;
            let mut batch = delivery_with(schema, json!({"id": "1"}), batches);
            assert_eq!(
                (batch.body().as_ref(), &*sent(&batch)["content-type"]),
                (&br#"[{"id":"1"}]"#[..], media_type)
            );
            let second = Delivery {
                items: vec![Item { event: Arc::new(json!({"id": "2"})), published: NOW }],
                ..batch.clone()
            };
            let third = batch.clone();
            assert!(batch.absorb(second).is_none());
            assert_eq!(batch.body(), r#"[{"id":"1"},{"id":"2"}]"#);
            assert!(batch.absorb(third).is_some(), "full");
        }
    }

    #[test]
    fn a_batch_does_not_outgrow_its_preferred_size_but_for_one_large_event() {
        let event = json!({ "id": "1", "data": "x".repeat(700) });
        let large = json!({ "id": "2", "data": "x".repeat(5000) });
        let batches = |subscription: &mut Subscription| {
            subscription.batching = Batching { max_events: 10, preferred_kilobytes: 1 };
        };
        let mut batch = delivery_with(Schema::EventGrid, event, batches);
        let (second, mut large) = (
            batch.clone(),
            Delivery { items: vec![Item { event: Arc::new(large), published: NOW }], ..batch.clone() },
        );
        assert!(batch.absorb(second.clone()).is_some());
        assert!(large.absorb(second).is_some() && large.body().len() > 5000);
    }

    #[test]
    fn headers_of_one_s_own_come_along() {
        let attributes = |subscription: &mut Subscription| {
            subscription.attributes = vec![
                DeliveryAttribute::fixed("X-Line", "7", false).unwrap(),
                DeliveryAttribute::member("X-About", "subject").unwrap(),
                DeliveryAttribute::member("X-None", "data.none").unwrap(),
            ];
        };
        let sent = sent(&delivery_with(Schema::EventGrid, json!({ "subject": "root-ca" }), attributes));
        assert_eq!((&*sent["x-line"], &*sent["x-about"], sent.get("x-none")), ("7", "root-ca", None));
        assert_eq!(sent["aeg-event-type"], "Notification");
    }

    #[test]
    fn a_dead_letter_has_the_documented_members() {
        for (schema, event, expected) in [
            (
                Schema::EventGrid,
                include_str!(
                    "../../../../tests/fixtures/eventgrid/event.resources.resource-write-success.json"
                ),
                include_str!("../../../../tests/fixtures/eventgrid/deadletter.eventgrid.json"),
            ),
            (
                Schema::CloudEvents,
                include_str!("../../../../tests/fixtures/eventgrid/event.cloudevents-single.json"),
                include_str!("../../../../tests/fixtures/eventgrid/deadletter.cloudevents.json"),
            ),
        ] {
            let event = match json(event) {
                Value::Array(events) => events[0].clone(),
                event => event,
            };
            let mut delivery = delivery(schema, event);
            delivery.record(Attempt::Answered(StatusCode::NOT_FOUND), NOW);
            let letter = delivery.give_up(Reason::MaxDeliveryAttemptsExceeded).remove(0);
            assert!(delivery.is_over());

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
