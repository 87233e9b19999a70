//! Which proxy a request goes through.
//!
//! A request without TLS never goes through one: the proxy, and anyone on the way to it, would read what it carries,
//! such as the app's identity header, and the tokens in the answer. Requests with TLS go through the proxy of the usual
//! variables (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), in a tunnel that the proxy cannot look into.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use url::Url;

use crate::config::Settings;

/// The proxies of the environment, for requests with TLS alone.
#[derive(Clone, Debug)]
pub(super) struct Proxies(Arc<Matcher>);

impl Proxies {
    /// Reads the variables.
    pub(super) fn from_environment() -> Proxies {
        Proxies(Arc::new(Matcher::from_env()))
    }

    /// Returns the proxy on the way to a URL, if there is one; never for a URL without TLS.
    pub(super) fn on_the_way_to(&self, url: &Url) -> Option<Intercept> {
        if url.scheme() != "https" {
            return None;
        }
        self.0.intercept(&url.as_str().parse::<Uri>().ok()?)
    }

    /// Returns the one proxy there can be, whatever the host.
    pub(super) fn any(&self) -> Option<Intercept> {
        self.0.intercept(&Uri::from_static("https://any.invalid"))
    }

    /// Returns the proxies in use and the hosts they are used for, or `none`. It shows no credentials.
    fn in_use<'u>(&self, peers: impl IntoIterator<Item = &'u Url>) -> String {
        let mut hosts_by_proxy = BTreeMap::<String, Vec<&str>>::new();
        for url in peers {
            if let Some(proxy) = self.on_the_way_to(url) {
                hosts_by_proxy.entry(address(&proxy)).or_default().extend(url.host_str());
            }
        }
        let each =
            hosts_by_proxy.into_iter().map(|(proxy, hosts)| format!("{proxy} to {}", hosts.join(", ")));
        let text = each.collect::<Vec<_>>().join("; ");
        if text.is_empty() { "none".to_owned() } else { text }
    }
}

/// Returns the proxies between an app with these settings and Azure.
pub fn in_use(settings: &Settings) -> String {
    let peers = std::iter::once(&settings.arm_endpoint).chain(&settings.vaults);
    Proxies::from_environment().in_use(peers)
}

/// Scheme, host and port. The credentials that the variable may hold are kept apart from them.
pub(super) fn address(proxy: &Intercept) -> String {
    proxy.uri().to_string().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(all: &str, no: &str) -> Proxies {
        Proxies(Arc::new(Matcher::builder().all(all).no(no).build()))
    }

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn a_url_without_tls_never_has_a_proxy() {
        let proxies = proxies("http://proxy.example:3128", "");
        for (text, expected) in [
            ("http://169.254.169.254/metadata/identity/oauth2/token", false),
            ("http://localhost:8081/msi/token", false),
            ("http://management.azure.com", false),
            ("HTTP://management.azure.com", false),
            ("https://management.azure.com", true),
        ] {
            assert_eq!(proxies.on_the_way_to(&url(text)).is_some(), expected, "{text}");
        }
    }

    #[test]
    fn a_host_of_no_proxy_is_reached_directly() {
        let proxies = proxies("http://proxy.example:3128", "vault.azure.net");
        assert!(proxies.on_the_way_to(&url("https://my-vault.vault.azure.net")).is_none());
        assert!(proxies.on_the_way_to(&url("https://management.azure.com")).is_some());
    }

    #[test]
    fn the_proxies_in_use_are_named_with_their_hosts_and_without_credentials() {
        let peers = [url("https://management.azure.com"), url("https://my-vault.vault.azure.net")];
        let named = |all, no| proxies(all, no).in_use(&peers);
        assert_eq!(named("", ""), "none");
        assert_eq!(named("http://proxy.example:3128", "*"), "none");
        assert_eq!(
            named("http://user:secret@proxy.example:3128", ""),
            "http://proxy.example:3128 to management.azure.com, my-vault.vault.azure.net"
        );
        assert_eq!(
            named("proxy.example:3128", ".azure.com"),
            "http://proxy.example:3128 to my-vault.vault.azure.net"
        );
    }
}
