//! The function app as it is deployed.
//!
//! With `KEYHOLDER_PACKAGE`, the zip that `cargo run -p keyholder-package` has made is judged, and its handler runs.
//! Without it the package is made here of the handler under test, which is a debug build for this machine, and what
//! can only be said of the real one is skipped, loudly.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::bufread::DeflateDecoder;
use keyholder::{Settings, config};
use keyholder_emulator_local::local_azure::{LocalAzure, Options, Ports};
use keyholder_package::cold_start::{self, ColdStart};
use keyholder_package::notices::{self, NOTICES};
use keyholder_package::sbom::{self, SBOM};
use keyholder_package::{App, Linked, Requirements, compiler};
use rawzip::ZipArchive;
use serde_json::{Value, json};

use crate::harness::cloud;
use crate::harness::programs::{HANDLER, result};
use crate::harness::up::Up;

const PACKAGE: &str = "KEYHOLDER_PACKAGE";

/// A file in a zip, as a reader sees it that shares no code with what wrote it.
#[derive(Debug)]
struct Packed {
    mode: u32,
    made_by_unix: bool,
    bytes: Vec<u8>,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The zip that was made by the documented command, if there is one.
fn made() -> Option<Vec<u8>> {
    // Tests run in their own package's folder; the path is one from the root of the repository.
    let path = repository().join(std::env::var_os(PACKAGE)?);
    Some(fs::read(&path).unwrap_or_else(|error| panic!("{PACKAGE} is {}: {error}", path.display())))
}

/// The same with a handler that is quickly packed.
fn made_here() -> Vec<u8> {
    with_documents(App::assemble(&repository(), b"#!/bin/sh\n".to_vec()).unwrap()).zip().unwrap()
}

fn with_documents(app: App) -> App {
    let linked = Linked::of(&repository()).unwrap();
    app.with(SBOM, sbom::document(&linked)).with(NOTICES, notices::document(&linked).unwrap())
}

fn unpacked(zip: &[u8]) -> BTreeMap<String, Packed> {
    let archive = ZipArchive::from_slice(zip).unwrap();
    let mut files = BTreeMap::new();
    let mut entries = archive.entries();
    while let Some(entry) = entries.next_entry().unwrap() {
        let packed = archive.get_entry(entry.wayfinder()).unwrap();
        let mut bytes = Vec::new();
        packed.verifying_reader(DeflateDecoder::new(packed.data())).read_to_end(&mut bytes).unwrap();
        let path = String::from_utf8(entry.file_path().as_ref().to_vec()).unwrap();
        let mode = entry.external_attributes() >> 16;
        let made_by_unix = entry.version_made_by().as_u16() >> 8 == 3;
        let twice = files.insert(path, Packed { mode, made_by_unix, bytes });
        assert!(twice.is_none(), "{twice:?} is there twice");
    }
    files
}

#[test]
fn the_zip_is_laid_out_as_the_functions_host_wants_it() {
    let files = unpacked(&made().unwrap_or_else(made_here));
    let mut expected: BTreeMap<String, u32> = keyholder_functions::FUNCTIONS
        .iter()
        .map(|(function, _)| (format!("{function}/function.json"), 0o100_666))
        .collect();
    expected.insert("handler".to_owned(), 0o100_777);
    expected.insert("host.json".to_owned(), 0o100_666);
    expected.insert(SBOM.to_owned(), 0o100_666);
    expected.insert(NOTICES.to_owned(), 0o100_666);
    let modes: BTreeMap<String, u32> = files.iter().map(|(path, file)| (path.clone(), file.mode)).collect();
    assert_eq!(modes, expected);
    assert!(files.values().all(|file| file.made_by_unix), "the host goes by the modes only then");

    assert_eq!(files["host.json"].bytes, keyholder_functions::HOST_JSON.as_bytes());
    for (function, document) in keyholder_functions::FUNCTIONS {
        assert_eq!(files[&format!("{function}/function.json")].bytes, document.as_bytes(), "{function}");
    }
    let host: Value = serde_json::from_slice(&files["host.json"].bytes).unwrap();
    let executable = &host["customHandler"]["description"]["defaultExecutablePath"];
    assert!(files.contains_key(executable.as_str().unwrap()), "host.json starts {executable}");
}

#[test]
fn the_same_app_is_the_same_bytes() {
    let zip = made_here();
    assert_eq!(zip, made_here());
    // The folder's order and times have no say.
    let copy = tempfile::tempdir().unwrap();
    let functions = keyholder_functions::FUNCTIONS.iter().rev();
    let documents = functions.map(|(name, text)| (format!("functions/{name}/function.json"), *text));
    let rest = [("functions/local.settings.json", "{}"), ("functions/Cargo.toml", "")];
    let rest = rest.map(|(path, text)| (path.to_owned(), text)).into_iter();
    let host = [("host.json".to_owned(), keyholder_functions::HOST_JSON)].into_iter();
    for (path, text) in documents.chain(rest).chain(host) {
        let path = copy.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let packed = |handler: &[u8]| App::assemble(copy.path(), handler.to_vec()).unwrap();
    assert_eq!(zip, with_documents(packed(b"#!/bin/sh\n")).zip().unwrap());
    assert_ne!(zip, with_documents(packed(b"#!/bin/sh")).zip().unwrap());
}

/// Says, past the test runner, which keeps what a test that succeeds has printed to itself, what was not looked at.
fn skipped(what: &str) {
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: {what}; for that: {} && {PACKAGE}={} cargo test --package keyholder-tests --test suite package",
        keyholder_package::COMMAND,
        keyholder_package::ZIP
    );
}

#[test]
fn the_handler_starts_on_the_oldest_functions_image() {
    let Some(zip) = made() else { return skipped("whether the packaged handler suits the Functions images") };
    let requirements = Requirements::read(&unpacked(&zip)["handler"].bytes).unwrap();
    assert!(requirements.suits_every_image(), "{requirements:?}");
    assert!(requirements.missing_libraries().is_empty(), "{requirements:?}");
    assert!(requirements.is_stripped, "{requirements:?}");
}

/// Every crate that Cargo links is in the bill of materials, with what it needs, and OpenSSL with the version that is
/// inside and the name its vulnerabilities are filed under.
#[test]
fn the_bill_of_materials_lists_every_crate_and_openssl() {
    let zip = made().unwrap_or_else(made_here);
    let files = unpacked(&zip);
    let bill: Value = serde_json::from_slice(&files[SBOM].bytes).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&json!("CycloneDX"), &json!("1.5")));
    assert_eq!(bill["metadata"]["component"]["name"], "keyholder-functions");
    let components = bill["components"].as_array().unwrap();
    let named =
        |component: &Value| format!("{} v{}", component["name"], component["version"]).replace('"', "");
    let listed: BTreeSet<String> = components.iter().map(named).collect();
    assert_eq!(listed.len(), components.len(), "one is there twice");

    // Asked in another way than the packager does: everything that is compiled for the target, less what runs on the
    // machine that compiles.
    let mut cargo = Command::new(env!("CARGO"));
    let tree = ["tree", "--locked", "--package", "keyholder-functions", "--edges", "normal,no-proc-macro"];
    let format = ["--target", "x86_64-unknown-linux-gnu", "--prefix", "depth", "--format", " {p}"];
    let (code, tree, stderr) =
        result(&cargo.current_dir(repository()).args(tree).args(format).output().unwrap());
    assert_eq!(code, Some(0), "{stderr}");
    let words =
        tree.lines().map(|line| line.split_whitespace().skip(1).take(2).collect::<Vec<_>>().join(" "));
    let crates: BTreeSet<String> = words.filter(|name| !name.starts_with("keyholder-functions ")).collect();
    assert!(crates.len() > 100, "{crates:?}");
    let missing: Vec<_> = crates.difference(&listed).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let more: Vec<_> = listed.difference(&crates).map(|name| name.split(' ').next().unwrap()).collect();
    assert_eq!(more, ["openssl", "rust-std"]);

    let openssl =
        components.iter().find(|component| component["name"] == "openssl" && component["cpe"].is_string());
    let version = openssl.unwrap()["version"].as_str().unwrap();
    let sources = fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    assert!(sources.contains(&format!("+{version}\"")), "OpenSSL {version} is not that of Cargo.lock");
    let references: BTreeSet<&str> =
        components.iter().map(|component| component["bom-ref"].as_str().unwrap()).collect();
    for dependency in bill["dependencies"].as_array().unwrap() {
        for on in dependency["dependsOn"].as_array().unwrap() {
            assert!(references.contains(on.as_str().unwrap()), "{on} is needed and not listed");
        }
    }
    if let Some(zip) = made() {
        let linked = Linked::of(&repository()).unwrap();
        assert!(linked.has_its_openssl(&unpacked(&zip)["handler"].bytes), "OpenSSL {version} is not inside");
    }
}

