//! Event Grid: who wants to hear of which change, and what still has to be delivered to them.
//!
//! It only keeps the books: a host asks and posts what is due and comes back with the outcome. So a
//! day of retries is a handful of calls with a moved clock, and a test may play the subscriber itself. Events
//! reach the queue once, at once and in order; the live service promises none of that, and what it may do instead
//! can be asked for: [`EventGrid::set_copies`], [`EventGrid::hold_back`] and [`EventGrid::redeliver`].

mod arm_form;
mod attribute;
mod batching;
mod dead_letter;
mod delivery;
mod disorder;
mod endpoint;
mod event;
mod filter;
mod handshake;
mod health;
pub(crate) mod link;
mod name;
mod schedule;
mod subscription;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests;
mod transfer;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;

pub use attribute::{DeliveryAttribute, InvalidAttribute};
pub use batching::Batching;
pub use dead_letter::{DeadLetter, DeadLetterContainer};
pub use delivery::Delivery;
pub use disorder::copies;
pub use endpoint::{DestinationKind, Endpoint};
pub use event::Schema;
pub use event::timestamp;
pub use filter::{AdvancedFilter, Condition, Filter, InvalidFilter};
pub use handshake::{Consent, Handshake, Provisioning, Unconfirmed};
pub use name::{InvalidSubscriptionName, SubscriptionName};
pub use schedule::{ANSWER_WITHIN, LATE_ANSWER_WITHIN};
pub use schedule::{Attempt, Next, Reason, RetryPolicy};
pub use subscription::{InvalidScope, InvalidSubscription, Scope, Subscription};

pub use crate::change::ArmOperation;
use crate::change::Audience;
use crate::ground::stored;
use disorder::Disorder;
use event::Event;
use handshake::Proposal;
use health::Health;

/// Older deliveries and dead letters make room, so that an emulator may stay up for days.
const KEPT: usize = 1_000;

/// All event subscriptions and their deliveries.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct EventGrid {
    subscriptions: Vec<Arc<Subscription>>,
    proposals: Vec<Proposal>,
    /// Of the endpoints of subscriptions, by name in lower case.
    health: BTreeMap<String, Health>,
    /// By due time, then by number: what falls due together leaves in the order it came.
    #[serde(with = "stored::pairs")]
    pending: BTreeMap<(OffsetDateTime, u64), Delivery>,
    /// By number. What is in flight is recalled before a grid is written down.
    #[serde(skip)]
    in_flight: BTreeMap<u64, Delivery>,
    history: VecDeque<Delivery>,
    dead_letters: VecDeque<DeadLetter>,
    #[serde(deserialize_with = "stored::count")]
    dropped: u64,
    #[serde(deserialize_with = "stored::count")]
    numbered: u64,
    disorder: Disorder,
    /// Codes of handshakes and names of blobs; its own, so that they disturb no other seeded value.
    #[serde(with = "stored::random")]
    random: fastrand::Rng,
    address: Url,
}

impl EventGrid {
    /// No subscriptions yet. Codes of handshakes and names of blobs come from the seed.
    pub fn new(seed: u64) -> EventGrid {
        EventGrid {
            subscriptions: Vec::new(),
            proposals: Vec::new(),
            health: BTreeMap::new(),
            pending: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            history: VecDeque::new(),
            dead_letters: VecDeque::new(),
            dropped: 0,
            numbered: 0,
            disorder: Disorder::default(),
            random: fastrand::Rng::with_seed(seed),
            address: Url::parse("http://127.0.0.1:8081").expect("the constant is a URL"),
        }
    }

