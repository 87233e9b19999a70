//! The router without a socket, over peers that break.

use axum::body::Body;
use axum::http::Request;

use super::*;
use crate::testing::{self, upload, verifier};

async fn ask(handler: &Router, method: &str, path: &str, body: String) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path).body(Body::from(body)).expect("a request");
    testing::ask(handler, request).await
}

fn handler() -> Router {
    router(Arc::new(verifier()))
}

/// As the host wraps an event.
fn invocation(name: &str) -> String {
    json!({ "Data": { "event": upload(name) }, "Metadata": {} }).to_string()
}

#[tokio::test]
async fn a_panic_fails_its_own_invocation_and_leaves_the_process_serving() {
    let handler = handler();
    let (status, answer) = ask(&handler, "POST", "/VerifyOnUpload", invocation("broken")).await;
    assert_eq!(status, 503, "{answer}");
    assert_eq!(ask(&handler, "POST", "/SweepUnverified", r#"{"Data":{"timer":{}}}"#.into()).await.0, 500);
    let (status, answer) = ask(&handler, "POST", "/VerifyOnUpload", invocation("other")).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(ask(&handler, "GET", "/", String::new()).await.0, 200);
}

fn megabyte_of_zeros() -> String {
    let zeros = vec!["0"; (MAX_BODY - 100) / 2].join(",");
    format!(r#"{{"Data":{{"event":[{zeros}]}}}}"#)
}

#[tokio::test]
async fn what_is_no_invocation_is_refused_with_the_reason() {
    let rows = [
        ("over 1 MiB", "POST", "/VerifyOnUpload", " ".repeat(MAX_BODY + 1), 413, "more than"),
        (
            "half a million events",
            "POST",
            "/VerifyOnUpload",
            megabyte_of_zeros(),
            413,
            "more than 5000 events",
        ),
        ("another method", "GET", "/VerifyOnUpload", String::new(), 405, "POST"),
        ("another function", "POST", "/verifyonupload", invocation("x"), 404, "POST /VerifyOnUpload"),
        ("no JSON", "POST", "/VerifyOnUpload", "hello".into(), 400, "not an invocation"),
        ("no timer either", "POST", "/SweepUnverified", "hello".into(), 400, "not an invocation"),
    ];
    for (name, method, path, body, status, words) in rows {
        let (found, answer) = ask(&handler(), method, path, body).await;
        let error = answer["error"].as_str().expect("it says why");
        assert!(found == status && error.contains(words), "{name}: {found} {error}");
    }
}
