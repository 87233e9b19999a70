//! The demo, and what it says when what it tells is not so. A demo that cannot fail shows nothing.

use keyholder_emulator::faults::{Calls, Effect, Fault};
use keyholder_emulator::operation::Operation;
use keyholder_emulator_local::demo::{self, DemoError};
use keyholder_emulator_local::functions_host::App;
use keyholder_emulator_local::local_azure::{LocalAzure, Options};

use crate::harness::cloud;
use crate::harness::programs;

/// Tells the story with these things going wrong.
async fn tell(faults: Vec<Fault>) -> (Result<bool, DemoError>, String) {
    let app = App::built_in(vec![programs::HANDLER.into()]).expect("the repository's own app");
    // The app settings are the demo's, not the other tests'.
    let options = Options { app, app_settings: demo::app_settings(), ..cloud::options() };
    let azure = LocalAzure::start(options).await.unwrap();
    azure.emulator().with(|world, _| faults.into_iter().for_each(|fault| world.faults.add(fault)));
    let mut told = Vec::new();
    let result = demo::run(&azure, &mut told, false).await;
    azure.stop().await;
    (result, String::from_utf8(told).unwrap())
}

/// In more calls than the story makes. A rule for all of them would leave none to the story's own.
fn fault(operation: Operation, object: &str, effect: Effect) -> Vec<Fault> {
    vec![Fault { operation, object: Some(object.to_owned()), calls: Calls::First(1000), effect }]
}

fn refused(operation: Operation, object: &str, status: u16) -> Vec<Fault> {
    fault(operation, object, Effect::Answer(status))
}

#[tokio::test]
async fn the_whole_story_holds() {
    let (result, told) = tell(Vec::new()).await;
    assert!(result.unwrap(), "{told}");
    let row = |name: &str| told.lines().any(|line| line.contains(name) && line.trim_end().ends_with("true"));
    assert!(told.contains("Name") && told.contains("Verified"), "{told}");
    assert!(row("root-ca") && row("intermediate-ca"), "{told}");
    assert!(told.matches('✓').count() >= 9, "{told}");
    assert!(!told.contains("NOT SO") && !told.contains('\x1b'), "{told}");
}

#[tokio::test]
async fn a_story_that_is_not_so_says_exactly_what_is_not_and_fails() {
    let unjudged = |object| fault(Operation::Verify, object, Effect::AcceptAnyProof);
    let once = Fault {
        operation: Operation::GetSecret,
        object: None,
        calls: Calls::First(1),
        effect: Effect::Answer(503),
    };
    let rows: [(&str, Vec<Fault>, &[&str]); 4] = [
        ("one thing is enough", vec![once], &["the key was pulled once"]),
        (
            "DPS takes what it should refuse, and the other way round",
            [
                refused(Operation::Verify, "root-ca", 500),
                refused(Operation::Verify, "intermediate-ca", 500),
                unjudged("contested-ca"),
                unjudged("wrong-code-ca"),
                refused(Operation::Verify, "wrong-key-ca", 503),
                unjudged("expired-ca"),
            ]
            .concat(),
            &[
                "root-ca is verified",
                "intermediate-ca is verified",
                "the key was pulled once",
                "the proof met a 412",
                "DPS refused it with 200, and wrong-code-ca stays unverified",
                "DPS refused it with 503, and wrong-key-ca stays unverified",
                "DPS refused it with 200, and expired-ca stays unverified",
            ],
        ),
        (
            "the vault does not sign, and somebody writes for ever",
            [
                refused(Operation::Sign, "my-vault/root-ca", 403),
                refused(Operation::Verify, "contested-ca", 412),
            ]
            .concat(),
            &[
                "root-ca is verified",
                "no secret was read",
                "the key was pulled once",
                "contested-ca is verified",
            ],
        ),
        (
            "the app never hears of anything",
            refused(Operation::Invoke, "VerifyOnUpload", 500),
            &[
                "root-ca is verified",
                "intermediate-ca is verified",
                "the key was pulled once",
                "the proof met a 412",
                "contested-ca is verified",
            ],
        ),
    ];
    for (name, faults, expected) in rows {
        let (result, told) = tell(faults).await;
        assert!(!result.unwrap(), "{name}\n{told}");
        let mut broken = told.lines().filter_map(|line| line.split_once("NOT SO: "));
        for claim in expected.iter().chain(&["all of the above"]) {
            let said = broken.next().map(|(_, said)| said);
            assert!(said.is_some_and(|said| said.starts_with(claim)), "{name}: {claim:?}, {said:?}\n{told}");
        }
        assert_eq!(broken.next(), None, "{name}\n{told}");
    }
}

#[tokio::test]
async fn a_story_that_cannot_be_told_is_an_error_about_the_step() {
    let rows = [
        (Operation::ImportVaultCertificate, "my-vault/root-ca", "/certificates/root-ca/import"),
        (Operation::PutCertificate, "root-ca", "/certificates/root-ca"),
        (Operation::GenerateVerificationCode, "wrong-code-ca", "/wrong-code-ca/generateVerificationCode"),
        (Operation::GetToken, "managed identity", "/msi/token"),
    ];
    for (operation, object, url) in rows {
        let (result, told) = tell(refused(operation, object, 403)).await;
        let error = result.expect_err(operation.name()).to_string();
        assert!(error.contains(url) && error.contains("403"), "{operation}: {error}\n{told}");
    }
}

/// The screen in the README is the demo's: its headings, its table and its claims, apart from numbers.
#[tokio::test]
async fn the_readme_shows_this_very_story() {
    let (_, told) = tell(Vec::new()).await;
    let skeleton = |text: &str| -> Vec<String> {
        let of_interest = |line: &&str| {
            let begins = line.chars().next().is_some_and(|letter| letter.is_ascii_digit());
            begins || line.contains('✓') || line.ends_with("true") || line.contains("Verified")
        };
        let digits = |line: &str| line.replace(|letter: char| letter.is_ascii_digit(), "");
        text.lines().filter(of_interest).map(digits).collect()
    };
    let readme = include_str!("../../README.md");
    let screen = readme.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(skeleton(screen), skeleton(&told));
}
