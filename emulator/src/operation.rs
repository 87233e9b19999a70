//! The names of everything a peer can ask of the emulated services: what the journal writes down and
//! what a fault is aimed at.

use std::fmt;

macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// One operation of one service.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation { $($(#[$doc])* $variant),+ }

        impl Operation {
            /// `service.operation`, stable: scripts and faults use it.
            pub fn name(self) -> &'static str {
                match self { $(Operation::$variant => $name),+ }
            }
        }
    };
}

operations! {
    /// A token from the managed identity endpoint.
    GetToken = "identity.getToken",
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
    /// The Functions host calling the handler.
    Invoke = "functions.invoke",
    /// A request no service answers.
    Unknown = "unknown",
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
