//! The operation that makes a certificate, as clients follow it: begun by one call, looked at by others.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde_json::{Value, json};

use super::answer::{Answer, Done};
use super::creation::{self, Creation};
use super::kind::Kind;
use super::object::hex_id;
use super::refusal::Refusal;
use super::vault::Vault;
use super::visit::Visit;

/// The service answers that it has begun and is done some seconds later. Here it is done when it says so: the next
/// look shows it. The first answer still has to be that of the service, because the Python SDK shows no certificate
/// if the operation is over before it has looked.
pub(super) fn begin(vault: &mut Vault, name: &str, visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let creation = Creation::read(&visit.body()?)?;
    let (stamp, request_id) = (visit.stamp(), hex_id(visit.random));
    let location = format!(
        "{}?api-version={}&request_id={request_id}",
        visit.site.id(Kind::Certificate, name, Some("pending")),
        visit.api_version(),
    );
    let location = HeaderValue::from_str(&location)
        .map_err(|_| Refusal::bad_parameter("Name and api-version must fit into a Location header."))?;
    vault.check_certificate_name(name)?;
    let (serial, changes) = (creation::serial(visit.random), creation.changes.clone());
    let (name, now) = (name.to_owned(), visit.now);
    Ok(Answer::later(
        move || creation.fulfil(request_id, now, serial),
        move |made, vault, visit| {
            vault.add_made(&name, made, changes, stamp)?;
            Ok(Done::Accepted { operation: in_progress(shown(vault, &name, visit)?), location })
        },
    ))
}

/// The operation while its certificate is being made.
fn in_progress(completed: Value) -> Value {
    json!({
        "id": completed["id"],
        "issuer": completed["issuer"],
        "csr": completed["csr"],
        "cancellation_requested": false,
        "status": "inProgress",
        "status_details": "Pending certificate created. Certificate request is in progress. This may take some time \
            based on the issuer provider. Please check again later.",
        "request_id": completed["request_id"],
    })
}

