//! A certificate on its way into a vault: PEM text or a PFX, opened and checked; and the secret a vault makes
//! of it.
//!
//! The form of the import and the form of the secret are independent here: the policy's content type decides
//! the latter alone. (Chosen, not observed: the real service may refuse a mixture.)

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::stack::Stack;
use openssl::x509::X509;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::object::{Changes, Tags, to_tags};
use super::private_jwk;
use super::refusal::Refusal;
use crate::ground::hidden::Hidden;

/// How many rounds protect a PFX that leaves the vault, as in the recordings.
const PFX_ROUNDS: u32 = 2000;

/// A certificate to import, with its private key.
#[derive(Clone, Debug)]
pub struct Import {
    content: Hidden<String>,
    password: Hidden<String>,
    content_type: Option<ContentType>,
    pub(super) exportable: bool,
    pub(super) enabled: bool,
    pub(super) tags: Tags,
}

/// The form in which a vault hands out a certificate with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentType {
    /// PKCS#8 and certificates, in PEM.
    Pem,
    /// A PFX with an empty password, in base64.
    Pkcs12,
}

impl Import {
    /// PEM text, or the base64 of it, or of a PFX without a password. Exportable, unless told otherwise.
    pub fn new(content: impl Into<String>) -> Import {
        Import {
            content: Hidden(pem_or_base64(content.into())),
            password: Hidden(String::new()),
            content_type: None,
            exportable: true,
            enabled: true,
            tags: Tags::new(),
        }
    }

    /// What opens the PFX.
    pub fn password(self, password: impl Into<String>) -> Import {
        Import { password: Hidden(password.into()), ..self }
    }

    /// Whether the private key may leave the vault, in the certificate's secret.
    pub fn exportable(self, exportable: bool) -> Import {
        Import { exportable, ..self }
    }

    /// The form of the certificate's secret; that of the import, unless told otherwise.
    pub fn content_type(self, content_type: ContentType) -> Import {
        Import { content_type: Some(content_type), ..self }
    }

    /// The tags of the new version.
    pub fn tags<K: Into<String>, V: Into<String>>(self, tags: impl IntoIterator<Item = (K, V)>) -> Import {
        Import { tags: to_tags(tags), ..self }
    }

    /// The import a request's body describes.
    pub(super) fn read(body: &Value) -> Result<Import, Refusal> {
        let Some(content) = body["value"].as_str() else {
            return Err(Refusal::bad_parameter("Property 'value' is required: PEM text or a base64 PFX."));
        };
        let changes = Changes::read(body)?;
        let policy = &body["policy"];
        Ok(Import {
            content: Hidden(pem_or_base64(content.to_owned())),
            password: Hidden(body["pwd"].as_str().unwrap_or_default().to_owned()),
            content_type: match policy["secret_props"]["contentType"].as_str() {
                Some(name) => Some(ContentType::named(name)?),
                None => None,
            },
            exportable: policy["key_props"]["exportable"].as_bool().unwrap_or(true),
            enabled: changes.enabled.unwrap_or(true),
            tags: changes.tags.unwrap_or_default(),
        })
    }

    /// The form the secret will have.
    fn secret_type(&self) -> ContentType {
        self.content_type.unwrap_or(if self.is_pem() { ContentType::Pem } else { ContentType::Pkcs12 })
    }

    /// Opens the import and puts it into the form a vault keeps.
    pub(super) fn seal(&self) -> Result<Sealed, Refusal> {
        self.open()?.seal(self.secret_type(), self.exportable)
    }

    /// Opens the import. Its parts belong together: the key is the leaf's.
    fn open(&self) -> Result<KeyPair, Refusal> {
        let (key, certificates) = if self.is_pem() { self.open_pem()? } else { self.open_pfx()? };
        private_jwk::check(&key)?;
        let leaf = certificates
            .iter()
            .position(|certificate| certificate.public_key().is_ok_and(|public| public.public_eq(&key)));
        let Some(leaf) = leaf else {
            return Err(Refusal::bad_parameter(
                "The certificate does not belong to the private key; import both in one file.",
            ));
        };
        let mut chain = certificates;
        let leaf = chain.remove(leaf);
        Ok(KeyPair { key: Hidden(key), leaf, chain })
    }

    fn open_pem(&self) -> Result<(PKey<Private>, Vec<X509>), Refusal> {
        let pem = self.content.0.as_bytes();
        // A passphrase is always given, or OpenSSL would ask the terminal for one.
        let key = PKey::private_key_from_pem_passphrase(pem, self.password.0.as_bytes())
            .map_err(|_| Refusal::bad_parameter("The PEM text holds no private key that can be read."))?;
        let certificates = X509::stack_from_pem(pem)
            .map_err(|_| Refusal::bad_parameter("The PEM text holds no certificate that can be read."))?;
        Ok((key, certificates))
    }

