//! Which vault a request is for and what it asks, read from Host, method and path alone.
//!
//! Clients differ in how they spell the same thing: a slash at the end, an empty segment where a version
//! could be, upper case. All of that is settled here and nowhere else.

use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use super::kind::Kind;
use super::site::Site;
use super::{certificates, deleted, keys, secrets};
use crate::ground::exchange::{self, Request, Response};
use crate::service::Routed;
use crate::steering::operation::Operation;

/// A request to a vault.
#[derive(Debug)]
pub struct Route {
    pub(super) vault: String,
    pub(super) site: Site,
    /// Whether it comes without a token, and is answered with the challenge whatever it asks for.
    is_challenged: bool,
    /// `None` for what is not emulated.
    pub(super) call: Option<Call>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Certificates(certificates::Call),
    Keys(keys::Call),
    Secrets(secrets::Call),
    Deleted(Kind, deleted::Call),
}

impl Route {
    /// Where a request goes; `None` when its host is no vault's.
    pub fn parse(request: &Request) -> Option<Route> {
        let (site, vault) = Site::parse(exchange::authority(request))?;
        let is_challenged = !request.headers().contains_key(AUTHORIZATION);
        Some(Route { vault, site, is_challenged, call: Call::parse(request) })
    }

    /// What is asked, with or without a token.
    pub(super) fn asked(&self) -> Operation {
        match &self.call {
            Some(Call::Certificates(call)) => call.operation(),
            Some(Call::Keys(call)) => call.operation(),
            Some(Call::Secrets(call)) => call.operation(),
            Some(Call::Deleted(kind, call)) => call.operation(*kind),
            None => Operation::Vault,
        }
    }

    /// `vault/kind/name`, or the vault alone: what an id of Azure Resource Manager ends in.
    pub(super) fn path(&self) -> String {
        match self.named() {
            Some((kind, name)) => format!("{}/{}/{name}", self.vault, kind.collection()),
            None => self.vault.clone(),
        }
    }

    fn named(&self) -> Option<(Kind, &str)> {
        let (kind, name) = match self.call.as_ref()? {
            Call::Certificates(call) => (Kind::Certificate, call.name()),
            Call::Keys(call) => (Kind::Key, call.name()),
            Call::Secrets(call) => (Kind::Secret, call.name()),
            Call::Deleted(kind, call) => (*kind, call.name()),
        };
        name.map(|name| (kind, name))
    }
}

impl Routed for Route {
    /// A call without a token asks a vault for the challenge, whatever else it asks for.
    fn operation(&self) -> Operation {
        if self.is_challenged { Operation::VaultChallenge } else { self.asked() }
    }

    /// `vault/name`, or the vault alone when it is asked as a whole.
    fn object(&self) -> String {
        match self.named() {
            Some((_, name)) => format!("{}/{name}", self.vault),
            None => self.vault.clone(),
        }
    }

    /// A token that is refused is answered with the challenge too.
    fn operation_answered(&self, response: &Response) -> Operation {
        if response.status() == StatusCode::UNAUTHORIZED {
            Operation::VaultChallenge
        } else {
            self.operation()
        }
    }
}

impl Call {
    /// Whether the path is one that something else can be done to. What is posted to a path of three segments, or
    /// changes a policy, may be an operation that is only not emulated.
    pub(super) fn allows_another_method(request: &Request) -> bool {
        let path = request.uri().path().trim_end_matches('/');
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        if request.method() == Method::POST && segments.count() > 2 {
            return false;
        }
        if request.method() == Method::PATCH && path.to_ascii_lowercase().ends_with("/policy") {
            return false;
        }
        let methods = [Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE];
        methods.iter().any(|method| Call::parse_as(method, request).is_some())
    }

    fn parse(request: &Request) -> Option<Call> {
        Call::parse_as(request.method(), request)
    }

    fn parse_as(method: &Method, request: &Request) -> Option<Call> {
        let segments: Vec<_> = request
            .uri()
            .path()
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
            .collect();
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let (collection, path) = segments.split_first()?;
        let collection = collection.to_ascii_lowercase();
        if let Some(kind) = Kind::of_deleted_collection(&collection) {
            return deleted::Call::parse(method, path).map(|call| Call::Deleted(kind, call));
        }
        match Kind::of_collection(&collection)? {
            Kind::Certificate => certificates::Call::parse(method, path).map(Call::Certificates),
            Kind::Key => keys::Call::parse(method, path).map(Call::Keys),
            Kind::Secret => secrets::Call::parse(method, path).map(Call::Secrets),
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
            ("PATCH", "/certificates/ca/0123", Operation::UpdateVaultCertificate, "my-vault/ca"),
            ("POST", "/certificates/ca/create", Operation::CreateVaultCertificate, "my-vault/ca"),
            ("GET", "/certificates/ca/pending", Operation::GetCertificateOperation, "my-vault/ca"),
            ("DELETE", "/certificates/ca", Operation::DeleteVaultCertificate, "my-vault/ca"),
            ("GET", "/deletedcertificates", Operation::ListDeletedVaultCertificates, "my-vault"),
            ("GET", "/deletedcertificates/ca", Operation::GetDeletedVaultCertificate, "my-vault/ca"),
            ("POST", "/deletedcertificates/ca/recover", Operation::RecoverVaultCertificate, "my-vault/ca"),
            ("DELETE", "/deletedcertificates/ca", Operation::PurgeVaultCertificate, "my-vault/ca"),
            ("GET", "/keys", Operation::ListVaultKeys, "my-vault"),
            ("GET", "/keys/ca/0123", Operation::GetVaultKey, "my-vault/ca"),
            ("POST", "/keys/ca/create", Operation::CreateVaultKey, "my-vault/ca"),
            ("PUT", "/keys/ca", Operation::ImportVaultKey, "my-vault/ca"),
            ("PATCH", "/keys/ca//", Operation::UpdateVaultKey, "my-vault/ca"),
            ("DELETE", "/keys/ca", Operation::DeleteVaultKey, "my-vault/ca"),
            ("GET", "/DeletedKeys/ca", Operation::GetDeletedVaultKey, "my-vault/ca"),
            ("POST", "/keys/ca//sign", Operation::Sign, "my-vault/ca"),
            ("POST", "/keys/ca/0123/sign", Operation::Sign, "my-vault/ca"),
            ("PUT", "/secrets/ca", Operation::SetSecret, "my-vault/ca"),
            ("GET", "/Secrets/ca//", Operation::GetSecret, "my-vault/ca"),
            ("GET", "/secrets/ca/versions", Operation::ListSecrets, "my-vault/ca"),
            ("PATCH", "/secrets/ca", Operation::UpdateSecret, "my-vault/ca"),
            ("DELETE", "/secrets/ca", Operation::DeleteSecret, "my-vault/ca"),
            ("GET", "/deletedsecrets", Operation::ListDeletedSecrets, "my-vault"),
            ("POST", "/deletedsecrets/ca/recover", Operation::RecoverSecret, "my-vault/ca"),
            ("POST", "/secrets/ca/backup", Operation::Vault, "my-vault"),
            ("GET", "/deleted/ca", Operation::Vault, "my-vault"),
            ("GET", "/", Operation::Vault, "my-vault"),
        ] {
            let route = route(method, path);
            assert_eq!((route.asked(), route.object().as_str()), (operation, object), "{method} {path}");
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