    /// What holds of every grid that came about here.
    fn check_stored(&self) -> Result<(), &'static str> {
        let numbers = self.pending.values().chain(&self.history).map(|delivery| delivery.number);
        let highest = numbers.chain([self.disorder.highest()]).max().unwrap_or_default();
        let mut pending = self.pending.iter();
        if highest > self.numbered {
            return Err("a delivery with a number that was not given out");
        }
        if !pending.all(|((due, number), delivery)| stored::is_possible(*due) && *number == delivery.number) {
            return Err("a delivery that is not where it belongs");
        }
        if self.history.len() > KEPT || self.dead_letters.len() > KEPT {
            return Err("more events than are kept");
        }
        if Endpoint::is_allowed(&self.address) { Ok(()) } else { Err("an address that is none") }
    }

    /// Where links for validation by hand lead to: any address the emulator answers on.
    pub fn set_address(&mut self, address: Url) {
        self.address = address;
    }

    /// Creates an event subscription, or replaces the one of that name, without asking the endpoint: whoever
    /// writes the code owns it. What comes from outside goes to [`EventGrid::propose`].
    ///
    /// # Panics
    ///
    /// When the service would not have it; see [`Subscription::check`].
    #[track_caller]
    pub fn subscribe(&mut self, subscription: Subscription) {
        if let Err(error) = subscription.check() {
            panic!("event subscription {}: {error}", subscription.name);
        }
        self.proposals.retain(|proposal| proposal.subscription.name != subscription.name);
        self.put_in_force(Arc::new(subscription));
    }

    /// Creates an event subscription, or replaces the one of that name, as soon as its endpoint has agreed.
    pub fn propose(
        &mut self,
        subscription: Subscription,
        now: OffsetDateTime,
    ) -> Result<(), InvalidSubscription> {
        subscription.check()?;
        self.numbered += 1;
        self.proposals.retain(|proposal| proposal.subscription.name != subscription.name);
        self.proposals.push(Proposal::new(subscription, self.numbered, &self.address, now, &mut self.random));
        Ok(())
    }

    /// Ends an event subscription and forgets what it is still to be sent; `false` if there is none.
    pub fn unsubscribe(&mut self, name: &SubscriptionName, now: OffsetDateTime) -> bool {
        let before = self.subscriptions.len() + self.proposals.len();
        self.subscriptions.retain(|subscription| subscription.name != *name);
        self.proposals.retain(|proposal| proposal.subscription.name != *name);
        self.health.remove(&name.key());
        let its = self.pending.values().filter(|delivery| delivery.subscription() == name);
        let its: Vec<_> = its.map(|delivery| delivery.number).collect();
        self.pending.retain(|_, delivery| delivery.subscription() != name);
        its.into_iter().for_each(|number| self.end_turn(number, now));
        self.subscriptions.len() + self.proposals.len() < before
    }

    /// Every event subscription in force, oldest first.
    pub fn subscriptions(&self) -> impl ExactSizeIterator<Item = &Subscription> {
        self.subscriptions.iter().map(AsRef::as_ref)
    }

    /// Every event subscription, those that are not in force yet last.
    pub fn all(&self) -> impl Iterator<Item = &Subscription> {
        let proposed = self.proposals.iter().map(|proposal| proposal.subscription.as_ref());
        let new = proposed.filter(|proposed| self.subscriptions().all(|known| known.name != proposed.name));
        self.subscriptions().chain(new)
    }

    /// How often each event is delivered.
    pub fn copies(&self) -> usize {
        self.disorder.copies()
    }

    /// Whether events wait until they are released.
    pub fn holds_back(&self) -> bool {
        self.disorder.holds_back()
    }

    /// The subscription of a name as it is or, if nothing is in force yet, as it is to be.
    pub fn subscription(&self, name: &SubscriptionName) -> Option<&Subscription> {
        let proposed = self.proposals.iter().map(|proposal| &proposal.subscription);
        self.subscriptions.iter().chain(proposed).find(|known| known.name == *name).map(AsRef::as_ref)
    }

    /// How far the creation or the update of a subscription is.
    pub fn provisioning(&self, name: &SubscriptionName, now: OffsetDateTime) -> Option<Provisioning> {
        let in_force = self.subscriptions.iter().any(|subscription| subscription.name == *name);
        let proposal = self.proposals.iter().find(|proposal| proposal.subscription.name == *name);
        match proposal {
            Some(proposal) => Some(proposal.provisioning(in_force, now)),
            None => in_force.then_some(Provisioning::Succeeded),
        }
    }

    /// Turns a finished ARM operation into an event for every subscription that wants it.
    pub fn publish(&mut self, operation: &ArmOperation<'_>, now: OffsetDateTime, random: &mut fastrand::Rng) {
        let event = Event::of(operation, now, random);
        let deliveries: Vec<_> = self
            .subscriptions
            .iter()
            .filter(|subscription| subscription.scope.contains(operation.resource_id))
            .map(|subscription| {
                (subscription, event.render(subscription.schema, subscription.scope.as_str()))
            })
            .filter(|(subscription, event)| subscription.filter.takes(event))
            .map(|(subscription, event)| Delivery::first(subscription, event, now))
            .collect();
        for delivery in deliveries {
            for copy in self.disorder.pass(&delivery) {
                self.queue(copy, now);
            }
            keep(&mut self.history, delivery);
        }
    }

    /// From now on each event is delivered so many times, as at-least-once delivery may. With none, events are
    /// lost: what no service would promise, and what a subscription that is missing for a while looks like.
    pub fn set_copies(&mut self, copies: usize) {
        self.disorder.set_copies(copies);
    }

    /// From now on events wait, until they are released together.
    pub fn hold_back(&mut self) {
        self.disorder.hold_back();
    }

    /// Ends holding back: what waited is delivered in an order drawn with this seed, each once the one before
    /// has been tried, so that the subscriber sees that very order. Says how many there were.
    pub fn release(&mut self, seed: u64, now: OffsetDateTime) -> usize {
        let count = self.disorder.release(seed);
        self.begin_turn(now);
        count
    }

    /// When the next attempt or question is due, if anything is waiting.
    pub fn next_due(&self) -> Option<OffsetDateTime> {
        let delivery = self.pending.first_key_value().map(|((due, _), _)| *due);
        let handshake = self.proposals.iter().filter_map(Proposal::due).min();
        delivery.into_iter().chain(handshake).min()
    }

    /// Hands out every delivery that is due; each is in flight until it is settled. Events whose time to live
    /// has run out become dead letters instead: the service looks at it only when an attempt is due. While an
    /// endpoint is on probation what is due to it waits for the end of that.
    pub fn take_due(&mut self, now: OffsetDateTime) -> Vec<Delivery> {
        let mut due: Vec<Delivery> = Vec::new();
        while let Some(entry) = self.pending.first_entry()
            && entry.key().0 <= now
        {
            let mut delivery = entry.remove();
            let number = delivery.number;
            let expired = delivery.expire(now);
            self.bury(&delivery.subscription, expired, now);
            if delivery.is_over() {
                self.end_turn(number, now);
            } else if self.health(delivery.subscription()).probation(now).is_some() {
                self.insert(delivery, now);
            } else {
                self.batch(&mut due, delivery);
            }
        }
        self.in_flight.extend(due.iter().map(|delivery| (delivery.number, delivery.clone())));
        due
    }

    /// Records how an attempt ended and says what follows. One that is not in flight (the world was reset in
    /// the meantime) changes nothing.
    pub fn settle(&mut self, mut delivery: Delivery, attempt: Attempt, now: OffsetDateTime) -> Next {
        let next = delivery.record(attempt, now);
        let number = delivery.number;
        if self.in_flight.remove(&number).is_none() {
            return next;
        }
        self.health.entry(delivery.subscription().key()).or_default().record(attempt, now);
        let next = match next {
            Next::Done => Next::Done,
            Next::RetryAt(due) => Next::RetryAt(self.insert(delivery, due)),
            Next::GiveUp(reason) => {
                let letters = delivery.give_up(reason);
                self.bury(&delivery.subscription, letters, now);
                Next::GiveUp(reason)
            }
        };
        self.end_turn(number, now);
        next
    }

    /// Takes a success that came after the time for an answer was over: if no other attempt has been made
    /// meanwhile there will be none. Says whether that was so.
    pub fn settle_late(&mut self, delivery: &Delivery) -> bool {
        let waiting = self.pending.keys().find(|(_, number)| *number == delivery.number).copied();
        waiting.is_some_and(|key| self.pending.remove(&key).is_some())
    }

    /// Hands out the questions to endpoints that are due; each is on its way until it is settled.
    pub fn take_handshakes(&mut self, now: OffsetDateTime) -> Vec<Handshake> {
        let random = &mut self.random;
        let due = self.proposals.iter_mut().filter(|proposal| proposal.due().is_some_and(|due| due <= now));
        due.map(|proposal| proposal.ask(now, random)).collect()
    }

    /// Records what an endpoint made of a question. One that nobody waits for any more changes nothing.
    pub fn settle_handshake(&mut self, handshake: &Handshake, consent: Consent, now: OffsetDateTime) {
        let asked = self.proposals.iter().position(|proposal| proposal.has_asked(handshake));
        if let Some(index) = asked
            && self.proposals[index].settle(consent, now)
        {
            self.accept(index);
        }
    }

    /// Somebody has followed the link of a handshake.
    pub fn confirm(
        &mut self,
        name: &SubscriptionName,
        id: &str,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<(), Unconfirmed> {
        let mut proposals = self.proposals.iter();
        let index = proposals.position(|proposal| proposal.subscription.name == *name);
        let index = index.ok_or(Unconfirmed::Unknown)?;
        self.proposals[index].confirm(id, token, now)?;
        self.accept(index);
        Ok(())
    }

    /// Delivers an event once more to everyone who got it, as at-least-once delivery may; says to how many.
    pub fn redeliver(&mut self, event_id: &str, now: OffsetDateTime) -> usize {
        let again: Vec<_> =
            self.history.iter().filter(|delivery| delivery.event_id() == event_id).cloned().collect();
        let count = again.len();
        for delivery in again {
            self.queue(delivery.duplicate(now), now);
        }
        count
    }

    /// First deliveries of the events published so far, oldest first.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &Delivery> {
        self.history.iter()
    }

    /// Events that were given up and have a container to go to, oldest first.
    pub fn dead_letters(&self) -> impl DoubleEndedIterator<Item = &DeadLetter> {
        self.dead_letters.iter()
    }

    /// How many events were given up without a container to go to, and are lost.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many deliveries and questions are on their way or being answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len() + self.proposals.iter().filter(|proposal| proposal.is_asked()).count()
    }

    /// Whether nothing is waiting, held back or in flight.
    pub fn is_idle(&self) -> bool {
        self.in_flight() == 0 && self.next_due().is_none() && !self.disorder.holds_any()
    }

    /// Whether nothing happens until the clock moves on: nothing is in flight and nothing is due, though a
    /// retry may be waiting for its time, and what is held back for its release.
    pub fn is_quiet(&self, now: OffsetDateTime) -> bool {
        self.in_flight() == 0 && self.next_due().is_none_or(|due| due > now)
    }

    /// Has everything that is drawn from here on depend on this seed alone.
    pub(crate) fn reseed(&mut self, seed: u64) {
        self.random = fastrand::Rng::with_seed(seed);
    }

    fn queue(&mut self, mut delivery: Delivery, due: OffsetDateTime) -> u64 {
        self.numbered += 1;
        delivery.number = self.numbered;
        self.insert(delivery, due);
        self.numbered
    }

    /// Lets a delivery wait until it is due or, if its endpoint is on probation then, until that is over; says
    /// until when.
    fn insert(&mut self, mut delivery: Delivery, due: OffsetDateTime) -> OffsetDateTime {
        let probation = self.health(delivery.subscription()).probation(due);
        if probation.is_some() {
            delivery.spare();
        }
        let due = probation.unwrap_or(due);
        self.pending.insert((due, delivery.number), delivery);
        due
    }

    /// Adds a delivery to those that leave together, in a batch if one has room for it.
    fn batch(&mut self, due: &mut Vec<Delivery>, delivery: Delivery) {
        let mut left = Some(delivery);
        for batch in due.iter_mut() {
            let Some(delivery) = left.take() else { return };
            let number = delivery.number;
            left = batch.absorb(delivery);
            if left.is_none() {
                self.disorder.hand_turn(number, batch.number);
            }
        }
        due.extend(left);
    }

    fn bury(&mut self, subscription: &Subscription, letters: Vec<serde_json::Value>, now: OffsetDateTime) {
        for letter in letters {
            match &subscription.dead_letters {
                Some(container) => {
                    let letter =
                        DeadLetter::new(container, &subscription.name, letter, now, &mut self.random);
                    keep(&mut self.dead_letters, letter);
                }
                None => self.dropped += 1,
            }
        }
    }

    /// Lets the next of the released deliveries go.
    fn begin_turn(&mut self, now: OffsetDateTime) {
        if let Some(delivery) = self.disorder.next() {
            let number = self.queue(delivery, now);
            self.disorder.begin_turn(number);
        }
    }

    fn end_turn(&mut self, number: u64, now: OffsetDateTime) {
        if self.disorder.end_turn(number) {
            self.begin_turn(now);
        }
    }

    fn accept(&mut self, index: usize) {
        let proposal = self.proposals.remove(index);
        self.put_in_force(proposal.subscription);
    }

    fn put_in_force(&mut self, subscription: Arc<Subscription>) {
        self.subscriptions.retain(|existing| existing.name != subscription.name);
        self.health.remove(&subscription.name.key());
        self.subscriptions.push(subscription);
    }

    fn health(&self, subscription: &SubscriptionName) -> Health {
        self.health.get(&subscription.key()).copied().unwrap_or_default()
    }
}

impl Audience for EventGrid {
    fn hear(&mut self, operation: &ArmOperation<'_>, now: OffsetDateTime, random: &mut fastrand::Rng) {
        self.publish(operation, now, random);
    }
}

stored::checked!(EventGrid);

impl Default for EventGrid {
    fn default() -> EventGrid {
        EventGrid::new(0)
    }
}

fn keep<T>(kept: &mut VecDeque<T>, item: T) {
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(item);
}
