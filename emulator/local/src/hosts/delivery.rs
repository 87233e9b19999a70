//! Does what Event Grid's books say is due: the only part of it that touches the network.
//!
//! It sleeps until the emulator's clock says that something is due, and wakes when the world or the clock
//! changes; moving the clock is all it takes to see a retry, or an answer that comes too late.

mod attempts;
mod client;
pub mod dead_letters;
mod handshakes;

use time::OffsetDateTime;
use tokio::task::JoinSet;

use attempts::{is_due, loses_answer, outcome, unsent};

use keyholder_emulator::event_grid::{ANSWER_WITHIN, Attempt, Delivery, LATE_ANSWER_WITHIN, Next};
use keyholder_emulator::faults::Effect;
use keyholder_emulator::journal::Entry;
use keyholder_emulator::operation::Operation;
use keyholder_emulator::stopwatch::Stopwatch;
use keyholder_emulator::{Emulator, World, dps};

/// Delivers for ever. Dropping the future also drops the requests on their way.
pub async fn run(emulator: Emulator) {
    let client = client::new();
    let mut changes = emulator.changes();
    let mut sending = JoinSet::new();
    loop {
        // Whatever changes from here on ends the wait below.
        changes.mark_unchanged();
        for (delivery, fault) in take_due(&emulator) {
            sending.spawn(send(emulator.clone(), client.clone(), delivery, fault));
        }
        for (handshake, fault) in handshakes::take_due(&emulator) {
            sending.spawn(handshakes::ask(emulator.clone(), client.clone(), handshake, fault));
        }
        let due = emulator.look(|world, _| world.event_grid.next_due());
        tokio::select! {
            // The sender lives in `emulator`, so this never fails.
            _ = changes.changed() => {}
            Some(_) = sending.join_next() => {}
            () = reaches(&emulator, due) => {}
        }
    }
}

async fn reaches(emulator: &Emulator, due: Option<OffsetDateTime>) {
    match due {
        Some(due) => emulator.reaches(due).await,
        None => std::future::pending().await,
    }
}

/// Deliveries that are due and that no fault keeps from being sent, each with the fault that will keep its
/// answer.
fn take_due(emulator: &Emulator) -> Vec<(Delivery, Option<Effect>)> {
    if !is_due(emulator) {
        return Vec::new();
    }
    let watch = emulator.stopwatch();
    emulator.with(|world, now| {
        let due = world.event_grid.take_due(now);
        due.into_iter()
            .filter_map(|delivery| {
                let fault = strike(world, &delivery);
                match fault.and_then(unsent) {
                    Some(attempt) => {
                        settle(world, delivery, attempt, fault, (now, watch));
                        None
                    }
                    None => Some((delivery, fault)),
                }
            })
            .collect()
    })
}

/// A fault may be aimed at any event of a batch.
fn strike(world: &mut World, delivery: &Delivery) -> Option<Effect> {
    delivery.events().find_map(|event| world.faults.strike(Operation::Deliver, object(event)))
}

async fn send(emulator: Emulator, client: reqwest::Client, delivery: Delivery, fault: Option<Effect>) {
    let (sent, watch) = (emulator.now(), emulator.stopwatch());
    let answer = client::ask(&client, delivery.request());
    tokio::pin!(answer);
    let attempt = tokio::select! {
        answer = &mut answer => answer.map_or_else(|attempt| attempt, |answer| Attempt::Answered(answer.status())),
        () = emulator.reaches(sent + ANSWER_WITHIN) => Attempt::TimedOut,
    };
    let attempt = if loses_answer(fault) { Attempt::SocketError } else { attempt };
    emulator.with(|world, now| settle(world, delivery.clone(), attempt, fault, (now, watch)));
    if attempt != Attempt::TimedOut {
        return;
    }
    let late = tokio::select! {
        answer = answer => answer.ok().map(|answer| Attempt::Answered(answer.status())),
        () = emulator.reaches(sent + ANSWER_WITHIN + LATE_ANSWER_WITHIN) => None,
    };
    if let Some(late) = late.filter(|late| late.is_success()) {
        emulator.with(|world, now| {
            let note = match world.event_grid.settle_late(&delivery) {
                true => "late, and the next attempt is cancelled",
                false => "late: the next attempt was made",
            };
            write(world, &delivery, late, None, Some(note.to_owned()), (now, watch));
        });
    }
}

