//! Answers that no service would give: what a proxy in between says, and what another version might.

use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::ground::exchange::{self, Response};

const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\
                    <body><p>Sign in to use this network.</p></body></html>\n";

/// A page, with 200, as a proxy that wants somebody to sign in puts it in place of the answer.
pub(crate) fn html() -> Response {
    exchange::with_body(StatusCode::OK, "text/html; charset=utf-8", PAGE)
}

/// A success that tells nothing: well-formed, and without one expected member.
pub(crate) fn another_shape() -> Response {
    exchange::json(StatusCode::OK, &json!({ "result": ["unexpected"] }))
}

/// Says how long a throttled caller has to wait, or leaves it open.
pub(crate) fn set_retry_after(response: &mut Response, seconds: Option<u32>) {
    match seconds {
        Some(seconds) => response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds)),
        None => response.headers_mut().remove(header::RETRY_AFTER),
    };
}

/// The same success with another etag; whatever else the answer is, it stays.
pub(crate) fn with_etag(mut response: Response, etag: &str) -> Response {
    if response.status().is_success()
        && let Ok(mut body) = serde_json::from_slice::<Value>(response.body())
        && let Some(shown) = body.get_mut("etag")
    {
        *shown = etag.into();
        *response.body_mut() = body.to_string().into();
    }
    response
}
