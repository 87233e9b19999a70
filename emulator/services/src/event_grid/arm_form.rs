//! An event subscription as Azure Resource Manager writes it down: read from a request, shown in an answer.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::attribute::DeliveryAttribute;
use super::batching::Batching;
use super::dead_letter::DeadLetterContainer;
use super::endpoint::{DestinationKind, Endpoint};
use super::event::Schema;
use super::filter::Filter;
use super::name::SubscriptionName;
use super::schedule::RetryPolicy;
use super::subscription::{DEAD_LETTER_DESTINATION, InvalidSubscription, Scope, Subscription};

impl Subscription {
    /// Reads the `properties` of an event subscription. `webhook_of` says where the function of a resource id is
    /// reached, if anybody here runs it. What the emulator does not do is refused, and nothing is left out in
    /// silence.
    pub fn read(
        name: SubscriptionName,
        scope: Scope,
        properties: &Value,
        webhook_of: impl FnOnce(&str) -> Option<Url>,
    ) -> Result<Subscription, InvalidSubscription> {
        let destination = &properties["destination"];
        let subscription = Subscription {
            name,
            scope,
            schema: schema(&properties["eventDeliverySchema"])?,
            filter: Filter::read(&properties["filter"])?,
            retry: retry(&properties["retryPolicy"])?,
            batching: batching(&destination["properties"])?,
            attributes: attributes(&destination["properties"]["deliveryAttributeMappings"])?,
            endpoint: endpoint(destination, webhook_of)?,
            dead_letters: dead_letters(&properties["deadLetterDestination"])?,
        };
        for member in ["deliveryWithResourceIdentity", "deadLetterWithResourceIdentity", "expirationTimeUtc"]
        {
            if !properties[member].is_null() {
                return Err(wrong(member, "left out: the emulator does not have it"));
            }
        }
        subscription.check()?;
        Ok(subscription)
    }

    /// The `properties` that [`Subscription::read`] reads, with the endpoint's key and secret headers left out, as
    /// Azure shows them.
    pub fn to_json(&self) -> Value {
        let Batching { max_events, preferred_kilobytes } = self.batching;
        let (kind, mut destination) = match self.endpoint.function_id() {
            Some(id) => ("AzureFunction", json!({ "resourceId": id })),
            None => ("WebHook", json!({ "endpointBaseUrl": self.endpoint.base_url() })),
        };
        destination["maxEventsPerBatch"] = json!(max_events);
        destination["preferredBatchSizeInKilobytes"] = json!(preferred_kilobytes);
        destination["deliveryAttributeMappings"] = self.attributes.iter().map(attribute_to_json).collect();
        let mut properties = json!({
            "topic": self.scope.as_str(),
            "destination": { "endpointType": kind, "properties": destination },
            "filter": self.filter.to_json(),
            "labels": [],
            "eventDeliverySchema": match self.schema {
                Schema::EventGrid => EVENT_GRID,
                Schema::CloudEvents => CLOUD_EVENTS,
            },
            "retryPolicy": {
                "maxDeliveryAttempts": self.retry.max_attempts,
                "eventTimeToLiveInMinutes": self.retry.time_to_live.as_secs() / 60,
            },
        });
        if let Some(DeadLetterContainer { storage_account, container }) = &self.dead_letters {
            properties["deadLetterDestination"] = json!({
                "endpointType": "StorageBlob",
                "properties": { "resourceId": storage_account, "blobContainerName": container },
            });
        }
        properties
    }
}

const EVENT_GRID: &str = "EventGridSchema";
const CLOUD_EVENTS: &str = "CloudEventSchemaV1_0";

fn wrong(member: &'static str, expected: &'static str) -> InvalidSubscription {
    InvalidSubscription::Member { member, expected }
}