/// The zip can be handed on: the licences are in it.
#[test]
fn the_notices_have_the_licence_of_everything_that_is_listed() {
    let files = unpacked(&made().unwrap_or_else(made_here));
    let notices = String::from_utf8(files[NOTICES].bytes.clone()).unwrap();
    let bill: Value = serde_json::from_slice(&files[SBOM].bytes).unwrap();
    let (list, texts) = notices.split_once(&"=".repeat(80)).unwrap();
    let mut own = 0;
    for component in bill["components"].as_array().unwrap() {
        let [name, version, license] =
            [&component["name"], &component["version"], &component["licenses"][0]["expression"]]
                .map(|value| value.as_str().unwrap());
        if name == "keyholder" {
            own += 1;
            continue;
        }
        assert!(list.contains(&format!("\n{name} {version}: {license}\n")), "{name} {version} is not listed");
        let text = texts.split(&"=".repeat(80)).find(|text| {
            let names = text.trim_start().split("\n\n").next().unwrap_or_default();
            names.lines().any(|line| line == format!("{name} {version}"))
        });
        assert!(text.is_some_and(|text| text.len() > 500), "{name} {version} has no licence text");
    }
    assert_eq!(own, 1, "our own licence is beside the sources");
    assert!(list.contains("\nopenssl 3."), "{list}");
    for words in
        ["Apache License", "Version 2.0, January 2004", "Permission is hereby granted", "UNICODE LICENSE"]
    {
        assert!(texts.contains(words), "{words}");
    }
}

