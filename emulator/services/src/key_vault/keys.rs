//! Keys: their public half, and signatures made with the other one.
//!
//! A key belongs to a certificate and lives and dies with it, or stands alone. Either way it can be switched
//! off and told what it may do.

use http::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::answer::{Answer, Done};
use super::content::Key;
use super::key_operation::KeyOperation;
use super::kind::Kind;
use super::new_key::{KeyWish, NewKey};
use super::object::{Changes, Stored, Target, Version};
use super::refusal::Refusal;
use super::signing::Algorithm;
use super::site::Site;
use super::vault::Vault;
use super::visit::Visit;
use super::{deleted, paging};
use crate::ground::jose;
use crate::ground::jwk;
use crate::steering::operation::Operation;

impl Stored for Key {
    const KIND: Kind = Kind::Key;

    fn is_managed(&self) -> bool {
        self.managed
    }

    fn listed(kid: &str, version: &Version<Key>) -> Value {
        let json = json!({ "kid": kid, "attributes": version.attributes.listed() });
        described(json, version)
    }

    /// A disabled key may be looked at; it only cannot be used.
    fn bundle(name: &str, version: &Version<Key>, site: &Site) -> Result<Value, Refusal> {
        let mut key = jwk::public_half(&version.content.private.0)
            .map_err(|_| Refusal::internal("read the public half of the key"))?;
        let operations = version.content.operations.iter();
        key["kid"] = json!(site.id(Kind::Key, name, Some(&version.id)));
        key["key_ops"] = operations.map(|operation| operation.name()).collect();
        let mut attributes = version.attributes.full();
        attributes["exportable"] = json!(version.content.exportable);
        Ok(described(json!({ "key": key, "attributes": attributes }), version))
    }
}

/// What can be asked about keys.
#[derive(Clone, Debug)]
pub(super) enum Call {
    List,
    Versions(String),
    Get(Target),
    Create(String),
    Import(String),
    Update(Target),
    Sign(Target),
    Delete(String),
}

impl Call {
    pub(super) fn parse(method: &Method, path: &[&str]) -> Option<Call> {
        Some(match (method.as_str(), path) {
            ("GET", []) => Call::List,
            ("GET", [name, "versions"]) => Call::Versions((*name).to_owned()),
            ("GET", [name]) => Call::Get(Target::latest(*name)),
            ("GET", [name, version]) => Call::Get(Target::version(*name, *version)),
            ("POST", [name, "create"]) => Call::Create((*name).to_owned()),
            ("PUT", [name]) => Call::Import((*name).to_owned()),
            ("PATCH", [name]) => Call::Update(Target::latest(*name)),
            ("PATCH", [name, version]) => Call::Update(Target::version(*name, *version)),
            ("DELETE", [name]) => Call::Delete((*name).to_owned()),
            ("POST", [name, "sign"]) => Call::Sign(Target::latest(*name)),
            ("POST", [name, version, "sign"]) => Call::Sign(Target::version(*name, *version)),
            _ => return None,
        })
    }

    pub(super) fn operation(&self) -> Operation {
        match self {
            Call::List | Call::Versions(_) => Operation::ListVaultKeys,
            Call::Get(_) => Operation::GetVaultKey,
            Call::Create(_) => Operation::CreateVaultKey,
            Call::Import(_) => Operation::ImportVaultKey,
            Call::Update(_) => Operation::UpdateVaultKey,
            Call::Sign(_) => Operation::Sign,
            Call::Delete(_) => Operation::DeleteVaultKey,
        }
    }

    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Call::List => None,
            Call::Versions(name) | Call::Create(name) | Call::Import(name) | Call::Delete(name) => Some(name),
            Call::Get(target) | Call::Update(target) | Call::Sign(target) => Some(&target.name),
        }
    }
}

