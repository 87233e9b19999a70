//! The way into one vault: its challenge, which says whom a token has to be for, and that token.
//!
//! Each of the SDK's clients begins by sending a call without a token, to be challenged. A vault has three clients,
//! so what it answered to one of them is kept for the others. They also follow a list's next page wherever it leads,
//! with the token; through here they do not get to another host.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use azure_core::Bytes;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{AUTHORIZATION, Headers, WWW_AUTHENTICATE};
use azure_core::http::{AsyncRawResponse, HttpClient, Request, StatusCode};
use url::{Origin, Url};

use crate::error::quoted;

/// An HTTP client for one vault.
#[derive(Debug)]
pub(super) struct Gate {
    client: Arc<dyn HttpClient>,
    vault: Origin,
    challenge: RwLock<Option<Headers>>,
}

impl Gate {
    pub(super) fn new(client: Arc<dyn HttpClient>, vault: &Url) -> Gate {
        Gate { client, vault: vault.origin(), challenge: RwLock::default() }
    }

    fn challenge(&self) -> Option<AsyncRawResponse> {
        let known = self.challenge.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(AsyncRawResponse::from_bytes(StatusCode::Unauthorized, known, Bytes::new()))
    }
}

#[async_trait]
impl HttpClient for Gate {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        if request.url().origin() != self.vault {
            let message = format!("the vault leads to another host, {}", quoted(request.url().as_str()));
            return Err(Error::with_message(ErrorKind::DataConversion, message));
        }
        let has_token = request.headers().get_optional_str(&AUTHORIZATION).is_some();
        if !has_token && let Some(challenge) = self.challenge() {
            return Ok(challenge);
        }
        let answer = self.client.execute_request(request).await?;
        // Also to a call with a token, because the vault may have moved to another tenant.
        if answer.status() == StatusCode::Unauthorized
            && answer.headers().get_optional_str(&WWW_AUTHENTICATE).is_some()
        {
            let challenge = Some(answer.headers().clone());
            *self.challenge.write().unwrap_or_else(PoisonError::into_inner) = challenge;
        }
        Ok(answer)
    }
}

/// What the challenge will ask for, going by the vault's address: in every cloud, the host without the vault's own
/// name. With it a token can be fetched beside the challenge; a token for anything else is never sent anywhere.
pub(super) fn likely_scope(vault: &Url) -> Option<String> {
    let (_, domain) = vault.host_str()?.split_once('.')?;
    let port = vault.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{domain}{port}/.default", vault.scheme()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use azure_core::http::Method;

    use super::*;

    /// A vault that challenges a caller without a token, or with one that is not `good`.
    #[derive(Debug, Default)]
    struct Vault {
        asked: AtomicU32,
    }

    #[async_trait]
    impl HttpClient for Vault {
        async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
            let asked = self.asked.fetch_add(1, Ordering::Relaxed);
            let mut headers = Headers::new();
            if request.headers().get_optional_str(&AUTHORIZATION) == Some("good") {
                return Ok(AsyncRawResponse::from_bytes(StatusCode::Ok, headers, Bytes::new()));
            }
            headers.insert(WWW_AUTHENTICATE, format!("challenge {asked}"));
            Ok(AsyncRawResponse::from_bytes(StatusCode::Unauthorized, headers, Bytes::new()))
        }
    }

    #[tokio::test]
    async fn nobody_gets_through_it_to_another_host() {
        let vault = Arc::new(Vault::default());
        let gate = Gate::new(vault.clone(), &Url::parse("https://v.example").expect("a URL"));
        for url in
            ["https://evil.example/", "http://v.example/", "https://v.example:8443/", "https://a.v.example/"]
        {
            let request = Request::new(Url::parse(url).expect("a URL"), Method::Get);
            let error = gate.execute_request(&request).await.expect_err(url).to_string();
            assert!(error.contains("leads to another host"), "{error}");
        }
        assert_eq!(vault.asked.load(Ordering::Relaxed), 0);
    }

    async fn ask(gate: &Gate, token: Option<&'static str>) -> (u16, Option<String>) {
        let mut request = Request::new(Url::parse("https://v.example/").expect("a URL"), Method::Get);
        if let Some(token) = token {
            request.insert_header(AUTHORIZATION, token);
        }
        let answer = gate.execute_request(&request).await.expect("it answers");
        let challenge = answer.headers().get_optional_str(&WWW_AUTHENTICATE).map(str::to_owned);
        (answer.status().into(), challenge)
    }

    #[tokio::test]
    async fn a_vault_is_asked_once_for_its_challenge_and_always_for_anything_else() {
        let vault = Arc::new(Vault::default());
        let gate = Gate::new(vault.clone(), &Url::parse("https://v.example").expect("a URL"));
        let challenged = |number: u32| (401, Some(format!("challenge {number}")));
        assert_eq!(ask(&gate, None).await, challenged(0));
        assert_eq!(ask(&gate, None).await, challenged(0));
        assert_eq!(ask(&gate, Some("good")).await, (200, None));
        assert_eq!(vault.asked.load(Ordering::Relaxed), 2);
        assert_eq!(ask(&gate, Some("expired")).await, challenged(2));
        assert_eq!(ask(&gate, None).await, challenged(2), "the newest one counts");
        assert_eq!(vault.asked.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_scope_is_the_domain_a_vault_is_in() {
        for (vault, scope) in [
            ("https://my-vault.vault.azure.net/", Some("https://vault.azure.net/.default")),
            ("https://my-vault.vault.azure.cn", Some("https://vault.azure.cn/.default")),
            ("https://my-vault.vault.localhost:8443", Some("https://vault.localhost:8443/.default")),
            ("https://localhost", None),
        ] {
            let vault = Url::parse(vault).expect("a URL");
            assert_eq!(likely_scope(&vault).as_deref(), scope, "{vault}");
        }
    }
}
