//! A key on its way into a vault, without a certificate: made there, or brought as a JSON Web Key.

use openssl::pkey::{PKey, Private};
use serde_json::Value;

use super::key_operation::KeyOperation;
use super::key_spec::KeySpec;
use super::object::Changes;
use super::private_jwk;
use super::refusal::Refusal;
use crate::ground::hidden::Hidden;

/// A key to store.
#[derive(Clone, Debug)]
pub(super) struct NewKey {
    pub(super) private: Hidden<PKey<Private>>,
    pub(super) operations: Vec<KeyOperation>,
    pub(super) changes: Changes,
}

/// A key to make.
#[derive(Clone, Debug)]
pub(super) struct KeyWish {
    spec: KeySpec,
    operations: Option<Vec<KeyOperation>>,
    changes: Changes,
}

impl KeyWish {
    /// The key a request wants made. What its type cannot do is refused before it is made.
    pub(super) fn read(body: &Value) -> Result<KeyWish, Refusal> {
        if body["kty"].is_null() {
            return Err(Refusal::bad_parameter("Property 'kty' is required: RSA or EC."));
        }
        let (spec, operations) = (KeySpec::read(body)?, KeyOperation::read(&body["key_ops"])?);
        let changes = Changes::read(body)?;
        if let Some(operations) = &operations {
            KeyOperation::check(operations, spec.is_rsa())?;
        }
        Ok(KeyWish { spec, operations, changes })
    }

    /// Makes it, which takes its time.
    pub(super) fn fulfil(self) -> Result<NewKey, Refusal> {
        NewKey::new(self.spec.generate()?, self.operations, self.changes)
    }
}

impl NewKey {
    /// The key a request brings.
    pub(super) fn import(body: &Value) -> Result<NewKey, Refusal> {
        let key = &body["key"];
        NewKey::new(
            private_jwk::private_key(key)?,
            KeyOperation::read(&key["key_ops"])?,
            Changes::read(body)?,
        )
    }

