//! The rights the app's identity needs in Azure: each action with the call that asks for it.
//!
//! The roles in `infra/` grant these and nothing else, and a test holds them to it. So a change that adds a call that
//! needs a right adds it here, and sees in one place what that does to the app's power.

/// Actions of Azure Resource Manager, on each allowed DPS instance.
pub const ACTIONS: &[&str] = &[
    // The sweep lists the instances in a resource group or subscription, where `KEYHOLDER_REGISTRIES` names one.
    "Microsoft.Devices/provisioningServices/Read",
    // `GET …/certificates/{name}` before and after each step; the sweep's `GET …/certificates`.
    "Microsoft.Devices/provisioningServices/certificates/Read",
    // `POST …/certificates/{name}/generateVerificationCode`
    "Microsoft.Devices/provisioningServices/certificates/generateVerificationCode/Action",
    // `POST …/certificates/{name}/verify`
    "Microsoft.Devices/provisioningServices/certificates/verify/Action",
];

/// Data actions of Key Vault, on each vault searched.
pub const DATA_ACTIONS: &[&str] = &[
    // `GET /certificates`, `/certificates/{name}`, its versions and `/deletedcertificates/{name}`: find a CA by
    // thumbprint, read its grant.
    "Microsoft.KeyVault/vaults/certificates/read",
    // `POST /keys/{name}/{version}/sign`; the public key comes from the certificate.
    "Microsoft.KeyVault/vaults/keys/sign/action",
];

/// Data actions of Key Vault that `KEYHOLDER_KEY_ACCESS=read-secret` needs besides, and only that.
pub const DATA_ACTIONS_TO_READ_SECRETS: &[&str] = &[
    // `GET /secrets/{name}/versions`: read the grant before the secret.
    "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
    // `GET /secrets/{name}/{version}`: pull the key.
    "Microsoft.KeyVault/vaults/secrets/getSecret/action",
];
