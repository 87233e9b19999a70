//! Event Grid's webhook, for wherever there is no Functions host: AWS Lambda, a container, a machine.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /` | 200: it is there |
//! | `OPTIONS /eventgrid` | the CloudEvents handshake: 200 with `WebHook-Allowed-Origin`, or 403 |
//! | `POST /eventgrid` | the Event Grid handshake: 200 with the code, or 403; events: the [table](keyholder::reason) |
//! | `POST /sweep` | looks for what events missed, as `SweepUnverified` does |
//!
//! All but the first need the shared secret, as `?code=` or in the header `x-functions-key` (the names that keys
//! have in Azure Functions). Event Grid does not retry after 400, 401, 403 and 413, so they are used only where a
//! retry cannot help: a body that is no event, a caller without the secret, an event subscription that was not
//! announced, a body larger than any that Event Grid sends.
//!
//! Where the settings ask for it, `POST /eventgrid` also needs the token that Entra ID gives Event Grid. The CloudEvents
//! handshake is not known to send one. A caller that passes the handshake without a token gains nothing, because its
//! events need one.

mod question;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use keyholder::Verifier;
use keyholder::bearer::{Bearer, NotTaken};
use keyholder::config::Webhook;
use keyholder::error::quoted;
use keyholder::registry::Registry;
use keyholder::vault::Vault;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tracing::{error, info};

use crate::bodies::{MAX_BODY, Unread};
use crate::deliveries::{self, Desk, Handled};
use crate::folded::Folded;
use crate::invocation::Invocation;
use crate::routes::no_sweep;
use question::{NotUnderstood, Question};

/// Where a caller puts the secret, unless it is in the query as `code`.
const KEY_HEADER: &str = "x-functions-key";

struct Front<R, V> {
    desk: Desk<R, V>,
    webhook: Webhook,
    refused: Arc<Refused>,
}

/// What is logged about callers who are turned away, each kind once a minute at most.
struct Refused {
    without_secret: Folded,
    without_token: Folded,
    unannounced: Folded,
    not_understood: Folded,
}

/// Returns the routes, for the callers that the settings admit.
pub fn router<R, V>(verifier: Arc<Verifier<R, V>>, webhook: Webhook, bearer: Option<Bearer>) -> Router
where
    R: Registry + 'static,
    V: Vault + 'static,
{
    let refused = Arc::new(Refused::default());
    let admitted = from_fn_with_state((webhook.clone(), refused.clone()), admit);
    let event_grid = from_fn_with_state((bearer.map(Arc::new), refused.clone()), admit_event_grid);
    Router::new()
        .route("/eventgrid", post(deliver::<R, V>).route_layer(event_grid).options(consent::<R, V>))
        .route("/sweep", post(sweep::<R, V>))
        .route_layer(admitted)
        .route("/", get(ready))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .with_state(Arc::new(Front { desk: Desk::new(verifier), webhook, refused }))
}

async fn ready() -> Json<Value> {
    Json(json!({ "ready": true }))
}

/// Checks the secret, before a byte of the body is read.
async fn admit(
    State((webhook, refused)): State<(Webhook, Arc<Refused>)>,
    request: Request,
    next: Next,
) -> Response {
    if offered(request.uri(), request.headers()).is_some_and(|secret| webhook.secrets.admit(&secret)) {
        return next.run(request).await;
    }
    refused.without_secret.note("the secret is missing or wrong");
    let error = format!(
        "the secret is missing or wrong; it is one of KEYHOLDER_WEBHOOK_SECRET, as ?code= or in the header {KEY_HEADER}"
    );
    refusal(StatusCode::UNAUTHORIZED, &error)
}

