//! The router without a socket, over peers that break.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use keyholder::RegistryId;
use keyholder::ca::SignatureAlgorithm;
use keyholder::error::CallError;
use keyholder::etag::Etag;
use keyholder::proof::{Proof, RawSignature};
use keyholder::pulled_key::PulledKey;
use keyholder::registry::{Challenge, Listed, Registered};
use keyholder::trust::{Registries, Scope};
use keyholder::vault::{ObjectId, ReadError, Search, Wanted};
use keyholder::verifier::Limits;
use tower::ServiceExt;

use super::*;

const GROUP: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg";

/// Panics when it is asked about the certificate `broken`, and has no other.
struct Breaking;

impl Registry for Breaking {
    async fn registries(&self, _: &Scope) -> Result<Listed<RegistryId>, CallError> {
        panic!("the registry breaks")
    }

    async fn certificates(&self, _: &RegistryId) -> Result<Listed<(CertificateId, bool)>, CallError> {
        panic!("the registry breaks")
    }

    async fn get(&self, id: &CertificateId) -> Result<Option<Registered>, CallError> {
        assert!(id.name() != "broken", "the registry breaks");
        Ok(None)
    }

    async fn generate_verification_code(&self, _: &CertificateId, _: &Etag) -> Result<Challenge, CallError> {
        unreachable!("there is no certificate")
    }

    async fn verify(&self, _: &CertificateId, _: &Etag, _: &Proof) -> Result<Registered, CallError> {
        unreachable!("there is no certificate")
    }
}

impl Vault for Breaking {
    async fn find(&self, _: Wanted<'_>) -> Result<Search, CallError> {
        unreachable!("there is no certificate")
    }

    async fn sign(&self, _: &ObjectId, _: SignatureAlgorithm, _: &[u8]) -> Result<RawSignature, CallError> {
        unreachable!("there is no certificate")
    }

    async fn read_key(&self, _: &ObjectId) -> Result<PulledKey, ReadError> {
        unreachable!("there is no certificate")
    }
}

fn handler() -> Router {
    let served = Registries::parse(GROUP).expect("well-formed");
    router(Arc::new(Verifier::new(Breaking, Breaking, served, Limits::default())))
}

async fn ask(handler: &Router, method: &str, path: &str, body: String) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path).body(Body::from(body)).expect("a request");
    let response = handler.clone().oneshot(request).await.expect("a router always answers");
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), MAX_BODY).await.expect("a body");
    (status, serde_json::from_slice(&body).expect("the answer is always JSON"))
}

fn upload(name: &str) -> String {
    let id = format!("{GROUP}/providers/Microsoft.Devices/provisioningServices/dps1/certificates/{name}");
    let event = json!({
        "eventType": event::EVENT_TYPE, "subject": id, "data": { "operationName": event::OPERATION_NAME }
    });
    json!({ "Data": { "event": event }, "Metadata": {} }).to_string()
}

#[tokio::test]
async fn a_panic_fails_its_own_invocation_and_leaves_the_process_serving() {
    let handler = handler();
    let (status, answer) = ask(&handler, "POST", "/VerifyOnUpload", upload("broken")).await;
    assert_eq!(status, 503, "{answer}");
    assert_eq!(ask(&handler, "POST", "/SweepUnverified", r#"{"Data":{"timer":{}}}"#.into()).await.0, 500);
    let (status, answer) = ask(&handler, "POST", "/VerifyOnUpload", upload("other")).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(ask(&handler, "GET", "/", String::new()).await.0, 200);
}

#[tokio::test]
async fn what_is_no_invocation_is_refused_with_the_reason() {
    let rows = [
        ("over 1 MiB", "POST", "/VerifyOnUpload", " ".repeat(MAX_BODY + 1), 413, "more than"),
        ("another method", "GET", "/VerifyOnUpload", String::new(), 405, "POST"),
        ("another function", "POST", "/verifyonupload", upload("x"), 404, "POST /VerifyOnUpload"),
        ("no JSON", "POST", "/VerifyOnUpload", "hello".into(), 400, "not an invocation"),
        ("no timer either", "POST", "/SweepUnverified", "hello".into(), 400, "not an invocation"),
    ];
    for (name, method, path, body, status, words) in rows {
        let (found, answer) = ask(&handler(), method, path, body).await;
        let error = answer["error"].as_str().expect("it says why");
        assert!(found == status && error.contains(words), "{name}: {found} {error}");
    }
}
