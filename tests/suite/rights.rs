//! Roles asked for: the app works with those that `infra/` gives it, where it gives them, is refused everything else
//! in the service's own words, and the person keeps all rights.

use keyholder_emulator::World;
use keyholder_emulator::identity::Principal;
use keyholder_emulator::rbac::{Rbac, Role, Scope};
use keyholder_emulator::world::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION, VAULT};
use keyholder_emulator_local::functions_host::Line;

use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::{Cloud, options};
use crate::harness::programs::{EMULATOR, program, result};
use crate::harness::{GRANT, HTTP};
use crate::infrastructure;

const CA: &str = "root-ca";
const KEY_ACCESSES: [&str; 2] = ["sign-in-vault", "read-secret"];

/// A cloud whose app has the roles of the templates, less one action, on the instance and the vault, and no other
/// rights.
async fn cloud_without(action: Option<&str>, key_access: &str) -> Cloud {
    let (actions, data_actions) = infrastructure::granted(key_access == "read-secret");
    let kept = |granted: &&String| Some(granted.as_str()) != action;
    let registry = Role::new("Keyholder registry", actions.iter().filter(kept).map(String::as_str), []);
    let vault = Role::new("Keyholder vault", [], data_actions.iter().filter(kept).map(String::as_str));
    let in_group = |kind: &str, name: &str| {
        Scope::at(&format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/{kind}/{name}"
        ))
    };
    let (app, mut rbac) = (Principal::function_app(), Rbac::on());
    rbac.assign(&app, registry, in_group("Microsoft.Devices/provisioningServices", PROVISIONING_SERVICE));
    rbac.assign(&app, vault, in_group("Microsoft.KeyVault/vaults", VAULT));

    let mut options = options();
    options.world = World { rbac, ..options.world };
    options.app_settings.push(("KEYHOLDER_KEY_ACCESS".to_owned(), key_access.to_owned()));
    Cloud::start_from(options).await
}

/// A cloud whose app may have one key alone sign, and find certificates in the whole vault.
async fn cloud_with_key(key: &str) -> Cloud {
    let (actions, data_actions) = infrastructure::granted(false);
    let (signs, finds): (Vec<_>, Vec<_>) =
        data_actions.iter().map(String::as_str).partition(|action| action.contains("/keys/sign/"));
    assert_eq!((signs.len(), finds.is_empty()), (1, false), "{data_actions:?}");
    let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}");
    let vault = Scope::at(&format!("{group}/providers/Microsoft.KeyVault/vaults/{VAULT}"));
    let one_key = Scope::at(&format!("{group}/providers/Microsoft.KeyVault/vaults/{VAULT}/keys/{key}"));
    let (app, mut rbac) = (Principal::function_app(), Rbac::on());
    let registry = Role::new("Keyholder registry", actions.iter().map(String::as_str), []);
    rbac.assign(&app, registry, Scope::at(&group));
    rbac.assign(&app, Role::new("Keyholder vault", [], finds), vault);
    rbac.assign(&app, Role::new("Keyholder signing", [], signs), one_key);
    let mut options = options();
    options.world = World { rbac, ..options.world };
    Cloud::start_from(options).await
}

/// Everything the app does: a CA is uploaded, with its key in the vault or in a secret, and then the sweep looks for
/// others in the resource group.
async fn run(cloud: &Cloud, key_access: &str) {
    let ca = root();
    match key_access {
        "sign-in-vault" => cloud.import_ca(CA, &ca).await,
        _ => cloud.store_pem_secret(CA, &ca, GRANT).await,
    }
    cloud.upload(CA, &ca).await;
    cloud.until_answered(CA).await;
    let host = cloud.azure().functions_host().address();
    let sweep = HTTP.post(format!("http://{host}/admin/functions/SweepUnverified")).send().await;
    assert_eq!(sweep.expect("the host answers").status(), 202);
    cloud.until_logged("is the sweep's report", is_report).await;
}

fn is_report(line: &Line) -> bool {
    line.text.contains("sweep.ended")
}

#[tokio::test]
async fn the_roles_of_infra_are_enough() {
    for key_access in KEY_ACCESSES {
        let cloud = cloud_without(None, key_access).await;
        run(&cloud, key_access).await;
        let report = cloud.until_logged("is the sweep's report", is_report).await;
        let expected = "1 certificates in 1 registries, 1 of them verified before";
        assert!(report.text.contains(&format!("{expected}\"")), "{key_access}: {report}\n{}", cloud.story());
        assert!(cloud.journal().iter().all(|entry| entry.status != 403), "{key_access}: {}", cloud.story());
    }
}

#[tokio::test]
async fn without_any_one_of_their_actions_the_app_fails_and_names_it() {
    let always = infrastructure::granted(false);
    let always = [always.0, always.1].concat();
    let with_secrets = infrastructure::granted(true).1;
    let for_secrets = with_secrets.iter().filter(|action| !always.contains(action));
    let rows = always.iter().map(|action| ("sign-in-vault", action));
    let rows: Vec<_> = rows.chain(for_secrets.map(|action| ("read-secret", action))).collect();
    assert_eq!(rows.len(), 8, "{rows:?}");
    for (key_access, action) in rows {
        let cloud = cloud_without(Some(action), key_access).await;
        run(&cloud, key_access).await;
        let (log, _) = cloud.azure().functions_host().follow();
        let names_it = |line: &&Line| line.text.to_lowercase().contains(&action.to_lowercase());
        let naming: Vec<&Line> = log.iter().filter(names_it).collect();
        // The instances are listed by the sweep alone.
        let fails = if action.ends_with("provisioningServices/Read") {
            naming.iter().any(|line| line.text.contains(r#""level":"warn""#) && is_report(line))
        } else {
            let verified = cloud.certificate(CA, |certificate| certificate.is_verified());
            let loud = |line: &&Line| {
                line.text.contains(r#""level":"error""#) && line.text.contains("access-refused")
            };
            !verified && naming.iter().any(loud)
        };
        assert!(fails, "without {action}, {key_access}:\n{}", cloud.story());
    }
}

#[tokio::test]
async fn the_right_to_sign_at_a_single_key_is_enough_for_it_and_for_no_other() {
    let cloud = cloud_with_key(CA).await;
    run(&cloud, "sign-in-vault").await;
    assert!(cloud.certificate(CA, |certificate| certificate.is_verified()), "{}", cloud.story());

    let cloud = cloud_with_key("another-ca").await;
    run(&cloud, "sign-in-vault").await;
    assert!(!cloud.certificate(CA, |certificate| certificate.is_verified()), "{}", cloud.story());
    let (log, _) = cloud.azure().functions_host().follow();
    let refused =
        |line: &&Line| line.text.contains("access-refused") && line.text.contains("keys/sign/action");
    assert!(log.iter().any(|line| refused(&line)), "{}", cloud.story());
}

#[test]
fn a_file_that_holds_no_role_is_refused_with_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("role.json");
    for (text, reason) in [
        (None, "cannot be read"),
        (Some("{"), "this is not JSON"),
        (Some(r#"{"Name": "r", "Action": ["*/read"]}"#), r#"unknown member "Action""#),
    ] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let output = program(EMULATOR).args(["up", "--rbac"]).arg(&file).output().unwrap();
        let (code, stdout, stderr) = result(&output);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
        assert!(stderr.contains(reason) && stderr.contains("role.json"), "{stderr}");
    }
}

fn root() -> Authority {
    Authority::root("Plant Root", Family::P256)
}
