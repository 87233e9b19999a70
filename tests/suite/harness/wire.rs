//! The verifier alone, against the emulated services behind `wiremock`: a test mounts its own answers in
//! front of them and reads the requests that were made.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::join_all;
use keyholder::azure::{self, AzureVerifier};
use keyholder::event::Upload;
use keyholder::key_opener::KeyOpener;
use keyholder::{CertificateId, Outcome, Settings, http_client};
use keyholder_emulator::world::SUBSCRIPTION;
use keyholder_emulator::{Emulator, World, mock};
use keyholder_emulator_local::local_azure::certificate_id;
use serde_json::{Value, json};
use url::Position;
use wiremock::MockServer;

use super::GRANT;
use super::authority::Authority;

/// The vault, by the name its clients know it by; the port is nobody's.
const VAULT: &str = "my-vault.vault.localhost:8443";

/// A verifier and its peers.
pub(crate) struct Wire {
    pub(crate) server: MockServer,
    pub(crate) emulator: Emulator,
    verifier: AzureVerifier,
}

impl Wire {
    /// The verifier's settings are the defaults: keys sign in the vault.
    pub(crate) async fn start() -> Wire {
        let emulator = Emulator::new(World { strict: true, ..World::tutorial(7) });
        let server = MockServer::start().await;
        mock::mount(&emulator, &server).await;

        let verifier = app(&emulator, &server);
        Wire { server, emulator, verifier }
    }

    /// With a CA in the vault, granted, and its certificate uploaded.
    pub(crate) async fn start_with(name: &str, ca: &Authority) -> Wire {
        let wire = Wire::start().await;
        let import = json!({
            "value": ca.key_and_certificate(),
            "policy": { "key_props": { "exportable": false }, "secret_props": { "contentType": "application/x-pem-file" } },
            "tags": { GRANT[0].0: GRANT[0].1 },
        });
        wire.ask("POST", VAULT, &format!("/certificates/{name}/import?api-version=2025-07-01"), &import);
        let upload = json!({ "properties": { "certificate": STANDARD.encode(ca.certificate()) } });
        wire.ask_dps("PUT", name, "", &upload);
        wire
    }

    /// Has the verifier do its work, start to end.
    pub(crate) async fn verify(&self, name: &str) -> Arc<Outcome> {
        self.verifier.verify(&upload(name)).await
    }

    /// Has so many apps, each as if on a machine of its own, do their work at the same time.
    pub(crate) async fn verify_at_once(&self, name: &str, apps: usize) -> Vec<Arc<Outcome>> {
        let apps: Vec<AzureVerifier> = (0..apps).map(|_| app(&self.emulator, &self.server)).collect();
        let upload = upload(name);
        join_all(apps.iter().map(|app| app.verify(&upload))).await
    }

    /// What the registry says of a certificate.
    pub(crate) fn shows_verified(&self, name: &str) -> bool {
        let shown = self.ask_dps("GET", name, "", &Value::Null);
        shown["properties"]["isVerified"].as_bool().expect("every certificate says it")
    }

    /// Asks DPS about a certificate as somebody with rights.
    pub(crate) fn ask_dps(&self, method: &str, name: &str, action: &str, body: &Value) -> Value {
        let path = format!("{}{action}?api-version=2022-12-12", certificate_id(name));
        self.ask(method, &self.server.address().to_string(), &path, body)
    }

    /// What the vault says of a certificate.
    pub(crate) fn vault_shows(&self, name: &str) -> Value {
        self.ask("GET", VAULT, &format!("/certificates/{name}?api-version=2025-07-01"), &Value::Null)
    }

    /// The requests whose path ends like this.
    pub(crate) async fn received(&self, method: &str, suffix: &str) -> Vec<wiremock::Request> {
        let requests = self.server.received_requests().await.expect("recording is on");
        requests
            .into_iter()
            .filter(|request| request.method == method && request.url.path().ends_with(suffix))
            .collect()
    }

    /// The verification certificates handed in, base64.
    pub(crate) async fn proofs(&self) -> Vec<String> {
        let submitted = self.received("POST", "/verify").await;
        let proof = |request: &wiremock::Request| {
            let body: Value = request.body_json().expect("JSON is handed in");
            body["certificate"].as_str().expect("a certificate is handed in").to_owned()
        };
        submitted.iter().map(proof).collect()
    }

    /// The ids of the keys that were asked to sign.
    pub(crate) async fn signatures(&self) -> Vec<String> {
        let asked = self.received("POST", "/sign").await;
        asked.iter().map(|request| request.url.path().to_owned()).collect()
    }

    fn ask(&self, method: &str, host: &str, target: &str, body: &Value) -> Value {
        let audience = host.split_once('.').filter(|_| host == VAULT).map_or(host, |(_, domain)| domain);
        let token = self.emulator.look(|world, now| world.identity.mint(&format!("https://{audience}"), now));
        let request = http::Request::builder()
            .method(method)
            .uri(target)
            .header("host", host)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("if-match", "*")
            .body(Bytes::from(body.to_string()))
            .expect("a request");
        let response = self.emulator.handle(&request);
        assert!(response.status().is_success(), "{method} {target}: {:?}", response.body());
        serde_json::from_slice(response.body()).unwrap_or_default()
    }
}

fn app(emulator: &Emulator, server: &MockServer) -> AzureVerifier {
    let settings = Settings::read(|name| match name {
        "KEYHOLDER_REGISTRIES" => Some(format!("/subscriptions/{SUBSCRIPTION}")),
        "KEYHOLDER_VAULTS" => Some(format!("https://{VAULT}")),
        "KEYHOLDER_ARM_ENDPOINT" => Some(server.uri()),
        _ => None,
    });
    let client: Arc<dyn HttpClient> =
        Arc::new(ToMockServer { client: http_client::build().expect("a client"), server: *server.address() });
    let credential: Arc<dyn TokenCredential> = Arc::new(Minted(emulator.clone()));
    azure::verifier_with(&settings.expect("complete"), KeyOpener::in_this_process(), &credential, &client)
        .expect("wired")
}

fn upload(name: &str) -> Upload {
    Upload { id: CertificateId::parse(&certificate_id(name)).expect("well-formed"), at: None }
}

/// Sends everything to the mock server, in the clear, under the name it was meant for.
#[derive(Debug)]
struct ToMockServer {
    client: Arc<dyn HttpClient>,
    server: SocketAddr,
}

#[async_trait]
impl HttpClient for ToMockServer {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut request = request.clone();
        let host = request.url()[Position::BeforeHost..Position::AfterPort].to_owned();
        request.insert_header("host", host);
        let url = request.url_mut();
        url.set_scheme("http").expect("https becomes http");
        url.set_ip_host(self.server.ip()).expect("there is a host");
        url.set_port(Some(self.server.port())).expect("there is a host");
        self.client.execute_request(&request).await
    }
}

/// Tokens of the emulated tenant, without asking its endpoint: where that is stands in the environment, which
/// tests share.
#[derive(Debug)]
struct Minted(Emulator);

#[async_trait]
impl TokenCredential for Minted {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let audience = scopes[0].strip_suffix("/.default").unwrap_or(scopes[0]);
        Ok(self.0.look(|world, now| {
            AccessToken::new(world.identity.mint(audience, now), now + Duration::from_secs(3600))
        }))
    }
}
