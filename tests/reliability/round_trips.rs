//! How many calls a verification makes, and how many of them wait for each other: that, and not the machine, is
//! what most of its time is.

use std::time::Duration;

use keyholder::Outcome;
use tokio::time::Instant;

use crate::cloud::{CA, Cloud, Kept};

/// On this wire each call takes one.
const MILLISECOND: Duration = Duration::from_millis(1);

/// How many round trips a delivery takes, and how many calls.
async fn trips(cloud: &Cloud, verifier: &keyholder::azure::AzureVerifier, name: &str) -> (u128, usize) {
    cloud.upload(name, &CA);
    let (begun, before) = (Instant::now(), cloud.wire.calls());
    let outcome = cloud.deliver(verifier, name).await;
    assert!(matches!(*outcome, Outcome::Verified { .. }), "{outcome}");
    (begun.elapsed().as_micros() / MILLISECOND.as_micros(), cloud.wire.calls() - before)
}

#[tokio::test(start_paused = true)]
async fn four_calls_wait_for_each_other_and_one_more_in_a_new_process() {
    let cloud = Cloud::new(7);
    ["first", "second"].iter().for_each(|name| cloud.keep(name, Kept::SameName));
    let verifier = cloud.verifier();
    // Two tokens and the challenge, all at once; look and prefetch at once; code; signature; proof; and the look that
    // confirms it.
    assert_eq!(trips(&cloud, &verifier, "first").await, (6, 9));
    assert_eq!(trips(&cloud, &verifier, "second").await, (5, 6));
}

#[tokio::test(start_paused = true)]
async fn what_is_verified_already_waits_for_nothing_but_the_look() {
    let cloud = Cloud::new(7);
    cloud.keep("ca", Kept::SameName);
    let verifier = cloud.verifier();
    trips(&cloud, &verifier, "ca").await;
    let begun = Instant::now();
    let outcome = cloud.deliver(&verifier, "ca").await;
    assert!(matches!(*outcome, Outcome::AlreadyVerified), "{outcome}");
    assert_eq!(begun.elapsed(), MILLISECOND);
}
