//! What is built from: the rules for dependencies give reasons, and tools come by hash.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::programs::{HANDLER, result};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines that name a crate without saying why.
fn without_reason(rules: &str) -> Vec<&str> {
    let named =
        rules.lines().filter(|line| line.contains("crate = \"") && !line.trim_start().starts_with('#'));
    let reason = |line: &str| line.split_once("reason = \"").map_or(0, |(_, reason)| reason.trim_end().len());
    // Quotes, brace and comma are behind it.
    named.filter(|line| reason(line) < 10).collect()
}

#[test]
fn every_exception_and_every_ban_has_a_reason() {
    let rules = read("deny.toml");
    assert!(rules.lines().filter(|line| line.contains("crate = \"")).count() > 5, "{rules}");
    assert_eq!(without_reason(&rules), [""; 0]);
    for switch in [
        "multiple-versions = \"deny\"",
        "unknown-registry = \"deny\"",
        "unknown-git = \"deny\"",
        "yanked = \"deny\"",
    ] {
        assert!(rules.contains(switch), "{switch}");
    }
    let bare = "    { crate = \"syn@2\", reason = \"\" },";
    assert_eq!(without_reason(bare), [bare], "a check that cannot fail would hold nothing");
}

/// The requirements that are not fixed to a version and to hashes.
fn loose(requirements: &str) -> Vec<&str> {
    let lines = requirements.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
    let names = lines.iter().enumerate().filter(|(_, line)| !line.starts_with(' ') && !line.is_empty());
    let fixed = |(at, line): &(usize, &&str)| {
        let hashes = lines[at + 1..].iter().take_while(|line| line.starts_with("    --hash=sha256:")).count();
        line.contains("==") && hashes > 0
    };
    names.filter(|name| !fixed(name)).map(|(_, line)| *line).collect()
}

#[test]
fn build_tools_are_installed_by_hash() {
    for (file, by) in
        [("infra/package/requirements.txt", "infra/package/build"), (".ci/tools.txt", ".ci/tools")]
    {
        let requirements = read(file);
        assert!(requirements.contains("=="), "{file}");
        assert_eq!(loose(&requirements), [""; 0], "{file}");
        let installs = read(by);
        let install = installs.lines().find(|line| line.contains(&format!("--requirement {file}")));
        assert!(
            install.is_some_and(|line| line.contains("--require-hashes")),
            "{by} installs {file} without"
        );
    }
    assert_eq!(
        loose("ziglang==0.17.1\ncargo-zigbuild==0.24.1 \\\n    --hash=sha256:00\n"),
        ["ziglang==0.17.1"]
    );
}

#[test]
fn the_handler_says_which_openssl_it_runs_with() {
    let output = Command::new(HANDLER).arg("--version").output().unwrap();
    let (code, stdout, stderr) = result(&output);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let (_, openssl) = stdout.trim().split_once(", OpenSSL ").unwrap_or_else(|| panic!("{stdout}"));
    assert_eq!(Some(openssl), openssl::version::version().split(' ').nth(1));
}

/// A version of Rust, as manifests write it.
fn rust(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().expect("a number")).collect()
}

#[test]
fn no_dependency_asks_for_a_newer_rust_than_the_readme_promises() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked"])
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("the metadata is JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    let asked: Vec<(&str, &str)> = packages
        .iter()
        .filter_map(|package| Some((package["name"].as_str()?, package["rust_version"].as_str()?)))
        .collect();
    let (_, promised) = asked.iter().find(|(name, _)| *name == "keyholder").expect("our own crate");
    assert!(read("README.md").contains(&format!("You need Rust {promised} or newer")), "{promised}");
    assert!(asked.len() > 200, "so many say which Rust they need: {}", asked.len());
    let newer = asked.iter().filter(|(_, version)| rust(version) > [rust(promised), vec![0]].concat());
    assert_eq!(newer.collect::<Vec<_>>(), [] as [&(&str, &str); 0]);
}
