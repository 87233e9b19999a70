//! Official clients, unmodified and with their verification of TLS and of Key Vault's challenge on, against the
//! emulator on its sockets: the Azure CLI and the Python SDKs as their users run them.
//!
//! They come from a package registry (`tests/clients/install`). A machine without them skips, loudly; with
//! `KEYHOLDER_CLIENTS=required` in the environment a skip is a failure. Every test with the real handler drives the
//! Rust SDK the same way.

mod installed;

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use keyholder_emulator::World;
use keyholder_emulator::local_azure::Options;
use keyholder_emulator::world::VAULT;

use crate::harness::cloud::{self, Cloud};
use crate::harness::programs::{program, result};
use installed::{Clients, Missing};

/// A client's walk through an emulator of its own: what it said, or how it failed; or why it did not go.
type Walk = Result<Result<String, String>, Missing>;

/// Made once, for whoever asks first: az takes its time.
static TUTORIAL: LazyLock<Walk> = LazyLock::new(|| az("docs/tutorial.sh"));
static HANDS_FREE: LazyLock<Walk> = LazyLock::new(|| {
    installed::vaults_are_found()?;
    az("docs/hands-free.sh")
});
static PYTHON_DPS: LazyLock<Walk> = LazyLock::new(|| python("dps.py"));
static PYTHON_KEY_VAULT: LazyLock<Walk> = LazyLock::new(|| {
    installed::vaults_are_found()?;
    python("key_vault.py")
});

#[test]
fn the_azure_cli_walks_through_the_tutorial_as_written() {
    let Some(said) = success(&TUTORIAL) else { return };
    let verified =
        |name: &str| said.lines().any(|line| line.starts_with(name) && line.trim_end().ends_with("True"));
    assert!(verified("root-ca ") && verified("intermediate-ca "), "{said}");
    assert_eq!(said.matches("ERROR: (412001) Invalid ETag supplied.").count(), 2, "{said}");
}

#[test]
fn the_azure_cli_sees_keyholder_verify_what_it_uploaded() {
    let Some(said) = success(&HANDS_FREE) else { return };
    assert!(said.ends_with("isVerified: true\n"), "{said}");
}

#[test]
fn the_python_sdk_of_dps_meets_what_it_expects() {
    success(&PYTHON_DPS);
}

#[test]
fn the_python_sdks_of_key_vault_meet_what_they_expect() {
    success(&PYTHON_KEY_VAULT);
}

/// What a walk that went well said; nothing, if it was not made.
fn success(walk: &Walk) -> Option<&str> {
    match walk {
        Ok(Ok(said)) => Some(said),
        Ok(Err(failure)) => panic!("{failure}"),
        Err(missing) => {
            missing.say();
            None
        }
    }
}

/// Has bash run a script of the docs, with az on its path.
fn az(script: &str) -> Walk {
    let programs = Clients::Az.programs()?;
    let mut command = program("bash");
    command.arg(installed::root().join(script));
    Ok(walk(command, &programs))
}

/// Has Python run a program that uses the SDKs.
fn python(program_name: &str) -> Walk {
    let programs = Clients::Sdks.programs()?;
    let mut command = program(programs.join("python").to_str().expect("paths of the repository are text"));
    // Nothing is left behind between the sources.
    command.arg("-B").arg(installed::root().join("tests/clients").join(program_name));
    Ok(walk(command, &programs))
}

/// Runs a client against an emulator that was started for it, as a user has it: showing pending codes, with the app.
fn walk(mut client: Command, programs: &Path) -> Result<String, String> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let options = Options { world: World::tutorial(7), ..cloud::options() };
    let cloud = runtime.block_on(Cloud::start_from(options));

    let home = tempfile::tempdir().expect("a folder");
    let azure = cloud.azure();
    let path = std::env::var("PATH").unwrap_or_default();
    client
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("HOME", home.path())
        .env("TMPDIR", home.path())
        .env("KEYHOLDER_ARM_ENDPOINT", azure.arm().as_str().trim_end_matches('/'))
        .env("KEYHOLDER_VAULTS", azure.vault(VAULT).as_str().trim_end_matches('/'))
        .env("REQUESTS_CA_BUNDLE", azure.ca_file())
        .env("IDENTITY_ENDPOINT", azure.identity().as_str())
        .env("IDENTITY_HEADER", "any");
    // The runtime's own threads serve while this one waits.
    let (code, said, errors) = result(&client.output().map_err(|error| format!("{client:?}: {error}"))?);
    let story = || format!("{client:?}\n{said}\n{errors}\n{}", cloud.story());
    if code == Some(0) { Ok(said) } else { Err(story()) }
}
