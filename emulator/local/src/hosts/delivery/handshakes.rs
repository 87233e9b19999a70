//! Asks endpoints whether they agree to be delivered to.

use http::StatusCode;
use time::OffsetDateTime;

use super::attempts::{is_due, loses_answer, outcome, unsent};
use super::client;
use keyholder_emulator::event_grid::{ANSWER_WITHIN, Attempt, Consent, Handshake, Provisioning};
use keyholder_emulator::faults::Effect;
use keyholder_emulator::journal::Entry;
use keyholder_emulator::operation::Operation;
use keyholder_emulator::stopwatch::Stopwatch;
use keyholder_emulator::{Emulator, World};

/// Answers that are longer hold no consent.
const MAX_ANSWER: usize = 64 * 1024;

/// Questions that are due and that no fault keeps from being asked, each with the fault that will keep its
/// answer.
pub(super) fn take_due(emulator: &Emulator) -> Vec<(Handshake, Option<Effect>)> {
    if !is_due(emulator) {
        return Vec::new();
    }
    let watch = emulator.stopwatch();
    emulator.with(|world, now| {
        let due = world.event_grid.take_handshakes(now);
        due.into_iter()
            .filter_map(|handshake| {
                let name = handshake.subscription().to_string();
                let fault = world.faults.strike(Operation::ValidateEndpoint, &name);
                match fault.and_then(unsent) {
                    Some(attempt) => {
                        let consent = failed(attempt, &handshake);
                        settle(world, &handshake, attempt, consent, fault, (now, watch));
                        None
                    }
                    None => Some((handshake, fault)),
                }
            })
            .collect()
    })
}

pub(super) async fn ask(
    emulator: Emulator,
    client: reqwest::Client,
    handshake: Handshake,
    fault: Option<Effect>,
) {
    let (deadline, watch) = (emulator.now() + ANSWER_WITHIN, emulator.stopwatch());
    let (attempt, consent) = tokio::select! {
        answer = answer(&client, &handshake) => answer,
        () = emulator.reaches(deadline) => (Attempt::TimedOut, failed(Attempt::TimedOut, &handshake)),
    };
    let (attempt, consent) = match loses_answer(fault) {
        true => (Attempt::SocketError, failed(Attempt::SocketError, &handshake)),
        false => (attempt, consent),
    };
    emulator.with(|world, now| settle(world, &handshake, attempt, consent, fault, (now, watch)));
}

async fn answer(client: &reqwest::Client, handshake: &Handshake) -> (Attempt, Consent) {
    let mut answer = match client::ask(client, handshake.request()).await {
        Ok(answer) => answer,
        Err(attempt) => return (attempt, failed(attempt, handshake)),
    };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut body = Vec::new();
    while body.len() <= MAX_ANSWER {
        match answer.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (Attempt::Answered(status), handshake.judge(status, &headers, &body)),
            Err(_) => return (Attempt::SocketError, failed(Attempt::SocketError, handshake)),
        }
    }
    let consent = Consent::Refused("the endpoint's answer is too long to be read".to_owned());
    (Attempt::Answered(status), consent)
}

/// What it means that there was no answer, or one that a fault made up.
fn failed(attempt: Attempt, handshake: &Handshake) -> Consent {
    match attempt {
        Attempt::Answered(status) if status == StatusCode::OK => Consent::Open,
        Attempt::Answered(status) => handshake.judge(status, &http::HeaderMap::new(), b""),
        _ => Consent::Refused(format!("the endpoint could not be asked{}", outcome(attempt))),
    }
}

