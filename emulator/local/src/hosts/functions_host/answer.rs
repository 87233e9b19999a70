//! What a custom handler's answer means.
//!
//! A handler that answers 200 with nothing, or with `null`, leaves the live invocation hanging until it times out.
//! Nobody waits for that here: it fails at once and says why. Only a strict world kills the handler for it too.

use http::StatusCode;
use serde_json::Value;

/// A successful invocation.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) logs: Vec<String>,
    /// For output bindings; null or an object.
    pub(super) outputs: Value,
    pub(super) return_value: Value,
}

/// An answer that fails the invocation.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadAnswer {
    #[error("the handler answered {0}, and only 2xx is success")]
    Status(StatusCode),
    #[error(
        "the handler answered {status} with {body}: the live host would wait for an answer until the function \
         times out; answer {{}} at least"
    )]
    NeverAnswered { status: StatusCode, body: &'static str },
    #[error("the handler's answer is {0}, and the host reads only application/json and text/json")]
    MediaType(String),
    #[error("the handler's answer is not a JSON object: {0}")]
    NotAnObject(String),
    #[error("the handler's answer has {member} that is not {expected}")]
    Member { member: &'static str, expected: &'static str },
}

/// Reads an answer as the host does.
pub(super) fn read(status: StatusCode, media_type: Option<&str>, body: &[u8]) -> Result<Answer, BadAnswer> {
    if !status.is_success() {
        return Err(BadAnswer::Status(status));
    }
    // An empty body is read before its media type is looked at.
    if body.is_empty() {
        return Err(BadAnswer::NeverAnswered { status, body: "an empty body" });
    }
    let media_type = media_type.unwrap_or("without a media type");
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !["application/json", "text/json"].iter().any(|json| essence.eq_ignore_ascii_case(json)) {
        return Err(BadAnswer::MediaType(media_type.to_owned()));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Null) => Err(BadAnswer::NeverAnswered { status, body: "null" }),
        Ok(answer @ Value::Object(_)) => understand(&answer),
        Ok(other) => Err(BadAnswer::NotAnObject(other.to_string())),
        Err(error) => Err(BadAnswer::NotAnObject(error.to_string())),
    }
}

/// What a failing handler says about it.
pub(super) fn explanation(status: StatusCode, body: &[u8]) -> Option<String> {
    let body: Value = if status.is_success() { None } else { serde_json::from_slice(body).ok() }?;
    body["error"].as_str().map(str::to_owned)
}

fn understand(answer: &Value) -> Result<Answer, BadAnswer> {
    let outputs = member(answer, "Outputs");
    if !matches!(outputs, Value::Null | Value::Object(_)) {
        return Err(BadAnswer::Member { member: "Outputs", expected: "an object" });
    }
    let wrong = BadAnswer::Member { member: "Logs", expected: "an array of strings" };
    let logs = match member(answer, "Logs") {
        Value::Null => Vec::new(),
        Value::Array(lines) => {
            let lines: Option<_> = lines.iter().map(|line| line.as_str().map(str::to_owned)).collect();
            lines.ok_or(wrong)?
        }
        _ => return Err(wrong),
    };
    Ok(Answer { logs, outputs: outputs.clone(), return_value: member(answer, "ReturnValue").clone() })
}

/// Members are found without case, as .NET's reader finds them.
fn member<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let mut members = answer.as_object().into_iter().flatten();
    members.find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or(&Value::Null, |(_, value)| value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const JSON: Option<&str> = Some("application/json; charset=utf-8");

    #[test]
    fn the_documented_answers_are_successes() {
        for (body, logs) in [
            (
                include_str!("../../../../../tests/fixtures/functions/response.ok.json"),
                vec!["handled 1 event"],
            ),
            (include_str!("../../../../../tests/fixtures/functions/response.http.json"), vec![]),
            ("{}", vec![]),
            (r#"{"logs":["lower case"],"unknown":1}"#, vec!["lower case"]),
        ] {
            let answer = read(StatusCode::OK, JSON, body.as_bytes()).unwrap();
            assert_eq!(answer.logs, logs, "{body}");
        }
    }

    #[test]
    fn failures_say_what_the_host_did_not_like() {
        for (status, media_type, body, expected) in [
            (500, JSON, r#"{"Logs":["lost"]}"#, "the handler answered 500"),
            (302, JSON, "{}", "the handler answered 302"),
            (200, JSON, "", "the handler answered 200 OK with an empty body"),
            (204, None, "", "the handler answered 204 No Content with an empty body"),
            (200, JSON, "null", "the handler answered 200 OK with null"),
            (200, Some("text/plain"), "{}", "the handler's answer is text/plain"),
            (200, Some("application/problem+json"), "{}", "the handler's answer is application/problem+json"),
            (200, None, "{}", "the handler's answer is without a media type"),
            (200, JSON, "ok", "the handler's answer is not a JSON object: expected value"),
            (200, JSON, "[]", "the handler's answer is not a JSON object: []"),
            (200, JSON, r#"{"Logs":"one"}"#, "the handler's answer has Logs that is not an array of strings"),
            (200, JSON, r#"{"Logs":[1]}"#, "the handler's answer has Logs that is not an array of strings"),
            (200, JSON, r#"{"Outputs":[]}"#, "the handler's answer has Outputs that is not an object"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let message = read(status, media_type, body.as_bytes()).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn media_types_are_compared_without_case_and_parameters() {
        for media_type in ["application/json", "Application/JSON;charset=utf-8", "text/json"] {
            assert!(read(StatusCode::CREATED, Some(media_type), b"{}").is_ok(), "{media_type}");
        }
    }
}
