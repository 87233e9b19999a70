//! Every upstream call, every way it can fail, once, three times and always. Each cell ends in the outcome that
//! the documentation's table promises, and after the fault is lifted one more delivery, or a sweep, ends in
//! *verified*, with one proof in all.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;

use keyholder::reason::Reason;
use keyholder_emulator::faults::{Calls, Effect, Fault};
use keyholder_emulator::operation::Operation;

use crate::cloud::{CA, CALLS, Cloud, Kept};
use crate::say_as_documented;

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

/// What the documentation's table promises for a cell: the outcome of the delivery that meets the fault.
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
        // No token is never final.
        (Call::GetToken, Failure::Status(status)) if status != 401 => mended(Reason::Unavailable),
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
        // JSON without members is an empty list to the SDK; and what has no versions is not there.
        (Call::ListVaultCertificates | Call::ListSecrets, Failure::WrongShape) => Reason::CaMissing,
        (Call::ListSecrets, Failure::Status(404)) => Reason::CaMissing,
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
        Operation::ListSecrets | Operation::GetSecret => Kept::Secret,
        _ => Kept::SameName,
    }
}

#[tokio::test(start_paused = true)]
async fn every_cell_ends_as_documented_and_is_made_good_by_one_delivery_or_sweep() {
    let mut ended: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut cells, mut broken) = (0, Vec::new());
    for call in CALLS {
        for failure in FAILURES {
            for calls in TIMES {
                let remedy = if cells % 2 == 0 { Remedy::Delivery } else { Remedy::Sweep };
                match run(call, failure, calls, remedy).await {
                    Ok(reason) => *ended.entry(reason.name()).or_default() += 1,
                    Err(wrong) => broken.push(format!("{call} × {failure:?} × {calls:?}: {wrong}")),
                }
                cells += 1;
            }
        }
    }
    assert!(broken.is_empty(), "{} of {cells} cells:\n{}", broken.len(), broken.join("\n"));
    say_as_documented(&format!(
        "fault matrix: {cells} cells; the delivery that met the fault ended as {ended:?}"
    ));
}

/// What makes good what a fault has left undone.
#[derive(Clone, Copy, Debug)]
enum Remedy {
    Delivery,
    Sweep,
}

async fn run(call: Operation, failure: Failure, calls: Calls, remedy: Remedy) -> Result<Reason, String> {
    let cloud = Cloud::new(7);
    cloud.keep("root", kept(call));
    cloud.upload("root", &CA);
    meet(&cloud, call, failure, calls);
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
    let good = match remedy {
        Remedy::Delivery => {
            let after = cloud.deliver(&verifier, "root").await;
            matches!(after.reason(), Reason::Verified | Reason::AlreadyVerified)
        }
        Remedy::Sweep => {
            let report = verifier.sweep(None).await;
            report.verified_before + report.outcomes().get(&Reason::Verified).unwrap_or(&0) == 1
        }
    };
    if !good || cloud.is_verified("root") != Some(true) {
        return Err(format!("and was not made good by a {remedy:?}"));
    }
    if (cloud.proofs_taken(), cloud.proofs_refused()) != (1, 0) {
        return Err(format!("{} proofs taken, {} refused", cloud.proofs_taken(), cloud.proofs_refused()));
    }
    Ok(found)
}

fn meet(cloud: &Cloud, operation: Operation, failure: Failure, calls: Calls) {
    cloud.wire.refuses.store(failure == Failure::ConnectionRefused, Ordering::Relaxed);
    let fault = Fault { operation, object: None, calls, effect: failure.effect() };
    cloud.emulator.with(|world, _| world.faults.add(fault));
}

/// A sweep makes two calls more, and nobody tells it again: it says what it could not read, and comes back.
#[tokio::test(start_paused = true)]
async fn a_sweep_that_cannot_list_says_so_and_the_next_one_makes_it_good() {
    let lists = [Operation::Arm, Operation::ListCertificates];
    for operation in lists {
        for failure in FAILURES {
            let cell = format!("{operation} × {failure:?}");
            let cloud = Cloud::new(7);
            cloud.keep("root", Kept::SameName);
            cloud.upload("root", &CA);
            meet(&cloud, operation, failure, Calls::First(1));
            let verifier = cloud.verifier();

            let report = verifier.sweep(None).await;
            assert_eq!((report.unread.len(), report.ended.len()), (1, 0), "{cell}: {report}");
            assert!(report.needs_action(), "{cell}: {report}");
            let report = verifier.sweep(None).await;
            assert_eq!(report.outcomes(), BTreeMap::from([(Reason::Verified, 1)]), "{cell}: {report}");
        }
    }
    say!(
        "sweeps: {} ways to fail of their two lists, each made good by the next",
        lists.len() * FAILURES.len()
    );
}

#[test]
fn the_documentation_shows_this_very_matrix() {
    let columns = CALLS.map(|call| format!(" `{call}` |")).concat();
    let mut table = format!("| |{columns}\n|{}\n", " --- |".repeat(CALLS.len() + 1));
    for failure in FAILURES {
        let cells = CALLS.map(|call| format!(" {} |", cell(call, failure))).concat();
        table += &format!("| {failure} |{cells}\n");
    }
    let documented = include_str!("../../docs/reliability.md");
    assert!(documented.contains(&table), "put this into docs/reliability.md:\n{table}");
}

/// A name alone holds however often the call fails; the one after an ellipsis if it goes on failing, while one
/// and three failures end in *verified*; else all three are written out.
fn cell(call: Operation, failure: Failure) -> String {
    let ends = TIMES.map(|calls| promised(call, failure, calls).name());
    match ends {
        [once, thrice, always] if once == thrice && thrice == always => once.to_owned(),
        ["verified", "verified", always] => format!("… {always}"),
        [once, thrice, always] => format!("{once}, {thrice}, {always}"),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Status(status) => write!(f, "{status}"),
            Failure::Throttled(None) => write!(f, "429"),
            Failure::Throttled(Some(seconds)) => write!(f, "429, `Retry-After: {seconds}`"),
            Failure::ConnectionRefused => write!(f, "connection refused"),
            Failure::ResetBefore => write!(f, "reset before the effect"),
            Failure::ResetAfter => write!(f, "reset after the effect"),
            Failure::TimeOut => write!(f, "time-out"),
            Failure::Truncated => write!(f, "truncated JSON"),
            Failure::Html => write!(f, "200 with HTML"),
            Failure::WrongShape => write!(f, "200 with the wrong shape"),
        }
    }
}
