//! One request and its answer, as plain values.
//!
//! The core never sees a socket: whoever serves it (the listener, wiremock, a unit test) turns its own
//! idea of a request into this one and back.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// A request with its whole body.
pub type Request = http::Request<Bytes>;
/// An answer with its whole body.
pub type Response = http::Response<Bytes>;

/// The largest body a service reads: Azure Resource Manager's own limit, and here everybody's.
pub const MAX_BODY: usize = 4 << 20;

/// Stands in for a body that nobody read to its end.
#[derive(Clone, Copy, Debug)]
struct TooLarge;

/// A request whose body is too large to be read.
pub fn too_large(head: http::request::Parts) -> Request {
    let mut request = Request::from_parts(head, Bytes::new());
    request.extensions_mut().insert(TooLarge);
    request
}

/// Whether a request's body is larger than any service reads.
pub fn is_too_large(request: &Request) -> bool {
    request.body().len() > MAX_BODY || request.extensions().get::<TooLarge>().is_some()
}

/// The media type of every JSON answer of ARM and Key Vault.
pub const JSON: &str = "application/json; charset=utf-8";

/// A compact JSON answer.
pub fn json(status: StatusCode, body: &Value) -> Response {
    with_body(status, JSON, body.to_string())
}

/// An answer with a body of the given media type.
pub fn with_body(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
    response
}

/// An answer without a body or a media type.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// The value of a header, if it is there and readable as text.
pub fn header_text(request: &Request, name: impl header::AsHeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}

/// Host and port the request was sent to: the absolute target's, else the `Host` header.
pub fn authority(request: &Request) -> &str {
    match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => header_text(request, header::HOST).unwrap_or_default(),
    }
}

/// Where the caller reached us: scheme, host and port. Only wiremock hands over the scheme; the listener has TLS in
/// front of everything that tells its own address.
pub fn origin(request: &Request) -> String {
    let scheme = request.uri().scheme_str().unwrap_or("https");
    format!("{scheme}://{}", authority(request))
}

/// The first value of a query parameter, decoded. Names may be percent-encoded too: the JavaScript SDK
/// sends `api%2Dversion`.
pub fn query(request: &Request, name: &str) -> Option<String> {
    url::form_urlencoded::parse(request.uri().query()?.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// The body read as JSON; an empty or unreadable one is `None`.
pub fn body_json(request: &Request) -> Option<Value> {
    serde_json::from_slice(request.body()).ok()
}

/// Sets a header to text; whatever a header cannot hold came from the caller and is left out.
pub(crate) fn set_header(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A moment as HTTP headers have it (RFC 1123).
pub(crate) fn http_date(at: OffsetDateTime) -> String {
    at.to_offset(UtcOffset::UTC).format(RFC1123).expect("the format only names parts of a date and time")
}

/// `NotFound` for 404: what .NET calls a status.
pub(crate) fn dot_net_name(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or("Unknown");
    reason.chars().filter(char::is_ascii_alphanumeric).collect()
}

const RFC1123: StaticFormatDescription =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn dates_are_rfc_1123_in_gmt() {
        assert_eq!(http_date(datetime!(2022-05-03 19:50:03.9 +2)), "Tue, 03 May 2022 17:50:03 GMT");
    }
}
