//! What becomes of the process for a key, with programs of the system in its place.

use super::*;

#[tokio::test]
async fn a_process_that_does_not_start_or_ends_is_a_failure_that_passes() {
    let absent = fails(&opener("/no/such/program", &[])).await;
    assert!(matches!(absent, OpenError::Process(KeyProcessError::Start(_))), "{absent}");
    for arguments in [["-c", "exit 1"], ["-c", "kill -KILL $$"]] {
        let ended = fails(&opener("/bin/sh", &arguments)).await;
        assert!(matches!(ended, OpenError::Process(KeyProcessError::Ended(_))), "{ended}");
    }
}

#[tokio::test]
async fn a_process_that_used_up_its_processor_time_makes_its_secret_unusable() {
    let ended = fails(&opener("/bin/sh", &["-c", "kill -XCPU $$"])).await;
    assert!(matches!(ended, OpenError::Unusable(UnusableSecret::TooSlow)), "{ended}");
}

#[tokio::test]
async fn a_process_gets_nothing_of_the_environment() {
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "there is something to be inherited");
    let script = "test -z \"$CARGO_MANIFEST_DIR\" || kill -XCPU $$";
    let ended = fails(&opener("/bin/sh", &["-c", script])).await;
    assert!(matches!(ended, OpenError::Process(KeyProcessError::Ended(_))), "{ended}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_never_answers_is_given_up() {
    let begun = tokio::time::Instant::now();
    let silent = fails(&opener("/bin/sleep", &["600"])).await;
    assert!(matches!(silent, OpenError::Process(KeyProcessError::Silent)), "{silent}");
    assert_eq!(begun.elapsed(), limits::PATIENCE);
}

#[tokio::test]
async fn a_process_ends_when_nobody_waits_for_its_key_any_more() {
    let (opener, echoed) = echoed();
    let key = opener.open(echoed).await.expect("a key");
    let Holder::OwnProcess(process) = &key.holder else { panic!("it is in a process") };
    let pid = process.id().expect("it is running");
    assert_eq!(opener.turns.available_permits(), AT_ONCE - 1, "a key that is open has a turn");
    drop(key);
    assert_eq!(opener.turns.available_permits(), AT_ONCE);
    while is_running(pid) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_answer_that_is_no_signature_is_a_failure_that_passes() {
    let (opener, echoed) = echoed();
    let key = opener.open(echoed).await.expect("a key");
    let ca = testing::ca(&testing::key(P256), 30);
    let confused = key.sign(&ca, b"to be signed").await.expect_err("an echo is no signature");
    assert!(matches!(confused, KeyError::Process(KeyProcessError::Confused(_))), "{confused}");
}

/// A process that says what it is told, and a "secret" that is the answer to itself.
fn echoed() -> (KeyOpener, Zeroizing<String>) {
    let public_key = testing::key(P256).public_key_to_der().expect("encodes");
    let opened = frame::encode(&Opened::Key { public_key, certificates: Vec::new() }).expect("encodes");
    (opener("/bin/cat", &[]), Zeroizing::new(String::from_utf8(opened).expect("JSON is text")))
}

/// Whether a process is there and is more than an entry in the table of processes.
fn is_running(pid: u32) -> bool {
    let told = std::process::Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output();
    let state = String::from_utf8(told.expect("there is a ps").stdout).expect("text");
    !state.trim().is_empty() && !state.starts_with('Z')
}
