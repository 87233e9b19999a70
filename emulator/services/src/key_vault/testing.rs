//! A vault to test against: a world, a caller with a token, and certificates to put in it.

use bytes::Bytes;
use http::{Method, StatusCode};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, BigNumRef};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, KeyUsage};
use openssl::x509::{X509, X509NameBuilder};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;

use super::{Import, Stamp};
use crate::ground::exchange::{Request, Response};
use crate::ground::jose;
use crate::ground::jwk;
use crate::names::VAULT;
use crate::world::World;

pub(super) const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
pub(super) const NOT_BEFORE: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);
pub(super) const NOT_AFTER: OffsetDateTime = datetime!(2036-01-01 0:00 UTC);
pub(super) const HOST: &str = "my-vault.vault.localhost:8443";
pub(super) const AUDIENCE: &str = "https://vault.localhost:8443";

/// A world with the tutorial's vault, and a caller at a certain time.
pub(super) struct Lab {
    pub(super) world: World,
    pub(super) now: OffsetDateTime,
}

impl Lab {
    pub(super) fn new() -> Lab {
        Lab { world: World::tutorial(7), now: NOW }
    }

    pub(super) fn request(&self, method: Method, target: &str, body: Option<&Value>) -> Request {
        let token = self.world.identity.mint(AUDIENCE, self.now);
        http::Request::builder()
            .method(method)
            .uri(target)
            .header("Host", HOST)
            .header("Authorization", format!("Bearer {token}"))
            .body(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default())
            .unwrap()
    }

    pub(super) fn send(&mut self, request: &Request) -> Response {
        self.world.handle(request, self.now)
    }

    pub(super) fn ask(&mut self, method: Method, target: &str, body: &Value) -> (StatusCode, Value) {
        let response = self.send(&self.request(method, target, Some(body)));
        (response.status(), json(&response))
    }

    pub(super) fn get(&mut self, target: &str) -> (StatusCode, Value) {
        let response = self.send(&self.request(Method::GET, target, None));
        (response.status(), json(&response))
    }

    /// The body of a successful GET.
    pub(super) fn read(&mut self, path: &str) -> Value {
        let (status, body) = self.get(&format!("{path}?api-version=2025-07-01"));
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub(super) fn stamp(&mut self) -> Stamp {
        Stamp::new(self.now, &mut self.world.random)
    }

    pub(super) fn import(&mut self, name: &str, import: Import) {
        let stamp = self.stamp();
        self.world.key_vaults.import_certificate(VAULT, name, import, stamp).unwrap();
    }

    /// Follows a list to its end; the sizes of its pages, and its items.
    pub(super) fn walk(&mut self, path: &str) -> (Vec<usize>, Vec<Value>) {
        let mut next = Some(format!("https://{HOST}{path}"));
        let (mut sizes, mut items) = (Vec::new(), Vec::new());
        while let Some(target) = next {
            let (status, mut body) = self.get(&target);
            assert_eq!(status, StatusCode::OK, "{target}: {body}");
            let page = body["value"].take();
            sizes.push(page.as_array().unwrap().len());
            items.extend(page.as_array().unwrap().iter().cloned());
            next = body["nextLink"].as_str().map(str::to_owned);
        }
        (sizes, items)
    }
}

/// The body of an answer; null if it has none.
pub(super) fn json(response: &Response) -> Value {
    if response.body().is_empty() { Value::Null } else { serde_json::from_slice(response.body()).unwrap() }
}

pub(super) fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

pub(super) fn ec_key(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

pub(super) fn p256() -> PKey<Private> {
    ec_key(Nid::X9_62_PRIME256V1)
}

pub(super) fn rsa_key() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

/// A self-signed CA whose key may sign certificates and revocation lists.
pub(super) fn ca(key: &PKey<Private>) -> X509 {
    certificate(key, KeyUsage::new().critical().key_cert_sign().crl_sign())
}

pub(super) fn certificate(key: &PKey<Private>, usage: &KeyUsage) -> X509 {
    let mut name = X509NameBuilder::new().unwrap();
    for (field, value) in [("O", "Contoso, Ltd"), ("CN", "Factory CA")] {
        name.append_entry_by_text(field, value).unwrap();
    }
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(NOT_BEFORE.unix_timestamp()).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(NOT_AFTER.unix_timestamp()).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    builder.append_extension(usage.build().unwrap()).unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}

/// Key and certificate in one PEM text.
pub(super) fn pem(key: &PKey<Private>, certificate: &X509) -> String {
    let mut pem = key.private_key_to_pem_pkcs8().unwrap();
    pem.extend(certificate.to_pem().unwrap());
    String::from_utf8(pem).unwrap()
}

/// A new CA, ready to import.
pub(super) fn ca_pem() -> String {
    let key = p256();
    pem(&key, &ca(&key))
}

/// A key as its owner would send it.
pub(super) fn private_jwk(key: &PKey<Private>) -> Value {
    let mut jwk = jwk::public_half(key).unwrap();
    let text = |number: &BigNumRef| serde_json::json!(jose::base64url(number.to_vec()));
    if let Ok(rsa) = key.rsa() {
        jwk["d"] = text(rsa.d());
        for (member, number) in
            [("p", rsa.p()), ("q", rsa.q()), ("dp", rsa.dmp1()), ("dq", rsa.dmq1()), ("qi", rsa.iqmp())]
        {
            jwk[member] = text(number.unwrap());
        }
    } else {
        jwk["d"] = text(key.ec_key().unwrap().private_key());
    }
    jwk
}
