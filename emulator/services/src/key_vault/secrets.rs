//! Secrets: values somebody stored, and those that stand behind certificates.
//!
//! `nbf` and `exp` of a secret inform and do not forbid; only switching it off does.

use http::Method;
use serde_json::{Value, json};

use super::content::Secret;
use super::kind::Kind;
use super::new_secret::NewSecret;
use super::object::{Changes, Stored, Target, Version};
use super::refusal::Refusal;
use super::site::Site;
use super::vault::Vault;
use super::visit::Visit;
use super::{deleted, paging};
use crate::steering::operation::Operation;

impl Stored for Secret {
    const KIND: Kind = Kind::Secret;

    fn is_managed(&self) -> bool {
        self.managed
    }

    fn listed(id: &str, version: &Version<Secret>) -> Value {
        described(id, version, version.attributes.listed())
    }

    fn bundle(name: &str, version: &Version<Secret>, site: &Site) -> Result<Value, Refusal> {
        let id = site.id(Kind::Secret, name, Some(&version.id));
        let mut json = described(&id, version, version.attributes.full());
        if version.content.managed {
            json["kid"] = json!(site.id(Kind::Key, name, Some(&version.id)));
        }
        Ok(json)
    }
}

/// What can be asked about secrets.
#[derive(Clone, Debug)]
pub(super) enum Call {
    List,
    Versions(String),
    Get(Target),
    Set(String),
    Update(Target),
    Delete(String),
}

impl Call {
    pub(super) fn parse(method: &Method, path: &[&str]) -> Option<Call> {
        Some(match (method.as_str(), path) {
            ("GET", []) => Call::List,
            ("GET", [name, "versions"]) => Call::Versions((*name).to_owned()),
            ("GET", [name]) => Call::Get(Target::latest(*name)),
            ("GET", [name, version]) => Call::Get(Target::version(*name, *version)),
            ("PUT", [name]) => Call::Set((*name).to_owned()),
            ("PATCH", [name]) => Call::Update(Target::latest(*name)),
            ("PATCH", [name, version]) => Call::Update(Target::version(*name, *version)),
            ("DELETE", [name]) => Call::Delete((*name).to_owned()),
            _ => return None,
        })
    }

    pub(super) fn operation(&self) -> Operation {
        match self {
            Call::List | Call::Versions(_) => Operation::ListSecrets,
            Call::Get(_) => Operation::GetSecret,
            Call::Set(_) => Operation::SetSecret,
            Call::Update(_) => Operation::UpdateSecret,
            Call::Delete(_) => Operation::DeleteSecret,
        }
    }

    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Call::List => None,
            Call::Versions(name) | Call::Set(name) | Call::Delete(name) => Some(name),
            Call::Get(target) | Call::Update(target) => Some(&target.name),
        }
    }
}

pub(super) fn answer(vault: &mut Vault, call: &Call, visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    match call {
        Call::List => paging::objects(&vault.secrets, visit),
        Call::Versions(name) => paging::versions(vault.secrets.object(name)?, visit),
        Call::Get(target) => {
            let (name, version) = vault.secrets.find(target)?;
            if !version.attributes.enabled {
                return Err(Refusal::forbidden(
                    "SecretDisabled",
                    "Operation get is not allowed on a disabled secret.",
                ));
            }
            with_value(name, version, visit.site)
        }
        Call::Set(name) => {
            let secret = NewSecret::read(&visit.body()?)?;
            vault.set_secret(name, secret, visit.stamp())?;
            let (name, version) = vault.secrets.find(&Target::latest(name))?;
            with_value(name, version, visit.site)
        }
        Call::Update(target) => {
            let body = visit.body()?;
            vault.update_secret(target, Changes::read(&body)?, visit.now)?;
            if let Some(content_type) = body["contentType"].as_str() {
                vault.secrets.find_mut(target)?.content.content_type = Some(content_type.to_owned());
            }
            let (name, version) = vault.secrets.find(target)?;
            Secret::bundle(name, version, visit.site)
        }
        Call::Delete(name) => deleted::delete(vault, |vault| &vault.secrets, name, visit),
    }
}

/// The only form with the value.
fn with_value(name: &str, version: &Version<Secret>, site: &Site) -> Result<Value, Refusal> {
    let mut json = json!({ "value": version.content.value.0 });
    if let (Value::Object(json), Value::Object(rest)) = (&mut json, Secret::bundle(name, version, site)?) {
        json.extend(rest);
    }
    Ok(json)
}

