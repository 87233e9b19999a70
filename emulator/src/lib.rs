//! DPS certificates, Key Vault, managed identity, Event Grid and the Functions host on one machine.

pub mod arm;
pub mod clock;
pub mod delivery;
pub mod dps;
pub mod event_grid;
pub mod exchange;
pub mod faults;
pub mod functions_host;
pub mod identity;
pub mod journal;
pub mod key_vault;
pub mod operation;
mod running;
pub mod world;

pub use running::Emulator;
pub use world::World;
