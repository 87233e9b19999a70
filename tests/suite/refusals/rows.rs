//! The table.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyholder::reason::Reason;
use keyholder_emulator::key_vault::{Changes, KeyOperation, KeyVaults, Refusal};
use keyholder_emulator::operation::Operation;
use keyholder_emulator::world::VAULT;
use time::OffsetDateTime;

use super::scene::Scene;
use crate::harness::authority::Authority;
use crate::harness::key_forms::PfxCipher;

/// A certificate in the registry whose CA is not as it should be.
pub(crate) struct Row {
    /// Of the certificate, and of what the vault has for it.
    pub(crate) name: &'static str,
    pub(crate) app: App,
    pub(crate) trouble: Trouble,
    pub(crate) reason: Reason,
    pub(crate) delivered_again: bool,
    /// What the message has to say besides the name.
    pub(crate) says: &'static [&'static str],
}

/// The app that meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum App {
    SignsInVault,
    ReadsSecrets,
    /// Signs in a vault at an address where nobody listens.
    WithoutVault,
}

type Change = fn(&mut KeyVaults, &str, OffsetDateTime) -> Result<(), Refusal>;

/// What is wrong. The CA is in the vault as a certificate, or as a secret where the name begins so.
pub(crate) enum Trouble {
    /// It is in no vault.
    NoCa,
    /// One with the same name, even inside, and another key.
    AnotherCa,
    /// The CA is valid between two moments.
    Valid(&'static str, &'static str),
    /// Something is changed in the vault.
    Then(Change),
    /// A call is always answered with this status.
    Fails(Operation, u16),
    /// All calls to its object of this kind are refused with this code.
    Refused(&'static str, &'static str),
    /// It is a certificate, and not a CA's.
    NotACa,
    /// An uploader wrote a certificate around its key, and the vault has that key alone.
    OnlyShown,
    /// The registry shows another certificate than its thumbprint says.
    AnotherKeyShown,
    Secret(fn(&Authority, &Scene) -> String),
    SecretThen(Change),
    SecretFails(Operation, u16),
    SecretRefused(&'static str),
}

/// A passphrase long enough to be recognized wherever it turns up.
pub(crate) const PASSPHRASE: &str = "canary-passphrase-7391-correct-horse";
/// Written by a program of the past: a key and its certificate under RC2, which OpenSSL has no more.
const RC2_PFX: &str = include_str!("../../../shared/src/pulled_key/rc2.pfx.b64");

use App::{ReadsSecrets, SignsInVault, WithoutVault};

impl App {
    pub(crate) fn settings(self) -> Vec<(String, String)> {
        let settings: &[(&str, &str)] = match self {
            SignsInVault => &[("KEYHOLDER_KEY_ACCESS", "sign-in-vault")],
            ReadsSecrets => &[("KEYHOLDER_KEY_ACCESS", "read-secret")],
            WithoutVault => &[("KEYHOLDER_VAULTS", "https://my-vault.vault.localhost:1")],
        };
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }
}

/// One that a person has to mend.
fn mend(
    app: App,
    name: &'static str,
    trouble: Trouble,
    reason: Reason,
    says: &'static [&'static str],
) -> Row {
    Row { name, app, trouble, reason, delivered_again: false, says }
}

/// One that time mends.
fn wait(
    app: App,
    name: &'static str,
    trouble: Trouble,
    reason: Reason,
    says: &'static [&'static str],
) -> Row {
    Row { name, app, trouble, reason, delivered_again: true, says }
}

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = missing_or_another();
    rows.extend(not_to_be_used());
    rows.extend(refused());
    rows.extend(secrets());
    rows.extend(for_now());
    rows
}

