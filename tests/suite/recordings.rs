//! Our ARM client against what the live service was recorded to answer, from every api-version there is a
//! recording of.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use keyholder::ca::CaCertificate;
use keyholder::etag::Etag;
use keyholder::leaf_key::LeafKeys;
use keyholder::proof::{Proof, UnsignedProof};
use keyholder::pulled_key::PulledKey;
use keyholder::registry::arm::Arm;
use keyholder::registry::{Listed, ListedCertificate, Registered, Registry};
use keyholder::verification_code::VerificationCode;
use keyholder::{CertificateId, RegistryId, http_client};
use serde_json::Value;
use time::OffsetDateTime;
use url::Url;
use wiremock::matchers::{any, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};
use zeroize::Zeroizing;

use crate::harness::authority::{Authority, Family};

const RECORDINGS: [(&str, &str); 4] = [
    ("2017-11-15", include_str!("../fixtures/dps/recorded-2017-11-15-powershell.json")),
    ("2020-03-01", include_str!("../fixtures/dps/recorded-2020-03-01-dotnet-ecc.json")),
    ("2021-10-15", include_str!("../fixtures/dps/recorded-2021-10-15-cli.json")),
    ("2022-02-05", include_str!("../fixtures/dps/recorded-2022-02-05-dotnet.json")),
];

/// A call of our client whose answer stands in a recording.
struct Recorded {
    version: &'static str,
    call: Call,
    /// The certificate, or the instance whose certificates are listed.
    resource: String,
    url_path: String,
    status: u16,
    body: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    List,
    /// What an upload is answered is what a look would have shown.
    Get,
    GenerateVerificationCode,
    Verify,
}

#[tokio::test]
async fn every_recorded_answer_is_read_as_what_it_says() {
    let proof = any_proof().await;
    let recorded: Vec<Recorded> =
        RECORDINGS.iter().flat_map(|(version, text)| calls(version, text)).collect();
    let count = |call: Call| recorded.iter().filter(|exchange| exchange.call == call).count();
    assert_eq!(count(Call::List), 5);
    assert_eq!(count(Call::Get), 11, "four looks, a 404, and what six uploads were answered");
    assert_eq!(count(Call::GenerateVerificationCode), 3);
    assert_eq!(count(Call::Verify), 2);

    for exchange in &recorded {
        let Recorded { version, call, resource, url_path, status, body } = exchange;
        let row = format!("{version}, {call:?}");
        let server = MockServer::start().await;
        let verb = if matches!(call, Call::Get | Call::List) { "GET" } else { "POST" };
        let answer = ResponseTemplate::new(*status).set_body_json(body);
        Mock::given(method(verb)).and(path(url_path)).respond_with(answer).expect(1).mount(&server).await;

        let arm = arm(&server);
        if *call == Call::List {
            let registry = RegistryId::parse(resource).expect(&row);
            let listed = arm.certificates(&registry).await.expect(&row);
            lists_the_same(listed, body, &row);
            continue;
        }
        let id = CertificateId::parse(resource).expect(&row);
        let etag = Etag::parse("any").unwrap();
        let registered = match call {
            Call::List => unreachable!("it has been read"),
            Call::Get => arm.get(&id).await.expect(&row),
            Call::GenerateVerificationCode => {
                let challenge = arm.generate_verification_code(&id, &etag).await.expect(&row);
                assert_eq!(challenge.code, body["properties"]["verificationCode"], "{row}");
                VerificationCode::parse(&challenge.code).expect(&row);
                Some(challenge.registered)
            }
            Call::Verify => Some(arm.verify(&id, &etag, &proof).await.expect(&row)),
        };
        match (status, registered) {
            (200, Some(registered)) => says_the_same(&registered, body, &row),
            (404, None) => {}
            (status, registered) => panic!("{row}: {status} was read as {registered:?}"),
        }
        if *call == Call::Verify {
            assert_eq!(body["properties"]["isVerified"], true, "{row}");
        }
    }
}

#[tokio::test]
async fn quoted_errors_are_read_whichever_service_they_come_from() {
    let quoted: Value = serde_json::from_str(include_str!("../fixtures/dps/errors.json")).unwrap();
    let mut bodies = Vec::new();
    collect(&quoted, &mut bodies);
    assert!(bodies.len() > 10, "the file holds the errors that were found: {}", bodies.len());
    let id =
        CertificateId::parse(&keyholder_emulator_local::local_azure::certificate_id("plant-ca")).unwrap();
    for (status, body) in bodies.iter().filter(|(status, _)| !matches!(status, 404 | 412)) {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(*status).set_body_json(body);
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let error = arm(&server).get(&id).await.expect_err("an error").to_string();
        let inner = body.get("error").unwrap_or(body);
        let code = inner["code"].as_str().map_or_else(|| inner["code"].to_string(), str::to_owned);
        let start: String = inner["message"].as_str().unwrap().chars().take(40).collect();
        assert!(error.contains(&status.to_string()), "{body}: {error}");
        assert!(error.contains(&code) && error.contains(start.trim()), "{body}: {error}");
    }
}

