//! What tests of ARM and DPS share: certificate authorities, proofs good and bad, and a client.

#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, header};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509Name, X509NameRef};
use serde_json::{Value, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::ground::exchange::Request;
use crate::identity::Principal;
use crate::names::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION};
use crate::world::World;

/// When the tests take place.
pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

/// A certificate authority with its key.
pub(crate) struct Ca {
    pub(crate) certificate: X509,
    key: PKey<Private>,
}

/// A verification certificate in the making; right in every way until a test changes something.
pub(crate) struct Proof<'a> {
    pub(crate) names: Vec<&'a str>,
    pub(crate) issuer: &'a X509NameRef,
    pub(crate) signed_by: &'a Ca,
    pub(crate) from: OffsetDateTime,
    pub(crate) until: OffsetDateTime,
}

impl Ca {
    pub(crate) fn new(common_name: &str) -> Ca {
        Ca::with_key(&[common_name], p256())
    }

    pub(crate) fn nameless() -> Ca {
        Ca::with_key(&[], p256())
    }

    pub(crate) fn rsa(common_name: &str) -> Ca {
        Ca::with_key(&[common_name], PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap())
    }

    fn with_key(common_names: &[&str], key: PKey<Private>) -> Ca {
        let name = name(common_names);
        let certificate = build(&name, &name, &key, &key, NOW - Duration::DAY, NOW + Duration::days(365));
        Ca { certificate, key }
    }

    /// A proof for this code.
    pub(crate) fn proof<'a>(&'a self, code: &'a str) -> Proof<'a> {
        Proof {
            names: vec![code],
            issuer: self.certificate.subject_name(),
            signed_by: self,
            from: NOW - Duration::minutes(5),
            until: NOW + Duration::DAY,
        }
    }

    pub(crate) fn pem(&self) -> String {
        String::from_utf8(self.certificate.to_pem().unwrap()).unwrap()
    }

    /// As the az CLI uploads it.
    pub(crate) fn base64_of_pem(&self) -> String {
        STANDARD.encode(self.pem().replace('\n', "\r\n"))
    }

    pub(crate) fn base64_of_der(&self) -> String {
        STANDARD.encode(self.certificate.to_der().unwrap())
    }
}

impl Proof<'_> {
    pub(crate) fn pem(&self) -> String {
        let leaf =
            build(&name(&self.names), self.issuer, &p256(), &self.signed_by.key, self.from, self.until);
        String::from_utf8(leaf.to_pem().unwrap()).unwrap()
    }

    pub(crate) fn base64_of_pem(&self) -> String {
        STANDARD.encode(self.pem())
    }
}

pub(crate) fn name(common_names: &[&str]) -> X509Name {
    let mut name = X509Name::builder().unwrap();
    for common_name in common_names {
        name.append_entry_by_nid(Nid::COMMONNAME, common_name).unwrap();
    }
    if common_names.is_empty() {
        name.append_entry_by_nid(Nid::ORGANIZATIONNAME, "No name").unwrap();
    }
    name.build()
}

fn p256() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn build(
    subject: &X509NameRef,
    issuer: &X509NameRef,
    key: &PKey<Private>,
    signer: &PKey<Private>,
    from: OffsetDateTime,
    until: OffsetDateTime,
) -> X509 {
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(subject).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(from.unix_timestamp()).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(until.unix_timestamp()).unwrap()).unwrap();
    builder.sign(signer, MessageDigest::sha256()).unwrap();
    builder.build()
}

/// An answer, its body read as JSON (`null` if it is none).
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn etag(&self) -> &str {
        self.body["etag"].as_str().unwrap()
    }

    pub(crate) fn code(&self) -> &str {
        self.body["properties"]["verificationCode"].as_str().unwrap()
    }

    /// The message without what support would want to know.
    pub(crate) fn message(&self) -> &str {
        let message = self.body["message"].as_str().unwrap();
        message.split(" If you contact").next().unwrap()
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Answer {
        assert_eq!(self.status, 200, "{}", self.body);
        self
    }
}

/// A client of a world that keeps to one moment, principal, api-version and instance until told otherwise.
pub(crate) struct Client {
    pub(crate) world: World,
    pub(crate) principal: Principal,
    pub(crate) now: OffsetDateTime,
    pub(crate) version: &'static str,
    pub(crate) authority: String,
}

impl Client {
    /// At work in the tutorial's world.
    pub(crate) fn new() -> Client {
        let world = World::tutorial(1);
        let (version, authority) = ("2022-12-12", "management.azure.com".to_owned());
        Client { world, principal: Principal::function_app(), now: NOW, version, authority }
    }

    pub(crate) fn get(&mut self, certificate: &str) -> Answer {
        self.send("GET", &below(certificate), None, None)
    }

    pub(crate) fn list(&mut self) -> Vec<Value> {
        let mut answer = self.send("GET", &format!("{}/certificates", instance()), None, None).ok();
        serde_json::from_value(answer.body["value"].take()).unwrap()
    }

    pub(crate) fn put(&mut self, certificate: &str, if_match: Option<&str>, text: &str) -> Answer {
        self.put_properties(certificate, if_match, json!({"certificate": text}))
    }

    pub(crate) fn put_properties(
        &mut self,
        certificate: &str,
        if_match: Option<&str>,
        properties: Value,
    ) -> Answer {
        let nested = self.version >= "2022-02-05";
        let body = if nested { json!({"properties": properties}) } else { properties };
        self.send("PUT", &below(certificate), if_match, Some(body))
    }

    pub(crate) fn delete(&mut self, certificate: &str, if_match: Option<&str>) -> Answer {
        self.send("DELETE", &below(certificate), if_match, None)
    }

    pub(crate) fn generate_code(&mut self, certificate: &str, if_match: Option<&str>) -> Answer {
        let path = format!("{}/generateVerificationCode", below(certificate));
        self.send("POST", &path, if_match, None)
    }

    pub(crate) fn verify(&mut self, certificate: &str, if_match: Option<&str>, proof: &str) -> Answer {
        let path = format!("{}/verify", below(certificate));
        self.send("POST", &path, if_match, Some(json!({"certificate": proof})))
    }

    /// With a token and the api-version.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        if_match: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let separator = if path.contains('?') { '&' } else { '?' };
        let target = format!("https://{}{path}{separator}api-version={}", self.authority, self.version);
        let token = self.world.identity.mint_for(&self.principal, "https://management.azure.com", self.now);
        let mut request = http::Request::builder()
            .method(method)
            .uri(target)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(if_match) = if_match {
            request = request.header(header::IF_MATCH, if_match);
        }
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        self.handle(&request.body(body).unwrap())
    }

    /// An address from an answer, with a token and nothing else.
    pub(crate) fn get_as_it_is(&mut self, address: &str) -> Answer {
        let token = self.world.identity.mint_for(&self.principal, "https://management.azure.com", self.now);
        let request = http::Request::get(address).header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.handle(&request.body(Bytes::new()).unwrap())
    }

    pub(crate) fn handle(&mut self, request: &Request) -> Answer {
        let response = self.world.handle(request, self.now);
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: serde_json::from_slice(response.body()).unwrap_or_default(),
        }
    }
}

/// The instance's path.
pub(crate) fn instance() -> String {
    format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.Devices\
         /provisioningServices/{PROVISIONING_SERVICE}"
    )
}

fn below(certificate: &str) -> String {
    format!("{}/certificates/{certificate}", instance())
}
