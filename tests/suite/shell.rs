//! `keyholder` as a person runs it, against the emulated cloud. Nothing else verifies there: events are lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use keyholder::permissions;
use keyholder_emulator::World;
use keyholder_emulator::faults::{Calls, Effect};
use keyholder_emulator::identity::Principal;
use keyholder_emulator::key_vault::Changes;
use keyholder_emulator::operation::Operation;
use keyholder_emulator::rbac::Role;
use keyholder_emulator::world::{RESOURCE_GROUP, SUBSCRIPTION, VAULT};
use keyholder_emulator_local::app_roles;
use keyholder_emulator_local::local_azure::certificate_id;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::GRANT;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::{Cloud, options};
use crate::harness::golden::{assert_golden, steady};
use crate::harness::programs::{KEYHOLDER, program, result};

/// A shell whose variables point to a cloud, as `emulator env` has them set.
struct Shell {
    variables: Vec<(String, String)>,
}

impl Shell {
    fn of(cloud: &Cloud) -> Shell {
        let environment = cloud.azure().control().environment().expect("it runs on sockets");
        let variables = environment.variables.into_iter();
        Shell { variables: variables.map(|variable| (variable.name, variable.value)).collect() }
    }

    /// With the app's identity instead of the person's.
    fn as_app(cloud: &Cloud) -> Shell {
        Shell { variables: cloud.azure().app_settings().to_vec() }
    }

    fn with(mut self, name: &str, value: &str) -> Shell {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Exit code, stdout, stderr.
    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::from(program(KEYHOLDER));
        let output: Output =
            command.args(arguments).envs(self.variables.iter().cloned()).output().await.unwrap();
        result(&output)
    }

    /// Exit code and the whole of stdout as JSON.
    async fn json(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let (code, stdout, stderr) = self.run(&[arguments, &["-o", "json"]].concat()).await;
        match serde_json::from_str(&stdout) {
            Ok(json) => (code, json),
            Err(error) => panic!("{error}: {stdout}{stderr}"),
        }
    }
}

async fn cloud() -> Cloud {
    let cloud = Cloud::start().await;
    lose_events(&cloud);
    cloud
}

fn lose_events(cloud: &Cloud) {
    cloud.emulator().with(|world, _| world.event_grid.set_copies(0));
}

fn root() -> Authority {
    Authority::root("Plant Root", Family::P256)
}

#[tokio::test]
async fn a_certificate_is_verified_by_hand_with_a_proof_that_openssl_takes() {
    let (cloud, ca) = (cloud().await, root());
    cloud.import_ca("plant-ca", &ca).await;
    cloud.upload("plant-ca", &ca).await;
    let (shell, id) = (Shell::of(&cloud), certificate_id("plant-ca"));
    let (code, stdout, stderr) = shell.run(&["verify", &id]).await;
    assert_eq!((code, stdout.as_str()), (Some(0), "plant-ca  verified\n"), "{stderr}");
    assert!(stderr.contains("# verifying plant-ca …"), "somebody who waits is told what for: {stderr}");
    let proof = cloud.until_verified("plant-ca").await;
    ca.assert_proven(&proof, &cloud.code("plant-ca"));

    let (code, stdout, _) = shell.run(&["verify", &id, "-o", "json"]).await;
    assert_eq!(code, Some(0));
    assert_golden("keyholder/verify.json", &steady(&stdout));
    assert_eq!(cloud.count(Operation::Sign), 1, "{}", cloud.story());
}

#[tokio::test]
async fn every_way_to_end_has_its_exit_code() {
    let (cloud, ca, other) = (cloud().await, root(), root());
    cloud.import_ca("granted", &ca).await;
    cloud.import_ca_tagged("not-granted", &other, &[]).await;
    cloud.upload("granted", &ca).await;
    cloud.upload("not-granted", &other).await;
    cloud.upload("not-in-the-vault", &root()).await;
    let elsewhere = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/another-group");
    let rows = [
        ("nothing-there", None, 1, "gone"),
        ("not-in-the-vault", None, 1, "ca-missing"),
        ("not-granted", None, 3, "no-grant"),
        ("granted", Some(("KEYHOLDER_REGISTRIES", elsewhere.as_str())), 3, "registry-not-allowed"),
        ("granted", None, 4, "throttled"),
    ];
    // Longer than the deadline, so that nobody waits for it.
    let throttle = Effect::Throttle { retry_after: Some(60) };
    cloud.meet(Operation::GenerateVerificationCode, Some("granted"), Calls::Always, throttle);
    for (name, setting, code, outcome) in rows {
        let shell = match setting {
            Some((name, value)) => Shell::of(&cloud).with(name, value),
            None => Shell::of(&cloud),
        };
        let (found, ended) = shell.json(&["verify", &certificate_id(name)]).await;
        assert_eq!((found, &ended["outcome"]), (Some(code), &json!(outcome)), "{name}\n{}", cloud.story());
    }
    assert_eq!(cloud.count(Operation::Sign), 0, "{}", cloud.story());

    cloud.fail(Operation::GetToken, None, Calls::Always, 500);
    let (code, stdout, stderr) = Shell::of(&cloud).run(&["verify", &certificate_id("granted")]).await;
    assert_eq!((code, stdout.as_str()), (Some(4), ""), "{stderr}");
}

