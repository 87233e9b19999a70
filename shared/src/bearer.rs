//! The bearer token that Event Grid brings when it was told to (a webhook protected by Entra ID): whether Entra ID made
//! it, for this application, and gave it to Event Grid. [`token`] judges it, [`keys`] has what it is judged with.
//!
//! What such a token holds is documented only in part. Documented are the issuer, the audience, the claim that names
//! the application it was given to, and the application role that Event Grid is given by the documented set-up; that
//! the role then stands in `roles`, as it does for every application, is taken for granted and was not observed.
//!
//! The check is our own, because the crates that read JSON Web Tokens bring a second stack of cryptography (`ring`,
//! `aws-lc-rs` or the RustCrypto crates) for what is one call to OpenSSL, and a choice of algorithms where only RS256
//! may be taken. It is held to the vectors of RFC 7515 and RFC 7520, and fuzzed (`bearer_token`, `jwk_set`).

mod keys;
mod token;

use std::fmt;
use std::sync::Arc;

use azure_core::http::HttpClient;
use time::OffsetDateTime;
use url::Url;

use crate::error::CallError;
use keys::Keys;
use token::Token;

/// The application role that Event Grid is given in the documented set-up.
pub const ROLE: &str = "AzureEventGridSecureWebhookSubscriber";
/// Entra ID of the public cloud.
pub const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com";
/// The application `Microsoft.EventGrid` in the public cloud, as Microsoft's scripts for secure delivery name it
/// (<https://learn.microsoft.com/azure/event-grid/secure-webhook-delivery>). Other clouds have another one.
pub const PUBLIC_EVENT_GRID: &str = "4962773b-9cdb-44cf-a8bf-237846a00ab7";

/// Whose tokens are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The tenant that issues them: its GUID.
    pub tenant: String,
    /// The application they are for: its id or its URI, whichever the tokens name.
    pub audience: String,
    /// Entra ID's address.
    pub authority: Url,
    /// The application they were given to: Event Grid's id, a GUID.
    pub event_grid: String,
}

/// Checks tokens, with Entra ID's keys at hand.
pub struct Bearer {
    expected: Expected,
    keys: Keys,
}

/// Why a token is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It is not good, and will not be. Says why, without saying anything of a signature or a key.
    #[error("{0}")]
    Refused(String),
    /// Whether it is good cannot be known at the moment.
    #[error(transparent)]
    Unknown(#[from] CallError),
}

impl Bearer {
    /// Creates a check for tokens of one tenant for one application. It fetches the keys when the first token comes.
    pub fn new(expected: Expected, client: Arc<dyn HttpClient>) -> Bearer {
        let keys = Keys::new(&expected.authority, &expected.tenant, client);
        Bearer { expected, keys }
    }

    /// Checks whether the value of an `Authorization` header is such a token.
    pub async fn check(&self, authorization: Option<&str>, now: OffsetDateTime) -> Result<(), NotTaken> {
        let token = Token::of(authorization.ok_or_else(|| refused("there is no bearer token"))?)?;
        let id = token.key_id()?;
        let key =
            self.keys.key(&id).await?.ok_or_else(|| refused("Entra ID has no key of the name it gives"))?;
        self.expected.check(&token.claims(&key)?, now).map_err(NotTaken::Refused)
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("expected", &self.expected).finish_non_exhaustive()
    }
}

fn refused(reason: &str) -> NotTaken {
    NotTaken::Refused(reason.to_owned())
}

#[cfg(test)]
mod tests;
