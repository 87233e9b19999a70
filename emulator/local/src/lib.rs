//! The emulated services on one machine, with what runs beside them there: the Functions host, AWS Lambda and Event
//! Grid's deliveries; a control API and a page; the tools people start.

pub mod control;
mod hosts;
pub mod local_azure;
mod page;
pub mod program;
#[cfg(test)]
mod testing;
mod tools;

pub use hosts::{delivery, functions_host, lambda};
pub use tools::{app_roles, client, command_line, demo, up};
