//! A verifier over peers that break, and a router without a socket.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use keyholder::ca::SignatureAlgorithm;
use keyholder::error::CallError;
use keyholder::etag::Etag;
use keyholder::key_opener::OpenKey;
use keyholder::proof::{Proof, RawSignature};
use keyholder::registry::{Challenge, Listed, ListedCertificate, Registered, Registry};
use keyholder::trust::{AllowedRegistries, Scope};
use keyholder::vault::{ObjectId, ReadError, Search, Vault, Wanted};
use keyholder::verifier::Limits;
use keyholder::{CertificateId, RegistryId, Verifier, event};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::bodies::MAX_BODY;

pub(crate) const GROUP: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg";

/// Panics when it is asked about the certificate `broken`, and has no other.
pub(crate) struct Breaking;

impl Registry for Breaking {
    async fn registries(&self, _: &Scope) -> Result<Listed<RegistryId>, CallError> {
        panic!("the registry breaks")
    }

    async fn certificates(&self, _: &RegistryId) -> Result<Listed<ListedCertificate>, CallError> {
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
    type Prefetched = ();

    async fn prefetch(&self, _: &str) {}

    async fn find(&self, _: Wanted<'_>, (): ()) -> Result<Search, CallError> {
        unreachable!("there is no certificate")
    }

    async fn sign(&self, _: &ObjectId, _: SignatureAlgorithm, _: &[u8]) -> Result<RawSignature, CallError> {
        unreachable!("there is no certificate")
    }

    async fn read_key(&self, _: &ObjectId) -> Result<OpenKey, ReadError> {
        unreachable!("there is no certificate")
    }
}

/// Serves one resource group.
pub(crate) fn verifier() -> Verifier<Breaking, Breaking> {
    let allowed = AllowedRegistries::parse(GROUP).expect("well-formed");
    Verifier::new(Breaking, Breaking, allowed, Limits::default())
}

/// Status and body of an answer, which is always JSON.
pub(crate) async fn ask(router: &Router, request: Request<Body>) -> (u16, Value) {
    let response = router.clone().oneshot(request).await.expect("a router always answers");
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), MAX_BODY).await.expect("a body");
    (status, serde_json::from_slice(&body).expect("the answer is always JSON"))
}

/// The event of an upload to the resource group that is allowed.
pub(crate) fn upload(name: &str) -> Value {
    let id = format!("{GROUP}/providers/Microsoft.Devices/provisioningServices/dps1/certificates/{name}");
    json!({ "eventType": event::EVENT_TYPE, "subject": id, "data": { "operationName": event::OPERATION_NAME } })
}

/// Has nothing in it, takes its time to say so, and counts who asks.
#[derive(Default)]
pub(crate) struct Counting {
    lists: AtomicUsize,
    now: AtomicUsize,
    at_once: AtomicUsize,
}

impl Counting {
    /// How long a list takes.
    pub(crate) const TAKES: Duration = Duration::from_secs(10);

    /// Serves one resource group.
    pub(crate) fn verifier(limits: Limits) -> Verifier<Counting, Breaking> {
        Verifier::new(
            Counting::default(),
            Breaking,
            AllowedRegistries::parse(GROUP).expect("well-formed"),
            limits,
        )
    }

    /// How many lists were asked for.
    pub(crate) fn lists(&self) -> usize {
        self.lists.load(Ordering::SeqCst)
    }

    /// The most that were asked for at once.
    pub(crate) fn at_once(&self) -> usize {
        self.at_once.load(Ordering::SeqCst)
    }
}

impl Registry for Counting {
    async fn registries(&self, _: &Scope) -> Result<Listed<RegistryId>, CallError> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.at_once.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Self::TAKES).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        Ok(Vec::new())
    }

    async fn certificates(&self, _: &RegistryId) -> Result<Listed<ListedCertificate>, CallError> {
        unreachable!("there is no registry")
    }

    async fn get(&self, _: &CertificateId) -> Result<Option<Registered>, CallError> {
        unreachable!("there is no certificate")
    }

    async fn generate_verification_code(&self, _: &CertificateId, _: &Etag) -> Result<Challenge, CallError> {
        unreachable!("there is no certificate")
    }

    async fn verify(&self, _: &CertificateId, _: &Etag, _: &Proof) -> Result<Registered, CallError> {
        unreachable!("there is no certificate")
    }
}
