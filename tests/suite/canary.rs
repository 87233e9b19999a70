//! Secrets that are looked for wherever they must not be: through the whole flow, through every failure there
//! is a row for, and with the logs as loud as they get, nothing the app or the emulator says holds any of them.

mod search;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use keyholder_emulator::key_vault::{ContentType, Import, KeyOperation};
use keyholder_emulator::world::VAULT;
use keyholder_emulator_local::functions_host::App as FunctionApp;
use keyholder_emulator_local::local_azure::Options;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;
use wiremock::matchers::{header_exists, path_regex};
use wiremock::{Mock, Request, ResponseTemplate};

use crate::harness::authority::{Authority, Family};
use crate::harness::key_forms::PfxCipher;
use crate::harness::vaults::import_of;
use crate::harness::{GRANT, HTTP, cloud, events, programs};
use crate::refusals::{App, PASSPHRASE, Row, Scene, rows};
use search::Search;

/// What Azure gives the app so that it can ask for tokens.
const IDENTITY_HEADER: &str = "5c1f2b77-canary-90e4d1a6";

#[tokio::test]
async fn no_secret_is_seen_while_keys_sign_in_the_vault() {
    let stage = Stage::start(App::SignsInVault).await;
    for (name, family) in [("rsa-ca", Family::Rsa2048), ("curve-ca", Family::P384)] {
        let ca = stage.scene.knows(name, Authority::root(name, family));
        stage.scene.cloud.import_into(VAULT, name, import_of(&ca));
        stage.verifies(name, &ca).await;
    }
    stage.meets_every_row(App::SignsInVault).await;
    stage.has_kept_every_secret().await;
}

#[tokio::test]
async fn no_secret_is_seen_while_keys_are_pulled() {
    let stage = Stage::start(App::ReadsSecrets).await;
    let (scene, cloud) = (&stage.scene, &stage.scene.cloud);
    let rsa = scene.knows("rsa-ca", Authority::root("RSA Root", Family::Rsa2048));
    let curve = scene.knows("curve-ca", Authority::root("Curve Root", Family::P384));
    let secrets = [
        ("pem-ca", &rsa, rsa.key_and_certificate()),
        ("old-pem-ca", &curve, format!("{}{}", curve.traditional_key(), curve.chain())),
        ("pfx-ca", &rsa, STANDARD.encode(rsa.pfx_with("", PfxCipher::Aes256))),
        ("old-pfx-ca", &curve, STANDARD.encode(curve.pfx_with("", PfxCipher::TripleDes))),
    ];
    for (name, ca, secret) in &secrets {
        scene.store_secret(name, secret);
        stage.verifies(name, ca).await;
    }
    for (name, form) in
        [("verify-only-pem-ca", ContentType::Pem), ("verify-only-pfx-ca", ContentType::Pkcs12)]
    {
        let ca = scene.ca(name);
        let import = Import::new(ca.key_and_certificate()).content_type(form).tags(GRANT.iter().copied());
        cloud.import_into(VAULT, name, import);
        cloud.change_vaults(|vaults, now| {
            vaults.set_key_operations(VAULT, name, &[KeyOperation::Verify], now)
        });
        stage.verifies(name, &ca).await;
    }
    stage.meets_every_row(App::ReadsSecrets).await;
    stage.has_kept_every_secret().await;
}

#[tokio::test]
async fn no_secret_is_seen_while_a_vault_is_away() {
    let stage = Stage::start(App::WithoutVault).await;
    stage.meets_every_row(App::WithoutVault).await;
    stage.has_kept_every_secret().await;
}

#[tokio::test]
async fn no_secret_is_seen_in_an_answer_that_cannot_be_read() {
    let stage = Stage::start(App::ReadsSecrets).await;
    let (scene, cloud) = (&stage.scene, &stage.scene.cloud);
    let ca = scene.knows("rsa-ca", Authority::root("RSA Root", Family::Rsa2048));
    let value = ca.key_and_certificate();
    let whole = json!({ "value": value, "id": "https://my-vault.vault.localhost/secrets/x/0" }).to_string();
    let answers = [
        ("cut-short-ca", whole[..whole.len() / 2].to_owned()),
        ("not-json-ca", value.clone()),
        ("in-a-list-ca", json!({ "value": [value] }).to_string()),
        ("wrong-neighbour-ca", json!({ "value": value, "attributes": 7 }).to_string()),
        ("wrong-tags-ca", json!({ "value": value, "tags": [] }).to_string()),
    ];
    for (name, answer) in answers {
        scene.store_secret(name, &value);
        Mock::given(path_regex(format!("^/secrets/{name}/[0-9a-f]{{32}}")))
            .and(header_exists("authorization"))
            .respond_with(ResponseTemplate::new(200).set_body_raw(answer, "application/json"))
            .mount(&scene.tap.server)
            .await;
        cloud.upload(name, &ca).await;
        let (status, said) = stage.asks_directly(name).await;
        assert_eq!(status, 503, "{name}: {said}");
    }
    stage.has_kept_every_secret().await;
}

