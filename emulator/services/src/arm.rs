//! Azure Resource Manager: the gateway that every resource provider stands behind.
//!
//! ARM looks at the token, the api-version and the parents of a resource before the provider sees anything.
//! The order of these checks decides which error a client meets, so it is written down once, in
//! `gateway.rs`. Plain HTTP is let in: where TLS matters, the listener has seen to it already.

mod bodies;
mod claim;
mod gateway;
mod group;
mod headers;
mod own;
mod path;
mod problem;
mod provider;
#[cfg(test)]
mod rbac_tests;
mod resources;
mod route;
#[cfg(test)]
mod tests;
mod visit;

pub(crate) use claim::{Claim, Paths};
pub(crate) use gateway::{Rest, finish, handle, route};
pub(crate) use group::GroupId;
pub(crate) use headers::is_since_2025;
pub(crate) use path::{Below, Form, Path, Place, Verb, verb};
pub(crate) use problem::{ArmProblem, ProviderProblem};
pub(crate) use provider::{Provider, ProviderAnswer};
pub use resources::Arm;
pub(crate) use resources::ResourceGroup;
pub use route::Route;
pub(crate) use visit::Visit;
