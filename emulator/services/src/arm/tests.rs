//! The checks ARM makes before DPS, the events it raises after, and what every answer looks like.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use http::header;
use serde_json::{Value, json};
use time::Duration;
use time::macros::datetime;
use url::Url;

use crate::dps::SOMEBODY_ELSE;
use crate::dps::testing::{Answer, Ca, Client, NOW, instance};
use crate::event_grid::{Scope, Subscription};
use crate::identity::OBJECT_ID;
use crate::names::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION};
use crate::steering::faults::{Calls, Effect, Fault};
use crate::steering::operation::Operation;

const BY: &str = "/data/claims/http:~1~1schemas.microsoft.com~1identity~1claims~1objectidentifier";

fn listening() -> Client {
    let mut client = Client::new();
    let endpoint: Url = "https://app.test/hook".parse().unwrap();
    let scope = Scope::subscription(SUBSCRIPTION);
    let subscription = Subscription::new("everything".parse().unwrap(), scope, endpoint);
    client.world.event_grid.subscribe(subscription);
    client
}

/// One member of every event so far.
fn events(client: &Client, pointer: &str) -> Vec<String> {
    let history = client.world.event_grid.history();
    history.map(|delivery| delivery.event().pointer(pointer).unwrap().as_str().unwrap().to_owned()).collect()
}

fn certificate(name: &str) -> String {
    format!("{}/certificates/{name}", instance())
}

fn bare(client: &mut Client, target: &str, authorization: Option<String>) -> Answer {
    let mut request = http::Request::get(target);
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    client.handle(&request.body(Bytes::new()).unwrap())
}

#[test]
fn no_token_or_a_wrong_one_is_turned_away_with_a_challenge() {
    let mut client = Client::new();
    let target = format!("http://arm.test:1{}?api-version=2022-12-12", certificate("my-ca"));
    let identity = &client.world.identity;
    let foreign = identity.mint("https://vault.azure.net", NOW);
    let elsewhere = identity.mint("https://arm.test:2", NOW);
    let old = identity.mint("https://management.azure.com", NOW - Duration::hours(2));
    for (authorization, expected) in [
        (None, "Authentication failed. The 'Authorization' header is missing."),
        (Some("nonsense".to_owned()), "Authentication failed. The access token is invalid."),
        (Some(foreign), "Authentication failed. The access token is for another audience."),
        (Some(elsewhere), "Authentication failed. The access token is for another audience."),
        (Some(old), "Authentication failed. The access token has expired."),
    ] {
        let answer = bare(&mut client, &target, authorization.map(|token| format!("Bearer {token}")));
        assert_eq!(answer.status, 401);
        assert_eq!(answer.body["error"], json!({"code": "AuthenticationFailed", "message": expected}));
        let challenge = answer.headers[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.starts_with("Bearer authorization_uri=\"http://arm.test:1/"), "{challenge}");
    }
}

#[test]
fn a_token_for_our_own_address_or_the_public_one_is_taken() {
    let mut client = Client::new();
    for audience in [
        "https://management.azure.com",
        "https://management.azure.com/",
        "https://management.core.windows.net",
        "https://management.core.windows.net/",
        "https://localhost:8443",
        "https://LOCALHOST:8443/",
        "http://localhost:8443/",
    ] {
        let token = client.world.identity.mint(audience, NOW);
        let request = http::Request::get("/subscriptions?api-version=2022-12-01")
            .header(header::HOST, "localhost:8443")
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        assert_eq!(client.handle(&request.body(Bytes::new()).unwrap()).status, 200, "{audience}");
    }
}

