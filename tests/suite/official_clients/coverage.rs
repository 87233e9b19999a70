//! `docs/coverage.md`, written from the journals: which operations official clients drive, which recorded traffic is
//! replayed against, and which only tests of this repository use.
//!
//! A page that is not what the journals say is a failure. `KEYHOLDER_REWRITE=1` in the environment rewrites it; that
//! needs the clients.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use keyholder_emulator::operation::Operation;
use keyholder_emulator::{Emulator, World};

use super::installed::{self, Clients};
use super::{HANDS_FREE, PYTHON_DPS, PYTHON_IDENTITY, PYTHON_KEY_VAULT, RUST, TUTORIAL, Walk};
use crate::replay::Conversation;

const REWRITE: &str = "KEYHOLDER_REWRITE";

const INTRODUCTION: &str = "\
# Coverage

Which operations of the emulator official clients drive, which are replayed from traffic of the live service, and which
only tests of this repository use. A client drives an operation when it asks for it and gets what it wants; what it has
to be refused is checked, and does not count. Operations have the names that the journal and fault rules know them by.

A test writes this page from the journals of its runs, and fails when the page is not what they say. To rewrite it:

```sh
tests/clients/install
KEYHOLDER_REWRITE=1 cargo test -p keyholder-tests --test suite coverage
```

";

/// Whoever drives operations, and which.
struct Driver {
    name: &'static str,
    operations: HashSet<Operation>,
}

#[test]
fn the_page_says_what_was_driven() {
    let walks: [(&str, &[&Walk]); 3] = [
        ("az", &[&TUTORIAL, &HANDS_FREE]),
        ("Python", &[&PYTHON_DPS, &PYTHON_IDENTITY, &PYTHON_KEY_VAULT]),
        ("Rust", &[&RUST]),
    ];
    let mut clients = Vec::new();
    for (name, walks) in walks {
        let mut operations = HashSet::new();
        for walk in walks {
            if super::success(walk).is_none() {
                assert!(
                    std::env::var_os(REWRITE).is_none(),
                    "without the clients the page cannot be rewritten"
                );
                return;
            }
            operations.extend(walk.iter().flat_map(|walked| &walked.drove));
        }
        clients.push(Driver { name, operations });
    }
    let page = page(&clients, &super::runtime().block_on(replayed()), &asked_by_us());

    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(path(), &page).expect("the page is written");
    }
    assert_eq!(written(), page, "docs/coverage.md is not what was driven; {REWRITE}=1 rewrites it");
}

/// Holds without any client, so that whoever adds an operation hears of the page at once.
#[test]
fn every_operation_has_its_row() {
    if std::env::var_os(REWRITE).is_some() {
        return;
    }
    let page = written();
    let rows: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let operations: Vec<&str> = Operation::ALL.iter().map(|operation| operation.name()).collect();
    assert_eq!(rows, operations, "docs/coverage.md has other rows; its first lines say how to rewrite it");
}

fn path() -> PathBuf {
    installed::root().join("docs/coverage.md")
}

fn written() -> String {
    std::fs::read_to_string(path()).expect("there is a page")
}

/// What the recordings ask for, each under its year.
async fn replayed() -> Vec<Driver> {
    let mut drivers = Vec::new();
    for (name, conversation) in Conversation::all() {
        let operations = conversation
            .replay()
            .await
            .look(|world, _| world.journal.entries().map(|entry| entry.operation).collect());
        drivers.push(Driver { name, operations });
    }
    drivers
}

/// What no client asks for: the emulator's own deeds, and what it has no answer to.
fn asked_by_us() -> HashSet<Operation> {
    let emulator = Emulator::new(World::tutorial(7));
    for host in ["localhost", "my-vault.vault.localhost"] {
        let token = emulator.look(|world, now| world.identity.mint("https://vault.localhost", now));
        let request = http::Request::get("/nowhere")
            .header(HOST, host)
            .header(AUTHORIZATION, format!("Bearer {token}"));
        emulator.handle(&request.body(Bytes::new()).expect("a request"));
    }
    let asked =
        emulator.look(|world, _| world.journal.entries().map(|entry| entry.operation).collect::<Vec<_>>());
    asked.into_iter().chain(RUST.iter().flat_map(|walked| walked.did.iter().copied())).collect()
}

fn page(clients: &[Driver], recordings: &[Driver], ours: &HashSet<Operation>) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str(
        "| operation | driven by an official client | replayed from a recording of | our tests only |\n",
    );
    page.push_str("| --- | --- | --- | --- |\n");
    for operation in Operation::ALL {
        let by = |drivers: &[Driver]| {
            let drivers = drivers.iter().filter(|driver| driver.operations.contains(operation));
            drivers.map(|driver| driver.name).collect::<Vec<_>>().join(", ")
        };
        let (clients, recordings) = (by(clients), by(recordings));
        let only_ours = clients.is_empty() && recordings.is_empty();
        assert!(!only_ours || ours.contains(operation), "nothing here drives {operation}");
        let only_ours = if only_ours { "yes" } else { "" };
        writeln!(page, "| `{operation}` | {clients} | {recordings} | {only_ours} |")
            .expect("a string takes it");
    }
    page.push_str(&versions());
    page
}

/// Which clients it was.
fn versions() -> String {
    let pins = |clients: Clients, wanted: &[&str]| {
        let pins = clients.pins().lines().filter_map(|line| line.split_once("=="));
        let wanted = pins.filter(|(name, _)| wanted.contains(name));
        wanted.map(|(name, version)| format!("`{name}` {version}")).collect::<Vec<_>>().join(", ")
    };
    let az = pins(Clients::Az, &["azure-cli"]);
    let python = pins(
        Clients::Sdks,
        &[
            "azure-identity",
            "azure-keyvault-certificates",
            "azure-keyvault-keys",
            "azure-keyvault-secrets",
            "azure-mgmt-iothubprovisioningservices",
        ],
    );
    let lock = include_str!("../../../Cargo.lock").split("[[package]]").filter_map(|package| {
        let value = |key: &str| package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        Some((value("name")?.trim_matches('"'), value("version")?.trim_matches('"')))
    });
    let rust =
        lock.filter(|(name, _)| name.starts_with("azure_identity") || name.starts_with("azure_security_"));
    let rust = rust.map(|(name, version)| format!("`{name}` {version}")).collect::<Vec<_>>().join(", ");
    format!("\nThe clients were\n\n- az: {az}\n- Python: {python}\n- Rust: {rust}\n")
}
