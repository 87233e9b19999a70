//! The router without a socket, over peers that break.

use axum::body::Body;

use super::*;
use crate::testing::{self, upload, verifier};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NEXT_SECRET: &str = "fedcba9876543210fedcba9876543210";
const DELIVERY: [(&str, &str); 2] = [("aeg-event-type", "Notification"), (KEY_HEADER, SECRET)];

fn webhook() -> Router {
    let settings = |name: &str| match name {
        "KEYHOLDER_WEBHOOK_SECRET" => Some(format!("{SECRET},{NEXT_SECRET}")),
        "KEYHOLDER_WEBHOOK_SUBSCRIPTIONS" => Some("verify-on-upload".to_owned()),
        "KEYHOLDER_REGISTRIES" => Some(testing::GROUP.to_owned()),
        "KEYHOLDER_VAULTS" => Some("https://my-vault.vault.azure.net".to_owned()),
        _ => None,
    };
    let (_, webhook) = Webhook::read(settings).expect("well-formed");
    router(Arc::new(verifier()), webhook, None)
}

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: impl ToString) -> Request {
    let request = Request::builder().method(method).uri(target);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Body::from(body.to_string())).expect("a request")
}

async fn ask(method: &str, target: &str, headers: &[(&str, &str)], body: impl ToString) -> (u16, Value) {
    testing::ask(&webhook(), request(method, target, headers, body)).await
}

#[tokio::test]
async fn the_secret_is_taken_from_the_header_or_the_query_and_nothing_happens_without_it() {
    let code = |secret: &str| format!("?code={secret}");
    let rows = [
        ("none", "", None, 401),
        ("another", "", Some("another secret, of thirty-two bytes"), 401),
        ("a part", "", Some(&SECRET[..16]), 401),
        ("in the header", "", Some(SECRET), 200),
        ("the next one", "", Some(NEXT_SECRET), 200),
        ("in the query", &code(SECRET), None, 200),
        ("percent-encoded", &code(&SECRET.replace('0', "%30")), None, 200),
        ("among others", &format!("?a=b&code={SECRET}&c=d"), None, 200),
        ("under another name", &format!("?Code={SECRET}"), None, 401),
        ("a wrong one in the header goes before a right one in the query", &code(SECRET), Some("x"), 401),
    ];
    for (name, query, header, expected) in rows {
        let header = header.map(|secret| (KEY_HEADER, secret));
        let headers: Vec<_> = [("aeg-event-type", "Notification")].into_iter().chain(header).collect();
        for (method, path) in [("POST", "/eventgrid"), ("POST", "/sweep"), ("OPTIONS", "/eventgrid")] {
            let (status, answer) = ask(method, &format!("{path}{query}"), &headers, "[]").await;
            assert_eq!(status == 401, expected == 401, "{name}, {method} {path}: {status} {answer}");
            assert!(!answer.to_string().contains(&SECRET[..16]), "{name}: a secret is repeated: {answer}");
        }
    }
}

#[tokio::test]
async fn without_the_secret_a_body_is_not_even_read_and_a_probe_is_answered() {
    assert_eq!(ask("GET", "/", &[], "").await.0, 200);
    let (status, answer) = ask("POST", "/eventgrid", &[], " ".repeat(MAX_BODY + 1)).await;
    assert_eq!(status, 401, "{answer}");
}

#[tokio::test]
async fn consent_is_given_to_announced_subscriptions_only() {
    for (subscription, expected) in [("VERIFY-ON-UPLOAD", 200), ("ANOTHER-OWNER", 403), ("", 403)] {
        let headers = [
            ("aeg-event-type", "SubscriptionValidation"),
            ("aeg-subscription-name", subscription),
            (KEY_HEADER, SECRET),
        ];
        let body =
            json!([{ "data": { "validationCode": "the code", "validationUrl": "https://evil.example" } }]);
        let (status, answer) = ask("POST", "/eventgrid", &headers, body).await;
        assert_eq!(status, expected, "{subscription}: {answer}");
        match expected {
            200 => assert_eq!(answer, json!({ "validationResponse": "the code" })),
            _ => assert!(answer.to_string().contains("KEYHOLDER_WEBHOOK_SUBSCRIPTIONS"), "{answer}"),
        }
    }
}

