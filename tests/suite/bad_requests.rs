//! Requests that no service takes, over the emulator's own sockets: each is refused in the service's own form, and
//! changes nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use keyholder_emulator::exchange::MAX_BODY;
use keyholder_emulator::identity::{OPERATOR_CLIENT_ID, OPERATOR_SECRET};
use keyholder_emulator::world::{TENANT, VAULT};
use serde_json::{Value, json};
use url::Url;

use crate::harness::GRANT;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::{Cloud, options};
use keyholder_emulator_local::local_azure::certificate_id;

const DPS: &str = "api-version=2022-12-12";
const KV: &str = "api-version=2025-07-01";

/// Whom a request is sent to, and what a refusal of theirs looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// `{"error":{"code","message"}}`, or of DPS `{"code","httpStatusCode","message"}`.
    Arm,
    /// `{"error":{"code","message"}}`.
    Vault,
    /// `{"statusCode","message"}`.
    AppService,
    /// `{"error","error_description"}`.
    Imds,
    /// `{"error","error_description","error_codes"}`.
    Entra,
}

/// A request, each part of it as a good one would have it until a row says otherwise.
struct Bad {
    name: &'static str,
    peer: Peer,
    method: Method,
    path: String,
    query: String,
    audience: Option<String>,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// Status, and the code of the service.
    expected: (u16, &'static str),
}

impl Bad {
    fn dps(name: &'static str, method: Method, below: &str, expected: (u16, &'static str)) -> Bad {
        Bad {
            name,
            peer: Peer::Arm,
            method,
            path: format!("{}{below}", certificate_id("root-ca")),
            query: DPS.to_owned(),
            audience: Some("https://management.azure.com".to_owned()),
            headers: vec![("content-type", "application/json".to_owned()), ("if-match", "*".to_owned())],
            body: Vec::new(),
            expected,
        }
    }

    fn vault(name: &'static str, method: Method, path: &str, expected: (u16, &'static str)) -> Bad {
        Bad {
            name,
            peer: Peer::Vault,
            method,
            path: path.to_owned(),
            query: KV.to_owned(),
            audience: None,
            headers: vec![("content-type", "application/json".to_owned())],
            body: Vec::new(),
            expected,
        }
    }

    fn identity(name: &'static str, peer: Peer, query: &str, expected: (u16, &'static str)) -> Bad {
        let (method, path) = match peer {
            Peer::AppService => (Method::GET, "/msi/token".to_owned()),
            Peer::Imds => (Method::GET, "/metadata/identity/oauth2/token".to_owned()),
            _ => (Method::POST, format!("/{TENANT}/oauth2/v2.0/token")),
        };
        let headers = match peer {
            Peer::AppService => vec![("x-identity-header", "any".to_owned())],
            Peer::Imds => vec![("metadata", "true".to_owned())],
            _ => vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
        };
        let query = query.to_owned();
        Bad { name, peer, method, path, query, audience: None, headers, body: Vec::new(), expected }
    }

    fn query(self, query: &str) -> Bad {
        Bad { query: query.to_owned(), ..self }
    }

    fn body(self, body: impl Into<Vec<u8>>) -> Bad {
        Bad { body: body.into(), ..self }
    }

    fn header(mut self, name: &'static str, value: Option<&str>) -> Bad {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.extend(value.map(|value| (name, value.to_owned())));
        self
    }
}

