//! The webhook as a stream of bytes, from the first byte of a connection to its end: the server, the routes and the
//! reading of events, over a registry that has nothing.

use std::str::from_utf8;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use keyholder::ca::SignatureAlgorithm;
use keyholder::config::Webhook;
use keyholder::error::CallError;
use keyholder::etag::Etag;
use keyholder::key_opener::OpenKey;
use keyholder::proof::{Proof, RawSignature};
use keyholder::registry::{Challenge, Listed, ListedCertificate, Registered, Registry};
use keyholder::trust::Scope;
use keyholder::vault::{ObjectId, ReadError, Search, Vault, Wanted};
use keyholder::verifier::Limits;
use keyholder::{CertificateId, RegistryId, Verifier};
use keyholder_functions::{server, webhook};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// What a caller has to know. Seeds have it.
const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// More than any answer has.
const ANSWER: usize = 100 << 10;
/// More than every time-out of a connection together, on a clock that jumps.
const PATIENCE: Duration = Duration::from_secs(3600);

/// One runtime, because making one takes longer than a case.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
});

/// Whatever comes, the connection ends, with short answers or without; and nothing but a probe is answered with 200
/// for a caller without the secret.
pub fn webhook_front_door(data: &[u8]) {
    let answers = RUNTIME.block_on(ask(data));
    let answers = String::from_utf8_lossy(&answers);
    // Each begins with its status.
    let answers: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).collect();
    let known = contains(data, SECRET) || data.contains(&b'%') || data.contains(&b'+');
    for answer in answers {
        assert!(answer.len() <= ANSWER, "{} bytes of an answer", answer.len());
        // What is no number was quoted from a header.
        let Some(Ok(status)) = answer.get(..3).map(str::parse::<u16>) else { continue };
        let probe = answer.ends_with("{\"ready\":true}") || answer.contains("content-length: 14\r\n");
        assert!(known || status != 200 || probe, "200 without the secret: {answer}");
        assert!(!answer.contains(SECRET), "the secret is repeated: {answer}");
    }
}

async fn ask(data: &[u8]) -> Vec<u8> {
    let (mut caller, served) = duplex(64 << 10);
    let (settings, webhook) = Webhook::read(setting).expect("the settings are right");
    let verifier = Verifier::new(Nothing, Nothing, settings.registries, Limits::default());
    let router = webhook::router(Arc::new(verifier), webhook, None);
    let serving = tokio::spawn(server::serve_stream(served, router, server::Limits::default()));
    let mut answers = Vec::new();
    let (mut reader, mut writer) = tokio::io::split(&mut caller);
    let asking = async {
        // It may be closed before it has taken everything.
        let _ = writer.write_all(data).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        read = timeout(PATIENCE, reader.read_to_end(&mut answers)) => {
            // A reset is an end as well.
            let _ = read.expect("the connection ends");
        }
        () = asking => {}
    }
    serving.await.expect("serving does not panic");
    answers
}

fn setting(name: &str) -> Option<String> {
    match name {
        "KEYHOLDER_WEBHOOK_SECRET" => Some(SECRET.to_owned()),
        "KEYHOLDER_WEBHOOK_SUBSCRIPTIONS" => Some("verify-on-upload".to_owned()),
        "KEYHOLDER_REGISTRIES" => Some("/subscriptions/00000000-0000-0000-0000-000000000000".to_owned()),
        "KEYHOLDER_VAULTS" => Some("https://my-vault.vault.azure.net".to_owned()),
        _ => None,
    }
}

fn contains(data: &[u8], text: &str) -> bool {
    data.windows(text.len()).any(|window| from_utf8(window) == Ok(text))
}

/// A registry without certificates, and a vault that is not asked.
struct Nothing;

impl Registry for Nothing {
    async fn registries(&self, _: &Scope) -> Result<Listed<RegistryId>, CallError> {
        Ok(Vec::new())
    }

    async fn certificates(&self, _: &RegistryId) -> Result<Listed<ListedCertificate>, CallError> {
        Ok(Vec::new())
    }

    async fn get(&self, _: &CertificateId) -> Result<Option<Registered>, CallError> {
        Ok(None)
    }

    async fn generate_verification_code(&self, _: &CertificateId, _: &Etag) -> Result<Challenge, CallError> {
        unreachable!("there is no certificate")
    }

    async fn verify(&self, _: &CertificateId, _: &Etag, _: &Proof) -> Result<Registered, CallError> {
        unreachable!("there is no certificate")
    }
}

impl Vault for Nothing {
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
