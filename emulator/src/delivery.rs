//! Sends what Event Grid owes: the only part of it that touches the network.
//!
//! It sleeps until the emulator's clock says that something is due, and wakes when the world or the clock
//! changes; moving the clock is all it takes to see a retry. The limit for one answer is real time, because
//! the subscriber works in real time.

use std::time::Duration;

use http::StatusCode;
use reqwest::redirect;
use time::OffsetDateTime;
use tokio::task::JoinSet;

use crate::event_grid::{ANSWER_WITHIN, Attempt, Delivery, Next};
use crate::faults::Effect;
use crate::journal::Entry;
use crate::operation::Operation;
use crate::stopwatch::Stopwatch;
use crate::{Emulator, World, arm};

/// Delivers for ever. Dropping the future also drops the requests on their way.
pub async fn run(emulator: Emulator) {
    let client = client();
    let mut changes = emulator.changes();
    let mut sending = JoinSet::new();
    loop {
        // Whatever changes from here on ends the wait below.
        changes.mark_unchanged();
        for (delivery, fault) in take_due(&emulator) {
            sending.spawn(send(emulator.clone(), client.clone(), delivery, fault));
        }
        let due_in = emulator.look(|world, now| world.event_grid.next_due().map(|due| due - now));
        tokio::select! {
            // The sender lives in `emulator`, so this never fails.
            _ = changes.changed() => {}
            Some(_) = sending.join_next() => {}
            () = elapse(due_in) => {}
        }
    }
}

/// Deliveries that are due and that no fault keeps from being sent, each with the fault that will keep its
/// answer.
fn take_due(emulator: &Emulator) -> Vec<(Delivery, Option<Effect>)> {
    // Taking counts as a change even when there is nothing to take, so look first.
    if !emulator.look(|world, now| world.event_grid.next_due().is_some_and(|due| due <= now)) {
        return Vec::new();
    }
    let watch = emulator.stopwatch();
    emulator.with(|world, now| {
        let due = world.event_grid.take_due(now);
        due.into_iter()
            .filter_map(|delivery| {
                let fault = world.faults.strike(Operation::Deliver, object(&delivery));
                let attempt = match fault {
                    Some(Effect::Answer(status)) => {
                        StatusCode::from_u16(status).map_or(Attempt::SocketError, Attempt::Answered)
                    }
                    // Nobody waits for real time to see that nothing comes.
                    Some(Effect::Silence) => Attempt::TimedOut,
                    Some(Effect::ResetBefore) => Attempt::SocketError,
                    _ => return Some((delivery, fault)),
                };
                settle(world, delivery, attempt, fault, (now, watch));
                None
            })
            .collect()
    })
}

async fn send(emulator: Emulator, client: reqwest::Client, delivery: Delivery, fault: Option<Effect>) {
    let watch = emulator.stopwatch();
    let mut request = client.post(delivery.endpoint().clone()).body(delivery.body());
    for (name, value) in delivery.headers() {
        request = request.header(name, value);
    }
    let attempt = match request.send().await {
        Ok(_) if fault == Some(Effect::ResetAfter) => Attempt::SocketError,
        Ok(answer) => Attempt::Answered(answer.status()),
        Err(error) if error.is_timeout() => Attempt::TimedOut,
        Err(error) => {
            tracing::debug!(error = %error.without_url(), "no answer from an event subscriber");
            Attempt::SocketError
        }
    };
    emulator.with(|world, now| settle(world, delivery, attempt, fault, (now, watch)));
}

fn settle(
    world: &mut World,
    delivery: Delivery,
    attempt: Attempt,
    fault: Option<Effect>,
    (now, watch): (OffsetDateTime, Stopwatch),
) {
    let number = delivery.attempts_before() + 1;
    let subject = Some(delivery.subject()).filter(|subject| arm::is_certificate_id(subject));
    let mut entry = Entry {
        status: attempt.status(),
        fault,
        certificates: subject.map(str::to_owned).into_iter().collect(),
        event_ids: vec![delivery.event_id().to_owned()],
        attempt: Some(number),
        ..Entry::new(now, Operation::Deliver, object(&delivery))
    };
    let next = world.event_grid.settle(delivery, attempt, now);
    entry.note = note(number, attempt, next, now);
    watch.stop(&mut entry);
    world.journal.write(entry);
}

/// What the journal says; a first attempt that succeeds needs no words.
fn note(number: u32, attempt: Attempt, next: Next, now: OffsetDateTime) -> Option<String> {
    let outcome = match attempt {
        Attempt::Answered(_) => "",
        Attempt::TimedOut => ": no answer within 30 s",
        Attempt::SocketError => ": no connection",
    };
    match next {
        Next::Done if number == 1 => None,
        Next::Done => Some(format!("attempt {number}")),
        Next::RetryAt(due) => {
            Some(format!("attempt {number}{outcome}; again in {} s", (due - now).whole_seconds()))
        }
        Next::GiveUp(reason) => Some(format!("attempt {number}{outcome}; given up: {}", reason.name())),
    }
}

/// The name the journal and faults know a delivery by: the last segment of what it is about.
fn object(delivery: &Delivery) -> &str {
    delivery.subject().rsplit('/').next().unwrap_or_default()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .timeout(ANSWER_WITHIN)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("a client without certificates of its own can always be built")
}

async fn elapse(duration: Option<time::Duration>) {
    match duration {
        // What is overdue by now waits no longer.
        Some(duration) => tokio::time::sleep(Duration::try_from(duration).unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::http::HeaderMap;
    use axum::routing::post;
    use time::macros::datetime;
    use tokio::net::TcpListener;

    use super::*;
    use crate::event_grid::tests::{subscription, upload};
    use crate::faults::{Calls, Fault};

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
