//! The four classic ways in which a proof by hand fails, against DPS over TLS. The CAs are in no vault, so that
//! the app leaves them to the person.

use std::time::Duration;

use keyholder_emulator::faults::{Calls, Effect};
use keyholder_emulator::operation::Operation;
use keyholder_emulator_local::client::Answer;

use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::Cloud;

const TWO_DAYS: Duration = Duration::from_secs(2 * 24 * 60 * 60);

#[tokio::test]
async fn a_proof_by_hand_is_accepted() {
    let (cloud, ca) = uploaded().await;
    let (code, etag) = challenge(&cloud).await;
    let answer = hand_in(&cloud, &etag, &ca.prove(&code)).await;
    assert_eq!((answer.status.as_u16(), is_verified(&cloud)), (200, true), "{}", answer.body);
}

#[tokio::test]
async fn a_stale_etag_is_refused_and_the_current_one_is_not() {
    let (cloud, ca) = uploaded().await;
    let stale = text(&cloud.person().show("by-hand-ca").await.expect("DPS answers"), "/etag");
    let (code, etag) = challenge(&cloud).await;
    let proof = ca.prove(&code);

    let answer = hand_in(&cloud, &stale, &proof).await;
    assert_eq!((answer.status.as_u16(), is_verified(&cloud)), (412, false));
    assert!(text(&answer, "/message").starts_with("Invalid ETag supplied."), "{}", answer.body);
    assert_eq!(hand_in(&cloud, &etag, &proof).await.status, 200);
}

#[tokio::test]
async fn a_write_by_somebody_else_costs_the_app_a_second_proof_and_nothing_more() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.import_ca("contested-ca", &ca).await;
    for operation in [Operation::GenerateVerificationCode, Operation::Verify] {
        cloud.meet(operation, Some("contested-ca"), Calls::First(1), Effect::SomebodyElseWrites);
    }
    cloud.upload("contested-ca", &ca).await;
    cloud.until_verified("contested-ca").await;

    let refused =
        |entry: &keyholder_emulator::journal::Entry| (entry.status == 412).then_some(entry.operation);
    let refused: Vec<Operation> = cloud.journal().iter().filter_map(refused).collect();
    assert!(refused.contains(&Operation::GenerateVerificationCode), "{}", cloud.story());
    assert!(refused.contains(&Operation::Verify), "{}", cloud.story());
    assert_eq!(cloud.successes(Operation::Verify, "contested-ca"), 1, "{}", cloud.story());
}

#[tokio::test]
async fn a_proof_that_proves_nothing_is_refused_and_says_why() {
    let (cloud, ca) = uploaded().await;
    let impostor = Authority::root("By Hand Root", Family::P256);
    let stranger = Authority::root("Another Root", Family::P256);
    let (code, etag) = challenge(&cloud).await;
    let rows = [
        ("another code", ca.prove("0000000000000000"), "is not the verification code"),
        ("the same name, another key", impostor.prove(&code), "is not of the uploaded certificate's key"),
        ("another CA", stranger.prove(&code), "cannot be found in the certificate chain"),
    ];
    for (name, proof, reason) in rows {
        let answer = hand_in(&cloud, &etag, &proof).await;
        let message = text(&answer, "/message");
        assert_eq!(answer.status, 400, "{name}: {message}");
        assert!(message.starts_with("Proof-Of-Possession failed."), "{name}: {message}");
        assert!(message.contains(reason), "{name}: {message}");
        assert!(!is_verified(&cloud), "{name}");
    }
    assert_eq!(hand_in(&cloud, &etag, &ca.prove(&code)).await.status, 200, "a refused proof changes nothing");
}

#[tokio::test]
async fn a_proof_that_comes_two_days_late_is_refused() {
    let (cloud, ca) = uploaded().await;
    let (code, etag) = challenge(&cloud).await;
    let proof = ca.prove(&code);
    cloud.emulator().advance(TWO_DAYS);
    let answer = hand_in(&cloud, &etag, &proof).await;
    assert_eq!((answer.status.as_u16(), is_verified(&cloud)), (400, false), "{}", answer.body);
    assert!(text(&answer, "/message").contains("has expired"), "{}", answer.body);
}

#[tokio::test]
async fn a_ca_in_no_vault_is_left_alone_with_the_command_that_would_help() {
    let (cloud, _) = uploaded().await;
    let audit = cloud.until_audited("by-hand-ca").await;
    let says = audit.says();
    assert!(says.contains("az keyvault certificate import") && says.contains("--name by-hand-ca"), "{says}");
    let answer = "/certificates/by-hand-ca: failed: ca-missing";
    cloud.until_logged("is the answer, and no more", |line| line.text.ends_with(answer)).await;
    assert_eq!(cloud.count(Operation::GenerateVerificationCode), 0, "no code is asked for in vain");
}

/// A cloud where the app has given up on a CA that no vault holds.
async fn uploaded() -> (Cloud, Authority) {
    let ca = Authority::root("By Hand Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.upload("by-hand-ca", &ca).await;
    assert_eq!(cloud.until_answered("by-hand-ca").await, 202);
    (cloud, ca)
}

/// A code, and the etag that goes with it.
async fn challenge(cloud: &Cloud) -> (String, String) {
    let shown = cloud.person().show("by-hand-ca").await.expect("DPS answers");
    let asked = cloud.person().generate_verification_code("by-hand-ca", &text(&shown, "/etag")).await;
    let asked = asked.expect("DPS hands out a code");
    (text(&asked, "/properties/verificationCode"), text(&asked, "/etag"))
}

async fn hand_in(cloud: &Cloud, etag: &str, proof: &str) -> Answer {
    cloud.person().verify("by-hand-ca", etag, proof).await.expect("DPS answers")
}

fn is_verified(cloud: &Cloud) -> bool {
    cloud.certificate("by-hand-ca", |certificate| certificate.is_verified())
}

fn text(answer: &Answer, pointer: &str) -> String {
    let text = answer.body.pointer(pointer).and_then(serde_json::Value::as_str);
    text.unwrap_or_else(|| panic!("{pointer} is missing in {}", answer.body)).to_owned()
}
