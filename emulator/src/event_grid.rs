//! Event Grid: who wants to hear of which change, and what still has to be delivered to them.
//!
//! It only keeps the books: `crate::delivery` posts what is due and comes back with the outcome. So a day of
//! retries is a handful of calls with a moved clock, and a test may play the subscriber itself. Events reach
//! the queue once, at once and in order; the live service promises none of that, and what it may do instead
//! can be asked for: [`EventGrid::set_copies`], [`EventGrid::hold_back`] and [`EventGrid::redeliver`].

mod delivery;
mod disorder;
mod event;
mod filter;
mod schedule;
mod subscription;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;
use time::OffsetDateTime;

pub use delivery::Delivery;
pub(crate) use event::timestamp;
pub use event::{ArmOperation, Schema};
pub use filter::{AdvancedFilter, Condition, Filter};
pub(crate) use schedule::ANSWER_WITHIN;
pub use schedule::{Attempt, Next, Reason, RetryPolicy};
pub use subscription::{
    Endpoint, InvalidScope, InvalidSubscriptionName, Scope, Subscription, SubscriptionName,
};

use disorder::Disorder;
use event::Event;

/// Older deliveries and dead letters make room, so that an emulator may stay up for days.
const KEPT: usize = 1_000;

/// All event subscriptions and their deliveries.
#[derive(Clone, Debug, Default)]
pub struct EventGrid {
    subscriptions: Vec<Subscription>,
    /// By due time, then by number: what falls due together leaves in the order it came.
    pending: BTreeMap<(OffsetDateTime, u64), Delivery>,
    in_flight: BTreeSet<u64>,
    history: VecDeque<Delivery>,
    dead_letters: VecDeque<Value>,
    numbered: u64,
    disorder: Disorder,
}

impl EventGrid {
    /// Creates an event subscription, or replaces the one of that name. The live service asks the endpoint
    /// for its consent first; here whoever may configure the emulator also owns the endpoint.
    pub fn subscribe(&mut self, subscription: Subscription) {
        self.subscriptions.retain(|existing| existing.name != subscription.name);
        self.subscriptions.push(subscription);
    }

    /// Every event subscription, oldest first.
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
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

    /// Ends holding back: all that waited becomes due, in an order drawn with this seed. Says how many there
    /// were. `crate::delivery` sends at once what is due at once; who takes what is due sees the order.
    pub fn release(&mut self, seed: u64, now: OffsetDateTime) -> usize {
        let released = self.disorder.release(seed);
        let count = released.len();
        for delivery in released {
            self.queue(delivery, now);
        }
        count
    }

    /// When the next attempt is due, if anything is waiting.
    pub fn next_due(&self) -> Option<OffsetDateTime> {
        self.pending.first_key_value().map(|((due, _), _)| *due)
    }

    /// Hands out every delivery that is due; each is in flight until it is settled. Those whose time to live
    /// has run out become dead letters instead: the service looks at it only when an attempt is due.
    pub fn take_due(&mut self, now: OffsetDateTime) -> Vec<Delivery> {
        let mut due = Vec::new();
        while let Some(entry) = self.pending.first_entry()
            && entry.key().0 <= now
        {
            let delivery = entry.remove();
            if delivery.has_expired(now) {
                keep(&mut self.dead_letters, delivery.dead_letter(Reason::TimeToLiveExceeded));
            } else {
                self.in_flight.insert(delivery.number);
                due.push(delivery);
            }
        }
        due
    }

    /// Records how an attempt ended and says what follows. One that is not in flight (the world was reset in
    /// the meantime) changes nothing.
    pub fn settle(&mut self, mut delivery: Delivery, attempt: Attempt, now: OffsetDateTime) -> Next {
        let next = delivery.record(attempt, now);
        if self.in_flight.remove(&delivery.number) {
            match next {
                Next::Done => {}
                Next::RetryAt(due) => {
                    self.pending.insert((due, delivery.number), delivery);
                }
                Next::GiveUp(reason) => keep(&mut self.dead_letters, delivery.dead_letter(reason)),
            }
        }
        next
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

    /// Events that were given up, oldest first, with the members the service adds to a dead letter.
    pub fn dead_letters(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.dead_letters.iter()
    }

    /// How many deliveries are on their way or being answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether nothing is waiting, held back or in flight.
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.pending.is_empty() && !self.disorder.holds_any()
    }

