//! What runs here, where, and how it is to be started over.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clock::ClockReading;

/// What runs here, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// Version of the emulator.
    pub version: String,
    /// Where verification codes, etags and ids come from; the same seed gives the same ones.
    pub seed: u64,
    /// Whether it does only what recordings of the live service show.
    pub strict: bool,
    /// What the clock shows.
    pub clock: ClockReading,
    /// The newest sequence number of the journal; a stream since this one misses nothing.
    pub newest: u64,
    /// How many calls the rules in force have struck.
    pub hits: u64,
    /// Where everything is; none for an emulator inside a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Addresses>,
}

/// Where everything is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Addresses {
    /// Azure Resource Manager.
    pub arm: String,
    /// The vaults, by name.
    pub vaults: BTreeMap<String, String>,
    /// The managed identity endpoint.
    pub identity: String,
    /// Entra ID, for the tenant that is there at start.
    pub authority: String,
    /// The Functions host.
    pub functions: String,
    /// A file with the CA that clients of ARM and the vaults have to trust.
    pub ca_file: String,
}

/// Shell variables that point programs here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// In the order to set them.
    pub variables: Vec<Variable>,
}

/// A shell variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Variable {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
    /// Who reads it.
    pub purpose: String,
}

/// The verification code that comes next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NextCode {
    /// The code, handed out once; null leaves it to chance.
    pub code: Option<String>,
}

/// Which vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaultName {
    /// 3 to 24 letters, digits and hyphens; the first is a letter.
    pub name: String,
}

/// How to start over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// Where codes, etags and ids come from then; the present seed if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}