    /// Unless told what it may do, it may do everything its type can.
    fn new(
        private: PKey<Private>,
        operations: Option<Vec<KeyOperation>>,
        changes: Changes,
    ) -> Result<NewKey, Refusal> {
        let operations = operations.unwrap_or_else(|| KeyOperation::possible(private.rsa().is_ok()).to_vec());
        KeyOperation::check(&operations, private.rsa().is_ok())?;
        Ok(NewKey { private: Hidden(private), operations, changes })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::{Method, StatusCode};
    use openssl::sha::sha256;
    use serde_json::json;

    use super::super::Import;
    use super::super::testing::*;
    use super::*;
    use crate::ground::jose;

    fn create(lab: &mut Lab, name: &str, body: &Value) -> (StatusCode, Value) {
        lab.ask(Method::POST, &format!("/keys/{name}/create?api-version=2025-07-01"), body)
    }

    #[test]
    fn a_key_can_be_made_without_a_certificate() {
        let mut lab = Lab::new();
        let body = json!({
            "kty": "EC",
            "crv": "P-384",
            "attributes": { "exp": 1_900_000_000 },
            "tags": { "line": "1" },
        });
        let (status, made) = create(&mut lab, "bare", &body);
        assert_eq!(status, StatusCode::OK, "{made}");
        assert_eq!(names(&made), ["key", "attributes", "tags"]);
        assert_eq!(
            (&made["key"]["crv"], &made["key"]["key_ops"]),
            (&json!("P-384"), &json!(["sign", "verify"]))
        );
        assert_eq!(made["attributes"]["exp"], 1_900_000_000);
        assert_eq!(made["attributes"]["exportable"], false);
        assert_eq!(made["tags"], json!({ "line": "1" }));
        assert_eq!(lab.read("/keys/bare"), made);
        let (_, listed) = lab.walk("/keys?api-version=7.4");
        assert_eq!(names(&listed[0]), ["kid", "attributes", "tags"]);
        assert_eq!(lab.get("/certificates/bare?api-version=7.4").0, StatusCode::NOT_FOUND);
        assert_eq!(lab.get("/secrets/bare?api-version=7.4").0, StatusCode::NOT_FOUND);
    }

    #[test]
    fn an_rsa_key_may_do_everything_unless_told_otherwise() {
        let mut lab = Lab::new();
        let (_, made) = create(&mut lab, "all", &json!({ "kty": "RSA", "key_size": 2048 }));
        assert_eq!(
            made["key"]["key_ops"],
            json!(["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"])
        );
        assert_eq!(jose::from_base64url(made["key"]["n"].as_str().unwrap()).unwrap().len(), 256);
        let (_, made) = create(&mut lab, "ec", &json!({ "kty": "EC", "key_ops": ["verify"] }));
        assert_eq!(made["key"]["key_ops"], json!(["verify"]));
    }

    #[test]
    fn an_imported_key_signs_as_its_owner_would() {
        let mut lab = Lab::new();
        let key = p256();
        let mut jwk = private_jwk(&key);
        jwk["key_ops"] = json!(["sign"]);
        let (status, imported) = lab.ask(Method::PUT, "/keys/own?api-version=7.4", &json!({ "key": jwk }));
        assert_eq!(status, StatusCode::OK, "{imported}");
        assert_eq!(names(&imported["key"]), ["kty", "crv", "x", "y", "kid", "key_ops"]);
        let digest = sha256(b"tbs");
        let body = json!({ "alg": "ES256", "value": jose::base64url(digest) });
        let (_, signed) = lab.ask(Method::POST, "/keys/own//sign?api-version=7.4", &body);
        let signature = jose::from_base64url(signed["value"].as_str().unwrap()).unwrap();
        assert!(jose::ecdsa_verify(&key.ec_key().unwrap(), &digest, &signature));
    }

    #[test]
    fn a_key_of_the_same_name_is_a_new_version() {
        let mut lab = Lab::new();
        create(&mut lab, "bare", &json!({ "kty": "EC" }));
        lab.ask(Method::PUT, "/keys/Bare?api-version=7.4", &json!({ "key": private_jwk(&rsa_key()) }));
        assert_eq!(lab.walk("/keys/bare/versions?api-version=7.4").1.len(), 2);
        assert_eq!(lab.read("/keys/bare")["key"]["kty"], "RSA");
    }

    #[test]
    fn what_no_vault_would_keep_is_refused() {
        let mut lab = Lab::new();
        let key = private_jwk(&p256());
        for (path, method, body) in [
            ("/keys/a/create", Method::POST, json!({})),
            ("/keys/a/create", Method::POST, json!({ "kty": "oct" })),
            ("/keys/a/create", Method::POST, json!({ "kty": "EC", "key_ops": ["encrypt"] })),
            ("/keys/a/create", Method::POST, json!({ "kty": "EC", "tags": 1 })),
            ("/keys/a_b/create", Method::POST, json!({ "kty": "EC" })),
            ("/keys/a", Method::PUT, json!({})),
            ("/keys/a", Method::PUT, json!({ "key": { "kty": "EC", "crv": "P-256" } })),
            ("/keys/a_b", Method::PUT, json!({ "key": key })),
        ] {
            let (status, answer) = lab.ask(method, &format!("{path}?api-version=7.4"), &body);
            assert_eq!(
                (status, &answer["error"]["code"]),
                (StatusCode::BAD_REQUEST, &json!("BadParameter")),
                "{body}"
            );
        }
    }

    #[test]
    fn keys_and_certificates_do_not_take_each_others_names() {
        let mut lab = Lab::new();
        lab.import("ca", Import::new(ca_pem()));
        let (status, body) = create(&mut lab, "ca", &json!({ "kty": "EC" }));
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(body["error"]["innererror"]["code"], "KeyManagedByKeyVault");
        create(&mut lab, "bare", &json!({ "kty": "EC" }));
        let import = json!({ "value": ca_pem() });
        let (status, _) = lab.ask(Method::POST, "/certificates/bare/import?api-version=7.4", &import);
        assert_eq!(status, StatusCode::CONFLICT);
    }
}
