//! A running cloud in which things can be made wrong, and what in it must stay secret.

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyholder_emulator::faults::Calls;
use keyholder_emulator::world::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION, VAULT};
use keyholder_emulator::{Emulator, mock};
use keyholder_emulator_local::local_azure::Options;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::x509::X509;
use serde_json::json;
use wiremock::matchers::{header_exists, method, path_regex};
use wiremock::{Mock, Request, ResponseTemplate};

use super::rows::{App, Row, Trouble};
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::Cloud;
use crate::harness::tap::Tap;
use crate::harness::vaults::import_of;

/// A cloud with its wires tapped.
pub(crate) struct Scene {
    pub(crate) cloud: Cloud,
    pub(crate) tap: Tap,
    sensitive: Mutex<Vec<Sensitive>>,
    public: Mutex<Vec<Vec<u8>>>,
}

/// Something that must never be seen.
#[derive(Clone)]
pub(crate) struct Sensitive {
    pub(crate) what: String,
    pub(crate) bytes: Vec<u8>,
}

impl Scene {
    pub(crate) async fn start(app: App, mut options: Options) -> Scene {
        options.app_settings.extend(app.settings());
        let (cloud, tap) = Tap::start(options, &[VAULT]).await;
        Scene { cloud, tap, sensitive: Mutex::default(), public: Mutex::default() }
    }

    /// Makes things wrong for a certificate of a row's name: the CA that is to be uploaded.
    pub(crate) async fn set_up(&self, row: &Row) -> Authority {
        let (cloud, name) = (&self.cloud, row.name);
        let ca = match row.trouble {
            Trouble::Valid(from, until) => self.knows(name, Authority::root_valid(name, from, until)),
            Trouble::NotACa => self.knows(name, Authority::server(name)),
            Trouble::OnlyShown => {
                let foreign = self.ca("foreign").around_the_key_of(&self.ca(name), "login.victim.example");
                self.knows(name, foreign)
            }
            _ => self.ca(name),
        };
        match &row.trouble {
            Trouble::NoCa => return ca,
            Trouble::OnlyShown => self.store_secret(name, ca.key()),
            Trouble::AnotherCa => cloud.import_into(VAULT, name, import_of(&self.ca(name))),
            Trouble::Secret(secret) => self.store_secret(name, &secret(&ca, self)),
            Trouble::SecretThen(_) | Trouble::SecretFails(..) | Trouble::SecretRefused(_) => {
                self.store_secret(name, &ca.key_and_certificate());
            }
            _ => cloud.import_into(VAULT, name, import_of(&ca)),
        }
        match &row.trouble {
            Trouble::Then(change) | Trouble::SecretThen(change) => {
                cloud.change_vaults(|vaults, now| change(vaults, name, now));
            }
            Trouble::Fails(operation, status) | Trouble::SecretFails(operation, status) => {
                cloud.fail(*operation, Some(&format!("{VAULT}/{name}")), Calls::Always, *status);
            }
            Trouble::Refused(collection, code) => self.refuse(collection, name, code).await,
            Trouble::SecretRefused(code) => self.refuse("secrets", name, code).await,
            Trouble::AnotherKeyShown => self.show(name, &self.ca(name)).await,
            _ => {}
        }
        ca
    }

    /// A root of this name.
    pub(crate) fn ca(&self, name: &str) -> Authority {
        self.knows(name, Authority::root(name, Family::P256))
    }

    /// Takes note of the private numbers of a CA, and of what anybody may know of it.
    pub(crate) fn knows(&self, name: &str, ca: Authority) -> Authority {
        let key = PKey::private_key_from_pem(ca.key().as_bytes()).unwrap();
        if let Ok(key) = key.ec_key() {
            self.hide(&format!("the key of {name}"), &key.private_key().to_vec());
        }
        if let Ok(key) = key.rsa() {
            let factors = [Some(key.d()), key.p(), key.q(), key.dmp1(), key.dmq1(), key.iqmp()];
            for (index, number) in factors.into_iter().flatten().enumerate() {
                self.hide(&format!("private number {index} of {name}"), &number.to_vec());
            }
        }
        let certificate = X509::from_pem(ca.certificate().as_bytes()).unwrap();
        self.public.lock().unwrap().extend([
            ca.certificate().into(),
            certificate.to_der().unwrap(),
            // By which a PFX says in the clear which key belongs to which certificate.
            certificate.digest(MessageDigest::sha1()).unwrap().to_vec(),
        ]);
        ca
    }

