//! What the registry and the vault answer: successes become types that are trusted, refusals become a line.

use std::sync::{Arc, Mutex, PoisonError};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::check_success;
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, HttpClient, RawResponse, Request};
use azure_core::time::OffsetDateTime;
use azure_security_keyvault_certificates::models;
use futures::FutureExt;
use http::HeaderValue;
use keyholder::error::CallError;
use keyholder::registry::arm::Arm;
use keyholder::registry::{Listed, Registered, Registry, answer as arm};
use keyholder::thumbprint::Thumbprint;
use keyholder::trust::{GRANT_TAG, Scope};
use keyholder::vault::key_vault::answer::{self as vault, Certificate};
use keyholder::vault::{Kind, ObjectId};
use keyholder::verification_code::VerificationCode;
use keyholder::{CertificateId, RegistryId};
use url::Url;

use super::{QUOTE, SENTENCE, assert_fits_a_log, text};

/// Every kind of answer that is no success: refused, gone, contested, throttled, broken.
const FAILURES: [u16; 6] = [400, 403, 404, 409, 429, 503];

const REGISTRY: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/iot-x509-demo-rg/providers/Microsoft.Devices/provisioningServices/my-dps-x509";

/// A certificate, a challenge or an error of the registry.
pub fn arm_answer(data: &[u8]) {
    match arm::registered(data) {
        Ok(registered) => assert_can_be_acted_on(&registered),
        Err(error) => assert_fits_a_log(&error.to_string(), SENTENCE),
    }
    match arm::challenge(data) {
        Ok(challenge) => {
            assert_can_be_acted_on(&challenge.registered);
            assert_is_no_subject_but_a_code(&challenge.code);
        }
        Err(error) => assert_fits_a_log(&error.to_string(), SENTENCE),
    }
    let error = arm::error_answer(data);
    assert_fits_a_log(&format!("{}.", error.code), QUOTE + 1);
    assert_fits_a_log(&format!("{}.", error.message), QUOTE + 1);
}

/// A page of a list of certificates and of DPS instances, followed to where it leads.
pub fn arm_list(data: &[u8]) {
    let registry = RegistryId::parse(REGISTRY).expect("an id");
    let (arm, peer) = listing(data);
    let listed = arm.certificates(&registry).now_or_never().expect("nothing is waited for");
    each_readable(listed, |listed| {
        assert_eq!(CertificateId::parse(&listed.id.path()).as_ref(), Ok(&listed.id));
    });
    peer.assert_was_asked_here_alone();

    let group = REGISTRY.split("/providers/").next().expect("it begins with its group");
    let group = Scope::parse(group).expect("a scope");
    let (arm, peer) = listing(data);
    let listed = arm.registries(&group).now_or_never().expect("nothing is waited for");
    each_readable(listed, |id| assert_eq!(RegistryId::parse(&id.path()).as_ref(), Ok(&id)));
    peer.assert_was_asked_here_alone();
}

/// What cannot be read, a whole list or an item of it, is a line of a log.
fn each_readable<T>(listed: Result<Listed<T>, CallError>, assert: impl Fn(T)) {
    for item in listed.unwrap_or_else(|error| vec![Err(error)]) {
        match item {
            Ok(item) => assert(item),
            Err(error) => assert_fits_a_log(&error.to_string(), 2 * SENTENCE),
        }
    }
}

/// A certificate bundle, an id or an error of the vault.
pub fn key_vault_answer(data: &[u8]) {
    let url = Arc::new(Url::parse("https://my-vault.vault.azure.net").expect("a URL"));
    if let Ok(bundle) = serde_json::from_slice::<models::Certificate>(data) {
        match Certificate::read(bundle, &url) {
            Ok(certificate) => assert_is_one_version(&certificate, &url),
            Err(error) => assert_fits_a_log(&error.to_string(), SENTENCE),
        }
    }
    for kind in [Kind::Certificate, Kind::Key, Kind::Secret] {
        match ObjectId::parse(&text(data), &url, kind) {
            Ok(id) => assert_is_in(&id, &url, kind),
            Err(error) => assert_fits_a_log(&error.to_string(), SENTENCE),
        }
    }
    let object = ObjectId::newest(&url, Kind::Key, "factory-ca");
    for status in FAILURES {
        refused(data, status, &object);
    }
}

