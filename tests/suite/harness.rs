//! What the tests start and what they say about it.
//!
//! Two forms, because each shows what the other cannot. [`cloud`] is everything as a user runs it: sockets,
//! TLS, the handler as a process of its own. [`wire`] is the verifier alone against `wiremock`, where a test
//! answers single calls itself and reads what was sent.

pub(crate) mod authority;
pub(crate) mod cloud;
pub(crate) mod events;
pub(crate) mod front_door;
pub(crate) mod golden;
pub(crate) mod installed;
pub(crate) mod key_forms;
pub(crate) mod page;
pub(crate) mod programs;
pub(crate) mod tap;
pub(crate) mod unusual;
pub(crate) mod up;
pub(crate) mod vaults;
pub(crate) mod wire;

use std::sync::LazyLock;

/// A client for plain HTTP. One for all tests, because building one reads every root certificate there is; it
/// keeps no connections, because each test has a runtime of its own.
pub(crate) static HTTP: LazyLock<reqwest::Client> = LazyLock::new(|| {
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("a client")
});

/// The tag with which the owner of a CA allows its use for the registry that is there at start.
pub(crate) const GRANT: &[(&str, &str)] = &[("keyholder", keyholder_emulator::world::PROVISIONING_SERVICE)];
