//! The client against answers in memory: what it sends, what it follows, and what it makes of refusals.

use std::sync::Mutex;

use azure_core::credentials::{AccessToken, TokenRequestOptions};
use azure_core::http::AsyncRawResponse;
use azure_core::http::headers::{HeaderName, Headers};

use super::*;
use crate::reason::Reason;

const RESOURCE_GROUP: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg";
const REGISTRY: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Devices/provisioningServices/dps1";

/// Gives its answers in order and keeps the requests.
#[derive(Debug, Default)]
struct Script {
    answers: Mutex<Vec<(u16, String, Option<&'static str>)>>,
    requests: Mutex<Vec<Request>>,
}

#[async_trait::async_trait]
impl HttpClient for Script {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        self.requests.lock().expect("no test panics while holding it").push(request.clone());
        let (status, body, retry_after) =
            self.answers.lock().expect("no test panics while holding it").remove(0);
        let mut headers = Headers::new();
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, seconds);
        }
        Ok(AsyncRawResponse::from_bytes(status.into(), headers, body))
    }
}

#[derive(Debug)]
struct Token;

#[async_trait::async_trait]
impl TokenCredential for Token {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new(format!("token for {}", scopes[0]), time::OffsetDateTime::now_utc()))
    }
}

fn arm(answers: Vec<(u16, String, Option<&'static str>)>) -> (Arm, Arc<Script>) {
    let script = Arc::new(Script { answers: Mutex::new(answers), ..Script::default() });
    let endpoint = Url::parse("https://management.azure.com").expect("a URL");
    (Arm::new(script.clone(), Arc::new(Token), endpoint), script)
}

fn sent(script: &Script) -> Vec<Request> {
    script.requests.lock().expect("no test panics while holding it").clone()
}

fn id() -> CertificateId {
    CertificateId::parse(&format!("{REGISTRY}/certificates/root")).expect("well-formed")
}

fn etag() -> Etag {
    Etag::parse("AAAAAAAbvCY=").expect("an etag")
}

fn resource_group() -> Scope {
    Scope::parse(RESOURCE_GROUP).expect("well-formed")
}

#[tokio::test]
async fn a_write_carries_token_etag_api_version_and_length() {
    let (arm, script) = arm(vec![(412, String::new(), None)]);
    let changed = arm.generate_verification_code(&id(), &etag()).await.expect_err("412");
    assert!(matches!(changed, CallError::Changed { .. }), "{changed}");

    let request = &sent(&script)[0];
    let header = |name: HeaderName| request.headers().get_optional_str(&name).map(str::to_owned);
    assert_eq!(
        request.url().as_str(),
        format!(
            "https://management.azure.com{REGISTRY}/certificates/root/generateVerificationCode?api-version=2022-12-12"
        )
    );
    let token = "Bearer token for https://management.azure.com/.default";
    assert_eq!(header(AUTHORIZATION).as_deref(), Some(token));
    assert_eq!(header(IF_MATCH).as_deref(), Some("AAAAAAAbvCY="));
    assert_eq!(header(CONTENT_LENGTH).as_deref(), Some("0"));
}

#[tokio::test]
async fn every_status_asks_for_the_right_thing() {
    let rows = [
        (412, "", Reason::Contended),
        (401, r#"{"error":{"code":"AuthenticationFailed","message":"no"}}"#, Reason::TokenRefused),
        (403, r#"{"error":{"code":"AuthorizationFailed","message":"no"}}"#, Reason::AccessRefused),
        (400, r#"{"code":400053,"message":"Proof-Of-Possession failed."}"#, Reason::Refused),
        (404, r#"{"code":404015,"message":"gone"}"#, Reason::Contended),
        (409, "", Reason::Unavailable),
        (429, "", Reason::Throttled),
        (500, "<html>", Reason::Unavailable),
        (503, "", Reason::Unavailable),
        (302, "", Reason::Refused),
        (200, "<html>", Reason::Unreachable),
        (200, "{}", Reason::Unreachable),
        (201, "{}", Reason::Refused),
    ];
    for (status, body, reason) in rows {
        let (arm, _) = arm(vec![(status, body.to_owned(), Some("7"))]);
        let error = arm.generate_verification_code(&id(), &etag()).await.expect_err("no success");
        assert_eq!(error.reason(), reason, "{status}: {error}");
        if let CallError::Unavailable { retry_after, status: Some(_), .. } = error {
            assert_eq!(retry_after, Some(std::time::Duration::from_secs(7)), "{status}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_there_is_an_answer_and_no_error() {
    let (arm, _) = arm(vec![(404, r#"{"code":404015,"message":"gone"}"#.to_owned(), None)]);
    assert!(arm.get(&id()).await.expect("an answer").is_none());
}

#[tokio::test]
async fn lists_are_followed_to_their_end() {
    let page = |name: &str, next: &str| {
        format!(r#"{{"value":[{{"id":"{}"}}]{next}}}"#, REGISTRY.replace("dps1", name))
    };
    let next = r#","nextLink":"https://management.azure.com:443/next?$skiptoken=x""#;
    let (arm, script) = arm(vec![(200, page("dps1", next), None), (200, page("dps2", ""), None)]);
    let found = arm.registries(&resource_group()).await.expect("two pages");
    let found: Vec<RegistryId> = found.into_iter().map(|found| found.expect("an id")).collect();
    assert_eq!(found.iter().map(RegistryId::name).collect::<Vec<_>>(), ["dps1", "dps2"]);
    assert_eq!(sent(&script)[1].url().as_str(), "https://management.azure.com/next?$skiptoken=x");
}

#[tokio::test]
async fn a_list_does_not_lead_our_token_to_another_host() {
    let page = r#"{"value":[],"nextLink":"https://evil.example/next"}"#;
    let (arm, script) = arm(vec![(200, page.to_owned(), None)]);
    let error = arm.registries(&resource_group()).await.expect_err("another host");
    assert!(error.to_string().contains("another host"), "{error}");
    assert_eq!(sent(&script).len(), 1);
}

#[tokio::test]
async fn certificates_are_listed_with_whether_they_are_verified() {
    let item = |name: &str, verified: bool| {
        format!(r#"{{"id":"{REGISTRY}/certificates/{name}","properties":{{"isVerified":{verified}}}}}"#)
    };
    // Such a name is within the registry's own rule, and never part of a path of ours.
    let body = [item("a", true), item("...", false), item("b", false)].join(",");
    let (arm, _) = arm(vec![(200, format!(r#"{{"value":[{body}]}}"#), None)]);
    let listed = arm.certificates(id().registry()).await.expect("a list");
    let shown = |item: &Result<ListedCertificate, CallError>| match item {
        Ok(listed) => format!("{} {}", listed.id.name(), listed.is_verified),
        Err(error) => error.to_string(),
    };
    let listed: Vec<String> = listed.iter().map(shown).collect();
    assert_eq!((&*listed[0], &*listed[2]), ("a true", "b false"));
    assert!(listed[1].contains("/certificates/...") && listed.len() == 3, "{}", listed[1]);
}
