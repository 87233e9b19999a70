//! The operator's requests to ARM and to vaults, for a page that cannot make them itself.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, IF_MATCH, USER_AGENT};
use http::{Method, StatusCode, Uri};
use serde::Deserialize;
use serde_json::Value;

use crate::control::Control;
use keyholder_emulator::identity::Principal;

/// A request to be relayed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Relayed {
    method: String,
    /// Of ARM or of a vault, whole.
    url: String,
    #[serde(default)]
    if_match: Option<String>,
    #[serde(default)]
    body: Option<Value>,
}

/// Carries it out as the operator, and answers as the service did.
pub(super) async fn relay(State(control): State<Control>, Json(relayed): Json<Relayed>) -> Response {
    let refused = |reason: &str| (StatusCode::BAD_REQUEST, reason.to_owned()).into_response();
    let (Ok(method), Ok(uri)) = (relayed.method.parse::<Method>(), relayed.url.parse::<Uri>()) else {
        return refused("method or url cannot be read");
    };
    let Some(authority) = uri.authority().cloned() else { return refused("url names no host") };
    let audience = audience(authority.as_str());
    let emulator = control.emulator();
    let token = emulator.look(|world, now| world.identity.mint_for(&Principal::operator(), &audience, now));
    let mut request = http::Request::builder()
        .method(method)
        .uri(uri)
        .header(HOST, authority.as_str())
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header(USER_AGENT, "the emulator's page");
    if let Some(etag) = relayed.if_match {
        request = request.header(IF_MATCH, etag);
    }
    let body = match relayed.body {
        Some(body) => {
            request = request.header(CONTENT_TYPE, "application/json");
            Bytes::from(body.to_string())
        }
        None => Bytes::new(),
    };
    let Ok(request) = request.body(body) else { return refused("a header cannot be sent") };
    emulator.answer(request).await.into_response().map(Body::from)
}

/// A vault's tokens are for its host without the first label, ARM's are for ARM.
fn audience(authority: &str) -> String {
    match authority.split_once('.') {
        Some((_, vaults)) if vaults.starts_with("vault.") => format!("https://{vaults}"),
        _ => format!("https://{authority}"),
    }
}
