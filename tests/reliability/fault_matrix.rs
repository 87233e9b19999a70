//! Every upstream call, every way it can fail, once, three times and always. Each cell ends in the outcome the
//! table names, and after the fault is lifted one more delivery ends in *verified*, with one proof in all.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use keyholder::Outcome;
use keyholder::reason::Reason;
use keyholder_emulator::faults::{Calls, Effect, Fault};
use keyholder_emulator::operation::Operation;

use crate::cloud::{CA, CALLS, Cloud, Kept};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Status(u16),
    Throttled(Option<u32>),
    ConnectionRefused,
    ResetBefore,
    ResetAfter,
    TimeOut,
    Truncated,
    Html,
    WrongShape,
}

const FAILURES: [Failure; 20] = [
    Failure::Status(401),
    Failure::Status(403),
    Failure::Status(404),
    Failure::Status(408),
    Failure::Status(409),
    Failure::Status(412),
    Failure::Throttled(None),
    Failure::Throttled(Some(2)),
    Failure::Throttled(Some(60)),
    Failure::Status(500),
    Failure::Status(502),
    Failure::Status(503),
    Failure::Status(504),
    Failure::ConnectionRefused,
    Failure::ResetBefore,
    Failure::ResetAfter,
    Failure::TimeOut,
    Failure::Truncated,
    Failure::Html,
    Failure::WrongShape,
];

const TIMES: [Calls; 3] = [Calls::First(1), Calls::First(3), Calls::Always];

impl Failure {
    fn effect(self) -> Effect {
        match self {
            Failure::Status(status) => Effect::Answer(status),
            Failure::Throttled(retry_after) => Effect::Throttle { retry_after },
            Failure::ConnectionRefused | Failure::ResetBefore => Effect::ResetBefore,
            Failure::ResetAfter => Effect::ResetAfter,
            Failure::TimeOut => Effect::Silence,
            Failure::Truncated => Effect::Truncated,
            Failure::Html => Effect::Html,
            Failure::WrongShape => Effect::WrongShape,
        }
    }
}

/// What the documentation promises for a cell: the outcome of the delivery that meets the fault.
///
/// The rule is short. What a person has to mend ends at once. What time mends is waited out three times within a
/// delivery, so that one or three failures end in *verified*, and is left to the next delivery after that. A 412
/// and a vanished certificate are looked at again, up to eight times. The rest are the rule's consequences.
fn promised(call: Operation, failure: Failure, calls: Calls) -> Reason {
    use Operation as Call;
    let always = calls == Calls::Always;
    let mended = |if_always: Reason| if always { if_always } else { Reason::Verified };
    let writes = matches!(call, Call::GenerateVerificationCode | Call::Verify);
    let in_vault = !matches!(call, Call::GetToken | Call::GetCertificate) && !writes;
    match (call, failure) {
        // Without a token there is no answer to speak of, whatever the status.
        (Call::GetToken, Failure::Throttled(_) | Failure::Status(_)) => mended(Reason::Unreachable),
        // A proof whose answer was lost has been taken all the same: looking shows it.
        (Call::Verify, Failure::ResetAfter | Failure::Truncated | Failure::WrongShape) => Reason::Verified,
        (Call::GetCertificate, Failure::Status(404)) => Reason::Gone,
        (_, Failure::Status(404)) if writes => mended(Reason::Contended),
        // Not there by its name, but in the list; and if it cannot be read there either, it is missing.
        (Call::GetVaultCertificate, Failure::Status(404)) => match calls {
            Calls::First(1) => Reason::Verified,
            // The secret behind the certificate is all that is left to be seen, and has no key in it.
            _ => Reason::WrongSecret,
        },
        // JSON without members is an empty list to the SDK.
        (Call::ListVaultCertificates, Failure::WrongShape) => Reason::CaMissing,
        (_, Failure::Status(404)) => Reason::Refused,
        (_, Failure::Status(412)) if in_vault => mended(Reason::Unavailable),
        (_, Failure::Status(412)) => mended(Reason::Contended),
        // Keys may be pulled in this test, so what may not be seen is not there, and what may not sign is pulled.
        (Call::GetVaultCertificate, Failure::Status(403)) => match calls {
            Calls::First(1) => Reason::Verified,
            _ => Reason::AccessRefused,
        },
        (Call::ListVaultCertificates, Failure::Status(403)) => Reason::CaMissing,
        (_, Failure::Status(403)) => Reason::AccessRefused,
        // A vault's SDK meets a 401 with another token, by itself.
        (_, Failure::Status(401)) => mended(Reason::TokenRefused),
        (_, Failure::Status(_)) => mended(Reason::Unavailable),
        // A minute is more than the deadline leaves, so it is not even begun.
        (_, Failure::Throttled(Some(60))) => Reason::Throttled,
        (_, Failure::Throttled(_)) => mended(Reason::Throttled),
        _ => mended(Reason::Unreachable),
    }
}

fn kept(call: Operation) -> Kept {
    match call {
        Operation::ListVaultCertificates => Kept::OtherName,
        Operation::GetSecret => Kept::Secret,
        _ => Kept::SameName,
    }
}

#[tokio::test(start_paused = true)]
async fn every_cell_ends_as_promised_and_is_made_good_by_the_next_delivery() {
    let mut ended: BTreeMap<&str, usize> = BTreeMap::new();
    let mut broken = Vec::new();
    for call in CALLS {
        for failure in FAILURES {
            for calls in TIMES {
                let cell = format!("{call} × {failure:?} × {calls:?}");
                match run(call, failure, calls).await {
                    Ok(reason) => *ended.entry(reason.name()).or_default() += 1,
                    Err(wrong) => broken.push(format!("{cell}: {wrong}")),
                }
            }
        }
    }
    let cells = CALLS.len() * FAILURES.len() * TIMES.len();
    println!("fault matrix: {cells} cells; the delivery that met the fault ended as {ended:?}");
    assert!(broken.is_empty(), "{} cells:\n{}", broken.len(), broken.join("\n"));
}

async fn run(call: Operation, failure: Failure, calls: Calls) -> Result<Reason, String> {
    let cloud = Cloud::new(7);
    cloud.keep("root", kept(call));
    cloud.upload("root", &CA);
    cloud.wire.refuses.store(failure == Failure::ConnectionRefused, Ordering::Relaxed);
    let fault = Fault { operation: call, object: None, calls, effect: failure.effect() };
    cloud.emulator.with(|world, _| world.faults.add(fault));
    let verifier = cloud.verifier();

    let begun = tokio::time::Instant::now();
    let outcome = cloud.deliver(&verifier, "root").await;
    let took = begun.elapsed().as_secs_f32();
    if took > 25.0 {
        return Err(format!("took {took} s"));
    }
    if cloud.emulator.look(|world, _| world.faults.hits()) == 0 {
        return Err("the fault was never met".to_owned());
    }
    let (found, promised) = (outcome.reason(), promised(call, failure, calls));
    if found != promised {
        return Err(format!("ended as {}, promised is {}: {outcome}", found.name(), promised.name()));
    }

    cloud.emulator.with(|world, _| world.faults.clear());
    let after = cloud.deliver(&verifier, "root").await;
    let good = matches!(*after, Outcome::Verified { .. } | Outcome::AlreadyVerified);
    if !good || cloud.is_verified("root") != Some(true) {
        return Err(format!("and was not made good: {after}"));
    }
    if (cloud.proofs_taken(), cloud.proofs_refused()) != (1, 0) {
        return Err(format!("{} proofs taken, {} refused", cloud.proofs_taken(), cloud.proofs_refused()));
    }
    Ok(found)
}
