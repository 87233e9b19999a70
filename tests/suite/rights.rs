//! Roles asked for: the app works with those that `infra/` gives it, is refused everything else in the service's own
//! words, and the person keeps all rights.

use keyholder::permissions;
use keyholder_emulator::rbac::Role;
use keyholder_emulator::{World, app_roles};

use crate::harness::GRANT;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::{Cloud, options};
use crate::harness::programs::{EMULATOR, program, result};

/// A cloud whose app has these roles and no other rights.
async fn cloud_with(roles: Vec<Role>, settings: &[(&str, &str)]) -> Cloud {
    let mut options = options();
    options.world = World { rbac: app_roles::rbac(roles), ..options.world };
    options
        .app_settings
        .extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Cloud::start_from(options).await
}

#[tokio::test]
async fn the_roles_of_infra_are_enough_to_have_the_vault_sign() {
    let (cloud, ca) = (cloud_with(app_roles::of_infrastructure(false), &[]).await, root());
    cloud.import_ca("root-ca", &ca).await;
    cloud.upload("root-ca", &ca).await;
    cloud.until_verified("root-ca").await;
    assert!(cloud.journal().iter().all(|entry| entry.status != 403), "{}", cloud.story());
}

#[tokio::test]
async fn the_roles_of_infra_are_enough_to_pull_a_key() {
    let settings = [("KEYHOLDER_KEY_ACCESS", "read-secret")];
    let (cloud, ca) = (cloud_with(app_roles::of_infrastructure(true), &settings).await, root());
    cloud.store_pem_secret("root-ca", &ca, GRANT).await;
    cloud.upload("root-ca", &ca).await;
    cloud.until_verified("root-ca").await;
    assert!(cloud.journal().iter().all(|entry| entry.status != 403), "{}", cloud.story());
}

#[tokio::test]
async fn a_right_that_lacks_is_named_in_the_app_s_log() {
    let without = |list: &[&'static str], action: &str| -> Vec<&'static str> {
        list.iter().copied().filter(|granted| *granted != action).collect()
    };
    let sign = "Microsoft.KeyVault/vaults/keys/sign/action";
    let verify = "Microsoft.Devices/provisioningServices/certificates/verify/action";
    let rows = [
        (sign, permissions::ACTIONS.to_vec(), without(permissions::DATA_ACTIONS, sign)),
        (
            verify,
            without(
                permissions::ACTIONS,
                "Microsoft.Devices/provisioningServices/certificates/verify/Action",
            ),
            permissions::DATA_ACTIONS.to_vec(),
        ),
    ];
    for (missing, actions, data_actions) in rows {
        let (cloud, ca) =
            (cloud_with(vec![Role::new("too little", actions, data_actions)], &[]).await, root());
        cloud.import_ca("root-ca", &ca).await;
        cloud.upload("root-ca", &ca).await;
        let line = cloud
            .until_logged("names the right", |line| {
                line.text.contains("ERROR")
                    && line.text.contains("access-refused")
                    && line.text.contains(missing)
            })
            .await;
        assert!(line.text.contains("root-ca"), "{line}");
        assert!(!cloud.certificate("root-ca", |certificate| certificate.is_verified()));
    }
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
