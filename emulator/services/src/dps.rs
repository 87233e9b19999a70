//! The Device Provisioning Service as Azure Resource Manager shows it: instances, and the CA certificates of each with
//! the six operations on them.
//!
//! It is a provider behind the gateway of [`crate::arm`], and owns its instances, its paths, its api-versions and its
//! actions. Where public recordings are silent about the service, the choice made here is marked as such.

mod answers;
mod api_version;
mod bodies;
mod certificates;
mod endpoint;
mod etag;
mod instance;
mod instances;
mod mint;
mod operations;
mod paths;
mod possession;
mod problem;
mod provider;
mod state;
#[cfg(test)]
pub(crate) mod testing;
mod upload;

pub use certificates::{Certificate, Certificates};
pub use etag::{Etag, IfMatch};
pub use instance::ProvisioningService;
pub use mint::{LONGEST_CODE, is_code};
#[cfg(test)]
pub(crate) use paths::PATHS;
pub use paths::is_certificate_id;
pub use possession::Refusal;
pub use problem::LIMIT;
pub use provider::SOMEBODY_ELSE;
pub use state::Dps;
