//! Which vault a request is for and what it asks, read from Host, method and path alone.
//!
//! Clients differ in how they spell the same thing: a slash at the end, an empty segment where a version
//! could be, upper case. All of that is settled here and nowhere else.

use percent_encoding::percent_decode_str;

use super::site::Site;
use super::{certificates, keys, secrets};
use crate::exchange::{self, Request};
use crate::operation::Operation;

/// A request to a vault.
#[derive(Debug)]
pub struct Route {
    pub(super) vault: String,
    pub(super) site: Site,
    /// `None` for what is not emulated.
    pub(super) call: Option<Call>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Certificates(certificates::Call),
    Keys(keys::Call),
    Secrets(secrets::Call),
}

impl Route {
    /// Where a request goes; `None` when its host is no vault's.
    pub fn parse(request: &Request) -> Option<Route> {
        let (site, vault) = Site::parse(exchange::authority(request))?;
        Some(Route { vault, site, call: Call::parse(request) })
    }

    /// What is asked, for the journal and the fault plan.
    pub fn operation(&self) -> Operation {
        match &self.call {
            Some(Call::Certificates(call)) => call.operation(),
            Some(Call::Keys(call)) => call.operation(),
            Some(Call::Secrets(call)) => call.operation(),
            None => Operation::Vault,
        }
    }

    /// `vault/name`, or the vault alone when it is asked as a whole.
    pub fn object(&self) -> String {
        let name = match &self.call {
            Some(Call::Certificates(call)) => call.name(),
            Some(Call::Keys(call)) => call.name(),
            Some(Call::Secrets(call)) => call.name(),
            None => None,
        };
        match name {
            Some(name) => format!("{}/{name}", self.vault),
            None => self.vault.clone(),
        }
    }
}

impl Call {
    fn parse(request: &Request) -> Option<Call> {
        let segments: Vec<_> = request
            .uri()
            .path()
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
            .collect();
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let (collection, path) = segments.split_first()?;
        let method = request.method();
        match collection.to_ascii_lowercase().as_str() {
            "certificates" => certificates::Call::parse(method, path).map(Call::Certificates),
            "keys" => keys::Call::parse(method, path).map(Call::Keys),
            "secrets" => secrets::Call::parse(method, path).map(Call::Secrets),
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn route(method: &str, path: &str) -> Route {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("Host", "my-vault.vault.localhost:8443")
            .body(Bytes::new());
        Route::parse(&request.unwrap()).unwrap()
    }

    #[test]
    fn each_call_has_its_operation_and_object() {
        for (method, path, operation, object) in [
            ("GET", "/certificates", Operation::ListVaultCertificates, "my-vault"),
            ("GET", "/certificates/ca/versions", Operation::ListVaultCertificates, "my-vault/ca"),
            ("GET", "/certificates/ca/", Operation::GetVaultCertificate, "my-vault/ca"),
            ("POST", "/certificates/ca/import", Operation::ImportVaultCertificate, "my-vault/ca"),
            ("PATCH", "/certificates/ca/0123", Operation::Vault, "my-vault/ca"),
            ("GET", "/keys/ca/0123", Operation::GetVaultKey, "my-vault/ca"),
            ("POST", "/keys/ca//sign", Operation::Sign, "my-vault/ca"),
            ("POST", "/keys/ca/0123/sign", Operation::Sign, "my-vault/ca"),
            ("PUT", "/secrets/ca", Operation::SetSecret, "my-vault/ca"),
            ("GET", "/Secrets/ca//", Operation::GetSecret, "my-vault/ca"),
            ("GET", "/secrets/ca/versions", Operation::ListSecrets, "my-vault/ca"),
            ("DELETE", "/secrets/ca", Operation::Vault, "my-vault"),
            ("GET", "/", Operation::Vault, "my-vault"),
        ] {
            let route = route(method, path);
            assert_eq!((route.operation(), route.object().as_str()), (operation, object), "{method} {path}");
        }
    }

    #[test]
    fn an_absolute_target_names_the_vault_too() {
        let request = http::Request::get("https://kv1.vault.azure.net/secrets").body(Bytes::new()).unwrap();
        assert_eq!(Route::parse(&request).unwrap().object(), "kv1");
    }

    #[test]
    fn requests_to_other_hosts_are_not_for_a_vault() {
        let request =
            http::Request::get("/secrets").header("Host", "localhost:8443").body(Bytes::new()).unwrap();
        assert!(Route::parse(&request).is_none());
    }
}