#[tokio::test]
async fn a_status_tells_what_is_there_and_what_would_become_of_it() {
    let (cloud, ca, other) = (cloud().await, root(), Authority::root("Line Root", Family::P256));
    cloud.import_ca("verified-ca", &ca).await;
    cloud.upload("verified-ca", &ca).await;
    let shell = Shell::of(&cloud);
    let (code, _, stderr) = shell.run(&["verify", &certificate_id("verified-ca")]).await;
    assert_eq!(code, Some(0), "{stderr}");
    cloud.import_ca("ready-ca", &other).await;
    cloud.upload("ready-ca", &other).await;
    let not_granted = root();
    cloud.import_ca_tagged("not-granted-ca", &not_granted, &[]).await;
    cloud.upload("not-granted-ca", &not_granted).await;
    let before = cloud.emulator().look(|world, _| world.journal.count(Operation::GenerateVerificationCode));

    let (code, stdout, stderr) = shell.run(&["status"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert_golden("keyholder/status.txt", &steady(&stdout));
    assert!(stderr.contains("az keyvault certificate set-attributes"), "the remedy is a hint: {stderr}");
    let registry = certificate_id("x").replace("/certificates/x", "");
    let (code, stdout, _) = shell.run(&["status", &registry, "-o", "json"]).await;
    assert_eq!(code, Some(0));
    assert_golden("keyholder/status.json", &steady(&stdout));
    let after = cloud.emulator().look(|world, _| world.journal.count(Operation::GenerateVerificationCode));
    assert_eq!((after, cloud.count(Operation::Sign)), (before, 1), "it only looks\n{}", cloud.story());

    let nowhere = registry.replace(RESOURCE_GROUP, "another-group");
    let (code, status) = shell.json(&["status", &nowhere]).await;
    assert_eq!((code, &status["certificates"]), (Some(1), &json!([])), "{status}");
    assert!(status["unread"][0].as_str().unwrap().contains("another-group"), "{status}");
}

#[tokio::test]
async fn a_doctor_finds_nothing_wrong_where_nothing_is_and_touches_nothing() {
    for access in ["sign-in-vault", "read-secret"] {
        let mut options = options();
        let roles = app_roles::of_infrastructure(access == "read-secret");
        options.world = World { rbac: app_roles::rbac(roles), ..options.world };
        let (cloud, ca) = (Cloud::start_from(options).await, root());
        lose_events(&cloud);
        cloud.import_ca("plant-ca", &ca).await;
        cloud.upload("plant-ca", &ca).await;
        let etag = || cloud.certificate("plant-ca", |certificate| certificate.etag().to_string());
        let before = etag();

        let shell = Shell::as_app(&cloud).with("KEYHOLDER_KEY_ACCESS", access);
        let (code, stdout, stderr) = shell.run(&["doctor"]).await;
        assert_eq!(code, Some(0), "{stdout}{stderr}");
        assert_golden(&format!("keyholder/doctor.{access}.txt"), &steady(&stdout));
        let (code, stdout, _) = shell.run(&["doctor", "-o", "json"]).await;
        assert_eq!(code, Some(0));
        assert_golden(&format!("keyholder/doctor.{access}.json"), &steady(&stdout));

        assert_eq!(etag(), before, "nothing was written\n{}", cloud.story());
        for operation in
            [Operation::Sign, Operation::GetSecret, Operation::Verify, Operation::GenerateVerificationCode]
        {
            let entries = cloud.journal();
            let succeeded = entries.iter().any(|entry| entry.operation == operation && entry.status == 200);
            assert!(!succeeded, "{operation} was let through\n{}", cloud.story());
        }
    }
}

#[tokio::test]
async fn a_doctor_names_each_right_that_lacks() {
    let rows = [
        (permissions::ACTIONS[0], "registry"),
        (permissions::ACTIONS[1], "registry"),
        (permissions::ACTIONS[2], "codes"),
        (permissions::ACTIONS[3], "submit"),
        (permissions::DATA_ACTIONS[0], "vault"),
        (permissions::DATA_ACTIONS[1], "sign"),
        (permissions::DATA_ACTIONS_TO_READ_SECRETS[0], "secrets"),
        (permissions::DATA_ACTIONS_TO_READ_SECRETS[1], "secrets"),
    ];
    let all = permissions::ACTIONS.len()
        + permissions::DATA_ACTIONS.len()
        + permissions::DATA_ACTIONS_TO_READ_SECRETS.len();
    assert_eq!(rows.len(), all, "every right has its row");
    let mut options = options();
    options.world = World { rbac: app_roles::rbac(Vec::new()), ..options.world };
    let (cloud, ca) = (Cloud::start_from(options).await, root());
    lose_events(&cloud);
    cloud.import_ca("plant-ca", &ca).await;
    cloud.upload("plant-ca", &ca).await;
    let shell = Shell::as_app(&cloud).with("KEYHOLDER_KEY_ACCESS", "read-secret");
    for (missing, check) in rows {
        let without = |actions: &[&'static str]| -> Vec<&'static str> {
            actions.iter().copied().filter(|action| *action != missing).collect()
        };
        let data = [permissions::DATA_ACTIONS, permissions::DATA_ACTIONS_TO_READ_SECRETS].concat();
        let role = Role::new("all but one", without(permissions::ACTIONS), without(&data));
        cloud.emulator().with(|world, _| {
            world.rbac.revoke(&Principal::function_app());
            world.rbac.assign(
                &Principal::function_app(),
                role,
                keyholder_emulator::rbac::Scope::everywhere(),
            );
        });
        let (code, diagnosis) = shell.json(&["doctor"]).await;
        assert_eq!(code, Some(3), "{missing}: {diagnosis:#}");
        let checks = diagnosis["checks"].as_array().unwrap();
        let failed: Vec<&Value> = checks.iter().filter(|check| check["passed"] == false).collect();
        assert_eq!(failed[0]["check"], check, "{missing}: {diagnosis:#}");
        let told = failed[0].to_string().to_lowercase();
        assert!(told.contains(&missing.to_lowercase()), "{missing} is not named: {told}");
        assert!(told.contains("az role assignment create"), "{missing} has no remedy: {told}");
    }
}

#[tokio::test]
async fn a_doctor_lists_every_version_that_still_grants() {
    let cloud = cloud().await;
    for tags in [GRANT, GRANT, &[]] {
        cloud.import_ca_tagged("rot-ca", &root(), tags).await;
        cloud.emulator().advance(std::time::Duration::from_secs(2));
    }
    cloud.store_pem_secret("secret-ca", &root(), GRANT).await;
    let shell = Shell::of(&cloud).with("KEYHOLDER_KEY_ACCESS", "read-secret");
    let (code, diagnosis) = shell.json(&["doctor"]).await;
    assert_eq!(code, Some(0), "{diagnosis:#}");
    let checks = diagnosis["checks"].as_array().unwrap();
    let grants = checks.iter().filter(|check| check["check"] == "grant");
    let said: Vec<&str> = grants.map(|check| check["message"].as_str().unwrap()).collect();
    let [first, second, secret] = said[..] else { panic!("{diagnosis:#}") };
    for older in [first, second] {
        let effect = "(older, without effect, because the newest version does not grant it)";
        assert!(older.contains("/certificates/rot-ca/") && older.ends_with(effect), "{older}");
    }
    assert_ne!(first, second);
    assert!(secret.contains("/secrets/secret-ca/") && secret.ends_with("(newest)"), "{secret}");
}

#[tokio::test]
async fn a_doctor_says_what_is_wrong_with_a_key_and_with_the_settings() {
    let (cloud, ca) = (cloud().await, root());
    cloud.import_ca("plant-ca", &ca).await;
    cloud.upload("plant-ca", &ca).await;
    cloud.change_vaults(|vaults, now| vaults.update_key(VAULT, "plant-ca", Changes::enabled(false), now));
    let (code, diagnosis) = Shell::of(&cloud).json(&["doctor"]).await;
    assert_eq!(code, Some(1), "{diagnosis:#}");
    let sign = diagnosis["checks"].as_array().unwrap().iter().find(|check| check["check"] == "sign").unwrap();
    assert!(sign["remedy"].as_str().unwrap().contains("--enabled true"), "{sign}");

    let (code, stdout, _) = Shell { variables: Vec::new() }.run(&["doctor"]).await;
    assert_eq!(code, Some(2));
    assert_eq!(stdout.lines().filter(|line| line.starts_with("✗ settings")).count(), 2, "{stdout}");
    let empty = Shell::of(&cloud)
        .with("KEYHOLDER_REGISTRIES", &format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/x"));
    let (code, stdout, _) = empty.run(&["doctor"]).await;
    assert_eq!(code, Some(1), "{stdout}");
}

/// Stands in for `az`: it answers as the real one does, with tokens of the emulator, and notes each call.
#[tokio::test]
async fn a_developer_is_whoever_az_says_and_az_is_asked_once_for_each_service() {
    let (cloud, ca) = (cloud().await, root());
    cloud.import_ca("plant-ca", &ca).await;
    cloud.upload("plant-ca", &ca).await;
    let folder = tempfile::tempdir().unwrap();
    let in_folder = |name: &str| folder.path().join(name);
    let (arm, vault) = (cloud.azure().arm(), cloud.azure().vault(VAULT));
    let audience = |url: &url::Url| url.as_str().trim_end_matches('/').replace(&format!("{VAULT}."), "");
    for (file, url) in [("arm", &arm), ("vault", &vault)] {
        let (token, now) =
            cloud.emulator().look(|world, now| (world.identity.mint(&audience(url), now), now));
        let expires = now.unix_timestamp() + 3600;
        let answer = json!({ "accessToken": token, "expires_on": expires, "tokenType": "Bearer" });
        fs::write(in_folder(file), answer.to_string()).unwrap();
    }
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> {0}/calls\ncase \"$*\" in *vault.localhost*) cat {0}/vault ;; *) cat {0}/arm ;; esac\n",
        folder.path().display()
    );
    let az = in_folder("az");
    fs::write(&az, script).unwrap();
    fs::set_permissions(&az, fs::Permissions::from_mode(0o755)).unwrap();

    let developer = |cloud: &Cloud| {
        let mut shell = Shell::of(cloud).with("PATH", &format!("{}:/usr/bin:/bin", folder.path().display()));
        // Taken for granted where nothing is set.
        shell.variables.retain(|(name, _)| name != "KEYHOLDER_IDENTITY");
        shell
    };
    let (code, stdout, stderr) = developer(&cloud).run(&["verify", &certificate_id("plant-ca")]).await;
    assert_eq!((code, stdout.as_str()), (Some(0), "plant-ca  verified\n"), "{stderr}");
    let calls = fs::read_to_string(in_folder("calls")).unwrap();
    assert_eq!(calls.lines().count(), 2, "{calls}");
    assert!(calls.lines().all(|call| call.starts_with("account get-access-token ")), "{calls}");

    fs::write(&az, "#!/bin/sh\necho \"Please run 'az login' to setup account.\" >&2\nexit 1\n").unwrap();
    for arguments in [&["verify", &certificate_id("plant-ca")][..], &["status"]] {
        let (code, stdout, stderr) = developer(&cloud).run(arguments).await;
        assert_eq!((code, stdout.as_str()), (Some(3), ""), "{stderr}");
        assert!(
            stderr.contains("Please run 'az login'") && stderr.contains("to fix it: az login"),
            "{stderr}"
        );
    }
    let (code, diagnosis) = developer(&cloud).json(&["doctor"]).await;
    assert_eq!(code, Some(3));
    assert_eq!(diagnosis["checks"][1]["remedy"], "az login", "{diagnosis:#}");
}

#[tokio::test]
async fn help_is_what_it_was() {
    let shell = Shell { variables: Vec::new() };
    for (name, arguments) in [
        ("help", &["--help"][..]),
        ("verify", &["verify", "--help"]),
        ("status", &["status", "--help"]),
        ("doctor", &["doctor", "--help"]),
        ("completions", &["completions", "--help"]),
    ] {
        let (code, stdout, stderr) = shell.run(arguments).await;
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{name}");
        assert_golden(&format!("keyholder/{name}.help.txt"), &stdout);
    }
}

#[tokio::test]
async fn a_usage_error_says_what_would_be_right() {
    let shell = Shell { variables: Vec::new() };
    for (arguments, expected) in [
        (&[][..], "Usage: keyholder"),
        (&["prove"], "unrecognized subcommand"),
        (&["verify"], "<CERTIFICATE>"),
        (&["verify", "root-ca"], "It looks like /subscriptions/{guid}/"),
        (&["status", "my-dps-x509"], "It looks like /subscriptions/{guid}/"),
        (&["status", "-o", "yaml"], "table, json"),
        (&["status"], "KEYHOLDER_REGISTRIES"),
        (&["completions", "dos"], "bash"),
    ] {
        let (code, stdout, stderr) = shell.run(arguments).await;
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}

#[tokio::test]
async fn every_shell_gets_completions_for_every_command() {
    let shell = Shell { variables: Vec::new() };
    for name in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, stdout, stderr) = shell.run(&["completions", name]).await;
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{name}");
        for command in ["verify", "status", "doctor", "completions"] {
            assert!(stdout.contains(command), "{name} lacks {command}");
        }
    }
}

#[tokio::test]
async fn a_reader_who_has_gone_is_no_failure() {
    let mut child = Command::from(program(KEYHOLDER)).args(["completions", "zsh"]).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[test]
fn the_readme_shows_what_is_printed() {
    let (readme, status) = (include_str!("../../README.md"), include_str!("../golden/keyholder/status.txt"));
    assert!(readme.contains(status), "put this into README.md:\n{status}");
}
