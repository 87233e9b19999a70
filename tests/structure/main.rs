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

/// The emulated services: the library that a test of a stranger depends on.
const LIBRARY: &str = "emulator/services/src/lib.rs";
/// What runs beside them on one machine.
const LOCAL: &str = "emulator/local/src/lib.rs";
const SERVICES: [&str; 5] = ["arm", "dps", "event_grid", "identity", "key_vault"];
/// What a door may know: the emulator, and what requests and replies are.
const HANDED_TO_DOORS: [&str; 3] = ["emulator", "ground::exchange", "ground::reply"];

fn library() -> Crate {
    Crate::read(LIBRARY)
}

#[test]
fn no_import_ring_is_left_in_the_emulator() {
    for root in [LIBRARY, LOCAL, "emulator/bench/src/lib.rs"] {
        assert_eq!(rings::of(&Crate::read(root)), Vec::<String>::new(), "{root}");
    }
}

/// A room is a module of the crate's root with all that is below it.
#[test]
fn no_import_ring_is_left_between_the_rooms_of_any_crate() {
    for root in ["shared/src/lib.rs", "functions/src/lib.rs", LIBRARY, LOCAL, "emulator/bench/src/lib.rs"] {
        assert_eq!(rings::between_rooms(&Crate::read(root)), Vec::<String>::new(), "{root}");
    }
}

#[test]
fn no_service_names_the_world_another_service_or_a_clock() {
    let library = library();
    for service in SERVICES {
        for (file, import) in library.imports_of(service) {
            let others = SERVICES.into_iter().filter(|other| *other != service);
            // A provider is written for the gateway, which knows none by name.
            let forbidden = others.filter(|other| (service, *other) != ("dps", "arm"));
            let mut forbidden = forbidden.chain(["world", "emulator", "doors", "steering::clock"]);
            assert!(!forbidden.any(|room| import.is_in(room)), "{file} imports {import}");
        }
        for (file, text) in library.text_of(service) {
            for clock in ["Instant::now", "SystemTime::now", "now_utc", "now_local"] {
                assert!(!text.contains(clock), "{file} reads a clock: {clock}");
            }
        }
    }
}

#[test]
fn steering_knows_operations_and_no_service() {
    stands_on("steering", &["ground", "names"]);
}

#[test]
fn a_door_serves_what_it_is_handed() {
    stands_on("doors", &HANDED_TO_DOORS);
}

#[test]
fn the_ground_stands_on_nothing() {
    stands_on("ground", &[]);
}

/// Holds a room to what it may import.
fn stands_on(room: &str, allowed: &[&str]) {
    let library = library();
    assert!(!library.text_of(room).is_empty(), "there is no {room}");
    for (file, import) in library.imports_of(room) {
        assert!(allowed.iter().any(|allowed| import.is_in(allowed)), "{file} imports {import}");
    }
}

#[test]
fn packages_depend_one_way() {
    let packages = packages();
    let arrows = arrows(&packages);
    for (from, to) in [
        ("keyholder", "keyholder-functions"),
        ("keyholder", "keyholder-emulator"),
        ("keyholder", "keyholder-emulator-local"),
        ("keyholder-functions", "keyholder-emulator"),
        ("keyholder-functions", "keyholder-emulator-local"),
        ("keyholder-emulator-local", "keyholder-bench"),
    ] {
        assert!(!arrows.contains(&(from, to)), "{from} depends on {to}");
    }
    assert!(arrows.contains(&("keyholder-functions", "keyholder")), "{arrows:?}");
    assert!(arrows.contains(&("keyholder-emulator-local", "keyholder-emulator")), "{arrows:?}");
}

#[test]
fn the_emulated_services_need_neither_the_product_nor_a_tool() {
    let packages = packages();
    let names: BTreeSet<&str> = packages.iter().map(name).collect();
    let library = packages.iter().find(|package| name(package) == "keyholder-emulator").unwrap();
    let needed = library["dependencies"].as_array().unwrap().iter();
    let needed: Vec<&Value> = needed.filter(|dependency| dependency["kind"] != "dev").collect();
    assert!(needed.len() > 10, "{needed:?}");
    for dependency in needed {
        let needed = name(dependency);
        assert!(!names.contains(needed), "the services depend on {needed}");
        assert!(!["clap", "reqwest"].contains(&needed), "the services depend on {needed}");
        assert!(needed != "axum" || dependency["optional"] == true, "the services always depend on {needed}");
    }
}

/// Every package that is built for a test which depends on the emulator alone, the test's own among them.
#[test]
fn a_test_of_a_stranger_costs_at_most_125_packages() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--package", "keyholder-stranger", "--edges", "normal,build,dev", "--prefix", "none"])
        .args(["--no-dedupe", "--offline", "--locked"])
        .current_dir(imports::workspace())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let packages: BTreeSet<&str> = tree.lines().collect();
    assert!(tree.contains("keyholder-emulator v"), "{tree}");
    for tool in ["axum", "clap", "reqwest", "keyholder", "keyholder-functions", "keyholder-emulator-local"] {
        let built = packages.iter().find(|package| package.starts_with(&format!("{tool} v")));
        assert_eq!(built, None);
    }
    assert!(packages.len() <= 125, "{}: {packages:#?}", packages.len());
}

/// The packages of this workspace.
fn packages() -> Vec<Value> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(imports::workspace())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn name(of: &Value) -> &str {
    of["name"].as_str().unwrap()
}

/// Which package of this workspace needs which.
fn arrows(packages: &[Value]) -> BTreeSet<(&str, &str)> {
    let names: BTreeSet<&str> = packages.iter().map(name).collect();
    let mut arrows = BTreeSet::new();
    for package in packages {
        for dependency in package["dependencies"].as_array().unwrap() {
            if dependency["kind"].is_null() && names.contains(name(dependency)) {
                arrows.insert((name(package), name(dependency)));
            }
        }
    }
    arrows
}
