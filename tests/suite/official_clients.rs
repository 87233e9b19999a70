//! Official clients, unmodified and with their verification of TLS and of Key Vault's challenge on, against the
//! emulator on its sockets: the Azure CLI and the Python SDKs as their users run them, the Rust SDK as the app uses
//! it. What they drive goes into `docs/coverage.md`, see [`coverage`].
//!
//! All but the last come from a package registry (`tests/clients/install`). A machine without them skips, loudly;
//! with `KEYHOLDER_CLIENTS=required` in the environment a skip is a failure.

mod coverage;

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use keyholder_emulator::World;
use keyholder_emulator::journal::Entry;
use keyholder_emulator::operation::Operation;
use keyholder_emulator::world::VAULT;
use keyholder_emulator_local::local_azure::Options;

use crate::harness::GRANT;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::{self, Cloud};
use crate::harness::installed::{self, Clients, Missing};
use crate::harness::programs::{program, result};
use crate::runbook;

/// A client's walk through an emulator of its own; or why it was not made.
type Walk = Result<Walked, Missing>;

/// What came of a walk.
struct Walked {
    /// What the client said when it ended well, or else everything that happened.
    said: Result<String, String>,
    /// What the client got an answer to that it wanted.
    drove: HashSet<Operation>,
    /// What the emulator did on its own account.
    did: HashSet<Operation>,
}

// Each walk is made once, for whoever asks first: az takes its time.
static TUTORIAL: LazyLock<Walk> = LazyLock::new(|| az(&["docs/tutorial.sh"]));
static HANDS_FREE: LazyLock<Walk> = LazyLock::new(|| {
    installed::vaults_are_found()?;
    az(&["docs/hands-free.sh"])
});
static FIRST_UPLOAD: LazyLock<Walk> = LazyLock::new(|| {
    installed::vaults_are_found()?;
    az(&["-c", &runbook::first_upload()])
});
static PYTHON_DPS: LazyLock<Walk> = LazyLock::new(|| python(Clients::Sdks, "dps.py"));
static PYTHON_KEY_VAULT: LazyLock<Walk> = LazyLock::new(|| {
    installed::vaults_are_found()?;
    python(Clients::Sdks, "key_vault.py")
});
static CONTROL_API: LazyLock<Walk> = LazyLock::new(|| python(Clients::Judges, "control.py"));
static PYTHON_IDENTITY: LazyLock<Walk> = LazyLock::new(|| {
    installed::vaults_are_found()?;
    python(Clients::Sdks, "identity.py")
});
static RUST: LazyLock<Walk> = LazyLock::new(|| Ok(rust()));

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
fn the_azure_cli_makes_the_first_upload_as_the_runbook_has_it() {
    let Some(said) = success(&FIRST_UPLOAD) else { return };
    assert!(said.ends_with("verified: true\n"), "{said}");
}

#[test]
fn the_azure_cli_withdraws_a_grant_as_the_runbook_has_it() {
    let withdrawn = installed::vaults_are_found().and_then(|()| {
        let arguments = ["-c", &runbook::withdrawal()];
        az_then(&arguments, async |cloud| {
            let audit = cloud.until_audited("root-ca-again").await;
            assert_eq!(audit.outcome(), "no-grant", "{}", cloud.story());
        })
    });
    let Some(said) = success(&withdrawn) else { return };
    assert!(said.ends_with("enabled: false\n"), "{said}");
}

#[test]
fn the_python_sdk_of_dps_meets_what_it_expects() {
    success(&PYTHON_DPS);
}

#[test]
fn the_python_sdks_of_key_vault_meet_what_they_expect() {
    success(&PYTHON_KEY_VAULT);
}

#[test]
fn validators_of_others_take_the_control_api_for_what_it_says_it_is() {
    let Some(said) = success(&CONTROL_API) else { return };
    assert_eq!(said, "everything is as described\n");
}

#[test]
fn the_python_sdk_of_identity_gets_tokens_in_each_way_there_is() {
    success(&PYTHON_IDENTITY);
}