fn settle(
    world: &mut World,
    delivery: Delivery,
    attempt: Attempt,
    fault: Option<Effect>,
    (now, watch): (OffsetDateTime, Stopwatch),
) {
    let dropped = world.event_grid.dropped();
    let next = world.event_grid.settle(delivery.clone(), attempt, now);
    let is_lost = world.event_grid.dropped() > dropped;
    let note = note(delivery.attempts_before() + 1, attempt, next, is_lost, now);
    write(world, &delivery, attempt, fault, note, (now, watch));
}

/// Writes an attempt down in the journal.
fn write(
    world: &mut World,
    delivery: &Delivery,
    attempt: Attempt,
    fault: Option<Effect>,
    note: Option<String>,
    (now, watch): (OffsetDateTime, Stopwatch),
) {
    let text = |member| delivery.events().filter_map(move |event| event[member].as_str().map(str::to_owned));
    let mut entry = Entry {
        status: attempt.status(),
        fault,
        certificates: text("subject").filter(|subject| dps::is_certificate_id(subject)).collect(),
        event_ids: text("id").collect(),
        attempt: Some(delivery.attempts_before() + 1),
        note,
        ..Entry::new(now, Operation::Deliver, object(delivery.event()))
    };
    watch.stop(&mut entry);
    world.journal.write(entry);
}

/// What the journal says; a first attempt that succeeds needs no words.
fn note(number: u32, attempt: Attempt, next: Next, is_lost: bool, now: OffsetDateTime) -> Option<String> {
    let outcome = outcome(attempt);
    match next {
        Next::Done if number == 1 => None,
        Next::Done => Some(format!("attempt {number}")),
        Next::RetryAt(due) => {
            Some(format!("attempt {number}{outcome}; again in {} s", (due - now).whole_seconds()))
        }
        Next::GiveUp(reason) => {
            let lost = if is_lost { ", and lost for want of a dead-letter container" } else { "" };
            Some(format!("attempt {number}{outcome}; given up: {}{lost}", reason.name()))
        }
    }
}

