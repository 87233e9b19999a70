//! Emulated Event Grid and its subscribers as programs of their own: who agrees to be delivered to, who may deliver,
//! and what becomes of what nobody took.

use std::path::{Path, PathBuf};
use std::time::Duration;

use keyholder_emulator::event_grid::{Provisioning, Schema, Subscription, SubscriptionName};
use keyholder_emulator::faults::Calls;
use keyholder_emulator::operation::Operation;
use keyholder_emulator_local::local_azure::Options;
use serde_json::{Value, json};
use url::Url;

use crate::harness::HTTP;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::{self, Cloud};
use crate::harness::front_door::{FrontDoor, Kind};

/// Has Event Grid ask an endpoint for its consent, and waits for what comes of it.
async fn propose(cloud: &Cloud, endpoint: Url, schema: Schema) -> Provisioning {
    let name: SubscriptionName = "verify-on-upload".parse().unwrap();
    let proposed = cloud.emulator().with(|world, now| {
        let subscription = world.event_grid.subscription(&name).expect("it is there at start").clone();
        let asked = world.journal.count(Operation::ValidateEndpoint);
        let subscription = Subscription { endpoint: endpoint.into(), schema, ..subscription };
        world.event_grid.propose(subscription, now).map(|()| asked)
    });
    let asked = proposed.expect("the service would have it");
    cloud
        .until("the endpoint was asked", |world| {
            (world.journal.count(Operation::ValidateEndpoint) > asked).then_some(())
        })
        .await;
    cloud.emulator().look(|world, now| world.event_grid.provisioning(&name, now)).expect("it is proposed")
}

#[tokio::test]
async fn every_way_into_the_app_agrees_to_be_delivered_to_and_then_verifies() {
    let ca = Authority::root("Plant Root", Family::P256);
    for schema in [Schema::EventGrid, Schema::CloudEvents] {
        let cloud = Cloud::start().await;
        cloud.import_ca("plant-ca", &ca).await;
        let server = FrontDoor::open(Kind::Server, &cloud).await;
        let lambda = FrontDoor::open(Kind::Lambda, &cloud).await;
        let host = cloud.azure().functions_host().webhook("VerifyOnUpload");
        for (way, endpoint) in [("host", host), ("server", server.endpoint()), ("lambda", lambda.endpoint())]
        {
            let state = propose(&cloud, endpoint, schema).await;
            assert_eq!(state, Provisioning::Succeeded, "{way} {schema:?}\n{}", cloud.story());
            cloud.upload(way, &ca).await;
            cloud.until_verified(way).await;
        }
    }
}

#[tokio::test]
async fn a_webhook_that_wants_a_secret_does_not_agree_without_it() {
    let cloud = Cloud::start().await;
    let server = FrontDoor::open(Kind::Server, &cloud).await;
    let state = propose(&cloud, server.url("eventgrid?code=wrong"), Schema::EventGrid).await;
    assert_eq!(state, Provisioning::Updating, "it is asked once more");
    cloud.emulator().advance(Duration::from_secs(5));
    let failed = cloud
        .until("the update has failed", |world| {
            let now = cloud.emulator().now();
            let state = world.event_grid.provisioning(&"verify-on-upload".parse().unwrap(), now);
            state.filter(|state| matches!(state, Provisioning::Failed(_)))
        })
        .await;
    assert!(matches!(&failed, Provisioning::Failed(reason) if reason.contains("401")), "{failed:?}");
    let in_force = cloud.emulator().look(|world, _| {
        world.event_grid.subscriptions().next().expect("what was in force still is").endpoint.clone()
    });
    assert_eq!(*in_force.url(), cloud.azure().functions_host().webhook("VerifyOnUpload"));
}

#[tokio::test]
async fn where_the_host_asks_for_keys_event_grid_has_one_and_nobody_else_gets_in() {
    let ca = Authority::root("Plant Root", Family::P256);
    let options = cloud::options();
    let cloud = Cloud::start_from(Options { app: options.app.clone().asking_for_keys(), ..options }).await;
    cloud.import_ca("plant-ca", &ca).await;
    cloud.upload("plant-ca", &ca).await;
    cloud.until_verified("plant-ca").await;

    let host = cloud.azure().functions_host();
    let sweep = || HTTP.post(host.admin("SweepUnverified"));
    assert_eq!(sweep().send().await.unwrap().status(), 401);
    let master = host.master_key().expect("it asks for keys");
    assert_eq!(sweep().header("x-functions-key", master).send().await.unwrap().status(), 202);
    let mut without = host.webhook("VerifyOnUpload");
    without.set_query(Some("functionName=VerifyOnUpload"));
    let event = json!([{ "id": "1" }]).to_string();
    let answer =
        HTTP.post(without).header("aeg-event-type", "Notification").body(event).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), cloud.count(Operation::Deliver)), (401, 1));
}

#[tokio::test]
async fn an_event_nobody_takes_is_a_file_where_azure_would_keep_a_blob() {
    let ca = Authority::root("Plant Root", Family::P256);
    let folder = tempfile::tempdir().unwrap();
    let options = Options { dead_letters: Some(folder.path().to_owned()), ..cloud::options() };
    let cloud = Cloud::start_from(options).await;
    cloud.fail(Operation::Deliver, Some("plant-ca"), Calls::Always, 413);
    cloud.upload("plant-ca", &ca).await;
    assert_eq!(cloud.until_answered("plant-ca").await, 413);
    assert_eq!(files(folder.path()), [] as [PathBuf; 0]);

    cloud.emulator().advance(Duration::from_secs(5 * 60));
    let path = cloud
        .until("there is a dead letter", |world| {
            Some(folder.path().join(world.event_grid.dead_letters().next()?.path()))
        })
        .await;
    let written = async {
        while files(folder.path()).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), written).await.expect("it is written");
    assert_eq!(files(folder.path()), std::slice::from_ref(&path));
    let blob: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (member, value) in [
        ("deadLetterReason", json!("NotRetriable")),
        ("deliveryAttempts", json!(1)),
        ("lastDeliveryOutcome", json!("PayloadTooLarge")),
    ] {
        assert_eq!(blob[0][member], value, "{member}");
    }
    assert!(blob[0]["subject"].as_str().unwrap().ends_with("/certificates/plant-ca"));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
