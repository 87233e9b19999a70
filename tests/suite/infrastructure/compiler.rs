//! What Bicep's own compiler says of the templates, where there is one: `bicep snapshot` expands a deployment as Azure
//! would, loops and conditions included, without an account.
//!
//! It is found by `BICEP`, on the path, where `az bicep install` puts it, or in `../shared/tools` beside the repository.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::project::root;
use crate::harness::programs::result;

const SUBSCRIPTION: &str = "11111111-1111-1111-1111-111111111111";

fn compiler() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).map(|folder| folder.join("bicep")).collect::<Vec<_>>());
    let named = std::env::var_os("BICEP").map(PathBuf::from);
    let of_az = std::env::home_dir().map(|home| home.join(".azure/bin/bicep"));
    let beside = root().join("../shared/tools/bicep");
    let mut places = named.into_iter().chain(on_path).chain(of_az).chain([beside]);
    let found = places.find(|place| place.is_file());
    if found.is_none() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: what Bicep's compiler says of infra/; for that: az bicep install"
        );
    }
    found
}

fn resource(group: &str, kind: &str, name: &str) -> String {
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/{kind}/{name}")
}

/// The resources of a deployment with these variables besides the ids, and no word of complaint.
fn expanded(compiler: &Path, variables: &[(&str, &str)]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("modules")).unwrap();
    for part in ["", "modules"] {
        for entry in fs::read_dir(root().join("infra").join(part)).unwrap() {
            let file = entry.unwrap();
            if file.path().is_file() {
                fs::copy(file.path(), folder.path().join(part).join(file.file_name())).unwrap();
            }
        }
    }
    let vaults = [
        resource("vaults", "Microsoft.KeyVault/vaults", "my-vault"),
        resource("more-vaults", "Microsoft.KeyVault/vaults", "other-vault"),
    ];
    let mut bicep = Command::new(compiler.canonicalize().unwrap());
    bicep
        .current_dir(folder.path())
        .args(["snapshot", "main.bicepparam", "--mode", "overwrite", "--location", "westeurope"])
        .args(["--subscription-id", SUBSCRIPTION, "--tenant-id", "22222222-2222-2222-2222-222222222222"])
        // It unpacks itself below its home.
        .env("HOME", folder.path())
        .env("AZURE_ENV_NAME", "keyholder")
        .env("AZURE_LOCATION", "westeurope")
        .env("DPS_IDS", resource("registries", "Microsoft.Devices/provisioningServices", "my-dps"))
        .env("VAULT_IDS", vaults.join(","))
        .envs(variables.iter().copied());
    let (code, stdout, stderr) = result(&bicep.output().unwrap());
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "", ""), "{variables:?}");
    let text = fs::read_to_string(folder.path().join("main.snapshot.json")).unwrap();
    let snapshot: Value = serde_json::from_str(&text).unwrap();
    snapshot["predictedResources"].as_array().unwrap().clone()
}

/// How many resources of a type there are whose JSON holds a text.
fn count(resources: &[Value], kind: &str, text: &str) -> usize {
    let of_kind = resources.iter().filter(|resource| resource["type"] == kind);
    of_kind.filter(|resource| resource.to_string().contains(text)).count()
}

#[test]
fn the_bicep_compiler_expands_the_deployment_without_a_word() {
    const ASSIGNMENT: &str = "Microsoft.Authorization/roleAssignments";
    let Some(compiler) = compiler() else { return };
    let standard = expanded(&compiler, &[]);
    // Four of the host, one at the DPS instance, and at each vault one to find and one to sign.
    assert_eq!(count(&standard, ASSIGNMENT, "outputs.hostPrincipalId"), 4);
    assert_eq!(count(&standard, ASSIGNMENT, "outputs.principalId"), 5);
    assert_eq!(count(&standard, "Microsoft.Insights/diagnosticSettings", "AuditEvent"), 2);
    assert_eq!(count(&standard, "Microsoft.Insights/scheduledQueryRules", "KeySign"), 1);
    assert_eq!(count(&standard, "Microsoft.Web/sites", "\"UserAssigned\""), 1);

    let key = resource("vaults", "Microsoft.KeyVault/vaults", "my-vault/keys/root-ca");
    let variables = [("KEY_IDS", key.as_str()), ("APP_IDENTITY", "system-assigned"), ("WATCH_KEYS", "false")];
    let narrow = expanded(&compiler, &variables);
    assert_eq!(
        count(&narrow, ASSIGNMENT, "outputs.principalId"),
        4,
        "one at the key, none to sign at a vault"
    );
    assert_eq!(count(&narrow, ASSIGNMENT, "/keys/root-ca"), 1);
    assert_eq!(count(&narrow, "Microsoft.Insights/diagnosticSettings", ""), 0);
    assert_eq!(count(&narrow, "Microsoft.Insights/scheduledQueryRules", "KeySign"), 0);
    assert_eq!(count(&narrow, "Microsoft.Web/sites", "\"SystemAssigned, UserAssigned\""), 1);
}
