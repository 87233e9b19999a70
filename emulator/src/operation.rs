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
    /// A public key.
    GetVaultKey = "vault.getKey",
    /// Sign a digest.
    Sign = "vault.sign",
    /// Store a secret.
    SetSecret = "vault.setSecret",
    /// Hand out a secret's value.
    GetSecret = "vault.getSecret",
    /// Secrets of a vault, or versions of one, without values.
    ListSecrets = "vault.listSecrets",
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
