//! Event Grid delivers at least once, in any order, and the app may be killed at any moment: whatever happens,
//! the certificate is verified exactly once.

use std::time::Duration;

use keyholder_emulator::faults::{Calls, Effect};
use keyholder_emulator::operation::Operation;
use keyholder_emulator_local::local_azure::Options;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use url::Url;

use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::{self, Cloud};

/// Longer than Event Grid waits before its second attempt.
const SECOND_ATTEMPT: Duration = Duration::from_secs(31);
/// Longer than the Functions host remembers a crash.
const FORGIVEN: Duration = Duration::from_secs(31 * 60);

/// Each call the app makes on its way to a verified certificate, in order, with the object it is about.
const STEPS: [(Operation, &str); 5] = [
    (Operation::GetCertificate, ""),
    (Operation::GetVaultCertificate, "my-vault/"),
    (Operation::GenerateVerificationCode, ""),
    (Operation::Sign, "my-vault/"),
    (Operation::Verify, ""),
];

#[tokio::test]
async fn an_event_delivered_again_and_again_verifies_once() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.import_ca("plant-ca", &ca).await;
    cloud.upload("plant-ca", &ca).await;
    cloud.until_verified("plant-ca").await;
    let etag = cloud.certificate("plant-ca", |certificate| certificate.etag().to_string());

    cloud.deliver_again("plant-ca");
    cloud.until_answers("plant-ca", 2).await;
    (0..5).for_each(|_| cloud.deliver_again("plant-ca"));
    let answers = cloud.until_answers("plant-ca", 7).await;

    assert_eq!(answers, [202; 7]);
    assert_eq!(cloud.successes(Operation::Verify, "plant-ca"), 1, "{}", cloud.story());
    assert_eq!(cloud.count(Operation::Sign), 1, "{}", cloud.story());
    let untouched = cloud.certificate("plant-ca", |certificate| certificate.etag().to_string());
    assert_eq!(untouched, etag, "nothing was written after the proof");
}

#[tokio::test]
async fn deliveries_that_race_verify_once() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.import_ca("plant-ca", &ca).await;
    // None is on its way before all are there.
    cloud.fail(Operation::Deliver, Some("plant-ca"), Calls::First(1), 503);
    cloud.upload("plant-ca", &ca).await;
    cloud.until_answered("plant-ca").await;
    (0..5).for_each(|_| cloud.deliver_again("plant-ca"));
    cloud.emulator().advance(SECOND_ATTEMPT);

    let answers = cloud.until_answers("plant-ca", 7).await;
    let proof = cloud.until_verified("plant-ca").await;

    assert_eq!(answers, [503, 202, 202, 202, 202, 202, 202]);
    assert_eq!(cloud.successes(Operation::Verify, "plant-ca"), 1, "{}", cloud.story());
    assert_eq!(cloud.count(Operation::Sign), 1, "they share one run\n{}", cloud.story());
    ca.assert_proven(&proof, &cloud.code("plant-ca"));
}

#[tokio::test]
async fn what_fails_for_a_while_is_delivered_again_and_then_verified() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    let names: Vec<String> = (0..STEPS.len()).map(|step| format!("plant-ca-{step}")).collect();
    for (name, (operation, prefix)) in names.iter().zip(STEPS) {
        cloud.import_ca(name, &ca).await;
        cloud.fail(operation, Some(&format!("{prefix}{name}")), Calls::Always, 503);
        cloud.upload(name, &ca).await;
    }
    for (name, (operation, _)) in names.iter().zip(STEPS) {
        assert_eq!(cloud.until_answered(name).await, 500, "{operation}\n{}", cloud.story());
    }
    cloud.recover();
    cloud.emulator().advance(SECOND_ATTEMPT);
    for (name, (operation, _)) in names.iter().zip(STEPS) {
        let proof = cloud.until_verified(name).await;
        ca.assert_proven(&proof, &cloud.code(name));
        assert_eq!(cloud.until_answers(name, 2).await, [500, 202], "{operation}");
    }
}

