//! Certificates that are verified although nothing was proven. An uploader can say `isVerified: true`, and can write to
//! the certificate afterwards; whatever they do, what nothing accounts for is an error, by event and by sweep.

use std::time::Duration;

use keyholder_emulator::faults::Calls;
use keyholder_emulator::operation::Operation;
use keyholder_emulator_local::functions_host::{Level, Source};
use openssl::hash::MessageDigest;
use openssl::x509::X509;
use serde_json::{Value, json};

use crate::harness::GRANT;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::Cloud;

const QUARTER: Duration = Duration::from_secs(15 * 60);
const SWEEPING: (&str, &str) = ("AzureWebJobs.SweepUnverified.Disabled", "false");

#[tokio::test]
async fn a_certificate_that_came_verified_is_an_error_although_its_uploader_wrote_to_it_since() {
    let ca = Authority::root("Unknown Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.fail(Operation::Deliver, Some("dodger-ca"), Calls::First(1), 503);
    cloud.upload_as_verified("dodger-ca", &ca);
    cloud.until_answered("dodger-ca").await;
    // It stays verified, and is written later than the event says.
    cloud.emulator().advance(Duration::from_secs(2));
    let etag = cloud.certificate("dodger-ca", |certificate| certificate.etag().to_string());
    cloud.person().generate_verification_code("dodger-ca", &etag).await.expect("DPS gives a code");
    cloud.emulator().advance(Duration::from_secs(60));

    let audit = cloud.until_audited("dodger-ca").await;
    assert_eq!((audit.outcome(), audit.level), ("verified-without-proof", Level::Error), "{}", audit.says());
    assert!(audit.says().contains("az iot dps certificate delete"), "{}", audit.says());
}

#[tokio::test]
async fn a_verified_certificate_of_a_granted_ca_is_accounted_for() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.import_ca("plant-ca", &ca).await;
    cloud.upload_as_verified("plant-ca", &ca);
    let audit = cloud.until_audited("plant-ca").await;
    assert_eq!((audit.outcome(), audit.level), ("already-verified", Level::Information), "{}", audit.says());
    for operation in [Operation::GenerateVerificationCode, Operation::Sign, Operation::Verify] {
        assert_eq!(cloud.count(operation), 0, "{operation}\n{}", cloud.story());
    }
}

/// A cloud with sweeps whose events are all lost.
async fn deaf(settings: &[(&str, &str)]) -> Cloud {
    let settings: Vec<(&str, &str)> = [SWEEPING].iter().chain(settings).copied().collect();
    let cloud = Cloud::start_with(&settings).await;
    cloud.fail(Operation::Deliver, None, Calls::Always, 413);
    cloud
}

/// Has a sweep made: its line about what nothing accounts for, if there is one.
async fn swept(cloud: &Cloud, report: &str) -> Option<Value> {
    cloud.emulator().advance(QUARTER);
    cloud.until_logged("is the report", |line| line.text.contains(report)).await;
    let (log, _) = cloud.azure().functions_host().follow();
    let lines = log.iter().filter(|line| line.source == Source::Handler);
    let mut told =
        lines.filter_map(|line| Some((line.level, serde_json::from_str::<Value>(&line.text).ok()?)));
    told.find(|(_, fields)| fields["event"] == "sweep.unproven").map(|(level, fields)| {
        assert_eq!(level, Level::Error, "{fields}");
        fields
    })
}

#[tokio::test]
async fn a_sweep_names_in_one_line_every_verified_certificate_that_nothing_accounts_for() {
    let roots: Vec<Authority> = (0..8).map(|n| Authority::root(&format!("Root {n}"), Family::P256)).collect();
    let cloud = deaf(&[]).await;
    cloud.import_ca("granted-ca", &roots[0]).await;
    cloud.import_ca_tagged("not-granted-ca", &roots[1], &[]).await;
    let names = ["granted-ca", "not-granted-ca", "evil-2", "evil-3", "evil-4", "evil-5", "evil-6", "evil-7"];
    for (name, ca) in names.iter().zip(&roots) {
        cloud.upload_as_verified(name, ca);
    }
    let line = swept(&cloud, "8 of them verified before, 7 verified without proof").await;
    let line = line.expect("there are some");
    assert_eq!(line["unproven"], json!(7), "{line}");
    let named = line["certificates"].as_str().expect("it names them");
    for name in &names[1..] {
        assert!(named.contains(&format!("/certificates/{name}")), "{line}");
    }
    assert!(!named.contains("/certificates/granted-ca"), "{line}");
    let (reason, remedy) = (line["reason"].as_str().unwrap(), line["remedy"].as_str().unwrap());
    assert!(reason.contains("evil-") && reason.contains("no vault holds it"), "{line}");
    assert!(remedy.contains("KEYHOLDER_VERIFIED_BY_HAND"), "{line}");
    // However many there are, the vault's list is read once.
    assert_eq!(cloud.count(Operation::ListVaultCertificates), 1, "{}", cloud.story());
    assert_eq!(cloud.count(Operation::Sign), 0, "{}", cloud.story());
}

#[tokio::test]
async fn what_an_owner_or_the_operator_stands_by_is_not_reported() {
    let [by_hand, in_secret] = ["By Hand", "In Secret"].map(|name| Authority::root(name, Family::P256));
    let [hand, secret] = [&by_hand, &in_secret].map(thumbprint);
    let settings = [("KEYHOLDER_VERIFIED_BY_HAND", &*hand), ("KEYHOLDER_KEY_ACCESS", "read-secret")];
    let cloud = deaf(&settings).await;
    let tags: Vec<(&str, &str)> = GRANT.iter().copied().chain([("keyholder-ca", &*secret)]).collect();
    cloud.store_pem_secret("secret-ca", &in_secret, &tags).await;
    cloud.upload_as_verified("hand-ca", &by_hand);
    cloud.upload_as_verified("secret-ca", &in_secret);
    let line = swept(&cloud, "2 certificates in 1 registries, 2 of them verified before").await;
    assert!(line.is_none(), "{line:?}");
    assert_eq!(cloud.count(Operation::GetSecret), 0, "no key is pulled for that\n{}", cloud.story());
}

#[tokio::test]
async fn a_vault_that_cannot_be_asked_leaves_certificates_unchecked_and_says_so() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = deaf(&[]).await;
    cloud.import_ca("plant-ca", &ca).await;
    cloud.upload_as_verified("plant-ca", &ca);
    cloud.fail(Operation::GetVaultCertificate, None, Calls::Always, 403);
    cloud.emulator().advance(QUARTER);
    let line = cloud.until_logged("is the report", |line| line.text.contains("sweep.ended")).await;
    assert!(
        line.text.contains("1 left for the next time") && line.text.contains("\"level\":\"warn\""),
        "{line}"
    );
}

fn thumbprint(ca: &Authority) -> String {
    let der = X509::from_pem(ca.certificate().as_bytes()).expect("a certificate");
    let digest = der.digest(MessageDigest::sha1()).expect("a digest");
    digest.iter().map(|byte| format!("{byte:02X}")).collect()
}
