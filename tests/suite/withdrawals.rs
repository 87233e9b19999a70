//! An owner withdraws a grant from the object they see, which is its newest version. Nothing older outlives that.

use std::time::Duration;

use keyholder_emulator::key_vault::{Changes, NewSecret, Stamp};
use keyholder_emulator::operation::Operation;
use keyholder_emulator::world::VAULT;
use keyholder_emulator_local::functions_host::Level;

use crate::harness::GRANT;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::{Audit, Cloud};

const NO_TAGS: [(&str, &str); 0] = [];

/// Uploads a CA and waits for the end of its run, which is a denial that signs nothing.
async fn until_denied(cloud: &Cloud, ca: &Authority) -> Audit {
    cloud.upload("rot-ca", ca).await;
    let audit = cloud.until_audited("rot-ca").await;
    assert_eq!((audit.outcome(), audit.level), ("no-grant", Level::Error), "{}", cloud.story());
    for operation in [Operation::GenerateVerificationCode, Operation::Sign, Operation::GetSecret] {
        assert_eq!(cloud.count(operation), 0, "{operation}\n{}", cloud.story());
    }
    audit
}

#[tokio::test]
async fn a_grant_that_is_withdrawn_from_a_certificate_is_withdrawn_from_its_older_versions() {
    let [old, new] = ["Old Root", "New Root"].map(|name| Authority::root(name, Family::P256));
    let cloud = Cloud::start().await;
    cloud.import_ca("rot-ca", &old).await;
    cloud.import_ca("rot-ca", &new).await;
    cloud
        .change_vaults(|vaults, now| vaults.update_certificate(VAULT, "rot-ca", Changes::tags(NO_TAGS), now));
    let says = until_denied(&cloud, &old).await.says();
    assert!(says.contains("only while the newest grants it too"), "{says}");
}

#[tokio::test]
async fn a_version_is_not_used_because_a_newer_one_is_disabled() {
    let [old, new] = ["Old Root", "New Root"].map(|name| Authority::root(name, Family::P256));
    let cloud = Cloud::start().await;
    cloud.import_ca("rot-ca", &old).await;
    cloud.import_ca_tagged("rot-ca", &new, &[]).await;
    cloud.change_vaults(|vaults, now| {
        vaults.update_certificate(VAULT, "rot-ca", Changes::enabled(false), now)
    });
    until_denied(&cloud, &old).await;
}

#[tokio::test]
async fn disabling_the_newest_version_of_a_secret_does_not_bring_back_the_grant_of_an_older_one() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start_with(&[("KEYHOLDER_KEY_ACCESS", "read-secret")]).await;
    cloud.store_pem_secret("rot-ca", &ca, GRANT).await;
    cloud.emulator().advance(Duration::from_secs(2));
    cloud.store_pem_secret("rot-ca", &ca, &[]).await;
    cloud.change_vaults(|vaults, now| vaults.update_secret(VAULT, "rot-ca", Changes::enabled(false), now));
    until_denied(&cloud, &ca).await;
}

#[tokio::test]
async fn of_secret_versions_of_the_same_second_every_one_has_to_grant() {
    let ca = Authority::root("Plant Root", Family::P256);
    for first_granted in [true, false] {
        let cloud = Cloud::start_with(&[("KEYHOLDER_KEY_ACCESS", "read-secret")]).await;
        cloud.emulator().with(|world, now| {
            for granted in [first_granted, !first_granted] {
                let tags = if granted { GRANT } else { &[] };
                let secret = NewSecret::new(ca.key_and_certificate()).tags(tags.iter().copied());
                let stamp = Stamp::new(now, &mut world.random);
                world.key_vaults.set_secret(VAULT, "rot-ca", secret, stamp).expect("the vault takes it");
            }
        });
        until_denied(&cloud, &ca).await;
    }
}

#[tokio::test]
async fn an_older_version_that_is_not_granted_is_granted_by_its_own_version() {
    let [old, new] = ["Old Root", "New Root"].map(|name| Authority::root(name, Family::P256));
    let cloud = Cloud::start().await;
    cloud.import_ca_tagged("rot-ca", &old, &[("team", "old")]).await;
    cloud.import_ca_tagged("rot-ca", &new, &[("keyholder", "other-dps"), ("owner", "pki")]).await;
    let says = until_denied(&cloud, &old).await.says();
    let set = "az keyvault certificate set-attributes --vault-name my-vault --name rot-ca --version ";
    let commands: Vec<&str> = says.split(set).skip(1).collect();
    let [of_older, of_newest] = commands[..] else { panic!("{says}") };
    assert!(of_older.contains("--tags keyholder=my-dps-x509 and its other tags"), "{says}");
    assert!(of_newest.contains(r#"--tags "keyholder=other-dps,my-dps-x509" and its other tags"#), "{says}");
    assert!(!says.contains("team") && !says.contains("pki"), "what else is in tags is not told: {says}");
}
