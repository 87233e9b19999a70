//! SECURITY.md and ARCHITECTURE.md name the test that holds each promise. These see to it that there is one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const SECURITY: &str = include_str!("../../SECURITY.md");
const ARCHITECTURE: &str = include_str!("../../ARCHITECTURE.md");

/// Where tests are, and what their modules' names begin with.
const SOURCES: [(&str, &str); 6] = [
    ("shared/src", ""),
    ("functions/src", ""),
    ("emulator/services/src", ""),
    ("emulator/local/src", ""),
    ("tests/suite", "suite::"),
    ("tests/reliability", "reliability::"),
];

#[test]
fn every_threat_is_held_by_a_test_that_exists() {
    let modules = modules();
    let threats = SECURITY.split("## Who might try what").nth(1).expect("there is a threat model");
    let mut rows = 0;
    for row in rows_of(threats) {
        let held_by = row.last().expect("a row has cells");
        let tests = quoted(held_by);
        assert!(!tests.is_empty(), "no test holds this: {row:?}");
        for test in tests {
            let is_target = held_by.contains(&format!("fuzz target `{test}`"));
            let exists = match is_target {
                true => root().join(format!("tests/fuzz/fuzz_targets/{test}.rs")).exists(),
                false => names_a_test(&modules, test),
            };
            assert!(exists, "there is no {test}, which is to hold {row:?}");
        }
        rows += 1;
    }
    assert!(rows > 15, "{rows} rows were found");
}

#[test]
fn every_invariant_is_held_by_files_that_exist() {
    let invariants = ARCHITECTURE.split("## Invariants").nth(1).expect("there are invariants");
    let mut rows = 0;
    for row in rows_of(invariants) {
        for file in row[2..].iter().flat_map(|cell| quoted(cell)).filter(|file| file.contains(['.', '/'])) {
            let folders = ["", "shared/src", "emulator/services/src", "tests/reliability"];
            let exists = folders.iter().any(|folder| root().join(folder).join(file).exists());
            assert!(exists, "there is no {file}, which is to hold {row:?}");
        }
        rows += 1;
    }
    assert_eq!(rows, 8, "as many as the design has");
}

/// Not every name is found: a check that cannot fail would hold nothing.
#[test]
fn a_test_that_does_not_exist_is_noticed() {
    let modules = modules();
    assert!(names_a_test(&modules, "trust::tests"));
    assert!(names_a_test(&modules, "suite::promises::a_test_that_does_not_exist_is_noticed"));
    for name in ["trust::tests::gone", "gone::tests", "trust::gone", "suite::promises::modules"] {
        assert!(!names_a_test(&modules, name), "{name}");
    }
}

/// The rows of the first table in a text, as cells.
fn rows_of(text: &str) -> Vec<Vec<&str>> {
    let table =
        text.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    table.skip(2).map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Whether it is the path of a test or of a module of tests.
fn names_a_test(modules: &BTreeMap<String, String>, name: &str) -> bool {
    let parts: Vec<&str> = name.split("::").collect();
    (1..=parts.len()).rev().any(|length| {
        let Some(source) = modules.get(&parts[..length].join("::")) else { return false };
        match &parts[length..] {
            [] => source.contains("#[test]") || source.contains("#[tokio::test"),
            ["tests"] => source.contains("mod tests {"),
            [test] | ["tests", test] => is_test(source, test),
            _ => false,
        }
    })
}

/// Whether a function of that name follows an attribute that makes it a test.
fn is_test(source: &str, name: &str) -> bool {
    let mut lines = source.lines().map(str::trim);
    let mut marked = false;
    lines.any(|line| {
        let is_function = line.contains("fn ");
        let found = marked && is_function && line.contains(&format!("fn {name}("));
        marked = line.starts_with("#[test]") || line.starts_with("#[tokio::test") || (marked && !is_function);
        found
    })
}

/// Sources by module path.
fn modules() -> BTreeMap<String, String> {
    let mut modules = BTreeMap::new();
    for (folder, prefix) in SOURCES {
        let folder = root().join(folder);
        for file in files_below(&folder) {
            let path = file.strip_prefix(&folder).expect("it is below").with_extension("");
            let module = path.iter().map(|part| part.to_str().expect("plain names")).collect::<Vec<_>>();
            modules.insert(format!("{prefix}{}", module.join("::")), fs::read_to_string(&file).unwrap());
        }
    }
    modules
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
