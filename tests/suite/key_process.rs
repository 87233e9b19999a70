//! The process that holds a pulled key, which each program is when it is started so.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Stdio};

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Verifier;
use serde_json::{Value, json};

use crate::harness::authority::{Authority, Family};
use crate::harness::programs::{EMULATOR, HANDLER, KEYHOLDER, LAMBDA, program};

/// What a program is called with then.
const ARGUMENT: &str = "sign-with-pulled-key";

/// One that was started and is told what to do through its pipes.
struct KeyProcess(Child);

impl KeyProcess {
    fn start(path: &str) -> KeyProcess {
        let started = program(path).arg(ARGUMENT).stdin(Stdio::piped()).spawn();
        KeyProcess(started.expect("the program starts"))
    }

    /// Sends a frame, and waits for the one that answers it.
    fn ask(&mut self, request: &[u8]) -> Value {
        let stdin = self.0.stdin.as_mut().expect("it is piped");
        stdin.write_all(&u32::try_from(request.len()).unwrap().to_be_bytes()).unwrap();
        stdin.write_all(request).unwrap();
        let stdout = self.0.stdout.as_mut().expect("it is piped");
        let mut length = [0; 4];
        stdout.read_exact(&mut length).expect("it answers");
        let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        stdout.read_exact(&mut answer).expect("it answers in whole");
        serde_json::from_slice(&answer).expect("an answer is JSON")
    }
}

impl Drop for KeyProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::from_value(value.clone()).expect("bytes")
}

#[test]
fn every_program_holds_a_key_for_one_signature_when_it_is_started_so() {
    let ca = Authority::root("Factory Root", Family::Rsa2048);
    let to_sign = json!({ "algorithm": "Rs256", "tbs": b"to be signed" }).to_string();
    for path in [HANDLER, LAMBDA, KEYHOLDER, EMULATOR] {
        let mut process = KeyProcess::start(path);
        let opened = process.ask(ca.key_and_certificate().as_bytes());
        let public_key = PKey::public_key_from_der(&bytes(&opened["Key"]["public_key"])).expect("a key");
        let signed = process.ask(to_sign.as_bytes());
        let mut verifier = Verifier::new(MessageDigest::sha256(), &public_key).unwrap();
        assert!(
            verifier.verify_oneshot(&bytes(&signed["Signature"]), b"to be signed").unwrap(),
            "{path}: {signed}"
        );
        assert!(process.0.wait().unwrap().success(), "{path} has nothing more to do");
    }
}

#[test]
fn a_process_that_holds_a_key_has_a_bounded_life_and_no_dump() {
    let ca = Authority::root("Factory Root", Family::P256);
    let mut process = KeyProcess::start(HANDLER);
    let opened = process.ask(ca.key_and_certificate().as_bytes());
    assert!(opened["Key"].is_object(), "{opened}");
    let Ok(limits) = fs::read_to_string(format!("/proc/{}/limits", process.0.id())) else {
        return eprintln!("NOT PROVEN: the limits of processes cannot be read here");
    };
    for (name, values) in [
        ("Max cpu time", "5 6 seconds"),
        ("Max core file size", "0 0 bytes"),
        ("Max address space", "536870912 536870912 bytes"),
    ] {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("Linux lists it");
        assert_eq!(line.split_whitespace().collect::<Vec<_>>().join(" "), values, "{name}");
    }
    // Its parent is gone: so it goes too.
    drop(process.0.stdin.take());
    assert!(!process.0.wait().unwrap().success());
}
