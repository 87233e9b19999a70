//! The situations, in the order a client meets them.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyholder_emulator::world::SUBSCRIPTION;
use serde_json::json;

use super::{Answer, Scene, certificate, instance};
use crate::harness::authority::{Authority, Family};

/// One situation.
pub(super) struct Row {
    pub(super) situation: &'static str,
    pub(super) evidence: Evidence,
    pub(super) provoke: fn(&Scene) -> Answer,
}

/// Why the emulator answers as it does, with the source where there is one.
pub(super) enum Evidence {
    Recorded(&'static str),
    Quoted(&'static str),
    Specified(&'static str),
    Chosen,
}

use Evidence::{Chosen, Quoted, Recorded, Specified};

const REPLAYED: &str = "replayed here";
const SPECIFICATION: &str = "REST specification";
const ARM: &str = "documentation of Azure Resource Manager";

pub(super) const ROWS: &[Row] = &[
    row("upload of a new certificate", Recorded(REPLAYED), uploaded),
    row("the same certificate under a second name", Recorded(REPLAYED), |scene| {
        uploaded(scene);
        scene.upload("another", None, &CA.text)
    }),
    row("upload of a certificate that has expired", Recorded(REPLAYED), |scene| {
        scene.emulator.advance(Duration::from_secs(20 * 365 * 24 * 60 * 60));
        uploaded(scene)
    }),
    row("upload with `isVerified: true`: no proof is asked for", Recorded(REPLAYED), uploaded_as_verified),
    row("upload over itself with the current etag", Recorded(REPLAYED), |scene| {
        let etag = uploaded(scene);
        scene.upload("ca", Some(etag.etag()), &CA.text)
    }),
    row("upload over an unverified certificate without an etag", Quoted("azurerm #20041"), |scene| {
        uploaded(scene);
        scene.upload("ca", None, &CA.text)
    }),
    row("upload of the same certificate over a verified one, `isVerified` not mentioned", Chosen, |scene| {
        uploaded_as_verified(scene);
        scene.upload("ca", Some("*"), &CA.text)
    }),
    row("upload of another certificate over a verified one, `isVerified` not mentioned", Chosen, |scene| {
        uploaded_as_verified(scene);
        scene.upload("ca", Some("*"), &CURVE.text)
    }),
    row("upload of a new certificate with an etag", Chosen, |scene| {
        scene.upload("ca", Some("IjA1=="), &CA.text)
    }),
    row(
        "upload of something else than a certificate",
        Quoted("azure-iot-sdk-python #809, IoT Hub"),
        |scene| scene.upload("ca", None, &STANDARD.encode("no certificate")),
    ),
    row("upload without a certificate", Chosen, |scene| {
        scene.ask("PUT", &certificate("ca"), None, Some(json!({ "properties": {} })))
    }),
    row("upload under a name with a character that names do not have", Chosen, |scene| {
        scene.upload("a%20b", None, &CA.text)
    }),
    row("upload of a 26th certificate", Chosen, |scene| {
        (0..25).for_each(|number| _ = scene.upload(&format!("ca-{number}"), None, &CA.text));
        scene.upload("ca", None, &CA.text)
    }),
    row("look", Recorded(REPLAYED), |scene| {
        uploaded(scene);
        scene.ask("GET", &certificate("ca"), None, None)
    }),
    row("look at what is not there", Recorded(REPLAYED), |scene| {
        scene.ask("GET", &certificate("ca"), None, None)
    }),
    row("list", Recorded(REPLAYED), |scene| {
        scene.ask("GET", &format!("{}/certificates", instance()), None, None)
    }),
    row("request for a code", Recorded(REPLAYED), asked),
    row("request for a code without an etag", Chosen, |scene| {
        uploaded(scene);
        scene.code("ca", None)
    }),
    row("request for a code for a verified certificate: it stays so", Chosen, |scene| {
        uploaded_as_verified(scene);
        scene.code("ca", Some("*"))
    }),
    row("proof of an RSA CA, RSA or other key", Recorded(REPLAYED), |scene| {
        let asked = asked(scene);
        scene.prove("ca", Some(asked.etag()), &CA.proof(asked.code()))
    }),
    row("proof of an ECC CA", Chosen, |scene| {
        scene.upload("ca", None, &CURVE.text);
        let asked = scene.code("ca", Some("*"));
        scene.prove("ca", Some(asked.etag()), &CURVE.proof(asked.code()))
    }),
    row("proof as PEM that is not base64", Recorded("azure-cli test recordings, November 2025"), |scene| {
        let asked = asked(scene);
        scene.prove("ca", Some(asked.etag()), &CA.authority.prove(asked.code()))
    }),
    row("proof with a stale etag", Quoted("azure-cli #13098"), |scene| {
        let uploaded = uploaded(scene);
        let asked = scene.code("ca", Some(uploaded.etag()));
        scene.prove("ca", Some(uploaded.etag()), &CA.proof(asked.code()))
    }),
    row("proof by another CA", Quoted("azure-iot-sdk-c #1347, azure-cli #5376"), |scene| {
        let asked = asked(scene);
        scene.prove("ca", Some(asked.etag()), &CURVE.proof(asked.code()))
    }),
    row("proof by another CA of the same name", Chosen, |scene| {
        let asked = asked(scene);
        scene.prove("ca", Some(asked.etag()), &IMPOSTOR.proof(asked.code()))
    }),
    row("proof for another code", Chosen, |scene| {
        let asked = asked(scene);
        scene.prove("ca", Some(asked.etag()), &CA.proof("ANOTHER1"))
    }),
    row("proof for the code before the current one", Chosen, |scene| {
        let first = asked(scene);
        let second = scene.code("ca", Some(first.etag()));
        scene.prove("ca", Some(second.etag()), &CA.proof(first.code()))
    }),
    row("proof that has expired", Chosen, |scene| {
        let asked = asked(scene);
        let proof = CA.proof(asked.code());
        scene.emulator.advance(Duration::from_secs(2 * 24 * 60 * 60));
        scene.prove("ca", Some(asked.etag()), &proof)
    }),
    row("proof before a code was asked for", Chosen, |scene| {
        let uploaded = uploaded(scene);
        scene.prove("ca", Some(uploaded.etag()), &CA.proof("ANYCODE1"))
    }),
    row("proof for what is not there", Quoted("azure-iot-cli-extension #37, status only"), |scene| {
        scene.prove("ca", Some("*"), &CA.proof("ANYCODE1"))
    }),
    row("deletion", Recorded(REPLAYED), |scene| {
        let etag = uploaded(scene);
        scene.ask("DELETE", &certificate("ca"), Some(etag.etag()), None)
    }),
    row("deletion without an etag", Chosen, |scene| {
        uploaded(scene);
        scene.ask("DELETE", &certificate("ca"), None, None)
    }),
    row("deletion of what is not there", Specified(SPECIFICATION), |scene| {
        scene.ask("DELETE", &certificate("ca"), Some("*"), None)
    }),
    row("deletion of an instance", Recorded(REPLAYED), |scene| scene.ask("DELETE", &instance(), None, None)),
    row("instance under a name that instances do not have", Recorded("azure-sdk-for-net, 2018"), |scene| {
        let path = instance().replace("my-dps-x509", "global");
        let body = json!({ "location": "westus2", "sku": { "name": "S1", "capacity": 1 }, "properties": {} });
        scene.ask("PUT", &path, None, Some(body))
    }),
    row("no token", Specified(ARM), |scene| {
        scene.ask_as("api-version=2022-12-12", false, "GET", &certificate("ca"), None, None)
    }),
    row("no api-version", Specified(ARM), |scene| {
        scene.ask_as("", true, "GET", &certificate("ca"), None, None)
    }),
    row("an api-version that DPS never had", Specified(ARM), |scene| {
        scene.ask_as("api-version=2019-01-01", true, "GET", &certificate("ca"), None, None)
    }),
    row("a subscription that is not there", Specified(ARM), |scene| {
        let path = certificate("ca").replace(SUBSCRIPTION, "11111111-1111-1111-1111-111111111111");
        scene.ask("GET", &path, None, None)
    }),
    row("a resource group that is not there", Specified(ARM), |scene| {
        scene.ask("GET", &certificate("ca").replace("iot-x509-demo-rg", "nowhere"), None, None)
    }),
    row("an instance that is not there", Specified(ARM), |scene| {
        scene.ask("GET", &certificate("ca").replace("my-dps-x509", "nobody"), None, None)
    }),
    row("a method that certificates do not have", Chosen, |scene| {
        scene.ask("PATCH", &certificate("ca"), None, None)
    }),
];

const fn row(situation: &'static str, evidence: Evidence, provoke: fn(&Scene) -> Answer) -> Row {
    Row { situation, evidence, provoke }
}

/// A CA, and its certificate as the az CLI uploads it.
struct Ca {
    authority: Authority,
    text: String,
}

static CA: LazyLock<Ca> = LazyLock::new(|| Ca::new("RSA Root", Family::Rsa2048));
static CURVE: LazyLock<Ca> = LazyLock::new(|| Ca::new("Curve Root", Family::P256));
static IMPOSTOR: LazyLock<Ca> = LazyLock::new(|| Ca::new("RSA Root", Family::Rsa2048));

impl Ca {
    fn new(name: &str, family: Family) -> Ca {
        let authority = Authority::root(name, family);
        let text = STANDARD.encode(authority.certificate());
        Ca { authority, text }
    }

    fn proof(&self, code: &str) -> String {
        STANDARD.encode(self.authority.prove(code))
    }
}

fn uploaded(scene: &Scene) -> Answer {
    scene.upload("ca", None, &CA.text)
}

fn uploaded_as_verified(scene: &Scene) -> Answer {
    let body = json!({ "properties": { "certificate": CA.text, "isVerified": true } });
    scene.ask("PUT", &certificate("ca"), None, Some(body))
}

fn asked(scene: &Scene) -> Answer {
    let uploaded = uploaded(scene);
    scene.code("ca", Some(uploaded.etag()))
}
