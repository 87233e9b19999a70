//! The names of everything a peer can ask of the emulated services: what the journal writes down and
//! what a fault is aimed at.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// One operation of one service.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
        pub enum Operation { $($(#[$doc])* #[serde(rename = $name)] $variant),+ }

        impl Operation {
            /// Every operation there is.
            pub const ALL: &[Operation] = &[$(Operation::$variant),+];

            /// `service.operation`, stable: scripts and faults use it.
            pub fn name(self) -> &'static str {
                match self { $(Operation::$variant => $name),+ }
            }
        }
    };
}

operations! {
    /// A token, of managed identity or of Entra ID itself.
    GetToken = "identity.getToken",
    /// Where Entra ID hands out tokens, and the keys it signs them with.
    GetOpenIdMetadata = "identity.getOpenIdMetadata",
    /// Metadata, tenants, subscriptions, resource groups and instances.
    Arm = "arm.other",
    /// The certificates of one DPS instance.
    ListCertificates = "dps.listCertificates",
    /// One certificate.
    GetCertificate = "dps.getCertificate",
    /// Upload or replace.
    PutCertificate = "dps.putCertificate",
    /// Remove.
    DeleteCertificate = "dps.deleteCertificate",
    /// Ask for a challenge.
    GenerateVerificationCode = "dps.generateVerificationCode",
    /// Hand in the proof.
    Verify = "dps.verify",
    /// The 401 that tells a client which token to bring.
    VaultChallenge = "vault.challenge",
    /// Import a certificate with its key.
    ImportVaultCertificate = "vault.importCertificate",
    /// A certificate's public part, tags and policy.
    GetVaultCertificate = "vault.getCertificate",
    /// Certificates of a vault, or versions of one.
    ListVaultCertificates = "vault.listCertificates",
    /// Have a vault make a certificate with its key.
    CreateVaultCertificate = "vault.createCertificate",
    /// How far the making of a certificate is.
    GetCertificateOperation = "vault.getCertificateOperation",
    /// Change a certificate's attributes or tags.
    UpdateVaultCertificate = "vault.updateCertificate",
    /// Delete a certificate with its key and secret, recoverably.
    DeleteVaultCertificate = "vault.deleteCertificate",
    /// A deleted certificate.
    GetDeletedVaultCertificate = "vault.getDeletedCertificate",
    /// The deleted certificates of a vault.
    ListDeletedVaultCertificates = "vault.listDeletedCertificates",
    /// Bring a deleted certificate back.
    RecoverVaultCertificate = "vault.recoverCertificate",
    /// Forget a deleted certificate for good.
    PurgeVaultCertificate = "vault.purgeCertificate",
    /// A public key.
    GetVaultKey = "vault.getKey",
    /// Keys of a vault, or versions of one.
    ListVaultKeys = "vault.listKeys",
    /// Have a vault make a key.
    CreateVaultKey = "vault.createKey",
    /// Import a private key.
    ImportVaultKey = "vault.importKey",
    /// Change a key's attributes, operations or tags.
    UpdateVaultKey = "vault.updateKey",
    /// Delete a key, recoverably.
    DeleteVaultKey = "vault.deleteKey",
    /// A deleted key's public half.
    GetDeletedVaultKey = "vault.getDeletedKey",
    /// The deleted keys of a vault.
    ListDeletedVaultKeys = "vault.listDeletedKeys",
    /// Bring a deleted key back.
    RecoverVaultKey = "vault.recoverKey",
    /// Forget a deleted key for good.
    PurgeVaultKey = "vault.purgeKey",
    /// Sign a digest.
    Sign = "vault.sign",
    /// Store a secret.
    SetSecret = "vault.setSecret",
    /// Hand out a secret's value.
    GetSecret = "vault.getSecret",
    /// Secrets of a vault, or versions of one, without values.
    ListSecrets = "vault.listSecrets",
    /// Change a secret's attributes, content type or tags.
    UpdateSecret = "vault.updateSecret",
    /// Delete a secret, recoverably.
    DeleteSecret = "vault.deleteSecret",
    /// A deleted secret, without its value.
    GetDeletedSecret = "vault.getDeletedSecret",
    /// The deleted secrets of a vault.
    ListDeletedSecrets = "vault.listDeletedSecrets",
    /// Bring a deleted secret back.
    RecoverSecret = "vault.recoverSecret",
    /// Forget a deleted secret for good.
    PurgeSecret = "vault.purgeSecret",
    /// Anything else sent to a vault.
    Vault = "vault.other",
    /// An event handed to its subscriber.
    Deliver = "eventGrid.deliver",
    /// An endpoint asked whether it agrees to be delivered to.
    ValidateEndpoint = "eventGrid.validateEndpoint",
    /// Somebody agreeing in an endpoint's place, by following the link it was sent.
    ConfirmSubscription = "eventGrid.confirmSubscription",
    /// The Functions host calling the handler.
    Invoke = "functions.invoke",
    /// A request no service answers.
    Unknown = "unknown",
}

impl Operation {
    /// What comes before the dot.
    pub fn service(self) -> &'static str {
        self.name().split('.').next().unwrap_or_default()
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no operation has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no operation {name:?}; did you mean {nearest}? These are all: {}", all())]
pub struct UnknownOperation {
    name: String,
    nearest: Operation,
}

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Operation::ALL.iter().find(|operation| operation.name() == name);
        found.copied().ok_or_else(|| UnknownOperation { name: name.to_owned(), nearest: nearest(name) })
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// By the whole name, or by the part that says what is done.
fn nearest(name: &str) -> Operation {
    let wanted = name.to_lowercase();
    let likeness = |operation: &Operation| {
        let known = operation.name().to_lowercase();
        let action = known.rsplit('.').next().unwrap_or_default();
        strsim::jaro_winkler(&known, &wanted).max(strsim::jaro_winkler(action, &wanted))
    };
    let all = Operation::ALL.iter().copied();
    all.max_by(|one, other| likeness(one).total_cmp(&likeness(other))).unwrap_or(Operation::Unknown)
}

fn all() -> String {
    Operation::ALL.iter().map(|operation| operation.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_found_by_its_name_and_written_as_it() {
        for operation in Operation::ALL {
            assert_eq!(operation.name().parse(), Ok(*operation));
            assert_eq!(serde_json::json!(operation), operation.name());
        }
    }

    #[test]
    fn a_name_that_is_misspelt_is_refused_with_the_nearest() {
        for (name, meant) in [
            ("dps.verfy", "dps.verify"),
            ("DPS.Verify", "dps.verify"),
            ("getSecret", "vault.getSecret"),
            ("deliver", "eventGrid.deliver"),
            ("dps.certificate.get", "dps.getCertificate"),
        ] {
            let refusal = name.parse::<Operation>().map_err(|error| error.to_string());
            let hint = format!("did you mean {meant}?");
            assert!(refusal.as_ref().is_err_and(|error| error.contains(&hint)), "{name}: {refusal:?}");
        }
    }
}