fn schema(name: &Value) -> Result<Schema, InvalidSubscription> {
    match name.as_str() {
        None if name.is_null() => Ok(Schema::EventGrid),
        Some(EVENT_GRID) => Ok(Schema::EventGrid),
        Some(CLOUD_EVENTS) => Ok(Schema::CloudEvents),
        _ => Err(wrong("eventDeliverySchema", "EventGridSchema or CloudEventSchemaV1_0")),
    }
}

fn retry(policy: &Value) -> Result<RetryPolicy, InvalidSubscription> {
    let default = RetryPolicy::default();
    let attempts = number(&policy["maxDeliveryAttempts"], "retryPolicy.maxDeliveryAttempts", "1 to 30")?;
    let minutes = number(
        &policy["eventTimeToLiveInMinutes"],
        "retryPolicy.eventTimeToLiveInMinutes",
        "a whole number of minutes, 1 to 1440",
    )?;
    Ok(RetryPolicy {
        max_attempts: attempts.unwrap_or(default.max_attempts),
        time_to_live: minutes
            .map_or(default.time_to_live, |minutes| Duration::from_secs(60 * u64::from(minutes))),
    })
}

fn batching(destination: &Value) -> Result<Batching, InvalidSubscription> {
    let default = Batching::default();
    let events = number(
        &destination["maxEventsPerBatch"],
        "destination.properties.maxEventsPerBatch",
        "a number, 1 to 5000",
    )?;
    let kilobytes = number(
        &destination["preferredBatchSizeInKilobytes"],
        "destination.properties.preferredBatchSizeInKilobytes",
        "a number, 1 to 1024",
    )?;
    Ok(Batching {
        max_events: events.unwrap_or(default.max_events),
        preferred_kilobytes: kilobytes.unwrap_or(default.preferred_kilobytes),
    })
}

fn number(
    value: &Value,
    member: &'static str,
    expected: &'static str,
) -> Result<Option<u32>, InvalidSubscription> {
    match value.as_u64().map(u32::try_from) {
        None if value.is_null() => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        _ => Err(wrong(member, expected)),
    }
}

fn endpoint(
    destination: &Value,
    webhook_of: impl FnOnce(&str) -> Option<Url>,
) -> Result<Endpoint, InvalidSubscription> {
    let properties = &destination["properties"];
    let kind = match destination["endpointType"].as_str() {
        Some("WebHook") => DestinationKind::WebHook,
        Some("AzureFunction") => DestinationKind::AzureFunction,
        _ => {
            return Err(wrong(
                "destination.endpointType",
                "WebHook or AzureFunction; the emulator has no other",
            ));
        }
    };
    match kind {
        DestinationKind::AzureFunction => {
            let Some(id) = properties["resourceId"].as_str() else {
                return Err(wrong("destination.properties.resourceId", "the id of a function"));
            };
            let webhook =
                webhook_of(id).ok_or_else(|| InvalidSubscription::UnknownFunction(id.to_owned()))?;
            Ok(Endpoint::function(id, webhook))
        }
        DestinationKind::WebHook => {
            if ["azureActiveDirectoryTenantId", "azureActiveDirectoryApplicationIdOrUri"]
                .iter()
                .any(|member| !properties[*member].is_null())
            {
                return Err(wrong(
                    "destination.properties",
                    "without azureActiveDirectory…: the emulator does not sign deliveries",
                ));
            }
            let url = properties["endpointUrl"].as_str().and_then(|url| Url::parse(url).ok());
            match url.filter(Endpoint::is_allowed) {
                Some(url) => Ok(url.into()),
                None => Err(wrong("destination.properties.endpointUrl", "an https or http URL")),
            }
        }
    }
}

