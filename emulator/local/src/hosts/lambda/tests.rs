//! The function with a program that does nothing but say where its Runtime API is; the test is the rest of it.

use std::ffi::OsString;
use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast::Receiver;

use super::*;

/// Announces its Runtime API and stays.
const PROGRAM: &str = r#"echo "$AWS_LAMBDA_RUNTIME_API"; exec sleep 600"#;
const NEXT: &str = "2018-06-01/runtime/invocation/next";

async fn lambda(script: &str, change: impl FnOnce(&mut Options)) -> Lambda {
    let program = ["/bin/sh", "-c", script].map(OsString::from).to_vec();
    let mut options = Options::new(program, vec![("SETTING".to_owned(), "hidden".to_owned())]);
    change(&mut options);
    Lambda::start(options, TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap()
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The test as the program.
struct Program {
    http: reqwest::Client,
    api: String,
}

impl Program {
    /// The next instance that starts.
    async fn starting(log: &mut Receiver<Line>) -> Program {
        loop {
            let line = log.recv().await.unwrap();
            if line.text.starts_with("127.0.0.1:") {
                return Program { http: http(), api: format!("http://{}", line.text) };
            }
        }
    }

    async fn next(&self) -> reqwest::Response {
        self.http.get(format!("{}/{NEXT}", self.api)).send().await.unwrap()
    }

    /// Answers or fails: the status that gets.
    async fn say(&self, id: &str, what: &str, body: &str) -> u16 {
        let url = format!("{}/2018-06-01/runtime/invocation/{id}/{what}", self.api);
        self.http.post(url).body(body.to_owned()).send().await.unwrap().status().as_u16()
    }

    /// Handles one event.
    async fn handle(&self, what: &str, body: &str) -> Value {
        let next = self.next().await;
        let id = id(&next);
        let event = next.json().await.unwrap();
        assert_eq!(self.say(&id, what, body).await, 202);
        event
    }
}

fn id(next: &reqwest::Response) -> String {
    next.headers()["lambda-runtime-aws-request-id"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_event_is_fetched_with_the_documented_headers_and_answered_once() {
    let lambda = lambda(PROGRAM, |_| {}).await;
    let mut log = lambda.follow().1;
    let event = json!({ "any": "event" });
    let program = async {
        let program = Program::starting(&mut log).await;
        let next = program.next().await;
        let documented: Value = serde_json::from_str(include_str!(
            "../../../../../tests/fixtures/functions/lambda-runtime-api.json"
        ))
        .unwrap();
        for name in documented["next"]["response_headers"].as_object().unwrap().keys() {
            assert!(next.headers().contains_key(name), "{name}");
        }
        let id = id(&next);
        assert_eq!(next.json::<Value>().await.unwrap(), event);
        assert_eq!(program.say("another", "response", "{}").await, 400);
        assert_eq!(program.say(&id, "response", r#"{"an":"answer"}"#).await, 202);
        assert_eq!(program.say(&id, "response", "{}").await, 400, "it is over");
    };
    let (answer, ()) = tokio::join!(lambda.invoke(&event), program);
    assert_eq!(answer.unwrap(), json!({ "an": "answer" }));
}

#[tokio::test]
async fn an_instance_stays_warm_also_after_an_error_it_reported() {
    let lambda = lambda(PROGRAM, |_| {}).await;
    let mut log = lambda.follow().1;
    let program = async {
        let program = Program::starting(&mut log).await;
        program.handle("error", r#"{"errorType":"x","errorMessage":"y"}"#).await;
        program.handle("response", "no JSON").await;
        program.handle("response", "1").await;
    };
    let calls = async {
        let reported = lambda.invoke(&Value::Null).await.unwrap_err();
        assert!(
            matches!(&reported, InvokeError::Reported(report) if report["errorType"] == "x"),
            "{reported}"
        );
        let malformed = lambda.invoke(&Value::Null).await.unwrap_err();
        assert!(matches!(malformed, InvokeError::Reported(_)), "{malformed}");
        assert_eq!(lambda.invoke(&Value::Null).await.unwrap(), 1);
    };
    tokio::join!(program, calls);
    assert_eq!(lambda.idle_instances(), 1);
    lambda.stop().await;
}

#[tokio::test]
async fn a_busy_function_gets_another_instance_until_it_is_at_its_concurrency() {
    let lambda = lambda(PROGRAM, |options| options.concurrency = 2).await;
    let mut log = lambda.follow().1;
    let programs = async {
        let first = Program::starting(&mut log).await;
        let second = Program::starting(&mut log).await;
        // Both hold their event, so the third call finds no place.
        let (held, also_held) = (first.next().await, second.next().await);
        assert_eq!(http().get(lambda.url()).send().await.unwrap().status(), 429);
        first.say(&id(&held), "response", "1").await;
        second.say(&id(&also_held), "response", "2").await;
    };
    let event = Value::Null;
    let (one, two, ()) = tokio::join!(lambda.invoke(&event), lambda.invoke(&event), programs);
    assert_eq!(one.unwrap().as_i64().unwrap() + two.unwrap().as_i64().unwrap(), 3);
    assert_eq!(lambda.idle_instances(), 2);
}

#[tokio::test]
async fn a_request_to_the_url_becomes_an_event_and_its_answer_the_response() {
    let lambda = lambda(PROGRAM, |_| {}).await;
    let mut log = lambda.follow().1;
    let program = async {
        let program = Program::starting(&mut log).await;
        let answer = json!({ "statusCode": 418, "headers": { "x-a": "b" }, "body": "short and stout" });
        program.handle("response", &answer.to_string()).await
    };
    let request = http().post(lambda.url().join("tea?pot=1").unwrap()).json(&json!({})).send();
    let (event, response) = tokio::join!(program, request);
    let response = response.unwrap();
    assert_eq!((event["rawPath"].as_str(), event["rawQueryString"].as_str()), (Some("/tea"), Some("pot=1")));
    assert_eq!((response.status().as_u16(), response.headers()["x-a"].to_str().unwrap()), (418, "b"));
    assert_eq!(response.text().await.unwrap(), "short and stout");
}

#[tokio::test]
async fn a_program_that_fails_is_told_apart_and_the_url_answers_502() {
    let short = Duration::from_millis(1);
    let crash = lambda("exit 7", |_| {}).await;
    assert!(
        matches!(crash.invoke(&Value::Null).await, Err(InvokeError::Exited(status)) if status.code() == Some(7))
    );
    let silent = lambda("exec sleep 600", |options| options.initialization = short).await;
    assert!(matches!(silent.invoke(&Value::Null).await, Err(InvokeError::NotInitialized(_))));
    let missing = lambda("", |options| options.program = vec!["/nonexistent/bootstrap".into()]).await;
    assert!(matches!(missing.invoke(&Value::Null).await, Err(InvokeError::Start { .. })));
    for lambda in [crash, silent, missing] {
        let answer = http().get(lambda.url()).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), lambda.idle_instances()), (502, 0));
    }
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_killed_and_replaced() {
    let lambda = lambda(PROGRAM, |options| options.timeout = Duration::from_millis(1)).await;
    for _ in 0..2 {
        let mut log = lambda.follow().1;
        // Whether it hears the event before it is killed is a matter of luck.
        let program = async {
            let program = Program::starting(&mut log).await;
            let _ = program.http.get(format!("{}/{NEXT}", program.api)).send().await;
        };
        let (answer, ()) = tokio::join!(lambda.invoke(&Value::Null), program);
        assert!(matches!(answer, Err(InvokeError::TimedOut(_))), "{answer:?}");
        assert_eq!(lambda.idle_instances(), 0);
    }
}

#[tokio::test]
async fn a_program_gets_its_own_environment_and_no_other() {
    let lambda = lambda("env", |_| {}).await;
    let _ = lambda.invoke(&Value::Null).await;
    let printed: Vec<String> = lambda.follow().0.into_iter().map(|line| line.text).collect();
    assert!(printed.contains(&"SETTING=hidden".to_owned()), "{printed:?}");
    let required: Value =
        serde_json::from_str(include_str!("../../../../../tests/fixtures/functions/lambda-runtime-api.json"))
            .unwrap();
    for name in required["env"].as_object().unwrap().keys() {
        assert!(printed.iter().any(|line| line.starts_with(&format!("{name}="))), "{name} {printed:?}");
    }
    assert!(
        !printed.iter().any(|line| line.starts_with("HOME=") || line.starts_with("CARGO")),
        "{printed:?}"
    );
    assert!(!format!("{lambda:?}").contains("hidden"));
}
