//! Timers, and functions somebody asks for, through the whole host.

use std::time::Duration;

use axum::Json;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::console::Level;
use super::tests::{any_port, emulator, handler, host_with};
use super::{FunctionsHost, invocation};
use keyholder_emulator::Emulator;
use keyholder_emulator::operation::Operation;

const WAITING: &str = "exec sleep 600";
const EVERY_QUARTER: (&str, &str) = ("KEYHOLDER_SWEEP_SCHEDULE", "0 */15 * * * *");
const MINUTES: Duration = Duration::from_secs(60);

/// Waits until so many functions have run: which, in order.
async fn ran(emulator: &Emulator, runs: usize) -> Vec<String> {
    emulator
        .until(|world| {
            let entries = world.journal.entries().filter(|entry| entry.operation == Operation::Invoke);
            let objects: Vec<_> = entries.map(|entry| entry.object.clone()).collect();
            (objects.len() >= runs).then_some(objects)
        })
        .await
}

async fn ask_for(host: &FunctionsHost, function: &str, input: Option<&Value>) -> u16 {
    let mut request = invocation::client().post(host.admin(function));
    if let Some(input) = input {
        request = request.body(json!({ "input": input }).to_string());
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_timer_fires_as_soon_as_the_clock_gets_there_and_once_for_all_that_went_by() {
    let emulator = emulator();
    let (port, calls) = handler("").await;
    let host = host_with(port, WAITING, &[EVERY_QUARTER], &emulator).await;
    for (minutes, last, next, late) in [
        (15, "0001-01-01T00:00:00", "2026-03-05T10:15:00+00:00", false),
        (120, "2026-03-05T10:15:00+00:00", "2026-03-05T10:30:00+00:00", true),
        (15, "2026-03-05T12:15:00+00:00", "2026-03-05T12:30:00+00:00", false),
    ] {
        let before = calls.lock().unwrap().len();
        emulator.advance(minutes * MINUTES);
        assert_eq!(ran(&emulator, before + 1).await, vec!["SweepUnverified"; before + 1]);
        let calls = calls.lock().unwrap();
        let call = &calls[before];
        assert_eq!(call["Data"]["timer"]["ScheduleStatus"]["Last"], last);
        assert_eq!(call["Data"]["timer"]["ScheduleStatus"]["Next"], next);
        assert_eq!(call["Data"]["timer"]["IsPastDue"], late);
        assert_eq!(call["Metadata"]["sys"]["MethodName"], "SweepUnverified");
    }
    host.stop().await;
}

/// A handler that says when it is called and waits to be let go.
async fn slow_handler() -> (u16, mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
    let (called, calls) = mpsc::unbounded_channel();
    let call = move |_: Json<Value>| async move {
        let (finish, finished) = oneshot::channel();
        called.send(finish).unwrap();
        finished.await.unwrap();
        Json(json!({}))
    };
    let listener = any_port().await;
    let port = listener.local_addr().unwrap().port();
    let router = axum::Router::new().route("/SweepUnverified", axum::routing::post(call));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (port, calls)
}

#[tokio::test]
async fn a_function_never_runs_twice_at_a_time_and_catches_up_once() {
    let emulator = emulator();
    let (port, mut calls) = slow_handler().await;
    let _host = host_with(port, WAITING, &[EVERY_QUARTER], &emulator).await;
    emulator.advance(15 * MINUTES);
    let first = calls.recv().await.unwrap();
    for _ in 0..3 {
        emulator.advance(15 * MINUTES);
        tokio::task::yield_now().await;
    }
    assert!(calls.try_recv().is_err(), "the first run is not over");
    first.send(()).unwrap();

    calls.recv().await.unwrap().send(()).unwrap();
    ran(&emulator, 2).await;
    emulator.advance(15 * MINUTES);
    calls.recv().await.unwrap().send(()).unwrap();
    assert_eq!(ran(&emulator, 3).await.len(), 3);
    assert!(calls.try_recv().is_err());
}

#[tokio::test]
async fn an_unresolved_schedule_costs_one_function_and_says_which_setting_is_missing() {
    let emulator = emulator();
    let (port, calls) = handler("").await;
    let host = host_with(port, WAITING, &[("KEYHOLDER_SWEEP_SCHEDULE", "")], &emulator).await;
    let (lines, _) = host.follow();
    let errors: Vec<_> = lines.iter().filter(|line| line.level == Level::Error).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].text.starts_with("Functions.SweepUnverified is not run:"), "{}", errors[0]);
    assert!(errors[0].text.contains("the app setting KEYHOLDER_SWEEP_SCHEDULE"), "{}", errors[0]);

    assert_eq!(ask_for(&host, "SweepUnverified", None).await, 404);
    assert_eq!(ask_for(&host, "VerifyOnUpload", Some(&json!({"id": "1"}))).await, 202);
    assert_eq!(ran(&emulator, 1).await, ["VerifyOnUpload"]);
    assert_eq!(calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_disabled_timer_never_fires_and_its_function_runs_for_whoever_asks() {
    let emulator = emulator();
    let (port, calls) = handler("").await;
    let settings = [EVERY_QUARTER, ("AzureWebJobs.SweepUnverified.Disabled", "true")];
    let host = host_with(port, WAITING, &settings, &emulator).await;
    emulator.advance(60 * MINUTES);
    assert_eq!(ask_for(&host, "sweepunverified", None).await, 202);
    assert_eq!(ran(&emulator, 1).await, ["SweepUnverified"]);
    let calls = calls.lock().unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["Data"]["timer"]["IsPastDue"], false);
    assert_eq!(calls[0]["Data"]["timer"]["ScheduleStatus"]["Last"], "0001-01-01T00:00:00");
}

#[tokio::test]
async fn an_event_somebody_hands_in_is_what_event_grid_would_have_sent() {
    let emulator = emulator();
    let (port, calls) = handler("").await;
    let host = host_with(port, WAITING, &[], &emulator).await;
    let event = json!({"id": "1", "data": {"a": 1}});
    for input in [event.clone(), json!(event.to_string())] {
        assert_eq!(ask_for(&host, "VerifyOnUpload", Some(&input)).await, 202);
    }
    assert_eq!(ask_for(&host, "VerifyOnUpload", None).await, 400);
    ran(&emulator, 2).await;
    for call in calls.lock().unwrap().iter() {
        assert_eq!(call["Data"]["event"], event);
        assert_eq!(call["Metadata"]["data"], event["data"]);
    }
}