/// How the latest version that was made here came into being.
pub(super) fn shown(vault: &Vault, name: &str, visit: &Visit<'_>) -> Result<Value, Refusal> {
    let missing = || Refusal::pending_not_found(name);
    let object = vault.certificates.get(name).ok_or_else(missing)?;
    let mut requests = object.versions().rev().filter_map(|version| version.content.request.as_ref());
    let request = requests.next().ok_or_else(missing)?;
    Ok(json!({
        "id": visit.site.id(Kind::Certificate, &object.name, Some("pending")),
        "issuer": { "name": "Self" },
        "csr": STANDARD.encode(&request.csr),
        "cancellation_requested": false,
        "status": "completed",
        "target": visit.site.id(Kind::Certificate, &object.name, None),
        "request_id": request.id,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::{Method, StatusCode};
    use openssl::x509::{X509, X509Req};

    use super::super::Import;
    use super::super::testing::*;
    use super::*;

    const CREATE: &str = "/certificates/made/create?api-version=2025-07-01";
    const PENDING: &str = "/certificates/made/pending?api-version=2025-07-01";

    fn wish() -> Value {
        json!({
            "policy": {
                "issuer": { "name": "Self" },
                "key_props": { "kty": "EC", "crv": "P-256", "exportable": false },
                "secret_props": { "contentType": "application/x-pem-file" },
                "x509_props": {
                    "subject": "CN=Made CA",
                    "key_usage": ["keyCertSign", "cRLSign"],
                    "ekus": [],
                    "validity_months": 24,
                    "basic_constraints": { "ca": true },
                },
            },
            "attributes": { "enabled": true },
            "tags": { "keyholder": "*" },
        })
    }

    #[test]
    fn a_certificate_is_made_by_the_next_look_at_the_operation() {
        let mut lab = Lab::new();
        let response = lab.send(&lab.request(Method::POST, CREATE, Some(&wish())));
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        let begun = json(&response);
        assert_eq!(
            names(&begun),
            ["id", "issuer", "csr", "cancellation_requested", "status", "status_details", "request_id"]
        );
        assert_eq!((&begun["status"], &begun["issuer"]["name"]), (&json!("inProgress"), &json!("Self")));
        let (_, operation) = lab.get(PENDING);
        assert_eq!(
            names(&operation),
            ["id", "issuer", "csr", "cancellation_requested", "status", "target", "request_id"]
        );
        assert_eq!(operation["status"], "completed");
        assert_eq!(operation["target"], format!("https://{HOST}/certificates/made"));
        for member in ["id", "csr", "request_id"] {
            assert_eq!(begun[member], operation[member]);
        }
        let id = operation["request_id"].as_str().unwrap();
        assert_eq!(
            response.headers()["location"],
            format!("https://{HOST}/certificates/made/pending?api-version=2025-07-01&request_id={id}")
        );

        let csr = X509Req::from_der(&STANDARD.decode(operation["csr"].as_str().unwrap()).unwrap()).unwrap();
        let made = lab.read("/certificates/made");
        let leaf = X509::from_der(&STANDARD.decode(made["cer"].as_str().unwrap()).unwrap()).unwrap();
        assert!(leaf.public_key().unwrap().public_eq(&csr.public_key().unwrap()));
        assert_eq!(made["pending"]["id"], operation["id"]);
        assert_eq!(made["tags"], json!({ "keyholder": "*" }));
        assert_eq!(made["attributes"]["nbf"], NOW.unix_timestamp() - 600);
    }

    #[test]
    fn the_policy_of_what_was_made_is_the_wish() {
        let mut lab = Lab::new();
        lab.ask(Method::POST, CREATE, &wish());
        let policy = lab.read("/certificates/made")["policy"].take();
        assert_eq!(policy["issuer"], json!({ "name": "Self" }));
        assert_eq!(policy["x509_props"], wish()["policy"]["x509_props"]);
        assert_eq!(policy["secret_props"], wish()["policy"]["secret_props"]);
        assert_eq!(policy["key_props"]["exportable"], false);
        assert!(!lab.read("/secrets/made")["value"].as_str().unwrap().contains("PRIVATE KEY"));
        assert_eq!(lab.read("/keys/made")["key"]["key_ops"], json!(["sign", "verify"]));
    }

    #[test]
    fn making_it_again_is_a_new_version_with_a_new_key() {
        let mut lab = Lab::new();
        lab.ask(Method::POST, CREATE, &wish());
        let first = lab.read("/certificates/made");
        let (_, operation) = lab.ask(Method::POST, CREATE, &wish());
        let second = lab.read("/certificates/made");
        assert_ne!(first["id"], second["id"]);
        assert_ne!(first["x5t"], second["x5t"]);
        assert_eq!(lab.get(PENDING).1["request_id"], operation["request_id"]);
        assert_eq!(lab.walk("/certificates/made/versions?api-version=7.4").1.len(), 2);
    }

    #[test]
    fn what_was_not_made_here_has_no_operation() {
        let mut lab = Lab::new();
        lab.import("made", Import::new(ca_pem()));
        assert!(lab.read("/certificates/made").get("pending").is_none());
        for path in [PENDING, "/certificates/none/pending?api-version=7.4"] {
            let (status, body) = lab.get(path);
            assert_eq!(status, StatusCode::NOT_FOUND);
            assert_eq!(body["error"]["code"], "PendingCertificateNotFound");
        }
    }

    #[test]
    fn other_issuers_are_refused_and_leave_nothing_behind() {
        let mut lab = Lab::new();
        let mut body = wish();
        body["policy"]["issuer"]["name"] = json!("DigiCert");
        let (status, answer) = lab.ask(Method::POST, CREATE, &body);
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("BadParameter")));
        assert_eq!(lab.get("/certificates/made?api-version=7.4").0, StatusCode::NOT_FOUND);
    }
}
