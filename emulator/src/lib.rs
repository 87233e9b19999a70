//! DPS certificates, Key Vault, managed identity, Event Grid and the Functions host on one machine.

pub mod app_roles;
pub mod arm;
pub mod authority;
pub mod bench;
pub mod client;
pub mod clock;
pub mod control;
pub mod delivery;
pub mod demo;
pub mod dps;
pub mod event_grid;
mod exact_sleep;
pub mod exchange;
pub mod faults;
pub mod functions_host;
mod guid;
mod hidden;
pub mod identity;
mod jose;
pub mod journal;
pub mod key_vault;
pub mod lambda;
pub mod listener;
pub mod local_azure;
pub mod mock;
pub mod operation;
pub mod rbac;
pub mod reply;
mod running;
pub mod span;
mod stopwatch;
pub mod tls;
pub mod up;
pub mod world;

pub use running::Emulator;
pub use world::World;