fn says_the_same(registered: &Registered, body: &Value, row: &str) {
    assert_eq!(registered.etag.as_str(), body["etag"], "{row}");
    let properties = &body["properties"];
    assert_eq!(registered.thumbprint.to_string(), properties["thumbprint"], "{row}");
    assert_eq!(registered.is_verified, properties["isVerified"], "{row}");
    if let Some(certificate) = registered.certificate() {
        assert_eq!(certificate.thumbprint(), registered.thumbprint, "{row}");
    }
}

fn lists_the_same(listed: Listed<ListedCertificate>, body: &Value, row: &str) {
    let recorded = body["value"].as_array().expect(row);
    assert_eq!(listed.len(), recorded.len(), "{row}");
    for (listed, recorded) in listed.into_iter().zip(recorded) {
        let listed = listed.expect(row);
        assert_eq!(listed.id.to_string(), recorded["id"], "{row}");
        assert_eq!(listed.is_verified, recorded["properties"]["isVerified"], "{row}");
    }
}

/// The exchanges of a recording that our client has calls for.
fn calls(version: &'static str, text: &str) -> Vec<Recorded> {
    let recording: Value = serde_json::from_str(text).expect("the recording is JSON");
    let exchanges = recording["exchanges"].as_array().expect("it has exchanges");
    exchanges.iter().filter_map(|exchange| call(version, exchange)).collect()
}

fn call(version: &'static str, exchange: &Value) -> Option<Recorded> {
    let (request, response) = (&exchange["request"], &exchange["response"]);
    let url = Url::parse(request["url"].as_str()?).expect("recorded URLs are URLs");
    let action = [("/generateVerificationCode", Call::GenerateVerificationCode), ("/verify", Call::Verify)];
    let action = action.into_iter().find_map(|(end, call)| Some((url.path().strip_suffix(end)?, call)));
    let (resource, call) = match (request["method"].as_str()?, action) {
        ("POST", Some(action)) => action,
        ("GET" | "PUT", None) if CertificateId::parse(url.path()).is_ok() => (url.path(), Call::Get),
        ("GET", None) => (url.path().strip_suffix("/certificates")?, Call::List),
        _ => return None,
    };
    Some(Recorded {
        version,
        call,
        resource: resource.to_owned(),
        url_path: url.path().to_owned(),
        status: u16::try_from(response["status"].as_u64()?).ok()?,
        body: response["body"].clone(),
    })
}

/// Every error body in the file, with its status, wherever it stands.
fn collect(value: &Value, bodies: &mut Vec<(u16, Value)>) {
    match value {
        Value::Object(members) => {
            let status =
                members.get("http").and_then(Value::as_u64).and_then(|status| status.try_into().ok());
            if let (Some(status), Some(body @ Value::Object(_))) = (status, members.get("body")) {
                bodies.push((status, body.clone()));
            }
            members.values().for_each(|value| collect(value, bodies));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, bodies)),
        _ => {}
    }
}

fn arm(server: &MockServer) -> Arm {
    let endpoint = Url::parse(&server.uri()).unwrap();
    Arm::new(http_client::build().unwrap(), Arc::new(AnyToken), endpoint)
}

async fn any_proof() -> Proof {
    let authority = Authority::root("Plant Root", Family::P256);
    let ca = CaCertificate::from_upload(authority.certificate()).unwrap();
    let code = VerificationCode::parse("A1B2C3D4E5F6G7H8").unwrap();
    let keys = LeafKeys::default();
    let leaf = keys.public_key_info(ca.algorithm()).await.unwrap();
    let unsigned = UnsignedProof::build(&ca, &code, leaf, OffsetDateTime::now_utc()).unwrap();
    let key = PulledKey::from_secret(Zeroizing::new(authority.key_and_certificate())).unwrap();
    let signature = key.sign(&ca, unsigned.tbs()).unwrap();
    unsigned.assemble(&signature).unwrap()
}

#[derive(Debug)]
struct AnyToken;

#[async_trait]
impl TokenCredential for AnyToken {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new("any", OffsetDateTime::now_utc() + time::Duration::HOUR))
    }
}
