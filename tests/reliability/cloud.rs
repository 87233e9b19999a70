//! The verifier and the emulated services in one process, without a socket and in virtual time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Method, RawResponse, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use keyholder::azure::{self, AzureVerifier};
use keyholder::event::Upload;
use keyholder::key_opener::KeyOpener;
use keyholder::{CertificateId, Outcome, Settings, http_client};
use keyholder_emulator::authority::Authority;
use keyholder_emulator::journal::Entry;
use keyholder_emulator::key_vault::{Import, NewSecret, Stamp};
use keyholder_emulator::operation::Operation;
use keyholder_emulator::reply::Reply;
use keyholder_emulator::world::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION, VAULT};
use keyholder_emulator::{Emulator, World};
use keyholder_emulator_local::local_azure::certificate_id;
use serde_json::{Value, json};
use time::OffsetDateTime;

/// The registry and the vault, by the names their clients know them by.
const ARM: &str = "https://localhost:8443";
const VAULT_URL: &str = "https://my-vault.vault.localhost:8443";

/// The CA most tests are about. Made once: what is tried is not cryptography.
pub(crate) static CA: LazyLock<Authority> = LazyLock::new(|| Authority::ec_root("Campaign CA").unwrap());
/// A CA that no vault holds.
pub(crate) static STRANGER: LazyLock<Authority> = LazyLock::new(|| Authority::ec_root("Stranger").unwrap());

/// The emulated services, and whoever uses them.
pub(crate) struct Cloud {
    pub(crate) emulator: Emulator,
    pub(crate) wire: Arc<Wire>,
    settings: Settings,
    /// When each certificate was last uploaded, as its event says.
    uploaded: Mutex<HashMap<String, OffsetDateTime>>,
}

/// Where the CA is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// A certificate of the same name, which signs in the vault.
    SameName,
    /// A certificate of another name.
    OtherName,
    /// A PEM secret.
    Secret,
}

impl Cloud {
    pub(crate) fn new(seed: u64) -> Cloud {
        // What the verifier's pauses are drawn from; each test runs on one thread.
        fastrand::seed(seed);
        let emulator = Emulator::new(World { strict: true, ..World::tutorial(seed) });
        emulator.freeze(OffsetDateTime::now_utc());
        let settings = Settings::read(|name| match name {
            "KEYHOLDER_REGISTRIES" => Some(format!("/subscriptions/{SUBSCRIPTION}")),
            "KEYHOLDER_VAULTS" => Some(VAULT_URL.to_owned()),
            "KEYHOLDER_ARM_ENDPOINT" => Some(ARM.to_owned()),
            "KEYHOLDER_KEY_ACCESS" => Some("read-secret".to_owned()),
            _ => None,
        });
        let wire = Arc::new(Wire::new(emulator.clone()));
        Cloud { emulator, wire, settings: settings.unwrap(), uploaded: Mutex::default() }
    }

    /// A verifier as a process of its own would have it.
    pub(crate) fn verifier(&self) -> AzureVerifier {
        let client = http_client::bounded(self.wire.clone());
        let credential: Arc<dyn TokenCredential> = Arc::new(Managed {
            client: client.clone(),
            clock: self.emulator.clone(),
            tokens: Mutex::default(),
        });
        let clock = self.emulator.clone();
        azure::verifier_with(&self.settings, KeyOpener::in_this_process(), &credential, &client)
            .unwrap()
            .with_clock(move || clock.now())
    }

    /// Puts the CA into the vault, granted.
    pub(crate) fn keep(&self, name: &str, kept: Kept) {
        let pem = CA.key_and_certificate_pem().unwrap();
        let tags = [("keyholder", PROVISIONING_SERVICE)];
        self.emulator.with(|world, now| {
            let stamp = Stamp::new(now, &mut world.random);
            match kept {
                Kept::SameName => {
                    let import = Import::new(&pem).exportable(false).tags(tags);
                    world.key_vaults.import_certificate(VAULT, name, import, stamp).unwrap();
                }
                Kept::OtherName => {
                    let import = Import::new(&pem).exportable(false).tags(tags);
                    world.key_vaults.import_certificate(VAULT, "elsewhere", import, stamp).unwrap();
                }
                Kept::Secret => {
                    world.key_vaults.set_secret(VAULT, name, NewSecret::new(&pem).tags(tags), stamp).unwrap();
                }
            }
        });
    }

    /// Somebody uploads a CA certificate, replacing whatever has the name.
    pub(crate) fn upload(&self, name: &str, ca: &Authority) {
        self.ask("PUT", name, "", &upload_of(ca)).expect("the upload is taken");
        self.uploaded.lock().unwrap().insert(name.to_owned(), self.emulator.now());
    }

    /// Somebody deletes it.
    pub(crate) fn delete(&self, name: &str) {
        self.ask("DELETE", name, "", &Value::Null);
    }