    /// Whether nothing happens until the clock moves on: nothing is in flight and nothing is due, though a
    /// retry may be waiting for its time, and what is held back for its release.
    pub fn is_quiet(&self, now: OffsetDateTime) -> bool {
        self.in_flight.is_empty() && self.next_due().is_none_or(|due| due > now)
    }

    /// Numbers deliveries after those of another grid, so that what is in flight for that one settles nothing
    /// here.
    pub(crate) fn count_on_from(&mut self, other: &EventGrid) {
        self.numbered = self.numbered.max(other.numbered);
    }

    fn queue(&mut self, mut delivery: Delivery, due: OffsetDateTime) {
        self.numbered += 1;
        delivery.number = self.numbered;
        self.pending.insert((due, delivery.number), delivery);
    }
}

fn keep<T>(kept: &mut VecDeque<T>, item: T) {
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(item);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use std::time::Duration;

    use http::StatusCode;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-05 10:00 UTC);
    pub(crate) const CERTIFICATE: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/iot-x509-demo-rg/providers/Microsoft.Devices/provisioningServices/my-dps-x509/certificates/factory-ca";
    const OK: Attempt = Attempt::Answered(StatusCode::ACCEPTED);
    const FAILED: Attempt = Attempt::Answered(StatusCode::INTERNAL_SERVER_ERROR);

    pub(crate) fn upload() -> ArmOperation<'static> {
        ArmOperation {
            event_type: "Microsoft.Resources.ResourceWriteSuccess",
            name: "Microsoft.Devices/provisioningServices/certificates/write",
            resource_id: CERTIFICATE,
            method: "PUT",
            url: "https://localhost:8443/put",
            object_id: "33333333-aaaa-bbbb-cccc-444444444444",
        }
    }

    pub(crate) fn subscription(name: &str, endpoint: &str) -> Subscription {
        Subscription::new(
            name.parse().unwrap(),
            Scope::resource_group("00000000-0000-0000-0000-000000000000", "iot-x509-demo-rg"),
            endpoint.parse::<url::Url>().unwrap(),
        )
    }

    fn grid(subscriptions: impl IntoIterator<Item = Subscription>) -> EventGrid {
        let mut grid = EventGrid::default();
        subscriptions.into_iter().for_each(|subscription| grid.subscribe(subscription));
        grid
    }

    fn publish(grid: &mut EventGrid) {
        grid.publish(&upload(), NOW, &mut fastrand::Rng::with_seed(1));
    }

    fn only(mut deliveries: Vec<Delivery>) -> Delivery {
        assert_eq!(deliveries.len(), 1, "{deliveries:#?}");
        deliveries.remove(0)
    }

    #[test]
    fn an_event_goes_once_to_every_subscription_that_wants_it() {
        let mut elsewhere = subscription("elsewhere", "http://127.0.0.1/");
        elsewhere.scope = Scope::resource_group("00000000-0000-0000-0000-000000000000", "iot-x509-demo");
        let mut deletions = subscription("deletions", "http://127.0.0.1/");
        deletions.filter.included_event_types = vec!["Microsoft.Resources.ResourceDeleteSuccess".to_owned()];
        let mut grid = grid([
            subscription("first", "http://127.0.0.1/"),
            elsewhere,
            deletions,
            subscription("second", "http://127.0.0.1/"),
        ]);

        publish(&mut grid);

        let names: Vec<_> =
            grid.take_due(NOW).iter().map(|delivery| delivery.subscription().to_string()).collect();
        assert_eq!(names, ["first", "second"]);
        assert!(grid.take_due(NOW).is_empty());
    }

    #[test]
    fn subscribing_again_replaces_the_subscription() {
        let mut grid = grid([
            subscription("on-upload", "http://127.0.0.1/"),
            subscription("ON-UPLOAD", "http://[::1]/"),
        ]);
        publish(&mut grid);
        let delivery = only(grid.take_due(NOW));
        assert_eq!(delivery.endpoint().as_str(), "http://[::1]/");
    }

    #[test]
    fn the_grid_is_idle_once_the_subscriber_has_taken_the_event() {
        let mut grid = grid([subscription("on-upload", "http://127.0.0.1/")]);
        assert!(grid.is_idle());
        publish(&mut grid);
        assert!(!grid.is_idle(), "waiting");
        let delivery = only(grid.take_due(NOW));
        assert!(!grid.is_idle(), "in flight");
        assert_eq!(grid.settle(delivery, OK, NOW), Next::Done);
        assert!(grid.is_idle());
    }

    #[test]
    fn a_failed_delivery_comes_back_when_the_schedule_says_so() {
        let mut grid = grid([subscription("on-upload", "http://127.0.0.1/")]);
        publish(&mut grid);
        let first = only(grid.take_due(NOW));
        assert_eq!(first.attempts_before(), 0);
        grid.settle(first, FAILED, NOW);

        assert_eq!(grid.next_due(), Some(NOW + Duration::from_secs(10)));
        assert!(grid.take_due(NOW + Duration::from_secs(9)).is_empty());
        let second = only(grid.take_due(NOW + Duration::from_secs(10)));
        assert_eq!(second.attempts_before(), 1);
    }

    #[test]
    fn time_to_live_is_looked_at_when_the_next_attempt_is_due_and_not_before() {
        let mut grid = grid([subscription("on-upload", "http://127.0.0.1/")]);
        publish(&mut grid);
        let mut now = NOW;
        let mut attempts = 0;
        while let Some(due) = grid.next_due() {
            now = due;
            for delivery in grid.take_due(now) {
                attempts += 1;
                grid.settle(delivery, FAILED, now);
            }
        }
        // 10 s + 30 s + 1 + 5 + 10 + 30 min + 1 + 3 + 6 + 12 h is within the day; twelve hours later is not.
        assert_eq!(attempts, 11);
        assert_eq!(now - NOW, time::Duration::seconds(40) + time::Duration::minutes(46 + 34 * 60));
        let dead = grid.dead_letters().next().unwrap();
        assert_eq!(dead["deadLetterReason"], "TimeToLiveExceeded");
        assert_eq!(dead["deliveryAttempts"], 11);
        assert!(grid.is_idle());
    }

    #[test]
    fn the_first_attempt_is_made_however_late() {
        let mut grid = grid([subscription("on-upload", "http://127.0.0.1/")]);
        publish(&mut grid);
        assert_eq!(grid.take_due(NOW + Duration::from_secs(100 * 3600)).len(), 1);
    }

    #[test]
    fn a_status_that_is_never_retried_ends_as_a_dead_letter() {
        let mut grid = grid([subscription("on-upload", "http://127.0.0.1/")]);
        publish(&mut grid);
        let delivery = only(grid.take_due(NOW));
        grid.settle(delivery, Attempt::Answered(StatusCode::BAD_REQUEST), NOW);
        assert!(grid.is_idle());
        assert_eq!(grid.dead_letters().next().unwrap()["lastDeliveryOutcome"], "BadRequest");
    }

    #[test]
    fn an_event_can_be_delivered_again_after_success() {
        let mut grid = grid([subscription("on-upload", "http://127.0.0.1/")]);
        publish(&mut grid);
        let first = only(grid.take_due(NOW));
        let (id, body) = (first.event_id().to_owned(), first.body());
        grid.settle(first, OK, NOW);

        assert_eq!(grid.redeliver(&id, NOW), 1);
        let again = only(grid.take_due(NOW));
        assert_eq!((again.event_id(), again.body()), (id.as_str(), body));
        assert_eq!(grid.history().count(), 1);
        assert_eq!(grid.redeliver("no such event", NOW), 0);
    }

    #[test]
    fn the_grid_is_quiet_while_a_retry_waits_for_its_time() {
        let mut grid = grid([subscription("on-upload", "http://127.0.0.1/")]);
        assert!(grid.is_quiet(NOW));
        publish(&mut grid);
        assert!(!grid.is_quiet(NOW), "due");
        let delivery = only(grid.take_due(NOW));
        assert!(!grid.is_quiet(NOW), "in flight");
        grid.settle(delivery, FAILED, NOW);
        assert!(grid.is_quiet(NOW) && !grid.is_idle());
        assert!(!grid.is_quiet(NOW + Duration::from_secs(10)), "due again");
    }

    #[test]
    fn an_outcome_nobody_is_waiting_for_changes_nothing() {
        let mut grid = grid([subscription("on-upload", "http://127.0.0.1/")]);
        publish(&mut grid);
        let delivery = only(grid.take_due(NOW));
        grid.settle(delivery.clone(), OK, NOW);
        grid.settle(delivery, FAILED, NOW);
        assert!(grid.is_idle());
    }
}
