//! The key usage of a certificate, between OpenSSL's words and those of a policy.

use openssl::error::ErrorStack;
use openssl::x509::extension::KeyUsage;
use openssl::x509::{X509Extension, X509KeyUsage, X509Ref};
use serde_json::Value;

use super::refusal::Refusal;

/// One usage: its name in a policy, how it is read and how it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) name: &'static str,
    flag: X509KeyUsage,
    set: fn(&mut KeyUsage) -> &mut KeyUsage,
}

const USAGES: [Usage; 9] = [
    Usage {
        name: "digitalSignature",
        flag: X509KeyUsage::DIGITAL_SIGNATURE,
        set: KeyUsage::digital_signature,
    },
    Usage { name: "nonRepudiation", flag: X509KeyUsage::NON_REPUDIATION, set: KeyUsage::non_repudiation },
    Usage { name: "keyEncipherment", flag: X509KeyUsage::KEY_ENCIPHERMENT, set: KeyUsage::key_encipherment },
    Usage {
        name: "dataEncipherment",
        flag: X509KeyUsage::DATA_ENCIPHERMENT,
        set: KeyUsage::data_encipherment,
    },
    Usage { name: "keyAgreement", flag: X509KeyUsage::KEY_AGREEMENT, set: KeyUsage::key_agreement },
    Usage { name: "keyCertSign", flag: X509KeyUsage::KEY_CERT_SIGN, set: KeyUsage::key_cert_sign },
    Usage { name: "cRLSign", flag: X509KeyUsage::CRL_SIGN, set: KeyUsage::crl_sign },
    Usage { name: "encipherOnly", flag: X509KeyUsage::ENCIPHER_ONLY, set: KeyUsage::encipher_only },
    Usage { name: "decipherOnly", flag: X509KeyUsage::DECIPHER_ONLY, set: KeyUsage::decipher_only },
];

impl Usage {
    /// The usages of a certificate; none if it does not say.
    pub(super) fn of(certificate: &X509Ref) -> impl Iterator<Item = Usage> {
        let flags = certificate.key_usage().unwrap_or(X509KeyUsage::empty());
        USAGES.into_iter().filter(move |usage| flags.contains(usage.flag))
    }

    /// The usages a policy lists.
    pub(super) fn read(names: &[Value]) -> Result<Vec<Usage>, Refusal> {
        let named = |name: &Value| {
            USAGES.into_iter().find(|usage| Some(usage.name) == name.as_str()).ok_or_else(|| {
                let known = USAGES.map(|usage| usage.name).join(", ");
                Refusal::bad_parameter(format!("x509_props.key_usage must be of {known}."))
            })
        };
        names.iter().map(named).collect()
    }

    /// The extension that says them; critical, as the service has it.
    pub(super) fn extension(usages: &[Usage]) -> Result<X509Extension, ErrorStack> {
        let mut extension = KeyUsage::new();
        extension.critical();
        for usage in usages {
            (usage.set)(&mut extension);
        }
        extension.build()
    }
}
