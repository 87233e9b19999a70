//! Makes the zip that the function app is deployed from.
//!
//! It must not depend on who makes it: the handler is built for the oldest C library of the Functions images, with
//! OpenSSL inside, and two builds of one commit have the same bytes. [`compiler`] chooses how, [`requirements`] reads
//! off the finished program what it will ask of its machine, [`linked`] lists what is inside, for the bill of materials
//! ([`sbom`]) and the licences ([`notices`]), [`app`] lays the app out as the Functions host wants it, and
//! [`cold_start`] says how soon it answers.

/// What has it made.
pub const COMMAND: &str = "cargo run --package keyholder-package";
/// The zip, from the root of the repository.
pub const ZIP: &str = "target/keyholder-functions.zip";
/// The same as a folder: what `azd` deploys, and other Functions hosts run.
pub const FOLDER: &str = "target/keyholder-functions";

pub mod app;
pub mod cold_start;
pub mod compiler;
pub mod linked;
pub mod notices;
pub mod requirements;
pub mod sbom;

pub use app::App;
pub use linked::Linked;
pub use requirements::Requirements;
