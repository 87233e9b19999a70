//! The issuer of tokens, and whom it issues them to.

use http::header;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::access::callers::{Caller, Principal, TokenProblem};
use crate::ground::exchange::{self, Request};
use crate::ground::hidden::Hidden;
use crate::ground::stored;
use crate::identity::directory::Directory;
use crate::identity::token::SigningKey;
use crate::names::TENANT;

/// The function app's `IDENTITY_HEADER`, unless it is given another.
pub const APP_HEADER: &str = "function-app";

/// The longest that a token of a snapshot is good for.
const LONGEST: Duration = Duration::days(366);

/// The issuer of tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Identity {
    /// How long a new token is good for; an hour at first. Clients renew when less than five minutes remain.
    pub lifetime: Duration,
    pub(super) key: SigningKey,
    #[serde(with = "stored::secret")]
    pub(super) app_header: Hidden<String>,
    pub(super) directory: Directory,
}

impl Identity {
    /// An issuer with a key of its own, who knows the function app and the operator.
    pub fn new() -> Identity {
        let key = SigningKey::generate().expect("OpenSSL makes P-256 keys");
        let app_header = Hidden(APP_HEADER.to_owned());
        Identity { lifetime: Duration::HOUR, key, app_header, directory: Directory::default() }
    }

    /// Tokens that end within the time that can be shown.
    fn check_stored(&self) -> Result<(), &'static str> {
        if self.lifetime.abs() <= LONGEST { Ok(()) } else { Err("tokens that are good for too long") }
    }

    /// Tells by which `IDENTITY_HEADER` the function app is known.
    pub fn set_app_header(&mut self, header: &str) {
        self.app_header = Hidden(header.to_owned());
    }

    /// Adds a user-assigned managed identity, which anybody gets a token of who names one of its ids.
    pub fn add_user_assigned(&mut self, principal: Principal) {
        self.directory.add(principal, None);
    }

    /// Adds an application, which anybody gets a token of who knows its secret.
    pub fn add_application(&mut self, principal: Principal, secret: &str) {
        self.directory.add(principal, Some(secret));
    }

    /// Knows the function app by what it is known by elsewhere.
    pub(crate) fn keep_app_header(&mut self, other: &Identity) {
        self.app_header = other.app_header.clone();
    }

    /// A token of the function app's identity for an audience.
    pub fn mint(&self, audience: &str, now: OffsetDateTime) -> String {
        self.mint_for(&Principal::function_app(), audience, now)
    }

    /// A token of anybody's for an audience.
    pub fn mint_for(&self, principal: &Principal, audience: &str, now: OffsetDateTime) -> String {
        let mut claims = json!({
            "aud": audience,
            "iss": issuer(),
            "iat": now.unix_timestamp(),
            "nbf": now.unix_timestamp(),
            "exp": self.expiry(now),
            "appid": principal.client_id,
            "idtyp": "app",
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": TENANT,
            "ver": "1.0",
        });
        if let Some(resource_id) = &principal.resource_id {
            claims["xms_mirid"] = json!(resource_id);
        }
        self.key.sign(&claims).expect("OpenSSL signs with the P-256 key it made")
    }

    /// Who sent this request: somebody with a token of ours, in time, for an audience the caller accepts.
    pub fn check(
        &self,
        request: &Request,
        accepts: impl Fn(&str) -> bool,
        now: OffsetDateTime,
    ) -> Result<Caller, TokenProblem> {
        let claims = self.key.open(bearer(request)?).ok_or(TokenProblem::Invalid)?;
        let moment = |claim: &str| claims[claim].as_i64().ok_or(TokenProblem::Invalid);
        let text = |claim: &str| claims[claim].as_str().ok_or(TokenProblem::Invalid);
        if now.unix_timestamp() < moment("nbf")? {
            return Err(TokenProblem::Invalid);
        }
        if now.unix_timestamp() >= moment("exp")? {
            return Err(TokenProblem::Expired);
        }
        if !accepts(text("aud")?) {
            return Err(TokenProblem::Audience);
        }
        Ok(Caller { object_id: text("oid")?.to_owned(), client_id: text("appid")?.to_owned() })
    }

    pub(super) fn expiry(&self, now: OffsetDateTime) -> i64 {
        (now + self.lifetime).unix_timestamp()
    }
}

stored::checked!(Identity);

impl Default for Identity {
    fn default() -> Identity {
        Identity::new()
    }
}

/// Who signs tokens for Azure Resource Manager and Key Vault, whichever endpoint they come from.
pub(super) fn issuer() -> String {
    format!("https://sts.windows.net/{TENANT}/")
}

fn bearer(request: &Request) -> Result<&str, TokenProblem> {
    let header = exchange::header_text(request, header::AUTHORIZATION).ok_or(TokenProblem::Missing)?;
    match header.trim().split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_start()),
        _ => Err(TokenProblem::Missing),
    }
}
