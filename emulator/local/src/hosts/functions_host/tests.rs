//! The whole host, with a shell that only waits in the handler's place and the test answering on its port.

use std::sync::Mutex;
use std::time::Duration;

use axum::Json;
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::testing::{subscription, upload};
use keyholder_emulator::World;
use keyholder_emulator::faults::{Calls, Effect, Fault};
use keyholder_emulator::operation::Operation;

/// An app whose program only waits to be killed; the test itself answers on the handler's port.
fn app(script: &str) -> App {
    App::built_in(vec!["/bin/sh".into(), "-c".into(), script.into()]).unwrap()
}

pub(super) async fn any_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

pub(super) fn emulator() -> Emulator {
    let emulator = Emulator::new(World::empty(1));
    emulator.freeze(datetime!(2026-03-05 10:00 UTC));
    emulator
}

/// A handler that records its calls and fails those whose event it is told to.
pub(super) async fn handler(failing: &'static str) -> (u16, Arc<Mutex<Vec<Value>>>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&calls);
    let call = move |Json(call): Json<Value>| async move {
        let fails = call["Data"]["event"]["id"] == failing;
        record.lock().unwrap().push(call);
        match fails {
            true => Err(http::StatusCode::BAD_GATEWAY),
            false => Ok(Json(json!({"Outputs": {}, "Logs": ["done"], "ReturnValue": null}))),
        }
    };
    let listener = any_port().await;
    let port = listener.local_addr().unwrap().port();
    let call = axum::routing::post(call);
    let router = axum::Router::new().route("/VerifyOnUpload", call.clone()).route("/SweepUnverified", call);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (port, calls)
}

async fn host(port: u16, script: &str, emulator: &Emulator) -> FunctionsHost {
    host_with(port, script, &[], emulator).await
}

pub(super) async fn host_with(
    port: u16,
    script: &str,
    settings: &[(&str, &str)],
    emulator: &Emulator,
) -> FunctionsHost {
    let listener = any_port().await;
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    FunctionsHost::start_on(|| Ok(port), app(script), settings, listener, emulator.clone()).await.unwrap()
}

async fn notify(host: &FunctionsHost, events: Value) -> (u16, String) {
    let request = invocation::client().post(host.webhook("VerifyOnUpload"));
    let request = request.header("aeg-event-type", "Notification").body(events.to_string());
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn start_error(script: &str, settings: Vec<(String, String)>) -> HostError {
    FunctionsHost::start(app(script), settings, any_port().await, emulator()).await.unwrap_err()
}

#[tokio::test]
async fn a_notification_is_one_call_an_event_and_any_failure_fails_it() {
    let emulator = emulator();
    let (port, calls) = handler("bad").await;
    let host = host(port, "exec sleep 600", &emulator).await;

    let answer = notify(&host, json!([{"id": "1"}, {"id": "2"}])).await;
    assert_eq!(answer, (202, String::new()));
    let answer = notify(&host, json!([{"id": "3"}, {"id": "bad"}])).await;
    assert_eq!(answer, (500, "Exception while executing function: Functions.VerifyOnUpload".to_owned()));

    assert_eq!(calls.lock().unwrap().len(), 4);
    let (lines, _) = host.follow();
    assert_eq!(lines.iter().filter(|line| line.to_string() == "[VerifyOnUpload] done").count(), 3);
    emulator.look(|world, _| {
        let statuses: Vec<_> = world.journal.entries().map(|entry| entry.status).collect();
        assert_eq!(world.journal.count(Operation::Invoke), 4);
        assert_eq!(statuses.iter().filter(|status| **status == 502).count(), 1, "{statuses:?}");
    });
    host.stop().await;
}

#[tokio::test]
async fn an_event_reaches_the_handler_through_the_whole_chain() {
    let emulator = emulator();
    let (port, calls) = handler("").await;
    let host = host(port, "exec sleep 600", &emulator).await;
    tokio::spawn(crate::hosts::delivery::run(emulator.clone()));
    emulator.with(|world, now| {
        world.event_grid.subscribe(subscription("on-upload", host.webhook("VerifyOnUpload").as_str()));
        world.event_grid.publish(&upload(), now, &mut world.random);
    });
    emulator.until(|world| world.event_grid.is_idle().then_some(())).await;

    let calls = calls.lock().unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["Data"]["event"]["subject"], upload().resource_id);
    assert_eq!(calls[0]["Metadata"]["sys"]["MethodName"], "VerifyOnUpload");
}

