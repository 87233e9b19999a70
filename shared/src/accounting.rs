//! Whether a certificate that a registry calls verified can be accounted for.
//!
//! An upload may say `isVerified: true`, and the registry then asks for no proof. Nothing in the registry tells such a
//! certificate from a proven one for sure: moments have whole seconds, and its uploader can write to it again. So the
//! question is not how it came to be verified, but whether those who own CAs stand by it. One of these has to hold:
//!
//! - this process proved it itself, and remembers;
//! - a vault holds this very CA, and its grant covers the registry;
//! - the operator named its thumbprint in `KEYHOLDER_VERIFIED_BY_HAND`.
//!
//! A secret is not read to find out which CA it holds: that would pull a key every quarter of an hour. Its owner names the
//! CA with the tag [`CA_TAG`].

use crate::certificate_id::RegistryId;
use crate::registry::Registered;
use crate::thumbprint::Thumbprint;
use crate::trust::CA_TAG;
use crate::vault::{Candidate, Found, KeyUse, ObjectId, Search, Version};

/// Why a verified certificate cannot be accounted for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unaccounted {
    /// It is not in the vaults.
    #[error("no vault holds it: {0}")]
    NotHeld(String),
    /// Its owner does not grant it for the registry.
    #[error("{} does not grant it: {}", .0.object, .0.grant)]
    NotGranted(Version),
    /// A vault has a certificate with this thumbprint and another public key.
    #[error("{0} has its thumbprint and another public key")]
    OtherKey(ObjectId),
    /// A secret of its name is granted, which may be another CA's.
    #[error("{0} has its name and no tag {CA_TAG} with its thumbprint")]
    NotNamed(ObjectId),
    /// The registry does not say which certificate it is.
    #[error("the registry shows no thumbprint of it")]
    NoThumbprint,
}

/// Judges a verified certificate by what a search for it in the vaults came to. `shown` is what the registry holds,
/// where more than its thumbprint is known.
pub fn account(
    registry: &RegistryId,
    thumbprint: Thumbprint,
    shown: Option<&Registered>,
    search: Search,
) -> Result<(), Unaccounted> {
    let ca = match search {
        Search::Found(ca) => *ca,
        Search::Missing(seen) => {
            let seen: Vec<String> = seen.iter().map(Candidate::to_string).collect();
            return Err(Unaccounted::NotHeld(seen.join("; ")));
        }
    };
    if let Err(lacking) = ca.granted_by(registry) {
        let first = lacking.into_iter().next();
        return Err(first.map_or(Unaccounted::NotHeld(String::new()), Unaccounted::NotGranted));
    }
    match &ca.key {
        KeyUse::SignInVault { certificate, .. } => {
            match shown.is_none_or(|shown| shown.may_have_the_key_of(certificate)) {
                true => Ok(()),
                false => Err(Unaccounted::OtherKey(ca.object)),
            }
        }
        KeyUse::ReadSecret if names(&ca, thumbprint) => Ok(()),
        KeyUse::ReadSecret => Err(Unaccounted::NotNamed(ca.object)),
    }
}

/// Returns whether a secret's owner says that it holds this CA.
fn names(secret: &Found, thumbprint: Thumbprint) -> bool {
    let named = secret.tags.iter().filter(|(name, _)| name == CA_TAG).flat_map(|(_, value)| value.split(','));
    named.map(str::trim).any(|text| Thumbprint::parse(text) == Ok(thumbprint))
}

impl Unaccounted {
    /// Returns what makes it accounted for, if the CA is one to be trusted in the registry.
    pub(crate) fn remedy(&self, registry: &RegistryId, thumbprint: Option<Thumbprint>) -> String {
        let thumbprint = thumbprint.map_or_else(|| "<thumbprint>".to_owned(), |it| it.to_string());
        let by_hand = format!("add {thumbprint} to KEYHOLDER_VERIFIED_BY_HAND");
        match self {
            Unaccounted::NotGranted(Version { object, tags, .. }) => {
                format!(
                    "its owner grants it with: {}, or {by_hand}",
                    object.grant_command(tags, registry.name())
                )
            }
            Unaccounted::NotNamed(secret) => {
                format!(
                    "if its key is in {secret}, add {CA_TAG}={thumbprint} to the tags of that, or else {by_hand}"
                )
            }
            Unaccounted::NotHeld(_) | Unaccounted::OtherKey(_) | Unaccounted::NoThumbprint => by_hand,
        }
    }
}
