//! Event subscriptions, what is on its way to them, and what nobody took.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use url::Url;

use super::error::ControlError;
use keyholder_emulator::event_grid::{
    self, DeadLetter, EventGrid, Provisioning, Scope, Subscription, SubscriptionName,
};
use keyholder_emulator::world::World;

/// What Event Grid keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventGridState {
    /// Every event subscription, also those that are not in force yet.
    pub subscriptions: Vec<EventSubscription>,
    /// How often each event is delivered.
    pub copies: usize,
    /// Whether events wait until they are released.
    pub holds_back: bool,
    /// How many deliveries and questions are on their way.
    pub in_flight: usize,
    /// When the next one is due.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<keyholder_emulator::moment::Moment>")]
    pub next_due: Option<OffsetDateTime>,
    /// How many events nobody took and no container keeps.
    pub dropped: u64,
}

/// An event subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventSubscription {
    /// Its name.
    pub name: String,
    /// How far it is: Creating, Updating, AwaitingManualAction, Succeeded or Failed.
    pub provisioning_state: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The link that somebody has to follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_url: Option<String>,
    /// As Azure Resource Manager writes it; the scope is in `topic`.
    pub properties: Value,
}

/// Which subscription.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionTarget {
    /// Its name: 3 to 64 letters, digits and hyphens.
    pub name: String,
}

/// A subscription to be. Its endpoint is asked whether it agrees.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewSubscription {
    /// What is watched: the id of an Azure subscription or of a resource group.
    pub scope: String,
    /// `properties` as Azure Resource Manager takes them: destination, filter, eventDeliverySchema and so on.
    pub properties: Value,
}

/// What at-least-once delivery may do, on demand.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Disorder {
    /// From now on each event is delivered so many times; with 0 events are lost.
    #[serde(default, deserialize_with = "copies", skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub copies: Option<usize>,
    /// From now on events wait.
    #[serde(default)]
    pub hold_back: bool,
    /// Lets those that wait go, in an order drawn with this seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u64>,
}

/// An event to be delivered once more.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redelivery {
    /// Its id, as the journal has it.
    pub event_id: String,
}

/// What nobody took.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetters {
    /// Oldest first.
    pub dead_letters: Vec<DeadLetterInfo>,
}

/// An event nobody took.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterInfo {
    /// Container and blob.
    pub path: String,
    /// When the blob is there.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "keyholder_emulator::moment::Moment")]
    pub due: OffsetDateTime,
    /// The event, with what Event Grid adds to it.
    pub letter: Value,
}

/// Reads the number, or null.
fn copies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    #[derive(Deserialize)]
    struct Copies(#[serde(deserialize_with = "event_grid::copies")] usize);
    Ok(Option::<Copies>::deserialize(deserializer)?.map(|Copies(copies)| copies))
}

impl EventGridState {
    pub(super) fn of(grid: &EventGrid, now: OffsetDateTime) -> EventGridState {
        EventGridState {
            subscriptions: grid.all().map(|subscription| shown(grid, subscription, now)).collect(),
            copies: grid.copies(),
            holds_back: grid.holds_back(),
            in_flight: grid.in_flight(),
            next_due: grid.next_due(),
            dropped: grid.dropped(),
        }
    }
}

impl NewSubscription {
    /// `functions` is where the Functions host is.
    pub(super) fn propose(
        &self,
        name: &str,
        functions: Option<&Url>,
        world: &mut World,
        now: OffsetDateTime,
    ) -> Result<EventSubscription, ControlError> {
        let name = subscription_name(name)?;
        let scope: Scope =
            self.scope.parse().map_err(|error| ControlError::invalid(format!("scope: {error}")))?;
        let webhook_of = |id: &str| webhook(functions?, id);
        let subscription = Subscription::read(name, scope, &self.properties, webhook_of);
        let invalid = |error: keyholder_emulator::event_grid::InvalidSubscription| {
            ControlError::invalid(error.to_string())
        };
        let subscription = subscription.map_err(invalid)?;
        world.event_grid.propose(subscription.clone(), now).map_err(invalid)?;
        Ok(shown(&world.event_grid, &subscription, now))
    }
}

impl DeadLetters {
    pub(super) fn of(grid: &EventGrid) -> DeadLetters {
        let info = |letter: &DeadLetter| DeadLetterInfo {
            path: letter.path().to_owned(),
            due: letter.due(),
            letter: letter.letter().clone(),
        };
        DeadLetters { dead_letters: grid.dead_letters().map(info).collect() }
    }
}

