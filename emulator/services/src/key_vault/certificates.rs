//! Certificates: their public part, and how they come into being.
//!
//! The list is the only place where a vault can be searched by thumbprint, and it shows the latest versions
//! alone; an older CA has to be looked for among the versions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::x509::X509;
use serde_json::{Value, json};

use super::answer::{Answer, Done};
use super::content::Certificate;
use super::import::Import;
use super::kind::Kind;
use super::object::{Changes, Stored, Target, Version};
use super::refusal::Refusal;
use super::site::Site;
use super::vault::Vault;
use super::visit::Visit;
use super::{deleted, making, paging, policy};
use crate::ground::jose;
use crate::steering::operation::Operation;

impl Stored for Certificate {
    const KIND: Kind = Kind::Certificate;

    fn is_managed(&self) -> bool {
        false
    }

    fn listed(id: &str, version: &Version<Certificate>) -> Value {
        json!({
            "id": id,
            "x5t": x5t(&version.content.leaf),
            "attributes": version.attributes.listed(),
            "tags": version.tags,
        })
    }

    fn bundle(name: &str, version: &Version<Certificate>, site: &Site) -> Result<Value, Refusal> {
        let Certificate { leaf, request, .. } = &version.content;
        let id = |kind| site.id(kind, name, Some(&version.id));
        let encode = || -> Result<Value, ErrorStack> {
            Ok(json!({
                "id": id(Kind::Certificate),
                "kid": id(Kind::Key),
                "sid": id(Kind::Secret),
                "x5t": x5t(leaf),
                "cer": STANDARD.encode(leaf.to_der()?),
                "attributes": version.attributes.full(),
                "tags": version.tags,
                "policy": policy::of(&site.id(Kind::Certificate, name, Some("policy")), version)?,
            }))
        };
        let mut bundle = encode().map_err(|_| Refusal::internal("encode the certificate"))?;
        if request.is_some() {
            bundle["pending"] = json!({ "id": site.id(Kind::Certificate, name, Some("pending")) });
        }
        Ok(bundle)
    }
}

/// What can be asked about certificates.
#[derive(Clone, Debug)]
pub(super) enum Call {
    List,
    Versions(String),
    Get(Target),
    Policy(String),
    Pending(String),
    Create(String),
    Import(String),
    Update(Target),
    Delete(String),
}

impl Call {
    pub(super) fn parse(method: &Method, path: &[&str]) -> Option<Call> {
        Some(match (method.as_str(), path) {
            ("GET", []) => Call::List,
            ("GET", [name, "versions"]) => Call::Versions((*name).to_owned()),
            ("GET", [name]) => Call::Get(Target::latest(*name)),
            ("GET", [name, "policy"]) => Call::Policy((*name).to_owned()),
            ("GET", [name, "pending"]) => Call::Pending((*name).to_owned()),
            ("GET", [name, version]) => Call::Get(Target::version(*name, *version)),
            ("POST", [name, "create"]) => Call::Create((*name).to_owned()),
            ("POST", [name, "import"]) => Call::Import((*name).to_owned()),
            ("PATCH", [name]) => Call::Update(Target::latest(*name)),
            ("PATCH", [_, "policy" | "pending"]) => return None,
            ("PATCH", [name, version]) => Call::Update(Target::version(*name, *version)),
            ("DELETE", [name]) => Call::Delete((*name).to_owned()),
            _ => return None,
        })
    }

    pub(super) fn operation(&self) -> Operation {
        match self {
            Call::List | Call::Versions(_) => Operation::ListVaultCertificates,
            Call::Get(_) | Call::Policy(_) => Operation::GetVaultCertificate,
            Call::Pending(_) => Operation::GetCertificateOperation,
            Call::Create(_) => Operation::CreateVaultCertificate,
            Call::Import(_) => Operation::ImportVaultCertificate,
            Call::Update(_) => Operation::UpdateVaultCertificate,
            Call::Delete(_) => Operation::DeleteVaultCertificate,
        }
    }

    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Call::List => None,
            Call::Versions(name)
            | Call::Policy(name)
            | Call::Pending(name)
            | Call::Create(name)
            | Call::Import(name)
            | Call::Delete(name) => Some(name),
            Call::Get(target) | Call::Update(target) => Some(&target.name),
        }
    }
}

pub(super) fn answer(vault: &mut Vault, call: &Call, visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let body = match call {
        Call::List => paging::objects(&vault.certificates, visit),
        Call::Versions(name) => paging::versions(vault.certificates.object(name)?, visit),
        Call::Get(target) => bundle(vault, target, visit),
        Call::Policy(name) => {
            bundle(vault, &Target::latest(name), visit).map(|mut bundle| bundle["policy"].take())
        }
        Call::Pending(name) => making::shown(vault, name, visit),
        Call::Create(name) => return making::begin(vault, name, visit),
        Call::Import(name) => return import(vault, name, visit),
        Call::Update(target) => {
            vault.update_certificate(target, Changes::read(&visit.body()?)?, visit.now)?;
            bundle(vault, target, visit)
        }
        Call::Delete(name) => deleted::delete(vault, |vault| &vault.certificates, name, visit),
    };
    body.map(Answer::from)
}