#[tokio::test]
async fn a_fault_stands_between_the_host_and_its_handler() {
    let emulator = emulator();
    let (port, calls) = handler("").await;
    let host = host(port, "exec sleep 600", &emulator).await;
    for (effect, called, status, note) in [
        (Effect::Answer(503), 0, 503, "the handler answered 503 Service Unavailable"),
        (Effect::ResetBefore, 0, 0, "the handler did not answer: the connection was reset"),
        (Effect::ResetAfter, 1, 0, "the handler did not answer: the connection was reset"),
    ] {
        let (operation, calls_struck) = (Operation::Invoke, Calls::First(1));
        let fault = Fault { operation, object: None, calls: calls_struck, effect };
        emulator.with(|world, _| world.faults.add(fault));
        assert_eq!(notify(&host, json!([{"id": "1"}])).await.0, 500);
        assert_eq!(std::mem::take(&mut *calls.lock().unwrap()).len(), called, "{effect:?}");
        let entry = emulator.look(|world, _| world.journal.entries().next_back().unwrap().clone());
        assert_eq!((entry.status, entry.fault), (status, Some(effect)));
        assert!(entry.note.as_deref().is_some_and(|text| text.starts_with(note)), "{:?}", entry.note);
    }
}

#[tokio::test]
async fn silence_times_a_function_out_at_once_and_costs_the_handler() {
    let emulator = emulator();
    let (port, calls) = handler("").await;
    let host = host(port, "exec sleep 600", &emulator).await;
    let before = host.handler_pid();
    let (operation, calls_struck) = (Operation::Invoke, Calls::First(1));
    let fault = Fault { operation, object: None, calls: calls_struck, effect: Effect::Silence };
    emulator.with(|world, _| world.faults.add(fault));

    assert_eq!(notify(&host, json!([{"id": "1"}])).await.0, 500);
    host.state.clone().wait_for(|state| state.pid() != before).await.unwrap();
    assert!(host.ready().await);
    let note = emulator.look(|world, _| world.journal.entries().next_back().unwrap().note.clone());
    assert_eq!(note.as_deref(), Some("the function timed out after 300s, and its handler is killed for it"));
    assert!(calls.lock().unwrap().is_empty());
}

