//! Somebody else writes between any two steps of a run, in every way, once and twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyholder::reason::Reason;

use crate::cloud::{CA, Cloud, Kept, STRANGER};
use crate::say_as_documented;

/// What somebody else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    UploadTheSame,
    UploadAnother,
    Delete,
    AskForACode,
    Prove,
}

const ACTS: [Act; 5] = [Act::UploadTheSame, Act::UploadAnother, Act::Delete, Act::AskForACode, Act::Prove];

/// More calls than an undisturbed run makes: acts after its end are no acts.
const CALLS: usize = 12;

fn act(cloud: &Cloud, act: Act) {
    match act {
        Act::UploadTheSame => cloud.upload("root", &CA),
        Act::UploadAnother => cloud.upload("root", &STRANGER),
        Act::Delete => cloud.delete("root"),
        Act::AskForACode => _ = cloud.code("root"),
        Act::Prove => cloud.prove("root"),
    }
}

/// One run with acts before certain calls, then deliveries as the acts' own events would cause them.
async fn run(plan: Vec<(usize, Act)>) -> Reason {
    let cloud = Arc::new(Cloud::new(7));
    cloud.keep("root", Kept::SameName);
    cloud.upload("root", &CA);
    let verifier = cloud.verifier();
    let (others, planned) = (cloud.clone(), plan.clone());
    *cloud.wire.intruder.lock().unwrap() = Some(Box::new(move |call| {
        planned.iter().filter(|(before, _)| *before == call).for_each(|(_, what)| act(&others, *what));
    }));
    let first = cloud.deliver(&verifier, "root").await;
    *cloud.wire.intruder.lock().unwrap() = None;
    let last = cloud.deliver(&verifier, "root").await;

    assert_eq!(
        cloud.proofs_refused(),
        0,
        "{plan:?}: a certificate for a stale code, or a wrong one, was handed in"
    );
    assert!(first.reason() != Reason::Deadline, "{plan:?}: stuck");
    let good = match cloud.is_verified("root") {
        None => last.reason() == Reason::Gone,
        // Another certificate is never ours to prove.
        Some(false) => last.reason() == Reason::OtherCertificate,
        Some(true) => {
            matches!(last.reason(), Reason::Verified | Reason::AlreadyVerified | Reason::VerifiedWithoutProof)
        }
    };
    assert!(good, "{plan:?}: {first}, then {last}");
    let another_is_there = plan.iter().any(|(_, act)| *act == Act::UploadAnother);
    let gone = plan.iter().any(|(_, act)| *act == Act::Delete);
    if !another_is_there && !gone {
        assert_eq!(cloud.is_verified("root"), Some(true), "{plan:?}: {first}, then {last}");
    }
    last.reason()
}

#[tokio::test(start_paused = true)]
async fn one_act_before_any_call() {
    let mut ended: BTreeMap<&str, usize> = BTreeMap::new();
    for call in 0..CALLS {
        for what in ACTS {
            *ended.entry(run(vec![(call, what)]).await.name()).or_default() += 1;
        }
    }
    say_as_documented(&format!("interleavings, one act: {} runs ended as {ended:?}", CALLS * ACTS.len()));
}

#[tokio::test(start_paused = true)]
async fn two_acts_before_any_two_calls() {
    let mut ended: BTreeMap<&str, usize> = BTreeMap::new();
    let mut runs = 0;
    for first in 0..CALLS {
        for second in first..CALLS {
            for (one, other) in ACTS.iter().flat_map(|one| ACTS.iter().map(move |other| (*one, *other))) {
                *ended.entry(run(vec![(first, one), (second, other)]).await.name()).or_default() += 1;
                runs += 1;
            }
        }
    }
    say_as_documented(&format!("interleavings, two acts: {runs} runs ended as {ended:?}"));
}