#[tokio::test]
async fn no_token_is_seen_in_an_answer_that_cannot_be_read() {
    // A number where the SDK wants a string, and an answer cut short.
    for mangle in [
        (|answer: &str| answer.replace("\"expires_on\":\"", "\"expires_on\":7,\"was\":\""))
            as fn(&str) -> String,
        |answer| answer[..answer.len() * 3 / 4].to_owned(),
    ] {
        let stage = Stage::start(App::SignsInVault).await;
        let scene = &stage.scene;
        let token =
            scene.cloud.emulator().look(|world, now| world.identity.mint(&scene.tap.server.uri(), now));
        scene.hide_token("the token", &token);
        let answer = json!({
            "access_token": token, "expires_on": "1999999999", "resource": "any", "token_type": "Bearer",
        });
        let answer = ResponseTemplate::new(200).set_body_raw(mangle(&answer.to_string()), "application/json");
        Mock::given(path_regex("/msi/token$")).respond_with(answer).mount(&scene.tap.server).await;

        scene.cloud.upload("plant-ca", &scene.ca("plant-ca")).await;
        let (status, said) = stage.asks_directly("plant-ca").await;
        assert_eq!(status, 503, "{said}");
        stage.has_kept_every_secret().await;
    }
}

/// A scene whose handler logs all there is to log, into files.
struct Stage {
    scene: Scene,
    files: TempDir,
    answers: Mutex<Vec<String>>,
}

impl Stage {
    async fn start(app: App) -> Stage {
        let files = tempfile::tempdir().expect("a folder for the output");
        let redirected = r#"exec "$0" >"$1/stdout" 2>"$1/stderr""#;
        let command = ["sh", "-c", redirected, programs::HANDLER, &files.path().display().to_string()];
        let mut options = Options {
            app: FunctionApp::built_in(command.map(Into::into).to_vec()).expect("the repository's own app"),
            ..cloud::options()
        };
        let settings = [("KEYHOLDER_LOG", "trace"), ("IDENTITY_HEADER", IDENTITY_HEADER)];
        options.app_settings.extend(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let scene = Scene::start(app, options).await;
        scene.hide("the identity header", IDENTITY_HEADER.as_bytes());
        scene.hide("the passphrase", PASSPHRASE.as_bytes());
        Stage { scene, files, answers: Mutex::default() }
    }

    async fn verifies(&self, name: &str, ca: &Authority) {
        self.scene.cloud.upload(name, ca).await;
        let proof = self.scene.cloud.until_verified(name).await;
        ca.assert_proven(&proof, &self.scene.cloud.code(name));
        self.scene.publish(&proof);
    }

    /// Each failure, by way of Event Grid and in an answer to a caller.
    async fn meets_every_row(&self, app: App) {
        let rows: Vec<Row> = rows().into_iter().filter(|row| row.app == app).collect();
        for row in &rows {
            let ca = self.scene.set_up(row).await;
            self.scene.cloud.upload(row.name, &ca).await;
        }
        join_all(rows.iter().map(|row| async {
            self.scene.cloud.until_answered(row.name).await;
            let (status, said) = self.asks_directly(row.name).await;
            assert_eq!(status, if row.delivered_again { 503 } else { 200 }, "{}: {said}", row.name);
            let ended = format!(": {}", row.reason.name());
            assert!(said.ends_with(&ended), "{}: the answer is to say {ended:?} alone: {said}", row.name);
        }))
        .await;
    }

    /// Calls the function as the host does: the status, and what became of the event.
    async fn asks_directly(&self, name: &str) -> (u16, String) {
        let invocation = json!({ "Data": { "event": events::upload(name) }, "Metadata": {} });
        let request = HTTP.post(self.handler().join("/VerifyOnUpload").unwrap()).body(invocation.to_string());
        let answer = request.send().await.expect("the handler answers");
        let (status, headers) = (answer.status().as_u16(), format!("{:?}", answer.headers()));
        let body = answer.text().await.expect("with text");
        let answer: Value = serde_json::from_str(&body).expect("which is JSON");
        let said = answer["error"].as_str().or(answer["Logs"][0].as_str()).unwrap_or_default().to_owned();
        self.answers.lock().unwrap().extend([headers, body]);
        (status, said)
    }

    /// Where the handler listens, as its first line says.
    fn handler(&self) -> Url {
        let log = self.output("stdout");
        let address = programs::address_in(&log).expect("it says where it listens");
        Url::parse(&format!("http://{address}")).expect("an address makes a URL")
    }

    fn output(&self, name: &str) -> String {
        let bytes = fs::read(self.files.path().join(name)).expect("the handler writes it");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    async fn has_kept_every_secret(&self) {
        let (scene, cloud) = (&self.scene, &self.scene.cloud);
        let requests = scene.tap.requests().await;
        let tokens: BTreeSet<&str> = requests.iter().filter_map(bearer).collect();
        for token in tokens {
            scene.hide_token("a token", token);
        }
        let search = Search::new(&scene.sensitive(), &scene.public());
        let stdout = self.output("stdout");
        assert!(stdout.contains(r#""level":"trace""#), "the log is not as loud as it gets: {stdout}");
        let (log, _) = cloud.azure().functions_host().follow();
        let log: String = log.iter().map(|line| format!("{line:?}\n{line}\n")).collect();
        let answers = self.answers.lock().unwrap().join("\n");
        let places = [
            ("stdout", stdout),
            ("stderr", self.output("stderr")),
            ("an HTTP answer", answers),
            ("the host's log", log),
            ("the journal", format!("{:?}", cloud.journal())),
            ("the world", cloud.emulator().look(|world, _| format!("{world:?}"))),
        ];
        for (place, text) in &places {
            assert!(!text.contains("panicked"), "{place}: {text}");
            if let Some(found) = search.first_in(text.as_bytes()) {
                panic!("{place} shows {found}");
            }
        }
    }
}

fn bearer(request: &Request) -> Option<&str> {
    request.headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")
}
