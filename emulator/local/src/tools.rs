//! What people run.

pub mod app_roles;
pub mod client;
pub mod command_line;
pub mod demo;
pub mod up;
