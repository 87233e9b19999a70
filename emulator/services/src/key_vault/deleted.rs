//! Deleted objects, while they can be recovered.
//!
//! The service needs some seconds to delete and to recover, and clients poll until it has; here both are
//! done when they are answered, which the same clients take for a quick service.

use http::Method;
use serde_json::{Value, json};

use super::answer::{Answer, Done};
use super::collection::{Collection, Deleted};
use super::kind::Kind;
use super::object::{Stored, Target};
use super::paging;
use super::refusal::Refusal;
use super::site::Site;
use super::vault::Vault;
use super::visit::Visit;
use crate::steering::operation::Operation;

/// What can be asked about deleted objects of one kind.
#[derive(Clone, Debug)]
pub(super) enum Call {
    List,
    Get(String),
    Recover(String),
    Purge(String),
}

impl Call {
    pub(super) fn parse(method: &Method, path: &[&str]) -> Option<Call> {
        Some(match (method.as_str(), path) {
            ("GET", []) => Call::List,
            ("GET", [name]) => Call::Get((*name).to_owned()),
            ("POST", [name, "recover"]) => Call::Recover((*name).to_owned()),
            ("DELETE", [name]) => Call::Purge((*name).to_owned()),
            _ => return None,
        })
    }

    pub(super) fn operation(&self, kind: Kind) -> Operation {
        match (self, kind) {
            (Call::List, Kind::Certificate) => Operation::ListDeletedVaultCertificates,
            (Call::List, Kind::Key) => Operation::ListDeletedVaultKeys,
            (Call::List, Kind::Secret) => Operation::ListDeletedSecrets,
            (Call::Get(_), Kind::Certificate) => Operation::GetDeletedVaultCertificate,
            (Call::Get(_), Kind::Key) => Operation::GetDeletedVaultKey,
            (Call::Get(_), Kind::Secret) => Operation::GetDeletedSecret,
            (Call::Recover(_), Kind::Certificate) => Operation::RecoverVaultCertificate,
            (Call::Recover(_), Kind::Key) => Operation::RecoverVaultKey,
            (Call::Recover(_), Kind::Secret) => Operation::RecoverSecret,
            (Call::Purge(_), Kind::Certificate) => Operation::PurgeVaultCertificate,
            (Call::Purge(_), Kind::Key) => Operation::PurgeVaultKey,
            (Call::Purge(_), Kind::Secret) => Operation::PurgeSecret,
        }
    }

    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Call::List => None,
            Call::Get(name) | Call::Recover(name) | Call::Purge(name) => Some(name),
        }
    }
}

pub(super) fn answer<T: Stored>(
    vault: &mut Vault,
    its: fn(&Vault) -> &Collection<T>,
    call: &Call,
    visit: &Visit<'_>,
) -> Result<Answer, Refusal> {
    match call {
        Call::List => page(its(vault), visit).map(Answer::from),
        Call::Get(name) => bundle(its(vault).deleted(name)?, visit.site).map(Answer::from),
        Call::Recover(name) => {
            vault.recover(T::KIND, name)?;
            let (name, version) = its(vault).find(&Target::latest(name))?;
            T::bundle(name, version, visit.site).map(Answer::from)
        }
        Call::Purge(name) => {
            vault.purge(T::KIND, name)?;
            Ok(Answer::Done(Done::Purged))
        }
    }
}

/// Deletes a live object and shows what became of it.
pub(super) fn delete<T: Stored>(
    vault: &mut Vault,
    its: fn(&Vault) -> &Collection<T>,
    name: &str,
    visit: &Visit<'_>,
) -> Result<Value, Refusal> {
    vault.delete(T::KIND, name, visit.now)?;
    bundle(its(vault).deleted(name)?, visit.site)
}

