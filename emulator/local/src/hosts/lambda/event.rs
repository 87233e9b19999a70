//! A request to a function's URL as the event it becomes, and the function's answer as the response it becomes:
//! payload format 2.0.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use keyholder_emulator::exchange::{self, Request, Response};

/// As Apache writes a moment.
const COMMON_LOG: &[BorrowedFormatItem<'_>] =
    format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");

/// The event of a request.
pub(super) fn of(request: &Request, id: &str, now: OffsetDateTime) -> Value {
    let uri = request.uri();
    let domain = exchange::authority(request);
    let method = request.method().as_str();
    let headers = headers(request.headers());
    let (body, is_base64) = match request.body() {
        body if body.is_empty() => (Value::Null, false),
        body => match std::str::from_utf8(body) {
            Ok(text) if is_text(request.headers()) => (text.into(), false),
            _ => (STANDARD.encode(body).into(), true),
        },
    };
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": uri.path(),
        "rawQueryString": uri.query().unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "emulated",
            "domainName": domain,
            "domainPrefix": domain.split('.').next(),
            "http": {
                "method": method,
                "path": uri.path(),
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": exchange::header_text(request, header::USER_AGENT).unwrap_or_default(),
            },
            "requestId": id,
            "routeKey": "$default",
            "stage": "$default",
            "time": now.format(COMMON_LOG).unwrap_or_default(),
            "timeEpoch": now.unix_timestamp() * 1000 + i64::from(now.millisecond()),
        },
        "body": body,
        "isBase64Encoded": is_base64,
    });
    if let Some(query) = uri.query().filter(|query| !query.is_empty()) {
        event["queryStringParameters"] = json!(parameters(query));
    }
    event
}

/// The response an answer becomes; `None` if it is none. An answer without a status is the body itself.
pub(super) fn response(answer: &Value) -> Option<Response> {
    let Some(status) = answer.get("statusCode") else {
        return Some(exchange::with_body(StatusCode::OK, "application/json", answer.to_string()));
    };
    let status = StatusCode::from_u16(u16::try_from(status.as_u64()?).ok()?).ok()?;
    let body = answer.get("body").and_then(Value::as_str).unwrap_or_default();
    let body = match answer.get("isBase64Encoded").and_then(Value::as_bool) {
        Some(true) => STANDARD.decode(body).ok()?,
        _ => body.as_bytes().to_vec(),
    };
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    for (name, value) in answer.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        response.headers_mut().insert(name, HeaderValue::from_str(value.as_str()?).ok()?);
    }
    response
        .headers_mut()
        .entry(header::CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    Some(response)
}

/// Names in lower case; values of one name together.
fn headers(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let mut together = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        together
            .entry(name.as_str())
            .and_modify(|values: &mut String| *values += &format!(",{value}"))
            .or_insert_with(|| value.into_owned());
    }
    // What stands in front of the function adds these.
    together.insert("x-forwarded-proto", "https".to_owned());
    together.insert("x-forwarded-port", "443".to_owned());
    together.insert("x-forwarded-for", "127.0.0.1".to_owned());
    together
}

/// Decoded; values of one name together.
fn parameters(query: &str) -> BTreeMap<String, String> {
    let mut together = BTreeMap::<String, String>::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        together
            .entry(name.into_owned())
            .and_modify(|values| *values += &format!(",{value}"))
            .or_insert_with(|| value.clone().into_owned());
    }
    together
}

/// Whether a body is passed on as it is. Which media types are is documented for a few only; others are taken
/// for binary, as the strictest reading has it.
fn is_text(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    media_type.starts_with("text/")
        || matches!(media_type, "application/json" | "application/xml" | "application/javascript")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-05 10:00 UTC);
    const ID: &str = "8d2c1a8e-0000-4000-8000-000000000001";

    fn json(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    /// The request that a published event came from.
    fn request(event: &Value) -> Request {
        let context = &event["requestContext"]["http"];
        let mut request = http::Request::builder()
            .method(context["method"].as_str().unwrap())
            .uri(event["rawPath"].as_str().unwrap());
        for (name, value) in event["headers"].as_object().unwrap() {
            if !name.starts_with("x-forwarded-") {
                request = request.header(name, value.as_str().unwrap());
            }
        }
        request.body(event["body"].as_str().unwrap_or_default().to_owned().into()).unwrap()
    }

    #[test]
    fn an_event_is_that_of_the_samples() {
        for sample in [
            include_str!(
                "../../../../../tests/fixtures/functions/lambda-url.eventgrid-notification.event.json"
            ),
            include_str!("../../../../../tests/fixtures/functions/lambda-url.cloudevents-options.event.json"),
        ] {
            let mut expected = json(sample);
            let event = of(&request(&expected), ID, NOW);
            // Who called from where is another matter here.
            for path in ["/headers/x-forwarded-for", "/requestContext/apiId", "/requestContext/http/sourceIp"]
            {
                *expected.pointer_mut(path).unwrap() = event.pointer(path).unwrap().clone();
            }
            assert_eq!(event, expected);
        }
    }

    #[test]
    fn a_body_that_may_be_binary_is_encoded() {
        for (media_type, body, encoded) in [
            ("application/json; charset=utf-8", "{}", false),
            ("application/cloudevents+json; charset=utf-8", "{}", true),
            ("application/octet-stream", "{}", true),
            ("", "{}", true),
        ] {
            let request = http::Request::post("/").header("content-type", media_type);
            let event = of(&request.body(Bytes::from(body)).unwrap(), ID, NOW);
            assert_eq!(event["isBase64Encoded"], encoded, "{media_type}");
            assert_eq!(event["body"], if encoded { "e30=" } else { "{}" }, "{media_type}");
        }
    }

    #[test]
    fn values_of_one_name_are_joined_and_the_query_is_kept_as_it_was() {
        let request = http::Request::get("/a%20b?code=a%2Bb&x=1&x=2").header("x-a", "1").header("x-a", "2");
        let event = of(&request.body(Bytes::new()).unwrap(), ID, NOW);
        assert_eq!(event["rawPath"], "/a%20b");
        assert_eq!(event["rawQueryString"], "code=a%2Bb&x=1&x=2");
        assert_eq!(event["queryStringParameters"], json!({ "code": "a+b", "x": "1,2" }));
        assert_eq!(event["headers"]["x-a"], "1,2");
    }

    #[test]
    fn an_answer_becomes_a_response() {
        let answer = json!({
            "statusCode": 202, "headers": { "x-a": "1" }, "body": "e30=", "isBase64Encoded": true, "cookies": []
        });
        let response = response(&answer).unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["x-a"]),
            (202, &HeaderValue::from_static("1"))
        );
        assert_eq!(response.body(), "{}");
    }

    #[test]
    fn an_answer_without_a_status_is_the_body() {
        let response = response(&json!({ "a": 1 })).unwrap();
        assert_eq!((response.status().as_u16(), response.body()), (200, &Bytes::from(r#"{"a":1}"#)));
    }

    #[test]
    fn what_is_no_response_is_none() {
        for answer in [
            json!({ "statusCode": "200" }),
            json!({ "statusCode": 99 }),
            json!({ "statusCode": 200, "headers": { "a b": "1" } }),
            json!({ "statusCode": 200, "headers": { "a": 1 } }),
            json!({ "statusCode": 200, "body": "%", "isBase64Encoded": true }),
        ] {
            assert!(response(&answer).is_none(), "{answer}");
        }
    }
}
