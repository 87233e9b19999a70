//! The encodings of JOSE that tokens and Key Vault share: base64url without padding, and ECDSA signatures as
//! `r‖s`, each half as wide as the curve's field.
//!
//! OpenSSL speaks DER with minimal integers instead; about one signature in 128 has a half that is shorter,
//! and forgetting to pad it gives the rarest kind of failing test.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use openssl::bn::BigNum;
use openssl::ec::{EcGroupRef, EcKeyRef};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::pkey::{HasPublic, Private};

/// Writes without padding, reads with or without: some clients pad.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes as base64url.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL.encode(bytes)
}

/// The bytes behind base64url, if it is that.
pub(crate) fn from_base64url(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    BASE64URL.decode(text).ok()
}

/// Signs a digest; the answer is `r‖s`.
pub(crate) fn ecdsa_sign(key: &EcKeyRef<Private>, digest: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let signature = EcdsaSig::sign(digest, key)?;
    let width = field_width(key.group());
    let mut raw = signature.r().to_vec_padded(width)?;
    raw.extend(signature.s().to_vec_padded(width)?);
    Ok(raw)
}

/// Whether `r‖s` is this key's signature of the digest.
pub(crate) fn ecdsa_verify<T: HasPublic>(key: &EcKeyRef<T>, digest: &[u8], raw: &[u8]) -> bool {
    let verify = || -> Result<bool, ErrorStack> {
        let (r, s) = raw.split_at(raw.len() / 2);
        let signature = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?;
        signature.verify(digest, key)
    };
    let width = usize::try_from(field_width(key.group())).unwrap_or_default();
    raw.len() == 2 * width && verify().unwrap_or(false)
}

/// How many bytes a coordinate, and half a signature, takes on this curve.
pub(crate) fn field_width(group: &EcGroupRef) -> i32 {
    let bits = i32::try_from(group.degree()).unwrap_or(i32::MAX);
    (bits + 7) / 8
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;

    use super::*;

    #[test]
    fn signatures_have_one_width_however_small_their_numbers() {
        for (curve, width) in [(Nid::X9_62_PRIME256V1, 64), (Nid::SECP384R1, 96), (Nid::SECP521R1, 132)] {
            let key = EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap();
            for round in 0..300u16 {
                let digest = openssl::sha::sha256(&round.to_be_bytes());
                let raw = ecdsa_sign(&key, &digest).unwrap();
                assert_eq!(raw.len(), width);
                assert!(ecdsa_verify(&key, &digest, &raw));
            }
        }
    }

    #[test]
    fn a_changed_or_cut_signature_is_refused() {
        let key = EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap();
        let digest = openssl::sha::sha256(b"what was signed");
        let mut raw = ecdsa_sign(&key, &digest).unwrap();
        assert!(!ecdsa_verify(&key, &digest, &raw[..63]));
        assert!(!ecdsa_verify(&key, &digest, b""));
        raw[40] ^= 1;
        assert!(!ecdsa_verify(&key, &digest, &raw));
    }

    #[test]
    fn base64url_is_read_with_and_without_padding() {
        assert_eq!(base64url([0xfb, 0xff]), "-_8");
        assert_eq!(from_base64url("-_8").unwrap(), [0xfb, 0xff]);
        assert_eq!(from_base64url("-_8=").unwrap(), [0xfb, 0xff]);
        assert_eq!(from_base64url("+/8"), None);
    }
}
