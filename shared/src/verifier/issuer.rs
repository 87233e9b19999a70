//! Whose certificate goes with a pulled key. What a registry shows is the uploader's text, and a public key is public:
//! anyone can write a certificate around it. So it is the issuer only where the key's owner stands behind it.

use crate::ca::CaCertificate;
use crate::fingerprint::Fingerprint;
use crate::key_opener::OpenKey;
use crate::registry::Registered;

/// Why there is no issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unbelieved {
    /// The certificate has another public key than the one that was pulled.
    OtherKey,
    /// There is none, neither in the vault nor in the registry.
    Missing,
    /// The registry shows one, and the key's owner does not stand behind it.
    OnlyShown(Fingerprint),
}

/// The CA certificate that goes with a pulled key: the one beside it, else the one the vault `held`, else the one that
/// the registry shows, if the key signed it or a tag of the object with the key names it.
pub(super) fn issuer(
    pulled: &OpenKey,
    held: Option<&CaCertificate>,
    registered: &Registered,
    tags: &[(String, String)],
) -> Result<CaCertificate, Unbelieved> {
    let in_vault = pulled.certificate(registered.thumbprint).or(held).cloned();
    let is_in_vault = in_vault.is_some();
    let ca = in_vault.or_else(|| registered.shown()).ok_or(Unbelieved::Missing)?;
    let fingerprint = Fingerprint::of(ca.der());
    match pulled.belongs_to(&ca) {
        false => Err(Unbelieved::OtherKey),
        true if is_in_vault || ca.is_signed_by_its_own_key() || fingerprint.is_named_in(tags) => Ok(ca),
        true => Err(Unbelieved::OnlyShown(fingerprint)),
    }
}

#[cfg(test)]
mod tests {
    use openssl::pkey::{PKey, Private};
    use openssl::x509::X509;
    use zeroize::Zeroizing;

    use super::*;
    use crate::etag::Etag;
    use crate::fingerprint::CERTIFICATE_TAG;
    use crate::pulled_key::PulledKey;
    use crate::testing::{self, P256};

    fn pulled(key: &PKey<Private>, beside: Option<&CaCertificate>) -> OpenKey {
        let key = key.private_key_to_pem_pkcs8().expect("encodes");
        let beside = beside.map(|ca| X509::from_der(ca.der()).and_then(|ca| ca.to_pem()).expect("encodes"));
        let text = String::from_utf8([key, beside.unwrap_or_default()].concat()).expect("PEM is text");
        PulledKey::from_secret(Zeroizing::new(text)).and_then(OpenKey::in_this_process).expect("a key")
    }

    fn shows(shown: Option<&CaCertificate>, thumbprint_of: &CaCertificate) -> Registered {
        Registered {
            etag: Etag::parse("e1").expect("an etag"),
            thumbprint: thumbprint_of.thumbprint(),
            is_verified: false,
            updated: None,
            expiry: None,
            certificate: shown.map(testing::uploaded),
        }
    }

    fn named(ca: &CaCertificate) -> Vec<(String, String)> {
        vec![(CERTIFICATE_TAG.to_owned(), Fingerprint::of(ca.der()).to_string())]
    }

    #[test]
    fn a_certificate_that_only_the_registry_shows_is_believed_where_the_owner_of_the_key_stands_behind_it() {
        let key = testing::key(P256);
        let root = testing::ca(&key, 30);
        // The same key in a certificate that an uploader wrote.
        let foreign = testing::certificate(
            &testing::common_name("login.victim.example"),
            &key,
            &testing::key(P256),
            7300,
            testing::add_constraints,
        );
        let foreign = CaCertificate::from_der(&foreign).expect("a CA");
        let no_tags = Vec::new();
        let denied = Err(Unbelieved::OnlyShown(Fingerprint::of(foreign.der())));
        let rows = [
            ("signed by the key itself", None, None, &root, &no_tags, Ok(())),
            ("signed by another key", None, None, &foreign, &no_tags, denied),
            ("beside the key", Some(&foreign), None, &foreign, &no_tags, Ok(())),
            ("held by the vault", None, Some(&foreign), &foreign, &no_tags, Ok(())),
            ("named by a tag", None, None, &foreign, &named(&foreign), Ok(())),
            ("another one named", None, None, &foreign, &named(&root), denied),
            ("another one beside the key", Some(&root), None, &foreign, &no_tags, denied),
        ];
        for (name, beside, held, shown, tags, expected) in rows {
            let chosen = issuer(&pulled(&key, beside), held, &shows(Some(shown), shown), tags);
            let der = chosen.map(|ca| ca.der().to_vec());
            assert_eq!(der, expected.map(|()| shown.der().to_vec()), "{name}");
        }
    }

    #[test]
    fn another_key_or_no_certificate_is_never_an_issuer() {
        let key = testing::key(P256);
        let (ours, other) = (testing::ca(&key, 30), testing::ca(&testing::key(P256), 30));
        let rows = [
            ("another key shown", None, None, Some(&other), &other, Unbelieved::OtherKey),
            ("another key beside", Some(&other), None, None, &other, Unbelieved::OtherKey),
            ("another key held", None, Some(&other), None, &other, Unbelieved::OtherKey),
            ("none at all", None, None, None, &ours, Unbelieved::Missing),
            ("one with another thumbprint shown", None, None, Some(&ours), &other, Unbelieved::Missing),
        ];
        for (name, beside, held, shown, wanted, expected) in rows {
            let chosen = issuer(&pulled(&key, beside), held, &shows(shown, wanted), &named(wanted));
            assert_eq!(chosen.err(), Some(expected), "{name}");
        }
    }
}