/// Checks Event Grid's token, after the secret and before a byte of the body is read.
async fn admit_event_grid(
    State((bearer, refused)): State<(Option<Arc<Bearer>>, Arc<Refused>)>,
    request: Request,
    next: Next,
) -> Response {
    let Some(bearer) = bearer else { return next.run(request).await };
    let authorization = question::text(request.headers(), header::AUTHORIZATION.as_str()).map(str::to_owned);
    let problem = match bearer.check(authorization.as_deref(), OffsetDateTime::now_utc()).await {
        Ok(()) => return next.run(request).await,
        Err(problem) => problem,
    };
    refused.without_token.note(&problem.to_string());
    let status = match problem {
        NotTaken::Refused(_) => StatusCode::UNAUTHORIZED,
        // Nothing is wrong with the caller, so it is to come again.
        NotTaken::Unknown(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    refusal(status, &format!("the token is not taken: {problem}"))
}

fn offered(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    if let Some(secret) = question::text(headers, KEY_HEADER) {
        return Some(secret.to_owned());
    }
    let mut query = url::form_urlencoded::parse(uri.query()?.as_bytes());
    query.find(|(name, _)| name == "code").map(|(_, secret)| secret.into_owned())
}

async fn deliver<R: Registry + 'static, V: Vault + 'static>(
    State(front): State<Arc<Front<R, V>>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let question = match front.desk.bodies.read(body).await {
        Ok(body) => question::read(&headers, &body.bytes),
        Err(Unread::TooLarge) => {
            let error = format!("the body has more than {MAX_BODY} bytes, which Event Grid does not send");
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, &error);
        }
        Err(Unread::BrokeOff) => return refusal(StatusCode::SERVICE_UNAVAILABLE, "the body broke off"),
    };
    match question {
        Ok(Question::Validation { subscription, code }) => front.validate(&subscription, &code),
        Ok(Question::Events(events)) => {
            let handled = front.desk.handle(events);
            let Handled { lines, answer } = Invocation::begin("eventgrid", &headers).run(handled).await;
            (deliveries::status(answer), Json(json!({ "events": lines }))).into_response()
        }
        Ok(Question::Farewell) => {
            info!(event = "webhook.left", "an event subscription that delivered here was deleted");
            Json(json!({})).into_response()
        }
        Err(not_understood) => {
            front.refused.not_understood.note(&not_understood.to_string());
            let status = match not_understood {
                NotUnderstood::TooMany(_) => StatusCode::PAYLOAD_TOO_LARGE,
                _ => StatusCode::BAD_REQUEST,
            };
            refusal(status, &not_understood.to_string())
        }
    }
}

/// Answers the CloudEvents handshake. As far as is known it does not name its event subscription.
async fn consent<R: Registry + 'static, V: Vault + 'static>(
    State(front): State<Arc<Front<R, V>>>,
    headers: HeaderMap,
) -> Response {
    let named = question::text(&headers, "aeg-subscription-name");
    if let Some(name) = named.filter(|name| !front.webhook.subscriptions.has(name)) {
        return front.refused.unannounced(name);
    }
    let Some(origin) = question::origin(&headers) else {
        let error = "WebHook-Request-Origin is not Event Grid's; only Event Grid delivers here";
        return refusal(StatusCode::FORBIDDEN, error);
    };
    info!(event = "webhook.joined", subscription = named, "Event Grid may deliver CloudEvents here");
    let mut consent = HeaderMap::new();
    consent.insert(HeaderName::from_static("webhook-allowed-origin"), origin.parse().expect("a host's name"));
    consent.insert(header::ALLOW, "POST, OPTIONS".parse().expect("names of methods"));
    if let Some(rate) = headers.get("webhook-request-rate") {
        consent.insert(HeaderName::from_static("webhook-allowed-rate"), rate.clone());
    }
    (consent, Json(json!({}))).into_response()
}

async fn sweep<R: Registry + 'static, V: Vault + 'static>(
    State(front): State<Arc<Front<R, V>>>,
    headers: HeaderMap,
) -> Response {
    let sweep = front.desk.sweeps.run(front.desk.verifier.clone(), None);
    match Invocation::begin("sweep", &headers).run(sweep).await {
        Ok(report) => Json(json!({ "sweep": report.to_string() })).into_response(),
        Err(none) => refusal(no_sweep(none), &none.to_string()),
    }
}

impl<R, V> Front<R, V> {
    fn validate(&self, subscription: &str, code: &str) -> Response {
        if !self.webhook.subscriptions.has(subscription) {
            return self.refused.unannounced(subscription);
        }
        info!(event = "webhook.joined", subscription, "the event subscription may deliver here");
        Json(json!({ "validationResponse": code })).into_response()
    }
}

impl Refused {
    fn unannounced(&self, subscription: &str) -> Response {
        let error = format!(
            "the event subscription {} may not deliver here; if it may, add its name to \
             KEYHOLDER_WEBHOOK_SUBSCRIPTIONS",
            quoted(subscription)
        );
        self.unannounced.note(&error);
        refusal(StatusCode::FORBIDDEN, &error)
    }
}

impl Default for Refused {
    fn default() -> Self {
        macro_rules! line {
            ($message:literal) => {
                Folded::new(|count, reason| error!(event = "webhook.refused", reason, count, $message))
            };
        }
        Refused {
            without_secret: line!("a caller was turned away; if it was Event Grid, it does not come again"),
            without_token: line!("the token is not taken"),
            unannounced: line!("the event subscription is not one of ours"),
            not_understood: line!("the request is not understood"),
        }
    }
}

async fn unknown(uri: Uri) -> Response {
    let error = format!("there is nothing at {}; events go to POST /eventgrid", uri.path());
    refusal(StatusCode::NOT_FOUND, &error)
}

async fn not_allowed(method: Method, uri: Uri) -> Response {
    let error = format!("{method} {} is not understood; Event Grid posts to /eventgrid", uri.path());
    refusal(StatusCode::METHOD_NOT_ALLOWED, &error)
}

/// Returns a refusal with a text for the creator of the event subscription.
fn refusal(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

#[cfg(test)]
mod tests;
