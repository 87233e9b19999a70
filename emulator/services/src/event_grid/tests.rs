//! Event Grid's books, kept by hand: no network, and a clock of plain numbers.

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
    .with_dead_letters("letters")
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
    let mut grid =
        grid([subscription("on-upload", "http://127.0.0.1/"), subscription("ON-UPLOAD", "http://[::1]/")]);
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
    let dead = grid.dead_letters().next().unwrap().letter();
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
    assert_eq!(grid.dead_letters().next().unwrap().letter()["lastDeliveryOutcome"], "BadRequest");
}

#[test]
fn without_a_container_what_nobody_took_is_lost() {
    let without = Subscription { dead_letters: None, ..subscription("on-upload", "http://127.0.0.1/") };
    let mut grid = grid([without]);
    publish(&mut grid);
    let delivery = only(grid.take_due(NOW));
    grid.settle(delivery, Attempt::Answered(StatusCode::BAD_REQUEST), NOW);
    assert_eq!((grid.dead_letters().count(), grid.dropped()), (0, 1));
}

#[test]
fn a_function_that_turns_a_token_down_is_tried_again_and_a_webhook_is_not() {
    let endpoint = Endpoint::function("/subscriptions/s/…", "http://127.0.0.1/".parse().unwrap());
    let function = Subscription { endpoint, ..subscription("function", "http://127.0.0.1/") };
    let mut grid = grid([subscription("webhook", "http://127.0.0.1/"), function]);
    publish(&mut grid);
    let unauthorized = Attempt::Answered(StatusCode::UNAUTHORIZED);
    let next: Vec<_> =
        grid.take_due(NOW).into_iter().map(|delivery| grid.settle(delivery, unauthorized, NOW)).collect();
    let in_five_minutes = Next::RetryAt(NOW + Duration::from_secs(300));
    assert_eq!(next, [Next::GiveUp(Reason::NotRetriable), in_five_minutes]);
}

#[test]
fn after_ten_failures_new_events_wait_too_and_one_success_ends_it() {
    let mut grid =
        grid([subscription("on-upload", "http://127.0.0.1/"), subscription("healthy", "http://[::1]/")]);
    (0..10).for_each(|_| publish(&mut grid));
    let (healthy, failing): (Vec<_>, _) =
        grid.take_due(NOW).into_iter().partition(|delivery| delivery.endpoint().as_str().contains("::1"));
    for delivery in failing {
        grid.settle(delivery, Attempt::SocketError, NOW);
    }
    for delivery in healthy {
        grid.settle(delivery, OK, NOW);
    }

    publish(&mut grid);
    assert_eq!(only(grid.take_due(NOW)).subscription().to_string(), "healthy");
    let over = NOW + Duration::from_secs(30);
    assert!(grid.take_due(over - Duration::from_secs(1)).is_empty(), "retries were due after 10 s");
    let mut due = grid.take_due(over);
    assert_eq!(due.len(), 11);
    grid.settle(due.pop().unwrap(), OK, over);
    publish(&mut grid);
    grid.publish(&upload(), over, &mut fastrand::Rng::with_seed(1));
    assert!(!grid.take_due(over).is_empty());
}

#[test]
fn what_grows_old_on_probation_is_given_up_unsent() {
    let mut short = subscription("on-upload", "http://127.0.0.1/");
    short.retry.time_to_live = Duration::from_secs(60);
    let mut grid = grid([short]);
    (0..10).for_each(|_| publish(&mut grid));
    for delivery in grid.take_due(NOW) {
        grid.settle(delivery, Attempt::Answered(StatusCode::NOT_FOUND), NOW);
    }
    publish(&mut grid);
    let over = NOW + Duration::from_secs(300);
    assert_eq!(grid.next_due(), Some(over));
    assert!(grid.take_due(over).is_empty() && grid.is_idle());
    let unsent = grid.dead_letters().next_back().unwrap().letter();
    assert_eq!(
        (&unsent["lastDeliveryOutcome"], &unsent["deliveryAttempts"]),
        (&"Probation".into(), &0.into())
    );
}

#[test]
fn a_late_success_cancels_the_attempt_that_waits() {
    let mut grid = grid([subscription("on-upload", "http://127.0.0.1/")]);
    publish(&mut grid);
    let delivery = only(grid.take_due(NOW));
    grid.settle(delivery.clone(), Attempt::TimedOut, NOW);
    assert!(grid.settle_late(&delivery) && grid.is_idle());

    publish(&mut grid);
    let delivery = only(grid.take_due(NOW));
    grid.settle(delivery.clone(), Attempt::TimedOut, NOW);
    let again = only(grid.take_due(NOW + Duration::from_secs(10)));
    assert!(!grid.settle_late(&delivery), "it is on its way again");
    grid.settle(again, OK, NOW);
}

