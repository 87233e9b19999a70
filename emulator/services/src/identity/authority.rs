//! Entra ID, as far as programs use it: tokens for client credentials, and what a stranger needs to check a token.
//!
//! An application proves who it is by its secret, or by an assertion of somebody it trusts (workload identity
//! federation). Whom it trusts cannot be asked here: an assertion of any issuer will do, if it is in time and made
//! for Entra ID.

mod refusal;

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::access::callers::Principal;
use crate::ground::exchange::{self, Request, Response};
use crate::ground::jose;
use crate::identity::issuer::{Identity, issuer};
use crate::identity::wire::texts;
use crate::names::TENANT;
use crate::steering::operation::Operation;
use refusal::Refusal;

/// What an assertion of workload identity federation is made for.
const EXCHANGE_AUDIENCE: &str = "api://AzureADTokenExchange";
const BEARER_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What is asked of which tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    tenant: String,
    what: What,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Token,
    Metadata,
    Keys,
}

/// Of the endpoints; tokens for Azure's own services are alike in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// Names the audience as `resource`.
    One,
    /// Names the audience as a `scope`.
    Two,
}

impl Call {
    pub(super) fn parse(path: &str) -> Option<Call> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let (tenant, rest) = segments.split_first()?;
        let (what, version) = match rest {
            ["oauth2", "token"] => (What::Token, Version::One),
            ["oauth2", "v2.0", "token"] => (What::Token, Version::Two),
            [".well-known", "openid-configuration"] => (What::Metadata, Version::One),
            ["v2.0", ".well-known", "openid-configuration"] => (What::Metadata, Version::Two),
            ["discovery", "keys"] => (What::Keys, Version::One),
            ["discovery", "v2.0", "keys"] => (What::Keys, Version::Two),
            _ => return None,
        };
        let tenant = percent_decode_str(tenant).decode_utf8().ok()?.into_owned();
        Some(Call { tenant, what, version })
    }

    pub(super) fn operation(&self) -> Operation {
        match self.what {
            What::Token => Operation::GetToken,
            What::Metadata | What::Keys => Operation::GetOpenIdMetadata,
        }
    }
}

pub(super) fn answer(
    identity: &Identity,
    call: &Call,
    request: &Request,
    now: OffsetDateTime,
    random: &mut fastrand::Rng,
) -> Response {
    let result = match call.what {
        What::Token => token(identity, call, request, now),
        What::Metadata | What::Keys if request.method() != Method::GET => {
            Err(Refusal::MethodNotAllowed("GET", request.method().clone()))
        }
        What::Metadata => metadata(call, request),
        What::Keys => {
            Ok(exchange::json(StatusCode::OK, &json!({ "keys": [identity.key.public(&issuer())] })))
        }
    };
    result.unwrap_or_else(|refusal| refusal.answer(now, random))
}

/// A refusal with this status, as the service would put it.
pub(super) fn refuse(
    status: StatusCode,
    message: &str,
    now: OffsetDateTime,
    random: &mut fastrand::Rng,
) -> Response {
    let error = match status {
        StatusCode::BAD_REQUEST => "invalid_request",
        StatusCode::UNAUTHORIZED => "invalid_client",
        _ => "temporarily_unavailable",
    };
    refusal::body(status, error, 90_033, message, now, random)
}

