use std::time::Duration;

use openssl::x509::X509;

use super::*;
use crate::ca::SignatureAlgorithm;
use crate::pulled_key::PROCESSOR_SECONDS;
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
mod processes;

/// What a verification may take has room for opening and signing.
#[test]
fn the_patience_with_a_process_is_shorter_than_a_verification() {
    assert!(limits::PATIENCE * 2 < crate::verifier::Limits::default().deadline);
    assert!(Duration::from_secs(PROCESSOR_SECONDS) < limits::PATIENCE);
}
