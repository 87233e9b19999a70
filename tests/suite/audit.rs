//! What the log says of each use of a key: a line before it, so that no signature is ever made without a trace,
//! and a line after it that says how it ended and which rules allowed it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyholder_emulator::faults::{Calls, Effect};
use keyholder_emulator::operation::Operation;
use keyholder_emulator::world::{RESOURCE_GROUP, SUBSCRIPTION};
use keyholder_emulator_local::functions_host::{Level, Line};
use keyholder_emulator_local::local_azure::certificate_id;
use openssl::sha::sha256;

use crate::harness::GRANT;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::{Audit, Cloud};

const INTENT: &str = "about to sign a verification certificate";

#[tokio::test]
async fn each_signature_is_announced_before_and_accounted_for_after() {
    let ca = Authority::root("Plant Root", Family::P256);
    for (access, collection) in [("sign-in-vault", "keys"), ("read-secret", "secrets")] {
        let cloud = Cloud::start_with(&[("KEYHOLDER_KEY_ACCESS", access)]).await;
        match access {
            "sign-in-vault" => cloud.import_ca("plant-ca", &ca).await,
            _ => cloud.store_pem_secret("plant-ca", &ca, GRANT).await,
        }
        cloud.upload("plant-ca", &ca).await;
        let proof = cloud.until_verified("plant-ca").await;
        let outcome = outcome(&cloud).await;
        let log = cloud.azure().functions_host().follow().0;
        let announced: Vec<&Line> = log.iter().filter(|line| line.text.contains(INTENT)).collect();
        let [intent] = announced[..] else { panic!("{access}: {}", cloud.story()) };
        let position = |of: &str| log.iter().position(|line| line.text.contains(of));
        assert!(position(INTENT) < position("verification.ended"), "{access}: {}", cloud.story());

        let digest: String = sha256(&to_be_signed(&proof)).iter().map(|byte| format!("{byte:02x}")).collect();
        let certificate = certificate_id("plant-ca");
        for said in [&certificate, &format!("/{collection}/plant-ca/"), &digest] {
            assert!(intent.text.contains(said.as_str()), "{access}: {said} is missing in {intent}");
        }
        let allowed = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}");
        let said = [
            ("certificateId", &*certificate),
            ("outcome", "verified"),
            ("allowedBy", &allowed),
            ("grantedBy", "my-dps-x509"),
        ];
        for (name, said) in said {
            assert_eq!(outcome.fields[name], said, "{access}: {name}");
        }
        assert_eq!((intent.level, outcome.level), (Level::Information, Level::Information), "{access}");
    }
}

#[tokio::test]
async fn the_announcement_does_not_wait_for_the_signature() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.import_ca("plant-ca", &ca).await;
    cloud.meet(Operation::Sign, None, Calls::Always, Effect::Silence);
    cloud.upload("plant-ca", &ca).await;
    cloud.until_logged("announces it", |line| line.text.contains(INTENT)).await;
    assert_eq!(cloud.successes(Operation::Sign, "my-vault/plant-ca"), 0);
}

#[tokio::test]
async fn a_signature_that_is_refused_is_accounted_for_and_one_that_is_denied_is_not_announced() {
    let ca = Authority::root("Plant Root", Family::P256);
    for (tags, reason, announced) in [(GRANT, "access-refused", true), (&[][..], "no-grant", false)] {
        let cloud = Cloud::start().await;
        cloud.import_ca_tagged("plant-ca", &ca, tags).await;
        cloud.fail(Operation::Sign, None, Calls::Always, 403);
        cloud.upload("plant-ca", &ca).await;
        let outcome = outcome(&cloud).await;
        assert_eq!((outcome.outcome(), outcome.level), (reason, Level::Error), "{}", outcome.says());
        let log = cloud.azure().functions_host().follow().0;
        assert_eq!(
            log.iter().any(|line| line.text.contains(INTENT)),
            announced,
            "{reason}: {}",
            cloud.story()
        );
    }
}

#[tokio::test]
async fn a_certificate_that_was_uploaded_as_verified_is_told_from_a_proven_one() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.upload_as_verified("plant-ca", &ca);
    let outcome = outcome(&cloud).await;
    let ended = (outcome.outcome(), outcome.level);
    assert_eq!(ended, ("verified-without-proof", Level::Error), "{}", outcome.says());
    // The vault was searched for it; nothing was asked for and nothing signed.
    for operation in [Operation::GenerateVerificationCode, Operation::Sign, Operation::Verify] {
        assert_eq!(cloud.count(operation), 0, "{operation}\n{}", cloud.story());
    }
}

/// The line that says how the run for `plant-ca` ended.
async fn outcome(cloud: &Cloud) -> Audit {
    cloud.until_audited("plant-ca").await
}

/// The part of a certificate, base64 of DER, that its signature is over: the first element of the sequence.
fn to_be_signed(certificate: &str) -> Vec<u8> {
    let der = STANDARD.decode(certificate).unwrap();
    let [0x30, 0x82, _, _, 0x30, 0x82, high, low, ..] = der[..] else {
        panic!("no certificate of usual size")
    };
    der[4..8 + usize::from(high) * 256 + usize::from(low)].to_vec()
}
