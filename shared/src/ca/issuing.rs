//! Checks whether a certificate may issue a verification certificate, and whether its own key signed it.

use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::x509::X509;
use time::OffsetDateTime;
use x509_cert::Version;
use x509_cert::der::Encode;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use super::{CaCertificate, UnsuitableCa};

/// The longest subject, in bytes of DER: it becomes the issuer of what is signed.
const MAX_SUBJECT: usize = 4096;
/// The longest subject key identifier, in bytes. A SHA-512 digest has as many; RFC 7093 and practice have 20 or 32.
const MAX_KEY_IDENTIFIER: usize = 64;

/// Signatures over a digest for which no one can make two texts. MD5 and SHA-1 are missing on purpose.
const SOUND: [Nid; 6] = [
    Nid::SHA256WITHRSAENCRYPTION,
    Nid::SHA384WITHRSAENCRYPTION,
    Nid::SHA512WITHRSAENCRYPTION,
    Nid::ECDSA_WITH_SHA256,
    Nid::ECDSA_WITH_SHA384,
    Nid::ECDSA_WITH_SHA512,
];

impl CaCertificate {
    /// Whether it may issue a verification certificate now: it says that it is a CA, its key usage allows it to sign
    /// certificates, what of it would go under the signature is short, and it is within its validity.
    ///
    /// X.509 version 1 has no way to say any of this. RFC 5280 (6.1.4, k) asks for another proof that such a certificate
    /// is a CA; there is none here, so it is refused.
    pub fn check_may_issue(&self, now: OffsetDateTime) -> Result<(), UnsuitableCa> {
        self.check_is_ca()?;
        self.check_size()?;
        self.check_validity(now)
    }

    fn check_is_ca(&self) -> Result<(), UnsuitableCa> {
        let certificate = self.0.parsed.tbs_certificate();
        if certificate.version() != Version::V3 {
            return Err(UnsuitableCa::NotACa(
                "it is not an X.509 version 3 certificate, and only those can say CA:TRUE",
            ));
        }
        let unclear = |_| UnsuitableCa::NotACa("its basic constraints or its key usage cannot be read");
        match certificate.get_extension::<BasicConstraints>().map_err(unclear)? {
            Some((_, BasicConstraints { ca: true, .. })) => {}
            _ => return Err(UnsuitableCa::NotACa("its basic constraints do not say CA:TRUE")),
        }
        match certificate.get_extension::<KeyUsage>().map_err(unclear)? {
            Some((_, usage)) if !usage.key_cert_sign() => {
                Err(UnsuitableCa::NotACa("its key usage does not include keyCertSign"))
            }
            _ => Ok(()),
        }
    }

    fn check_size(&self) -> Result<(), UnsuitableCa> {
        let subject = self.subject().to_der().map(|subject| subject.len());
        let subject = subject.map_err(|error| UnsuitableCa::Unreadable(error.to_string()))?;
        let identifier = self.subject_key_identifier().map_or(0, |identifier| identifier.0.as_bytes().len());
        for (part, found, most) in
            [("subject", subject, MAX_SUBJECT), ("key identifier", identifier, MAX_KEY_IDENTIFIER)]
        {
            if found > most {
                return Err(UnsuitableCa::TooLong { part, found, most });
            }
        }
        Ok(())
    }

    /// Rejects a CA outside its validity. DPS might take it; a service that verifies its devices would not.
    fn check_validity(&self, now: OffsetDateTime) -> Result<(), UnsuitableCa> {
        let (from, until) = (self.not_before(), self.not_after());
        match now {
            now if now < from => Err(UnsuitableCa::NotYetValid { from }),
            now if now > until => Err(UnsuitableCa::Expired { until }),
            _ => Ok(()),
        }
    }

    /// Whether the key in it made its signature, over a digest that cannot be forged. Then the key's owner wrote what it
    /// says, and it does not matter who shows it.
    pub fn is_signed_by_its_own_key(&self) -> bool {
        let verified = X509::from_der(self.der()).and_then(|certificate| {
            let algorithm = certificate.signature_algorithm().object().nid();
            Ok(SOUND.contains(&algorithm) && certificate.verify(self.public_key())?)
        });
        // Why a signature does not verify stays in this thread's queue, where the next TLS call would find it.
        drop(ErrorStack::get());
        verified.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests;
