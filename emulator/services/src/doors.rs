//! What serves the emulator. A door serves what it is handed, and knows no service.

pub mod authority;
#[cfg(feature = "tls")]
mod exact_sleep;
#[cfg(feature = "tls")]
pub mod listener;
#[cfg(feature = "mock")]
pub mod mock;
#[cfg(feature = "tls")]
pub mod tls;
