//! Private keys as JSON Web Keys, and which keys a vault keeps.
//!
//! A private key comes in this form and never leaves in it.

use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, PKeyRef, Private};
use openssl::rsa::Rsa;
use serde_json::Value;

use super::refusal::Refusal;
use crate::ground::jose;
use crate::ground::jwk;

/// Refuses what no vault keeps: RSA of any size and four curves are all there is.
pub(super) fn check(key: &PKeyRef<Private>) -> Result<(), Refusal> {
    let curve = key.ec_key().ok().and_then(|key| key.group().curve_name()).and_then(jwk::curve_name);
    if key.rsa().is_ok() || curve.is_some() {
        Ok(())
    } else {
        Err(Refusal::bad_parameter("The key must be RSA, or elliptic on P-256, P-256K, P-384 or P-521."))
    }
}

/// The private key a request brings, after seeing to it that its numbers belong together.
pub(super) fn private_key(key: &Value) -> Result<PKey<Private>, Refusal> {
    let key = match key["kty"].as_str() {
        Some("RSA") => rsa(key)?,
        Some("EC") => elliptic(key)?,
        _ => return Err(Refusal::bad_parameter("Property 'key' is required: a JWK with kty RSA or EC.")),
    };
    key.ok_or_else(|| Refusal::bad_parameter("The numbers of the key do not belong together."))
}

/// The curve of this name.
pub(super) fn curve(name: &str) -> Result<Nid, Refusal> {
    jwk::curve(name).ok_or_else(|| Refusal::bad_parameter("crv must be P-256, P-256K, P-384 or P-521."))
}

fn rsa(key: &Value) -> Result<Option<PKey<Private>>, Refusal> {
    let (n, e, d) = (number(key, "n")?, number(key, "e")?, number(key, "d")?);
    let (p, q) = (number(key, "p")?, number(key, "q")?);
    let (dp, dq, qi) = (number(key, "dp")?, number(key, "dq")?, number(key, "qi")?);
    let assemble = || -> Result<Option<PKey<Private>>, ErrorStack> {
        let key = Rsa::from_private_components(n, e, d, p, q, dp, dq, qi)?;
        if key.check_key()? { PKey::from_rsa(key).map(Some) } else { Ok(None) }
    };
    Ok(assemble().unwrap_or_default())
}

fn elliptic(key: &Value) -> Result<Option<PKey<Private>>, Refusal> {
    let curve = curve(key["crv"].as_str().unwrap_or_default())?;
    let (x, y, d) = (number(key, "x")?, number(key, "y")?, number(key, "d")?);
    let assemble = || -> Result<PKey<Private>, ErrorStack> {
        let group = EcGroup::from_curve_name(curve)?;
        let public = EcKey::from_public_key_affine_coordinates(&group, &x, &y)?;
        let key = EcKey::from_private_components(&group, &d, public.public_key())?;
        key.check_key()?;
        PKey::from_ec_key(key)
    };
    Ok(assemble().ok())
}

fn number(key: &Value, member: &str) -> Result<BigNum, Refusal> {
    key[member]
        .as_str()
        .and_then(jose::from_base64url)
        .and_then(|bytes| BigNum::from_slice(&bytes).ok())
        .ok_or_else(|| Refusal::bad_parameter(format!("The key has no {member} in base64url.")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::super::testing::*;
    use super::*;
    use crate::ground::jwk::public_half;

    fn bytes(jwk: &Value, member: &str) -> Vec<u8> {
        jose::from_base64url(jwk[member].as_str().unwrap()).unwrap()
    }

    fn number(jwk: &Value, member: &str) -> BigNum {
        super::number(jwk, member).unwrap()
    }

    #[test]
    fn an_rsa_key_can_be_rebuilt_from_its_public_half() {
        let key = rsa_key();
        let jwk = public_half(&key).unwrap();
        assert_eq!(names(&jwk), ["kty", "n", "e"]);
        assert_eq!((&jwk["kty"], &jwk["e"]), (&json!("RSA"), &json!("AQAB")));
        let rebuilt = Rsa::from_public_components(number(&jwk, "n"), number(&jwk, "e")).unwrap();
        assert!(PKey::from_rsa(rebuilt).unwrap().public_eq(&key));
    }

    #[test]
    fn an_elliptic_key_can_be_rebuilt_from_its_public_half() {
        for (curve, crv, width) in [
            (Nid::X9_62_PRIME256V1, "P-256", 32),
            (Nid::SECP256K1, "P-256K", 32),
            (Nid::SECP384R1, "P-384", 48),
            (Nid::SECP521R1, "P-521", 66),
        ] {
            let key = ec_key(curve);
            let jwk = public_half(&key).unwrap();
            assert_eq!(names(&jwk), ["kty", "crv", "x", "y"]);
            assert_eq!((&jwk["kty"], &jwk["crv"]), (&json!("EC"), &json!(crv)));
            assert_eq!((bytes(&jwk, "x").len(), bytes(&jwk, "y").len()), (width, width));
            let group = EcGroup::from_curve_name(curve).unwrap();
            let (x, y) = (number(&jwk, "x"), number(&jwk, "y"));
            let rebuilt = EcKey::from_public_key_affine_coordinates(&group, &x, &y).unwrap();
            assert!(PKey::from_ec_key(rebuilt).unwrap().public_eq(&key));
        }
    }

    #[test]
    fn a_private_key_is_read_back_from_its_jwk() {
        for key in [rsa_key(), p256(), ec_key(Nid::SECP521R1)] {
            let read = private_key(&private_jwk(&key)).unwrap();
            assert!(read.public_eq(&key));
            assert_eq!(read.private_key_to_der().unwrap(), key.private_key_to_der().unwrap());
        }
    }

    #[test]
    fn numbers_that_do_not_belong_together_are_refused() {
        let (jwk, other) = (private_jwk(&p256()), private_jwk(&p256()));
        let mut stranger = jwk.clone();
        stranger["d"] = other["d"].clone();
        let mut off_the_curve = jwk.clone();
        off_the_curve["y"] = other["y"].clone();
        let mut incomplete = jwk.clone();
        incomplete["d"] = json!(null);
        let mut unknown = jwk.clone();
        unknown["crv"] = json!("P-224");
        let mut rsa = private_jwk(&rsa_key());
        rsa["p"] = rsa["q"].clone();
        for wrong in [stranger, off_the_curve, incomplete, unknown, rsa, json!({ "kty": "oct" }), json!(null)]
        {
            assert_eq!(private_key(&wrong).unwrap_err().code(), "BadParameter");
        }
    }
}