pub(super) fn subscription_name(name: &str) -> Result<SubscriptionName, ControlError> {
    name.parse().map_err(|error: keyholder_emulator::event_grid::InvalidSubscriptionName| {
        ControlError::invalid(error.to_string())
    })
}

fn shown(grid: &EventGrid, subscription: &Subscription, now: OffsetDateTime) -> EventSubscription {
    let state = grid.provisioning(&subscription.name, now).unwrap_or(Provisioning::Succeeded);
    let provisioning_state = state.name().to_owned();
    let (reason, validation_url) = match state {
        Provisioning::Failed(reason) => (Some(reason), None),
        Provisioning::AwaitingManualAction(link) => (None, Some(link.into())),
        _ => (None, None),
    };
    let (name, properties) = (subscription.name.to_string(), subscription.to_json());
    EventSubscription { name, provisioning_state, reason, validation_url, properties }
}

/// The webhook of a function named as a resource of a function app.
fn webhook(functions: &Url, id: &str) -> Option<Url> {
    let (app, function) = id.rsplit_once("/functions/")?;
    if !app.to_ascii_lowercase().contains("/providers/microsoft.web/sites/") || function.contains('/') {
        return None;
    }
    let mut url = functions.join("/runtime/webhooks/eventgrid").ok()?;
    url.query_pairs_mut().append_pair("functionName", function);
    Some(url)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::control::Control;
    use crate::testing::upload;
    use keyholder_emulator::Emulator;

    const GROUP: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/iot-x509-demo-rg";

    fn new(url: &str) -> NewSubscription {
        let destination = json!({ "endpointType": "WebHook", "properties": { "endpointUrl": url } });
        NewSubscription { scope: GROUP.to_owned(), properties: json!({ "destination": destination }) }
    }

    #[test]
    fn a_subscription_is_proposed_shown_and_ended() {
        let control = Control::of(&Emulator::new(World::tutorial(7)));
        let proposed =
            control.put_event_subscription("on-upload", &new("http://127.0.0.1:9/?code=secret")).unwrap();
        assert_eq!((proposed.name.as_str(), proposed.provisioning_state.as_str()), ("on-upload", "Creating"));
        assert_eq!(proposed.properties["topic"], GROUP);
        assert!(!proposed.properties.to_string().contains("secret"));
        assert_eq!(control.event_grid().subscriptions, [proposed]);
        assert_eq!(control.delete_event_subscription("ON-UPLOAD").unwrap().subscriptions, []);
        assert!(matches!(
            control.delete_event_subscription("on-upload"),
            Err(ControlError::NoSuchSubscription(_))
        ));
    }

    #[test]
    fn what_cannot_be_subscribed_is_refused_and_changes_nothing() {
        let control = Control::of(&Emulator::new(World::tutorial(7)));
        let wrong_scope = NewSubscription { scope: "/x".to_owned(), ..new("http://127.0.0.1:9/") };
        for (name, body, hint) in [
            ("a b", new("http://127.0.0.1:9/"), "3 to 64"),
            ("on-upload", wrong_scope, "scope"),
            ("on-upload", new("nowhere"), "endpointUrl"),
        ] {
            let error = control.put_event_subscription(name, &body).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
        assert_eq!(control.event_grid().subscriptions, []);
    }

    #[test]
    fn disorder_is_asked_for_and_seen() {
        let emulator = Emulator::new(World::tutorial(7));
        let control = Control::of(&emulator);
        let state = control.disturb(&Disorder { copies: Some(2), hold_back: true, release: None });
        assert_eq!((state.copies, state.holds_back), (2, true));
        emulator.with(|world, now| {
            let endpoint: Url = "http://127.0.0.1:9/".parse().unwrap();
            let subscription =
                Subscription::new("on-upload".parse().unwrap(), GROUP.parse().unwrap(), endpoint);
            world.event_grid.subscribe(subscription);
            world.event_grid.publish(&upload(), now, &mut world.random);
        });
        assert_eq!(control.event_grid().next_due, None);
        let state = control.disturb(&Disorder { release: Some(3), ..Disorder::default() });
        assert!(!state.holds_back && state.next_due.is_some());
        let event =
            emulator.look(|world, _| world.event_grid.history().next().unwrap().event_id().to_owned());
        assert!(control.redeliver(&event).is_ok());
        assert!(control.redeliver("no such event").is_err());
        assert!(control.dead_letters().dead_letters.is_empty());
    }
}