/// Posts to any path of the host, with a key or without; the status.
async fn post(host: &FunctionsHost, url: url::Url, key: Option<&str>) -> u16 {
    let request = invocation::client().post(url).header("aeg-event-type", "Notification").body("[]");
    let request = key.into_iter().fold(request, |request, key| request.header("x-functions-key", key));
    assert!(host.handler_pid().is_some());
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_host_may_ask_for_keys_as_it_does_in_azure() {
    let emulator = emulator();
    let (port, _) = handler("").await;
    let app = app("exec sleep 600").asking_for_keys();
    let host =
        FunctionsHost::start_on(|| Ok(port), app, vec![], any_port().await, emulator.clone()).await.unwrap();
    let master = host.master_key().unwrap();
    let with_key = host.webhook("VerifyOnUpload");
    let mut without = with_key.clone();
    without.set_query(Some("functionName=VerifyOnUpload"));
    let mut unknown = with_key.clone();
    unknown.set_query(Some(&with_key.query().unwrap().replace("VerifyOnUpload", "Unknown")));
    let system = with_key.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();

    assert_eq!(post(&host, with_key.clone(), None).await, 202);
    assert_eq!(post(&host, without.clone(), None).await, 401);
    assert_eq!(post(&host, without.clone(), Some(&master)).await, 202);
    assert_eq!(post(&host, with_key, Some("wrong")).await, 401, "the header wins");
    assert_eq!(post(&host, unknown, None).await, 404, "once it is let in");
    let mut admin = host.admin("SweepUnverified");
    admin.set_query(None);
    assert_eq!(post(&host, admin.clone(), Some(&system)).await, 403);
    assert_eq!(post(&host, admin.clone(), None).await, 401);

    admin.set_path("/admin/host/systemkeys/eventgrid_extension");
    admin.set_query(Some(&format!("code={master}")));
    let shown = invocation::client().get(admin).send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(shown["value"], system);
    host.stop().await;
}

#[tokio::test]
async fn an_answer_without_one_hangs_the_live_host_and_costs_the_handler_where_it_is_strict() {
    for (strict, answer) in [(false, ""), (true, ""), (true, "null")] {
        let emulator = emulator();
        emulator.with(|world, _| world.strict = strict);
        let listener = any_port().await;
        let port = listener.local_addr().unwrap().port();
        let router = axum::Router::new()
            .fallback(move || async move { ([("content-type", "application/json")], answer) });
        tokio::spawn(async move { axum::serve(listener, router).await });
        let host = host(port, "exec sleep 600", &emulator).await;
        let before = host.handler_pid();
        assert_eq!(notify(&host, json!([{"id": "1"}])).await.0, 500);
        let note =
            emulator.look(|world, _| world.journal.entries().next_back().unwrap().note.clone()).unwrap();
        assert!(
            note.contains("the live host would wait for an answer until the function times out"),
            "{note}"
        );
        if strict {
            host.state.clone().wait_for(|state| state.pid() != before).await.unwrap();
        } else {
            assert_eq!(host.handler_pid(), before);
        }
    }
}

#[tokio::test]
async fn a_port_that_the_app_asks_for_is_its_or_nobody_s() {
    let taken = any_port().await;
    let port = taken.local_addr().unwrap().port();
    let app = App { port: Some(port), ..app("echo $FUNCTIONS_CUSTOMHANDLER_PORT >&2; exit 3") };
    let start = |app: App| async {
        FunctionsHost::start(app, vec![], any_port().await, emulator()).await.unwrap_err()
    };
    let message = start(app.clone()).await.to_string();
    assert!(message.starts_with(&format!("port {port} for the handler cannot be used")), "{message}");
    drop(taken);
    let HostError::Exited { stderr, .. } = start(app).await else { panic!("it was to end") };
    assert_eq!(stderr, [port.to_string()]);
}

#[tokio::test]
async fn a_killed_handler_is_restarted_twice_and_then_the_host_is_down() {
    let emulator = emulator();
    let (port, _) = handler("").await;
    let host = host(port, "exec sleep 600", &emulator).await;
    for _ in 0..2 {
        let before = host.handler_pid();
        host.kill_handler().await;
        assert!(host.ready().await);
        assert_ne!(host.handler_pid(), before);
        assert_eq!(notify(&host, json!([{"id": "1"}])).await.0, 202);
    }
    emulator.advance(Duration::from_secs(31 * 60));
    host.kill_handler().await;
    assert!(host.ready().await, "half an hour forgives");

    host.kill_handler().await;
    host.kill_handler().await;
    assert!(!host.ready().await);
    assert_eq!(host.handler_pid(), None);
    assert_eq!(notify(&host, json!([])).await, (503, "Function host is not running.".to_owned()));
    host.stop().await;
}

#[tokio::test]
async fn a_function_that_takes_too_long_costs_its_handler_and_no_more() {
    let emulator = emulator();
    let silent = any_port().await;
    let port = silent.local_addr().unwrap().port();
    // Ready at once for the probe, silent for everything else.
    let router = axum::Router::new().route("/", axum::routing::get(|| async {})).fallback(|| async {
        std::future::pending::<()>().await;
    });
    tokio::spawn(async move { axum::serve(silent, router).await });
    let app = App { function_timeout: Some(Duration::from_millis(1)), ..app("exec sleep 600") };
    let host =
        FunctionsHost::start_on(|| Ok(port), app, vec![], any_port().await, emulator.clone()).await.unwrap();
    for _ in 0..4 {
        let before = host.handler_pid();
        assert_eq!(notify(&host, json!([{"id": "1"}])).await.0, 500);
        let mut state = host.state.clone();
        state.wait_for(|state| state.pid() != before).await.unwrap();
        assert!(host.ready().await);
    }
}

#[tokio::test]
async fn exit_code_0_is_for_ever() {
    let emulator = emulator();
    let (port, calls) = handler("").await;
    let gate = tempfile::tempdir().unwrap();
    let pipe = gate.path().join("pipe");
    let script = format!("mkfifo {0}; read line < {0}; exit 0", pipe.display());
    let host = host(port, &script, &emulator).await;
    let opened = tokio::task::spawn_blocking(move || {
        // Opening waits for the reader; until there is a pipe there is nothing to open.
        while !pipe.exists() {
            std::thread::yield_now();
        }
        std::fs::write(pipe, "go\n").unwrap();
    });
    opened.await.unwrap();
    host.state.clone().wait_for(|state| *state == State::Gone).await.unwrap();

    assert_eq!(notify(&host, json!([{"id": "1"}])).await.0, 500);
    assert!(calls.lock().unwrap().is_empty());
    host.kill_handler().await;
    host.stop().await;
}

#[tokio::test]
async fn stopping_kills_the_handler_and_closes_the_door() {
    let (port, _) = handler("").await;
    let host = host(port, "exec sleep 600", &emulator()).await;
    let (address, pid) = (host.address(), host.handler_pid().unwrap());
    host.stop().await;
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_handler_gets_settings_and_the_host_s_variables() {
    let script = r#"echo "$MINE $FUNCTIONS_CUSTOMHANDLER_PORT $FUNCTIONS_HTTPWORKER_PORT" >&2
        echo "$FUNCTIONS_CUSTOMHANDLER_WORKER_ID $FUNCTIONS_HTTPWORKER_ID" >&2
        echo "$FUNCTIONS_APP_ROOT_PATH" >&2; exit 3"#;
    let error = start_error(script, vec![("MINE".to_owned(), "set".to_owned())]).await;
    let HostError::Exited { status, stderr } = &error else { panic!("{error:?}") };
    assert_eq!(status.code(), Some(3));
    let words: Vec<Vec<&str>> = stderr.iter().map(|line| line.split(' ').collect()).collect();
    assert_eq!(words[0][0], "set");
    assert_eq!(words[0][1], words[0][2]);
    assert!(words[0][1].parse::<u16>().is_ok());
    assert_eq!((words[1][0].len(), words[1][0]), (36, words[1][1]));
    assert_eq!(stderr[2], std::env::current_dir().unwrap().display().to_string());
}

#[tokio::test]
async fn a_handler_that_cannot_start_says_why() {
    let message = start_error("echo no settings >&2; exit 78", vec![]).await.to_string();
    assert!(message.contains("78") && message.ends_with("its last words: no settings"), "{message}");

    let app = App::built_in(vec!["/no/such/handler".into()]).unwrap();
    let error = FunctionsHost::start(app, vec![], any_port().await, emulator()).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot start the handler /no/such/handler"), "{error}");
}

#[tokio::test]
async fn a_taken_port_is_tried_again_with_another() {
    let mut ports = Vec::new();
    let error = FunctionsHost::start_on(
        || {
            ports.push(free_port()?);
            Ok(*ports.last().unwrap())
        },
        app("echo 'Error: Address already in use (os error 98)' >&2; exit 1"),
        vec![],
        any_port().await,
        emulator(),
    )
    .await
    .unwrap_err();
    assert!(error.is_port_taken());
    assert_eq!(ports.len(), PORTS as usize);
}
