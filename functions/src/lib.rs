//! Keyholder's programs, as a library that they are thin around.
//!
//! Events come in by one of two doors. In Azure Functions a host starts the [`handler`] as a child process and turns
//! each event into a local `POST`: [`envelope`] knows the form of those, [`routes`] answers them. Everywhere else
//! Event Grid calls the [`webhook`], which the handler serves too, and [`lambda`] on AWS. Behind both is the same
//! verifier, wired by [`application`]. What serves them on a port, and bounds what callers can take, is [`server`]. The [`cli`] is for people: the same verifier from a shell, once.

pub mod application;
pub mod batch;
mod bodies;
pub mod cli;
mod deliveries;
pub mod envelope;
mod folded;
mod function_app;
pub mod handler;
mod invocation;
pub mod lambda;
pub mod routes;
mod runtime;
pub mod server;
pub mod signals;
mod sweeps;
#[cfg(test)]
mod testing;
pub mod webhook;
mod wiping;

pub use application::Application;
pub use function_app::{FUNCTIONS, HOST_JSON};
pub use keyholder::key_opener::run_if_asked;
pub use wiping::{WIPING, Wiping};
