//! What is linked into the handler: its crates as Cargo resolves them for the Functions images, the OpenSSL that is
//! built in, and Rust's standard library.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::compiler::{GNU, PACKAGE, cargo, rustc};

/// The crate that has the sources of OpenSSL in it, and their version behind the `+` of its own.
const OPENSSL_SOURCES: &str = "openssl-src";

/// All of it, each part once, in the order of names and versions.
#[derive(Debug)]
pub struct Linked {
    /// The handler's own package comes first, then the others.
    pub parts: Vec<Part>,
}

/// A crate, or what else is linked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// As its registry has it.
    pub name: String,
    /// As Cargo.lock has it.
    pub version: String,
    /// Where it comes from.
    pub origin: Origin,
    /// An SPDX expression.
    pub license: String,
    /// Who wrote it, where the package says so.
    pub authors: Vec<String>,
    /// Its source repository, where the package names one.
    pub repository: Option<String>,
    /// Where its licence files are; none for what Rust brings.
    pub folder: Option<PathBuf>,
    /// The parts it stands on, by name and version.
    pub needs: Vec<(String, String)>,
}

/// Where a part comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// This repository.
    Own,
    /// The registry that Cargo.lock names.
    Registry,
    /// C sources that a crate brings.
    OpenSsl,
    /// The compiler's own library.
    Rust,
}

/// Why it cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum LinkedError {
    /// A program could not be started.
    #[error("`{0}` could not be started")]
    NotStarted(String, #[source] io::Error),
    /// It failed, and says why.
    #[error("`{0}` failed: {1}")]
    Failed(String, String),
    /// It printed something else than was expected.
    #[error("`{0}` printed something that cannot be read: {1}")]
    Unreadable(String, String),
    /// A package of the tree is not in the metadata.
    #[error("`cargo metadata` does not know {0}, which `cargo tree` lists")]
    Unknown(String),
    /// No OpenSSL is built in.
    #[error("{OPENSSL_SOURCES} is not in Cargo.lock, so OpenSSL would not be inside the handler")]
    NoOpenSsl,
}

impl Linked {
    /// Asks Cargo.
    pub fn of(repository: &Path) -> Result<Linked, LinkedError> {
        // `cargo metadata` unifies the features of the whole workspace; `cargo tree` takes those of one package.
        let tree = printed(Command::new(cargo()).current_dir(repository).args([
            "tree",
            "--locked",
            "--package",
            PACKAGE,
            "--edges",
            "normal,no-proc-macro",
            "--target",
            GNU,
            "--prefix",
            "none",
            "--format",
            "{p}",
        ]))?;
        let names: BTreeSet<(String, String)> = tree.lines().filter_map(name_and_version).collect();
        let metadata = json(Command::new(cargo()).current_dir(repository).args([
            "metadata",
            "--locked",
            "--format-version",
            "1",
            "--filter-platform",
            GNU,
        ]))?;
        let compiler = printed(Command::new(rustc()).arg("--version"))?;
        Linked::from(&names, &metadata, &compiler)
    }

