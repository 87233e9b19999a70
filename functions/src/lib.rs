//! The function app: Keyholder as an Azure Functions custom handler.
//!
//! The Functions host starts the handler as a child process and turns every event into a local `POST`.
//! [`envelope`] knows the form of those, [`routes`] answers them, [`application`] is the server that a test
//! starts exactly as `main` does, and [`handler`] is that `main`.

pub mod application;
mod deliveries;
pub mod envelope;
pub mod handler;
pub mod lambda;
pub mod routes;
#[cfg(test)]
mod testing;
pub mod webhook;

pub use application::Application;

/// The function app's `host.json`.
pub const HOST_JSON: &str = include_str!("../../host.json");

/// Each function's folder name and its `function.json`.
pub const FUNCTIONS: &[(&str, &str)] = &[
    ("SweepUnverified", include_str!("../SweepUnverified/function.json")),
    ("VerifyOnUpload", include_str!("../VerifyOnUpload/function.json")),
];