fn attributes(list: &Value) -> Result<Vec<DeliveryAttribute>, InvalidSubscription> {
    const MEMBER: &str = "destination.properties.deliveryAttributeMappings";
    let list = match list {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) => list,
        _ => return Err(wrong(MEMBER, "a list")),
    };
    list.iter()
        .map(|item| {
            let (name, properties) = (item["name"].as_str().unwrap_or_default(), &item["properties"]);
            match (item["type"].as_str(), properties["value"].as_str(), properties["sourceField"].as_str()) {
                (Some("Static"), Some(value), _) => {
                    let is_secret = properties["isSecret"].as_bool().unwrap_or_default();
                    Ok(DeliveryAttribute::fixed(name, value, is_secret)?)
                }
                (Some("Dynamic"), _, Some(key)) => Ok(DeliveryAttribute::member(name, key)?),
                _ => Err(wrong(
                    MEMBER,
                    "a list of Static ones with a value and Dynamic ones with a sourceField",
                )),
            }
        })
        .collect()
}

fn attribute_to_json(attribute: &DeliveryAttribute) -> Value {
    let name = attribute.name().as_str();
    match attribute.source() {
        Ok((_, true)) => {
            json!({ "name": name, "type": "Static", "properties": { "value": null, "isSecret": true } })
        }
        Ok((value, false)) => {
            json!({ "name": name, "type": "Static", "properties": { "value": value, "isSecret": false } })
        }
        Err(key) => json!({ "name": name, "type": "Dynamic", "properties": { "sourceField": key } }),
    }
}