#[test]
fn every_call_names_an_api_version_the_provider_knows() {
    for (version, status, code) in
        [("", 400, "MissingApiVersionParameter"), ("2019-01-01", 404, "InvalidResourceType")]
    {
        let mut client = Client { version, ..Client::new() };
        let error = client.get("my-ca");
        assert_eq!((error.status, &error.body["error"]["code"]), (status, &json!(code)));
    }
    let mut client = Client { version: "2019-01-01", ..Client::new() };
    let message = client.get("my-ca").body["error"]["message"].to_string();
    assert!(message.contains("'provisioningServices/certificates'"), "{message}");
    assert!(message.contains("2017-11-15,") && message.contains(",2026-11-01"), "{message}");
    assert_eq!(client.send("GET", "/subscriptions", None, None).status, 200);

    for version in ["banana", "2022-1-1", "2022-12-01-beta", "20221201"] {
        let mut client = Client { version, ..Client::new() };
        let error = client.send("GET", "/subscriptions", None, None);
        assert_eq!((error.status, &error.body["error"]["code"]), (400, &json!("InvalidApiVersionParameter")));
    }
}

#[test]
fn only_json_is_written() {
    let mut client = Client::new();
    let ca = Ca::new("my-ca");
    client.put("my-ca", None, &ca.pem()).ok();
    let etag = client.get("my-ca").ok().etag().to_owned();
    let token = client.world.identity.mint("https://management.azure.com", NOW);
    let whole = json!({"properties": {"certificate": ca.pem(), "isVerified": true}}).to_string();
    for (media_type, body, status, code) in [
        ("text/plain", whole.as_str(), 415, "UnsupportedMediaType"),
        ("application/x-www-form-urlencoded", whole.as_str(), 415, "UnsupportedMediaType"),
        ("", whole.as_str(), 415, "UnsupportedMediaType"),
        ("application/json", "{", 400, "InvalidRequestContent"),
        ("application/json", "certificate=x", 400, "InvalidRequestContent"),
    ] {
        let request = http::Request::put(format!("{}?api-version=2022-12-12", certificate("my-ca")))
            .header(header::HOST, "management.azure.com")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, media_type)
            .header(header::IF_MATCH, "*");
        let error = client.handle(&request.body(Bytes::from(body.to_owned())).unwrap());
        assert_eq!(
            (error.status, &error.body["error"]["code"]),
            (status, &json!(code)),
            "{media_type} {body}"
        );
    }
    assert_eq!(client.get("my-ca").ok().etag(), etag);
}

#[test]
fn every_parent_has_to_be_there() {
    let mut client = Client::new();
    let path = certificate("my-ca");
    for (part, other, code) in [
        (SUBSCRIPTION, "11111111-0000-0000-0000-000000000000", "SubscriptionNotFound"),
        (RESOURCE_GROUP, "other-rg", "ResourceGroupNotFound"),
        (PROVISIONING_SERVICE, "other-dps", "ParentResourceNotFound"),
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let error = client.send(method, &path.replace(part, other), Some("*"), None);
            assert_eq!((error.status, &error.body["error"]["code"]), (404, &json!(code)));
        }
    }
}

#[test]
fn a_method_the_resource_does_not_have_is_not_allowed() {
    let mut client = Client::new();
    for (method, path) in [
        ("PATCH", certificate("my-ca")),
        ("GET", format!("{}/verify", certificate("my-ca"))),
        ("DELETE", "/subscriptions".to_owned()),
    ] {
        let error = client.send(method, &path, None, None);
        assert_eq!((error.status, &error.body["error"]["code"]), (405, &json!("MethodNotAllowed")));
    }
}

