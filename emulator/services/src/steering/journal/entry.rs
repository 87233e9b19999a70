//! One entry of the journal, and what of an exchange goes into it.

use http::{StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::ground::exchange::{self, Request, Response};
use crate::ground::jose;
use crate::ground::moment::Moment;
use crate::steering::faults::Effect;
use crate::steering::operation::Operation;

/// The longest text that is kept of what a peer sent in a header or a path.
const LONGEST: usize = 512;

/// One exchange: a request to a service, a delivery by Event Grid, a call of the handler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Counts from 1 and never repeats as long as the emulator is up.
    pub sequence: u64,
    /// When it was over, by the emulator's clock.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Moment")]
    pub at: OffsetDateTime,
    /// When it began, in microseconds of real time since the emulator started: the emulator's clock may stand
    /// still. 0 where nobody measured.
    pub began_micros: u64,
    /// How long it took in real time, in microseconds; none when no answer ever came, or nobody measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_micros: Option<u64>,
    /// What was asked.
    pub operation: Operation,
    /// Of which object: a certificate's name, `vault/name`, a function, a resource.
    pub object: String,
    /// The HTTP status of the answer; 0 when there was none.
    pub status: u16,
    /// The request's method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The request's path, without the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The object id of whom the request's token speaks for, unless that token was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// `User-Agent` of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// `If-Match` of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
    /// `etag` of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// SHA-1 of the certificate in the answer, upper-case hex: `properties.thumbprint` of DPS, `x5t` of a vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbprint: Option<String>,
    /// `properties.verificationCode` of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The failure on demand that struck it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Effect>,
    /// The error of the answer, or else the fault, or another short remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// ARM ids of the DPS certificates it is about, in the caller's casing; ids are compared without case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
    /// Ids of the events that were delivered, or that the handler was called with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_ids: Vec<String>,
    /// Which attempt to deliver the event it was, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The host's id for a call of the handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation_id: Option<String>,
    /// The trace in `traceparent`: of the call of the handler, and of every request that continues it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// `x-ms-client-request-id` of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<String>,
    /// What the handler said came of its call: the `Logs` of its answer, or the `error` of a failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
}

impl Entry {
    /// An entry that says only what was asked when. The journal numbers it.
    pub fn new(at: OffsetDateTime, operation: Operation, object: &str) -> Entry {
        Entry {
            sequence: 0,
            at,
            began_micros: 0,
            took_micros: None,
            operation,
            object: object.to_owned(),
            status: 0,
            method: None,
            path: None,
            caller: None,
            user_agent: None,
            if_match: None,
            etag: None,
            thumbprint: None,
            code: None,
            fault: None,
            note: None,
            certificates: Vec::new(),
            event_ids: Vec::new(),
            attempt: None,
            invocation_id: None,
            trace_id: None,
            client_request_id: None,
            said: Vec::new(),
        }
    }

    /// An exchange with one of the services; without a response, if a fault kept it from the caller.
    pub(crate) fn exchange(
        at: OffsetDateTime,
        operation: Operation,
        object: &str,
        request: &Request,
        response: Option<&Response>,
    ) -> Entry {
        let body: Value = response
            .filter(|response| response.headers().contains_key(header::CONTENT_TYPE))
            .and_then(|response| serde_json::from_slice(response.body()).ok())
            .unwrap_or_default();
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let sent = |name: &str| exchange::header_text(request, name).map(shortened);
        let status = response.map_or(0, |response| response.status().as_u16());
        Entry {
            status,
            method: Some(request.method().to_string()),
            path: Some(shortened(request.uri().path())),
            caller: caller(request).filter(|_| status != StatusCode::UNAUTHORIZED.as_u16()),
            user_agent: sent("user-agent"),
            if_match: exchange::header_text(request, header::IF_MATCH).map(str::to_owned),
            etag: text("/etag"),
            thumbprint: text("/properties/thumbprint").or_else(|| thumbprint(body["x5t"].as_str()?)),
            code: text("/properties/verificationCode"),
            note: text("/error/message").or_else(|| text("/message")),
            trace_id: exchange::header_text(request, "traceparent").and_then(trace_id),
            client_request_id: sent("x-ms-client-request-id"),
            ..Entry::new(at, operation, object)
        }
    }
}

