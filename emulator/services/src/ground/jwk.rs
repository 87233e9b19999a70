//! Public keys as JSON Web Keys.

use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, PKeyRef};
use serde_json::{Value, json};

use crate::ground::jose;

const CURVES: [(Nid, &str); 4] = [
    (Nid::X9_62_PRIME256V1, "P-256"),
    (Nid::SECP256K1, "P-256K"),
    (Nid::SECP384R1, "P-384"),
    (Nid::SECP521R1, "P-521"),
];

/// The public half of a key: `kty`, and the numbers in base64url.
pub(crate) fn public_half<T: HasPublic>(key: &PKeyRef<T>) -> Result<Value, ErrorStack> {
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

/// The curve of a name in `crv`.
pub(crate) fn curve(name: &str) -> Option<Nid> {
    CURVES.into_iter().find_map(|(curve, known)| (known == name).then_some(curve))
}

/// The name of a curve in `crv`.
pub(crate) fn curve_name(curve: Nid) -> Option<&'static str> {
    CURVES.into_iter().find_map(|(known, name)| (known == curve).then_some(name))
}
