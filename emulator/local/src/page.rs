//! The page at `/`: what the portal shows, and the proof as it happens.
//!
//! It is plain HTML, CSS and JavaScript modules, in this binary, and asks the control API for what it shows. What
//! it changes in DPS and in a vault it changes as any client does, by requests that it composes and has relayed
//! here as the operator: a browser does not trust the emulator's CA, and has no token.

mod relay;

use axum::extract::Path;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use serde::{Deserialize, Serialize};

use crate::control::{self, Control, guarded};
use keyholder_emulator::authority::Authority;

const HTML: &str = include_str!("../page/index.html");
/// Within the page, so that it is painted as soon as it is there.
const STYLE: &str = include_str!("../page/style.css");

/// Its modules, by name.
const PARTS: &[(&str, &str)] = &[
    ("main.js", include_str!("../page/main.js")),
    ("api.js", include_str!("../page/api.js")),
    ("dom.js", include_str!("../page/dom.js")),
    ("certificates.js", include_str!("../page/certificates.js")),
    ("story.js", include_str!("../page/story.js")),
    ("sequence.js", include_str!("../page/sequence.js")),
    ("actions.js", include_str!("../page/actions.js")),
    ("laboratory.js", include_str!("../page/laboratory.js")),
];

/// Everything the page consists of, and what it asks for besides the control API.
pub(crate) fn routes(control: &Control) -> Router {
    let changes = Router::new()
        .route("/page/relay", post(relay::relay))
        .route("/page/authorities", post(authorities))
        .layer(from_fn_with_state(control.clone(), guarded));
    Router::new()
        .route("/", get(page))
        .route("/page/{part}", get(part))
        .merge(changes)
        .with_state(control.clone())
}

/// With the style that it may have. The token is in the address that `up` prints, behind the `#`: every user of the
/// machine can ask for this page.
async fn page() -> Response {
    let nonce = control::random_token();
    let html = HTML.replace("{{nonce}}", &nonce).replace("{{style}}", STYLE);
    served("text/html", &nonce, html)
}

async fn part(Path(name): Path<String>) -> Response {
    match PARTS.iter().find(|(part, _)| *part == name) {
        Some((_, text)) => served("text/javascript", "none", (*text).to_owned()),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Nothing but what this listener serves, in nobody's frame.
fn served(media_type: &str, nonce: &str, text: String) -> Response {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; base-uri \
         'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (CONTENT_TYPE, format!("{media_type}; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, policy),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        // Another emulator may be behind this address next time.
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, text).into_response()
}

/// Names of CAs to be made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    root: String,
    intermediate: String,
}

/// A CA to play with: its certificate, and with its key.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    certificate: String,
    key_and_certificate: String,
}

/// A root, and an intermediate that it signed. What becomes of them is the page's business.
async fn authorities(Json(names): Json<Names>) -> Result<Json<[Made; 2]>, (StatusCode, String)> {
    let made = tokio::task::spawn_blocking(move || {
        let root = Authority::rsa_root(&names.root)?;
        let intermediate = root.rsa_intermediate(&names.intermediate)?;
        let made = |ca: &Authority| {
            Ok(Made {
                certificate: ca.certificate_pem()?,
                key_and_certificate: ca.key_and_certificate_pem()?,
            })
        };
        Ok::<_, openssl::error::ErrorStack>(Json([made(&root)?, made(&intermediate)?]))
    });
    // An empty name, or one that is longer than X.509 has room for.
    let refused = |error: openssl::error::ErrorStack| {
        (StatusCode::BAD_REQUEST, format!("no CA of that name can be made: {error}"))
    };
    made.await.expect("making a CA neither panics nor is cancelled").map_err(refused)
}
