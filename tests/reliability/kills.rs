//! SIGKILL, which is how the Functions host ends a handler, at each step of a run; then Event Grid delivers
//! again.

use std::time::Duration;

use keyholder_emulator::faults::{Calls, Effect, Fault};
use keyholder_emulator::operation::Operation;

use crate::cloud::Kept;
use crate::process::Process;
use crate::say_as_documented;

/// Before the call has an effect, or after it.
const MOMENTS: [(&str, Effect); 2] =
    [("before", Effect::Silence), ("after", Effect::Delay(Duration::from_secs(3600)))];

/// Each call of a run.
const SIGNING: [(Operation, Calls); 7] = [
    (Operation::GetToken, Calls::First(1)),
    (Operation::GetCertificate, Calls::First(1)),
    (Operation::GetVaultCertificate, Calls::First(1)),
    (Operation::GenerateVerificationCode, Calls::First(1)),
    (Operation::Sign, Calls::First(1)),
    (Operation::Verify, Calls::First(1)),
    // The look that confirms it.
    (Operation::GetCertificate, Calls::Nth(2)),
];

/// What is different when the key is pulled.
const PULLING: [(Operation, Calls); 2] =
    [(Operation::ListSecrets, Calls::First(1)), (Operation::GetSecret, Calls::First(1))];

/// After which the host does not count a crash any more.
const FORGIVEN: Duration = Duration::from_secs(31 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_is_killed_at_any_step_is_made_good_by_the_next_delivery() {
    killed_at_each("with a key that signs in the vault", &SIGNING, Kept::SameName).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_is_killed_while_it_pulls_a_key_is_made_good_by_the_next_delivery() {
    killed_at_each("with a key that is pulled", &PULLING, Kept::Secret).await;
}

async fn killed_at_each(key: &str, steps: &[(Operation, Calls)], kept: Kept) {
    let process = Process::start(7).await;
    for (number, ((step, calls), (when, effect))) in
        steps.iter().flat_map(|step| MOMENTS.iter().map(move |moment| (*step, *moment))).enumerate()
    {
        let what = format!("{when} {step} ({calls:?})");
        // A new process, which has no token yet.
        process.azure.functions_host().kill_handler().await;
        assert!(process.azure.functions_host().ready().await);
        process.emulator().advance(FORGIVEN);
        let name = format!("ca-{number}");
        match kept {
            Kept::Secret => process.keep_secret(&name).await,
            _ => process.keep(&name).await,
        }
        process.emulator().with(|world, _| {
            world.faults.clear();
            world.faults.add(Fault { operation: step, object: None, calls, effect });
        });
        // The one who uploads asks for a token too, and is not to meet the fault.
        process.upload_past_faults(&name);
        process.until(&format!("{what} is struck"), |world| (world.faults.hits() > 0).then_some(())).await;
        process.azure.functions_host().kill_handler().await;
        assert!(process.azure.functions_host().ready().await, "{what}: the host restarts it");
        process.emulator().advance(FORGIVEN);
        process.until_settled(&name).await;
        assert_eq!(process.answers(&name), [500, 202], "{what}: one delivery fails, the next one does not");
        assert_eq!(process.proofs_taken(&name), 1, "{what}");
        process.delete(&name);
    }
    let moments = steps.len() * MOMENTS.len();
    say_as_documented(&format!("kills {key}: {moments} moments, each made good by the next delivery"));
}

/// Not what the Functions host does, but what containers and people do: SIGTERM and Ctrl-C let a run end.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_is_asked_to_stop_finishes_what_it_has_begun() {
    for signal in ["-TERM", "-INT"] {
        let process = Process::start(7).await;
        process.keep("root").await;
        let effect = Effect::Delay(Duration::from_millis(300));
        let operation = Operation::GenerateVerificationCode;
        process.emulator().with(|world, _| {
            world.faults.add(Fault { operation, object: None, calls: Calls::First(1), effect });
        });
        process.upload_past_faults("root");
        process.until("the run is under way", |world| (world.faults.hits() > 0).then_some(())).await;
        let pid = process.azure.functions_host().handler_pid().expect("it is running").to_string();
        let asked = std::process::Command::new("kill").args([signal, &pid]).status();
        assert!(asked.expect("there is a kill program").success());

        process.until("the delivery is answered", |world| world.event_grid.is_idle().then_some(())).await;
        assert!(process.is_verified("root"), "{signal}");
        assert_eq!(process.answers("root"), [202], "{signal}");
    }
}
