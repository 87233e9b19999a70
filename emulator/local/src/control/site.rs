//! Where a running emulator can be reached, and what its programs are told of it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::overview::{Addresses, Environment, Variable};
use super::token;
use keyholder_emulator::names::{RESOURCE_GROUP, SUBSCRIPTION, TENANT, VAULT};

/// What a person's programs ask the managed identity endpoint with; the app has a header of its own.
const OPERATOR_HEADER: &str = "operator";

/// The sockets and files of one running emulator.
#[derive(Clone)]
pub(crate) struct Site {
    /// Azure Resource Manager; the vaults are on the same port.
    pub(crate) arm: Url,
    /// The managed identity endpoint.
    pub(crate) identity: Url,
    /// The Functions host.
    pub(crate) functions: Url,
    /// What the control API wants to be shown.
    pub(crate) token: Arc<str>,
    /// The CA that clients have to trust.
    pub(crate) ca_pem: Vec<u8>,
    /// A file with that CA alone.
    pub(crate) ca_file: PathBuf,
    /// One with that CA beside those this machine trusts anyway.
    pub(crate) ca_bundle: PathBuf,
}

impl fmt::Debug for Site {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("arm", &self.arm)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Site {
    /// A vault.
    pub(crate) fn vault(&self, name: &str) -> Url {
        let mut url = self.arm.clone();
        url.set_host(Some(&format!("{name}.vault.localhost"))).expect("a vault's name fits into a host's");
        url
    }

    /// Entra ID, for the tenant that is there at start.
    pub(crate) fn authority(&self) -> Url {
        let mut url = self.arm.clone();
        url.set_path(TENANT);
        url
    }

    pub(super) fn addresses<'v>(&self, vaults: impl Iterator<Item = &'v str>) -> Addresses {
        Addresses {
            arm: bare(&self.arm),
            vaults: vaults.map(|name| (name.to_owned(), bare(&self.vault(name)))).collect(),
            identity: self.identity.to_string(),
            authority: self.authority().to_string(),
            functions: bare(&self.functions),
            ca_file: self.ca_file.display().to_string(),
        }
    }

    /// What tells Keyholder where it is, and what it may do here.
    pub(crate) fn keyholder_settings(&self) -> [(&'static str, String); 4] {
        let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}");
        [
            ("KEYHOLDER_REGISTRIES", group),
            ("KEYHOLDER_VAULTS", bare(&self.vault(VAULT))),
            ("KEYHOLDER_ARM_ENDPOINT", bare(&self.arm)),
            ("KEYHOLDER_IDENTITY", "managed".to_owned()),
        ]
    }

    pub(super) fn environment(&self) -> Environment {
        let bundle = self.ca_bundle.display().to_string();
        let variables = [
            ("CURL_CA_BUNDLE", bundle.clone(), "curl"),
            ("REQUESTS_CA_BUNDLE", bundle.clone(), "az and other Python programs"),
            ("SSL_CERT_FILE", bundle, "OpenSSL, and with it Rust, Ruby and Go programs"),
            ("NODE_EXTRA_CA_CERTS", self.ca_file.display().to_string(), "Node"),
            ("IDENTITY_ENDPOINT", self.identity.to_string(), "Azure SDKs: the managed identity"),
            ("IDENTITY_HEADER", OPERATOR_HEADER.to_owned(), "Azure SDKs: the managed identity"),
            ("AZURE_AUTHORITY_HOST", bare(&self.arm), "Azure SDKs: Entra ID"),
            ("AZURE_TENANT_ID", TENANT.to_owned(), "Azure SDKs: Entra ID"),
            ("NO_PROXY", "localhost,.localhost,127.0.0.1".to_owned(), "whoever would ask a proxy"),
            (token::VARIABLE, self.token.to_string(), "scripts: the token of the control API"),
            ("ARM_ENDPOINT", bare(&self.arm), "scripts: Azure Resource Manager"),
            ("VAULT_URL", bare(&self.vault(VAULT)), "scripts: the vault that is there at start"),
        ];
        let keyholder = self.keyholder_settings().map(|(name, value)| (name, value, "Keyholder"));
        let variable = |(name, value, purpose): (&str, String, &str)| Variable {
            name: name.to_owned(),
            value,
            purpose: purpose.to_owned(),
        };
        Environment { variables: variables.into_iter().chain(keyholder).map(variable).collect() }
    }
}

/// Without the slash that means nothing and breaks what is put together of it.
fn bare(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}