pub(super) fn answer(vault: &mut Vault, call: &Call, visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let shown = match call {
        Call::List => paging::objects(&vault.keys, visit),
        Call::Versions(name) => paging::versions(vault.keys.object(name)?, visit),
        Call::Get(target) => bundle(vault, target, visit),
        Call::Create(name) => return create(vault, name, visit),
        Call::Import(name) => {
            vault.keys.check_own(name, "import")?;
            vault.add_key(name, NewKey::import(&visit.body()?)?, visit.stamp())?;
            bundle(vault, &Target::latest(name), visit)
        }
        Call::Update(target) => {
            let body = visit.body()?;
            let operations = KeyOperation::read(&body["key_ops"])?;
            vault.update_key(target, Changes::read(&body)?, operations, visit.now)?;
            bundle(vault, target, visit)
        }
        Call::Sign(target) => {
            let (name, version) = vault.keys.find(target)?;
            return sign(name, version, visit);
        }
        Call::Delete(name) => deleted::delete(vault, |vault| &vault.keys, name, visit),
    };
    shown.map(Answer::from)
}

/// Whether the key may be made is decided now, and once more when it is there: another may have taken its name.
fn create(vault: &mut Vault, name: &str, visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    vault.keys.check_own(name, "create")?;
    let wish = KeyWish::read(&visit.body()?)?;
    let stamp = visit.stamp();
    vault.keys.check_free(name)?;
    let name = name.to_owned();
    Ok(Answer::later(
        move || wish.fulfil(),
        move |key, vault, visit| {
            vault.keys.check_own(&name, "create")?;
            vault.add_key(&name, key, stamp)?;
            bundle(vault, &Target::latest(name), visit).map(Done::Shown)
        },
    ))
}

fn bundle(vault: &Vault, target: &Target, visit: &Visit<'_>) -> Result<Value, Refusal> {
    let (name, version) = vault.keys.find(target)?;
    Key::bundle(name, version, visit.site)
}

fn described(mut json: Value, version: &Version<Key>) -> Value {
    if version.content.managed {
        json["managed"] = json!(true);
    }
    json["tags"] = json!(version.tags);
    json
}

/// What is signed with which key is decided now; a key that is changed meanwhile has signed before.
fn sign(name: &str, version: &Version<Key>, visit: &Visit<'_>) -> Result<Answer, Refusal> {
    check_usable(version, KeyOperation::Sign, visit.now)?;
    let body = visit.body()?;
    let algorithm = Algorithm::named(body["alg"].as_str().unwrap_or_default())?;
    let Some(digest) = body["value"].as_str() else {
        return Err(Refusal::bad_parameter("Property 'value' is required."));
    };
    let Some(digest) = jose::from_base64url(digest) else {
        return Err(Refusal::bad_parameter("Content of 'value' is not base64url."));
    };
    let key = version.content.private.clone();
    let kid = visit.site.id(Kind::Key, name, Some(&version.id));
    Ok(Answer::later(
        move || algorithm.sign(&key.0, &digest),
        move |signature, _, _| Ok(Done::Shown(json!({ "kid": kid, "value": jose::base64url(signature) }))),
    ))
}