/// The bytes do not depend on the folder that the handler was built in: none is in them.
#[test]
fn the_handler_names_no_folder_of_the_machine_it_was_built_on() {
    let Some(zip) = made() else {
        return skipped("whether the packaged handler names folders of this machine");
    };
    let handler = &unpacked(&zip)["handler"].bytes;
    let mut folders: Vec<String> = compiler::folders(&repository().canonicalize().unwrap())
        .iter()
        .map(|(path, _)| path.display().to_string())
        .collect();
    folders.extend(["/home/", "/root/", "/Users/", ".cargo/registry", "openssl-build"].map(str::to_owned));
    for folder in folders {
        let found = handler.windows(folder.len()).position(|window| window == folder.as_bytes());
        let around =
            found.map(|at| String::from_utf8_lossy(&handler[at.saturating_sub(80)..at + 120]).into_owned());
        assert_eq!(around, None, "{folder}");
    }
}

/// What `up` says to try, typed in as it stands, with the packaged app in the emulator.
#[test]
fn the_packaged_app_verifies_what_is_uploaded() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app");
    match made() {
        Some(zip) => unpack(&zip, &app),
        None => App::assemble(&repository(), fs::read(HANDLER).unwrap()).unwrap().write(&app).unwrap(),
    }
    let mut up = Up::start(folder.path(), &["--app", app.to_str().unwrap()]);
    let commands: Vec<&str> = up.printed.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let commands = commands.join("\n");
    let (exports, last) = commands.rsplit_once('\n').expect("there are several");
    let shell = |script: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script]).current_dir(folder.path()).env("NO_PROXY", "*");
        let (code, stdout, stderr) = result(&bash.output().unwrap());
        assert_eq!(code, Some(0), "{script}\n{stdout}{stderr}");
        stdout
    };
    shell(exports);
    up.until("a certificate is verified", |printed| printed.contains(r#""outcome":"verified""#));
    // The exports once more, and not what was done with them.
    let environment = exports.lines().filter(|line| line.starts_with("export") || line.starts_with("token"));
    let looked = shell(&format!("{}\n{last}", environment.collect::<Vec<_>>().join("\n")));
    let looked: Value = serde_json::from_str(&looked).unwrap_or_else(|error| panic!("{error}: {looked}"));
    assert_eq!(looked["properties"]["isVerified"], true, "{looked}");
}

/// As the deployment service does, modes included.
fn unpack(zip: &[u8], folder: &Path) {
    for (path, file) in unpacked(zip) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, file.bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode & 0o777)).unwrap();
    }
}