/// A PFX is slow to open on purpose.
fn import(vault: &mut Vault, name: &str, visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let import = Import::read(&visit.body()?)?;
    let stamp = visit.stamp();
    vault.check_certificate_name(name)?;
    let (name, opened) = (name.to_owned(), import.clone());
    Ok(Answer::later(
        move || opened.seal(),
        move |sealed, vault, visit| {
            vault.add_import(&name, sealed, &import, stamp)?;
            bundle(vault, &Target::latest(name), visit).map(Done::Shown)
        },
    ))
}

fn bundle(vault: &Vault, target: &Target, visit: &Visit<'_>) -> Result<Value, Refusal> {
    let (name, version) = vault.certificates.find(target)?;
    Certificate::bundle(name, version, visit.site)
}

/// The SHA-1 of the DER, which is all the thumbprint Key Vault knows.
pub(super) fn x5t(leaf: &X509) -> String {
    jose::base64url(leaf.digest(MessageDigest::sha1()).expect("OpenSSL hashes a parsed certificate"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::StatusCode;

    use super::super::testing::*;
    use super::*;
    use crate::names::VAULT;

    #[test]
    fn an_import_becomes_certificate_key_and_secret_of_one_version() {
        let mut lab = Lab::new();
        let key = rsa_key();
        let leaf = ca(&key);
        let (status, imported) = lab.ask(
            Method::POST,
            "/certificates/factory-ca/import?api-version=2025-07-01",
            &json!({
                "value": pem(&key, &leaf),
                "policy": {
                    "key_props": { "exportable": false },
                    "secret_props": { "contentType": "application/x-pem-file" },
                },
                "tags": { "keyholder": "my-dps-x509" },
            }),
        );
        assert_eq!(status, StatusCode::OK, "{imported}");
        assert_eq!(imported, lab.read("/certificates/factory-ca/"));
        assert_eq!(names(&imported), ["id", "kid", "sid", "x5t", "cer", "attributes", "tags", "policy"]);
        assert_eq!(
            names(&imported["attributes"]),
            ["enabled", "nbf", "exp", "created", "updated", "recoveryLevel", "recoverableDays"]
        );
        assert_eq!(imported["attributes"]["nbf"], NOT_BEFORE.unix_timestamp());
        assert_eq!(imported["attributes"]["exp"], NOT_AFTER.unix_timestamp());
        assert_eq!(imported["attributes"]["created"], NOW.unix_timestamp());
        assert_eq!(imported["cer"], STANDARD.encode(leaf.to_der().unwrap()));
        assert_eq!(imported["tags"], json!({ "keyholder": "my-dps-x509" }));

        let id = imported["id"].as_str().unwrap();
        let version = id.strip_prefix(&format!("https://{HOST}/certificates/factory-ca/")).unwrap();
        assert!(version.len() == 32 && version.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(imported["kid"], format!("https://{HOST}/keys/factory-ca/{version}"));
        assert_eq!(imported["sid"], format!("https://{HOST}/secrets/factory-ca/{version}"));
        assert_eq!(lab.read("/keys/factory-ca")["key"]["kid"], imported["kid"]);
        let secret = lab.read("/secrets/factory-ca");
        assert_eq!((&secret["id"], &secret["kid"]), (&imported["sid"], &imported["kid"]));
        assert!(!secret["value"].as_str().unwrap().contains("PRIVATE KEY"));
    }

    #[test]
    fn the_list_shows_latest_versions_and_the_versions_show_all() {
        let mut lab = Lab::new();
        let (old, new) = (p256(), p256());
        lab.import("ca", Import::new(pem(&old, &ca(&old))));
        let first = lab.read("/certificates/ca");
        lab.import("CA", Import::new(pem(&new, &ca(&new))));
        let second = lab.read("/certificates/Ca");
        assert_ne!(first["id"], second["id"]);

        let (_, listed) = lab.walk("/certificates?api-version=2025-07-01");
        assert_eq!(listed.len(), 1);
        assert_eq!(names(&listed[0]), ["id", "x5t", "attributes", "tags"]);
        assert_eq!(listed[0]["id"], format!("https://{HOST}/certificates/ca"));
        assert_eq!(listed[0]["x5t"], second["x5t"]);

        let (_, versions) = lab.walk("/certificates/ca/versions?api-version=2025-07-01");
        assert_eq!(versions.len(), 2);
        for known in [&first, &second] {
            let listed = versions.iter().find(|version| version["id"] == known["id"]).unwrap();
            assert_eq!(listed["x5t"], known["x5t"]);
        }
        let path = first["id"].as_str().unwrap().strip_prefix(&format!("https://{HOST}")).unwrap();
        assert_eq!(lab.read(path), first);
    }

    #[test]
    fn the_policy_can_be_asked_for_alone() {
        let mut lab = Lab::new();
        lab.import("ca", Import::new(ca_pem()));
        assert_eq!(lab.read("/certificates/ca/policy"), lab.read("/certificates/ca")["policy"]);
        let (status, body) = lab.get("/certificates/none/policy?api-version=7.4");
        assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &json!("CertificateNotFound")));
        let (status, _) = lab.ask(Method::PATCH, "/certificates/ca/policy?api-version=7.4", &json!({}));
        assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
    }

    #[test]
    fn the_thumbprint_is_the_sha1_of_the_der() {
        let mut lab = Lab::new();
        let key = p256();
        let leaf = ca(&key);
        lab.import("ca", Import::new(pem(&key, &leaf)));
        let x5t = lab.read("/certificates/ca")["x5t"].take();
        let sha1 = openssl::sha::sha1(&leaf.to_der().unwrap());
        assert_eq!(jose::from_base64url(x5t.as_str().unwrap()).unwrap(), sha1);
    }

    #[test]
    fn tags_and_enabled_can_be_changed_and_the_rest_stays() {
        let mut lab = Lab::new();
        lab.import("ca", Import::new(ca_pem()).tags([("old", "1")]));
        let before = lab.read("/certificates/ca");
        lab.now += time::Duration::MINUTE;
        let (status, after) = lab.ask(
            Method::PATCH,
            "/certificates/ca/?api-version=7.4",
            &json!({ "tags": { "keyholder": "*" }, "attributes": { "nbf": 1 } }),
        );
        assert_eq!(status, StatusCode::OK);
        assert_eq!(after["tags"], json!({ "keyholder": "*" }));
        assert_eq!(after["attributes"]["nbf"], before["attributes"]["nbf"]);
        assert_eq!(after["attributes"]["updated"], lab.now.unix_timestamp());
        assert_eq!(after["id"], before["id"]);
        assert_eq!(lab.read("/secrets/ca")["tags"], after["tags"]);

        let (_, after) = lab.ask(
            Method::PATCH,
            "/certificates/ca?api-version=7.4",
            &json!({ "attributes": { "enabled": false } }),
        );
        assert_eq!(after["attributes"]["enabled"], false);
        assert_eq!(after["tags"], json!({ "keyholder": "*" }));
        let (status, body) = lab.get("/secrets/ca?api-version=7.4");
        assert_eq!(
            (status, &body["error"]["innererror"]["code"]),
            (StatusCode::FORBIDDEN, &json!("SecretDisabled"))
        );
    }

    #[test]
    fn the_world_can_be_changed_without_http() {
        let mut lab = Lab::new();
        lab.import("ca", Import::new(ca_pem()));
        let vaults = &mut lab.world.key_vaults;
        vaults.update_certificate(VAULT, "CA", Changes::tags([("keyholder", "*")]), NOW).unwrap();
        vaults.update_certificate(VAULT, "ca", Changes::enabled(false), NOW).unwrap();
        let missing = vaults.update_certificate(VAULT, "none", Changes::enabled(false), NOW).unwrap_err();
        assert_eq!(missing.code(), "CertificateNotFound");
        let certificate = lab.read("/certificates/ca");
        assert_eq!(certificate["tags"], json!({ "keyholder": "*" }));
        assert_eq!(certificate["attributes"]["enabled"], false);
    }

    #[test]
    fn what_is_missing_or_misnamed_says_so() {
        let mut lab = Lab::new();
        lab.import("ca", Import::new(ca_pem()));
        for (path, status, code) in [
            ("/certificates/none", StatusCode::NOT_FOUND, "CertificateNotFound"),
            ("/certificates/none/versions", StatusCode::NOT_FOUND, "CertificateNotFound"),
            (
                "/certificates/ca/00000000000000000000000000000000",
                StatusCode::NOT_FOUND,
                "CertificateNotFound",
            ),
            ("/certificates/under_score", StatusCode::BAD_REQUEST, "BadParameter"),
        ] {
            let (answered, body) = lab.get(&format!("{path}?api-version=7.4"));
            assert_eq!((answered, &body["error"]["code"]), (status, &json!(code)), "{path}");
        }
        for body in [json!({}), json!([]), json!({ "value": "rubbish" })] {
            let (status, _) = lab.ask(Method::POST, "/certificates/ca/import?api-version=7.4", &body);
            assert_eq!(status, StatusCode::BAD_REQUEST);
        }
    }
}
