//! The vault against what is documented of the real one: the shapes of its answers, its errors, and signatures that
//! were checked by others.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use openssl::hash::{MessageDigest, hash};
use openssl::pkey::{PKey, Public};
use openssl::sign::Verifier;
use openssl::x509::X509;
use serde_json::{Value, json};

use super::testing::*;
use super::{Changes, ContentType, Import, KeyOperation, NewSecret, certificates};
use crate::ground::jose;
use crate::names::VAULT;
use crate::steering::faults::{Calls, Effect, Fault};
use crate::steering::operation::Operation;

const API: &str = "api-version=2025-07-01";

fn documented(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn shapes() -> Value {
    documented(include_str!("../../../../tests/fixtures/keyvault/shapes.json"))
}

/// Every documented member is there, with a value of the same kind. Ours may have more: the real ones do too.
fn assert_has(ours: &Value, documented: &Value, path: &str) {
    match documented {
        Value::Object(members) => {
            for (name, value) in members {
                let found = ours.get(name).unwrap_or_else(|| panic!("{path}/{name} is missing: {ours}"));
                assert_has(found, value, &format!("{path}/{name}"));
            }
        }
        Value::Array(items) => {
            let ours = ours.as_array().unwrap_or_else(|| panic!("{path} is no list: {ours}"));
            if let (Some(item), Some(ours)) = (items.first(), ours.first()) {
                assert_has(ours, item, &format!("{path}/0"));
            }
        }
        Value::String(text) => {
            let ours = ours.as_str().unwrap_or_else(|| panic!("{path} is no text: {ours}"));
            assert_eq!(form(ours), form(text), "{path}");
        }
        Value::Number(_) => assert!(ours.is_number(), "{path}: {ours}"),
        Value::Bool(_) => assert!(ours.is_boolean(), "{path}: {ours}"),
        Value::Null => assert!(ours.is_null(), "{path}: {ours}"),
    }
}

/// Of a URL, how many segments its path has and which of them are ids; of other text nothing.
fn form(text: &str) -> Option<Vec<bool>> {
    let path = text.strip_prefix("https://")?.split('?').next()?;
    let is_id = |segment: &str| segment.len() == 32 && segment.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some(path.split('/').map(is_id).collect())
}

#[test]
fn answers_have_the_documented_members() {
    let shapes = shapes();
    let mut lab = Lab::new();
    let key = p256();
    let (rsa, elliptic) = (rsa_key(), pem(&key, &ca(&key)));
    lab.import("factory-ca", Import::new(pem(&rsa, &ca(&rsa))).exportable(false));
    lab.import("factory-ec", Import::new(elliptic.clone()));
    lab.import("factory-pfx", Import::new(elliptic).content_type(ContentType::Pkcs12));
    let create = json!({ "policy": {
        "issuer": { "name": "Self" },
        "key_props": { "kty": "RSA", "key_size": 2048, "exportable": false },
        "secret_props": { "contentType": "application/x-pem-file" },
        "x509_props": { "subject": "CN=Made", "basic_constraints": { "ca": true } },
    }});
    lab.ask(Method::POST, &format!("/certificates/made/create?{API}"), &create);
    let stamp = lab.stamp();
    let secret = NewSecret::new("v").content_type("text/plain");
    lab.world.key_vaults.set_secret(VAULT, "name", secret, stamp).unwrap();
    for (shape, path) in [
        ("get_secret_plain_200", "/secrets/name"),
        ("get_secret_certificate_backed_pem_200", "/secrets/factory-ca"),
        ("get_secret_certificate_backed_pkcs12_200", "/secrets/factory-pfx"),
        ("list_certificate_versions_200", "/certificates/factory-ca/versions"),
        ("get_certificate_200", "/certificates/made"),
        ("get_key_rsa_200", "/keys/factory-ca"),
        ("get_key_ec_200", "/keys/factory-ec"),
    ] {
        assert_has(&lab.read(path), &shapes[shape]["body"], shape);
    }
    let (_, page) = lab.get(&format!("/certificates?{API}&maxresults=1"));
    assert_has(&page, &shapes["list_certificates_200"]["body"], "list_certificates_200");
    assert!(page["nextLink"].as_str().unwrap().contains("$skiptoken="));
    let digest = json!({ "alg": "RS256", "value": jose::base64url([7; 32]) });
    let (_, signed) = lab.ask(Method::POST, &format!("/keys/factory-ca//sign?{API}"), &digest);
    assert_has(&signed, &shapes["sign_200"]["body"], "sign_200");

    let stranger = http::Request::get(format!("/secrets?{API}")).header("Host", HOST);
    let challenge = lab.send(&stranger.body(bytes::Bytes::new()).unwrap());
    let documented = &shapes["challenge_401"];
    assert_eq!(json(&challenge), documented["body"]);
    let parts = |text: &str| text.split('"').step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let header = challenge.headers()["www-authenticate"].to_str().unwrap();
    assert_eq!(parts(header), parts(documented["headers"]["WWW-Authenticate"].as_str().unwrap()));
    assert_eq!(challenge.headers()["content-type"], documented["headers"]["Content-Type"].as_str().unwrap());
}

/// What the vault says when that happens.
fn met(when: &str) -> (StatusCode, Value) {
    let mut lab = Lab::new();
    let sign = |lab: &mut Lab| {
        let digest = json!({ "alg": "ES256", "value": jose::base64url([7; 32]) });
        lab.ask(Method::POST, &format!("/keys/ca//sign?{API}"), &digest)
    };
    lab.import("ca", Import::new(ca_pem()));
    let stamp = lab.stamp();
    lab.world.key_vaults.set_secret(VAULT, "secret", NewSecret::new("v"), stamp).unwrap();
    match when {
        "token for another audience" => {
            let token = lab.world.identity.mint("https://management.azure.com/", NOW);
            let request = http::Request::get(format!("/secrets?{API}"))
                .header("Host", HOST)
                .header("Authorization", format!("Bearer {token}"));
            let response = lab.send(&request.body(bytes::Bytes::new()).unwrap());
            (response.status(), json(&response))
        }
        "no role (RBAC vault)" => {
            lab.world.faults.add(fault(Operation::Sign, Effect::Answer(403)));
            sign(&mut lab)
        }
        "operation missing from key_ops" => {
            let verify = [KeyOperation::Verify];
            lab.world.key_vaults.set_key_operations(VAULT, "ca", &verify, NOW).unwrap();
            sign(&mut lab)
        }
        "disabled secret" => {
            lab.world.key_vaults.update_secret(VAULT, "secret", Changes::enabled(false), NOW).unwrap();
            lab.get(&format!("/secrets/secret?{API}"))
        }
        "unknown name" => lab.get(&format!("/secrets/none?{API}")),
        "name is soft-deleted" => {
            lab.ask(Method::DELETE, &format!("/secrets/secret?{API}"), &Value::Null);
            lab.ask(Method::PUT, &format!("/secrets/secret?{API}"), &json!({ "value": "v" }))
        }
        "throttled (no Retry-After seen)" => {
            lab.world.faults.add(fault(Operation::Sign, Effect::Throttle { retry_after: None }));
            sign(&mut lab)
        }
        other => panic!("nobody tried: {other}"),
    }
}

fn fault(operation: Operation, effect: Effect) -> Fault {
    Fault { operation, object: None, calls: Calls::Always, effect }
}

#[test]
fn refusals_are_the_documented_ones() {
    // Vaults here ask for roles, and have no access policies and no firewall.
    let not_emulated = ["no permission (access-policy vault)", "vault firewall"];
    for documented in shapes()["errors"].as_array().unwrap() {
        let when = documented["when"].as_str().unwrap();
        if not_emulated.contains(&when) {
            continue;
        }
        let (status, body) = met(when);
        let (error, expected) = (&body["error"], &documented["body"]["error"]);
        assert_eq!(status.as_u16(), documented["status"], "{when}");
        let codes: Vec<_> = expected["code"].as_str().unwrap().split(" | ").collect();
        assert!(codes.contains(&error["code"].as_str().unwrap()), "{when}: {error}");
        assert_eq!(error["innererror"], expected["innererror"], "{when}");
        let message = error["message"].as_str().unwrap();
        let parts = expected["message"].as_str().unwrap().split("...").flat_map(|part| part.split("NAME"));
        for part in parts.filter(|part| part.len() > 3) {
            // Who is refused what is the fault's, or the caller's, own.
            let part = part.split("Action:").next().unwrap().trim_end_matches("'\r\n");
            assert!(message.contains(part), "{when}: {part:?} is not in {message:?}");
        }
    }
}

/// The signatures of CAs whose private keys nobody has any more, with everything that led to them.
fn vectors() -> Vec<Value> {
    let file = documented(include_str!("../../../../tests/fixtures/keyvault/sign-vectors.json"));
    file["vectors"].as_array().unwrap().clone()
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

#[test]
fn a_certificate_gives_the_thumbprint_and_the_key_that_others_found() {
    for vector in vectors() {
        let ca = X509::from_der(&bytes(&vector["ca_cer_base64"])).unwrap();
        assert_eq!(certificates::x5t(&ca), vector["ca_x5t"], "{}", vector["name"]);
        let ours = crate::ground::jwk::public_half(&ca.public_key().unwrap()).unwrap();
        for (member, value) in ours.as_object().unwrap() {
            assert_eq!(&vector["get_key_response"]["key"][member], value, "{} {member}", vector["name"]);
        }
    }
}

/// Whether a signature as a vault answers it is one of the bytes.
fn verifies(key: &PKey<Public>, algorithm: &str, raw: &[u8], tbs: &[u8]) -> bool {
    let digest = if algorithm.ends_with("384") { MessageDigest::sha384() } else { MessageDigest::sha256() };
    match key.ec_key() {
        Ok(key) => jose::ecdsa_verify(&key, &hash(digest, tbs).unwrap(), raw),
        Err(_) => Verifier::new(digest, key).unwrap().verify_oneshot(raw, tbs).unwrap(),
    }
}

#[test]
fn signatures_others_made_verify_and_ours_are_like_them() {
    for vector in vectors() {
        let name = vector["name"].as_str().unwrap();
        let (request, tbs) = (&vector["sign_request"], bytes(&vector["tbs_base64"]));
        let algorithm = request["alg"].as_str().unwrap();
        let theirs = jose::from_base64url(vector["sign_response"]["value"].as_str().unwrap()).unwrap();
        let ca = X509::from_der(&bytes(&vector["ca_cer_base64"])).unwrap();
        assert!(verifies(&ca.public_key().unwrap(), algorithm, &theirs, &tbs), "{name}");
        let mut changed = tbs.clone();
        changed[40] ^= 1;
        assert!(!verifies(&ca.public_key().unwrap(), algorithm, &theirs, &changed), "{name}");

        // The same question to a key of the same family.
        let key = match ca.public_key().unwrap().ec_key() {
            Ok(key) => ec_key(key.group().curve_name().unwrap()),
            Err(_) => rsa_key(),
        };
        let mut lab = Lab::new();
        lab.import("factory-ca", Import::new(pem(&key, &super::testing::ca(&key))));
        let (status, answer) = lab.ask(Method::POST, &format!("/keys/factory-ca//sign?{API}"), request);
        assert_eq!(status, StatusCode::OK, "{name}: {answer}");
        let ours = jose::from_base64url(answer["value"].as_str().unwrap()).unwrap();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
        assert!(verifies(&public, algorithm, &ours, &tbs), "{name}");
    }
}