    fn from(
        names: &BTreeSet<(String, String)>,
        metadata: &Value,
        rustc: &str,
    ) -> Result<Linked, LinkedError> {
        let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let nodes = metadata["resolve"]["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let named = |package: &Value| (text(&package["name"]), text(&package["version"]));
        let mut parts = Vec::new();
        for name in names {
            let package = packages.iter().find(|package| named(package) == *name);
            let package = package.ok_or_else(|| LinkedError::Unknown(format!("{} {}", name.0, name.1)))?;
            let node = nodes.iter().find(|node| node["id"] == package["id"]);
            let ids = node.and_then(|node| node["dependencies"].as_array()).map(Vec::as_slice);
            let needs = ids.unwrap_or_default().iter().filter_map(|id| {
                let needed = packages.iter().find(|package| package["id"] == *id)?;
                Some(named(needed)).filter(|needed| names.contains(needed))
            });
            let origin = if package["source"].is_null() { Origin::Own } else { Origin::Registry };
            parts.push(Part { needs: needs.collect(), ..part(package, origin) });
        }

        let sources = packages.iter().find(|package| package["name"] == OPENSSL_SOURCES);
        let mut openssl = part(sources.ok_or(LinkedError::NoOpenSsl)?, Origin::OpenSsl);
        let (_, version) = openssl.version.split_once('+').ok_or(LinkedError::NoOpenSsl)?;
        openssl.version = version.to_owned();
        "openssl".clone_into(&mut openssl.name);
        // The crate is MIT or Apache-2.0; the sources in it are not to be chosen between.
        "Apache-2.0".clone_into(&mut openssl.license);
        openssl.authors = vec!["The OpenSSL Project Authors".to_owned()];
        openssl.repository = Some("https://github.com/openssl/openssl".to_owned());
        openssl.folder = openssl.folder.map(|folder| folder.join("openssl"));
        let on_openssl = (openssl.name.clone(), openssl.version.clone());
        for part in parts.iter_mut().filter(|part| part.name == "openssl-sys") {
            part.needs.push(on_openssl.clone());
        }

        let version = rustc.split_whitespace().nth(1).unwrap_or("unknown").to_owned();
        let standard = Part {
            name: "rust-std".to_owned(),
            version,
            origin: Origin::Rust,
            license: "MIT OR Apache-2.0".to_owned(),
            authors: vec!["The Rust Project Contributors".to_owned()],
            repository: Some("https://github.com/rust-lang/rust".to_owned()),
            folder: None,
            needs: Vec::new(),
        };
        parts.extend([openssl, standard]);
        parts.sort();
        parts.sort_by_key(|part| part.name != PACKAGE);
        Ok(Linked { parts })
    }

    /// How many crates there are, our own included.
    pub fn crates(&self) -> usize {
        let crates = self.parts.iter().filter(|part| matches!(part.origin, Origin::Own | Origin::Registry));
        crates.count()
    }

    /// The version of the OpenSSL that is built in.
    pub fn openssl(&self) -> Option<&str> {
        let openssl = self.parts.iter().find(|part| part.origin == Origin::OpenSsl);
        openssl.map(|part| part.version.as_str())
    }

    /// Whether a program has that OpenSSL inside: OpenSSL keeps its version as a text, or as the end of one.
    pub fn has_its_openssl(&self, program: &[u8]) -> bool {
        let Some(version) = self.openssl() else { return false };
        let text = format!("{version}\0");
        let mut windows = program.windows(text.len() + 1);
        windows.any(|window| {
            let (before, rest) = (window[0], &window[1..]);
            rest == text.as_bytes() && !before.is_ascii_digit() && before != b'.'
        })
    }
}

fn part(package: &Value, origin: Origin) -> Part {
    let manifest = package["manifest_path"].as_str().map(Path::new);
    let authors = package["authors"].as_array().map(Vec::as_slice).unwrap_or_default();
    Part {
        name: text(&package["name"]),
        version: text(&package["version"]),
        origin,
        // Old packages separate alternatives with a slash.
        license: text(&package["license"]).replace(" / ", "/").replace('/', " OR "),
        authors: authors.iter().map(text).collect(),
        repository: package["repository"].as_str().map(str::to_owned),
        folder: manifest.and_then(Path::parent).map(Path::to_owned),
        needs: Vec::new(),
    }
}

/// `serde v1.0.228 (*)` is serde 1.0.228.
fn name_and_version(line: &str) -> Option<(String, String)> {
    let mut words = line.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn json(command: &mut Command) -> Result<Value, LinkedError> {
    let text = printed(command)?;
    serde_json::from_str(&text).map_err(|error| LinkedError::Unreadable(shown(command), error.to_string()))
}

fn printed(command: &mut Command) -> Result<String, LinkedError> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| LinkedError::NotStarted(shown(command), error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(LinkedError::Failed(shown(command), said));
    }
    String::from_utf8(output.stdout)
        .map_err(|error| LinkedError::Unreadable(shown(command), error.to_string()))
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(openssl_src: &str) -> Value {
        let package = |name: &str, version: &str, license: &str, source: Option<&str>| {
            json!({
                "id": name, "name": name, "version": version, "license": license, "source": source,
                "authors": [], "manifest_path": format!("/crates/{name}/Cargo.toml"),
            })
        };
        json!({
            "packages": [
                package(PACKAGE, "0.1.0", "MIT", None),
                package("openssl-sys", "0.9.1", "MIT", Some("registry")),
                package("a-crate", "1.2.3", "MIT/Apache-2.0", Some("registry")),
                package(OPENSSL_SOURCES, openssl_src, "MIT/Apache-2.0", Some("registry")),
            ],
            "resolve": {"nodes": [
                {"id": PACKAGE, "dependencies": ["a-crate", "openssl-sys"]},
                {"id": "openssl-sys", "dependencies": [OPENSSL_SOURCES]},
            ]},
        })
    }

    fn names() -> BTreeSet<(String, String)> {
        let tree =
            format!("{PACKAGE} v0.1.0 (/here)\nopenssl-sys v0.9.1\na-crate v1.2.3\na-crate v1.2.3 (*)\n");
        tree.lines().filter_map(name_and_version).collect()
    }

    #[test]
    fn the_openssl_inside_is_a_part_with_its_own_version_and_licence() {
        let linked = Linked::from(&names(), &metadata("300.6.1+3.6.3"), "rustc 1.95.0 (x)").unwrap();
        let listed: Vec<_> =
            linked.parts.iter().map(|part| (part.name.as_str(), part.license.as_str())).collect();
        let expected = [
            (PACKAGE, "MIT"),
            ("a-crate", "MIT OR Apache-2.0"),
            ("openssl", "Apache-2.0"),
            ("openssl-sys", "MIT"),
            ("rust-std", "MIT OR Apache-2.0"),
        ];
        assert_eq!(listed, expected);
        assert_eq!(linked.openssl(), Some("3.6.3"));
        let needs = |name: &str| linked.parts.iter().find(|part| part.name == name).unwrap().needs.clone();
        assert_eq!(needs("openssl-sys"), [("openssl".to_owned(), "3.6.3".to_owned())]);
        assert_eq!(needs(PACKAGE).len(), 2);
        assert!(linked.has_its_openssl(b"text\x003.6.3\0more"));
        assert!(linked.has_its_openssl(b"OpenSSL/3.6.3\0more"));
        for other in [&b"text\x003.6.2\0more 3.6.3"[..], b"\x0013.6.3\0", b"\x001.3.6.3\0", b"\x003.6.30\0"] {
            assert!(!linked.has_its_openssl(other), "{other:?}");
        }
    }

    #[test]
    fn a_lock_without_openssl_or_without_a_crate_is_refused() {
        let without = Linked::from(&names(), &metadata("300.6.1"), "rustc 1.95.0");
        assert!(matches!(without, Err(LinkedError::NoOpenSsl)), "{without:?}");
        let mut more = names();
        more.insert(("ghost".to_owned(), "1.0.0".to_owned()));
        let unknown = Linked::from(&more, &metadata("300.6.1+3.6.3"), "rustc 1.95.0");
        assert!(unknown.unwrap_err().to_string().contains("ghost 1.0.0"));
    }
}
