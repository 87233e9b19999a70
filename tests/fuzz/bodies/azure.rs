//! What the registry and the vault answer: successes become types that are trusted, refusals become a line.

use std::sync::Arc;

use azure_core::error::check_success;
use azure_core::http::RawResponse;
use azure_core::http::headers::Headers;
use azure_security_keyvault_certificates::models;
use futures::FutureExt;
use http::HeaderValue;
use keyholder::RegistryId;
use keyholder::error::CallError;
use keyholder::registry::{Registered, answer as arm};
use keyholder::thumbprint::Thumbprint;
use keyholder::trust::GRANT_TAG;
use keyholder::vault::key_vault::answer::{self as vault, Certificate};
use keyholder::vault::{Kind, ObjectId};
use keyholder::verification_code::VerificationCode;
use url::Url;

use super::{QUOTE, SENTENCE, assert_fits_a_log, text};

/// Every kind of answer that is no success: refused, gone, contested, throttled, broken.
const FAILURES: [u16; 6] = [400, 403, 404, 409, 429, 503];

const REGISTRY: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/iot-x509-demo-rg/providers/Microsoft.Devices/provisioningServices/my-dps-x509";

/// A certificate, a challenge or an error of the registry.
pub fn arm_answer(data: &[u8]) {
    match arm::registered(data) {
        Ok(registered) => assert_can_be_acted_on(&registered),
        Err(reason) => assert_fits_a_log(&reason, SENTENCE),
    }
    match arm::challenge(data) {
        Ok(challenge) => {
            assert_can_be_acted_on(&challenge.registered);
            assert_is_no_subject_but_a_code(&challenge.code);
        }
        Err(reason) => assert_fits_a_log(&reason, SENTENCE),
    }
    let error = arm::error_answer(data);
    assert_fits_a_log(&format!("{}.", error.code), QUOTE + 1);
    assert_fits_a_log(&format!("{}.", error.message), QUOTE + 1);
}

/// A certificate bundle, an id or an error of the vault.
pub fn key_vault_answer(data: &[u8]) {
    let url = Arc::new(Url::parse("https://my-vault.vault.azure.net").expect("a URL"));
    if let Ok(bundle) = serde_json::from_slice::<models::Certificate>(data) {
        match Certificate::read(bundle, &url) {
            Ok(certificate) => assert_is_one_version(&certificate, &url),
            Err(reason) => assert_fits_a_log(&reason, SENTENCE),
        }
    }
    for kind in [Kind::Certificate, Kind::Key, Kind::Secret] {
        match ObjectId::parse(&text(data), &url, kind) {
            Ok(id) => assert_is_in(&id, &url, kind),
            Err(reason) => assert_fits_a_log(&reason, SENTENCE),
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
