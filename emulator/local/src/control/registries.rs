//! The DPS instances and their certificates, as a person wants to see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use keyholder_emulator::dps::{self, Dps};
use keyholder_emulator::moment::Moment;

/// Every DPS instance.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Registries {
    /// In the order they were created.
    pub registries: Vec<Registry>,
}

/// One DPS instance.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registry {
    /// ARM id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Resource group.
    pub resource_group: String,
    /// Subscription.
    pub subscription: String,
    /// Oldest first.
    pub certificates: Vec<Certificate>,
}

/// One CA certificate and how far its proof of possession has come.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// ARM id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Common name.
    pub subject: String,
    /// SHA-1, upper-case hex.
    pub thumbprint: String,
    /// When the CA itself expires.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Moment")]
    pub expiry: OffsetDateTime,
    /// How far it has come.
    pub status: Status,
    /// Whether a code waits for its proof.
    pub code_pending: bool,
    /// Names the present state.
    pub etag: String,
    /// When it was last changed, by the emulator's clock.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Moment")]
    pub updated: OffsetDateTime,
}

/// How far a certificate's proof of possession has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Nobody has proven anything.
    Unverified,
    /// A verification certificate was accepted.
    Verified,
    /// The upload said so, and nobody proved anything.
    VerifiedWithoutProof,
}

impl Registries {
    pub(super) fn of(dps: &Dps) -> Registries {
        let registry = |instance: &dps::ProvisioningService| {
            let (subscription, group) = (instance.subscription(), instance.resource_group());
            let name = instance.name();
            let id = format!(
                "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Devices/provisioningServices/{name}"
            );
            Registry {
                certificates: instance
                    .certificates()
                    .iter()
                    .map(|certificate| Certificate::of(&id, certificate))
                    .collect(),
                id,
                name: name.to_owned(),
                resource_group: group.to_owned(),
                subscription: subscription.to_owned(),
            }
        };
        Registries { registries: dps.instances().map(registry).collect() }
    }
}

impl Certificate {
    fn of(registry: &str, certificate: &dps::Certificate) -> Certificate {
        Certificate {
            id: format!("{registry}/certificates/{}", certificate.name()),
            name: certificate.name().to_owned(),
            subject: certificate.subject().to_owned(),
            thumbprint: certificate.thumbprint().to_owned(),
            expiry: certificate.expiry(),
            status: match (certificate.is_verified(), certificate.proof()) {
                (false, _) => Status::Unverified,
                (true, Some(_)) => Status::Verified,
                (true, None) => Status::VerifiedWithoutProof,
            },
            code_pending: certificate.pending_code().is_some(),
            etag: certificate.etag().to_string(),
            updated: certificate.updated(),
        }
    }
}
