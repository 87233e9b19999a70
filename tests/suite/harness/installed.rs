//! Where the clients are that come from a package registry, and what is said where they are not.

use std::io::Write as _;
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};

use keyholder_emulator::world::VAULT;

/// Set to `required`, it turns a skip into a failure.
const WISH: &str = "KEYHOLDER_CLIENTS";

/// A set of programs that is installed as one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clients {
    Az,
    Sdks,
    /// No clients of Azure, but of any OpenAPI description.
    Judges,
}

/// Why a client cannot be driven here, and what would change that.
#[derive(Debug)]
pub(crate) struct Missing(String);

impl Clients {
    /// The folder of their programs.
    pub(crate) fn programs(self) -> Result<PathBuf, Missing> {
        let name = match self {
            Clients::Az => "az",
            Clients::Sdks => "sdks",
            Clients::Judges => "judges",
        };
        let folder = root().join("target/clients").join(name);
        let installed = std::fs::read_to_string(folder.join("installed.txt")).unwrap_or_default();
        if installed == self.pins() {
            return Ok(folder.join("bin"));
        }
        let wanted = format!("target/clients/{name} does not hold what tests/clients/{name}.txt lists");
        Err(Missing(format!("{wanted}; install it with tests/clients/install")))
    }

    /// Every package of theirs, with its version.
    pub(crate) fn pins(self) -> &'static str {
        match self {
            Clients::Az => include_str!("../../clients/az.txt"),
            Clients::Sdks => include_str!("../../clients/sdks.txt"),
            Clients::Judges => include_str!("../../clients/judges.txt"),
        }
    }
}

impl Missing {
    /// Says it past the test runner, which keeps to itself what a passing test prints.
    pub(crate) fn say(&self) {
        let Missing(why) = self;
        assert_ne!(std::env::var(WISH).as_deref(), Ok("required"), "{why}");
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let line = format!("\nSKIPPED, NOT PROVEN: {test}: {why}\n");
        std::io::stderr().write_all(line.as_bytes()).expect("somebody listens");
    }
}

/// Whether this machine finds a vault by its name, as a client does that is told the URL and nothing else.
pub(crate) fn vaults_are_found() -> Result<(), Missing> {
    let host = format!("{VAULT}.vault.localhost");
    let found = (host.as_str(), 0).to_socket_addrs();
    if found.is_ok_and(|mut addresses| addresses.all(|address| address.ip().is_loopback())) {
        return Ok(());
    }
    Err(Missing(format!("{host} is not found on this machine; docs/clients.md says how to change that")))
}

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