/// `KeyDisabled` and `KeyOperationForbidden` are the service's words; the two about time are chosen after them.
fn check_usable(version: &Version<Key>, operation: KeyOperation, now: OffsetDateTime) -> Result<(), Refusal> {
    let (attributes, now) = (&version.attributes, now.unix_timestamp());
    let name = operation.name();
    let not_on = |inner, what: &str| {
        Err(Refusal::forbidden(inner, format!("Operation {name} is not allowed on {what}.")))
    };
    if !attributes.enabled {
        return not_on("KeyDisabled", "a disabled key");
    }
    if attributes.not_before.is_some_and(|not_before| now < not_before) {
        return not_on("KeyNotYetValid", "a key that is not yet valid");
    }
    if attributes.expires.is_some_and(|expires| now >= expires) {
        return not_on("KeyExpired", "an expired key");
    }
    if !version.content.operations.contains(&operation) {
        let message = format!("Operation {name} is not permitted on this key.");
        return Err(Refusal::forbidden("KeyOperationForbidden", message));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::StatusCode;
    use openssl::pkey::{PKey, Private};
    use openssl::sha::sha256;
    use openssl::x509::extension::KeyUsage;
    use time::Duration;

    use super::super::testing::*;
    use super::super::{Changes, Import};
    use super::*;
    use crate::names::VAULT;

    const SIGN: &str = "/keys/ca//sign?api-version=2025-07-01";

    fn request() -> Value {
        json!({ "alg": "ES256", "value": jose::base64url(sha256(b"tbs")) })
    }

    fn lab_with(key: &PKey<Private>) -> Lab {
        let mut lab = Lab::new();
        lab.import("ca", Import::new(pem(key, &ca(key))).exportable(false));
        lab
    }

    #[test]
    fn a_key_is_shown_with_what_it_may_do() {
        let bundle = lab_with(&rsa_key()).read("/keys/ca");
        assert_eq!(names(&bundle), ["key", "attributes", "managed", "tags"]);
        assert_eq!(names(&bundle["key"]), ["kty", "n", "e", "kid", "key_ops"]);
        assert_eq!(bundle["key"]["key_ops"], json!(["sign", "verify"]));
        assert_eq!(bundle["attributes"]["exportable"], false);
        assert_eq!(bundle["attributes"]["exp"], NOT_AFTER.unix_timestamp());
    }

    #[test]
    fn a_signature_is_the_keys_and_names_the_version() {
        let key = p256();
        let mut lab = lab_with(&key);
        let kid = lab.read("/certificates/ca")["kid"].take();
        let versioned = format!("{}/sign?api-version=7.4", kid.as_str().unwrap());
        for target in [SIGN, "/keys/CA/sign/?api%2Dversion=7.4", versioned.as_str()] {
            let (status, body) = lab.ask(Method::POST, target, &request());
            assert_eq!(status, StatusCode::OK, "{body}");
            assert_eq!(names(&body), ["kid", "value"]);
            assert_eq!(body["kid"], kid);
            let signature = jose::from_base64url(body["value"].as_str().unwrap()).unwrap();
            assert!(jose::ecdsa_verify(&key.ec_key().unwrap(), &sha256(b"tbs"), &signature));
        }
    }

    #[test]
    fn an_older_version_still_signs_with_its_own_key() {
        let (old, new) = (p256(), p256());
        let mut lab = lab_with(&old);
        let kid = lab.read("/certificates/ca")["kid"].take();
        lab.import("ca", Import::new(pem(&new, &ca(&new))));
        let target = format!("{}/sign?api-version=7.4", kid.as_str().unwrap());
        let (_, body) = lab.ask(Method::POST, &target, &request());
        let signature = jose::from_base64url(body["value"].as_str().unwrap()).unwrap();
        assert!(jose::ecdsa_verify(&old.ec_key().unwrap(), &sha256(b"tbs"), &signature));
        let (_, keys) = lab.walk("/keys/ca/versions?api-version=7.4");
        assert_eq!(keys.len(), 2);
        assert_eq!(names(&keys[0]), ["kid", "attributes", "managed", "tags"]);
    }

    #[test]
    fn a_key_signs_only_while_its_certificate_is_valid() {
        let mut lab = lab_with(&p256());
        for (now, status, inner) in [
            (NOT_BEFORE - Duration::SECOND, StatusCode::FORBIDDEN, Some("KeyNotYetValid")),
            (NOT_BEFORE, StatusCode::OK, None),
            (NOT_AFTER - Duration::SECOND, StatusCode::OK, None),
            (NOT_AFTER, StatusCode::FORBIDDEN, Some("KeyExpired")),
        ] {
            lab.now = now;
            let (answered, body) = lab.ask(Method::POST, SIGN, &request());
            assert_eq!((answered, body["error"]["innererror"]["code"].as_str()), (status, inner), "{now}");
        }
    }

    #[test]
    fn a_disabled_key_can_be_read_and_does_not_sign() {
        let mut lab = lab_with(&p256());
        lab.world.key_vaults.update_certificate(VAULT, "ca", Changes::enabled(false), NOW).unwrap();
        let (status, body) = lab.ask(Method::POST, SIGN, &request());
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(
            body,
            json!({ "error": {
                "code": "Forbidden",
                "message": "Operation sign is not allowed on a disabled key.",
                "innererror": { "code": "KeyDisabled" },
            }})
        );
        assert_eq!(lab.read("/keys/ca")["attributes"]["enabled"], false);
    }

    #[test]
    fn a_key_whose_certificate_is_for_something_else_does_not_sign() {
        let mut lab = Lab::new();
        let key = p256();
        let leaf = certificate(&key, KeyUsage::new().key_agreement());
        lab.import("ca", Import::new(pem(&key, &leaf)));
        assert_eq!(lab.read("/keys/ca")["key"]["key_ops"], json!([]));
        let (status, body) = lab.ask(Method::POST, SIGN, &request());
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(body["error"]["innererror"]["code"], "KeyOperationForbidden");
    }

    #[test]
    fn a_certificates_key_can_be_switched_off_alone() {
        let mut lab = lab_with(&p256());
        let off = json!({ "attributes": { "enabled": false, "exp": 1 }, "tags": { "line": "1" } });
        let (status, patched) = lab.ask(Method::PATCH, "/keys/ca/?api-version=7.4", &off);
        assert_eq!((status, &patched["attributes"]["enabled"]), (StatusCode::OK, &json!(false)));
        assert_eq!(patched["attributes"]["exp"], NOT_AFTER.unix_timestamp());
        assert_eq!(patched["tags"], json!({ "line": "1" }));
        let (status, body) = lab.ask(Method::POST, SIGN, &request());
        assert_eq!(
            (status, &body["error"]["innererror"]["code"]),
            (StatusCode::FORBIDDEN, &json!("KeyDisabled"))
        );
        assert_eq!(lab.read("/certificates/ca")["attributes"]["enabled"], true);

        lab.world.key_vaults.update_key(VAULT, "ca", Changes::enabled(true), NOW).unwrap();
        assert_eq!(lab.ask(Method::POST, SIGN, &request()).0, StatusCode::OK);
    }

    #[test]
    fn a_key_can_lose_and_regain_the_right_to_sign() {
        let mut lab = lab_with(&p256());
        let kid = lab.read("/keys/ca")["key"]["kid"].take();
        let target = format!("{}?api-version=7.4", kid.as_str().unwrap());
        let (_, patched) = lab.ask(Method::PATCH, &target, &json!({ "key_ops": ["verify"] }));
        assert_eq!(patched["key"]["key_ops"], json!(["verify"]));
        let (status, body) = lab.ask(Method::POST, SIGN, &request());
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(body["error"]["innererror"]["code"], "KeyOperationForbidden");

        let vaults = &mut lab.world.key_vaults;
        vaults.set_key_operations(VAULT, "ca", &[KeyOperation::Sign], NOW).unwrap();
        let refusal = vaults.set_key_operations(VAULT, "ca", &[KeyOperation::Encrypt], NOW).unwrap_err();
        assert_eq!(refusal.code(), "BadParameter");
        assert_eq!(lab.ask(Method::POST, SIGN, &request()).0, StatusCode::OK);
    }

    #[test]
    fn a_request_that_cannot_be_signed_is_a_bad_parameter() {
        let mut lab = lab_with(&p256());
        let digest = jose::base64url([0; 32]);
        for body in [
            json!(null),
            json!({ "alg": "ES256" }),
            json!({ "value": digest }),
            json!({ "alg": "ES384", "value": jose::base64url([0; 48]) }),
            json!({ "alg": "ES256", "value": "not+base64url" }),
            json!({ "alg": "ES256", "value": jose::base64url([0; 20]) }),
        ] {
            let (status, answer) = lab.ask(Method::POST, SIGN, &body);
            assert_eq!(
                (status, &answer["error"]["code"]),
                (StatusCode::BAD_REQUEST, &json!("BadParameter")),
                "{body}"
            );
        }
        let (status, body) = lab.ask(Method::POST, "/keys/none//sign?api-version=7.4", &request());
        assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &json!("KeyNotFound")));
    }
}
