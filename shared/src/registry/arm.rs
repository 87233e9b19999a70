//! DPS certificates through Azure Resource Manager.
//!
//! Five calls would make a generated client; none exists for Rust, and three are all we need. The etag comes
//! from the body of each answer (there is no `ETag` header) and goes back as `If-Match`. Nothing is retried
//! here: after a call whose effect is in doubt, the only safe thing is to look, and that is the verifier's.

use std::fmt::Display;
use std::sync::Arc;

use azure_core::credentials::{AccessToken, TokenCredential};
use azure_core::http::headers::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, IF_MATCH, RETRY_AFTER};
use azure_core::http::{HttpClient, Method, Request, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::answer::{self, UnreadableAnswer};
use super::{Challenge, Listed, ListedCertificate, Registered, Registry};
use crate::certificate_id::{CertificateId, RegistryId};
use crate::error::{self, Advice, CallError};
use crate::etag::Etag;
use crate::identity;
use crate::proof::Proof;
use crate::trust::Scope;

/// The api-version asked for by default: the newest stable one before the 2026 rewrite of the specification.
pub const API_VERSION: &str = "2022-12-12";

/// The name of the certificate that the doctor's requests are about. No such certificate exists.
const PROBE_CERTIFICATE_NAME: &str = "keyholder-doctor-asks-whether-it-may";

/// More pages than the instances of a subscription can fill.
pub(crate) const MAX_PAGES: usize = 100;

/// Azure Resource Manager at one address.
#[derive(Debug)]
pub struct Arm {
    client: Arc<dyn HttpClient>,
    credential: Arc<dyn TokenCredential>,
    endpoint: Url,
    audience: String,
}

struct ArmAnswer {
    status: StatusCode,
    retry_after: Option<String>,
    body: Vec<u8>,
}

impl Arm {
    /// Creates a client. `endpoint` is also the audience of the tokens, as in every Azure cloud.
    pub fn new(client: Arc<dyn HttpClient>, credential: Arc<dyn TokenCredential>, endpoint: Url) -> Arm {
        let audience = format!("{}/.default", endpoint.as_str().trim_end_matches('/'));
        Arm { client, credential, endpoint, audience }
    }

    /// Gets a token, to find out whether there is an identity at all. The credential caches it.
    pub async fn sign_in(&self) -> Result<(), CallError> {
        self.token().await.map(|_| ())
    }

    async fn token(&self) -> Result<AccessToken, CallError> {
        let token = self.credential.get_token(&[&self.audience], None).await;
        token.map_err(|error| identity::call_error(&self.audience, &error))
    }

    async fn call(
        &self,
        call: &str,
        method: Method,
        path: &str,
        etag: Option<&Etag>,
        body: Option<Value>,
    ) -> Result<ArmAnswer, CallError> {
        let token = self.token().await?;
        let url = if path.starts_with('/') { self.url(path) } else { self.next_page(call, path)? };
        let mut request = Request::new(url, method);
        request.insert_header(AUTHORIZATION, format!("Bearer {}", token.token.secret()));
        if let Some(etag) = etag {
            request.insert_header(IF_MATCH, etag.as_str().to_owned());
        }
        match body {
            Some(body) => {
                request.insert_header(CONTENT_TYPE, "application/json");
                request.set_body(body.to_string());
            }
            // The service wants the length even of nothing.
            None if method == Method::Post => request.insert_header(CONTENT_LENGTH, "0"),
            None => {}
        }
        let unavailable = |error: azure_core::Error| CallError::Unavailable {
            call: call.to_owned(),
            status: None,
            reason: error::one_line(&error::chain(&error)),
            retry_after: None,
        };
        let response = self.client.execute_request(&request).await.map_err(unavailable)?;
        let (status, headers, body) = response.deconstruct();
        let retry_after = headers.get_optional_str(&RETRY_AFTER).map(str::to_owned);
        Ok(ArmAnswer { status, retry_after, body: body.collect().await.map_err(unavailable)?.to_vec() })
    }
}

impl Arm {
    fn url(&self, path: &str) -> Url {
        let mut url = self.endpoint.clone();
        url.set_path(path);
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        url
    }

    /// Returns the URL of the next page. A link to another host is refused, because the request carries our token.
    fn next_page(&self, call: &str, link: &str) -> Result<Url, CallError> {
        match Url::parse(link) {
            Ok(url) if url.origin() == self.endpoint.origin() => Ok(url),
            _ => Err(unreadable(call, "its next page is on another host")),
        }
    }

    async fn list(
        &self,
        call: &str,
        scope: &(dyn Display + Sync),
        path: String,
    ) -> Result<Vec<answer::Item>, CallError> {
        let mut items = Vec::new();
        let mut next = Some(path);
        for _ in 0..MAX_PAGES {
            let Some(link) = next else { return Ok(items) };
            let answer = self.call(call, Method::Get, &link, None, None).await?;
            let page = answer.read(call, scope, answer::page)?;
            items.extend(page.value);
            next = page.next_link.filter(|link| !link.is_empty());
        }
        Err(unreadable(call, &format!("it has more than {MAX_PAGES} pages")))
    }
}

/// A call that writes to a certificate and needs a right of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// `generateVerificationCode`.
    GenerateVerificationCode,
    /// `verify`: submits the verification certificate.
    Verify,
}

