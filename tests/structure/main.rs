//! The shape of the code, read from its own imports: no module imports, by whatever detour, one that imports it, and the
//! rooms of the emulator know what they may know.
//!
//! ARCHITECTURE.md says why. What a facade only hands on counts as imported from where it is defined. Tests are left
//! out: they may look at everything.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod imports;
mod rings;

use std::collections::BTreeSet;
use std::process::Command;

use imports::Crate;
use serde_json::Value;

/// The services of the emulator.
const SERVICES: [&str; 5] = ["arm", "dps", "event_grid", "identity", "key_vault"];
/// What steers the emulator.
const STEERING: [&str; 6] = ["choices", "clock", "faults", "journal", "operation", "stopwatch"];
/// What serves it.
const DOORS: [&str; 3] = ["listener", "mock", "tls"];
/// What a door may know: the emulator, and what requests and replies are.
const HANDED_TO_DOORS: [&str; 5] = ["authority", "exact_sleep", "exchange", "reply", "running"];
/// All that has to do with none of the tools and hosts, and is to be a crate of its own.
const LIBRARY: [&str; 22] = [
    "access",
    "arm",
    "callers",
    "change",
    "choices",
    "clock",
    "context",
    "dps",
    "event_grid",
    "exchange",
    "faults",
    "guid",
    "identity",
    "jose",
    "journal",
    "jwk",
    "key_vault",
    "names",
    "operation",
    "rbac",
    "running",
    "world",
];

fn emulator() -> Crate {
    Crate::read("emulator/src/lib.rs")
}

#[test]
fn no_import_ring_is_left_in_the_emulator() {
    assert_eq!(rings::of(&emulator()), Vec::<String>::new());
}

/// A room is a module of the crate's root with all that is below it.
#[test]
fn no_import_ring_is_left_between_the_rooms_of_any_crate() {
    for root in ["shared/src/lib.rs", "functions/src/lib.rs", "emulator/src/lib.rs"] {
        assert_eq!(rings::between_rooms(&Crate::read(root)), Vec::<String>::new(), "{root}");
    }
}

#[test]
fn no_service_names_the_world_another_service_or_a_clock() {
    let emulator = emulator();
    for service in SERVICES {
        for (file, import) in emulator.imports_of(service) {
            let others = SERVICES.into_iter().filter(|other| *other != service);
            // A provider is written for the gateway, which knows none by name.
            let forbidden = others.filter(|other| (service, *other) != ("dps", "arm"));
            let mut forbidden = forbidden.chain(["world", "running", "clock"]);
            let room = import.room();
            assert!(!forbidden.any(|room_| room_ == room), "{file} imports {import}");
        }
        for (file, text) in emulator.text_of(service) {
            for clock in ["Instant::now", "SystemTime::now", "now_utc", "now_local"] {
                assert!(!text.contains(clock), "{file} reads a clock: {clock}");
            }
        }
    }
}

#[test]
fn steering_knows_operations_and_no_service() {
    let emulator = emulator();
    for room in STEERING {
        for (file, import) in emulator.imports_of(room) {
            let service = SERVICES.contains(&import.room()) || import.room() == "world";
            assert!(!service, "{file} imports {import}");
        }
    }
}

#[test]
fn a_door_serves_what_it_is_handed() {
    let emulator = emulator();
    for door in DOORS {
        for (file, import) in emulator.imports_of(door) {
            let may = import.room() == door || HANDED_TO_DOORS.contains(&import.room());
            assert!(may, "{file} imports {import}");
        }
    }
}

#[test]
fn the_emulated_services_need_neither_the_product_nor_a_tool() {
    let emulator = emulator();
    for room in LIBRARY {
        for (file, import) in emulator.imports_of(room) {
            let known = LIBRARY.contains(&import.room())
                || ["hidden", "moment", "reply", "service", "span", "stored", "stopwatch"]
                    .contains(&import.room());
            assert!(known, "{file} imports {import}");
        }
        for (file, text) in emulator.text_of(room) {
            for foreign in
                ["keyholder::", "keyholder_functions::", "axum::", "clap::", "reqwest::", "wiremock::"]
            {
                let whole = |at: usize| {
                    !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
                };
                let uses = text.match_indices(foreign).any(|(at, _)| whole(at));
                assert!(!uses, "{file} uses {foreign}");
            }
        }
    }
}

#[test]
fn packages_depend_one_way() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(imports::workspace())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let mut arrows = BTreeSet::new();
    for package in packages {
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = dependency["name"].as_str().unwrap();
            if dependency["kind"].is_null() && names.contains(to) {
                arrows.insert((package["name"].as_str().unwrap(), to));
            }
        }
    }
    for (from, to) in [
        ("keyholder", "keyholder-functions"),
        ("keyholder", "keyholder-emulator"),
        ("keyholder-functions", "keyholder-emulator"),
    ] {
        assert!(!arrows.contains(&(from, to)), "{from} depends on {to}");
    }
    assert!(arrows.contains(&("keyholder-functions", "keyholder")), "{arrows:?}");
}