#[test]
fn every_answer_has_the_headers_recorded_in_its_year_and_none_has_an_etag() {
    let ca = Ca::new("my-ca");
    for (now, server, kinds) in [
        (
            datetime!(2023-02-13 08:31:13 UTC),
            Some("Microsoft-HTTPAPI/2.0"),
            [vec!["writes"], vec!["reads"], vec!["reads"], vec!["deletes"], vec!["resource-requests"]],
        ),
        (
            NOW,
            None,
            [
                vec!["global-writes", "writes"],
                vec!["global-reads"],
                vec!["global-reads"],
                vec!["deletes", "global-deletes"],
                vec!["resource-requests"],
            ],
        ),
    ] {
        let mut client = Client { now, ..Client::new() };
        let answers = [
            client.put("my-ca", None, &ca.pem()),
            client.get("my-ca"),
            client.get("ghost"),
            client.delete("my-ca", Some("*")),
            client.send("PUT", &instance(), None, Some(json!({"location": "eastus"}))),
        ];
        for (answer, kinds) in answers.into_iter().zip(kinds) {
            let header =
                |name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            let text = |name: &str| header(name).unwrap_or_else(|| panic!("{name} at {now}"));
            assert_eq!(text("cache-control"), "no-cache");
            assert_eq!(text("expires"), "-1");
            assert_eq!(text("strict-transport-security"), "max-age=31536000; includeSubDomains");
            assert_eq!(text("date"), crate::ground::exchange::http_date(now));
            let id = text("x-ms-request-id");
            assert_eq!(text("x-ms-correlation-request-id"), id);
            assert!(text("x-ms-routing-request-id").ends_with(&id));
            assert_eq!(header("server").as_deref(), server);
            let left = answer.headers.keys().filter_map(|name| {
                name.as_str().strip_prefix("x-ms-ratelimit-remaining-subscription-").map(str::to_owned)
            });
            let mut left: Vec<String> = left.collect();
            left.sort();
            assert_eq!(left, kinds, "{now}");
            let is_success = (200..300).contains(&answer.status);
            for (since_2025, value) in [
                (true, header("x-cache").is_some_and(|value| value == "CONFIG_NOCACHE")),
                (true, header("x-msedge-ref").is_some_and(|value| value.ends_with("2026-11-23T12:00:00Z"))),
                (is_success, header("x-ms-operation-identifier").is_some()),
            ] {
                assert_eq!(value, since_2025 && server.is_none(), "{now}");
            }
            for never in ["etag", "retry-after", "location", "x-ms-client-request-id"] {
                assert_eq!(header(never), None, "{never}");
            }
        }
    }
}

#[test]
fn each_change_is_an_event_about_the_certificate_and_reading_is_none() {
    let mut client = listening();
    let ca = Ca::new("my-ca");
    client.put("My-CA", None, &ca.pem()).ok();
    let asked = client.generate_code("My-CA", Some("*")).ok();
    client.verify("My-CA", Some("*"), "nonsense");
    client.verify("My-CA", Some("*"), &ca.proof(asked.code()).pem()).ok();
    client.get("My-CA").ok();
    client.list();
    client.delete("My-CA", Some("*")).ok();
    client.delete("My-CA", Some("*"));
    let kinds =
        ["ResourceWriteSuccess", "ResourceActionSuccess", "ResourceActionSuccess", "ResourceDeleteSuccess"];
    assert_eq!(events(&client, "/eventType"), kinds.map(|kind| format!("Microsoft.Resources.{kind}")));
    let names = ["write", "generateVerificationCode/action", "verify/action", "delete"];
    assert_eq!(
        events(&client, "/data/operationName"),
        names.map(|name| format!("Microsoft.Devices/provisioningServices/certificates/{name}"))
    );
    assert_eq!(events(&client, "/subject"), vec![certificate("My-CA"); 4]);
    assert_eq!(events(&client, "/data/httpRequest/method"), ["PUT", "POST", "POST", "DELETE"]);
    assert_eq!(
        events(&client, "/data/httpRequest/url")[1],
        format!(
            "https://management.azure.com{}/generateVerificationCode?api-version=2022-12-12",
            certificate("My-CA")
        )
    );
    assert_eq!(events(&client, BY), vec![OBJECT_ID; 4]);
}

