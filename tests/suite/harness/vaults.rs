//! What vaults hold, put there without a call: the journal then shows the handler's calls alone.

use keyholder_emulator::key_vault::{Import, KeyVaults, NewSecret, Refusal, Stamp};
use keyholder_emulator::world::VAULT;
use time::OffsetDateTime;

use super::GRANT;
use super::authority::Authority;
use super::cloud::Cloud;

/// A CA with a key that cannot leave the vault, granted for the registry that is there at start.
pub(crate) fn import_of(ca: &Authority) -> Import {
    Import::new(ca.key_and_certificate()).exportable(false).tags(GRANT.iter().copied())
}

impl Cloud {
    /// Imports a certificate into a vault.
    pub(crate) fn import_into(&self, vault: &str, name: &str, import: Import) {
        self.emulator().with(|world, now| {
            let stamp = Stamp::new(now, &mut world.random);
            world.key_vaults.import_certificate(vault, name, import, stamp).expect("the vault takes the CA");
        });
    }

    /// Keeps a text as a secret, granted like a CA.
    pub(crate) fn store_secret(&self, name: &str, value: &str) {
        self.emulator().with(|world, now| {
            let stamp = Stamp::new(now, &mut world.random);
            let secret = NewSecret::new(value).tags(GRANT.iter().copied());
            world.key_vaults.set_secret(VAULT, name, secret, stamp).expect("the vault takes the secret");
        });
    }

    /// Changes what is in the vaults.
    pub(crate) fn change_vaults(
        &self,
        change: impl FnOnce(&mut KeyVaults, OffsetDateTime) -> Result<(), Refusal>,
    ) {
        self.emulator()
            .with(|world, now| change(&mut world.key_vaults, now).expect("the vault lets it happen"));
    }
}
