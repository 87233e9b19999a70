//! Azure Key Vault through its Rust SDK. Several vaults, searched in order.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::ClientOptions;
use azure_security_keyvault_certificates::models::{Certificate, CertificateClientGetCertificateOptions};
use azure_security_keyvault_certificates::{CertificateClient, CertificateClientOptions};
use azure_security_keyvault_keys::models::{self, KeyClientSignOptions, SignParameters};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions};
use azure_security_keyvault_secrets::models::{SecretClientGetSecretOptions, SecretProperties};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use futures::TryStreamExt;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::object_id::is_name;
use super::{Found, KeyUse, Kind, ObjectId, ReadError, Search, Vault, Wanted};
use crate::ca::{CaCertificate, SignatureAlgorithm};
use crate::config::KeyAccess;
use crate::error::{self, Advice, CallError};
use crate::proof::RawSignature;
use crate::pulled_key::PulledKey;
use crate::thumbprint::Thumbprint;
use crate::trust::{GRANT_TAG, Grant};

/// The vaults of the settings.
pub struct KeyVaults {
    vaults: Vec<KeyVault>,
    access: KeyAccess,
}

struct KeyVault {
    url: Arc<Url>,
    certificates: CertificateClient,
    keys: KeyClient,
    secrets: SecretClient,
}

impl KeyVaults {
    /// Makes the clients of every vault, once: each of them remembers its challenge and its tokens.
    pub fn new(
        urls: &[Url],
        access: KeyAccess,
        credential: &Arc<dyn TokenCredential>,
        options: &ClientOptions,
    ) -> azure_core::Result<KeyVaults> {
        let vaults = urls.iter().map(|url| KeyVault::new(url, credential, options));
        Ok(KeyVaults { vaults: vaults.collect::<Result<_, _>>()?, access })
    }

    fn vault_of(&self, object: &ObjectId) -> &KeyVault {
        let vault = self.vaults.iter().find(|vault| *vault.url == *object.vault());
        vault.expect("object ids are only made by the vaults they are in")
    }
}

impl Vault for KeyVaults {
    async fn find(&self, wanted: Wanted<'_>) -> Result<Search, CallError> {
        let mut remarks = Vec::new();
        for vault in &self.vaults {
            match vault.find(wanted, self.access).await? {
                Search::Missing(remark) => remarks.push(remark),
                found @ Search::Found(_) => return Ok(found),
            }
        }
        Ok(Search::Missing(remarks.join("; ")))
    }

    async fn sign(
        &self,
        key: &ObjectId,
        algorithm: SignatureAlgorithm,
        digest: &[u8],
    ) -> Result<RawSignature, CallError> {
        let call = format!("signing with {key}");
        let parameters =
            SignParameters { algorithm: Some(on_the_wire(algorithm)), value: Some(digest.to_vec()) };
        let content = parameters.try_into().map_err(|error| call_error(&call, &error))?;
        let options = KeyClientSignOptions {
            key_version: Some(key.version().to_owned()),
            ..KeyClientSignOptions::default()
        };
        let answer = self.vault_of(key).keys.sign(key.name(), content, Some(options)).await;
        let result =
            answer.and_then(|answer| answer.into_model()).map_err(|error| call_error(&call, &error))?;
        result.result.map(RawSignature).ok_or_else(|| unreadable(&call, "no signature in it"))
    }

    async fn read_key(&self, secret: &ObjectId) -> Result<PulledKey, ReadError> {
        let call = format!("reading {secret}");
        let options = SecretClientGetSecretOptions {
            secret_version: Some(secret.version().to_owned()),
            ..SecretClientGetSecretOptions::default()
        };
        let answer = self.vault_of(secret).secrets.get_secret(secret.name(), Some(options)).await;
        let secret =
            answer.and_then(|answer| answer.into_model()).map_err(|error| call_error(&call, &error))?;
        let value = secret.value.ok_or_else(|| unreadable(&call, "no value in it"))?;
        Ok(PulledKey::from_pem(Zeroizing::new(value))?)
    }
}

