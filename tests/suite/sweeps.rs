//! `SweepUnverified` in the real process, fired by the host's timer: it verifies what no event told of, and says
//! what it found.

use std::time::Duration;

use keyholder_emulator::faults::Calls;
use keyholder_emulator::operation::Operation;
use keyholder_emulator::world::{RESOURCE_GROUP, SUBSCRIPTION};
use keyholder_emulator_local::local_azure::Options;

use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::{self, Cloud};
use crate::harness::events;
use crate::harness::vaults::import_of;

const QUARTER: Duration = Duration::from_secs(15 * 60);

/// A cloud with sweeps whose events are all lost.
async fn deaf(mut options: Options, settings: &[(&str, &str)]) -> Cloud {
    let settings = [("AzureWebJobs.SweepUnverified.Disabled", "false")].iter().chain(settings);
    options.app_settings.extend(settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let cloud = Cloud::start_from(options).await;
    cloud.fail(Operation::Deliver, None, Calls::Always, 413);
    cloud
}

/// Waits for a sweep that says this.
async fn until_swept(cloud: &Cloud, report: &str) {
    cloud.until_logged("is a sweep's report", |line| line.text.contains(report)).await;
}

#[tokio::test]
async fn a_ca_whose_event_was_lost_is_verified_at_the_next_quarter_of_an_hour() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = deaf(cloud::options(), &[]).await;
    cloud.import_ca("plant-ca", &ca).await;
    cloud.upload("plant-ca", &ca).await;
    assert_eq!(cloud.until_answered("plant-ca").await, 413, "Event Grid gives up on that");
    assert_eq!(cloud.count(Operation::Sign), 0);

    cloud.emulator().advance(QUARTER);
    let proof = cloud.until_verified("plant-ca").await;
    ca.assert_proven(&proof, &cloud.code("plant-ca"));
    until_swept(&cloud, "1 certificates in 1 registries, 0 of them verified before, 1 verified").await;

    cloud.emulator().advance(QUARTER);
    until_swept(&cloud, "1 certificates in 1 registries, 1 of them verified before").await;
    assert_eq!(cloud.successes(Operation::Verify, "plant-ca"), 1, "{}", cloud.story());
}

#[tokio::test]
async fn a_sweep_of_a_subscription_finds_its_instances_and_leaves_what_it_may_not_prove() {
    let mut options = cloud::options();
    options.world.arm.add_resource_group(SUBSCRIPTION, "another-rg");
    options.world.add_provisioning_service(SUBSCRIPTION, "another-rg", "another-dps");
    let subscription = format!("/subscriptions/{SUBSCRIPTION}");
    let cloud = deaf(options, &[("KEYHOLDER_REGISTRIES", &subscription)]).await;
    let rows = [
        ("granted-ca", RESOURCE_GROUP, "my-dps-x509"),
        ("elsewhere-ca", "another-rg", "another-dps"),
        ("unknown-ca", "another-rg", "another-dps"),
    ];
    for (name, group, instance) in rows {
        let ca = Authority::root(name, Family::P256);
        if name != "unknown-ca" {
            // Granted for `my-dps-x509` and for nothing else.
            cloud.import_into("my-vault", name, import_of(&ca));
        }
        cloud.upload_to(group, instance, name, &ca);
    }
    cloud.emulator().advance(QUARTER);
    let found = "3 certificates in 2 registries, 0 of them verified before";
    until_swept(&cloud, &format!("{found}, 1 verified, 1 no-grant, 1 ca-missing")).await;
    for (name, reason) in [("elsewhere-ca", "no-grant"), ("unknown-ca", "ca-missing")] {
        let audit = cloud.until_audited(name).await;
        assert_eq!(audit.outcome(), reason, "{name}: {}", audit.says());
    }
    assert_eq!(cloud.count(Operation::Sign), 1, "{}", cloud.story());
}

#[tokio::test]
async fn a_ca_that_its_owner_has_granted_meanwhile_needs_no_event() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = deaf(cloud::options(), &[]).await;
    cloud.import_ca_tagged("plant-ca", &ca, &[]).await;
    cloud.upload("plant-ca", &ca).await;
    cloud.until_answered("plant-ca").await;
    let webhook = cloud.azure().functions_host().webhook("VerifyOnUpload");
    assert_eq!(events::notify(&webhook, &events::upload("plant-ca")).await, 202, "denied, which is final");
    assert_eq!(cloud.count(Operation::Sign), 0, "{}", cloud.story());

    cloud.import_ca("plant-ca", &ca).await;
    cloud.emulator().advance(QUARTER);
    cloud.until_verified("plant-ca").await;
}