    fn open_pfx(&self) -> Result<(PKey<Private>, Vec<X509>), Refusal> {
        let base64: String = self.content.0.split_ascii_whitespace().collect();
        let pfx = STANDARD
            .decode(base64)
            .ok()
            .and_then(|der| Pkcs12::from_der(&der).ok())
            .ok_or_else(|| Refusal::bad_parameter("The value is neither PEM text nor a base64 PFX."))?;
        let parsed = pfx.parse2(&self.password.0).map_err(|error| {
            Refusal::bad_parameter(if is_of_the_past(&error) {
                "The PFX is encrypted with an old algorithm (RC2 most likely) that this OpenSSL does not have; write \
                 it anew: openssl pkcs12 -legacy -in old.pfx -nodes | openssl pkcs12 -export -out new.pfx"
            } else {
                "The PFX does not open with this pwd."
            })
        })?;
        let key = parsed.pkey.ok_or_else(|| Refusal::bad_parameter("The PFX holds no private key."))?;
        let certificates = parsed.cert.into_iter().chain(parsed.ca.into_iter().flatten()).collect();
        Ok((key, certificates))
    }

    fn is_pem(&self) -> bool {
        self.content.0.contains(PEM)
    }
}

/// Whether OpenSSL failed for want of an algorithm.
fn is_of_the_past(error: &ErrorStack) -> bool {
    error.errors().iter().any(|error| error.reason().is_some_and(|reason| reason.contains("unsupported")))
}

const PEM: &str = "-----BEGIN ";

/// Takes PEM out of base64: the Python SDK and the CLI encode whatever file they are given.
fn pem_or_base64(content: String) -> String {
    let decoded = STANDARD.decode(content.split_ascii_whitespace().collect::<String>());
    let text = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.filter(|text| text.contains(PEM)).unwrap_or(content)
}

impl ContentType {
    /// The media type on the wire.
    pub fn name(self) -> &'static str {
        match self {
            ContentType::Pem => "application/x-pem-file",
            ContentType::Pkcs12 => "application/x-pkcs12",
        }
    }

    pub(super) fn named(name: &str) -> Result<ContentType, Refusal> {
        [ContentType::Pem, ContentType::Pkcs12].into_iter().find(|known| known.name() == name).ok_or_else(
            || {
                Refusal::bad_parameter(
                    "secret_props.contentType must be application/x-pem-file or application/x-pkcs12.",
                )
            },
        )
    }
}

/// A certificate with its private key and whatever chain came along.
#[derive(Clone, Debug)]
pub(super) struct KeyPair {
    pub(super) key: Hidden<PKey<Private>>,
    pub(super) leaf: X509,
    chain: Vec<X509>,
}

/// A certificate with its key and the secret a vault makes of both.
pub(super) struct Sealed {
    pub(super) key: Hidden<PKey<Private>>,
    pub(super) leaf: X509,
    pub(super) secret: Hidden<String>,
    pub(super) secret_type: ContentType,
    pub(super) exportable: bool,
}

impl KeyPair {
    /// A certificate that needs no chain.
    pub(super) fn alone(key: PKey<Private>, leaf: X509) -> KeyPair {
        KeyPair { key: Hidden(key), leaf, chain: Vec::new() }
    }

    /// Puts the pair into the form a vault keeps.
    pub(super) fn seal(self, secret_type: ContentType, exportable: bool) -> Result<Sealed, Refusal> {
        let value = self
            .secret(secret_type, exportable)
            .map_err(|_| Refusal::internal("encode the certificate's secret"))?;
        let KeyPair { key, leaf, .. } = self;
        Ok(Sealed { key, leaf, secret: Hidden(value), secret_type, exportable })
    }

    /// The value of the certificate's secret; it has the private key only if that may leave the vault.
    fn secret(&self, form: ContentType, exportable: bool) -> Result<String, ErrorStack> {
        match form {
            ContentType::Pem => self.pem(exportable),
            ContentType::Pkcs12 => self.pfx(exportable),
        }
    }

    fn pem(&self, exportable: bool) -> Result<String, ErrorStack> {
        let mut pem = Vec::new();
        if exportable {
            pem.extend(self.key.0.private_key_to_pem_pkcs8()?);
        }
        for certificate in std::iter::once(&self.leaf).chain(&self.chain) {
            pem.extend(certificate.to_pem()?);
        }
        Ok(String::from_utf8_lossy(&pem).into_owned())
    }