impl Arm {
    /// Checks whether a write is allowed in a registry. It is tried on a certificate that does not exist, in a state that no
    /// certificate has: Azure Resource Manager asks for the right first, and after that there is nothing to write to.
    pub async fn may(&self, registry: &RegistryId, write: Write) -> Result<(), CallError> {
        let id = CertificateId::parse(&format!("{registry}/certificates/{PROBE_CERTIFICATE_NAME}"));
        let id = id.expect("a registry's id with a name makes a certificate's id");
        let etag = Etag::parse(PROBE_CERTIFICATE_NAME).expect("the constant is one");
        let (action, call, body) = match write {
            Write::GenerateVerificationCode => ("generateVerificationCode", "asking for codes", None),
            Write::Verify => {
                ("verify", "submitting verification certificates", Some(json!({ "certificate": "" })))
            }
        };
        let call = format!("{call} in {registry}");
        let path = format!("{}/{action}", id.path());
        let answer = self.call(&call, Method::Post, &path, Some(&etag), body).await?;
        match answer.status {
            StatusCode::NotFound | StatusCode::PreconditionFailed | StatusCode::BadRequest => Ok(()),
            _ => answer.read(&call, registry, |_| Err(UnreadableAnswer::Impossible)),
        }
    }
}

impl Registry for Arm {
    async fn registries(&self, scope: &Scope) -> Result<Listed<RegistryId>, CallError> {
        let all = "providers/Microsoft.Devices/provisioningServices";
        let path = match scope {
            Scope::Registry(registry) => return Ok(vec![Ok(registry.clone())]),
            Scope::Subscription(_) | Scope::ResourceGroup(..) => format!("{}/{all}", scope.path()),
        };
        let call = format!("listing the DPS instances in {scope}");
        let items = self.list(&call, scope, path).await?;
        let parsed = items.iter().map(|item| RegistryId::parse(&item.id));
        Ok(parsed.map(|id| id.map_err(|error| unreadable(&call, &error.to_string()))).collect())
    }

    async fn certificates(&self, registry: &RegistryId) -> Result<Listed<ListedCertificate>, CallError> {
        let call = format!("listing the certificates of {registry}");
        let items = self.list(&call, registry, format!("{}/certificates", registry.path())).await?;
        Ok(items
            .iter()
            .map(|item| item.listed().map_err(|error| unreadable(&call, &error.to_string())))
            .collect())
    }

    async fn get(&self, id: &CertificateId) -> Result<Option<Registered>, CallError> {
        let call = format!("reading {id}");
        let answer = self.call(&call, Method::Get, &id.path(), None, None).await?;
        if answer.status == StatusCode::NotFound {
            return Ok(None);
        }
        answer.read(&call, id.registry(), answer::registered).map(Some)
    }

    async fn generate_verification_code(
        &self,
        id: &CertificateId,
        etag: &Etag,
    ) -> Result<Challenge, CallError> {
        let call = format!("asking for a verification code for {id}");
        let path = format!("{}/generateVerificationCode", id.path());
        let answer = self.call(&call, Method::Post, &path, Some(etag), None).await?;
        answer.vanished(&call)?.read(&call, id.registry(), answer::challenge)
    }

    async fn verify(&self, id: &CertificateId, etag: &Etag, proof: &Proof) -> Result<Registered, CallError> {
        let call = format!("submitting the verification certificate for {id}");
        let path = format!("{}/verify", id.path());
        let body = json!({ "certificate": proof.to_base64() });
        let answer = self.call(&call, Method::Post, &path, Some(etag), Some(body)).await?;
        answer.vanished(&call)?.read(&call, id.registry(), answer::registered)
    }
}

impl ArmAnswer {
    /// Turns 404 on a write into `Changed`: the certificate was deleted in the meantime.
    fn vanished(self, call: &str) -> Result<ArmAnswer, CallError> {
        match self.status {
            StatusCode::NotFound => Err(CallError::Changed { call: call.to_owned() }),
            _ => Ok(self),
        }
    }

    /// Reads the answer. `scope` is where a missing role has to be assigned.
    fn read<T>(
        &self,
        call: &str,
        scope: &(dyn Display + Sync),
        read: impl FnOnce(&[u8]) -> Result<T, UnreadableAnswer>,
    ) -> Result<T, CallError> {
        if self.status == StatusCode::Ok {
            return read(&self.body).map_err(|error| unreadable(call, &error.to_string()));
        }
        let answer = answer::error_answer(&self.body);
        let status = u16::from(self.status);
        Err(match Advice::for_status(status) {
            Advice::LookAgain => CallError::Changed { call: call.to_owned() },
            Advice::TryLater => CallError::Unavailable {
                call: call.to_owned(),
                status: Some(status),
                reason: format!("{status} {}: {}", answer.code, answer.message),
                retry_after: error::retry_after(self.retry_after.as_deref()),
            },
            Advice::GiveUp => CallError::Refused {
                call: call.to_owned(),
                status,
                refusal: answer.refusal(),
                code: answer.code,
                message: answer.message,
                remedy: (status == 403).then(|| {
                    format!(
                        "give the app's identity a role with this action: az role assignment create --assignee \
                         <identity> --role <role> --scope {scope}"
                    )
                }),
            },
        })
    }
}

/// Returns the error for a success that cannot be read. What happened is unknown, so the verifier looks again.
fn unreadable(call: &str, reason: &str) -> CallError {
    CallError::Unavailable {
        call: call.to_owned(),
        status: None,
        reason: format!("the answer could not be read: {reason}"),
        retry_after: None,
    }
}

#[cfg(test)]
mod tests;
