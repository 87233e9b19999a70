//! `docs/coverage.md`, written from the journals: which operations official clients drive, which recorded traffic is
//! replayed against, and which only tests of this repository use.
//!
//! A page that is not what the journals say is a failure. `UPDATE_EXPECT=1` in the environment rewrites it; that
//! needs the clients.

use std::collections::HashSet;
use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use keyholder_emulator::event_grid::{Scope, Subscription};
use keyholder_emulator::journal::Journal;
use keyholder_emulator::operation::Operation;
use keyholder_emulator::world::{RESOURCE_GROUP, SUBSCRIPTION};
use keyholder_emulator::{Emulator, World};
use keyholder_emulator_local::delivery;
use tokio::task::JoinSet;
use url::Url;
use wiremock::MockServer;

use super::installed::{self, Clients};
use super::{HANDS_FREE, PYTHON_DPS, PYTHON_IDENTITY, PYTHON_KEY_VAULT, RUST, TUTORIAL, Walk};
use crate::harness::page;
use crate::replay::Conversation;

const PAGE: &str = "docs/coverage.md";

const INTRODUCTION: &str = "\
# Coverage

Which operations of the emulator official clients drive, which are replayed from traffic of the live service, and which
only tests of this repository use. A client drives an operation when it asks for it and gets what it wants; what it has
to be refused is checked, and does not count. Operations have the names that the journal and fault rules know them by.

A test writes this page from the journals of its runs, and fails when the page is not what they say. To rewrite it:

```sh
tests/clients/install
UPDATE_EXPECT=1 cargo test -p keyholder-tests --test suite coverage
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
        ("Python", &[&PYTHON_DPS, &PYTHON_KEY_VAULT, &PYTHON_IDENTITY]),
        ("Rust", &[&RUST]),
    ];
    let mut clients = Vec::new();
    for (name, walks) in walks {
        let mut operations = HashSet::new();
        for walk in walks {
            if super::success(walk).is_none() {
                assert!(!page::is_rewriting(), "without the clients {PAGE} cannot be rewritten");
                return;
            }
            operations.extend(walk.iter().flat_map(|walked| &walked.drove));
        }
        clients.push(Driver { name, operations });
    }
    let (recordings, ours) = super::runtime().block_on(async { (replayed().await, asked_by_us().await) });
    let page = page(&clients, &recordings, &ours);

    page::hold(PAGE, &page);
}

/// Holds without any client, so that whoever adds an operation hears of the page at once.
#[test]
fn every_operation_has_its_row() {
    if page::is_rewriting() {
        return;
    }
    let page = std::fs::read_to_string(installed::root().join(PAGE)).expect("there is a page");
    let rows: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let operations: Vec<&str> = Operation::ALL.iter().map(|operation| operation.name()).collect();
    assert_eq!(rows, operations, "{PAGE} has other rows; its first lines say how to rewrite it");
}

/// What the recordings ask for, each under its year.
async fn replayed() -> Vec<Driver> {
    let mut drivers = Vec::new();
    for (name, conversation) in Conversation::all() {
        let operations = conversation.replay().await.look(|world, _| operations(&world.journal));
        drivers.push(Driver { name, operations });
    }
    drivers
}

/// What no client asks for: the emulator's own deeds, and what it has no answer to.
async fn asked_by_us() -> HashSet<Operation> {
    let emulator = Emulator::new(World::tutorial(7));
    for (host, path) in [
        ("localhost", "/nowhere"),
        ("my-vault.vault.localhost", "/nowhere"),
        ("localhost", "/eventsubscriptions/on-upload/validate"),
    ] {
        let token = emulator.look(|world, now| world.identity.mint("https://vault.localhost", now));
        let request =
            http::Request::get(path).header(HOST, host).header(AUTHORIZATION, format!("Bearer {token}"));
        emulator.handle(&request.body(Bytes::new()).expect("a request"));
    }

    let endpoint = MockServer::start().await;
    let mut event_grid = JoinSet::new();
    event_grid.spawn(delivery::run(emulator.clone()));
    let name = "on-upload".parse().expect("a name");
    let scope = Scope::resource_group(SUBSCRIPTION, RESOURCE_GROUP);
    let subscription = Subscription::new(name, scope, Url::parse(&endpoint.uri()).expect("an address"));
    emulator.with(|world, now| world.event_grid.propose(subscription, now)).expect("it may be asked");
    emulator.until(|world| (world.journal.count(Operation::ValidateEndpoint) > 0).then_some(())).await;

    let asked = emulator.look(|world, _| operations(&world.journal));
    asked.into_iter().chain(RUST.iter().flat_map(|walked| walked.did.iter().copied())).collect()
}

fn operations(journal: &Journal) -> HashSet<Operation> {
    journal.entries().map(|entry| entry.operation).collect()
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
