//! The public half of a key as a JSON Web Key, and which keys have one here.

use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, PKeyRef, Private};
use serde_json::{Value, json};

use super::refusal::Refusal;
use crate::jose;

/// Refuses what no vault keeps: RSA of any size and three curves are all there is.
pub(super) fn check(key: &PKeyRef<Private>) -> Result<(), Refusal> {
    let curve = key.ec_key().ok().and_then(|key| key.group().curve_name()).and_then(curve_name);
    if key.rsa().is_ok() || curve.is_some() {
        Ok(())
    } else {
        Err(Refusal::bad_parameter("The key must be RSA, or elliptic on P-256, P-384 or P-521."))
    }
}

/// The public half of a key: `kty`, and the numbers in base64url.
pub(super) fn public_half<T: HasPublic>(key: &PKeyRef<T>) -> Result<Value, ErrorStack> {
    if let Ok(rsa) = key.rsa() {
        let number = |number: &BigNumRef| jose::base64url(number.to_vec());
        return Ok(json!({ "kty": "RSA", "n": number(rsa.n()), "e": number(rsa.e()) }));
    }
    let key = key.ec_key()?;
    let (group, width) = (key.group(), jose::field_width(key.group()));
    let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
    key.public_key().affine_coordinates(group, &mut x, &mut y, &mut *BigNumContext::new()?)?;
    Ok(json!({
        "kty": "EC",
        "crv": group.curve_name().and_then(curve_name),
        "x": jose::base64url(x.to_vec_padded(width)?),
        "y": jose::base64url(y.to_vec_padded(width)?),
    }))
}

fn curve_name(curve: Nid) -> Option<&'static str> {
    match curve {
        Nid::X9_62_PRIME256V1 => Some("P-256"),
        Nid::SECP384R1 => Some("P-384"),
        Nid::SECP521R1 => Some("P-521"),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use openssl::ec::{EcGroup, EcKey};
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;

    use super::super::testing::*;
    use super::*;

    fn bytes(jwk: &Value, member: &str) -> Vec<u8> {
        jose::from_base64url(jwk[member].as_str().unwrap()).unwrap()
    }

    fn number(jwk: &Value, member: &str) -> BigNum {
        BigNum::from_slice(&bytes(jwk, member)).unwrap()
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
}