#[test]
fn a_cold_start_ends_with_an_answer_or_says_why_not() {
    let settings = [
        ("KEYHOLDER_REGISTRIES", "/subscriptions/00000000-0000-0000-0000-000000000000"),
        ("KEYHOLDER_VAULTS", "https://my-vault.vault.localhost:1"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let handler = Path::new(HANDLER);
    let ColdStart { fastest, median, slowest, starts } = cold_start::measure(handler, &settings, 3).unwrap();
    assert_eq!(starts, 3);
    assert!(!fastest.is_zero() && fastest <= median && median <= slowest);

    let refused = cold_start::measure(handler, &[], 1).unwrap_err().to_string();
    assert!(refused.starts_with("it ended before it had answered"), "{refused}");
    assert!(refused.contains("The app setting KEYHOLDER_REGISTRIES cannot be used"), "{refused}");
}

#[test]
fn the_documents_say_the_command_that_makes_it() {
    for path in ["README.md", "infra/README.md", "azure.yaml"] {
        let text = fs::read_to_string(repository().join(path)).unwrap();
        assert!(text.contains(keyholder_package::COMMAND), "{path}");
    }
}

#[test]
fn packing_again_keeps_local_settings_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::assemble(&repository(), b"#!/bin/sh\n".to_vec()).unwrap();
    let settings = folder.path().join("local.settings.json");
    app.write(folder.path()).unwrap();
    assert_eq!(
        fs::read(&settings).unwrap(),
        fs::read(repository().join("functions/local.settings.json")).unwrap()
    );
    fs::write(&settings, "{}").unwrap();
    fs::create_dir(folder.path().join("OldFunction")).unwrap();
    app.write(folder.path()).unwrap();
    assert_eq!(fs::read(&settings).unwrap(), b"{}");
    assert!(!folder.path().join("OldFunction").exists());
}

/// The settings for Core Tools are those that the emulator gives its own app on its standard ports. Where the
/// emulator's CA is cannot be known beforehand; that is exported.
#[tokio::test]
async fn the_local_settings_point_at_the_emulator() {
    let text = fs::read_to_string(repository().join("functions/local.settings.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut values: BTreeMap<String, String> = serde_json::from_value(document["Values"].clone()).unwrap();
    // Core Tools' own: which worker it is, and storage for the timer, from Azurite.
    assert_eq!(values.remove("FUNCTIONS_WORKER_RUNTIME").unwrap(), "custom");
    assert_eq!(values.remove("AzureWebJobsStorage").unwrap(), "UseDevelopmentStorage=true");
    let read = Settings::read(|name| values.get(name).cloned());
    assert!(read.is_ok(), "{}", read.unwrap_err());

    let azure = LocalAzure::start(Options { app_settings: Vec::new(), ..cloud::options() }).await.unwrap();
    let (services, identity) = (azure.arm().port().unwrap(), azure.identity().port().unwrap());
    let standard = Ports::STANDARD;
    let on_standard_ports = |value: &str| {
        value
            .replace(&format!(":{services}"), &format!(":{}", standard.services))
            .replace(&format!(":{identity}"), &format!(":{}", standard.identity))
    };
    let names =
        [config::NAMES, config::NAMES_FOR_THE_HOST, &["IDENTITY_ENDPOINT", "IDENTITY_HEADER"]].concat();
    let given = azure.app_settings().iter();
    let given = given.filter(|(name, value)| names.contains(&name.as_str()) && !value.is_empty());
    let given: BTreeMap<_, _> = given.map(|(name, value)| (name.clone(), on_standard_ports(value))).collect();
    azure.stop().await;
    assert_eq!(values, given);
}
