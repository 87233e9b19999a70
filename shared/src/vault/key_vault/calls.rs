//! The calls to one vault, through the Azure SDK.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::ClientOptions;
use azure_security_keyvault_certificates::models::CertificateClientGetCertificateOptions;
use azure_security_keyvault_certificates::{CertificateClient, CertificateClientOptions};
use azure_security_keyvault_keys::models::{self, KeyClientSignOptions, SignParameters};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions};
use azure_security_keyvault_secrets::models::{SecretClientGetSecretOptions, SecretProperties};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use futures::TryStreamExt;
use tokio::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use super::answer::{Certificate, call_error, grant_and_tags, unreadable};
use super::pages;
use super::secret_versions::SecretVersions;
use crate::ca::{CaCertificate, SignatureAlgorithm};
use crate::error::CallError;
use crate::proof::RawSignature;
use crate::thumbprint::Thumbprint;
use crate::trust::Grant;
use crate::vault::directory::Names;
use crate::vault::{Found, KeyUse, Kind, ObjectId, Version};

/// The clients of one vault. They are made once, because each remembers its challenge.
pub(super) struct Calls {
    vault: Arc<Url>,
    certificates: CertificateClient,
    keys: KeyClient,
    secrets: SecretClient,
}

impl Calls {
    pub(super) fn new(
        url: &Url,
        credential: &Arc<dyn TokenCredential>,
        options: &ClientOptions,
    ) -> azure_core::Result<Calls> {
        Ok(Calls {
            vault: Arc::new(url.clone()),
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

    pub(super) fn vault(&self) -> &Url {
        &self.vault
    }

    pub(super) fn vault_url(&self) -> &Arc<Url> {
        &self.vault
    }

    pub(super) fn certificates(&self) -> &CertificateClient {
        &self.certificates
    }

    pub(super) fn secrets(&self) -> &SecretClient {
        &self.secrets
    }

    fn object(&self, kind: Kind, name: &str) -> ObjectId {
        ObjectId::newest(&self.vault, kind, name)
    }

    /// Returns the id of an object that does not exist, for the doctor's requests.
    pub(super) fn missing(&self, kind: Kind) -> ObjectId {
        let newest = self.object(kind, "keyholder-doctor-asks-whether-it-may");
        let id = format!("{newest}/00000000000000000000000000000000");
        ObjectId::parse(&id, &self.vault, kind).expect("an id with a version is one")
    }

    /// Returns the newest or a certain version of a certificate.
    pub(super) async fn certificate(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<Certificate>, CallError> {
        let object = self.object(Kind::Certificate, name);
        let call = format!("reading {object}");
        let options = CertificateClientGetCertificateOptions {
            certificate_version: version.map(str::to_owned),
            ..Default::default()
        };
        let read = Instant::now();
        let answer = self.certificates.get_certificate(name, Some(options)).await;
        let Some(bundle) = found(&call, &object, answer.and_then(|answer| answer.into_model()))? else {
            return Ok(None);
        };
        let certificate =
            Certificate::read(bundle, &self.vault).map_err(|error| unreadable(&call, &error.to_string()))?;
        Ok(Some(Certificate { read, ..certificate }))
    }

    /// Returns the whole list, by thumbprint.
    pub(super) async fn names_by_thumbprint(&self) -> Result<Names, CallError> {
        let all = self.object(Kind::Certificate, "");
        let call = format!("listing the certificates of {}", self.vault);
        let fail = |error| call_error(&call, &all, &error);
        let mut items = pages::items(self.certificates.list_certificate_properties(None).map_err(fail)?);
        let mut names = Names::new();
        while let Some(item) = items.try_next().await.map_err(fail)? {
            let Some(thumbprint) = item.x509_thumbprint.as_deref().and_then(Thumbprint::from_bytes) else {
                continue;
            };
            let id = item.id.as_deref().unwrap_or_default();
            let id = ObjectId::parse(id, &self.vault, Kind::Certificate)
                .map_err(|error| unreadable(&call, &error.to_string()))?;
            names.entry(thumbprint).or_insert_with(|| id.name().to_owned());
        }
        Ok(names)
    }

    /// Returns the name and the grant of each certificate.
    pub(super) async fn grants(&self) -> Result<Vec<(String, Grant)>, CallError> {
        let all = self.object(Kind::Certificate, "");
        let call = format!("listing the certificates of {}", self.vault);
        let fail = |error| call_error(&call, &all, &error);
        let mut items = pages::items(self.certificates.list_certificate_properties(None).map_err(fail)?);
        let mut grants = Vec::new();
        while let Some(item) = items.try_next().await.map_err(fail)? {
            let id = item.id.as_deref().unwrap_or_default();
            let id = ObjectId::parse(id, &self.vault, Kind::Certificate)
                .map_err(|error| unreadable(&call, &error.to_string()))?;
            grants.push((id.name().to_owned(), grant_and_tags(item.tags).0));
        }
        Ok(grants)
    }

    /// Returns the version of a certificate that has this thumbprint.
    pub(super) async fn version_by_thumbprint(
        &self,
        name: &str,
        wanted: Thumbprint,
    ) -> Result<Option<String>, CallError> {
        let object = self.object(Kind::Certificate, name);
        let call = format!("listing the versions of {object}");
        let fail = |error| call_error(&call, &object, &error);
        let versions = self.certificates.list_certificate_properties_versions(name, None).map_err(fail)?;
        let mut items = pages::items(versions);
        while let Some(item) = items.try_next().await.map_err(fail)? {
            if item.x509_thumbprint.as_deref().and_then(Thumbprint::from_bytes) == Some(wanted) {
                let id = item.id.as_deref().unwrap_or_default();
                let id = ObjectId::parse(id, &self.vault, Kind::Certificate)
                    .map_err(|error| unreadable(&call, &error.to_string()))?;
                return Ok(Some(id.version().to_owned()));
            }
        }
        Ok(None)
    }

    /// Returns the certificate of that name among the deleted ones, if it is the wanted one. It only helps to say
    /// what is wrong, so an app that may not see deleted objects goes without it.
    pub(super) async fn deleted_certificate(
        &self,
        name: &str,
        wanted: Thumbprint,
    ) -> Result<Option<ObjectId>, CallError> {
        let object = self.object(Kind::Certificate, name);
        let call = format!("looking for {object} among the deleted ones");
        let answer = self.certificates.get_deleted_certificate(name, None).await;
        let deleted = match found(&call, &object, answer.and_then(|answer| answer.into_model())) {
            Err(CallError::Refused { .. }) => None,
            result => result?,
        };
        Ok(deleted.and_then(|bundle| {
            let ca = CaCertificate::from_der(&bundle.cer?).ok()?;
            let id = ObjectId::parse(&bundle.id?, &self.vault, Kind::Certificate).ok()?;
            (ca.thumbprint() == wanted).then_some(id)
        }))
    }

    /// Returns the newest enabled version of a secret, by its properties; its value stays where it is. Of a secret that
    /// is disabled altogether the newest version, so that the vault can say so when it is read. With it comes the
    /// newest version of all, disabled or not, whose grant counts too.
    pub(super) async fn secret(&self, name: &str) -> Result<Option<Found>, CallError> {
        let object = self.object(Kind::Secret, name);
        let call = format!("listing the versions of {object}");
        let read = Instant::now();
        let choose = |versions: SecretVersions, version| async { Ok(versions.with(version)) };
        let versions = match self.secrets.list_secret_properties_versions(name, None) {
            Ok(pager) => pages::items(pager).try_fold(SecretVersions::default(), choose).await,
            Err(error) => Err(error),
        };
        let SecretVersions { preferred, newest } = found(&call, &object, versions)?.unwrap_or_default();
        let Some(preferred) = preferred else { return Ok(None) };
        let newest = newest.into_iter().filter(|version| version.id != preferred.id);
        let version = |properties: SecretProperties| {
            let id = properties.id.as_deref().unwrap_or_default();
            let object = ObjectId::parse(id, &self.vault, Kind::Secret)
                .map_err(|error| unreadable(&call, &error.to_string()))?;
            let (grant, tags) = grant_and_tags(properties.tags);
            Ok::<_, CallError>(Version { object, grant, tags })
        };
        let newest = newest.map(version).collect::<Result<_, _>>()?;
        let Version { object, grant, tags } = version(preferred)?;
        Ok(Some(Found { object, grant, tags, key: KeyUse::ReadSecret, newest, read }))
    }

    /// Returns the value of one version of a secret.
    pub(super) async fn secret_value(&self, secret: &ObjectId) -> Result<Zeroizing<String>, CallError> {
        let call = format!("reading {secret}");
        let options = SecretClientGetSecretOptions {
            secret_version: Some(secret.version().to_owned()),
            ..Default::default()
        };
        let answer = self.secrets.get_secret(secret.name(), Some(options)).await;
        let answer = answer.map_err(|error| call_error(&call, secret, &error))?;
        // The parser would quote what it did not expect, and here that may be a key.
        let bundle = answer.into_model().map_err(|_| unreadable(&call, "it is no secret"))?;
        bundle.value.map(Zeroizing::new).ok_or_else(|| unreadable(&call, "no value in it"))
    }

    /// Has one version of a key sign a digest.
    pub(super) async fn sign(
        &self,
        key: &ObjectId,
        algorithm: SignatureAlgorithm,
        digest: &[u8],
    ) -> Result<RawSignature, CallError> {
        let call = format!("signing with {key}");
        let fail = |error| call_error(&call, key, &error);
        let parameters =
            SignParameters { algorithm: Some(on_the_wire(algorithm)), value: Some(digest.to_vec()) };
        let options =
            KeyClientSignOptions { key_version: Some(key.version().to_owned()), ..Default::default() };
        let content = parameters.try_into().map_err(fail)?;
        let answer = self.keys.sign(key.name(), content, Some(options)).await;
        let result = answer.and_then(|answer| answer.into_model()).map_err(fail)?;
        result.result.map(RawSignature).ok_or_else(|| unreadable(&call, "no signature in it"))
    }
}

impl Calls {
    /// Checks whether a key may be used to sign here. It is asked for a signature that no vault can make: of no bytes, with an
    /// algorithm for keys of another kind. A vault that says so has let the caller through.
    pub(super) async fn may_sign(&self, key: &ObjectId, of: SignatureAlgorithm) -> Result<(), CallError> {
        let call = format!("asking whether {key} may be used to sign");
        let misfit = match of {
            SignatureAlgorithm::Rs256 => models::SignatureAlgorithm::Es256,
            SignatureAlgorithm::Es256 | SignatureAlgorithm::Es384 | SignatureAlgorithm::Es512 => {
                models::SignatureAlgorithm::Rs256
            }
        };
        let parameters = SignParameters { algorithm: Some(misfit), value: Some(Vec::new()) };
        let content = parameters.try_into().map_err(|error| call_error(&call, key, &error))?;
        let options =
            KeyClientSignOptions { key_version: Some(key.version().to_owned()), ..Default::default() };
        match self.keys.sign(key.name(), content, Some(options)).await {
            Ok(_) => Err(unreadable(&call, "a signature of nothing was made")),
            Err(error) => refused_for_another_reason(&call, key, &error),
        }
    }

    /// Checks whether secrets may be read here, their properties and their values, tried on one that does not exist.
    pub(super) async fn may_read_secrets(&self, missing: &ObjectId) -> Result<(), CallError> {
        let call = format!("asking whether the secrets of {} may be read", self.vault);
        let versions = match self.secrets.list_secret_properties_versions(missing.name(), None) {
            Ok(items) => pages::items(items).try_for_each(|_| async { Ok(()) }).await,
            Err(error) => Err(error),
        };
        if let Err(error) = versions {
            refused_for_another_reason(&call, missing, &error)?;
        }
        let options = SecretClientGetSecretOptions {
            secret_version: Some(missing.version().to_owned()),
            ..Default::default()
        };
        match self.secrets.get_secret(missing.name(), Some(options)).await {
            Ok(_) => Err(unreadable(&call, "a secret was found that is not there")),
            Err(error) => refused_for_another_reason(&call, missing, &error),
        }
    }
}

/// A request that cannot be met, turned down as wrong (400) or about nothing (404), was let through before that.
fn refused_for_another_reason(
    call: &str,
    object: &ObjectId,
    error: &azure_core::Error,
) -> Result<(), CallError> {
    match error.http_status().map(u16::from) {
        Some(400 | 404) => Ok(()),
        _ => Err(call_error(call, object, error)),
    }
}

/// Turns 404 into `None`.
fn found<T>(call: &str, object: &ObjectId, result: azure_core::Result<T>) -> Result<Option<T>, CallError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.http_status().is_some_and(|status| u16::from(status) == 404) => Ok(None),
        Err(error) => Err(call_error(call, object, &error)),
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