fn token(
    identity: &Identity,
    call: &Call,
    request: &Request,
    now: OffsetDateTime,
) -> Result<Response, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::MethodNotAllowed("POST", request.method().clone()));
    }
    check_tenant(&call.tenant, "invalid_request")?;
    let form = Form::read(request);
    let grant = form.required("grant_type")?;
    if grant != "client_credentials" {
        return Err(Refusal::GrantType(grant));
    }
    let client_id = form.required("client_id")?;
    let audience = match call.version {
        Version::One => form.required("resource")?,
        Version::Two => {
            let scope = form.required("scope")?;
            scope.strip_suffix("/.default").map(str::to_owned).ok_or(Refusal::Scope(scope))?
        }
    };
    let principal = authenticate(identity, client_id, &form, now)?;
    let access_token = identity.mint_for(&principal, &audience, now);
    // As recorded: a second less than the token is good for.
    let seconds = identity.lifetime.whole_seconds() - 1;
    Ok(match call.version {
        Version::One => texts(&[
            ("token_type", "Bearer".to_owned()),
            ("expires_in", seconds.to_string()),
            ("ext_expires_in", seconds.to_string()),
            ("expires_on", identity.expiry(now).to_string()),
            ("not_before", now.unix_timestamp().to_string()),
            ("resource", audience),
            ("access_token", access_token),
        ]),
        Version::Two => exchange::json(
            StatusCode::OK,
            &json!({
                "token_type": "Bearer",
                "expires_in": seconds,
                "ext_expires_in": seconds,
                "access_token": access_token,
            }),
        ),
    })
}

fn authenticate(
    identity: &Identity,
    client_id: String,
    form: &Form,
    now: OffsetDateTime,
) -> Result<Principal, Refusal> {
    let Some(account) = identity.directory.by_client_id(&client_id) else {
        return Err(Refusal::UnknownApplication(client_id));
    };
    match (form.get("client_secret"), form.get("client_assertion")) {
        (Some(secret), _) => match &account.secret {
            Some(known) if known.0 == secret => Ok(account.principal.clone()),
            _ => Err(Refusal::Secret(client_id)),
        },
        (None, Some(assertion)) => {
            if form.get("client_assertion_type") != Some(BEARER_ASSERTION) {
                return Err(Refusal::Missing("client_assertion_type"));
            }
            check_assertion(assertion, now)?;
            Ok(account.principal.clone())
        }
        (None, None) => Err(Refusal::NoCredential),
    }
}

fn check_assertion(assertion: &str, now: OffsetDateTime) -> Result<(), Refusal> {
    let claims = assertion.split('.').nth(1).and_then(jose::from_base64url);
    let claims: Value =
        claims.and_then(|claims| serde_json::from_slice(&claims).ok()).ok_or(Refusal::MalformedAssertion)?;
    let audiences = match &claims["aud"] {
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    };
    if !audiences.iter().any(|audience| audience == EXCHANGE_AUDIENCE) {
        let found = audiences.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
        return Err(Refusal::AssertionAudience(found));
    }
    let now = now.unix_timestamp();
    let begins = claims["nbf"].as_i64().unwrap_or(now);
    let ends = claims["exp"].as_i64().ok_or(Refusal::MalformedAssertion)?;
    if begins <= now && now < ends { Ok(()) } else { Err(Refusal::AssertionTime) }
}

