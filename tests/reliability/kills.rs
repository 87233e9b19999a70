//! SIGKILL, which is how the Functions host ends a handler, at each step of a run; then Event Grid delivers
//! again.

use std::time::Duration;

use keyholder_emulator::faults::{Calls, Effect, Fault};
use keyholder_emulator::operation::Operation;

use crate::process::Process;

/// Before the call has an effect, or after it.
const MOMENTS: [(&str, Effect); 2] =
    [("before", Effect::Silence), ("after", Effect::Delay(Duration::from_secs(3600)))];

const STEPS: [Operation; 6] = [
    Operation::GetToken,
    Operation::GetCertificate,
    Operation::GetVaultCertificate,
    Operation::GenerateVerificationCode,
    Operation::Sign,
    Operation::Verify,
];

/// After which the host does not count a crash any more.
const FORGIVEN: Duration = Duration::from_secs(31 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_is_killed_at_any_step_is_made_good_by_the_next_delivery() {
    let process = Process::start(7).await;
    for (number, (step, (when, effect))) in
        STEPS.iter().flat_map(|step| MOMENTS.iter().map(move |moment| (*step, *moment))).enumerate()
    {
        // A new process, which has no token yet.
        process.azure.functions_host().kill_handler().await;
        assert!(process.azure.functions_host().ready().await);
        process.emulator().advance(FORGIVEN);
        let name = format!("ca-{number}");
        process.keep(&name).await;
        process.emulator().with(|world, _| {
            world.faults.clear();
            world.faults.add(Fault { operation: step, object: None, calls: Calls::First(1), effect });
        });
        // The one who uploads asks for a token too, and is not to meet the fault.
        process.upload_past_faults(&name);
        process.until(&format!("{step} is struck"), |world| (world.faults.hits() > 0).then_some(())).await;
        process.azure.functions_host().kill_handler().await;
        assert!(process.azure.functions_host().ready().await, "{step}, {when}: the host restarts it");
        process.emulator().advance(FORGIVEN);
        process.until_verified(&name).await;
        println!(
            "killed {when} {step}: {} delivery failed, the next one verified it",
            process.deliveries(&name)
        );
    }
}

/// Not what the Functions host does, but what containers and people do: SIGTERM lets a run end.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_is_asked_to_stop_finishes_what_it_has_begun() {
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
    let asked = std::process::Command::new("kill").args(["-TERM", &pid]).status();
    assert!(asked.expect("there is a kill program").success());

    process.until("the delivery is answered", |world| world.event_grid.is_idle().then_some(())).await;
    assert!(process.is_verified("root"));
    assert_eq!(process.deliveries("root"), 1);
}
