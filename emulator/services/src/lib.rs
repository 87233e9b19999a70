//! DPS certificates, Key Vault, managed identity and Event Grid as values in a test's own process.
//!
//! An [`Emulator`] is a [`World`] of services with a clock. With the feature `mock`, which is on by default, it answers
//! behind `wiremock`; with `tls` it answers on sockets. The world is looked at and changed with [`Emulator::with`]:
//! certificates are uploaded, faults added, and the journal read.
//!
//! | modules | what they are |
//! | --- | --- |
//! | [`arm`], [`dps`], [`key_vault`], [`event_grid`], [`identity`] | the services |
//! | `mock`, `listener`, `tls`, [`authority`] | doors: what serves them, and CAs to try them with |
//! | [`faults`], [`journal`], [`choices`], [`clock`], [`operation`], [`stopwatch`] | what steers them |
//! | [`rbac`] | who may do what |
//! | [`names`], [`change`], [`exchange`], [`reply`], [`moment`], [`span`], [`guid`] | the words and forms they share |

mod access;
pub mod arm;
pub mod change;
mod context;
mod doors;
pub mod dps;
mod emulator;
pub mod event_grid;
mod ground;
pub mod identity;
pub mod key_vault;
pub mod names;
mod service;
mod steering;
pub mod world;

pub use access::rbac;
pub use doors::authority;
#[cfg(feature = "mock")]
pub use doors::mock;
#[cfg(feature = "tls")]
pub use doors::{listener, tls};
pub use emulator::{Emulator, FaultGuard};
pub use ground::{exchange, guid, moment, reply, span};
pub use steering::{choices, clock, faults, journal, operation, stopwatch};
pub use world::World;
