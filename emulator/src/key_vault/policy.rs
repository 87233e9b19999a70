//! The policy of a certificate: what the vault would need to make another one like it.
//!
//! Of an import, the service writes down what the certificate says of itself, and so does this.

use openssl::error::ErrorStack;
use openssl::x509::{X509, X509ExtendedKeyUsage, X509KeyUsage, X509NameRef};
use serde_json::{Value, json};

use super::certificates::Certificate;
use super::jwk;
use super::object::Version;

/// The policy of a version, under its id.
pub(super) fn of(id: &str, version: &Version<Certificate>) -> Result<Value, ErrorStack> {
    let Certificate { leaf, exportable, secret_type } = &version.content;
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
    let days = leaf.not_before().diff(leaf.not_after())?.days;
    Ok(json!({
        "id": id,
        "key_props": key_props,
        "secret_props": { "contentType": secret_type.name() },
        "x509_props": {
            "subject": subject(leaf.subject_name()),
            "ekus": extended_key_usage(leaf),
            "key_usage": key_usage(leaf),
            "validity_months": i64::from(days) * 12 / 365,
        },
        "lifetime_actions": [],
        "issuer": { "name": "Unknown" },
        "attributes": version.attributes.of_policy(),
    }))
}

/// A name as people read it, most specific part first.
fn subject(name: &X509NameRef) -> String {
    let mut parts: Vec<String> = name
        .entries()
        .map(|entry| {
            let object = entry.object();
            let key = object.nid().short_name().map_or_else(|_| object.to_string(), str::to_owned);
            let value = entry.data().to_string().unwrap_or_default();
            if value.contains([',', '+', '"', '=', ';', '<', '>', '\n']) {
                format!("{key}=\"{}\"", value.replace('"', "\"\""))
            } else {
                format!("{key}={value}")
            }
        })
        .collect();
    parts.reverse();
    parts.join(", ")
}

fn key_usage(leaf: &X509) -> Vec<&'static str> {
    let usage = leaf.key_usage().unwrap_or(X509KeyUsage::empty());
    [
        (X509KeyUsage::DIGITAL_SIGNATURE, "digitalSignature"),
        (X509KeyUsage::NON_REPUDIATION, "nonRepudiation"),
        (X509KeyUsage::KEY_ENCIPHERMENT, "keyEncipherment"),
        (X509KeyUsage::DATA_ENCIPHERMENT, "dataEncipherment"),
        (X509KeyUsage::KEY_AGREEMENT, "keyAgreement"),
        (X509KeyUsage::KEY_CERT_SIGN, "keyCertSign"),
        (X509KeyUsage::CRL_SIGN, "cRLSign"),
        (X509KeyUsage::ENCIPHER_ONLY, "encipherOnly"),
        (X509KeyUsage::DECIPHER_ONLY, "decipherOnly"),
    ]
    .into_iter()
    .filter_map(|(flag, name)| usage.contains(flag).then_some(name))
    .collect()
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
