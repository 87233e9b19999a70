//! The two locks: without the app's owner nothing is even asked, without the CA's owner nothing is signed.

use keyholder_emulator::key_vault::Changes;
use keyholder_emulator::operation::Operation;
use keyholder_emulator::world::{RESOURCE_GROUP, SUBSCRIPTION, VAULT};
use keyholder_emulator_local::functions_host::Level;
use openssl::hash::MessageDigest;
use openssl::x509::X509;

use crate::harness::GRANT;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::Cloud;

#[tokio::test]
async fn a_registry_that_is_not_served_costs_no_call_at_all() {
    let ca = Authority::root("Plant Root", Family::P256);
    let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups");
    let rows = [
        "/subscriptions/00000000-0000-0000-0000-000000000001".to_owned(),
        format!("{group}/another-rg"),
        format!("{group}/{RESOURCE_GROUP}-2"),
        format!("{group}/{RESOURCE_GROUP}/providers/Microsoft.Devices/provisioningServices/another-dps"),
    ];
    for allowed in rows {
        let cloud = Cloud::start_with(&[("KEYHOLDER_REGISTRIES", &allowed)]).await;
        cloud.import_ca("plant-ca", &ca).await;
        cloud.upload("plant-ca", &ca).await;
        assert_eq!(cloud.until_answered("plant-ca").await, 202, "{allowed}");

        let calls = cloud.journal().into_iter().map(|entry| entry.operation);
        let after: Vec<Operation> = calls.skip_while(|call| *call != Operation::PutCertificate).collect();
        let expected = [Operation::PutCertificate, Operation::Invoke, Operation::Deliver];
        assert_eq!(after, expected, "{allowed}\n{}", cloud.story());
        let audit = cloud.until_audited("plant-ca").await;
        let says = audit.says();
        assert!(says.contains("KEYHOLDER_REGISTRIES does not cover"), "{says}");
        assert!(!says.contains(&allowed), "the allow-list is nobody else's business: {says}");
        assert_eq!((audit.outcome(), audit.level), ("registry-not-allowed", Level::Error), "{says}");
    }
}

#[tokio::test]
async fn a_ca_without_a_grant_for_this_registry_signs_nothing() {
    type Tags = &'static [(&'static str, &'static str)];
    let rows: [(&str, Tags, &str); 5] = [
        ("no-tag-ca", &[], "keyholder=my-dps-x509"),
        ("other-tag-ca", &[("owner", "pki team")], "keyholder=my-dps-x509 and its other tags"),
        ("other-dps-ca", &[("keyholder", "another-dps")], "\"keyholder=another-dps,my-dps-x509\""),
        ("prefix-ca", &[("keyholder", "my-dps-x50")], "\"keyholder=my-dps-x50,my-dps-x509\""),
        ("empty-tag-ca", &[("keyholder", "")], "keyholder=my-dps-x509"),
    ];
    let cloud = Cloud::start().await;
    for (name, tags, grant) in rows {
        let ca = Authority::root(name, Family::P256);
        cloud.import_ca_tagged(name, &ca, tags).await;
        cloud.upload(name, &ca).await;
        assert_eq!(cloud.until_answered(name).await, 202, "{name}");
        let command = format!(
            "az keyvault certificate set-attributes --vault-name my-vault --name {name} --tags {grant}"
        );
        let audit = cloud.until_audited(name).await;
        let says = audit.says();
        assert!(says.contains(&command), "{says}\nlacks\n{command}");
        assert_eq!((audit.outcome(), audit.level), ("no-grant", Level::Error), "{says}");
        let answer = format!("/certificates/{name}: denied: no-grant");
        cloud.until_logged("is the answer, and no more", |line| line.text.ends_with(&answer)).await;
    }
    let (console, _) = cloud.azure().functions_host().follow();
    let told = console.iter().find(|line| line.text.contains("pki team"));
    assert!(told.is_none(), "a tag that is none of our business: {told:?}");
    for operation in [Operation::GenerateVerificationCode, Operation::Sign, Operation::GetSecret] {
        assert_eq!(cloud.count(operation), 0, "{operation}\n{}", cloud.story());
    }
}