    fn pfx(&self, exportable: bool) -> Result<String, ErrorStack> {
        let mut chain = Stack::new()?;
        for certificate in &self.chain {
            chain.push(certificate.clone())?;
        }
        let mut builder = Pkcs12::builder();
        if exportable {
            builder.pkey(&self.key.0);
        }
        builder
            .cert(&self.leaf)
            .ca(chain)
            .key_algorithm(Nid::PBE_WITHSHA1AND3_KEY_TRIPLEDES_CBC)
            .cert_algorithm(Nid::PBE_WITHSHA1AND3_KEY_TRIPLEDES_CBC)
            .key_iter(PFX_ROUNDS)
            .mac_iter(PFX_ROUNDS)
            .mac_md(MessageDigest::sha1());
        Ok(STANDARD.encode(builder.build2("")?.to_der()?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::super::testing::*;
    use super::*;

    fn pfx(key: &PKey<Private>, certificate: &X509, password: &str) -> String {
        let mut builder = Pkcs12::builder();
        builder.pkey(key).cert(certificate);
        STANDARD.encode(builder.build2(password).unwrap().to_der().unwrap())
    }

    #[test]
    fn pem_and_pfx_open_to_the_same_pair() {
        let key = p256();
        let leaf = ca(&key);
        for import in [
            Import::new(pem(&key, &leaf)),
            Import::new(STANDARD.encode(pem(&key, &leaf))),
            Import::new(pfx(&key, &leaf, "")),
            Import::new(pfx(&key, &leaf, "secret")).password("secret"),
        ] {
            let pair = import.open().unwrap();
            assert!(pair.key.0.public_eq(&key));
            assert_eq!(pair.leaf.to_der().unwrap(), leaf.to_der().unwrap());
        }
    }

    #[test]
    fn the_leaf_is_the_certificate_of_the_key_wherever_it_stands() {
        let (key, root_key) = (p256(), p256());
        let (leaf, root) = (ca(&key), ca(&root_key));
        let text = String::from_utf8(root.to_pem().unwrap()).unwrap() + &pem(&key, &leaf);
        let pair = Import::new(text).open().unwrap();
        assert_eq!(pair.leaf.to_der().unwrap(), leaf.to_der().unwrap());
        assert_eq!(pair.chain.len(), 1);
        let secret = pair.secret(ContentType::Pem, true).unwrap();
        assert_eq!(X509::stack_from_pem(secret.as_bytes()).unwrap().len(), 2);
    }

    #[test]
    fn an_import_that_cannot_work_says_why() {
        let key = p256();
        let leaf = ca(&key);
        let encrypted = String::from_utf8(
            key.private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_128_cbc(), b"secret").unwrap(),
        )
        .unwrap();
        for (import, hint) in [
            (Import::new(""), "neither PEM"),
            (Import::new("AAAA"), "neither PEM"),
            (Import::new(String::from_utf8(leaf.to_pem().unwrap()).unwrap()), "no private key"),
            (Import::new(encrypted), "no private key"),
            (Import::new(pem(&p256(), &leaf)), "does not belong"),
            (Import::new(pfx(&key, &leaf, "secret")).password("guess"), "does not open"),
            (
                Import::new(include_str!("../../../../shared/src/pulled_key/rc2.pfx.b64")),
                "openssl pkcs12 -legacy",
            ),
            (Import::new(pem(&ec_key(Nid::SECP224R1), &leaf)), "P-256"),
        ] {
            let refusal = import.open().unwrap_err();
            assert_eq!(refusal.code(), "BadParameter");
            assert!(refusal.to_string().contains(hint), "{refusal}");
        }
    }

    #[test]
    fn a_pfx_secret_opens_with_an_empty_password() {
        let key = rsa_key();
        let pair = Import::new(pem(&key, &ca(&key))).open().unwrap();
        let secret = pair.secret(ContentType::Pkcs12, true).unwrap();
        let parsed = Pkcs12::from_der(&STANDARD.decode(secret).unwrap()).unwrap().parse2("").unwrap();
        assert!(parsed.pkey.unwrap().public_eq(&key));
        assert!(parsed.cert.is_some());
    }

    #[test]
    fn without_export_the_secret_has_no_key() {
        let key = p256();
        let pair = Import::new(pem(&key, &ca(&key))).open().unwrap();
        let text = pair.secret(ContentType::Pem, false).unwrap();
        assert!(!text.contains("PRIVATE KEY"));
        assert!(X509::from_pem(text.as_bytes()).is_ok());
        let pfx = STANDARD.decode(pair.secret(ContentType::Pkcs12, false).unwrap()).unwrap();
        assert!(Pkcs12::from_der(&pfx).unwrap().parse2("").unwrap().pkey.is_none());
    }

    #[test]
    fn the_policy_decides_over_export_and_form() {
        let read = |body: Value| Import::read(&body).unwrap();
        let import = read(json!({ "value": "-----BEGIN " }));
        assert_eq!((import.exportable, import.secret_type()), (true, ContentType::Pem));
        let import = read(json!({
            "value": "AAAA",
            "pwd": "secret",
            "policy": {
                "key_props": { "exportable": false },
                "secret_props": { "contentType": "application/x-pem-file" },
            },
            "tags": { "keyholder": "*" },
            "attributes": { "enabled": false },
        }));
        assert_eq!((import.exportable, import.secret_type()), (false, ContentType::Pem));
        assert_eq!((import.enabled, import.tags["keyholder"].as_str()), (false, "*"));
        for body in [
            json!({}),
            json!({ "value": "AAAA", "policy": { "secret_props": { "contentType": "text/plain" } } }),
            json!({ "value": "AAAA", "tags": "none" }),
            json!({ "value": "AAAA", "attributes": { "enabled": "yes" } }),
        ] {
            assert_eq!(Import::read(&body).unwrap_err().code(), "BadParameter");
        }
    }
}
