//! Whether a verification certificate proves possession of a CA's private key. A real check with OpenSSL: an
//! emulator that nods everything through would hide every bug its users look for.
//!
//! What is asked is what the recordings show to matter: the name, the issuer, the signature and the dates.
//! There is no path validation, because the live service takes a CA and a proof without any extension.

use openssl::error::ErrorStack;
use openssl::x509::{X509, X509Ref};
use time::OffsetDateTime;

use crate::dps::upload;

/// Why a proof is refused. The wording about the issuer was quoted from the live service; the others are
/// chosen, not observed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing was asked, so nothing can be proven.
    #[error("No verification code is pending, generate one first.")]
    NoCode,
    /// Not a certificate.
    #[error("The verification certificate cannot be read.")]
    Unreadable,
    /// It has to be there once.
    #[error("The verification certificate has {0} common names, expected one.")]
    CommonNames(usize),
    /// The common name is something else.
    #[error("The common name of the verification certificate is not the verification code.")]
    WrongCode,
    /// Issued by somebody else.
    #[error("Issuer certificate '{0}' cannot be found in the certificate chain.")]
    WrongIssuer(String),
    /// Says it is issued by the CA, and is not.
    #[error("The signature of the verification certificate is not of the uploaded certificate's key.")]
    WrongSignature,
    /// Its validity lies ahead.
    #[error("The verification certificate is not valid yet.")]
    NotYetValid,
    /// Its validity is over.
    #[error("The verification certificate has expired.")]
    Expired,
}

/// A proof, read, and its signature checked: what takes long, and depends on the CA and the proof alone.
#[derive(Clone, Debug)]
pub(crate) struct Examined {
    leaf: Option<X509>,
    is_signed: bool,
}

impl Examined {
    /// Reads a proof and checks its signature with the key of a CA.
    pub(crate) fn of(ca: &X509, proof: &str) -> Examined {
        let leaf = upload::decode(proof);
        let is_signed = leaf.as_ref().is_some_and(|leaf| names_as_issuer(leaf, ca) && is_signed_by(leaf, ca));
        Examined { leaf, is_signed }
    }

    /// Judges the proof against the CA it was examined for and the pending code.
    pub(crate) fn judge(&self, ca: &X509, code: Option<&str>, now: OffsetDateTime) -> Result<(), Refusal> {
        let code = code.ok_or(Refusal::NoCode)?;
        let leaf = self.leaf.as_ref().ok_or(Refusal::Unreadable)?;
        names_the_code(leaf, code)?;
        if !names_as_issuer(leaf, ca) {
            return Err(Refusal::WrongIssuer(upload::full_name(ca.subject_name())));
        }
        if !self.is_signed {
            return Err(Refusal::WrongSignature);
        }
        is_valid_at(leaf, now)
    }
}

fn names_the_code(leaf: &X509Ref, code: &str) -> Result<(), Refusal> {
    let names: Vec<String> = upload::common_names(leaf.subject_name()).collect();
    match names.as_slice() {
        [name] if name == code => Ok(()),
        [_] => Err(Refusal::WrongCode),
        others => Err(Refusal::CommonNames(others.len())),
    }
}

/// Byte by byte: the stricter reading, and the one no verifier disagrees with.
fn names_as_issuer(leaf: &X509Ref, ca: &X509Ref) -> bool {
    match (leaf.issuer_name().to_der(), ca.subject_name().to_der()) {
        (Ok(issuer), Ok(subject)) => issuer == subject,
        _ => false,
    }
}

fn is_signed_by(leaf: &X509Ref, ca: &X509Ref) -> bool {
    let signed = ca.public_key().and_then(|key| leaf.verify(&key)).unwrap_or(false);
    // A signature that does not fit leaves its reason in OpenSSL's queue, where the next TLS call would find it.
    drop(ErrorStack::get());
    signed
}

