//! Processes and sockets beside the services: they send events, run the handler, and fire timers.

pub mod delivery;
pub mod functions_host;
pub mod lambda;
