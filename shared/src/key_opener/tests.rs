use std::time::Duration;

use openssl::x509::X509;

use super::*;
use crate::ca::SignatureAlgorithm;
use crate::testing::{self, P256};

fn secret() -> (CaCertificate, String) {
    let key = testing::key(P256);
    let ca = testing::ca(&key, 30);
    let certificate = X509::from_der(ca.der()).and_then(|ca| ca.to_pem()).expect("encodes");
    let text = [key.private_key_to_pem_pkcs8().expect("encodes"), certificate].concat();
    (ca, String::from_utf8(text).expect("PEM is text"))
}

fn framed(messages: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        frame::write(&mut bytes, message).expect("fits into a frame");
    }
    bytes
}

/// What the process for a key answers to all of this.
fn answers(input: &[u8]) -> (io::Result<()>, Vec<u8>) {
    let mut output = Vec::new();
    let ended = child::serve(&mut &*input, &mut output);
    (ended, output)
}

fn next<T: serde::de::DeserializeOwned>(output: &mut &[u8]) -> T {
    frame::read(output).and_then(|frame| frame::decode(&frame)).expect("an answer")
}

/// An opener whose process is a program of the system.
fn opener(program: &str, arguments: &[&str]) -> KeyOpener {
    let arguments = arguments.iter().map(Into::into).collect();
    KeyOpener::new(Place::OwnProcess(parent::Program { path: program.into(), arguments }))
}

async fn fails(opener: &KeyOpener) -> OpenError {
    opener.open(Zeroizing::new("a secret".to_owned())).await.err().expect("no key")
}

#[test]
fn the_process_for_a_key_says_what_is_in_a_secret_and_signs_once() {
    let (ca, text) = secret();
    let to_sign = ToSign { algorithm: SignatureAlgorithm::Es256, tbs: b"to be signed".to_vec() };
    let to_sign = frame::encode(&to_sign).expect("encodes");
    // What comes after the first signature is not even read.
    let (ended, output) = answers(&framed(&[text.as_bytes(), &to_sign, &to_sign]));
    ended.expect("served");
    let mut output = output.as_slice();
    let Opened::Key { public_key, certificates } = next(&mut output) else { panic!("there is a key") };
    assert_eq!(public_key, ca.public_key().public_key_to_der().expect("encodes"));
    assert_eq!(certificates, [ca.der().to_vec()]);
    let Signed::Signature(signature) = next(&mut output) else { panic!("the key signs") };
    let mut verifier =
        openssl::sign::Verifier::new(ca.algorithm().digest(), ca.public_key()).expect("starts");
    assert!(verifier.verify_oneshot(&signature, b"to be signed").expect("decides"));
    assert!(output.is_empty(), "one signature is all");
}

#[test]
fn the_process_for_a_key_refuses_what_is_no_key_and_reads_no_more() {
    let rows: [(&str, &[u8], UnusableSecret); 3] = [
        ("no key", b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", UnusableSecret::NoKey),
        ("neither PEM nor PFX", b"hunter2!", UnusableSecret::Unknown),
        ("no text", &[0xff, 0xfe], UnusableSecret::Unknown),
    ];
    for (name, value, expected) in rows {
        let (ended, output) = answers(&framed(&[value]));
        ended.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(next::<Opened>(&mut output.as_slice()), Opened::Unusable(expected), "{name}");
    }
}

#[test]
fn a_frame_that_is_cut_off_or_too_long_ends_the_process() {
    let whole = framed(&[b"a secret"]);
    for input in [&[][..], &whole[..3], &whole[..whole.len() - 1], &[0xff, 0xff, 0xff, 0xff]] {
        let (ended, output) = answers(input);
        assert!(ended.is_err() && output.is_empty(), "{input:?}");
    }
}

#[tokio::test]
async fn a_key_in_this_process_is_read_and_refused_as_in_another_one() {
    let (ca, text) = secret();
    let opener = KeyOpener::in_this_process();
    let key = opener.open(Zeroizing::new(text)).await.expect("a key");
    assert!(key.certificate(ca.thumbprint()).is_some() && key.belongs_to(&ca));
    key.sign(&ca, b"to be signed").await.expect("signs");
    assert!(matches!(fails(&opener).await, OpenError::Unusable(UnusableSecret::Unknown)));
}

#[cfg(unix)]
mod processes {
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
}

/// What a verification may take has room for opening and signing.
#[test]
fn the_patience_with_a_process_is_shorter_than_a_verification() {
    assert!(limits::PATIENCE * 2 < crate::verifier::Limits::default().deadline);
    assert!(Duration::from_secs(PROCESSOR_SECONDS) < limits::PATIENCE);
}
