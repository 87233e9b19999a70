//! Azure Resource Manager: the gateway that every resource provider stands behind.
//!
//! ARM looks at the token, the api-version and the parents of a resource before the provider sees anything.
//! The order of these checks decides which error a client meets, so it is written down once, in
//! `gateway.rs`. Plain HTTP is let in: where TLS matters, the listener has seen to it already.

mod bodies;
mod gateway;
mod headers;
mod own;
mod problem;
pub(crate) mod provider;
#[cfg(test)]
mod rbac_tests;
mod resources;
mod route;
#[cfg(test)]
mod tests;
mod visit;

pub(crate) use gateway::handle;
pub(crate) use headers::is_since_2025;
pub(crate) use problem::ArmProblem;
pub use resources::Arm;
pub(crate) use resources::{GroupId, ResourceGroup};
pub use route::Route;
pub(crate) use visit::Visit;
