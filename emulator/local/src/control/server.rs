//! The control API over HTTP, on the listener without TLS.

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, RawPathParams, RawQuery, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{MethodFilter, any, get, on};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use http::{Method, StatusCode, Uri};
use serde::Serialize;

use super::call::{Call, Visitor};
use super::carry_out::Control;
use super::error::ControlError;
use super::parameters::parameters;
use super::paths::{CA, DESCRIPTION, STREAM};
use super::table::visit;
use super::{guard, openapi, stream};

/// A snapshot of a large world has some megabytes.
const MAX_BODY: usize = 64 << 20;

impl Control {
    /// Every path of the control API. Merged into a server's own, it leaves the others alone.
    pub(crate) fn routes(&self) -> Router {
        let mut routes = Routes(Router::new());
        visit(&mut routes);
        let Routes(routes) = routes;
        routes
            .route(STREAM, get(stream::follow))
            .method_not_allowed_fallback(not_allowed)
            .route("/_emulator/{*path}", any(unknown))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(from_fn_with_state(self.clone(), guarded))
            // Neither is a secret, and each is wanted before there is a token.
            .route(CA, get(ca).fallback(not_allowed))
            .route(DESCRIPTION, get(description).fallback(not_allowed))
            .with_state(self.clone())
    }
}

/// Lets in what no web page of elsewhere has sent, at every listener without TLS.
pub(crate) async fn at_home(request: Request, next: Next) -> Response {
    match guard::check_sender(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

struct Routes(Router<Control>);

impl Visitor for Routes {
    fn call<C: Call>(&mut self) {
        let filter = MethodFilter::try_from(C::METHOD).expect("every method of the table has a filter");
        let routes = std::mem::take(&mut self.0);
        self.0 = routes.route(C::PATH, on(filter, answer::<C>));
    }
}

/// Lets in who has the token, and keeps the answer from everybody else.
pub(crate) async fn guarded(State(control): State<Control>, request: Request, next: Next) -> Response {
    if let Err(error) = guard::check_token(request.method(), request.headers(), control.token()) {
        return error.into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    // What is true now is not in a minute; and a snapshot, which holds keys, is in nobody's cache.
    headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    // No page of another origin may embed an answer as something else than it is.
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("cross-origin-resource-policy", "same-origin")]
    {
        headers.insert(HeaderName::from_static(name), http::HeaderValue::from_static(value));
    }
    response
}

async fn answer<C: Call>(
    State(control): State<Control>,
    path: RawPathParams,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ControlError> {
    let parameters = parameters::<C::Parameters>(&path, query.as_deref())?;
    let body = read_body::<C>(&body.map_err(|_| ControlError::TooLarge(MAX_BODY))?)?;
    Ok(json(&C::carry_out(&control, parameters, body)?))
}

/// A call without a body takes `{}` too, so that every change can be sent alike.
fn read_body<C: Call>(body: &[u8]) -> Result<C::Body, ControlError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        ControlError::invalid(format!("this is not the body that {} {} takes: {error}", C::METHOD, C::PATH))
    })
}

async fn ca(State(control): State<Control>) -> Result<Response, ControlError> {
    let pem = control.ca_pem()?.to_vec();
    Ok(([(CONTENT_TYPE, "application/x-pem-file")], pem).into_response())
}

async fn description() -> Response {
    json(&openapi::document())
}

async fn unknown(uri: Uri) -> ControlError {
    ControlError::NoSuchPath(uri.path().to_owned())
}

async fn not_allowed(method: Method) -> ControlError {
    ControlError::Method(method.to_string())
}

/// Indented, because people read it in a terminal.
fn json(body: &impl Serialize) -> Response {
    match serde_json::to_string_pretty(body) {
        Ok(mut text) => {
            text.push('\n');
            ([(CONTENT_TYPE, "application/json")], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let (status, _) = self.kind();
        let mut response = (status, Json(self.body())).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