fn settle(
    world: &mut World,
    handshake: &Handshake,
    attempt: Attempt,
    consent: Consent,
    fault: Option<Effect>,
    (now, watch): (OffsetDateTime, Stopwatch),
) {
    let reason = match &consent {
        Consent::Given => None,
        Consent::Open => Some("no consent yet: somebody has to follow the link it was sent".to_owned()),
        Consent::Refused(reason) => Some(reason.clone()),
    };
    world.event_grid.settle_handshake(handshake, consent, now);
    let name = handshake.subscription();
    let state = world.event_grid.provisioning(name, now).as_ref().map(Provisioning::name);
    let note = reason.map(|reason| format!("{reason}; {}", state.unwrap_or("nobody waits for it")));
    let mut entry = Entry {
        status: attempt.status(),
        fault,
        note,
        ..Entry::new(now, Operation::ValidateEndpoint, &name.to_string())
    };
    watch.stop(&mut entry);
    world.journal.write(entry);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use axum::response::IntoResponse;
    use http::HeaderMap;
    use serde_json::{Value, json};
    use time::macros::datetime;
    use tokio::net::TcpListener;

    use super::*;
    use crate::testing::{subscription, upload};
    use keyholder_emulator::event_grid::{Schema, Subscription};
    use keyholder_emulator::faults::{Calls, Fault};

    /// How an endpoint behaves towards somebody who wants to deliver to it.
    #[derive(Clone, Copy, PartialEq)]
    enum Manners {
        Agreeing,
        Silent,
        Refusing,
    }

    async fn endpoint(manners: Manners) -> String {
        let answer = move |method: http::Method, headers: HeaderMap, body: String| async move {
            let validates =
                headers.get("aeg-event-type").is_some_and(|kind| kind == "SubscriptionValidation");
            match (manners, method) {
                (Manners::Refusing, _) => StatusCode::FORBIDDEN.into_response(),
                (Manners::Agreeing, http::Method::OPTIONS) => {
                    [("webhook-allowed-origin", headers["webhook-request-origin"].clone())].into_response()
                }
                (Manners::Agreeing, _) if validates => {
                    let events: Value = serde_json::from_str(&body).unwrap();
                    let code = &events[0]["data"]["validationCode"];
                    json!({ "validationResponse": code }).to_string().into_response()
                }
                _ => StatusCode::OK.into_response(),
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
        endpoint
    }

    fn emulator() -> Emulator {
        let emulator = Emulator::new(World::empty(1));
        emulator.freeze(datetime!(2026-03-05 10:00 UTC));
        tokio::spawn(super::super::run(emulator.clone()));
        emulator
    }

    fn propose(emulator: &Emulator, endpoint: &str, schema: Schema) {
        let subscription = Subscription { schema, ..subscription("on-upload", endpoint) };
        emulator.with(|world, now| world.event_grid.propose(subscription, now).unwrap());
    }

    async fn answers(emulator: &Emulator, count: usize) -> Vec<(u16, String)> {
        emulator
            .until(|world| {
                let entries = world.journal.entries();
                let asked = entries.filter(|entry| entry.operation == Operation::ValidateEndpoint);
                let asked: Vec<_> =
                    asked.map(|entry| (entry.status, entry.note.clone().unwrap_or_default())).collect();
                (asked.len() == count).then_some(asked)
            })
            .await
    }

    fn state(emulator: &Emulator) -> Provisioning {
        emulator.look(|world, now| world.event_grid.provisioning(&"on-upload".parse().unwrap(), now)).unwrap()
    }

    #[tokio::test]
    async fn an_endpoint_that_agrees_gets_events_from_then_on() {
        for schema in [Schema::EventGrid, Schema::CloudEvents] {
            let emulator = emulator();
            propose(&emulator, &endpoint(Manners::Agreeing).await, schema);
            assert_eq!(answers(&emulator, 1).await, [(200, String::new())]);
            assert_eq!(state(&emulator), Provisioning::Succeeded);
            emulator.with(|world, now| world.event_grid.publish(&upload(), now, &mut world.random));
            emulator.until(|world| (world.journal.count(Operation::Deliver) == 1).then_some(())).await;
        }
    }

    #[tokio::test]
    async fn one_that_does_not_is_asked_again_after_five_seconds_and_then_left_alone() {
        for schema in [Schema::EventGrid, Schema::CloudEvents] {
            let emulator = emulator();
            propose(&emulator, &endpoint(Manners::Refusing).await, schema);
            let first = answers(&emulator, 1).await;
            assert!(first[0].0 == 403 && first[0].1.ends_with("; Creating"), "{first:?}");
            emulator.advance(Duration::from_secs(5));
            let second = answers(&emulator, 2).await;
            assert!(second[1].1.ends_with("; Failed"), "{second:?}");
            assert!(matches!(state(&emulator), Provisioning::Failed(reason) if reason.contains("403")));
        }
    }

    #[tokio::test]
    async fn for_one_that_says_nothing_somebody_may_follow_the_link() {
        for schema in [Schema::EventGrid, Schema::CloudEvents] {
            let emulator = emulator();
            propose(&emulator, &endpoint(Manners::Silent).await, schema);
            let asked = answers(&emulator, 1).await;
            assert!(asked[0].1.ends_with("; AwaitingManualAction"), "{asked:?}");
            let Provisioning::AwaitingManualAction(link) = state(&emulator) else { panic!() };
            let follow = |link: &str| {
                let request = http::Request::get(link).body(bytes::Bytes::new()).unwrap();
                emulator.handle(&request).status().as_u16()
            };
            assert_eq!(follow(&link.as_str().replace("token=", "token=x")), 404);
            assert_eq!((follow(link.as_str()), state(&emulator)), (200, Provisioning::Succeeded));
        }
    }

    #[tokio::test]
    async fn an_endpoint_that_cannot_be_asked_has_not_agreed() {
        for effect in [Effect::Silence, Effect::ResetBefore, Effect::ResetAfter, Effect::Answer(500)] {
            let emulator = emulator();
            let (operation, calls) = (Operation::ValidateEndpoint, Calls::First(2));
            emulator.with(|world, _| world.faults.add(Fault { operation, object: None, calls, effect }));
            propose(&emulator, &endpoint(Manners::Agreeing).await, Schema::EventGrid);
            answers(&emulator, 1).await;
            emulator.advance(Duration::from_secs(5));
            answers(&emulator, 2).await;
            assert!(matches!(state(&emulator), Provisioning::Failed(_)), "{effect:?}");
            propose(&emulator, &endpoint(Manners::Agreeing).await, Schema::EventGrid);
            answers(&emulator, 3).await;
            assert_eq!(state(&emulator), Provisioning::Succeeded, "{effect:?}");
        }
    }
}
