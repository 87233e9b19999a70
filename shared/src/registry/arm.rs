//! DPS certificates through Azure Resource Manager.
//!
//! Five calls would make a generated client; none exists for Rust, and three are all we need. The etag comes
//! from the body of each answer (there is no `ETag` header) and goes back as `If-Match`. Nothing is retried
//! here: after a call whose effect is in doubt, the only safe thing is to look, and that is the verifier's.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use http::{Method, StatusCode, header};
use serde_json::json;
use url::Url;

use super::answer;
use super::{Challenge, Registered, Registry};
use crate::certificate_id::CertificateId;
use crate::error::{self, Advice, CallError};
use crate::etag::Etag;
use crate::identity;
use crate::proof::Proof;

/// The api-version asked for by default: the newest stable one before the 2026 rewrite of the specification.
pub const API_VERSION: &str = "2022-12-12";

/// Largest answer read; a certificate resource has a few kilobytes.
const MAX_ANSWER: usize = 1 << 20;

/// Azure Resource Manager at one address.
#[derive(Debug)]
pub struct Arm {
    client: reqwest::Client,
    credential: Arc<dyn TokenCredential>,
    endpoint: Url,
    audience: String,
}

struct Answer {
    status: StatusCode,
    retry_after: Option<String>,
    body: Vec<u8>,
}

impl Arm {
    /// `endpoint` is also the audience of the tokens, as it is in every Azure cloud.
    pub fn new(client: reqwest::Client, credential: Arc<dyn TokenCredential>, endpoint: Url) -> Arm {
        let audience = format!("{}/.default", endpoint.as_str().trim_end_matches('/'));
        Arm { client, credential, endpoint, audience }
    }

    async fn call(
        &self,
        call: &str,
        method: Method,
        path: &str,
        etag: Option<&Etag>,
        body: Option<serde_json::Value>,
    ) -> Result<Answer, CallError> {
        let token = self.credential.get_token(&[&self.audience], None).await;
        let token = token.map_err(|error| identity::call_error(&self.audience, &error))?;
        let mut url = self.endpoint.clone();
        url.set_path(path);
        url.query_pairs_mut().append_pair("api-version", API_VERSION);

        let mut request = self.client.request(method.clone(), url).bearer_auth(token.token.secret());
        if let Some(etag) = etag {
            request = request.header(header::IF_MATCH, etag.as_str());
        }
        request = match body {
            Some(body) => request.json(&body),
            // The service wants the length even of nothing.
            None if method == Method::POST => request.header(header::CONTENT_LENGTH, 0),
            None => request,
        };
        let unavailable = |error: reqwest::Error| CallError::Unavailable {
            call: call.to_owned(),
            status: None,
            reason: crate::http_client::describe(&error),
            retry_after: None,
        };
        let mut response = request.send().await.map_err(unavailable)?;
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let mut answer = Answer {
            status: response.status(),
            retry_after: retry_after.map(str::to_owned),
            body: Vec::new(),
        };
        while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
            if answer.body.len() + chunk.len() > MAX_ANSWER {
                return Err(unreadable(call, &format!("more than {MAX_ANSWER} bytes")));
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

impl Registry for Arm {
    async fn get(&self, id: &CertificateId) -> Result<Option<Registered>, CallError> {
        let call = format!("reading {id}");
        let answer = self.call(&call, Method::GET, &id.path(), None, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.read(&call, id, answer::registered).map(Some)
    }

    async fn generate_verification_code(
        &self,
        id: &CertificateId,
        etag: &Etag,
    ) -> Result<Challenge, CallError> {
        let call = format!("asking for a verification code for {id}");
        let path = format!("{}/generateVerificationCode", id.path());
        let answer = self.call(&call, Method::POST, &path, Some(etag), None).await?;
        answer.vanished(&call)?.read(&call, id, answer::challenge)
    }

    async fn verify(&self, id: &CertificateId, etag: &Etag, proof: &Proof) -> Result<Registered, CallError> {
        let call = format!("handing in the proof for {id}");
        let path = format!("{}/verify", id.path());
        let body = json!({ "certificate": proof.to_base64() });
        let answer = self.call(&call, Method::POST, &path, Some(etag), Some(body)).await?;
        answer.vanished(&call)?.read(&call, id, answer::registered)
    }
}

impl Answer {
    /// A certificate that is gone when we write to it has been deleted in between.
    fn vanished(self, call: &str) -> Result<Answer, CallError> {
        match self.status {
            StatusCode::NOT_FOUND => Err(CallError::Changed { call: call.to_owned() }),
            _ => Ok(self),
        }
    }

    fn read<T>(
        &self,
        call: &str,
        id: &CertificateId,
        read: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<T, CallError> {
        if self.status == StatusCode::OK {
            return read(&self.body).map_err(|reason| unreadable(call, &reason));
        }
        let answer = answer::error_answer(&self.body);
        let status = self.status.as_u16();
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
                code: answer.code,
                message: answer.message,
                remedy: (status == 403).then(|| {
                    format!(
                        "give the app's identity a role with this action: az role assignment create --assignee \
                         <identity> --role <role> --scope {}",
                        id.registry()
                    )
                }),
            },
        })
    }
}

/// A success we cannot read says nothing about what happened; looking again will.
fn unreadable(call: &str, reason: &str) -> CallError {
    CallError::Unavailable {
        call: call.to_owned(),
        status: None,
        reason: format!("the answer could not be read: {reason}"),
        retry_after: None,
    }
}
