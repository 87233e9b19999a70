//! Where events are posted, and what kind of destination that is.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::ground::stored;

/// What is behind an endpoint. It decides which failures are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DestinationKind {
    /// Any URL.
    WebHook,
    /// A function of a function app, which Event Grid knows as an Azure resource.
    AzureFunction,
}

/// A URL, and the function behind it if it was named as one. The query may hold a key, so `Debug` and
/// `Display` stop before it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Endpoint {
    url: Url,
    function: Option<String>,
}

impl Endpoint {
    /// The function of this resource id, which is reached at this webhook of its host.
    pub fn function(resource_id: impl Into<String>, webhook: Url) -> Endpoint {
        Endpoint { url: webhook, function: Some(resource_id.into()) }
    }

    /// Whether events can be posted there. The service wants https; a subscriber on the same machine may do without.
    pub(super) fn is_allowed(url: &Url) -> bool {
        ["https", "http"].contains(&url.scheme()) && url.has_host()
    }

    fn check_stored(&self) -> Result<(), &'static str> {
        if Endpoint::is_allowed(&self.url) { Ok(()) } else { Err("an endpoint that cannot be posted to") }
    }

    /// The whole address, key included.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What is behind it.
    pub fn kind(&self) -> DestinationKind {
        match self.function {
            Some(_) => DestinationKind::AzureFunction,
            None => DestinationKind::WebHook,
        }
    }

    /// The same on another server.
    pub(super) fn redirect(&mut self, server: &Url) {
        let mut url = server.clone();
        url.set_path(self.url.path());
        url.set_query(self.url.query());
        self.url = url;
    }

    /// The resource id of the function behind it.
    pub fn function_id(&self) -> Option<&str> {
        self.function.as_deref()
    }

    /// The address without a key, as Azure shows it.
    pub fn base_url(&self) -> &str {
        &self.url[..url::Position::AfterPath]
    }
}

stored::checked!(Endpoint);

impl From<Url> for Endpoint {
    fn from(url: Url) -> Self {
        Endpoint { url, function: None }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base_url())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_keeps_its_key_out_of_logs() {
        let url: Url =
            "https://app.test/runtime/webhooks/eventgrid?functionName=F&code=secret".parse().unwrap();
        for endpoint in [Endpoint::from(url.clone()), Endpoint::function("/subscriptions/…", url)] {
            assert_eq!(format!("{endpoint:?} {endpoint}").matches("secret").count(), 0);
            assert!(endpoint.url().as_str().contains("secret"));
        }
    }
}