fn described(id: &str, version: &Version<Secret>, attributes: Value) -> Value {
    let mut json = json!({ "id": id, "attributes": attributes, "tags": version.tags });
    if let Some(content_type) = &version.content.content_type {
        json["contentType"] = json!(content_type);
    }
    if version.content.managed {
        json["managed"] = json!(true);
    }
    json
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::StatusCode;
    use openssl::pkey::PKey;
    use openssl::x509::X509;

    use super::super::Import;
    use super::super::testing::*;
    use super::*;
    use crate::names::VAULT;

    fn set(lab: &mut Lab, name: &str, body: &Value) -> (StatusCode, Value) {
        lab.ask(Method::PUT, &format!("/secrets/{name}?api-version=2025-07-01"), body)
    }

    #[test]
    fn a_secret_is_kept_with_what_was_said_about_it() {
        let mut lab = Lab::new();
        let body = json!({
            "value": "v1",
            "contentType": "text/plain",
            "tags": { "keyholder": "*" },
            "attributes": { "exp": 1 },
        });
        let (status, stored) = set(&mut lab, "plain", &body);
        assert_eq!(status, StatusCode::OK);
        assert_eq!(names(&stored), ["value", "id", "attributes", "tags", "contentType"]);
        assert_eq!((&stored["value"], &stored["contentType"]), (&json!("v1"), &json!("text/plain")));
        assert_eq!(stored["attributes"]["exp"], 1);
        assert_eq!(stored["tags"], json!({ "keyholder": "*" }));
        // `exp` informs only.
        assert_eq!(lab.read("/secrets/plain/"), stored);
    }

    #[test]
    fn every_version_can_be_read_and_the_latest_is_the_default() {
        let mut lab = Lab::new();
        let (_, first) = set(&mut lab, "plain", &json!({ "value": "v1" }));
        set(&mut lab, "PLAIN", &json!({ "value": "v2" }));
        assert_eq!(lab.read("/secrets/plain")["value"], "v2");
        let path = first["id"].as_str().unwrap().strip_prefix(&format!("https://{HOST}")).unwrap();
        assert_eq!(lab.read(path)["value"], "v1");
    }

    #[test]
    fn lists_have_no_values() {
        let mut lab = Lab::new();
        set(&mut lab, "plain", &json!({ "value": "v1", "contentType": "text/plain" }));
        set(&mut lab, "plain", &json!({ "value": "v2" }));
        lab.import("ca", Import::new(ca_pem()));
        let (_, listed) = lab.walk("/secrets?api-version=7.4");
        assert_eq!(names(&listed[0]), ["id", "attributes", "tags", "contentType", "managed"]);
        assert_eq!(listed[1]["id"], format!("https://{HOST}/secrets/plain"));
        let (_, versions) = lab.walk("/secrets/plain/versions?api-version=7.4");
        assert_eq!(versions.len(), 2);
        assert!(listed.iter().chain(&versions).all(|item| item.get("value").is_none()));
    }

    #[test]
    fn a_disabled_secret_is_not_handed_out() {
        let mut lab = Lab::new();
        set(&mut lab, "plain", &json!({ "value": "v1", "attributes": { "enabled": false } }));
        let (status, body) = lab.get("/secrets/plain?api-version=7.4");
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(
            body,
            json!({ "error": {
                "code": "Forbidden",
                "message": "Operation get is not allowed on a disabled secret.",
                "innererror": { "code": "SecretDisabled" },
            }})
        );
        let enable = json!({ "attributes": { "enabled": true }, "contentType": "text/plain" });
        let (status, body) = lab.ask(Method::PATCH, "/secrets/plain/?api-version=7.4", &enable);
        assert_eq!(status, StatusCode::OK);
        assert!(body.get("value").is_none());
        assert_eq!(lab.read("/secrets/plain")["contentType"], "text/plain");
    }

    #[test]
    fn an_exportable_certificate_hands_out_its_key() {
        let mut lab = Lab::new();
        let key = p256();
        lab.import("ca", Import::new(pem(&key, &ca(&key))));
        let secret = lab.read("/secrets/ca");
        assert_eq!(names(&secret), ["value", "id", "attributes", "tags", "contentType", "managed", "kid"]);
        assert_eq!(secret["contentType"], "application/x-pem-file");
        let text = secret["value"].as_str().unwrap();
        assert!(text.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert!(PKey::private_key_from_pem(text.as_bytes()).unwrap().public_eq(&key));
        assert!(X509::from_pem(text.as_bytes()).is_ok());
    }

    #[test]
    fn a_name_is_a_certificates_or_a_plain_secrets() {
        let mut lab = Lab::new();
        lab.import("ca", Import::new(ca_pem()));
        let (status, body) = set(&mut lab, "ca", &json!({ "value": "v" }));
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(body["error"]["innererror"]["code"], "SecretManagedByKeyVault");
        set(&mut lab, "plain", &json!({ "value": "v" }));
        let stamp = lab.stamp();
        let vaults = &mut lab.world.key_vaults;
        let refusal = vaults.import_certificate(VAULT, "Plain", Import::new(ca_pem()), stamp).unwrap_err();
        assert_eq!(refusal.status(), StatusCode::CONFLICT);
    }

    #[test]
    fn the_world_can_be_filled_without_http() {
        let mut lab = Lab::new();
        let stamp = lab.stamp();
        let secret = NewSecret::new("v1").content_type("text/plain").tags([("keyholder", "*")]);
        lab.world.key_vaults.set_secret(VAULT, "plain", secret, stamp).unwrap();
        let changes = Changes::tags([("keyholder", "none")]);
        lab.world.key_vaults.update_secret(VAULT, "plain", changes, NOW).unwrap();
        let secret = lab.read("/secrets/plain");
        assert_eq!((&secret["value"], &secret["tags"]), (&json!("v1"), &json!({ "keyholder": "none" })));
        let stamp = lab.stamp();
        let refusal =
            lab.world.key_vaults.set_secret("other", "plain", NewSecret::new("v"), stamp).unwrap_err();
        assert_eq!(refusal.code(), "VaultNotFound");
    }

    #[test]
    fn a_secret_without_a_value_or_a_name_is_refused() {
        let mut lab = Lab::new();
        for (name, body) in
            [("plain", json!({})), ("plain", json!({ "value": 1 })), ("a.b", json!({ "value": "v" }))]
        {
            let (status, answer) = set(&mut lab, name, &body);
            assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("BadParameter")));
        }
        let (status, body) = lab.get("/secrets/none?api-version=7.4");
        assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &json!("SecretNotFound")));
    }
}
