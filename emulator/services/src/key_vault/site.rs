//! A vault's address as the client sees it.
//!
//! Ids, links and the challenge are built from the `Host` of the request: a client that came through a port,
//! a proxy or a pinned name is never sent to an address it cannot reach.

use super::kind::Kind;
use crate::names::TENANT;

/// What follows a vault's name: ours, then those of the public and the sovereign clouds.
const DOMAINS: [&str; 5] = [
    "vault.localhost",
    "vault.azure.net",
    "vault.azure.cn",
    "vault.usgovcloudapi.net",
    "vault.microsoftazure.de",
];

/// Host and port of a vault, as they stood in the request.
#[derive(Clone, Debug)]
pub(super) struct Site {
    authority: String,
}

impl Site {
    /// The site, and the vault's name in lower case; `None` when the host is no vault's.
    pub(super) fn parse(authority: &str) -> Option<(Site, String)> {
        let authority = authority.to_ascii_lowercase();
        let host = authority.split_once(':').map_or(authority.as_str(), |(host, _)| host);
        let (vault, domain) = host.split_once('.')?;
        if vault.is_empty() || !DOMAINS.contains(&domain) {
            return None;
        }
        let vault = vault.to_owned();
        Some((Site { authority }, vault))
    }

    /// The URL of a path on this vault.
    pub(super) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.authority)
    }

    /// The id of an object, or of one version of it.
    pub(super) fn id(&self, kind: Kind, name: &str, version: Option<&str>) -> String {
        let object = self.url(&format!("/{}/{name}", kind.collection()));
        match version {
            Some(version) => format!("{object}/{version}"),
            None => object,
        }
    }

    /// The audience of tokens for this vault. All SDKs insist that the vault's host ends with it; Python also
    /// compares the port, so it stays.
    pub(super) fn resource(&self) -> String {
        let domain = self.authority.split_once('.').map_or("", |(_, domain)| domain);
        format!("https://{domain}")
    }

    /// Whether a token for this audience may be used here.
    pub(super) fn accepts(&self, audience: &str) -> bool {
        audience.strip_suffix('/').unwrap_or(audience).eq_ignore_ascii_case(&self.resource())
    }

    /// The value of `WWW-Authenticate`.
    pub(super) fn challenge(&self) -> String {
        format!(
            "Bearer authorization=\"https://login.microsoftonline.com/{TENANT}\", resource=\"{}\"",
            self.resource()
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_is_named_by_the_first_label_of_its_host() {
        for (authority, vault, resource) in [
            ("my-vault.vault.localhost:8443", "my-vault", "https://vault.localhost:8443"),
            ("my-vault.vault.localhost", "my-vault", "https://vault.localhost"),
            ("My-Vault.Vault.Azure.Net:18443", "my-vault", "https://vault.azure.net:18443"),
            ("kv1.vault.usgovcloudapi.net", "kv1", "https://vault.usgovcloudapi.net"),
        ] {
            let (site, name) = Site::parse(authority).unwrap();
            assert_eq!((name.as_str(), site.resource().as_str()), (vault, resource));
        }
    }

    #[test]
    fn other_hosts_are_no_vaults() {
        for authority in [
            "",
            "localhost:8443",
            "vault.localhost",
            "127.0.0.1:8443",
            "management.azure.com",
            "a.b.vault.azure.net",
            ".vault.azure.net",
            "my-vault.vault.azure.net.evil.example",
        ] {
            assert!(Site::parse(authority).is_none(), "{authority}");
        }
    }

    #[test]
    fn the_audience_may_end_in_a_slash_and_nothing_else() {
        let (site, _) = Site::parse("kv1.vault.azure.net").unwrap();
        assert!(site.accepts("https://vault.azure.net"));
        assert!(site.accepts("https://vault.azure.net/"));
        assert!(!site.accepts("https://vault.azure.net//"));
        assert!(!site.accepts("https://management.azure.com"));
        assert!(!site.accepts(""));
    }
}