fn rows(proof: &str) -> Vec<Bad> {
    let upload = |text: &str| json!({"properties": {"certificate": text}}).to_string();
    let (get, put, post) = (Method::GET, Method::PUT, Method::POST);
    let sound = upload(proof);
    let huge = vec![b' '; MAX_BODY + (1 << 20)];
    let secret = json!({"value": "v"}).to_string();
    let grant = "grant_type=client_credentials&scope=https://vault.azure.net/.default";
    let signed_in = format!("{grant}&client_id={OPERATOR_CLIENT_ID}&client_secret={OPERATOR_SECRET}");
    vec![
        Bad::dps("no api-version", put.clone(), "", (400, "MissingApiVersionParameter"))
            .query("")
            .body(&*sound),
        Bad::dps("unknown api-version", put.clone(), "", (404, "InvalidResourceType"))
            .query("api-version=2019-01-01")
            .body(&*sound),
        Bad::dps("wrong verb", Method::PATCH, "", (405, "MethodNotAllowed")).body(&*sound),
        Bad::dps("wrong verb", get.clone(), "/verify", (405, "MethodNotAllowed")),
        Bad::dps("5 MB", put.clone(), "", (413, "RequestContentTooLarge")).body(huge.clone()),
        Bad::dps("bad JSON", put.clone(), "", (400, "InvalidRequestContent")).body("{"),
        Bad::dps("bad JSON", post.clone(), "/verify", (400, "400004")).body("{"),
        Bad::dps("no JSON", put.clone(), "", (415, "UnsupportedMediaType"))
            .header("content-type", Some("text/plain"))
            .body(&*sound),
        Bad::dps("bad base64", put.clone(), "", (500, "500019")).body(upload("?")),
        Bad::dps("bad base64", post.clone(), "/verify", (400, "400053"))
            .body(json!({"certificate": "?"}).to_string()),
        Bad::dps("base64 of no certificate", put.clone(), "", (500, "500019")).body(upload("MA==")),
        Bad::dps("no certificate", put.clone(), "", (400, "400004")).body("{}"),
        Bad::dps("no etag", put.clone(), "", (412, "412001")).header("if-match", None).body(&*sound),
        Bad::dps("stale etag", Method::DELETE, "", (412, "412001")).header("if-match", Some("AAAAAAAAAAA=")),
        Bad { audience: None, ..Bad::dps("no token", Method::DELETE, "", (401, "AuthenticationFailed")) },
        Bad {
            audience: Some("https://vault.azure.net".to_owned()),
            ..Bad::dps("token for another audience", Method::DELETE, "", (401, "AuthenticationFailed"))
        },
        Bad::dps("no token at all", Method::DELETE, "", (401, "AuthenticationFailed"))
            .header("authorization", Some("Bearer nonsense")),
        Bad::vault("no api-version", put.clone(), "/secrets/plain", (400, "BadParameter"))
            .query("")
            .body(&*secret),
        Bad::vault("unknown api-version", put.clone(), "/secrets/plain", (400, "BadParameter"))
            .query("api-version=1.0")
            .body(&*secret),
        Bad::vault("wrong verb", Method::DELETE, "/secrets", (405, "MethodNotAllowed")),
        Bad::vault("5 MB", put.clone(), "/secrets/plain", (413, "RequestContentTooLarge")).body(huge.clone()),
        Bad::vault("bad JSON", put.clone(), "/secrets/plain", (400, "BadParameter")).body("{"),
        Bad::vault("bad base64", post.clone(), "/keys/root-ca/sign", (400, "BadParameter"))
            .body(json!({"alg": "ES256", "value": "?"}).to_string()),
        Bad::vault("bad base64", post.clone(), "/certificates/other/import", (400, "BadParameter"))
            .body(json!({"value": "?"}).to_string()),
        Bad::vault("no token", Method::DELETE, "/secrets/plain", (401, "Unauthorized"))
            .header("authorization", Some("")),
        Bad {
            audience: Some("https://management.azure.com".to_owned()),
            ..Bad::vault(
                "token for another audience",
                Method::DELETE,
                "/secrets/plain",
                (401, "Unauthorized"),
            )
        },
        Bad::identity("no api-version", Peer::AppService, "resource=a", (400, "400")),
        Bad::identity("no resource", Peer::AppService, "api-version=2019-08-01", (400, "400")),
        Bad::identity("no header", Peer::AppService, "api-version=2019-08-01&resource=a", (401, "401"))
            .header("x-identity-header", None),
        Bad {
            method: post.clone(),
            ..Bad::identity("wrong verb", Peer::AppService, "api-version=2019-08-01&resource=a", (405, "405"))
        },
        Bad::identity(
            "nobody",
            Peer::AppService,
            "api-version=2019-08-01&resource=a&client_id=ghost",
            (400, "400"),
        ),
        Bad {
            method: put.clone(),
            ..Bad::identity("5 MB", Peer::AppService, "api-version=2019-08-01&resource=a", (413, "413"))
        }
        .body(huge),
        Bad::identity("no header", Peer::Imds, "api-version=2018-02-01&resource=a", (400, "bad_request_102"))
            .header("metadata", None),
        Bad::identity("no api-version", Peer::Imds, "resource=a", (400, "invalid_request")),
        Bad::identity("wrong secret", Peer::Entra, "", (401, "invalid_client"))
            .body(signed_in.replace(OPERATOR_SECRET, "guess")),
        Bad::identity("no scope", Peer::Entra, "", (400, "invalid_request"))
            .body(signed_in.replace("scope", "audience")),
        Bad { method: get, ..Bad::identity("wrong verb", Peer::Entra, "", (400, "invalid_request")) },
    ]
}

