//! `keyholder doctor`: everything a verification needs, tried without doing one.
//!
//! It tests rights to write and to sign with requests that cannot succeed for any caller; see
//! [`Arm::may`] and [`keyholder::vault::key_vault::Probe`].

use keyholder::config::{Identity, InvalidSettings, KeyAccess};
use keyholder::error::{self, CallError};
use keyholder::registry::Registry;
use keyholder::registry::arm::{Arm, Write};
use keyholder::trust::Scope;
use keyholder::vault::key_vault::{KeyVaults, ListedVersion, MaySign, Probe};
use keyholder::{RegistryId, Settings, azure, http_client, telemetry};
use serde::Serialize;

use crate::runtime;

use super::exit::Exit;
use super::output::{Answer, Format, print};
use super::progress::Progress;
use super::remedy;

pub(super) const AFTER_HELP: &str = "\
It changes nothing, reads no secret and makes no signature. It tests the rights to ask for codes, to
submit verification certificates and to sign with requests that cannot succeed; the error that comes
back tells whether the right is there.

What it cannot know:
- whether one particular key can sign; that shows once it is used;
- in which order a vault checks: that it asks for rights first is assumed, not documented;
- the app's rights, unless it runs as the app: with KEYHOLDER_IDENTITY=developer it asks for yours.

Exit codes: 0 all is well, 1 failed, 2 settings, 3 denied, 4 try again; of several the gravest.

Examples:
  keyholder doctor
  keyholder doctor -o json | jq '.checks[] | select(.passed | not)'";

/// All that was checked.
#[derive(Serialize)]
struct Diagnosis {
    checks: Vec<Check>,
    #[serde(skip)]
    format: Format,
    /// Of those that did not pass.
    #[serde(skip)]
    gravest: Exit,
    /// The DPS instances that were found.
    #[serde(skip)]
    registries: Vec<RegistryId>,
}

/// One thing that a verification needs.
#[derive(Serialize)]
struct Check {
    check: &'static str,
    passed: bool,
    message: String,
    remedy: Option<String>,
}

/// Why something did not pass.
struct Problem {
    exit: Exit,
    message: String,
    remedy: Option<String>,
}

pub(super) fn run(settings: Result<Settings, InvalidSettings>, format: Format) -> Exit {
    let mut diagnosis = Diagnosis { checks: Vec::new(), format, gravest: Exit::Done, registries: Vec::new() };
    match settings {
        Ok(settings) => match telemetry::start_for_people(&settings.log) {
            Ok(()) => runtime::block_on(diagnosis.examine(&settings)),
            Err(invalid) => diagnosis.note("settings", Err(unusable(&format!("KEYHOLDER_LOG: {invalid}")))),
        },
        Err(invalid) => {
            for problem in invalid.to_string().lines() {
                diagnosis.note("settings", Err(unusable(problem)));
            }
        }
    }
    if format == Format::Json {
        format.print(&diagnosis);
    }
    diagnosis.gravest
}

impl Diagnosis {
    async fn examine(&mut self, settings: &Settings) {
        self.note("settings", Ok(described(settings)));
        let (arm, vaults) = match peers(settings) {
            Ok(peers) => peers,
            Err(problem) => return self.note("identity", Err(problem)),
        };
        let identity = &settings.identity;
        if let Err(error) = watched("signing in", arm.sign_in()).await {
            let remedy = Some(remedy(identity).to_owned());
            let exit = Exit::without_identity(identity);
            return self.note("identity", Err(Problem { exit, remedy, ..Problem::from(error) }));
        }
        self.note("identity", Ok(format!("{} gets a token for {}", who(identity), settings.arm_endpoint)));
        for scope in settings.registries.scopes() {
            self.examine_scope(&arm, scope).await;
        }
        for probe in vaults.probes() {
            self.examine_vault(probe).await;
        }
    }

    async fn examine_scope(&mut self, arm: &Arm, scope: &Scope) {
        let listed = watched("looking for DPS instances", arm.registries(scope)).await;
        let listed = listed.unwrap_or_else(|error| vec![Err(error)]);
        if listed.is_empty() {
            let message = format!("there is no DPS instance in {scope}");
            let remedy = Some("set KEYHOLDER_REGISTRIES to where they are".to_owned());
            self.note("registry", Err(Problem { exit: Exit::Failed, message, remedy }));
        }
        for registry in listed {
            match registry {
                Ok(registry) => self.examine_registry(arm, registry).await,
                Err(error) => self.note("registry", Err(error.into())),
            }
        }
    }

    async fn examine_registry(&mut self, arm: &Arm, registry: RegistryId) {
        if self.registries.contains(&registry) {
            return;
        }
        let name = registry.name().to_owned();
        let certificates = watched("reading certificates", arm.certificates(&registry)).await;
        let count = certificates.map(|certificates| {
            let open = certificates.iter().flatten().filter(|certificate| !certificate.is_verified).count();
            format!("{name} has {}, {open} of them unverified", certificates_in_words(certificates.len()))
        });
        self.note("registry", count.map_err(Problem::from));
        for (check, write, what) in [
            ("codes", Write::GenerateVerificationCode, "asking for verification codes"),
            ("submit", Write::Verify, "submitting verification certificates"),
        ] {
            let may = watched("asking for rights", arm.may(&registry, write)).await;
            self.note(check, may.map(|()| format!("{name} allows {what}")).map_err(Problem::from));
        }
        self.registries.push(registry);
    }