/// A page of the deleted objects. Keys and secrets of a certificate are deleted with it and can be read one
/// by one, but the service does not list them.
fn page<T: Stored>(collection: &Collection<T>, visit: &Visit<'_>) -> Result<Value, Refusal> {
    let items = collection
        .iter_deleted()
        .filter(|(_, deleted)| !deleted.object.latest().content.is_managed())
        .map(|(key, deleted)| (key, listed(deleted, visit.site)));
    paging::page(items, &format!("/{}", T::KIND.deleted_collection()), visit)
}

/// The form in lists.
fn listed<T: Stored>(deleted: &Deleted<T>, site: &Site) -> Value {
    let id = site.id(T::KIND, &deleted.object.name, None);
    dated(deleted, T::listed(&id, deleted.object.latest()), site)
}

fn bundle<T: Stored>(deleted: &Deleted<T>, site: &Site) -> Result<Value, Refusal> {
    let bundle = T::bundle(&deleted.object.name, deleted.object.latest(), site)?;
    Ok(dated(deleted, bundle, site))
}

/// What a deleted object says before all that it said when it was live.
fn dated<T: Stored>(deleted: &Deleted<T>, body: Value, site: &Site) -> Value {
    let path = format!("/{}/{}", T::KIND.deleted_collection(), deleted.object.name);
    let mut json = json!({
        "recoveryId": site.url(&path),
        "deletedDate": deleted.at,
        "scheduledPurgeDate": deleted.purge_at(),
    });
    if let (Value::Object(json), Value::Object(body)) = (&mut json, body) {
        json.extend(body);
    }
    json
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::StatusCode;
    use time::Duration;

    use super::super::Import;
    use super::super::testing::*;
    use super::*;
    use crate::names::VAULT;

    const API: &str = "api-version=2025-07-01";

    fn call(lab: &mut Lab, method: Method, path: &str) -> (StatusCode, Value) {
        lab.ask(method, &format!("{path}?{API}"), &json!(null))
    }

    fn delete(lab: &mut Lab, path: &str) -> Value {
        let (status, body) = call(lab, Method::DELETE, path);
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    fn code(body: &Value) -> &str {
        let error = &body["error"];
        error["innererror"]["code"].as_str().or(error["code"].as_str()).unwrap()
    }

    /// A vault with a certificate of two versions, a bare key and a plain secret.
    fn lab() -> Lab {
        let mut lab = Lab::new();
        lab.import("Ca", Import::new(ca_pem()).tags([("keyholder", "*")]));
        lab.import("Ca", Import::new(ca_pem()).tags([("keyholder", "*")]));
        lab.ask(Method::PUT, "/secrets/plain?api-version=7.4", &json!({ "value": "v", "contentType": "t" }));
        lab.ask(Method::POST, "/keys/bare/create?api-version=7.4", &json!({ "kty": "EC" }));
        lab
    }

    #[test]
    fn a_deleted_certificate_says_until_when_and_how_it_comes_back() {
        let mut lab = lab();
        let before = lab.read("/certificates/ca");
        let deleted = delete(&mut lab, "/certificates/ca");
        let expected = ["recoveryId", "deletedDate", "scheduledPurgeDate", "id", "kid", "sid"];
        assert_eq!(names(&deleted)[..6], expected);
        assert_eq!(deleted["recoveryId"], format!("https://{HOST}/deletedcertificates/Ca"));
        assert_eq!(deleted["deletedDate"], NOW.unix_timestamp());
        assert_eq!(deleted["scheduledPurgeDate"], (NOW + Duration::days(90)).unix_timestamp());
        for (member, value) in before.as_object().unwrap() {
            assert_eq!(&deleted[member], value, "{member}");
        }
        assert_eq!(lab.read("/deletedcertificates/CA"), deleted);
    }

    #[test]
    fn what_is_deleted_is_missing_everywhere_else() {
        let mut lab = lab();
        delete(&mut lab, "/certificates/ca");
        for (method, path, missing) in [
            (Method::GET, "/certificates/ca", "CertificateNotFound"),
            (Method::GET, "/certificates/ca/versions", "CertificateNotFound"),
            (Method::PATCH, "/certificates/ca", "CertificateNotFound"),
            (Method::DELETE, "/certificates/ca", "CertificateNotFound"),
            (Method::GET, "/keys/ca", "KeyNotFound"),
            (Method::POST, "/keys/ca//sign", "KeyNotFound"),
            (Method::GET, "/secrets/ca", "SecretNotFound"),
        ] {
            let (status, body) = lab.ask(method, &format!("{path}?{API}"), &json!({}));
            assert_eq!((status, code(&body)), (StatusCode::NOT_FOUND, missing), "{path}");
        }
        assert!(lab.walk(&format!("/certificates?{API}")).1.is_empty());
    }

    #[test]
    fn the_name_of_a_deleted_object_cannot_be_used_again() {
        let mut lab = lab();
        for path in ["/certificates/ca", "/secrets/plain", "/keys/bare"] {
            delete(&mut lab, path);
        }
        let import = json!({ "value": ca_pem() });
        let create = json!({ "policy": {
            "issuer": { "name": "Self" }, "key_props": { "kty": "EC" }, "x509_props": { "subject": "CN=a" },
        }});
        let key = json!({ "kty": "EC" });
        for (method, path, body) in [
            (Method::POST, "/certificates/ca/import", &import),
            (Method::POST, "/certificates/CA/create", &create),
            (Method::POST, "/certificates/plain/import", &import),
            (Method::POST, "/certificates/bare/import", &import),
            (Method::PUT, "/secrets/plain", &json!({ "value": "v" })),
            (Method::POST, "/keys/bare/create", &key),
            (Method::PUT, "/keys/bare", &json!({ "key": private_jwk(&p256()) })),
        ] {
            let (status, body) = lab.ask(method, &format!("{path}?{API}"), body);
            assert_eq!(
                (status, &body["error"]["code"]),
                (StatusCode::CONFLICT, &json!("Conflict")),
                "{path}"
            );
            assert_eq!(code(&body), "ObjectIsDeletedButRecoverable");
        }
    }

    #[test]
    fn recovery_brings_every_version_back_with_key_and_secret() {
        let mut lab = lab();
        let paths = ["/certificates/ca", "/keys/ca", "/secrets/ca"];
        let before = paths.map(|path| (lab.read(path), lab.read(&format!("{path}/versions"))));
        delete(&mut lab, "/certificates/ca");
        let (status, recovered) = call(&mut lab, Method::POST, "/deletedcertificates/ca/recover");
        assert_eq!((status, &recovered), (StatusCode::OK, &before[0].0));
        let after = paths.map(|path| (lab.read(path), lab.read(&format!("{path}/versions"))));
        assert_eq!(after, before);
        assert_eq!(call(&mut lab, Method::GET, "/deletedcertificates/ca").0, StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_purged_object_is_gone_and_its_name_is_free() {
        let mut lab = lab();
        delete(&mut lab, "/certificates/ca");
        let (status, body) = call(&mut lab, Method::DELETE, "/deletedcertificates/ca");
        assert_eq!((status, body), (StatusCode::NO_CONTENT, Value::Null));
        for (path, missing) in [
            ("/deletedcertificates/ca", "CertificateNotFound"),
            ("/deletedkeys/ca", "KeyNotFound"),
            ("/deletedsecrets/ca", "SecretNotFound"),
        ] {
            let (status, body) = call(&mut lab, Method::GET, path);
            assert_eq!((status, code(&body)), (StatusCode::NOT_FOUND, missing));
        }
        lab.import("ca", Import::new(ca_pem()));
        assert_eq!(lab.walk(&format!("/certificates/ca/versions?{API}")).1.len(), 1);
    }

    #[test]
    fn after_ninety_days_there_is_nothing_to_recover() {
        let mut lab = lab();
        delete(&mut lab, "/certificates/ca");
        delete(&mut lab, "/secrets/plain");
        lab.now = NOW + Duration::days(90) - Duration::SECOND;
        lab.read("/deletedcertificates/ca");
        lab.now += Duration::SECOND;
        for path in
            ["/deletedcertificates/ca", "/deletedkeys/ca", "/deletedsecrets/ca", "/deletedsecrets/plain"]
        {
            assert_eq!(call(&mut lab, Method::GET, path).0, StatusCode::NOT_FOUND, "{path}");
        }
        lab.import("ca", Import::new(ca_pem()));
    }

    #[test]
    fn secrets_and_bare_keys_come_and_go_the_same_way() {
        let mut lab = lab();
        for (live, deleted_path, without) in [
            ("/secrets/plain", "/deletedsecrets/plain", Some("value")),
            ("/keys/bare", "/deletedkeys/bare", None),
        ] {
            let before = lab.read(live);
            let deleted = delete(&mut lab, live);
            assert_eq!(deleted["recoveryId"], format!("https://{HOST}{deleted_path}"));
            assert_eq!(deleted["scheduledPurgeDate"], (NOW + Duration::days(90)).unix_timestamp());
            assert!(deleted.get("value").is_none());
            assert_eq!(lab.read(deleted_path), deleted);
            let (status, mut recovered) = call(&mut lab, Method::POST, &format!("{deleted_path}/recover"));
            assert_eq!(status, StatusCode::OK);
            if let Some(member) = without {
                assert!(recovered.get(member).is_none());
                recovered[member] = before[member].clone();
            }
            assert_eq!(recovered, before);
            delete(&mut lab, live);
            assert_eq!(call(&mut lab, Method::DELETE, deleted_path).0, StatusCode::NO_CONTENT);
            assert_eq!(
                call(&mut lab, Method::POST, &format!("{deleted_path}/recover")).0,
                StatusCode::NOT_FOUND
            );
        }
    }

    #[test]
    fn a_certificates_key_and_secret_follow_it_and_nothing_else() {
        let mut lab = lab();
        let refused = |lab: &mut Lab, method: Method, path: &str, inner: &str| {
            let (status, body) = call(lab, method, path);
            assert_eq!((status, code(&body)), (StatusCode::FORBIDDEN, inner), "{path}");
        };
        refused(&mut lab, Method::DELETE, "/keys/ca", "KeyManagedByKeyVault");
        refused(&mut lab, Method::DELETE, "/secrets/ca", "SecretManagedByKeyVault");
        delete(&mut lab, "/certificates/ca");
        assert_eq!(lab.read("/deletedkeys/ca")["managed"], true);
        assert_eq!(lab.read("/deletedsecrets/ca")["managed"], true);
        refused(&mut lab, Method::POST, "/deletedkeys/ca/recover", "KeyManagedByKeyVault");
        refused(&mut lab, Method::DELETE, "/deletedsecrets/ca", "SecretManagedByKeyVault");
    }

    #[test]
    fn deleted_objects_are_listed_in_pages_without_those_of_certificates() {
        let mut lab = lab();
        let import = Import::new(ca_pem());
        for number in 0..30 {
            let name = format!("ca-{number:02}");
            lab.import(&name, import.clone());
            lab.world.key_vaults.delete_certificate(VAULT, &name, NOW).unwrap();
        }
        let (sizes, listed) = lab.walk(&format!("/deletedcertificates?{API}"));
        assert_eq!(sizes, [25, 5]);
        assert_eq!(
            names(&listed[0]),
            ["recoveryId", "deletedDate", "scheduledPurgeDate", "id", "x5t", "attributes", "tags"]
        );
        assert_eq!(listed[29]["id"], format!("https://{HOST}/certificates/ca-29"));
        assert!(lab.walk(&format!("/deletedkeys?{API}")).1.is_empty());
        delete(&mut lab, "/keys/bare");
        delete(&mut lab, "/secrets/plain");
        let (_, keys) = lab.walk(&format!("/deletedkeys?{API}"));
        assert_eq!(keys[0]["kid"], format!("https://{HOST}/keys/bare"));
        let (_, secrets) = lab.walk(&format!("/deletedsecrets?{API}"));
        assert_eq!((secrets.len(), &secrets[0]["contentType"]), (1, &json!("t")));
    }
}