    /// Somebody else asks for a code; it voids ours.
    pub(crate) fn code(&self, name: &str) -> Option<String> {
        let answer = self.ask("POST", name, "/generateVerificationCode", &Value::Null)?;
        answer["properties"]["verificationCode"].as_str().map(str::to_owned)
    }

    /// Somebody else who has the key proves possession.
    pub(crate) fn prove(&self, name: &str) {
        let Some(code) = self.code(name) else { return };
        let proof = CA.prove(&code, self.emulator.now(), time::Duration::DAY).unwrap();
        self.ask("POST", name, "/verify", &json!({ "certificate": proof }));
    }

    /// Whether the registry shows it as verified; `None` when it is not there.
    pub(crate) fn is_verified(&self, name: &str) -> Option<bool> {
        self.emulator.look(|world, _| {
            let certificate = world.dps.certificate(SUBSCRIPTION, RESOURCE_GROUP, PROVISIONING_SERVICE, name);
            certificate.map(|certificate| certificate.is_verified())
        })
    }

    /// Proofs of ours that the registry took.
    pub(crate) fn proofs_taken(&self) -> usize {
        self.wire.proofs_taken.load(Ordering::Relaxed)
    }

    /// How often the journal says that a proof for it was taken.
    pub(crate) fn proofs_in_journal(&self, name: &str) -> usize {
        self.emulator.look(|world, _| {
            let taken = |entry: &&Entry| {
                entry.operation == Operation::Verify && entry.object == name && entry.status == 200
            };
            world.journal.entries().filter(taken).count()
        })
    }

    /// Proofs of ours that the registry refused: a certificate for a stale code, or a wrong one.
    pub(crate) fn proofs_refused(&self) -> usize {
        self.wire.proofs_refused.load(Ordering::Relaxed)
    }

    /// One delivery of the event of an upload.
    pub(crate) async fn deliver(&self, verifier: &AzureVerifier, name: &str) -> Arc<Outcome> {
        let at = self.uploaded.lock().unwrap().get(name).copied();
        verifier.verify(&Upload { id: id(name), at }).await
    }

    fn ask(&self, method: &str, name: &str, action: &str, body: &Value) -> Option<Value> {
        ask(&self.emulator, method, name, action, body)
    }
}

/// As `az` sends it.
pub(crate) fn upload_of(ca: &Authority) -> Value {
    json!({ "properties": { "certificate": STANDARD.encode(ca.certificate_pem().unwrap()) } })
}

/// Asks DPS as somebody with rights, past any fault; an answer that is no success is `None`.
pub(crate) fn ask(
    emulator: &Emulator,
    method: &str,
    name: &str,
    action: &str,
    body: &Value,
) -> Option<Value> {
    emulator.with(|world, now| {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{action}?api-version=2022-12-12", certificate_id(name)))
            .header("host", "localhost:8443")
            .header("authorization", format!("Bearer {}", world.identity.mint(ARM, now)))
            .header("content-type", "application/json")
            .header("if-match", "*")
            .body(Bytes::from(body.to_string()));
        let faults = std::mem::take(&mut world.faults);
        let response = world.handle(&request.unwrap(), now);
        world.faults = faults;
        response.status().is_success().then(|| serde_json::from_slice(response.body()).unwrap_or_default())
    })
}

pub(crate) fn id(name: &str) -> CertificateId {
    CertificateId::parse(&certificate_id(name)).unwrap()
}

/// What somebody does just before a call arrives.
type Intruder = Box<dyn FnMut(usize) + Send>;

/// The network between the verifier and the services.
pub(crate) struct Wire {
    emulator: Emulator,
    calls: AtomicUsize,
    /// Whether a reset connection was never made at all.
    pub(crate) refuses: AtomicBool,
    pub(crate) intruder: Mutex<Option<Intruder>>,
    proofs_taken: AtomicUsize,
    proofs_refused: AtomicUsize,
}

impl Wire {
    fn new(emulator: Emulator) -> Wire {
        Wire {
            emulator,
            calls: AtomicUsize::new(0),
            refuses: AtomicBool::new(false),
            intruder: Mutex::new(None),
            proofs_taken: AtomicUsize::new(0),
            proofs_refused: AtomicUsize::new(0),
        }
    }
}

impl Wire {
    /// How many calls were made on it.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

#[async_trait]
impl HttpClient for Wire {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        // Taken out while it acts, because its own calls are not to be intruded upon.
        let intruder = self.intruder.lock().unwrap().take();
        if let Some(mut intruder) = intruder {
            intruder(call);
            *self.intruder.lock().unwrap() = Some(intruder);
        }
        // Others get a chance to run between any two calls, as they do on a network, and the registry's dates, which
        // have whole seconds, tell one call from the next.
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.emulator.advance(Duration::from_secs(1));
        let request = asked(request);
        let before = verified(&self.emulator);
        let reply = self.emulator.reply(&request);
        if request.uri().path().ends_with("/verify") {
            self.proofs_taken.fetch_add(verified(&self.emulator) - before, Ordering::Relaxed);
            let refused = reply.response().is_some_and(|response| response.status() == 400);
            self.proofs_refused.fetch_add(usize::from(refused), Ordering::Relaxed);
        }
        self.carry_out(reply).await
    }
}

