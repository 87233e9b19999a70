//! Many uploads through the real process, with mixed faults and duplicates: none lost, none proven twice, none
//! stuck, and a handler that does not grow. Once as the Functions host has it, and once as the webhook, with hostile
//! callers beside Event Grid.

use std::collections::VecDeque;
use std::time::Instant;

use keyholder_emulator::faults::{Calls, Effect, Fault};
use keyholder_emulator::operation::Operation;

use crate::hostile::Hostile;
use crate::process::Process;
use crate::webhook::Webhook;

/// In continuous integration; `KEYHOLDER_SOAK=10000` is the full run.
const UPLOADS: usize = 300;
/// As many as a DPS instance holds.
const AT_ONCE: usize = 20;
/// Of a thousand calls of each kind, so many fail.
const FAULTS: usize = 50;
/// Of a hundred events, so many are delivered twice.
const DUPLICATES: u32 = 3;
const SEED: u64 = 7;

/// What fails, and how: every kind that time mends.
const MIX: [(Operation, Effect); 10] = [
    (Operation::GetCertificate, Effect::Answer(500)),
    (Operation::GetCertificate, Effect::ResetBefore),
    (Operation::GenerateVerificationCode, Effect::Answer(503)),
    (Operation::GenerateVerificationCode, Effect::ResetAfter),
    (Operation::Verify, Effect::Throttle { retry_after: None }),
    (Operation::Verify, Effect::ResetAfter),
    (Operation::Verify, Effect::SomebodyElseWrites),
    (Operation::GetVaultCertificate, Effect::Answer(502)),
    (Operation::Sign, Effect::Throttle { retry_after: None }),
    (Operation::Sign, Effect::Truncated),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_upload_is_lost_doubled_or_stuck_and_memory_stays_flat() {
    let process = Process::start(SEED).await;
    soak(&process, "soak", || process.handler_memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_callers_at_the_webhook_keep_no_upload_from_being_verified() {
    let process = Process::start(SEED).await;
    let webhook = Webhook::start(&process).await;
    let hostile = Hostile::begin(webhook.address());
    soak(&process, "soak at the webhook", || webhook.memory()).await;
    let tried = hostile.end().await;
    say!("soak at the webhook: hostile callers beside it: {tried:?}; {} lines of log", webhook.lines());
    assert!(tried.values().all(|count| *count > 0), "each kind of them was there");
    assert!(webhook.is_running(), "it ended");
}

async fn soak(process: &Process, what: &str, memory: impl Fn() -> Option<u64>) {
    let uploads = std::env::var("KEYHOLDER_SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(UPLOADS);
    process.keep("any").await;
    process.emulator().with(|world, _| {
        for (number, (operation, effect)) in MIX.into_iter().enumerate() {
            let kinds = MIX.iter().filter(|(other, _)| *other == operation).count();
            let per_mille = u16::try_from(FAULTS / kinds).unwrap();
            let calls = Calls::Sometimes { per_mille, seed: SEED + number as u64 };
            world.faults.add(Fault { operation, object: None, calls, effect });
        }
    });
    let mut random = fastrand::Rng::with_seed(SEED);
    let (mut under_way, mut duplicates) = (VecDeque::new(), 0);
    let (begun, mut after_first) = (Instant::now(), None);
    for number in 0..uploads {
        let name = format!("ca-{number}");
        process.upload_past_faults(&name);
        if random.u32(0..100) < DUPLICATES {
            duplicates += 1;
            process.deliver_again(&name);
        }
        under_way.push_back(name);
        if under_way.len() == AT_ONCE {
            finish(process, under_way.pop_front().unwrap()).await;
        }
        if number == uploads / 10 {
            after_first = memory();
        }
    }
    for name in under_way {
        finish(process, name).await;
    }
    let hits = process.emulator().look(|world, _| world.faults.hits());
    let (memory, took) = (memory(), begun.elapsed().as_secs_f32());
    say!(
        "{what}: seed {SEED}, {uploads} uploads, {hits} faults met, {duplicates} duplicates, {took:.0} s; handler \
         memory {after_first:?} KiB after a tenth, {memory:?} KiB at the end"
    );
    assert!(hits > 0, "nothing was put to the test");
    if let (Some(first), Some(last)) = (after_first, memory)
        && uploads >= 10_000
    {
        assert!(last * 10 <= first * 11, "the handler has grown from {first} to {last} KiB");
    }
}

/// Waits for the proof, sees that there was one, and makes room for the next.
async fn finish(process: &Process, name: String) {
    process.until_verified(&name).await;
    assert!(process.proofs_taken(&name) <= 1, "{name} was proven twice");
    process.delete(&name);
}