/// The trace of a W3C `traceparent`; `None` if it is none.
pub fn trace_id(traceparent: &str) -> Option<String> {
    let mut parts = traceparent.trim().split('-');
    let (version, trace, parent) = (parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    (is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16)).then(|| trace.to_owned())
}

/// Whom a token says it speaks for. Whether it may is the services' business.
fn caller(request: &Request) -> Option<String> {
    let token = exchange::header_text(request, header::AUTHORIZATION)?;
    let claims: Value = serde_json::from_slice(&jose::from_base64url(token.split('.').nth(1)?)?).ok()?;
    claims["oid"].as_str().map(shortened)
}

fn thumbprint(x5t: &str) -> Option<String> {
    Some(jose::from_base64url(x5t)?.iter().map(|byte| format!("{byte:02X}")).collect())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-05 10:00 UTC);

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut request = http::Request::post("https://localhost:8443/a/b?code=secret-in-a-query");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Bytes::from_static(b"{\"value\":\"secret-in-a-body\"}")).unwrap()
    }

    #[test]
    fn an_exchange_is_kept_without_query_body_and_token() {
        let request = request(&[
            ("authorization", "Bearer secret-token"),
            ("user-agent", "AZURECLI/2.80"),
            ("if-match", "IjA1="),
            ("x-ms-client-request-id", "mine"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ]);
        let body = json!({ "value": "secret-in-an-answer", "x5t": "AP8" });
        let response = exchange::json(StatusCode::OK, &body);
        let entry =
            Entry::exchange(NOW, Operation::GetVaultCertificate, "v/root-ca", &request, Some(&response));

        let written = serde_json::to_value(&entry).unwrap();
        let expected = json!({
            "sequence": 0,
            "at": "2026-03-05T10:00:00Z",
            "beganMicros": 0,
            "operation": "vault.getCertificate",
            "object": "v/root-ca",
            "status": 200,
            "method": "POST",
            "path": "/a/b",
            "userAgent": "AZURECLI/2.80",
            "ifMatch": "IjA1=",
            "thumbprint": "00FF",
            "traceId": "0af7651916cd43dd8448eb211c80319c",
            "clientRequestId": "mine",
        });
        assert_eq!(written, expected);
        assert_eq!(serde_json::from_value::<Entry>(written).unwrap(), entry);
        assert!(!format!("{entry:?}").contains("secret"));
    }

    #[test]
    fn a_caller_is_whom_the_token_speaks_for_unless_it_was_refused() {
        let claims = jose::base64url(json!({ "oid": "00000000-0000-0000-0000-000000000002" }).to_string());
        let token = format!("Bearer e30.{claims}.secret-signature");
        for (authorization, status, caller) in [
            (token.as_str(), 200, Some("00000000-0000-0000-0000-000000000002")),
            (&token, 401, None),
            ("Bearer nonsense", 200, None),
            ("Basic a.b.c", 200, None),
        ] {
            let response = exchange::json(StatusCode::from_u16(status).unwrap(), &json!({}));
            let request = request(&[("authorization", authorization)]);
            let entry = Entry::exchange(NOW, Operation::Sign, "v/root-ca", &request, Some(&response));
            assert_eq!(entry.caller.as_deref(), caller, "{authorization} {status}");
        }
    }

    #[test]
    fn only_a_well_formed_traceparent_names_a_trace() {
        for wrong in ["", "00", "00-abc-def-01", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"] {
            assert_eq!(trace_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_a_peer_sends_is_kept_in_bounded_length() {
        let entry = Entry::exchange(
            NOW,
            Operation::Unknown,
            "",
            &request(&[("user-agent", &"a".repeat(10_000))]),
            None,
        );
        assert_eq!(entry.user_agent.map(|text| text.chars().count()), Some(LONGEST + 1));
    }
}