impl Wire {
    async fn carry_out(&self, reply: Reply) -> azure_core::Result<AsyncRawResponse> {
        let response = match reply {
            Reply::Answer(response) => response,
            Reply::AnswerAfter(time, response) => {
                tokio::time::sleep(time).await;
                response
            }
            Reply::Truncated { .. } => return Err(Error::with_message(ErrorKind::Io, "the body broke off")),
            Reply::Reset if self.refuses.load(Ordering::Relaxed) => {
                return Err(Error::with_message(ErrorKind::Connection, "connection refused"));
            }
            Reply::Reset => return Err(Error::with_message(ErrorKind::Io, "connection reset")),
            Reply::Silence => std::future::pending().await,
        };
        let mut headers = Headers::new();
        for (name, value) in response.headers() {
            headers.insert(name.as_str().to_owned(), value.to_str().unwrap().to_owned());
        }
        let status = response.status().as_u16().into();
        Ok(AsyncRawResponse::from_bytes(status, headers, response.into_body().to_vec()))
    }
}

/// How many certificates are verified.
fn verified(emulator: &Emulator) -> usize {
    emulator.look(|world, _| {
        let certificates = world.dps.instances().flat_map(|instance| instance.certificates().iter());
        certificates.filter(|ca| ca.is_verified()).count()
    })
}

fn asked(request: &Request) -> http::Request<Bytes> {
    let method = match request.method() {
        Method::Get => "GET",
        Method::Put => "PUT",
        Method::Post => "POST",
        Method::Delete => "DELETE",
        other => panic!("{other:?} is not used"),
    };
    let Body::Bytes(body) = request.body() else { panic!("streams are not used") };
    let url = request.url();
    let mut asked = http::Request::builder().method(method).uri(&url[url::Position::BeforePath..]);
    asked = asked.header("host", &url[url::Position::BeforeHost..url::Position::AfterPort]);
    for (name, value) in request.headers().iter() {
        asked = asked.header(name.as_str(), value.as_str());
    }
    asked.body(Bytes::copy_from_slice(body)).unwrap()
}

/// With the moment from which on another is fetched.
type Token = (String, OffsetDateTime);

/// The managed identity, asked for through the same wire: where the SDK's own credential looks for its endpoint
/// is the process's environment, which tests share.
#[derive(Debug)]
struct Managed {
    client: Arc<dyn HttpClient>,
    clock: Emulator,
    /// Tokens by resource, until five minutes before they expire, as the SDK's credential keeps them. Whoever asks
    /// for one that is being fetched waits for it.
    tokens: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Option<Token>>>>>,
}

#[async_trait]
impl TokenCredential for Managed {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let resource = scopes[0].strip_suffix("/.default").unwrap_or(scopes[0]);
        let expires = OffsetDateTime::now_utc() + Duration::from_secs(3600);
        let kept = self.tokens.lock().unwrap().entry(resource.to_owned()).or_default().clone();
        let mut kept = kept.lock().await;
        if let Some((token, until)) = &*kept
            && *until > self.clock.now()
        {
            return Ok(AccessToken::new(token.clone(), expires));
        }
        let url = format!("http://127.0.0.1:8081/msi/token?api-version=2019-08-01&resource={resource}");
        let mut request = Request::new(url.parse()?, Method::Get);
        request.insert_header("x-identity-header", "any");
        let (status, headers, body) = self.client.execute_request(&request).await?.deconstruct();
        let body = body.collect().await?;
        let failed = |what: String| Error::with_message(ErrorKind::Credential, what);
        if status != 200 {
            let raw_response = Some(Box::new(RawResponse::from_bytes(status, headers, body)));
            let answer = ErrorKind::HttpResponse { status, error_code: None, raw_response };
            let answer = Error::with_message(answer, "The request failed");
            return Err(Error::with_error(ErrorKind::Credential, answer, "authentication failed"));
        }
        let body: Value = serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))?;
        let token = body["access_token"].as_str().ok_or_else(|| failed("no token".to_owned()))?;
        let until = self.clock.now() + Duration::from_secs(55 * 60);
        *kept = Some((token.to_owned(), until));
        Ok(AccessToken::new(token.to_owned(), expires))
    }
}

/// Every upstream call that a run can make on its way to *verified*.
pub(crate) const CALLS: [Operation; 9] = [
    Operation::GetToken,
    Operation::GetCertificate,
    Operation::GenerateVerificationCode,
    Operation::Verify,
    Operation::GetVaultCertificate,
    Operation::ListVaultCertificates,
    Operation::Sign,
    Operation::ListSecrets,
    Operation::GetSecret,
];