    async fn examine_vault(&mut self, probe: Probe<'_>) {
        let vault = probe.url().host_str().unwrap_or_default();
        let grants = watched("reading certificates", probe.grants()).await;
        let granted = |(name, grant): &(String, keyholder::trust::Grant)| {
            let granted = self.registries.iter().any(|registry| grant.allowing(registry).is_some());
            granted.then(|| name.clone())
        };
        let names: Vec<String> = grants.iter().flatten().filter_map(granted).collect();
        // A key that is granted is the one that matters; else any will do.
        let any = grants.iter().flatten().map(|(name, _)| name.clone()).next();
        let asked_about = names.first().cloned().or(any);
        let mut can_list = grants.is_ok();
        let count = grants.map(|all| {
            let all = certificates_in_words(all.len());
            format!("{vault} has {all}, {} of them granted for these DPS instances", names.len())
        });
        self.note("vault", count.map_err(Problem::from));
        let may_sign = watched("asking for rights", probe.may_sign(asked_about.as_deref())).await;
        let may_sign = may_sign.map(|may_sign| match may_sign {
            MaySign::Key(key) => format!("{vault} lets it sign with {}", key.name()),
            MaySign::AnyKey => format!("{vault} lets it sign; there is no certificate to ask about"),
        });
        self.note("sign", may_sign.map_err(Problem::from));
        if let Some(may_read) = watched("asking for rights", probe.may_read_secrets()).await {
            can_list &= may_read.is_ok();
            let may_read = may_read.map(|()| format!("{vault} lets it read secrets"));
            self.note("secrets", may_read.map_err(Problem::from));
        }
        if can_list {
            self.list_grants(probe).await;
        }
    }

    /// Lists every version that still grants, so that one whose grant is to be withdrawn is not forgotten.
    async fn list_grants(&mut self, probe: Probe<'_>) {
        let versions = match watched("reading versions", probe.versions()).await {
            Ok(versions) => versions,
            Err(error) => return self.note("grant", Err(error.into())),
        };
        for listed in &versions {
            let of_the_same = |other: &&ListedVersion| {
                let (this, other) = (&listed.version.object, &other.version.object);
                (this.kind(), this.name()) == (other.kind(), other.name())
            };
            let newest = || versions.iter().filter(of_the_same).filter(|other| other.is_newest);
            let granted = |registry: &&RegistryId| listed.version.grant.allowing(registry).is_some();
            let allowed: Vec<&RegistryId> = self.registries.iter().filter(granted).collect();
            if allowed.is_empty() {
                continue;
            }
            let holds =
                |registry: &&RegistryId| newest().all(|one| one.version.grant.allowing(registry).is_some());
            let age = if listed.is_newest { "newest" } else { "older" };
            let enabled = if listed.is_enabled { "" } else { ", disabled" };
            let effect = match allowed.iter().any(holds) {
                true => "",
                false => ", without effect, because the newest version does not grant it",
            };
            let names: Vec<&str> = allowed.iter().map(|registry| registry.name()).collect();
            let message =
                format!("{} grants {} ({age}{enabled}{effect})", listed.version.object, names.join(", "));
            self.note("grant", Ok(message));
        }
    }

    /// Keeps a check, and shows it at once to a person.
    fn note(&mut self, check: &'static str, result: Result<String, Problem>) {
        let check = match result {
            Ok(message) => Check { check, passed: true, message, remedy: None },
            Err(Problem { exit, message, remedy }) => {
                self.gravest = self.gravest.max(exit);
                Check { check, passed: false, message, remedy }
            }
        };
        if self.format == Format::Table {
            print(&check.lines());
        }
        self.checks.push(check);
    }
}

fn peers(settings: &Settings) -> Result<(Arm, KeyVaults), Problem> {
    let failed = |error: &dyn std::error::Error| Problem {
        exit: Exit::Failed,
        message: error::chain(error),
        remedy: Some(remedy(&settings.identity).to_owned()),
    };
    let client = http_client::build().map_err(|error| failed(&error))?;
    azure::peers(settings, &client).map_err(|error| failed(&error))
}

fn described(settings: &Settings) -> String {
    let vaults: Vec<&str> = settings.vaults.iter().filter_map(|vault| vault.host_str()).collect();
    let keys = match settings.key_access {
        KeyAccess::SignInVault => "keys sign in the vault",
        KeyAccess::ReadSecret => "keys may be pulled out of secrets",
    };
    format!("it allows {} and searches {}; {keys}", settings.registries, vaults.join(", "))
}

fn who(identity: &Identity) -> &'static str {
    match identity {
        Identity::Developer => "the account that is signed in with az or azd",
        Identity::Managed { .. } => "the managed identity",
        Identity::Workload => "the workload identity",
    }
}

fn certificates_in_words(count: usize) -> String {
    match count {
        1 => "1 certificate".to_owned(),
        count => format!("{count} certificates"),
    }
}

async fn watched<T>(what: &str, step: impl Future<Output = T>) -> T {
    let _progress = Progress::start_quietly(what);
    step.await
}

fn unusable(problem: &str) -> Problem {
    Problem { exit: Exit::Usage, message: problem.to_owned(), remedy: None }
}

impl From<CallError> for Problem {
    fn from(mut error: CallError) -> Problem {
        let exit = error.reason().into();
        let remedy = match &mut error {
            CallError::Refused { remedy, .. } => remedy.take(),
            CallError::Changed { .. } | CallError::Unavailable { .. } => None,
        };
        Problem { exit, message: error.to_string(), remedy }
    }
}

impl Answer for Check {
    fn lines(&self) -> String {
        let mark = if self.passed { "✓" } else { "✗" };
        let mut lines = format!("{mark} {:<9} {}", self.check, self.message);
        if let Some(remedy) = &self.remedy {
            lines += &format!("\n            {remedy}");
        }
        lines
    }
}

impl Answer for Diagnosis {
    fn lines(&self) -> String {
        self.checks.iter().map(Answer::lines).collect::<Vec<_>>().join("\n")
    }
}