/// The name the journal and faults know a delivery by: the last segment of what its event is about.
fn object(event: &serde_json::Value) -> &str {
    event["subject"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use axum::http::HeaderMap;
    use axum::routing::post;
    use http::StatusCode;
    use time::macros::datetime;
    use tokio::net::TcpListener;
    use tokio::sync::{mpsc, oneshot};

    use super::*;
    use crate::testing::{subscription, upload};
    use keyholder_emulator::faults::{Calls, Fault};

    const NOW: OffsetDateTime = datetime!(2026-03-05 10:00 UTC);

    /// A subscriber that answers the given statuses in turn, and what it heard.
    async fn subscriber(mut answers: Vec<u16>) -> (String, Arc<Mutex<Vec<(HeaderMap, String)>>>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        answers.reverse();
        let answers = Arc::new(Mutex::new(answers));
        let record = Arc::clone(&heard);
        let app = axum::Router::new().route(
            "/hook",
            post(move |headers: HeaderMap, body: String| async move {
                record.lock().unwrap().push((headers, body));
                let status = answers.lock().unwrap().pop().unwrap_or(202);
                (StatusCode::from_u16(status).unwrap(), [("location", "/hook")])
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (endpoint, heard)
    }

    fn emulator(endpoint: &str) -> Emulator {
        let emulator = Emulator::new(World::empty(1));
        emulator.freeze(NOW);
        emulator.with(|world, _| world.event_grid.subscribe(subscription("on-upload", endpoint)));
        tokio::spawn(run(emulator.clone()));
        emulator
    }

    fn publish(emulator: &Emulator) {
        emulator.with(|world, now| world.event_grid.publish(&upload(), now, &mut world.random));
    }

    async fn after_attempts(emulator: &Emulator, attempts: usize) -> Vec<(u16, Option<String>)> {
        emulator
            .until(|world| {
                let entries = world.journal.entries().filter(|entry| entry.operation == Operation::Deliver);
                let made: Vec<_> = entries.map(|entry| (entry.status, entry.note.clone())).collect();
                (made.len() == attempts).then_some(made)
            })
            .await
    }

    #[tokio::test]
    async fn an_event_is_posted_with_its_headers_and_settled() {
        let (endpoint, heard) = subscriber(vec![]).await;
        let emulator = emulator(&endpoint);
        publish(&emulator);

        assert_eq!(after_attempts(&emulator, 1).await, [(202, None)]);
        assert!(emulator.look(|world, _| world.event_grid.is_idle()));
        let heard = heard.lock().unwrap();
        let (headers, body) = &heard[0];
        assert_eq!(headers["aeg-event-type"], "Notification");
        assert_eq!(headers["aeg-subscription-name"], "ON-UPLOAD");
        assert_eq!(headers["content-type"], "application/json; charset=utf-8");
        assert!(body.starts_with("[{"), "{body}");
    }

    #[tokio::test]
    async fn a_failure_is_repeated_as_soon_as_the_clock_gets_there() {
        let (endpoint, heard) = subscriber(vec![500]).await;
        let emulator = emulator(&endpoint);
        publish(&emulator);
        after_attempts(&emulator, 1).await;

        emulator.advance(Duration::from_secs(10));
        let attempts = after_attempts(&emulator, 2).await;
        let note = |text: &str| Some(text.to_owned());
        assert_eq!(attempts, [(500, note("attempt 1; again in 10 s")), (202, note("attempt 2"))]);
        let heard = heard.lock().unwrap();
        assert_eq!(heard[1].0["aeg-delivery-count"], "1");
        assert_eq!(heard[0].1, heard[1].1);
    }

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let (endpoint, heard) = subscriber(vec![307]).await;
        let emulator = emulator(&endpoint);
        publish(&emulator);
        assert_eq!(after_attempts(&emulator, 1).await[0].0, 307);
        assert_eq!(heard.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_endpoint_nobody_listens_on_is_a_failure_to_be_repeated() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let emulator = emulator(&format!("http://{}/hook", listener.local_addr().unwrap()));
        drop(listener);
        publish(&emulator);
        let attempts = after_attempts(&emulator, 1).await;
        assert_eq!(attempts, [(0, Some("attempt 1: no connection; again in 10 s".to_owned()))]);
    }

    #[tokio::test]
    async fn a_host_without_an_address_is_told_from_one_that_does_not_listen() {
        let emulator = emulator("http://no-such-host.invalid/hook");
        publish(&emulator);
        let attempts = after_attempts(&emulator, 1).await;
        assert_eq!(attempts, [(0, Some("attempt 1: no address for the host; again in 10 s".to_owned()))]);
    }

    /// A subscriber that answers once it is let go, and says when it has been asked.
    async fn slow_subscriber() -> (String, mpsc::UnboundedReceiver<oneshot::Sender<u16>>) {
        let (asked, questions) = mpsc::unbounded_channel();
        let app = axum::Router::new().fallback(move || async move {
            let (answer, answered) = oneshot::channel();
            asked.send(answer).unwrap();
            StatusCode::from_u16(answered.await.unwrap()).unwrap()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (endpoint, questions)
    }

    #[tokio::test]
    async fn an_answer_has_thirty_seconds_of_the_emulator_s_clock() {
        let (endpoint, mut questions) = slow_subscriber().await;
        let emulator = emulator(&endpoint);
        publish(&emulator);
        let first = questions.recv().await.unwrap();
        emulator.advance(Duration::from_secs(29));
        assert_eq!(emulator.look(|world, _| world.event_grid.in_flight()), 1);
        emulator.advance(Duration::from_secs(1));
        let attempts = after_attempts(&emulator, 1).await;
        assert_eq!(attempts, [(0, Some("attempt 1: no answer within 30 s; again in 10 s".to_owned()))]);

        emulator.advance(Duration::from_secs(10));
        let second = questions.recv().await.unwrap();
        first.send(200).unwrap();
        let note = |text: &str| Some(text.to_owned());
        assert_eq!(after_attempts(&emulator, 2).await[1], (200, note("late: the next attempt was made")));
        second.send(202).unwrap();
        assert_eq!(after_attempts(&emulator, 3).await[2], (202, note("attempt 2")));
    }

    #[tokio::test]
    async fn a_success_within_three_more_minutes_cancels_the_next_attempt() {
        for (seconds, status, note) in [
            (5, 204, Some("late, and the next attempt is cancelled")),
            (5, 500, None),
            (9, 200, Some("late, and the next attempt is cancelled")),
        ] {
            let (endpoint, mut questions) = slow_subscriber().await;
            let emulator = emulator(&endpoint);
            publish(&emulator);
            let question = questions.recv().await.unwrap();
            emulator.advance(Duration::from_secs(30));
            after_attempts(&emulator, 1).await;
            emulator.advance(Duration::from_secs(seconds));
            question.send(status).unwrap();
            if let Some(note) = note {
                assert_eq!(after_attempts(&emulator, 2).await[1], (status, Some(note.to_owned())));
                assert!(emulator.look(|world, _| world.event_grid.is_idle()));
            } else {
                emulator.advance(Duration::from_secs(5));
                questions.recv().await.unwrap().send(202).unwrap();
                assert_eq!(after_attempts(&emulator, 2).await[1], (202, Some("attempt 2".to_owned())));
            }
        }
    }

    #[tokio::test]
    async fn events_released_in_an_order_arrive_in_that_order() {
        let (endpoint, heard) = subscriber(vec![]).await;
        let emulator = emulator(&endpoint);
        emulator.with(|world, _| world.event_grid.hold_back());
        (0..6).for_each(|_| publish(&emulator));
        let published: Vec<String> = emulator.look(|world, _| {
            world.event_grid.history().map(|delivery| delivery.event_id().to_owned()).collect()
        });
        emulator.with(|world, now| world.event_grid.release(3, now));
        after_attempts(&emulator, 6).await;

        let mut expected = published.clone();
        fastrand::Rng::with_seed(3).shuffle(&mut expected);
        assert_ne!(expected, published);
        let heard = heard.lock().unwrap();
        let ids = heard.iter().map(|(_, body)| {
            let events: serde_json::Value = serde_json::from_str(body).unwrap();
            events[0]["id"].as_str().unwrap().to_owned()
        });
        assert_eq!(ids.collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn a_lost_answer_makes_the_event_come_twice_and_a_lost_event_does_not_come_at_all() {
        for (effect, heard_at_first, note) in [
            (Effect::ResetAfter, 1, "attempt 1: no connection; again in 10 s"),
            (Effect::ResetBefore, 0, "attempt 1: no connection; again in 10 s"),
            (Effect::Silence, 0, "attempt 1: no answer within 30 s; again in 10 s"),
        ] {
            let (endpoint, heard) = subscriber(vec![]).await;
            let emulator = emulator(&endpoint);
            let (operation, calls) = (Operation::Deliver, Calls::First(1));
            emulator.with(|world, _| world.faults.add(Fault { operation, object: None, calls, effect }));
            publish(&emulator);
            assert_eq!(after_attempts(&emulator, 1).await, [(0, Some(note.to_owned()))], "{effect:?}");
            assert_eq!(heard.lock().unwrap().len(), heard_at_first, "{effect:?}");
            let fault = emulator.look(|world, _| world.journal.entries().next().unwrap().fault);
            assert_eq!(fault, Some(effect));

            emulator.advance(Duration::from_secs(10));
            assert_eq!(after_attempts(&emulator, 2).await[1].0, 202, "{effect:?}");
            assert_eq!(heard.lock().unwrap().len(), heard_at_first + 1, "{effect:?}");
        }
    }

    #[tokio::test]
    async fn a_fault_answers_in_the_subscriber_s_place() {
        let (endpoint, heard) = subscriber(vec![]).await;
        let emulator = emulator(&endpoint);
        emulator.with(|world, _| {
            world.faults.add(Fault {
                operation: Operation::Deliver,
                object: Some("factory-ca".to_owned()),
                calls: Calls::First(1),
                effect: Effect::Answer(503),
            });
        });
        publish(&emulator);
        assert_eq!(after_attempts(&emulator, 1).await[0].0, 503);
        assert!(heard.lock().unwrap().is_empty());
        emulator.advance(Duration::from_secs(30));
        assert_eq!(after_attempts(&emulator, 2).await[1].0, 202);
    }
}