/// The etag can be sent, and can never mean "whatever it is now".
fn assert_can_be_acted_on(registered: &Registered) {
    let etag = registered.etag.as_str();
    assert!(etag != "*" && !etag.is_empty(), "{etag:?}");
    let header = HeaderValue::from_str(etag).expect("an etag goes into a header");
    assert_eq!(header.to_str().ok(), Some(etag), "and arrives as it is");
    assert_eq!(Thumbprint::parse(&registered.thumbprint.to_string()), Ok(registered.thumbprint));
    if let Some(ca) = registered.certificate() {
        assert!(registered.may_have_the_key_of(&ca), "it is the very certificate");
    }
}

fn assert_is_no_subject_but_a_code(code: &str) {
    match VerificationCode::parse(code) {
        Ok(code) => {
            assert!(code.as_str().bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()));
            assert!((8..=64).contains(&code.as_str().len()));
        }
        Err(refused) => assert_fits_a_log(&refused.to_string(), SENTENCE),
    }
}

/// Certificate, key and secret are of this vault and of a certain version, and the grant is the tag's.
fn assert_is_one_version(certificate: &Certificate, vault: &Url) {
    assert_is_in(&certificate.object, vault, Kind::Certificate);
    assert_is_in(&certificate.key, vault, Kind::Key);
    let ids = [Some(&certificate.object), Some(&certificate.key), certificate.secret.as_ref()];
    for id in ids.into_iter().flatten() {
        assert!(!id.version().is_empty(), "{id} would mean the latest");
    }
    let registry = RegistryId::parse(REGISTRY).expect("an id");
    let tagged = certificate.tags.iter().any(|(name, _)| name == GRANT_TAG);
    assert!(tagged || certificate.grant.allowing(&registry).is_none(), "granted without a tag");

    let command = certificate.object.grant_command(&certificate.tags, registry.name());
    assert!(!command.contains(char::is_control), "{command:?}");
}

/// Name and version are plain and the rest is ours, so that the path is as it looks.
fn assert_is_in(id: &ObjectId, vault: &Url, kind: Kind) {
    assert_eq!((id.vault(), id.kind()), (vault, kind));
    assert!(
        !id.name().is_empty() && id.name().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    );
    assert!(id.version().bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(ObjectId::parse(&id.to_string(), &Arc::new(vault.clone()), kind).as_ref(), Ok(id));
}

/// An error as the SDK makes it of an answer with this body.
fn refused(body: &[u8], status: u16, object: &ObjectId) {
    let answer = RawResponse::from_bytes(status.into(), Headers::new(), body.to_vec());
    let checked = check_success(answer, None).now_or_never().expect("the body is there already");
    let error = checked.expect_err("this status is no success");
    match vault::call_error("reading", object, &error) {
        CallError::Refused { status: refused, code, message, remedy, .. } => {
            assert_eq!(refused, status);
            assert_fits_a_log(&format!("{code}."), QUOTE + 1);
            assert_fits_a_log(&format!("{message}."), QUOTE + 1);
            if let Some(remedy) = remedy {
                assert_fits_a_log(&remedy, SENTENCE);
            }
        }
        CallError::Unavailable { status: unavailable, reason, .. } => {
            assert_eq!(unavailable, Some(status));
            assert_fits_a_log(&reason, 2 * QUOTE + 10);
        }
        other @ CallError::Changed { .. } => panic!("{status} is not a lost race: {other}"),
    }
}

const ENDPOINT: &str = "https://management.azure.com";

/// Answers with the bytes, and then with lists of nothing.
#[derive(Debug)]
struct Peer {
    first: Mutex<Option<Vec<u8>>>,
    asked: Mutex<Vec<Url>>,
}

fn listing(data: &[u8]) -> (Arm, Arc<Peer>) {
    let peer = Arc::new(Peer { first: Mutex::new(Some(data.to_vec())), asked: Mutex::default() });
    (Arm::new(peer.clone(), Arc::new(AnyToken), Url::parse(ENDPOINT).expect("a URL")), peer)
}

impl Peer {
    /// Each request brings our token.
    fn assert_was_asked_here_alone(&self) {
        for url in self.asked.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            assert_eq!(url.origin().ascii_serialization(), ENDPOINT, "{url}");
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Peer {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(request.url().clone());
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let body = first.unwrap_or_else(|| br#"{"value":[]}"#.to_vec());
        Ok(AsyncRawResponse::from_bytes(200.into(), Headers::new(), body))
    }
}

#[derive(Debug)]
struct AnyToken;

#[async_trait::async_trait]
impl TokenCredential for AnyToken {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new("any", OffsetDateTime::now_utc()))
    }
}