    /// Takes note of something that must never be seen.
    pub(crate) fn hide(&self, what: &str, bytes: &[u8]) {
        let sensitive = Sensitive { what: what.to_owned(), bytes: bytes.to_vec() };
        self.sensitive.lock().unwrap().push(sensitive);
    }

    /// Keeps a secret, and takes note of it.
    pub(crate) fn store_secret(&self, name: &str, secret: &str) {
        self.hide_secret(name, secret);
        self.cloud.store_secret(name, secret);
    }

    /// Takes note of the text of a secret: the block of a private key, or a PFX as such.
    fn hide_secret(&self, name: &str, secret: &str) {
        if let Some((_, rest)) = secret.split_once("PRIVATE KEY-----") {
            let body = rest.split("-----END").next().unwrap_or_default();
            self.hide(&format!("the PEM of {name}"), body.trim().as_bytes());
        } else if let Ok(pfx) = STANDARD.decode(secret.trim()) {
            self.hide(&format!("the PFX of {name}"), &pfx);
        }
    }

    /// Takes note of a token: its signature, for without it the rest is of no use.
    pub(crate) fn hide_token(&self, what: &str, token: &str) {
        let signature = token.rsplit('.').next().unwrap_or_default();
        self.hide(what, &URL_SAFE_NO_PAD.decode(signature).expect("a token ends with a signature"));
        self.hide(&format!("{what}'s text"), signature.as_bytes());
    }

    pub(crate) fn sensitive(&self) -> Vec<Sensitive> {
        self.sensitive.lock().unwrap().clone()
    }

    /// Takes note of a proof, base64 of DER, which anybody may know.
    pub(crate) fn publish(&self, proof: &str) {
        self.public.lock().unwrap().extend([proof.into(), STANDARD.decode(proof).unwrap()]);
    }

    /// What anybody may know. Secrets share some pieces with it: the names of algorithms.
    pub(crate) fn public(&self) -> Vec<Vec<u8>> {
        self.public.lock().unwrap().clone()
    }

    /// Has the vault say no with a code that the emulator has no cause for.
    async fn refuse(&self, collection: &str, name: &str, code: &str) {
        let body = json!({ "error": {
            "code": "Forbidden", "message": "The vault will not.", "innererror": { "code": code },
        }});
        Mock::given(path_regex(format!("^/{collection}/{name}(/|$)")))
            .and(header_exists("authorization"))
            .respond_with(ResponseTemplate::new(403).set_body_json(body))
            .mount(&self.tap.server)
            .await;
    }

    /// Has the registry hand out a challenge for one certificate and show another one with it.
    async fn show(&self, name: &str, other: &Authority) {
        let (emulator, name, shown) = (self.cloud.emulator().clone(), name.to_owned(), other.certificate());
        let (path, shown) = (format!("/{name}/generateVerificationCode$"), STANDARD.encode(shown));
        let lie = move |request: &Request| {
            mock::answer(&emulator, request);
            ResponseTemplate::new(200).set_body_json(challenge(&emulator, &name, &shown))
        };
        Mock::given(method("POST")).and(path_regex(path)).respond_with(lie).mount(&self.tap.server).await;
    }
}

fn challenge(emulator: &Emulator, name: &str, shown: &str) -> serde_json::Value {
    emulator.look(|world, _| {
        let found = world.dps.certificate(SUBSCRIPTION, RESOURCE_GROUP, PROVISIONING_SERVICE, name);
        let found = found.expect("it was uploaded");
        json!({
            "properties": {
                "thumbprint": found.thumbprint(),
                "isVerified": false,
                "verificationCode": "A1B2C3D4E5F6G7H8",
                "certificate": shown,
            },
            "etag": found.etag().to_string(),
        })
    })
}
