//! Each dependency away, for ten minutes and for a day and an hour, by the emulator's clock: what Event Grid
//! delivers again, what it gives up, and that the sweep finishes the rest.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::StatusCode;
use keyholder::azure::AzureVerifier;
use keyholder::event::{self, Notice};
use keyholder::reason::{DeliveryAnswer, Reason};
use keyholder_emulator::event_grid::{Attempt, Filter, Scope, Subscription};
use keyholder_emulator::faults::{Calls, Effect, Fault};
use keyholder_emulator::operation::Operation;
use keyholder_emulator::world::{RESOURCE_GROUP, SUBSCRIPTION};
use time::OffsetDateTime;
use url::Url;

use crate::cloud::{CA, Cloud, Kept};
use crate::say_as_documented;

/// A dependency, and the calls that fail when it is away.
const DEPENDENCIES: [(&str, &[Operation]); 3] = [
    ("identity", &[Operation::GetToken]),
    ("DPS", &[Operation::GetCertificate, Operation::GenerateVerificationCode, Operation::Verify]),
    ("vault", &[Operation::GetVaultCertificate, Operation::Sign]),
];

/// What it is like when it is away.
const WAYS: [(&str, Effect); 3] = [
    ("answers 503", Effect::Answer(503)),
    ("refuses connections", Effect::ResetBefore),
    ("answers nothing", Effect::Silence),
];

fn cloud(away: &[Operation], effect: Effect) -> Cloud {
    let cloud = Cloud::new(7);
    cloud.keep("root", Kept::SameName);
    let endpoint = Url::parse("http://127.0.0.1:7071/runtime/webhooks/eventgrid").unwrap();
    let scope = Scope::resource_group(SUBSCRIPTION, RESOURCE_GROUP);
    let subscription = Subscription::new("verify-on-upload".parse().unwrap(), scope, endpoint);
    let mut subscription = subscription.with_dead_letters("letters");
    subscription.filter = Filter::certificate_writes();
    cloud.emulator.with(|world, _| {
        world.event_grid.subscribe(subscription);
        for operation in away {
            world.faults.add(Fault { operation: *operation, object: None, calls: Calls::Always, effect });
        }
    });
    cloud.wire.refuses.store(true, Ordering::Relaxed);
    cloud.upload("root", &CA);
    cloud
}

/// Delivers what is due until nothing is pending, moving the clock from attempt to attempt; the outage ends when
/// the clock says so. Says how many attempts there were.
async fn deliver_all(cloud: &Cloud, verifier: &AzureVerifier, back: OffsetDateTime) -> usize {
    let mut attempts = 0;
    while let Some(due) = cloud.emulator.look(|world, _| world.event_grid.next_due()) {
        let now = cloud.emulator.now();
        cloud.emulator.advance(Duration::try_from(due - now).unwrap_or_default());
        if cloud.emulator.now() >= back {
            cloud.emulator.with(|world, _| world.faults.clear());
        }
        for delivery in cloud.emulator.with(|world, now| world.event_grid.take_due(now)) {
            attempts += 1;
            let Notice::Uploaded(upload) = event::read(delivery.event()) else {
                panic!("{} is an upload", delivery.event())
            };
            let answer = verifier.verify(&upload).await.reason().answer();
            // What the Functions host makes of a failed invocation.
            let status = match answer {
                DeliveryAnswer::Done | DeliveryAnswer::NeedsAction => StatusCode::ACCEPTED,
                DeliveryAnswer::Retry => StatusCode::INTERNAL_SERVER_ERROR,
            };
            cloud
                .emulator
                .with(|world, now| world.event_grid.settle(delivery, Attempt::Answered(status), now));
        }
    }
    attempts
}

fn dead_letters(cloud: &Cloud) -> usize {
    cloud.emulator.look(|world, _| world.event_grid.dead_letters().count())
}

fn ways() -> String {
    WAYS.map(|(way, _)| way).join(", ")
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_without_a_dependency_are_made_good_by_event_grid() {
    for (name, away) in DEPENDENCIES {
        let mut tried = Vec::new();
        for (way, effect) in WAYS {
            let cloud = cloud(away, effect);
            let back = cloud.emulator.now() + Duration::from_secs(10 * 60);
            let attempts = deliver_all(&cloud, &cloud.verifier(), back).await;
            assert_eq!(cloud.is_verified("root"), Some(true), "{name} {way}");
            assert_eq!((dead_letters(&cloud), cloud.proofs_taken()), (0, 1), "{name} {way}");
            tried.push(attempts.to_string());
        }
        let (ways, attempts) = (ways(), tried.join(", "));
        say_as_documented(&format!("outage of {name} ({ways}), 10 minutes: verified at attempt {attempts}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_and_an_hour_without_a_dependency_end_in_a_dead_letter_and_the_sweep_finishes_it() {
    for (name, away) in DEPENDENCIES {
        let mut tried = Vec::new();
        for (way, effect) in WAYS {
            let cloud = cloud(away, effect);
            let verifier = cloud.verifier();
            let back = cloud.emulator.now() + Duration::from_secs(25 * 60 * 60);
            let attempts = deliver_all(&cloud, &verifier, back).await;
            let given_up = (cloud.is_verified("root"), dead_letters(&cloud));
            assert_eq!(given_up, (Some(false), 1), "{name} {way}");

            cloud.emulator.with(|world, _| world.faults.clear());
            let report = verifier.sweep(None).await;
            assert_eq!(report.outcomes(), BTreeMap::from([(Reason::Verified, 1)]), "{name} {way}: {report}");
            assert_eq!((cloud.is_verified("root"), cloud.proofs_taken()), (Some(true), 1), "{name} {way}");
            tried.push(attempts.to_string());
        }
        let (ways, attempts) = (ways(), tried.join(", "));
        say_as_documented(&format!(
            "outage of {name} ({ways}), 25 hours: dead letter after {attempts} attempts, verified by a sweep"
        ));
    }
}
