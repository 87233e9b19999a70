//! Keyholder from a shell: the same verifier as in the app, run once with your own account.
//!
//! Data goes to stdout and everything else to stderr, so that both can be redirected; the exit code says in one
//! digit how it ended. The two locks apply here as everywhere: even with every right you prove nothing for a
//! registry outside the allow-list, or with a CA whose owner did not grant it.

mod doctor;
mod exit;
mod output;
mod progress;
mod status;
mod verify;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use keyholder::azure::{self, AzureVerifier};
use keyholder::config::{self, Identity, InvalidSettings};
use keyholder::{CertificateId, RegistryId, Settings, http_client, key_opener, telemetry};

use crate::runtime;
use exit::Exit;
use output::{Format, hint};
use progress::Progress;

const AFTER_HELP: &str = "\
Settings are environment variables, as for the app: KEYHOLDER_REGISTRIES and KEYHOLDER_VAULTS have
to be set. KEYHOLDER_IDENTITY defaults to developer: the account that is signed in with az or azd.

Exit codes: 0 done, 1 failed, 2 usage or settings, 3 denied, 4 try again.

Examples:
  export KEYHOLDER_REGISTRIES=/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/iot-x509-demo-rg
  export KEYHOLDER_VAULTS=https://my-vault.vault.azure.net
  az login
  keyholder doctor
  keyholder status";

/// Prove possession of the CA certificates of Azure IoT Hub Device Provisioning Service, from your own shell
#[derive(Debug, Parser)]
#[command(name = "keyholder", bin_name = "keyholder", version, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prove possession of one CA certificate now
    #[command(after_help = verify::AFTER_HELP)]
    Verify {
        /// Its id: /subscriptions/…/provisioningServices/<dps>/certificates/<name>
        #[arg(value_parser = CertificateId::parse)]
        certificate: CertificateId,
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Format,
    },
    /// List the CA certificates, and what a verification of each unverified one would do
    #[command(after_help = status::AFTER_HELP)]
    Status {
        /// One DPS instance: /subscriptions/…/provisioningServices/<dps>; otherwise all in KEYHOLDER_REGISTRIES
        #[arg(value_parser = RegistryId::parse)]
        registry: Option<RegistryId>,
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Format,
    },
    /// Check settings, identity and rights, and print what fixes each problem; changes and signs nothing
    #[command(after_help = doctor::AFTER_HELP)]
    Doctor {
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Format,
    },
    /// Print a completion script
    #[command(
        after_help = "Examples:\n  source <(keyholder completions bash)\n  keyholder completions fish | source"
    )]
    Completions {
        /// For which shell
        shell: Shell,
    },
}

/// Runs one command.
pub fn main() -> ExitCode {
    if let Some(ended) = key_opener::run_if_asked() {
        return ended;
    }
    // What clap cannot take is told and ended by clap itself, with the code of a usage error.
    match Arguments::parse().command {
        Command::Completions { shell } => completions(shell),
        Command::Verify { certificate, output } => {
            with_settings(|settings| runtime::block_on(verify::run(settings, &certificate, output)))
        }
        Command::Status { registry, output } => {
            with_settings(|settings| runtime::block_on(status::run(settings, registry.as_ref(), output)))
        }
        Command::Doctor { output } => doctor::run(settings(), output),
    }
    .into()
}

fn completions(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "keyholder", &mut script);
    output::print(&String::from_utf8_lossy(&script));
    Exit::Done
}

/// Reads the environment. The identity defaults to the developer's own, and the log to none, because the command
/// prints the outcome anyway.
fn settings() -> Result<Settings, InvalidSettings> {
    let variable = |name: &str| env::var(name).ok();
    let variable = config::unless_given(variable, "KEYHOLDER_IDENTITY", "developer");
    Settings::read(config::unless_given(variable, "KEYHOLDER_LOG", "off"))
}

fn with_settings(run: impl FnOnce(&Settings) -> Exit) -> Exit {
    match settings() {
        Ok(settings) => match telemetry::start_for_people(&settings.log) {
            Ok(()) => run(&settings),
            Err(invalid) => Exit::usage(&format!("KEYHOLDER_LOG cannot be used: {invalid}")),
        },
        Err(invalid) => Exit::usage(&invalid.to_string()),
    }
}

/// Signs in and returns a verifier. Without a token nothing else would work.
async fn signed_in(settings: &Settings) -> Result<Arc<AzureVerifier>, Exit> {
    let progress = Progress::start("signing in");
    let client = http_client::build().map_err(|error| Exit::failed(&error))?;
    let verifier = azure::verifier(settings, &client).map_err(|error| Exit::failed(&error))?;
    let signed_in = verifier.registry().sign_in().await;
    drop(progress);
    match signed_in {
        Ok(()) => Ok(Arc::new(verifier)),
        Err(error) => {
            hint(&error.to_string());
            hint(&format!("to fix it: {}", remedy(&settings.identity)));
            Err(Exit::without_identity(&settings.identity))
        }
    }
}

/// Returns how to get a token.
fn remedy(identity: &Identity) -> &'static str {
    match identity {
        Identity::Developer => "az login",
        Identity::Managed { .. } => {
            "run where Azure assigned an identity, set AZURE_CLIENT_ID for a user-assigned one, or set \
             KEYHOLDER_IDENTITY=developer"
        }
        Identity::Workload => {
            "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE, and have the identity trust that token"
        }
    }
}