fn metadata(call: &Call, request: &Request) -> Result<Response, Refusal> {
    check_tenant(&call.tenant, "invalid_tenant")?;
    let tenant = format!("{}/{TENANT}", exchange::origin(request));
    let (issuer, oauth, keys) = match call.version {
        Version::One => (issuer(), "oauth2", "discovery/keys"),
        Version::Two => (format!("{tenant}/v2.0"), "oauth2/v2.0", "discovery/v2.0/keys"),
    };
    let body = json!({
        "token_endpoint": format!("{tenant}/{oauth}/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "jwks_uri": format!("{tenant}/{keys}"),
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "grant_types_supported": ["client_credentials"],
        "issuer": issuer,
        // Nobody signs in here by a browser; clients insist on the member.
        "authorization_endpoint": format!("{tenant}/{oauth}/authorize"),
    });
    Ok(exchange::json(StatusCode::OK, &body))
}

fn check_tenant(tenant: &str, error: &'static str) -> Result<(), Refusal> {
    if tenant.eq_ignore_ascii_case(TENANT) {
        Ok(())
    } else {
        Err(Refusal::Tenant { tenant: tenant.to_owned(), error })
    }
}

/// The body of a token request.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(request: &Request) -> Form {
        Form(url::form_urlencoded::parse(request.body()).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    fn required(&self, name: &'static str) -> Result<String, Refusal> {
        self.get(name).map(str::to_owned).ok_or(Refusal::Missing(name))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;
    use openssl::bn::BigNum;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::sha::sha256;

    use super::*;
    use crate::World;
    use crate::identity::testing::*;
    use crate::identity::{CLIENT_ID, OPERATOR_CLIENT_ID, OPERATOR_SECRET};

    const SCOPE: &str = "https://vault.azure.net/.default";

    fn post(path: &str, form: &[(&str, &str)]) -> Request {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        http::Request::post(format!("https://localhost:8443/{TENANT}/{path}"))
            .body(Bytes::from(body))
            .unwrap()
    }

    fn get(path: &str) -> Request {
        http::Request::get(format!("https://localhost:8443/{path}")).body(Bytes::new()).unwrap()
    }

    /// The operator's request, with a parameter changed, or left out where the change is empty.
    fn operator(changed: &[(&str, &str)]) -> Request {
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", OPERATOR_CLIENT_ID),
            ("client_secret", OPERATOR_SECRET),
            ("scope", SCOPE),
        ];
        form.retain(|(name, _)| changed.iter().all(|(other, _)| other != name));
        form.extend(changed.iter().filter(|(_, value)| !value.is_empty()));
        post("oauth2/v2.0/token", &form)
    }

    fn assertion(audience: &str, from: i64, until: i64) -> String {
        let claims =
            json!({"iss": "https://issuer.example", "sub": "s", "aud": audience, "nbf": from, "exp": until});
        format!("{}.{}.c2ln", jose::base64url("{}"), jose::base64url(claims.to_string()))
    }

    #[test]
    fn an_application_gets_a_token_for_its_secret() {
        let mut world = World::empty(1);
        let (status, body) = asked(&mut world, &operator(&[]));
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(speaks_for(&world, &body, VAULT), Principal::operator().into());
        assert_eq!((&body["expires_in"], &body["token_type"]), (&json!(3599), &json!("Bearer")));

        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", OPERATOR_CLIENT_ID),
            ("client_secret", OPERATOR_SECRET),
            ("resource", VAULT),
        ];
        let (_, body) = asked(&mut world, &post("oauth2/token", &form));
        assert_eq!(speaks_for(&world, &body, VAULT), Principal::operator().into());
        assert_eq!(body["expires_on"], (NOW.unix_timestamp() + 3600).to_string());

        world.identity.add_application(user_assigned(), "mine");
        let mine =
            operator(&[("client_id", "C"), ("client_secret", "mine"), ("scope", "https://a//.default")]);
        let (_, body) = asked(&mut world, &mine);
        assert_eq!(speaks_for(&world, &body, "https://a/"), user_assigned().into());
    }

    #[test]
    fn the_app_gets_a_token_for_an_assertion_of_somebody_it_trusts() {
        let mut world = World::empty(1);
        let now = NOW.unix_timestamp();
        let mut ask = |assertion: &str| {
            let form = [
                ("client_id", CLIENT_ID),
                ("client_secret", ""),
                ("client_assertion", assertion),
                ("client_assertion_type", BEARER_ASSERTION),
            ];
            let (status, body) = asked(&mut world, &operator(&form));
            match body.get("error_codes") {
                Some(codes) => (status.as_u16(), codes[0].clone()),
                None => {
                    assert_eq!(speaks_for(&world, &body, VAULT), Principal::function_app().into());
                    (status.as_u16(), Value::Null)
                }
            }
        };
        assert_eq!(ask(&assertion(EXCHANGE_AUDIENCE, now, now + 1)), (200, Value::Null));
        for (wrong, status, code) in [
            ("nonsense".to_owned(), 400, 50_027),
            (assertion(VAULT, now, now + 1), 401, 700_212),
            (assertion(EXCHANGE_AUDIENCE, now + 1, now + 2), 401, 700_024),
            (assertion(EXCHANGE_AUDIENCE, now - 1, now), 401, 700_024),
        ] {
            assert_eq!(ask(&wrong), (status, json!(code)), "{wrong}");
        }
    }

    #[test]
    fn a_wrong_request_is_refused_with_the_service_s_code() {
        let mut world = World::empty(1);
        let elsewhere = http::Request::post("https://localhost:8443/contoso.com/oauth2/v2.0/token");
        let rows = [
            (operator(&[("client_secret", "guess")]), 401, "invalid_client", 7_000_215),
            (operator(&[("client_secret", "")]), 401, "invalid_client", 7_000_216),
            // A managed identity has no secret.
            (operator(&[("client_id", CLIENT_ID)]), 401, "invalid_client", 7_000_215),
            (operator(&[("client_id", "ghost")]), 400, "unauthorized_client", 700_016),
            (operator(&[("client_id", "")]), 400, "invalid_request", 900_144),
            (operator(&[("grant_type", "password")]), 400, "unsupported_grant_type", 70_003),
            (operator(&[("grant_type", "")]), 400, "invalid_request", 900_144),
            (operator(&[("scope", VAULT)]), 400, "invalid_scope", 1_002_012),
            (operator(&[("scope", "")]), 400, "invalid_request", 900_144),
            (elsewhere.body(Bytes::new()).unwrap(), 400, "invalid_request", 90_002),
            (get(&format!("{TENANT}/oauth2/v2.0/token")), 400, "invalid_request", 900_561),
            (get("contoso.com/v2.0/.well-known/openid-configuration"), 400, "invalid_tenant", 90_002),
        ];
        for (request, status, error, code) in rows {
            let (found, body) = asked(&mut world, &request);
            assert_eq!((found.as_u16(), &body["error"]), (status, &json!(error)), "{body}");
            assert_eq!(body["error_codes"], json!([code]));
            let description = body["error_description"].as_str().unwrap();
            assert!(description.starts_with(&format!("AADSTS{code}: ")), "{description}");
            assert!(!description.contains("guess") && body.get("access_token").is_none());
        }
    }

    /// Checks a token as a stranger would: metadata, keys, signature.
    #[test]
    fn a_stranger_can_check_a_token_with_nothing_but_the_metadata() {
        let mut world = World::empty(1);
        for version in ["", "v2.0/"] {
            let (_, metadata) =
                asked(&mut world, &get(&format!("{TENANT}/{version}.well-known/openid-configuration")));
            let endpoint = metadata["token_endpoint"].as_str().unwrap().to_owned();
            assert!(endpoint.starts_with("https://localhost:8443/"), "{endpoint}");
            let keys =
                metadata["jwks_uri"].as_str().unwrap().strip_prefix("https://localhost:8443/").unwrap();
            let (_, keys) = asked(&mut world, &get(keys));
            let [key] = keys["keys"].as_array().unwrap().as_slice() else { panic!("{keys}") };
            assert_eq!(
                (&key["kty"], &key["crv"], &key["use"]),
                (&json!("EC"), &json!("P-256"), &json!("sig"))
            );

            let token = world.identity.mint(VAULT, NOW);
            let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
            let decoded = |part: &str| -> Value {
                serde_json::from_slice(&jose::from_base64url(part).unwrap()).unwrap()
            };
            assert_eq!(decoded(header)["kid"], key["kid"]);
            if version.is_empty() {
                assert_eq!(decoded(claims)["iss"], metadata["issuer"]);
            }
            let number = |name: &str| {
                BigNum::from_slice(&jose::from_base64url(key[name].as_str().unwrap()).unwrap()).unwrap()
            };
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
            let public =
                EcKey::from_public_key_affine_coordinates(&group, &number("x"), &number("y")).unwrap();
            let digest = sha256(format!("{header}.{claims}").as_bytes());
            assert!(jose::ecdsa_verify(&public, &digest, &jose::from_base64url(signature).unwrap()));
        }
    }
}
