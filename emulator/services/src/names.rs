//! What the emulated cloud calls things: constants that several services have to agree on.

/// The subscription that is there at start.
pub const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000000";
/// The tenant all tokens come from.
pub const TENANT: &str = "00000000-0000-0000-0000-00000000aad0";
/// The resource group that is there at start.
pub const RESOURCE_GROUP: &str = "iot-x509-demo-rg";
/// The DPS instance that is there at start.
pub const PROVISIONING_SERVICE: &str = "my-dps-x509";
/// The vault that is there at start.
pub const VAULT: &str = "my-vault";

/// The name the journal and faults know managed identity by, in both forms.
pub const MANAGED_IDENTITY: &str = "managed identity";
/// The name the journal and faults know Entra ID by.
pub const ENTRA_ID: &str = "Entra ID";
