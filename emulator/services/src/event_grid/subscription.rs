//! Event subscriptions: what somebody wants to hear of, and where.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::attribute::{self, DeliveryAttribute, InvalidAttribute};
use super::batching::Batching;
use super::dead_letter::DeadLetterContainer;
use super::endpoint::Endpoint;
use super::event::Schema;
use super::filter::{Filter, InvalidFilter};
use super::name::SubscriptionName;
use super::schedule::RetryPolicy;
use crate::ground::stored;

/// What takes dead letters.
pub(super) const DEAD_LETTER_DESTINATION: &str =
    "a StorageBlob with a resourceId and a blobContainerName of 3 to 63 small letters, digits and hyphens";

/// One event subscription of a system topic for ARM events.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Subscription {
    /// What the delivery is signed with.
    #[serde(with = "stored::text")]
    pub name: SubscriptionName,
    /// What the system topic watches; also the `topic` of its events.
    pub scope: Scope,
    /// How an event is written down.
    pub schema: Schema,
    /// Which events are wanted.
    pub filter: Filter,
    /// When to give up.
    pub retry: RetryPolicy,
    /// How many events come at once.
    pub batching: Batching,
    /// Headers of the subscriber's own, at most ten.
    pub attributes: Vec<DeliveryAttribute>,
    /// Where events are posted.
    pub endpoint: Endpoint,
    /// Where events go that nobody took; without it they are dropped.
    pub dead_letters: Option<DeadLetterContainer>,
}

impl Subscription {
    /// A subscription to everything in a scope, in the Event Grid schema and with what Azure does by default:
    /// its retry policy, no batches and no dead letters.
    pub fn new(name: SubscriptionName, scope: Scope, endpoint: impl Into<Endpoint>) -> Subscription {
        Subscription {
            name,
            scope,
            schema: Schema::default(),
            filter: Filter::default(),
            retry: RetryPolicy::default(),
            batching: Batching::default(),
            attributes: Vec::new(),
            endpoint: endpoint.into(),
            dead_letters: None,
        }
    }

    /// The same, keeping what nobody took in a container of this name.
    pub fn with_dead_letters(self, container: impl Into<String>) -> Subscription {
        let (storage_account, container) = (String::new(), container.into());
        Subscription { dead_letters: Some(DeadLetterContainer { storage_account, container }), ..self }
    }

    fn check_stored(&self) -> Result<(), InvalidSubscription> {
        self.check()
    }

    /// Refuses what is beyond the limits of the service.
    pub fn check(&self) -> Result<(), InvalidSubscription> {
        let wrong = |member, expected| InvalidSubscription::Member { member, expected };
        self.filter.check()?;
        if !self.retry.is_allowed() {
            return Err(wrong("retryPolicy", "1 to 30 delivery attempts within 1 to 1440 minutes"));
        }
        if !self.batching.is_allowed() {
            return Err(wrong(
                "destination.properties",
                "1 to 5000 events in a batch of 1 to 1024 kilobytes",
            ));
        }
        if self.attributes.len() > attribute::MOST {
            return Err(wrong("destination.properties.deliveryAttributeMappings", "at most ten headers"));
        }
        if self.dead_letters.as_ref().is_some_and(|container| !container.is_allowed()) {
            return Err(wrong("deadLetterDestination", DEAD_LETTER_DESTINATION));
        }
        Ok(())
    }
}

stored::checked!(Subscription);

/// Why a subscription cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSubscription {
    /// Its filter.
    #[error(transparent)]
    Filter(#[from] InvalidFilter),
    /// One of its headers.
    #[error(transparent)]
    Attribute(#[from] InvalidAttribute),
    /// A member of another form, or beyond a limit.
    #[error("{member} has to be {expected}")]
    Member {
        /// Which.
        member: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// A function nobody here runs.
    #[error(
        "destination.properties.resourceId {0:?} is no function here; …/providers/Microsoft.Web/sites/<app>/functions/\
         <function> of the running function app is"
    )]
    UnknownFunction(String),
}

/// What a system topic for ARM events watches: an Azure subscription or a resource group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Scope(String);

impl TryFrom<String> for Scope {
    type Error = InvalidScope;

    fn try_from(id: String) -> Result<Scope, InvalidScope> {
        id.parse()
    }
}

impl Scope {
    /// A whole Azure subscription.
    pub fn subscription(id: &str) -> Scope {
        Scope(format!("/subscriptions/{id}"))
    }

    /// One resource group.
    pub fn resource_group(subscription: &str, name: &str) -> Scope {
        Scope(format!("/subscriptions/{subscription}/resourceGroups/{name}"))
    }

    /// Whether a resource lies within; ids are compared segment by segment and without case.
    pub fn contains(&self, resource_id: &str) -> bool {
        let mut segments = resource_id.split('/');
        self.0
            .split('/')
            .all(|wanted| segments.next().is_some_and(|segment| segment.eq_ignore_ascii_case(wanted)))
    }

    /// The ARM id of the scope.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        let segments: Vec<&str> = id.split('/').collect();
        let is = |segment: &str, keyword| segment.eq_ignore_ascii_case(keyword);
        match segments[..] {
            ["", subscriptions, id] if is(subscriptions, "subscriptions") && !id.is_empty() => {
                Ok(Scope::subscription(id))
            }
            ["", subscriptions, id, groups, name]
                if is(subscriptions, "subscriptions")
                    && is(groups, "resourceGroups")
                    && !id.is_empty()
                    && !name.is_empty() =>
            {
                Ok(Scope::resource_group(id, name))
            }
            _ => Err(InvalidScope(id.to_owned())),
        }
    }
}

/// An id no system topic for ARM events can watch.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no scope: /subscriptions/<id> or /subscriptions/<id>/resourceGroups/<name> is")]
pub struct InvalidScope(String);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_contains_whole_segments_in_any_case() {
        let group = Scope::resource_group("s1", "Rg");
        for (id, inside) in [
            ("/subscriptions/s1/resourceGroups/Rg/providers/P/t/n", true),
            ("/SUBSCRIPTIONS/S1/resourcegroups/rg/providers/P/t/n", true),
            ("/subscriptions/s1/resourceGroups/Rg", true),
            ("/subscriptions/s1/resourceGroups/Rg2/providers/P/t/n", false),
            ("/subscriptions/s1", false),
            ("/subscriptions/s2/resourceGroups/Rg/providers/P/t/n", false),
            ("", false),
        ] {
            assert_eq!(group.contains(id), inside, "{id}");
        }
        assert!(Scope::subscription("s1").contains("/subscriptions/S1/resourceGroups/any/providers/P/t/n"));
        assert!(!Scope::subscription("s1").contains("/subscriptions/s10/resourceGroups/any"));
    }

    #[test]
    fn a_scope_is_a_subscription_or_a_resource_group() {
        assert_eq!("/Subscriptions/s1".parse::<Scope>().unwrap(), Scope::subscription("s1"));
        assert_eq!(
            "/subscriptions/s1/resourcegroups/rg".parse::<Scope>().unwrap(),
            Scope::resource_group("s1", "rg")
        );
        for wrong in
            ["", "/", "/subscriptions/", "/subscriptions/s1/", "/subscriptions/s1/resourceGroups/rg/x", "s1"]
        {
            assert!(wrong.parse::<Scope>().is_err(), "{wrong}");
        }
    }
}