fn dead_letters(destination: &Value) -> Result<Option<DeadLetterContainer>, InvalidSubscription> {
    if destination.is_null() {
        return Ok(None);
    }
    let text = |member: &str| destination["properties"][member].as_str().map(str::to_owned);
    match (destination["endpointType"].as_str(), text("resourceId"), text("blobContainerName")) {
        // Whether the name can be had is looked at with everything else.
        (Some("StorageBlob"), Some(storage_account), Some(container)) => {
            Ok(Some(DeadLetterContainer { storage_account, container }))
        }
        _ => Err(wrong("deadLetterDestination", DEAD_LETTER_DESTINATION)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn documented(text: &str) -> Value {
        serde_json::from_str::<Value>(text).unwrap()["properties"].take()
    }

    fn webhook() -> Value {
        documented(include_str!("../../../../tests/fixtures/eventgrid/subscription.webhook.json"))
    }

    fn read(properties: &Value) -> Result<Subscription, InvalidSubscription> {
        let webhook_of = |id: &str| {
            let function =
                id.strip_prefix("/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/rg1/")?;
            let function = function.strip_prefix("providers/Microsoft.Web/sites/app/functions/")?;
            format!("http://127.0.0.1:7071/runtime/webhooks/eventgrid?functionName={function}").parse().ok()
        };
        Subscription::read("on-upload".parse().unwrap(), Scope::subscription("s1"), properties, webhook_of)
    }

    #[test]
    fn the_documented_subscription_of_a_webhook_is_read_and_shown_without_its_key() {
        let documented = webhook();
        let subscription = read(&documented).unwrap();
        assert_eq!(subscription.endpoint.kind(), DestinationKind::WebHook);
        assert!(subscription.endpoint.url().as_str().contains("code="));
        let shown = subscription.to_json();
        for member in ["filter", "retryPolicy", "deadLetterDestination", "eventDeliverySchema", "labels"] {
            assert_eq!(shown[member], documented[member], "{member}");
        }
        let destination = &shown["destination"]["properties"];
        assert_eq!(
            destination["endpointBaseUrl"],
            "https://app.azurewebsites.net/runtime/webhooks/eventgrid"
        );
        assert_eq!(destination["preferredBatchSizeInKilobytes"], 64);
        assert!(!shown.to_string().contains("code="), "{shown}");
    }

    #[test]
    fn the_documented_subscription_of_a_function_finds_its_webhook() {
        let documented =
            documented(include_str!("../../../../tests/fixtures/eventgrid/subscription.azurefunction.json"));
        let subscription = read(&documented).unwrap();
        assert_eq!(subscription.endpoint.kind(), DestinationKind::AzureFunction);
        assert_eq!(subscription.endpoint.url().query(), Some("functionName=OnEvent"));
        assert_eq!(
            subscription.to_json()["destination"]["properties"]["resourceId"],
            documented["destination"]["properties"]["resourceId"]
        );
        assert_eq!(subscription.dead_letters, None);
    }

    #[test]
    fn headers_come_back_as_they_went_but_for_secrets() {
        let mut properties = webhook();
        let mappings = json!([
            { "name": "x-line", "type": "Static", "properties": { "value": "7", "isSecret": false } },
            { "name": "x-key", "type": "Static", "properties": { "value": "open sesame", "isSecret": true } },
            { "name": "x-about", "type": "Dynamic", "properties": { "sourceField": "data.operationName" } },
        ]);
        properties["destination"]["properties"]["deliveryAttributeMappings"] = mappings.clone();
        let shown = read(&properties).unwrap().to_json();
        let shown = &shown["destination"]["properties"]["deliveryAttributeMappings"];
        assert_eq!((&shown[0], &shown[2]), (&mappings[0], &mappings[2]));
        assert_eq!(shown[1]["properties"], json!({ "value": null, "isSecret": true }));
    }

    #[test]
    fn what_is_wrong_is_named_and_what_is_not_emulated_is_not_ignored() {
        for (pointer, value, hint) in [
            ("/destination/endpointType", json!("EventHub"), "WebHook or AzureFunction"),
            ("/destination/properties/endpointUrl", json!("app.test"), "endpointUrl"),
            ("/destination/properties/endpointUrl", Value::Null, "endpointUrl"),
            ("/destination/properties/azureActiveDirectoryTenantId", json!("t"), "azureActiveDirectory"),
            ("/destination/properties/maxEventsPerBatch", json!(5001), "1 to 5000"),
            ("/destination/properties/maxEventsPerBatch", json!("1"), "maxEventsPerBatch"),
            ("/destination/properties/preferredBatchSizeInKilobytes", json!(0), "1 to 1024"),
            ("/destination/properties/deliveryAttributeMappings", json!([{}]), "deliveryAttributeMappings"),
            ("/eventDeliverySchema", json!("CustomInputSchema"), "CloudEventSchemaV1_0"),
            ("/retryPolicy/maxDeliveryAttempts", json!(31), "1 to 30"),
            ("/retryPolicy/eventTimeToLiveInMinutes", json!(1.5), "whole number"),
            ("/retryPolicy/eventTimeToLiveInMinutes", json!(1441), "1 to 1440"),
            ("/deadLetterDestination/endpointType", json!("Queue"), "deadLetterDestination"),
            ("/deadLetterDestination/properties/blobContainerName", json!("../up"), "blobContainerName"),
            ("/filter/advancedFilters/0/operatorType", json!("Like"), "advancedFilters[0]"),
        ] {
            let mut properties = webhook();
            *properties.pointer_mut(pointer).unwrap() = value;
            let message = read(&properties).unwrap_err().to_string();
            assert!(message.contains(hint), "{pointer}: {message}");
        }
        let mut properties = webhook();
        properties["expirationTimeUtc"] = json!("2030-01-01T00:00:00Z");
        assert!(
            read(&properties).unwrap_err().to_string().starts_with("expirationTimeUtc has to be left out")
        );
        properties = webhook();
        properties["destination"] =
            json!({ "endpointType": "AzureFunction", "properties": { "resourceId": "/x" } });
        assert!(read(&properties).unwrap_err().to_string().contains("\"/x\" is no function here"));
    }

    #[test]
    fn what_is_not_said_is_as_in_azure() {
        let minimal = json!({ "destination": { "endpointType": "WebHook", "properties": { "endpointUrl": "https://app.test/" } } });
        let subscription = read(&minimal).unwrap();
        assert_eq!(subscription.retry, RetryPolicy::default());
        assert_eq!(subscription.batching, Batching::default());
        assert_eq!((subscription.schema, subscription.filter), (Schema::EventGrid, Filter::default()));
    }
}
