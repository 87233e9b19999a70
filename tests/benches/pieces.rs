//! What a verification is made of where it touches neither a network nor a clock: the values its steps take, and the
//! steps one after the other.

use std::sync::Arc;

use keyholder::ca::{CaCertificate, SignatureAlgorithm};
use keyholder::event::{self, Notice, Upload};
use keyholder::outcome::Outcome;
use keyholder::proof::{Proof, RawSignature, UnsignedProof};
use keyholder::registry::{Challenge, Registered, answer};
use keyholder::trust::{AllowedRegistries, Grant};
use keyholder::vault::{Found, KeyUse, Kind, ObjectId, Search};
use keyholder::verification::{Next, Step, Verification};
use keyholder::verification_code::VerificationCode;
use keyholder_emulator::authority::Authority;
use keyholder_functions::envelope;
use openssl::pkey::{PKey, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::{Padding, Rsa};
use serde_json::json;
use time::OffsetDateTime;
use url::Url;

pub(crate) const CODE: &str = "7D07A6A51F8AF1469499A1D92074D629894BE9FA8A013E49";
const GROUP: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/iot-x509-demo-rg";
const VERSION: &str = "0123456789abcdef0123456789abcdef";

/// The parts.
pub(crate) struct Pieces {
    /// As the Functions host sends it.
    pub(crate) invocation: Vec<u8>,
    /// As DPS answers.
    pub(crate) answer: Vec<u8>,
    pub(crate) ca: CaCertificate,
    pub(crate) leaf: Vec<u8>,
    pub(crate) now: OffsetDateTime,
    key: PKey<Private>,
    allowed: AllowedRegistries,
    found: Found,
}

impl Pieces {
    pub(crate) fn new() -> Pieces {
        let root = Authority::rsa_root("Plant Root CA").expect("OpenSSL makes CAs");
        let pem = root.key_and_certificate_pem().expect("it has a text form");
        let key = PKey::private_key_from_pem(pem.as_bytes()).expect("it begins with the key");
        let ca = CaCertificate::from_upload(&root.certificate_pem().expect("it has a text form"));
        let ca = ca.expect("it is a CA");
        let leaf = Rsa::generate(2048).and_then(|key| key.public_key_to_der()).expect("OpenSSL makes keys");
        let id = format!(
            "{GROUP}/providers/Microsoft.Devices/provisioningServices/my-dps-x509/certificates/root-ca"
        );
        let event = json!({
            "id": "4db48cba-50a2-455a-93b4-de41a3b5b7f6", "subject": id, "eventType": event::EVENT_TYPE,
            "eventTime": "2026-03-05T10:00:00.6117357Z", "dataVersion": "2", "metadataVersion": "1", "topic": GROUP,
            "data": {
                "operationName": event::OPERATION_NAME, "resourceUri": id, "status": "Succeeded",
                "resourceProvider": "Microsoft.Devices", "subscriptionId": "00000000-0000-0000-0000-000000000000",
                "httpRequest": { "method": "PUT", "url": format!("https://management.azure.com{id}") },
            },
        });
        let answer = json!({
            "id": id, "name": "root-ca", "type": "Microsoft.Devices/ProvisioningServices/Certificates",
            "etag": "IjAwMDAwMDA0LTAwMDAtMDcwMC0wMDAwLTZhMjJjOWMwMDAwMCI=",
            "properties": {
                "verificationCode": CODE, "subject": "Plant Root CA", "thumbprint": ca.thumbprint().to_string(),
                "expiry": "Tue, 04 Mar 2036 10:00:00 GMT", "isVerified": false,
                "created": "Mon, 01 Jan 0001 00:00:00 GMT", "updated": "Thu, 05 Mar 2026 10:00:00 GMT",
                "certificate": root.certificate_pem().expect("it has a text form"),
            },
        });
        let found = found(&ca);
        Pieces {
            invocation: json!({ "Data": { "event": event }, "Metadata": {} }).to_string().into_bytes(),
            answer: answer.to_string().into_bytes(),
            ca,
            leaf,
            now: OffsetDateTime::now_utc(),
            key,
            allowed: AllowedRegistries::parse(GROUP).expect("it is a scope"),
            found,
        }
    }

    /// The invocation, read.
    pub(crate) fn upload(&self) -> Upload {
        let mut events = envelope::events(&self.invocation).expect("it is an invocation");
        match events.remove(0).notice {
            Notice::Uploaded(upload) => upload,
            other => panic!("{other:?}"),
        }
    }

    /// The answer, read.
    #[inline(never)]
    pub(crate) fn registered(&self) -> Registered {
        answer::registered(&self.answer).expect("it is a certificate")
    }

    /// The code, as a code.
    pub(crate) fn code(&self) -> VerificationCode {
        VerificationCode::parse(CODE).expect("it is a code")
    }

    /// The certificate, built and linted.
    pub(crate) fn unsigned(&self) -> UnsignedProof {
        UnsignedProof::build(&self.ca, &self.code(), &self.leaf, self.now).expect("it can be built")
    }

    /// What the vault does; apart, so that it can be told from what we do.
    #[inline(never)]
    pub(crate) fn sign(&self, unsigned: &UnsignedProof) -> RawSignature {
        let digest = unsigned.digest().expect("there is a digest");
        let sign = || {
            let mut context = PkeyCtx::new(&self.key)?;
            context.sign_init()?;
            context.set_rsa_padding(Padding::PKCS1)?;
            context.set_signature_md(openssl::md::Md::sha256())?;
            let mut signature = Vec::new();
            context.sign_to_vec(&digest, &mut signature)?;
            Ok::<_, openssl::error::ErrorStack>(signature)
        };
        RawSignature(sign().expect("OpenSSL signs"))
    }

    /// Every decision of a run that ends well.
    #[inline(never)]
    pub(crate) fn decide(&self, upload: &Upload, registered: &Registered, proof: &Proof) -> Outcome {
        let mut run = Verification::new(upload.clone());
        let verified = Registered { is_verified: true, ..registered.clone() };
        let mut next = run.begin(&self.allowed);
        let mut looks = 0;
        loop {
            next = match next {
                Next::Do(Step::Look) => {
                    looks += 1;
                    run.looked(Some(if looks == 1 { registered.clone() } else { verified.clone() }))
                }
                Next::Do(Step::Search(registered)) => {
                    run.searched(registered, Search::Found(Box::new(self.found.clone())), self.now)
                }
                Next::Do(Step::RequestCode(registered, _)) => {
                    run.challenged(Challenge { code: CODE.to_owned(), registered })
                }
                Next::Do(Step::Prove { registered, .. }) => run.proven(&registered, proof.clone()),
                Next::Do(Step::Submit(..)) => run.submitted(&verified),
                Next::Finish(outcome) => return outcome,
                Next::Do(Step::Wait { .. }) => unreachable!("nothing fails"),
            }
        }
    }
}

fn found(ca: &CaCertificate) -> Found {
    assert_eq!(ca.algorithm(), SignatureAlgorithm::Rs256);
    let vault = Arc::new(Url::parse("https://my-vault.vault.azure.net/").expect("it is a URL"));
    let object = |kind: Kind, collection: &str| {
        let id = format!("{vault}{collection}/root-ca/{VERSION}");
        ObjectId::parse(&id, &vault, kind).expect("it is an id")
    };
    Found {
        object: object(Kind::Certificate, "certificates"),
        grant: Grant::new(Some("my-dps-x509".to_owned())),
        tags: vec![("keyholder".to_owned(), "my-dps-x509".to_owned())],
        key: KeyUse::SignInVault { key: object(Kind::Key, "keys"), certificate: ca.clone(), or_read: None },
        newest: Vec::new(),
        read: tokio::time::Instant::now(),
    }
}
