//! Proof of possession of CA certificates, and the Azure clients it needs.
//!
//! An uploaded CA certificate is *unverified* until someone proves they hold its private key. The registry
//! (an instance of the Azure IoT Hub Device Provisioning Service) returns a verification code, and expects a
//! certificate that the CA signed and whose common name is that code. [`verifier::Verifier`] does that once, within a deadline.
//! [`verification`] decides what to do next and does no I/O. [`registry`] and [`vault`] are the two services,
//! each as a trait and as a client for Azure.
//!
//! This crate contains no HTTP server and does not know the emulator.

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
