//! What proof of possession is, and how to reach Azure for it.
//!
//! An uploaded CA certificate is *unverified* until somebody proves to hold its private key: the registry
//! (an Azure IoT Device Provisioning Service) hands out a code and wants it back as the common name of a
//! certificate signed by that CA. [`verifier::Verifier`] carries that through once, within a deadline;
//! [`verification`] decides what to do next and knows no I/O; [`registry`] and [`vault`] are the two peers,
//! as traits and as Azure.
//!
//! This crate knows neither HTTP servers nor the emulator.

pub mod accounting;
pub mod azure;
pub mod bearer;
pub mod built_in;
pub mod ca;
pub mod certificate_id;
pub mod config;
pub mod error;
pub mod etag;
pub mod event;
pub mod fingerprint;
pub mod http_client;
pub mod identity;
pub mod key_opener;
pub mod leaf_key;
pub mod limits;
pub mod outcome;
pub mod permissions;
mod prefetch;
pub mod proof;
pub mod pulled_key;
pub mod reason;
pub mod registry;
pub mod shared_secret;
pub mod single_flight;
pub mod sweep;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod thumbprint;
pub mod trust;
pub mod vault;
pub mod verification;
pub mod verification_code;
pub mod verifier;

pub use certificate_id::{CertificateId, RegistryId};
pub use config::Settings;
pub use outcome::Outcome;
pub use verifier::Verifier;