#[tokio::test]
async fn an_app_without_a_token_loses_no_upload() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.import_ca("plant-ca", &ca).await;
    // Held back, because the person needs a token too.
    cloud.fail(Operation::Deliver, Some("plant-ca"), Calls::First(1), 503);
    cloud.upload("plant-ca", &ca).await;
    cloud.until_answered("plant-ca").await;

    // How often it asks is ours to say, and not the SDK's; and not before the endpoint wants to be asked again. Each
    // time it asks for ARM, and, unless that was over first, for the vault.
    let rows = [(Effect::Answer(500), 4..=8), (Effect::Throttle { retry_after: Some(60) }, 1..=2)];
    for (attempt, (effect, asked)) in (2..).zip(rows) {
        cloud.recover();
        cloud.meet(Operation::GetToken, None, Calls::Always, effect);
        let before = cloud.count(Operation::GetToken);
        cloud.emulator().advance(attempt * SECOND_ATTEMPT);
        let answers = cloud.until_answers("plant-ca", attempt as usize).await;
        assert_eq!(answers.last(), Some(&500), "{effect:?}: {}", cloud.story());
        let times = cloud.count(Operation::GetToken) - before;
        assert!(asked.contains(&times), "{effect:?}, {times} times: {}", cloud.story());
    }
    cloud.recover();
    cloud.emulator().advance(20 * SECOND_ATTEMPT);
    cloud.until_verified("plant-ca").await;
}

#[tokio::test]
async fn an_app_that_is_killed_at_any_step_finishes_with_the_next_delivery() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    for (step, (operation, prefix)) in STEPS.into_iter().enumerate() {
        let name = format!("plant-ca-{step}");
        cloud.import_ca(&name, &ca).await;
        // The step does not get through, so this is where the app is when it dies.
        let object = format!("{prefix}{name}");
        cloud.fail(operation, Some(&object), Calls::Always, 503);
        cloud.upload(&name, &ca).await;
        cloud
            .until(&format!("{operation} is refused"), |world| {
                let mut entries = world.journal.entries();
                entries.any(|entry| entry.object == object && entry.status == 503).then_some(())
            })
            .await;
        cloud.azure().functions_host().kill_handler().await;
        assert_eq!(cloud.until_answered(&name).await, 500, "{operation}\n{}", cloud.story());

        cloud.recover();
        cloud.emulator().advance(FORGIVEN);
        let proof = cloud.until_verified(&name).await;
        ca.assert_proven(&proof, &cloud.code(&name));
        assert_eq!(cloud.successes(Operation::Verify, &name), 1, "{operation}\n{}", cloud.story());
    }
}

#[tokio::test]
async fn an_app_that_is_killed_after_its_proof_was_taken_does_not_prove_again() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.import_ca("plant-ca", &ca).await;
    cloud.upload("plant-ca", &ca).await;
    cloud.until_called(Operation::Verify).await;
    cloud.azure().functions_host().kill_handler().await;
    cloud.until_answered("plant-ca").await;

    cloud.deliver_again("plant-ca");
    cloud.emulator().advance(SECOND_ATTEMPT);
    cloud.until_verified("plant-ca").await;
    assert_eq!(cloud.successes(Operation::Verify, "plant-ca"), 1, "{}", cloud.story());
    assert_eq!(cloud.count(Operation::Sign), 1, "{}", cloud.story());
}

#[tokio::test]
async fn uploads_can_be_sent_elsewhere_and_then_the_app_here_rests() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let webhook =
        format!("http://{}/runtime/webhooks/eventgrid?functionName=F", elsewhere.local_addr().unwrap());
    let deliver_to = Some(Url::parse(&webhook).unwrap().into());
    let cloud = Cloud::start_from(Options { deliver_to, ..cloud::options() }).await;
    let ca = Authority::root("Plant Root", Family::P256);
    cloud.import_ca("plant-ca", &ca).await;
    cloud.upload("plant-ca", &ca).await;

    let (connection, _) = elsewhere.accept().await.unwrap();
    let mut lines = BufReader::new(connection).lines();
    let request = lines.next_line().await.unwrap().unwrap();
    assert_eq!(request, "POST /runtime/webhooks/eventgrid?functionName=F HTTP/1.1");
    assert_eq!(cloud.count(Operation::Invoke), 0, "{}", cloud.story());
    assert!(!cloud.certificate("plant-ca", |certificate| certificate.is_verified()));
}