#[test]
fn the_rust_sdk_serves_the_app_in_both_key_modes() {
    success(&RUST);
}

/// What the client of a walk said that went well; nothing, if it was not made.
fn success(walk: &Walk) -> Option<&str> {
    match walk {
        Ok(Walked { said: Ok(said), .. }) => Some(said),
        Ok(Walked { said: Err(failure), .. }) => panic!("{failure}"),
        Err(missing) => {
            missing.say();
            None
        }
    }
}

/// Has bash run something from the root of the repository, with az on its path.
fn az(arguments: &[&str]) -> Walk {
    az_then(arguments, async |_| ())
}

/// The same, and then looks at what came of it.
fn az_then(arguments: &[&str], look: impl AsyncFnOnce(&Cloud)) -> Walk {
    let programs = Clients::Az.programs()?;
    let mut command = program("bash");
    command.current_dir(installed::root()).args(arguments);
    Ok(walk(command, &programs, look))
}

/// Has Python run a program that uses what is installed for it.
fn python(clients: Clients, program_name: &str) -> Walk {
    let programs = clients.programs()?;
    let mut command = program(programs.join("python").to_str().expect("paths of the repository are text"));
    // Nothing is left behind between the sources.
    command.arg("-B").arg(installed::root().join("tests/clients").join(program_name));
    Ok(walk(command, &programs, async |_| ()))
}

/// Has the app verify a CA that signs in the vault, and one whose key it has to look for and to pull.
fn rust() -> Walked {
    let runtime = runtime();
    let cloud = runtime.block_on(async {
        let (root, line) = (Authority::root("Root", Family::Rsa2048), Authority::root("Line", Family::P256));
        let cloud = Cloud::start_with(&[("KEYHOLDER_KEY_ACCESS", "read-secret")]).await;
        cloud.import_ca("root-ca", &root).await;
        cloud.store_pem_secret("line-ca", &line, GRANT).await;
        for (name, ca) in [("root-ca", &root), ("line-ca", &line)] {
            cloud.upload(name, ca).await;
            let proof = cloud.until_verified(name).await;
            ca.assert_proven(&proof, &cloud.code(name));
        }
        cloud
    });
    Walked { said: Ok(String::new()), ..Walked::through(&cloud, "azsdk-rust-") }
}

/// Runs a client against an emulator that was started for it, as a user has it: showing pending codes, with the app.
fn walk(mut client: Command, programs: &Path, look: impl AsyncFnOnce(&Cloud)) -> Walked {
    let runtime = runtime();
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
        .env("EMULATOR_TOKEN", azure.control().token())
        .env("IDENTITY_HEADER", "any");
    // The runtime's own threads serve while this one waits.
    let (code, said, errors) = result(&client.output().expect("the client starts"));
    let failure = || format!("{client:?}\n{said}\n{errors}\n{}", cloud.story());
    let said = if code == Some(0) { Ok(said.clone()) } else { Err(failure()) };
    if said.is_ok() {
        runtime.block_on(look(&cloud));
    }
    Walked { said, ..Walked::through(&cloud, "python") }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

impl Walked {
    /// Reads the journal. The client is the one whose `User-Agent` has this in it; the app has another.
    fn through(cloud: &Cloud, client: &str) -> Walked {
        let journal = cloud.journal();
        let wanted = |entry: &&Entry| match entry.operation {
            Operation::VaultChallenge => entry.status == 401,
            _ => (200..300).contains(&entry.status),
        };
        let from = |agent: Option<&str>| agent.is_some_and(|agent| agent.to_lowercase().contains(client));
        let (theirs, others): (Vec<&Entry>, Vec<&Entry>) =
            journal.iter().filter(wanted).partition(|entry| from(entry.user_agent.as_deref()));
        let own = others.into_iter().filter(|entry| entry.user_agent.is_none());
        Walked {
            said: Ok(String::new()),
            drove: theirs.into_iter().map(|entry| entry.operation).collect(),
            did: own.map(|entry| entry.operation).collect(),
        }
    }
}
