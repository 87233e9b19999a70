//! What is built from: the rules for dependencies give reasons, and tools come by hash.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        [("infra/package/requirements.txt", "infra/README.md"), (".ci/tools.txt", ".ci/dependencies")]
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