fn missing_or_another() -> Vec<Row> {
    vec![
        mend(
            SignsInVault,
            "no-such-ca",
            Trouble::NoCa,
            Reason::CaMissing,
            &[
                "az keyvault certificate import --vault-name <vault> --name no-such-ca --file",
                "my-vault.vault",
            ],
        ),
        mend(
            SignsInVault,
            "another-ca",
            Trouble::AnotherCa,
            Reason::OtherCertificate,
            &[
                "/certificates/another-ca/",
                "az keyvault certificate download --vault-name my-vault --name another-ca --file ca.pem",
            ],
        ),
        mend(
            SignsInVault,
            "another-key-ca",
            Trouble::AnotherKeyShown,
            Reason::OtherKey,
            &["/certificates/another-key-ca/", "another public key"],
        ),
        mend(
            SignsInVault,
            "deleted-ca",
            Trouble::Then(|vaults, name, now| vaults.delete_certificate(VAULT, name, now)),
            Reason::CaDeleted,
            &[
                "/certificates/deleted-ca/",
                "az keyvault certificate recover --vault-name my-vault --name deleted-ca",
            ],
        ),
        mend(
            ReadsSecrets,
            "no-such-secret",
            Trouble::NoCa,
            Reason::CaMissing,
            &["az keyvault certificate import --vault-name <vault> --name no-such-secret --file"],
        ),
    ]
}

fn not_to_be_used() -> Vec<Row> {
    vec![
        mend(
            SignsInVault,
            "ungranted-ca",
            Trouble::Then(|vaults, name, now| {
                let none: [(&str, &str); 0] = [];
                vaults.update_certificate(VAULT, name, Changes::tags(none), now)
            }),
            Reason::NoGrant,
            &[
                "/certificates/ungranted-ca/",
                "az keyvault certificate set-attributes --vault-name my-vault --name ungranted-ca --tags \
                 keyholder=my-dps-x509",
            ],
        ),
        mend(
            SignsInVault,
            "disabled-key-ca",
            Trouble::Then(|vaults, name, now| vaults.update_key(VAULT, name, Changes::enabled(false), now)),
            Reason::KeyDisabled,
            &[
                "/keys/disabled-key-ca/",
                "az keyvault key set-attributes --vault-name my-vault --name disabled-key-ca --enabled true",
            ],
        ),
        mend(
            SignsInVault,
            "disabled-ca",
            Trouble::Then(|vaults, name, now| {
                vaults.update_certificate(VAULT, name, Changes::enabled(false), now)
            }),
            Reason::KeyDisabled,
            &["/keys/disabled-ca/", "set-attributes --vault-name my-vault --name disabled-ca --enabled true"],
        ),
        mend(
            SignsInVault,
            "verify-only-ca",
            Trouble::Then(|vaults, name, now| {
                vaults.set_key_operations(VAULT, name, &[KeyOperation::Verify], now)
            }),
            Reason::KeyCannotSign,
            &[
                "/keys/verify-only-ca/",
                "az keyvault key set-attributes --vault-name my-vault --name verify-only-ca --ops sign verify",
            ],
        ),
        mend(
            SignsInVault,
            "expired-ca",
            Trouble::Valid("20200101000000Z", "20210101000000Z"),
            Reason::CaExpired,
            &["/certificates/expired-ca/", "expired on 2021-01-01", "renew the CA"],
        ),
        mend(
            SignsInVault,
            "future-ca",
            Trouble::Valid("20480101000000Z", "20490101000000Z"),
            Reason::CaNotYetValid,
            &["/certificates/future-ca/", "valid only from 2048-01-01"],
        ),
        mend(
            SignsInVault,
            "server-certificate",
            Trouble::NotACa,
            Reason::NotACa,
            &[
                "/certificates/server-certificate/",
                "its basic constraints do not say CA:TRUE",
                "keyUsage=critical,keyCertSign",
            ],
        ),
        mend(
            SignsInVault,
            "outlived-ca",
            Trouble::Refused("keys", "KeyExpired"),
            Reason::KeyNotValidNow,
            &["/keys/outlived-ca/", "renew the CA"],
        ),
    ]
}