impl KeyVault {
    fn new(
        url: &Url,
        credential: &Arc<dyn TokenCredential>,
        options: &ClientOptions,
    ) -> azure_core::Result<KeyVault> {
        Ok(KeyVault {
            url: Arc::new(url.clone()),
            certificates: CertificateClient::new(
                url.as_str(),
                credential.clone(),
                Some(CertificateClientOptions { client_options: options.clone(), ..Default::default() }),
            )?,
            keys: KeyClient::new(
                url.as_str(),
                credential.clone(),
                Some(KeyClientOptions { client_options: options.clone(), ..Default::default() }),
            )?,
            secrets: SecretClient::new(
                url.as_str(),
                credential.clone(),
                Some(SecretClientOptions { client_options: options.clone(), ..Default::default() }),
            )?,
        })
    }

    /// The certificate of that name (one call), else one with that thumbprint, else, where pulling keys is
    /// allowed, the secret of that name.
    async fn find(&self, wanted: Wanted<'_>, access: KeyAccess) -> Result<Search, CallError> {
        let mut remark = format!("{} has none", self.url);
        // Names go into paths as they are, and the registry's naming rule allows more than the vault's.
        if is_name(wanted.name) {
            match self.certificate(wanted.name).await {
                Ok(Some((object, key, certificate))) => match certificate.thumbprint() {
                    thumbprint if thumbprint == wanted.thumbprint => {
                        return Ok(Search::Found(object.found(key, certificate)));
                    }
                    other => remark = format!("{} has thumbprint {other}", object.id),
                },
                Ok(None) => {}
                Err(CallError::Refused { status: 403, .. }) if access == KeyAccess::ReadSecret => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(found) = self.by_thumbprint(wanted.thumbprint, access).await? {
            return Ok(Search::Found(found));
        }
        if access == KeyAccess::ReadSecret
            && is_name(wanted.name)
            && let Some(found) = self.secret(wanted.name).await?
        {
            return Ok(Search::Found(found));
        }
        Ok(Search::Missing(remark))
    }

    async fn certificate(&self, name: &str) -> Result<Option<(Tagged, ObjectId, CaCertificate)>, CallError> {
        let call = format!("reading {}certificates/{name}", self.url);
        let options: Option<CertificateClientGetCertificateOptions<'_>> = None;
        let answer = self.certificates.get_certificate(name, options).await;
        let certificate = match answer.and_then(|answer| answer.into_model()) {
            Ok(certificate) => certificate,
            Err(error) if error.http_status().is_some_and(|status| u16::from(status) == 404) => {
                return Ok(None);
            }
            Err(error) => return Err(call_error(&call, &error)),
        };
        self.read_certificate(certificate).map(Some).map_err(|reason| unreadable(&call, &reason))
    }

    fn read_certificate(
        &self,
        certificate: Certificate,
    ) -> Result<(Tagged, ObjectId, CaCertificate), String> {
        let id = certificate.id.ok_or("no id in it")?;
        let key = certificate.kid.ok_or("no key id in it")?;
        let der = certificate.cer.ok_or("no certificate in it")?;
        Ok((
            Tagged::new(ObjectId::parse(&id, &self.url, Kind::Certificate)?, certificate.tags),
            ObjectId::parse(&key, &self.url, Kind::Key)?,
            CaCertificate::from_der(&der).map_err(|error| error.to_string())?,
        ))
    }

    async fn by_thumbprint(&self, wanted: Thumbprint, access: KeyAccess) -> Result<Option<Found>, CallError> {
        let call = format!("listing the certificates of {}", self.url);
        let mut pages =
            self.certificates.list_certificate_properties(None).map_err(|error| call_error(&call, &error))?;
        loop {
            let item = match pages.try_next().await.map_err(|error| call_error(&call, &error)) {
                Ok(Some(item)) => item,
                Ok(None) => return Ok(None),
                Err(CallError::Refused { status: 403, .. }) if access == KeyAccess::ReadSecret => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            if !item.x509_thumbprint.is_some_and(|thumbprint| wanted == *thumbprint) {
                continue;
            }
            let id = ObjectId::parse(item.id.as_deref().unwrap_or_default(), &self.url, Kind::Certificate)
                .map_err(|reason| unreadable(&call, &reason))?;
            if let Some((object, key, certificate)) = self.certificate(id.name()).await?
                && certificate.thumbprint() == wanted
            {
                return Ok(Some(object.found(key, certificate)));
            }
        }
    }

    /// The newest enabled version of a secret, by its properties; its value stays where it is.
    async fn secret(&self, name: &str) -> Result<Option<Found>, CallError> {
        let call = format!("listing the versions of {}secrets/{name}", self.url);
        let versions = self
            .secrets
            .list_secret_properties_versions(name, None)
            .map_err(|error| call_error(&call, &error))?;
        let versions: Vec<SecretProperties> = match versions.try_collect().await {
            Ok(versions) => versions,
            Err(error) if error.http_status().is_some_and(|status| u16::from(status) == 404) => {
                return Ok(None);
            }
            Err(error) => return Err(call_error(&call, &error)),
        };
        let enabled = |version: &SecretProperties| {
            version.attributes.as_ref().is_none_or(|attributes| attributes.enabled != Some(false))
        };
        let created = |version: &SecretProperties| {
            version.attributes.as_ref().and_then(|attributes| attributes.created)
        };
        let Some(newest) = versions.into_iter().filter(enabled).max_by_key(created) else { return Ok(None) };
        let id = ObjectId::parse(newest.id.as_deref().unwrap_or_default(), &self.url, Kind::Secret)
            .map_err(|reason| unreadable(&call, &reason))?;
        let Tagged { id, tags, grant } = Tagged::new(id, newest.tags);
        Ok(Some(Found { object: id, grant, tags, key: KeyUse::ReadSecret }))
    }
}

/// An object with its tags, in a stable order.
struct Tagged {
    id: ObjectId,
    grant: Grant,
    tags: Vec<(String, String)>,
}

impl Tagged {
    fn new(id: ObjectId, tags: Option<std::collections::HashMap<String, String>>) -> Tagged {
        let mut tags: Vec<(String, String)> = tags.unwrap_or_default().into_iter().collect();
        tags.sort();
        let grant = tags.iter().find(|(name, _)| name == GRANT_TAG).map(|(_, value)| value.clone());
        Tagged { id, grant: Grant::new(grant), tags }
    }

    fn found(self, key: ObjectId, certificate: CaCertificate) -> Found {
        Found {
            object: self.id,
            grant: self.grant,
            tags: self.tags,
            key: KeyUse::SignInVault { key, certificate },
        }
    }
}

fn on_the_wire(algorithm: SignatureAlgorithm) -> models::SignatureAlgorithm {
    match algorithm {
        SignatureAlgorithm::Rs256 => models::SignatureAlgorithm::Rs256,
        SignatureAlgorithm::Es256 => models::SignatureAlgorithm::Es256,
        SignatureAlgorithm::Es384 => models::SignatureAlgorithm::Es384,
        SignatureAlgorithm::Es512 => models::SignatureAlgorithm::Es512,
    }
}

fn call_error(call: &str, error: &azure_core::Error) -> CallError {
    let ErrorKind::HttpResponse { status, error_code, raw_response } = error.kind() else {
        return CallError::Unavailable {
            call: call.to_owned(),
            reason: error::one_line(&error.to_string()),
            retry_after: None,
        };
    };
    let status = u16::from(*status);
    let body: Value = raw_response
        .as_ref()
        .and_then(|response| serde_json::from_slice(response.body().as_ref()).ok())
        .unwrap_or_default();
    let outer = error_code.clone().unwrap_or_else(|| "(no code)".to_owned());
    let code = match body.pointer("/error/innererror/code").and_then(Value::as_str) {
        Some(inner) => format!("{outer}/{}", error::one_line(inner)),
        None => outer,
    };
    let message = body.pointer("/error/message").and_then(Value::as_str).unwrap_or("(no message)");
    let message = error::one_line(message);
    match Advice::for_status(status) {
        Advice::GiveUp => CallError::Refused { call: call.to_owned(), status, code, message },
        Advice::LookAgain | Advice::TryLater => CallError::Unavailable {
            call: call.to_owned(),
            reason: format!("{status} {code}: {message}"),
            retry_after: error::retry_after(raw_response.as_ref().and_then(|response| {
                response.headers().get_optional_str(&azure_core::http::headers::RETRY_AFTER)
            })),
        },
    }
}

fn unreadable(call: &str, reason: &str) -> CallError {
    CallError::Unavailable {
        call: call.to_owned(),
        reason: format!("the answer could not be read: {reason}"),
        retry_after: None,
    }
}
