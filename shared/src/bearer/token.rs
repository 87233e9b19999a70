//! A JSON Web Token ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519)) in the compact form of JWS
//! ([RFC 7515](https://www.rfc-editor.org/rfc/rfc7515)), signed with RS256: taken apart, its signature, its claims.
//! Nothing here makes a call or looks at a clock.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Public};
use openssl::sign::Verifier;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{Expected, NotTaken, ROLE, refused};
use crate::error::quoted;

/// How far clocks may disagree.
const LEEWAY: time::Duration = time::Duration::minutes(5);

/// Its three parts, as they were sent.
pub(super) struct Token<'t> {
    header: &'t str,
    claims: &'t str,
    signature: &'t str,
    /// Header and claims with the dot between them: what is signed.
    signed: &'t str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    exp: i64,
    nbf: Option<i64>,
    #[serde(default)]
    roles: Vec<String>,
    /// The application the token was given to, in the first form of access tokens.
    appid: Option<String>,
    /// The same in the second form.
    azp: Option<String>,
}

impl<'t> Token<'t> {
    /// Takes the value of an `Authorization` header apart.
    pub(super) fn of(authorization: &'t str) -> Result<Token<'t>, NotTaken> {
        let scheme_and_token = authorization.trim().split_once(' ');
        let token = scheme_and_token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let token =
            token.map(|(_, token)| token.trim()).ok_or_else(|| refused("there is no bearer token"))?;
        let in_three = || {
            let (signed, signature) = token.rsplit_once('.')?;
            let (header, claims) = signed.split_once('.')?;
            let one_each = !claims.contains('.');
            one_each.then_some(Token { header, claims, signature, signed })
        };
        in_three().ok_or_else(|| refused("it is no JSON Web Token"))
    }

    /// Returns the name of the key that it says it is signed with.
    pub(super) fn key_id(&self) -> Result<String, NotTaken> {
        let header: Header = read(self.header)?;
        // The one algorithm that Entra ID signs with. What a token says of itself chooses no other.
        if header.alg != "RS256" {
            return Err(refused(&format!("its algorithm is {}, RS256 is right", quoted(&header.alg))));
        }
        header.kid.ok_or_else(|| refused("it names no key"))
    }

    /// Returns what it says, if it is signed with this key.
    pub(super) fn claims(&self, key: &PKey<Public>) -> Result<Claims, NotTaken> {
        if !self.is_signed_with(key) {
            return Err(refused("its signature is not of the key it names"));
        }
        read(self.claims)
    }

    pub(super) fn is_signed_with(&self, key: &PKey<Public>) -> bool {
        let verify = || -> Option<bool> {
            let signature = URL_SAFE_NO_PAD.decode(self.signature).ok()?;
            let mut verifier = Verifier::new(MessageDigest::sha256(), key).ok()?;
            verifier.verify_oneshot(&signature, self.signed.as_bytes()).ok()
        };
        verify().unwrap_or(false)
    }
}

impl Expected {
    /// Checks whether claims whose signature is good are those of a token for us, from Event Grid, at this moment.
    pub(super) fn check(&self, claims: &Claims, now: OffsetDateTime) -> Result<(), String> {
        let Expected { tenant, audience, authority, event_grid } = self;
        let authority = authority.as_str().trim_end_matches('/');
        // The two forms of access tokens; which of them an application gets is a setting of its own.
        let issuers = [format!("https://sts.windows.net/{tenant}/"), format!("{authority}/{tenant}/v2.0")];
        if !issuers.contains(&claims.iss) {
            return Err(format!("its issuer is {}, {} is right", quoted(&claims.iss), issuers.join(" or ")));
        }
        if claims.aud != *audience {
            return Err(format!(
                "it is for {}, and KEYHOLDER_WEBHOOK_ENTRA says {}",
                quoted(&claims.aud),
                quoted(audience)
            ));
        }
        let (now, leeway) = (now.unix_timestamp(), LEEWAY.whole_seconds());
        if now >= claims.exp.saturating_add(leeway) {
            return Err("it has expired".to_owned());
        }
        if claims.nbf.is_some_and(|not_before| now < not_before.saturating_sub(leeway)) {
            return Err("it is not good yet".to_owned());
        }
        if !claims.roles.iter().any(|role| role == ROLE) {
            return Err(format!("its bearer does not have the role {ROLE} of the application"));
        }
        // The documented set-up gives that role to those who create event subscriptions, too.
        let given_to = [&claims.appid, &claims.azp].into_iter().flatten().collect::<Vec<_>>();
        if given_to.is_empty() {
            return Err("it does not say which application it was given to (appid, azp)".to_owned());
        }
        match given_to.into_iter().find(|application| !application.eq_ignore_ascii_case(event_grid)) {
            None => Ok(()),
            Some(other) => Err(format!(
                "it was given to the application {}, and Event Grid is {event_grid}; in a sovereign cloud set \
                 KEYHOLDER_WEBHOOK_EVENT_GRID_APP_ID to the id of its Microsoft.EventGrid",
                quoted(other)
            )),
        }
    }
}

fn read<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, NotTaken> {
    let json = URL_SAFE_NO_PAD.decode(part).ok().and_then(|json| serde_json::from_slice(&json).ok());
    json.ok_or_else(|| refused("a part of it cannot be read"))
}