#[tokio::test]
async fn a_grant_that_comes_later_counts_from_the_next_delivery() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.import_ca_tagged("plant-ca", &ca, &[]).await;
    cloud.upload("plant-ca", &ca).await;
    assert_eq!(cloud.until_answered("plant-ca").await, 202);

    cloud.import_ca("plant-ca", &ca).await;
    cloud.deliver_again("plant-ca");
    cloud.until_verified("plant-ca").await;
}

#[tokio::test]
async fn a_secret_without_a_grant_is_never_read() {
    let cloud = Cloud::start_with(&[("KEYHOLDER_KEY_ACCESS", "read-secret")]).await;
    for (name, tags) in [("plain-ca", &[][..]), ("other-dps-ca", &[("keyholder", "another-dps")])] {
        let ca = Authority::root(name, Family::P256);
        cloud.store_pem_secret(name, &ca, tags).await;
        cloud.upload(name, &ca).await;
        assert_eq!(cloud.until_answered(name).await, 202, "{name}");
        let command =
            format!("az keyvault secret set-attributes --vault-name my-vault --name {name} --tags ");
        cloud.until_logged("says how to grant it", |line| line.text.contains(&command)).await;
    }
    assert_eq!(cloud.count(Operation::GetSecret), 0, "{}", cloud.story());
    assert_eq!(cloud.count(Operation::GenerateVerificationCode), 0, "{}", cloud.story());
}

/// A public key is public: an uploader can write a certificate around it, with a name, a key identifier and a
/// validity of their own.
#[tokio::test]
async fn a_certificate_written_around_the_public_key_of_a_ca_signs_nothing_until_its_owner_names_it() {
    let victim = Authority::root("Plant Root", Family::P256);
    let foreign = Authority::root("Attacker Root", Family::P256);
    let forged = foreign.around_the_key_of(&victim, "login.victim.example");
    let cloud = Cloud::start_with(&[("KEYHOLDER_KEY_ACCESS", "read-secret")]).await;
    cloud.store_secret("plant-ca", victim.key());
    cloud.upload("plant-ca", &forged).await;
    assert_eq!(cloud.until_answered("plant-ca").await, 202);
    let audit = cloud.until_audited("plant-ca").await;
    let fingerprint = X509::from_pem(forged.certificate().as_bytes())
        .and_then(|forged| forged.digest(MessageDigest::sha256()))
        .expect("a certificate");
    let fingerprint: String = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
    let says = audit.says();
    for part in [
        "az keyvault secret set-attributes --vault-name my-vault --name plant-ca --version ",
        &format!(" --tags keyholder=my-dps-x509 keyholder-certificate-sha256={fingerprint}"),
    ] {
        assert!(says.contains(part), "{says}\nlacks\n{part}");
    }
    assert_eq!((audit.outcome(), audit.level), ("certificate-not-named", Level::Error), "{says}");
    assert_eq!(cloud.count(Operation::Verify), 0, "{}", cloud.story());

    // What only the owner of the key can do.
    let tags = [("keyholder", "my-dps-x509"), ("keyholder-certificate-sha256", &fingerprint)];
    cloud.change_vaults(|vaults, now| vaults.update_secret(VAULT, "plant-ca", Changes::tags(tags), now));
    cloud.deliver_again("plant-ca");
    cloud.until_verified("plant-ca").await;
}

#[tokio::test]
async fn a_granted_secret_is_not_read_unless_the_app_may_pull_keys() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.store_pem_secret("plant-ca", &ca, GRANT).await;
    cloud.upload("plant-ca", &ca).await;
    assert_eq!(cloud.until_answered("plant-ca").await, 202);
    assert_eq!(cloud.count(Operation::GetSecret), 0, "{}", cloud.story());
    assert!(!cloud.certificate("plant-ca", |certificate| certificate.is_verified()));
}