#[test]
fn ids_repeat_the_callers_casing() {
    let mut client = listening();
    let upper =
        instance().replace(RESOURCE_GROUP, "IOT-X509-DEMO-RG").replace("resourceGroups", "resourcegroups");
    let body = json!({"properties": {"certificate": Ca::new("my-ca").pem()}});
    let answer = client.send("PUT", &format!("{upper}/certificates/My-CA"), None, Some(body)).ok();
    assert_eq!(
        answer.body["id"].as_str().unwrap(),
        certificate("My-CA").replace(RESOURCE_GROUP, "IOT-X509-DEMO-RG")
    );
    assert_eq!(events(&client, "/subject"), [format!("{upper}/certificates/My-CA")]);
}

#[test]
fn somebody_elses_write_is_an_event_before_the_callers_own() {
    let mut client = listening();
    client.put("my-ca", None, &Ca::new("my-ca").pem()).ok();
    client.world.faults.add(Fault {
        operation: Operation::GenerateVerificationCode,
        object: Some("my-ca".to_owned()),
        calls: Calls::First(1),
        effect: Effect::SomebodyElseWrites,
    });
    client.generate_code("my-ca", Some("*")).ok();
    assert_eq!(events(&client, BY), [OBJECT_ID, SOMEBODY_ELSE, OBJECT_ID]);
    assert_eq!(
        events(&client, "/data/httpRequest/url")[1],
        format!("https://management.azure.com{}", certificate("my-ca"))
    );
    assert_eq!(
        events(&client, "/data/operationName")[1],
        "Microsoft.Devices/provisioningServices/certificates/write"
    );
}

#[test]
fn somebody_else_writes_nothing_where_nothing_is() {
    let mut client = listening();
    client.world.faults.add(Fault {
        operation: Operation::PutCertificate,
        object: None,
        calls: Calls::First(1),
        effect: Effect::SomebodyElseWrites,
    });
    client.put("my-ca", None, &Ca::new("my-ca").pem()).ok();
    assert_eq!(events(&client, BY), [OBJECT_ID]);
}

#[test]
fn unknown_query_parameters_are_ignored() {
    let mut client = Client::new();
    client.put("my-ca", None, &Ca::new("my-ca").pem()).ok();
    let path = format!("{}?certificate.name=other&certificate.nonce=1", certificate("my-ca"));
    client.send("DELETE", &path, Some("*"), None).ok();
}

#[test]
fn the_metadata_needs_no_token_and_points_here() {
    let mut client = Client::new();
    let request = http::Request::get("/metadata/endpoints?api-version=2022-09-01")
        .header(header::HOST, "localhost:8443")
        .body(Bytes::new())
        .unwrap();
    let answer = client.handle(&request).ok();
    assert_eq!(answer.body["resourceManager"], "https://localhost:8443/");
    assert_eq!(answer.body["authentication"]["loginEndpoint"], "https://localhost:8443");
    assert_eq!(answer.body["suffixes"]["keyVaultDns"], "vault.localhost:8443");
    for member in [
        "name portal graph graphAudience gallery media batch sqlManagement vmImageAliasDoc",
        "activeDirectoryDataLake",
    ]
    .iter()
    .flat_map(|line| line.split(' '))
    {
        assert!(matches!(answer.body[member], Value::String(_)), "{member}");
    }
}

#[test]
fn a_certificate_can_be_looked_up_without_http() {
    let mut client = Client::new();
    client.world.dps.set_next_code("A1B2C3D4E5F6G7H8");
    client.put("my-ca", None, &Ca::new("my-ca").pem()).ok();
    client.generate_code("my-ca", Some("*")).ok();
    let dps = &client.world.dps;
    let found = dps.certificate(SUBSCRIPTION, RESOURCE_GROUP, "MY-DPS-X509", "MY-CA").unwrap();
    assert_eq!(found.pending_code(), Some("A1B2C3D4E5F6G7H8"));
    assert!(!found.is_verified());
    assert!(dps.certificate(SUBSCRIPTION, RESOURCE_GROUP, PROVISIONING_SERVICE, "ghost").is_none());
}
