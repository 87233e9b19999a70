//! The process that holds a key: it reads a secret, says what is in it, signs once, and ends.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use zeroize::Zeroizing;

use super::frame::{self, Opened, Signed, ToSign};
use super::limits;
use crate::pulled_key::{PulledKey, UnusableSecret};

/// What a program is called with, as its one argument, to be this process.
pub(super) const ARGUMENT: &str = "sign-with-pulled-key";

/// Holds a key and ends, if this process was started for that. It is the first thing that a program does.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(argument), None) if argument == OsStr::new(ARGUMENT) => Some(run()),
        _ => None,
    }
}

/// Whatever fails, the parent is told by the end of this process.
fn run() -> ExitCode {
    let served =
        limits::limit_this_process().and_then(|()| serve(&mut io::stdin().lock(), &mut io::stdout().lock()));
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

pub(super) fn serve(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    let secret = String::from_utf8(std::mem::take(&mut *frame::read(input)?));
    let secret = secret.map_err(|_| UnusableSecret::Unknown);
    let (key, opened) = match secret.and_then(|secret| open(Zeroizing::new(secret))) {
        Ok((key, opened)) => (Some(key), opened),
        Err(unusable) => (None, Opened::Unusable(unusable)),
    };
    frame::write(output, &frame::encode(&opened)?)?;
    let Some(key) = key else { return Ok(()) };
    let ToSign { algorithm, tbs } = frame::decode(&frame::read(input)?)?;
    let signed = match key.sign_to_der(algorithm, &tbs) {
        Ok(signature) => Signed::Signature(signature),
        Err(error) => Signed::Refused(error.to_string()),
    };
    frame::write(output, &frame::encode(&signed)?)
}

fn open(secret: Zeroizing<String>) -> Result<(PulledKey, Opened), UnusableSecret> {
    let key = PulledKey::from_secret(secret)?;
    let certificates = key.certificates().iter().map(|certificate| certificate.der().to_vec()).collect();
    let opened = Opened::Key { public_key: key.public_key()?, certificates };
    Ok((key, opened))
}