#[tokio::test]
async fn the_cloud_events_handshake_names_the_origin_that_asked() {
    let event_grid = ("webhook-request-origin", "eventgrid.azure.net");
    let rows = [
        ("Event Grid", vec![event_grid], 200),
        ("with its subscription", vec![event_grid, ("aeg-subscription-name", "VERIFY-ON-UPLOAD")], 200),
        ("with another's", vec![event_grid, ("aeg-subscription-name", "ANOTHER-OWNER")], 403),
        ("another origin", vec![("webhook-request-origin", "evil.example")], 403),
        ("no origin", vec![], 403),
    ];
    for (name, mut headers, expected) in rows {
        headers.extend([(KEY_HEADER, SECRET), ("webhook-request-rate", "120")]);
        let request = request("OPTIONS", "/eventgrid", &headers, "");
        let response = tower::ServiceExt::oneshot(webhook(), request).await.expect("an answer");
        assert_eq!(response.status(), expected, "{name}");
        let header = |of: &str| question::text(response.headers(), of);
        let consent = (expected == 200).then_some("eventgrid.azure.net");
        assert_eq!(header("webhook-allowed-origin"), consent, "{name}");
        assert_eq!(header("webhook-allowed-rate"), consent.map(|_| "120"), "{name}");
    }
}

#[tokio::test]
async fn a_batch_gets_the_answer_of_the_event_that_needs_it_most() {
    let (done, broken) = (upload("other"), upload("broken"));
    let elsewhere = json!({ "eventType": "Microsoft.Resources.ResourceDeleteSuccess", "data": {} });
    let unreadable = json!({ "no": "event" });
    let rows = [
        ("nothing", json!([]), 200, 0),
        ("one, bare", done.clone(), 200, 1),
        ("done", json!([done, elsewhere]), 200, 2),
        ("not an event, so a retry cannot help", json!([unreadable, done]), 200, 2),
        ("one that is to come again", json!([done, unreadable, broken]), 503, 3),
    ];
    for (name, body, expected, lines) in rows {
        let (status, answer) = ask("POST", "/eventgrid", &DELIVERY, &body).await;
        assert_eq!(status, expected, "{name}: {answer}");
        assert_eq!(answer["events"].as_array().map(Vec::len), Some(lines), "{name}: {answer}");
    }
}

#[tokio::test]
async fn a_sweep_that_breaks_leaves_the_process_serving() {
    let webhook = webhook();
    let sweep = || testing::ask(&webhook, request("POST", "/sweep", &DELIVERY, ""));
    assert_eq!(sweep().await.0, 500);
    let event = request("POST", "/eventgrid", &DELIVERY, upload("other"));
    assert_eq!(testing::ask(&webhook, event).await.0, 200);
}

#[tokio::test]
async fn what_is_no_event_is_refused_with_the_reason() {
    let rows = [
        ("over 1 MiB", "POST", "/eventgrid", " ".repeat(MAX_BODY + 1), 413, "more than"),
        ("half a million events", "POST", "/eventgrid", megabyte_of_zeros(), 413, "more than 5000 events"),
        ("no JSON", "POST", "/eventgrid", "hello".to_owned(), 400, "not JSON"),
        ("another method", "PUT", "/eventgrid", String::new(), 405, "posts to /eventgrid"),
        ("another path", "POST", "/", upload("x").to_string(), 405, "posts to /eventgrid"),
        ("yet another path", "POST", "/events?code=x", String::new(), 404, "POST /eventgrid"),
    ];
    for (name, method, target, body, status, words) in rows {
        let (found, answer) = ask(method, target, &DELIVERY, body).await;
        let error = answer["error"].as_str().expect("it says why");
        assert!(found == status && error.contains(words), "{name}: {found} {error}");
    }
}

fn megabyte_of_zeros() -> String {
    format!("[{}]", vec!["0"; (MAX_BODY - 1) / 2].join(","))
}

/// A body that broke off may come whole the next time, and Event Grid takes 400 for final.
#[tokio::test]
async fn a_body_that_breaks_off_is_asked_for_again() {
    let broken = futures::stream::iter([Ok("[{"), Err("the connection was reset")]);
    let mut request = request("POST", "/eventgrid", &DELIVERY, "");
    *request.body_mut() = Body::from_stream(broken);
    assert_eq!(testing::ask(&webhook(), request).await.0, 503);
}