#[test]
fn events_that_are_due_together_come_together_when_batches_are_wanted() {
    let mut batches = subscription("on-upload", "http://127.0.0.1/");
    batches.batching.max_events = 3;
    let mut grid = grid([batches]);
    (0..4).for_each(|_| publish(&mut grid));
    let mut due = grid.take_due(NOW);
    assert_eq!(due.iter().map(|delivery| delivery.events().len()).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(grid.in_flight(), 2);
    grid.settle(due.pop().unwrap(), OK, NOW);
    grid.settle(due.pop().unwrap(), FAILED, NOW);
    let again = only(grid.take_due(NOW + Duration::from_secs(10)));
    assert_eq!((again.events().len(), again.attempts_before()), (3, 1), "all or none");
    grid.settle(again, Attempt::Answered(StatusCode::BAD_REQUEST), NOW);
    assert_eq!(grid.dead_letters().count(), 3);
    assert!(grid.is_idle());
}

#[test]
fn whoever_unsubscribes_is_sent_nothing_more() {
    let mut grid =
        grid([subscription("on-upload", "http://127.0.0.1/"), subscription("other", "http://127.0.0.1/")]);
    publish(&mut grid);
    let name = "ON-UPLOAD".parse().unwrap();
    assert!(grid.unsubscribe(&name, NOW) && !grid.unsubscribe(&name, NOW));
    assert_eq!(only(grid.take_due(NOW)).subscription().to_string(), "other");
    assert_eq!(grid.provisioning(&name, NOW), None);
}

#[test]
fn nothing_is_delivered_before_the_endpoint_has_agreed() {
    let mut grid = EventGrid::new(1);
    let name: SubscriptionName = "on-upload".parse().unwrap();
    grid.propose(subscription("on-upload", "http://127.0.0.1/"), NOW).unwrap();
    publish(&mut grid);
    assert_eq!(grid.provisioning(&name, NOW), Some(Provisioning::Creating));
    assert!(!grid.is_idle() && grid.take_due(NOW).is_empty());
    let handshake = grid.take_handshakes(NOW).remove(0);
    assert!(!grid.is_quiet(NOW) && grid.take_handshakes(NOW).is_empty());
    grid.settle_handshake(&handshake, Consent::Given, NOW);
    assert_eq!(grid.provisioning(&name, NOW), Some(Provisioning::Succeeded));
    publish(&mut grid);
    assert_eq!(grid.take_due(NOW).len(), 1);
}

#[test]
fn an_endpoint_that_refuses_is_asked_once_more_and_what_was_in_force_stays() {
    let mut grid = grid([subscription("on-upload", "http://[::1]/")]);
    let name: SubscriptionName = "on-upload".parse().unwrap();
    grid.propose(subscription("on-upload", "http://127.0.0.1/"), NOW).unwrap();
    assert_eq!(grid.provisioning(&name, NOW), Some(Provisioning::Updating));
    let refused = Consent::Refused("no".to_owned());
    let first = grid.take_handshakes(NOW).remove(0);
    grid.settle_handshake(&first, refused.clone(), NOW);
    let again = NOW + Duration::from_secs(5);
    assert_eq!(grid.next_due(), Some(again));
    assert!(grid.take_handshakes(NOW).is_empty());
    let second = grid.take_handshakes(again).remove(0);
    grid.settle_handshake(&second, refused, again);
    assert_eq!(grid.provisioning(&name, again), Some(Provisioning::Failed("no".to_owned())));
    publish(&mut grid);
    assert_eq!(only(grid.take_due(again)).endpoint().as_str(), "http://[::1]/");

    grid.propose(subscription("on-upload", "http://127.0.0.1/"), again).unwrap();
    let handshake = grid.take_handshakes(again).remove(0);
    grid.settle_handshake(&first, Consent::Given, again);
    assert_eq!(grid.provisioning(&name, again), Some(Provisioning::Updating), "an old answer is nobody's");
    grid.settle_handshake(&handshake, Consent::Given, again);
    publish(&mut grid);
    assert_eq!(only(grid.take_due(again)).endpoint().as_str(), "http://127.0.0.1/");
}

/// `id` and `token` of the link that somebody is to follow.
fn link(grid: &EventGrid, name: &SubscriptionName) -> (String, String) {
    let Some(Provisioning::AwaitingManualAction(link)) = grid.provisioning(name, NOW) else {
        panic!("{:?}", grid.provisioning(name, NOW))
    };
    let value = |wanted: &str| link.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned();
    (value("id"), value("token"))
}

#[test]
fn somebody_may_agree_for_an_endpoint_that_took_the_question_within_ten_minutes() {
    for (minutes, expected) in [(10, Ok(())), (11, Err(Unconfirmed::Expired))] {
        let mut grid = EventGrid::new(1);
        let name: SubscriptionName = "on-upload".parse().unwrap();
        grid.propose(subscription("on-upload", "http://127.0.0.1/"), NOW).unwrap();
        let handshake = grid.take_handshakes(NOW).remove(0);
        grid.settle_handshake(&handshake, Consent::Open, NOW);
        let (id, token) = link(&grid, &name);
        let then = NOW + Duration::from_secs(60 * minutes);
        assert_eq!(grid.confirm(&name, &id, "another", then), Err(Unconfirmed::Unknown));
        assert_eq!(grid.confirm(&"other".parse().unwrap(), &id, &token, then), Err(Unconfirmed::Unknown));
        assert_eq!(grid.confirm(&name, &id, &token, then), expected);
        let state = grid.provisioning(&name, then).unwrap();
        assert_eq!(state.name(), if expected.is_ok() { "Succeeded" } else { "Failed" });
    }
}

#[test]
#[should_panic(expected = "event subscription on-upload: retryPolicy has to be 1 to 30")]
fn what_the_service_would_not_have_is_not_subscribed() {
    let mut beyond = subscription("on-upload", "http://127.0.0.1/");
    beyond.retry.max_attempts = 31;
    EventGrid::new(1).subscribe(beyond);
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
