//! The policy of a certificate: what the vault would need to make another one like it.
//!
//! Of an import, the service writes down what the certificate says of itself, and so does this, also of what
//! was made here. Nothing renews itself, so there are no lifetime actions.

use openssl::error::ErrorStack;
use openssl::x509::{X509, X509ExtendedKeyUsage};
use serde_json::{Value, json};

use super::content::Certificate;
use super::key_usage::Usage;
use super::object::Version;
use super::subject;
use crate::ground::jwk;

/// The policy of a version, under its id.
pub(super) fn of(id: &str, version: &Version<Certificate>) -> Result<Value, ErrorStack> {
    let Certificate { leaf, exportable, secret_type, request } = &version.content;
    let public = leaf.public_key()?;
    let jwk = jwk::public_half(&public)?;
    let mut key_props = json!({
        "exportable": exportable,
        "kty": jwk["kty"],
        "key_size": public.bits(),
        "reuse_key": false,
    });
    if let Some(curve) = jwk.get("crv") {
        key_props["crv"] = curve.clone();
    }
    let mut x509_props = json!({
        "subject": subject::to_text(leaf.subject_name()),
        "ekus": extended_key_usage(leaf),
        "key_usage": Usage::of(leaf).map(|usage| usage.name).collect::<Vec<_>>(),
        "validity_months": months(i64::from(leaf.not_before().diff(leaf.not_after())?.days)),
    });
    if let Some(request) = request {
        x509_props["basic_constraints"] = json!({ "ca": request.is_ca });
    }
    Ok(json!({
        "id": id,
        "key_props": key_props,
        "secret_props": { "contentType": secret_type.name() },
        "x509_props": x509_props,
        "lifetime_actions": [],
        "issuer": { "name": if request.is_some() { "Self" } else { "Unknown" } },
        "attributes": version.attributes.of_policy(),
    }))
}

/// The nearest number of months: 400 years are 146,097 days and 4,800 months.
fn months(days: i64) -> i64 {
    (days * 4_800 + 146_097 / 2) / 146_097
}

/// The purposes OpenSSL knows; others are not listed.
fn extended_key_usage(leaf: &X509) -> Vec<&'static str> {
    let usage = leaf.extended_key_usage().unwrap_or(X509ExtendedKeyUsage::empty());
    [
        (X509ExtendedKeyUsage::SSL_SERVER, "1.3.6.1.5.5.7.3.1"),
        (X509ExtendedKeyUsage::SSL_CLIENT, "1.3.6.1.5.5.7.3.2"),
        (X509ExtendedKeyUsage::CODE_SIGN, "1.3.6.1.5.5.7.3.3"),
        (X509ExtendedKeyUsage::SMIME, "1.3.6.1.5.5.7.3.4"),
        (X509ExtendedKeyUsage::TIMESTAMP, "1.3.6.1.5.5.7.3.8"),
        (X509ExtendedKeyUsage::OCSP_SIGN, "1.3.6.1.5.5.7.3.9"),
    ]
    .into_iter()
    .filter_map(|(flag, oid)| usage.contains(flag).then_some(oid))
    .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Import;
    use super::super::testing::*;
    use super::*;

    #[test]
    fn a_validity_is_told_in_the_nearest_months() {
        for (days, expected) in [(28, 1), (31, 1), (59, 2), (365, 12), (366, 12), (3652, 120), (36525, 1200)]
        {
            assert_eq!(months(days), expected, "{days}");
        }
    }

    #[test]
    fn the_policy_tells_what_the_certificate_is() {
        let mut lab = Lab::new();
        let key = ec_key(openssl::nid::Nid::SECP384R1);
        lab.import("ca", Import::new(pem(&key, &ca(&key))));
        let policy = lab.read("/certificates/ca")["policy"].take();
        assert_eq!(policy["id"], format!("https://{HOST}/certificates/ca/policy"));
        assert_eq!(
            policy["key_props"],
            json!({ "exportable": true, "kty": "EC", "key_size": 384, "reuse_key": false, "crv": "P-384" })
        );
        assert_eq!(policy["secret_props"], json!({ "contentType": "application/x-pem-file" }));
        assert_eq!(
            policy["x509_props"],
            json!({
                "subject": "CN=Factory CA, O=\"Contoso, Ltd\"",
                "ekus": [],
                "key_usage": ["keyCertSign", "cRLSign"],
                "validity_months": 120,
            })
        );
        assert_eq!(policy["issuer"], json!({ "name": "Unknown" }));
        assert_eq!(names(&policy["attributes"]), ["enabled", "created", "updated"]);
    }
}