fn is_valid_at(leaf: &X509Ref, now: OffsetDateTime) -> Result<(), Refusal> {
    let not_before = upload::moment(leaf.not_before()).map_err(|_| Refusal::Unreadable)?;
    let not_after = upload::moment(leaf.not_after()).map_err(|_| Refusal::Unreadable)?;
    if now < not_before {
        Err(Refusal::NotYetValid)
    } else if now > not_after {
        Err(Refusal::Expired)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use time::Duration;

    use super::*;
    use crate::dps::testing::{Ca, NOW, Proof, name};

    fn check(ca: &X509, code: Option<&str>, proof: &str, now: OffsetDateTime) -> Result<(), Refusal> {
        Examined::of(ca, proof).judge(ca, code, now)
    }

    const CODE: &str = "7D07A6A51F8AF1469499A1D92074D629894BE9FA8A013E49";

    #[test]
    fn a_proof_is_taken_in_every_encoding_and_of_every_kind_of_key() {
        for ca in [Ca::new("my-ca"), Ca::rsa("my-ca")] {
            let proof = ca.proof(CODE);
            let der = X509::from_pem(proof.pem().as_bytes()).unwrap().to_der().unwrap();
            for text in [proof.pem(), proof.base64_of_pem(), STANDARD.encode(der)] {
                assert_eq!(check(&ca.certificate, Some(CODE), &text, NOW), Ok(()));
            }
        }
    }

    #[test]
    fn whatever_is_wrong_is_refused_for_its_own_reason() {
        let ca = Ca::new("my-ca");
        let namesake = Ca::new("my-ca");
        let stranger = Ca::new("another-ca");
        let lower = CODE.to_lowercase();
        let longer = format!("{CODE}0");
        let with_names = |names: &[&'static str]| Proof { names: names.to_vec(), ..ca.proof(CODE) };
        let capitals = name(&["MY-CA"]);
        for (case, proof, refusal) in [
            ("another code", ca.proof("A1B2C3D4E5F6G7H8"), Refusal::WrongCode),
            ("lower case", ca.proof(&lower), Refusal::WrongCode),
            ("more than the code", ca.proof(&longer), Refusal::WrongCode),
            ("no common name", with_names(&[]), Refusal::CommonNames(0)),
            ("two common names", with_names(&[CODE, "another"]), Refusal::CommonNames(2)),
            ("the code twice", with_names(&[CODE, CODE]), Refusal::CommonNames(2)),
            ("another issuer", stranger.proof(CODE), Refusal::WrongIssuer("CN=my-ca".to_owned())),
            (
                "the issuer in capitals",
                Proof { issuer: &capitals, ..ca.proof(CODE) },
                Refusal::WrongIssuer("CN=my-ca".to_owned()),
            ),
            ("a namesake's key", namesake.proof(CODE), Refusal::WrongSignature),
            (
                "the name of one, the key of another",
                Proof { signed_by: &stranger, ..ca.proof(CODE) },
                Refusal::WrongSignature,
            ),
            ("not yet valid", Proof { from: NOW + Duration::SECOND, ..ca.proof(CODE) }, Refusal::NotYetValid),
            ("expired", Proof { until: NOW - Duration::SECOND, ..ca.proof(CODE) }, Refusal::Expired),
        ] {
            assert_eq!(check(&ca.certificate, Some(CODE), &proof.pem(), NOW), Err(refusal), "{case}");
        }
    }

    #[test]
    fn a_proof_is_good_from_its_first_second_to_its_last() {
        let ca = Ca::new("my-ca");
        let proof = Proof { from: NOW, until: NOW, ..ca.proof(CODE) };
        assert_eq!(check(&ca.certificate, Some(CODE), &proof.pem(), NOW), Ok(()));
    }

    #[test]
    fn nothing_is_proven_without_a_code_or_a_certificate() {
        let ca = Ca::new("my-ca");
        let proof = ca.proof(CODE).pem();
        assert_eq!(check(&ca.certificate, None, &proof, NOW), Err(Refusal::NoCode));
        for text in ["", "nonsense", "bm9uc2Vuc2U="] {
            assert_eq!(check(&ca.certificate, Some(CODE), text, NOW), Err(Refusal::Unreadable), "{text}");
        }
    }

    #[test]
    fn a_refused_signature_leaves_nothing_in_openssls_queue() {
        let (ca, namesake) = (Ca::new("my-ca"), Ca::new("my-ca"));
        let refused = check(&ca.certificate, Some(CODE), &namesake.proof(CODE).pem(), NOW);
        assert_eq!(refused, Err(Refusal::WrongSignature));
        assert!(ErrorStack::get().errors().is_empty());
    }
}
