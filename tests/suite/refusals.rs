//! Everything that can be wrong with a CA, one row each: the app says what it is, about which object, and what
//! mends it; it signs nothing; and it asks for another delivery only where time is what mends it.

mod rows;
mod scene;

use futures::future::join_all;
use keyholder_emulator::operation::Operation;
use keyholder_emulator::world::VAULT;

pub(crate) use rows::{App, PASSPHRASE, Row, rows};
pub(crate) use scene::{Scene, Sensitive};

use crate::harness::cloud;

#[tokio::test]
async fn a_ca_that_is_to_sign_in_the_vault_and_cannot_is_told_apart_by_why() {
    every_row_is_refused(App::SignsInVault).await;
}

#[tokio::test]
async fn a_secret_that_gives_no_key_is_told_apart_by_why() {
    every_row_is_refused(App::ReadsSecrets).await;
}

#[tokio::test]
async fn a_vault_that_is_away_is_waited_for() {
    every_row_is_refused(App::WithoutVault).await;
}

async fn every_row_is_refused(app: App) {
    let scene = Scene::start(app, cloud::options()).await;
    let rows: Vec<Row> = rows().into_iter().filter(|row| row.app == app).collect();
    for row in &rows {
        let ca = scene.set_up(row).await;
        scene.cloud.upload(row.name, &ca).await;
    }
    join_all(rows.iter().map(|row| is_refused(&scene, row))).await;
}

async fn is_refused(scene: &Scene, row: &Row) {
    let (cloud, name) = (&scene.cloud, row.name);
    let status = cloud.until_answered(name).await;
    let audit = cloud.until_audited(name).await;
    let says = audit.says();
    assert_eq!(audit.outcome(), row.reason.name(), "{name}: {says}");
    assert_eq!(status, if row.delivered_again { 500 } else { 202 }, "{name}: {says}");
    for said in row.says {
        assert!(says.contains(said), "{name}: the audit lacks {said:?}: {says}");
    }

    let story = || cloud.story();
    assert_eq!(cloud.successes(Operation::Sign, &format!("{VAULT}/{name}")), 0, "{name}\n{}", story());
    let handed_in = |entry: &keyholder_emulator::journal::Entry| {
        entry.operation == Operation::Verify && entry.object == name
    };
    assert!(!cloud.journal().iter().any(handed_in), "{name}\n{}", story());
    assert!(!cloud.certificate(name, |certificate| certificate.is_verified()), "{name}");
}