fn refused() -> Vec<Row> {
    vec![
        mend(
            SignsInVault,
            "unseen-ca",
            Trouble::Fails(Operation::GetVaultCertificate, 403),
            Reason::AccessRefused,
            &["/certificates/unseen-ca", "az role assignment create", "my-vault"],
        ),
        mend(
            SignsInVault,
            "unsigning-ca",
            Trouble::Fails(Operation::Sign, 403),
            Reason::AccessRefused,
            &[
                "/keys/unsigning-ca/",
                "az role assignment create",
                "infra/modules/vault-access.bicep",
                "my-vault",
            ],
        ),
        mend(
            SignsInVault,
            "policy-ca",
            Trouble::Refused("certificates", "AccessDenied"),
            Reason::AccessRefused,
            &[
                "/certificates/policy-ca",
                "az keyvault set-policy --name my-vault",
                "--certificate-permissions",
            ],
        ),
        mend(
            SignsInVault,
            "key-policy-ca",
            Trouble::Refused("keys", "AccessDenied"),
            Reason::AccessRefused,
            &["/keys/key-policy-ca/", "az keyvault set-policy --name my-vault", "--key-permissions get sign"],
        ),
        mend(
            SignsInVault,
            "walled-ca",
            Trouble::Refused("certificates", "ForbiddenByFirewall"),
            Reason::Firewall,
            &["/certificates/walled-ca", "az keyvault network-rule add --name my-vault"],
        ),
    ]
}

fn secrets() -> Vec<Row> {
    vec![
        mend(
            ReadsSecrets,
            "encrypted-pem-ca",
            Trouble::Secret(|ca, _| format!("{}{}", ca.encrypted_key(PASSPHRASE), ca.certificate())),
            Reason::WrongSecret,
            &["/secrets/encrypted-pem-ca/", "openssl pkcs8 -topk8 -nocrypt"],
        ),
        mend(
            ReadsSecrets,
            "old-encrypted-pem-ca",
            Trouble::Secret(|ca, _| {
                format!("{}{}", ca.encrypted_traditional_key(PASSPHRASE), ca.certificate())
            }),
            Reason::WrongSecret,
            &["/secrets/old-encrypted-pem-ca/", "openssl pkcs8 -topk8 -nocrypt"],
        ),
        mend(
            ReadsSecrets,
            "locked-pfx-ca",
            Trouble::Secret(|ca, _| STANDARD.encode(ca.pfx_with(PASSPHRASE, PfxCipher::Aes256))),
            Reason::WrongSecret,
            &["/secrets/locked-pfx-ca/", "openssl pkcs12 -export -passout pass:"],
        ),
        mend(
            ReadsSecrets,
            "rc2-pfx-ca",
            Trouble::Secret(|_, _| RC2_PFX.to_owned()),
            Reason::WrongSecret,
            &["/secrets/rc2-pfx-ca/", "RC2", "openssl pkcs12 -legacy"],
        ),
        mend(
            ReadsSecrets,
            "slow-pfx-ca",
            Trouble::Secret(|ca, _| STANDARD.encode(ca.pfx_with_rounds(0x7fff_ffff))),
            Reason::WrongSecret,
            &[
                "/secrets/slow-pfx-ca/",
                "2147483647 rounds",
                "openssl pkcs12 -export -iter 2048 -passout pass:",
            ],
        ),
        mend(
            ReadsSecrets,
            "only-shown-ca",
            Trouble::OnlyShown,
            Reason::CertificateNotNamed,
            &[
                "/secrets/only-shown-ca/",
                "az keyvault secret set-attributes --vault-name my-vault --name only-shown-ca --tags \
                 keyholder=my-dps-x509 keyholder-certificate-sha256=",
            ],
        ),
        mend(
            ReadsSecrets,
            "another-key-in-secret-ca",
            Trouble::Secret(|_, scene| scene.ca("another-key-in-secret-ca").key().to_owned()),
            Reason::WrongSecret,
            &["/secrets/another-key-in-secret-ca/", "its key is another one"],
        ),
        mend(
            ReadsSecrets,
            "another-key-beside-ca",
            Trouble::Secret(|ca, scene| {
                format!("{}{}", scene.ca("another-key-beside-ca").key(), ca.certificate())
            }),
            Reason::WrongSecret,
            &["/secrets/another-key-beside-ca/", "its key is another one"],
        ),
        mend(
            ReadsSecrets,
            "keyless-ca",
            Trouble::Secret(|ca, _| ca.certificate().to_owned()),
            Reason::WrongSecret,
            &["/secrets/keyless-ca/"],
        ),
        mend(
            ReadsSecrets,
            "password-ca",
            Trouble::Secret(|_, _| PASSPHRASE.to_owned()),
            Reason::WrongSecret,
            &["/secrets/password-ca/"],
        ),
        mend(
            ReadsSecrets,
            "ungranted-secret",
            Trouble::SecretThen(|vaults, name, now| {
                vaults.update_secret(VAULT, name, Changes::tags([("owner", "pki")]), now)
            }),
            Reason::NoGrant,
            &[
                "/secrets/ungranted-secret/",
                "az keyvault secret set-attributes --vault-name my-vault --name ungranted-secret --tags \
                 keyholder=my-dps-x509 and its other tags",
            ],
        ),
        mend(
            ReadsSecrets,
            "disabled-secret",
            Trouble::SecretThen(|vaults, name, now| {
                vaults.update_secret(VAULT, name, Changes::enabled(false), now)
            }),
            Reason::KeyDisabled,
            &[
                "/secrets/disabled-secret/",
                "az keyvault secret set-attributes --vault-name my-vault --name disabled-secret --enabled true",
            ],
        ),
        mend(
            ReadsSecrets,
            "unread-secret",
            Trouble::SecretFails(Operation::GetSecret, 403),
            Reason::AccessRefused,
            &["/secrets/unread-secret/", "az role assignment create", "my-vault"],
        ),
        mend(
            ReadsSecrets,
            "policy-secret",
            Trouble::SecretRefused("AccessDenied"),
            Reason::AccessRefused,
            &[
                "/secrets/policy-secret",
                "az keyvault set-policy --name my-vault",
                "--secret-permissions get list",
            ],
        ),
        mend(
            ReadsSecrets,
            "walled-secret",
            Trouble::SecretRefused("ForbiddenByFirewall"),
            Reason::Firewall,
            &["/secrets/walled-secret", "az keyvault network-rule add --name my-vault"],
        ),
        mend(
            ReadsSecrets,
            "verify-only-sealed-ca",
            Trouble::Then(|vaults, name, now| {
                vaults.set_key_operations(VAULT, name, &[KeyOperation::Verify], now)
            }),
            Reason::KeyCannotSign,
            &["/keys/verify-only-sealed-ca/", "--name verify-only-sealed-ca --ops sign verify"],
        ),
    ]
}

