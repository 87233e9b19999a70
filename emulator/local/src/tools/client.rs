//! Whoever uses the emulated Azure from outside: what `az` does in the tutorial, over the same sockets.
//!
//! It knows nothing of the emulator's inside, so what it achieves, a stranger's client achieves too.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

use crate::local_azure::{LocalAzure, certificate_id};
use keyholder_emulator::names::VAULT;

/// As a current client asks.
const DPS_API: &str = "2022-12-12";
const VAULT_API: &str = "2025-07-01";

/// The operator, who has all rights on the DPS instance and the vault.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    arm: Url,
    vault: Url,
    identity: Url,
}

/// An answer that was read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body; null when there was none.
    pub body: Value,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The wire.
    #[error("{method} {url}")]
    Http {
        /// Method.
        method: Method,
        /// Whole URL.
        url: Url,
        /// What happened.
        source: reqwest::Error,
    },
    /// An answer other than the one this client can go on with.
    #[error("{method} {url} answered {} {}", .answer.status, .answer.body)]
    Unexpected {
        /// Method.
        method: Method,
        /// Whole URL.
        url: Url,
        /// What came.
        answer: Answer,
    },
}

impl Client {
    /// A client that trusts the emulator's CA and finds its vault.
    pub fn new(azure: &LocalAzure) -> Result<Client, reqwest::Error> {
        let vault = azure.vault(VAULT);
        let host = vault.host_str().expect("a vault's URL has a host").to_owned();
        let http = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(azure.ca_pem())?])
            .resolve(&host, azure.services_address())
            .no_proxy()
            .build()?;
        Ok(Client { http, arm: azure.arm(), vault, identity: azure.identity() })
    }

    /// `az iot dps certificate create`: uploads a CA certificate, PEM.
    pub async fn upload(&self, name: &str, pem: &str) -> Result<Answer, ClientError> {
        let body = json!({ "properties": { "certificate": STANDARD.encode(pem) } });
        self.expect_success(Method::PUT, self.certificate(name, ""), None, Some(body)).await
    }

    /// `az iot dps certificate show`.
    pub async fn show(&self, name: &str) -> Result<Answer, ClientError> {
        self.call(Method::GET, self.certificate(name, ""), None, None).await
    }

    /// `az iot dps certificate list`: the items.
    pub async fn list(&self) -> Result<Vec<Value>, ClientError> {
        let answer = self.expect_success(Method::GET, self.certificate("", ""), None, None).await?;
        Ok(answer.body["value"].as_array().cloned().unwrap_or_default())
    }

    /// `az iot dps certificate delete`.
    pub async fn delete(&self, name: &str, etag: &str) -> Result<Answer, ClientError> {
        self.call(Method::DELETE, self.certificate(name, ""), Some(etag), None).await
    }

    /// `az iot dps certificate generate-verification-code`.
    pub async fn generate_verification_code(&self, name: &str, etag: &str) -> Result<Answer, ClientError> {
        let url = self.certificate(name, "/generateVerificationCode");
        self.expect_success(Method::POST, url, Some(etag), None).await
    }

    /// `az iot dps certificate verify`: hands in a verification certificate, PEM; whatever the answer is.
    pub async fn verify(&self, name: &str, etag: &str, pem: &str) -> Result<Answer, ClientError> {
        let body = json!({ "certificate": STANDARD.encode(pem) });
        self.call(Method::POST, self.certificate(name, "/verify"), Some(etag), Some(body)).await
    }

    /// `az keyvault certificate import`: certificate and key, PEM. Not exportable: the key cannot leave again.
    pub async fn import_certificate(
        &self,
        name: &str,
        pem: &str,
        tags: &[(&str, &str)],
    ) -> Result<Answer, ClientError> {
        let body = json!({
            "value": pem,
            "policy": {
                "key_props": { "exportable": false },
                "secret_props": { "contentType": "application/x-pem-file" }
            },
            "tags": tags.iter().copied().collect::<BTreeMap<_, _>>()
        });
        let url = self.vault_url(&format!("certificates/{name}/import"));
        self.expect_success(Method::POST, url, None, Some(body)).await
    }

    /// `az keyvault secret set`.
    pub async fn set_secret(
        &self,
        name: &str,
        value: &str,
        tags: &[(&str, &str)],
    ) -> Result<Answer, ClientError> {
        let tags: BTreeMap<_, _> = tags.iter().copied().collect();
        let body = json!({ "value": value, "contentType": "application/x-pem-file", "tags": tags });
        self.expect_success(Method::PUT, self.vault_url(&format!("secrets/{name}")), None, Some(body)).await
    }

    async fn expect_success(
        &self,
        method: Method,
        url: Url,
        etag: Option<&str>,
        body: Option<Value>,
    ) -> Result<Answer, ClientError> {
        let answer = self.call(method.clone(), url.clone(), etag, body).await?;
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(ClientError::Unexpected { method, url, answer })
        }
    }

    async fn call(
        &self,
        method: Method,
        url: Url,
        etag: Option<&str>,
        body: Option<Value>,
    ) -> Result<Answer, ClientError> {
        let token = self.token(&url).await?;
        let mut request = self.http.request(method.clone(), url.clone()).bearer_auth(token);
        if let Some(etag) = etag {
            request = request.header(http::header::IF_MATCH, etag);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        read(method, url, request).await
    }

    /// A token for the service a URL belongs to; a vault's audience is its host without the first label.
    async fn token(&self, url: &Url) -> Result<String, ClientError> {
        let host = url.host_str().unwrap_or_default();
        let host = host.strip_prefix(&format!("{VAULT}.")).unwrap_or(host);
        let port = url.port_or_known_default().unwrap_or_default();
        let mut endpoint = self.identity.clone();
        endpoint
            .query_pairs_mut()
            .append_pair("api-version", "2019-08-01")
            .append_pair("resource", &format!("https://{host}:{port}"));
        let request = self.http.get(endpoint.clone()).header("X-IDENTITY-HEADER", "operator");
        let answer = read(Method::GET, endpoint.clone(), request).await?;
        match answer.body["access_token"].as_str() {
            Some(token) => Ok(token.to_owned()),
            None => Err(ClientError::Unexpected { method: Method::GET, url: endpoint, answer }),
        }
    }

    fn certificate(&self, name: &str, action: &str) -> Url {
        let mut url = self.arm.clone();
        url.set_path(&format!("{}{action}", certificate_id(name).trim_end_matches('/')));
        url.set_query(Some(&format!("api-version={DPS_API}")));
        url
    }

    fn vault_url(&self, path: &str) -> Url {
        let mut url = self.vault.clone();
        url.set_path(path);
        url.set_query(Some(&format!("api-version={VAULT_API}")));
        url
    }
}

async fn read(method: Method, url: Url, request: reqwest::RequestBuilder) -> Result<Answer, ClientError> {
    let fail = |source| ClientError::Http { method: method.clone(), url: url.clone(), source };
    let response = request.send().await.map_err(fail)?;
    let status = response.status();
    let bytes = response.bytes().await.map_err(fail)?;
    Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
}