#[tokio::test]
async fn each_is_refused_in_the_service_s_own_form_and_changes_nothing() {
    let cloud = Cloud::start_from(options()).await;
    let ca = Authority::root("Plant Root", Family::P256);
    // Nobody granted the key, so that the app leaves everything as it is.
    cloud.import_ca_tagged("root-ca", &ca, &[]).await;
    cloud.store_pem_secret("plain", &ca, GRANT).await;
    cloud.upload("root-ca", &ca).await;
    cloud.until_answered("root-ca").await;

    let azure = cloud.azure();
    let vault = azure.vault(VAULT);
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(azure.ca_pem()).unwrap()])
        .resolve(vault.host_str().unwrap(), azure.services_address())
        .no_proxy()
        .build()
        .unwrap();
    let of_the_vault = format!("https://vault.localhost:{}", azure.services_address().port());
    let before = state(&cloud);
    for bad in rows(&STANDARD.encode(ca.certificate())) {
        let place = format!("{:?}, {}: {} {}", bad.peer, bad.name, bad.method, bad.path);
        let mut url: Url = match bad.peer {
            Peer::Arm | Peer::Entra => azure.arm(),
            Peer::Vault => vault.clone(),
            Peer::AppService | Peer::Imds => azure.identity(),
        };
        url.set_path(&bad.path);
        url.set_query(Some(&bad.query).filter(|query| !query.is_empty()).map(String::as_str));
        let mut request = client.request(bad.method, url).body(bad.body);
        let audience = bad.audience.or_else(|| (bad.peer == Peer::Vault).then(|| of_the_vault.clone()));
        let has_own = bad.headers.iter().any(|(name, _)| *name == "authorization");
        if let Some(audience) = audience.filter(|_| !has_own) {
            request =
                request.bearer_auth(cloud.emulator().look(|world, now| world.identity.mint(&audience, now)));
        }
        for (name, value) in bad.headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, value);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{place}: {error:?}"));
        let challenge = answer.headers().get("www-authenticate").cloned();
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap_or_else(|error| panic!("{place}: {status} {error}"));
        assert_eq!((status, code(bad.peer, &body).as_str()), bad.expected, "{place}: {body}");
        let challenged = status == 401 && matches!(bad.peer, Peer::Arm | Peer::Vault);
        assert_eq!(challenge.is_some(), challenged, "{place}");
        assert_eq!(state(&cloud), before, "{place}");
    }
}

/// The code of an error, after a look at the rest of its form.
fn code(peer: Peer, body: &Value) -> String {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let (code, message) = match peer {
        Peer::Arm if body["error"].is_null() => {
            assert!(body["httpStatusCode"].is_string(), "{body}");
            (Some(body["code"].to_string()), &body["message"])
        }
        Peer::Arm | Peer::Vault => (text(&body["error"]["code"]), &body["error"]["message"]),
        Peer::AppService => (Some(body["statusCode"].to_string()), &body["message"]),
        Peer::Imds | Peer::Entra => (text(&body["error"]), &body["error_description"]),
    };
    assert!(text(message).is_some(), "{body}");
    if peer == Peer::Entra {
        assert!(body["error_codes"].is_array(), "{body}");
    }
    code.unwrap_or_else(|| panic!("{body}"))
}

/// Everything that a request can change.
fn state(cloud: &Cloud) -> String {
    cloud.emulator().look(|world, _| {
        let instances = world.dps.instances().map(|instance| {
            let (subscription, group) = (instance.subscription(), instance.resource_group());
            let certificates: Vec<_> = instance.certificates().iter().collect();
            format!("{subscription} {group} {} {certificates:?}\n", instance.name())
        });
        let deliveries = world.event_grid.history().count();
        format!("{}{:?}\n{deliveries}", instances.collect::<String>(), world.key_vaults)
    })
}
