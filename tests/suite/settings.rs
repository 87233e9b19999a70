//! A handler that cannot do its work says so, by the name of the setting, and does not start; and what it ends
//! with is what the host has to know.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Output;

use crate::harness::programs::{HANDLER, program, result, signal};

const REGISTRIES: (&str, &str) =
    ("KEYHOLDER_REGISTRIES", "/subscriptions/00000000-0000-0000-0000-000000000000");
const VAULTS: (&str, &str) = ("KEYHOLDER_VAULTS", "https://my-vault.vault.azure.net");
/// Without one the app would look for a virtual machine's.
const IDENTITY: [(&str, &str); 2] =
    [("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token"), ("IDENTITY_HEADER", "any")];

/// Runs the handler with two good settings and whatever else; an empty value is as good as none.
fn handler(settings: &[(&str, &str)]) -> Output {
    let good = [REGISTRIES, VAULTS, ("FUNCTIONS_CUSTOMHANDLER_PORT", "0")];
    program(HANDLER).envs(good).envs(settings.iter().copied()).output().expect("it starts")
}

#[test]
fn a_missing_or_wrong_setting_is_named_with_its_form_and_an_example() {
    let registries = "comma-separated ids of the DPS instances, resource groups or subscriptions to serve";
    let vaults = "comma-separated https URLs of the vaults to search, in order";
    let rows = [
        ("KEYHOLDER_REGISTRIES", "", registries, "KEYHOLDER_REGISTRIES=/subscriptions/"),
        ("KEYHOLDER_REGISTRIES", "*", registries, "KEYHOLDER_REGISTRIES=/subscriptions/"),
        ("KEYHOLDER_VAULTS", "", vaults, "KEYHOLDER_VAULTS=https://"),
        ("KEYHOLDER_VAULTS", "http://my-vault.vault.azure.net", vaults, "KEYHOLDER_VAULTS=https://"),
        (
            "KEYHOLDER_KEY_ACCESS",
            "yes",
            "sign-in-vault, or read-secret",
            "KEYHOLDER_KEY_ACCESS=sign-in-vault",
        ),
        ("KEYHOLDER_IDENTITY", "me", "managed, workload or developer", "KEYHOLDER_IDENTITY=managed"),
        ("KEYHOLDER_ARM_ENDPOINT", "http://arm.example", "an https URL", "KEYHOLDER_ARM_ENDPOINT=https://"),
        ("KEYHOLDER_LOG", "loud=very", "a tracing filter", "KEYHOLDER_LOG=info"),
    ];
    for (name, value, form, example) in rows {
        let (code, _, stderr) = result(&handler(&[(name, value)]));
        assert_eq!(code, Some(2), "{name}={value}: {stderr}");
        for expected in [&format!("The app setting {name} cannot be used"), form, example] {
            assert!(stderr.contains(expected), "{name}={value}: {stderr:?} lacks {expected:?}");
        }
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let (code, _, stderr) = result(&program(HANDLER).env("KEYHOLDER_KEY_ACCESS", "no").output().unwrap());
    assert_eq!(code, Some(2));
    for name in ["KEYHOLDER_REGISTRIES", "KEYHOLDER_VAULTS", "KEYHOLDER_KEY_ACCESS"] {
        assert!(stderr.lines().any(|line| line.contains(name)), "{stderr}");
    }
    assert_eq!(stderr.lines().count(), 3, "one line each: {stderr}");
}

#[test]
fn a_handler_outside_a_functions_host_says_how_to_try_it() {
    for port in ["", "http", "65536"] {
        let (code, _, stderr) = result(&handler(&[("FUNCTIONS_CUSTOMHANDLER_PORT", port)]));
        assert_eq!(code, Some(2), "{port:?}");
        assert!(stderr.contains("FUNCTIONS_CUSTOMHANDLER_PORT"), "{port:?}: {stderr}");
        assert!(stderr.contains("cargo run -- up"), "{port:?}: {stderr}");
    }
}

#[test]
fn a_port_that_is_taken_is_named_and_ends_the_handler() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let port_setting = port.to_string();
    let settings = [&IDENTITY[..], &[("FUNCTIONS_CUSTOMHANDLER_PORT", &port_setting)]].concat();
    let (code, _, stderr) = result(&handler(&settings));
    assert_eq!(code, Some(1), "{stderr}");
    for expected in [&format!("127.0.0.1:{port}"), "FUNCTIONS_CUSTOMHANDLER_PORT", "in use"] {
        assert!(stderr.contains(expected), "{stderr:?} lacks {expected:?}");
    }
}

/// The host restarts whatever does not end with 0, and never what does.
#[test]
fn a_handler_ends_with_0_only_when_it_is_told_to_stop() {
    for (name, expected) in [("TERM", Some(0)), ("INT", Some(0)), ("ABRT", None), ("KILL", None)] {
        let good = [REGISTRIES, VAULTS, ("FUNCTIONS_CUSTOMHANDLER_PORT", "0")];
        let mut child = program(HANDLER).envs(good).envs(IDENTITY).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        while !line.contains("app.ready") {
            line.clear();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended");
        }
        signal(child.id(), name);
        assert_eq!(child.wait().unwrap().code(), expected, "SIG{name}");
    }
}