fn for_now() -> Vec<Row> {
    vec![
        wait(
            SignsInVault,
            "untrusted-look-ca",
            Trouble::Fails(Operation::GetVaultCertificate, 401),
            Reason::TokenRefused,
            &["/certificates/untrusted-look-ca", "401"],
        ),
        wait(
            SignsInVault,
            "untrusted-sign-ca",
            Trouble::Fails(Operation::Sign, 401),
            Reason::TokenRefused,
            &["/keys/untrusted-sign-ca/", "401"],
        ),
        wait(
            SignsInVault,
            "throttled-look-ca",
            Trouble::Fails(Operation::GetVaultCertificate, 429),
            Reason::Throttled,
            &["/certificates/throttled-look-ca", "429 Throttled"],
        ),
        wait(
            SignsInVault,
            "throttled-sign-ca",
            Trouble::Fails(Operation::Sign, 429),
            Reason::Throttled,
            &["/keys/throttled-sign-ca/", "429 Throttled"],
        ),
        wait(
            ReadsSecrets,
            "untrusted-secret",
            Trouble::SecretFails(Operation::GetSecret, 401),
            Reason::TokenRefused,
            &["/secrets/untrusted-secret/", "401"],
        ),
        wait(
            ReadsSecrets,
            "throttled-secret",
            Trouble::SecretFails(Operation::GetSecret, 429),
            Reason::Throttled,
            &["/secrets/throttled-secret/", "429 Throttled"],
        ),
        wait(
            WithoutVault,
            "unreachable-ca",
            Trouble::NoCa,
            Reason::Unreachable,
            &["https://my-vault.vault.localhost:1/certificates/unreachable-ca", "Connection refused"],
        ),
    ]
}
