//! What we do raises events too. They are ignored, and cheaply.

use keyholder_emulator::operation::Operation;

use crate::process::Process;

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_causes_three_invocations_at_most_however_wide_the_subscription() {
    let process = Process::start(7).await;
    process.keep("root").await;
    process.subscribe_to_everything();
    process.upload("root").await;
    process.until("it is quiet", |world| world.event_grid.is_idle().then_some(())).await;

    assert!(process.is_verified("root"));
    let count = |operation| process.emulator().look(|world, _| world.journal.count(operation));
    // The upload itself, our request for a code, and our proof.
    assert_eq!(count(Operation::Invoke), 3);
    // Ignoring costs no call: one look before and one after the proof is all there is.
    assert_eq!((count(Operation::GetCertificate), count(Operation::Verify)), (2, 1));
}
