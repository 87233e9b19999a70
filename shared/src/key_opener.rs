//! Opens the keys that are pulled, each in a process of its own, which ends with the one signature it makes.
//!
//! OpenSSL frees some of what it decodes without wiping it, in a heap that no allocator of ours reaches. A process that
//! has ended leaves nothing: the kernel wipes its memory before it gives it to another one. So this process receives the
//! text of a key and never decodes it. It sees public keys, certificates and signatures, and decides by them.
//!
//! What the two say to each other is in [`frame`]: the secret and what is in it, then the bytes to be signed and the
//! signature.

use std::io;
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Public};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::ca::CaCertificate;
use crate::proof::RawSignature;
use crate::pulled_key::{PulledKey, UnusableSecret};
use crate::thumbprint::Thumbprint;

mod child;
mod frame;
mod limits;
mod parent;

pub use child::run_if_asked;
use frame::{Opened, Signed, ToSign};
use parent::KeyProcess;

/// How many keys are open at once. Each is a process of some MiB, and may compute for some seconds.
const AT_ONCE: usize = 4;

/// Where pulled keys are opened.
#[derive(Clone, Debug)]
pub struct KeyOpener {
    place: Place,
    /// One of these is held for as long as a key is open.
    turns: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
enum Place {
    ThisProcess,
    OwnProcess(parent::Program),
}

/// Why a key could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The secret holds no key we can use.
    #[error(transparent)]
    Unusable(#[from] UnusableSecret),
    /// The process for it did not start, or did not answer.
    #[error(transparent)]
    Process(#[from] KeyProcessError),
}

/// What happened to the process that a key was in.
#[derive(Debug, thiserror::Error)]
pub enum KeyProcessError {
    /// It could not be started.
    #[error("the process for the key could not be started: {0}")]
    Start(io::Error),
    /// It ended, or was ended.
    #[error("the process for the key ended without an answer: {0}")]
    Ended(String),
    /// It was killed.
    #[error("the process for the key did not answer within {} s and was killed", limits::PATIENCE.as_secs())]
    Silent,
    /// It answered with something else.
    #[error("the process for the key gave an answer that cannot be read: {0}")]
    Confused(String),
}

/// Why an open key made no signature.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// OpenSSL refused.
    #[error("it cannot sign: {0}")]
    Refused(String),
    /// Its process is gone.
    #[error(transparent)]
    Process(#[from] KeyProcessError),
}

/// A pulled key, for one signature. Like the key itself it cannot be used twice.
pub struct OpenKey {
    public_key: PKey<Public>,
    certificates: Vec<CaCertificate>,
    holder: Holder,
}

enum Holder {
    ThisProcess(PulledKey),
    OwnProcess(Box<KeyProcess>),
}

impl KeyOpener {
    /// Opens keys in this process, for tests: some of them stays in its memory.
    pub fn in_this_process() -> KeyOpener {
        KeyOpener::new(Place::ThisProcess)
    }

    /// Opens each key in a process of its own, for programs whose `main` begins with [`run_if_asked`].
    pub fn in_own_process() -> KeyOpener {
        KeyOpener::new(Place::OwnProcess(parent::Program::this()))
    }

    fn new(place: Place) -> KeyOpener {
        KeyOpener { place, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Opens the key in the value of a secret.
    pub async fn open(&self, value: Zeroizing<String>) -> Result<OpenKey, OpenError> {
        // The semaphore is never closed.
        let turn = self.turns.clone().acquire_owned().await;
        match &self.place {
            Place::OwnProcess(program) => {
                let (process, opened) = KeyProcess::start(program, &value, turn.ok()).await?;
                match opened {
                    Opened::Key { public_key, certificates } => {
                        OpenKey::read(&public_key, &certificates, Holder::OwnProcess(Box::new(process)))
                    }
                    Opened::Unusable(reason) => Err(reason.into()),
                }
            }
            Place::ThisProcess => {
                // A reading may outlast the deadline by some seconds; the turn goes with it.
                let read = move || {
                    let _turn = turn;
                    PulledKey::from_secret(value)
                };
                let key = tokio::task::spawn_blocking(read).await;
                Ok(OpenKey::in_this_process(key.expect("reading neither panics nor is cancelled")?)?)
            }
        }
    }
}

impl OpenKey {
    /// Returns a key that is in the memory of this process, for tests.
    pub fn in_this_process(key: PulledKey) -> Result<OpenKey, UnusableSecret> {
        let public_key =
            PKey::public_key_from_der(&key.public_key()?).map_err(|_| UnusableSecret::Unknown)?;
        let certificates = key.certificates().to_vec();
        Ok(OpenKey { public_key, certificates, holder: Holder::ThisProcess(key) })
    }

    fn read(public_key: &[u8], certificates: &[Vec<u8>], holder: Holder) -> Result<OpenKey, OpenError> {
        let confused = |error: ErrorStack| KeyProcessError::Confused(error.to_string());
        let public_key = PKey::public_key_from_der(public_key).map_err(confused)?;
        let certificates = certificates.iter().filter_map(|der| CaCertificate::from_der(der).ok()).collect();
        Ok(OpenKey { public_key, certificates, holder })
    }

    /// Returns the CA certificate beside the key, if it is the one with this thumbprint.
    pub fn certificate(&self, thumbprint: Thumbprint) -> Option<&CaCertificate> {
        self.certificates.iter().find(|certificate| certificate.thumbprint() == thumbprint)
    }

    /// Returns whether it is the private half of a CA's key.
    pub fn belongs_to(&self, ca: &CaCertificate) -> bool {
        self.public_key.public_eq(ca.public_key())
    }

    /// Makes the one signature, and ends the process that the key was in.
    pub async fn sign(self, ca: &CaCertificate, tbs: &[u8]) -> Result<RawSignature, KeyError> {
        let algorithm = ca.algorithm();
        let refused = |error: ErrorStack| KeyError::Refused(error.to_string());
        let der = match self.holder {
            Holder::ThisProcess(key) => return key.sign(ca, tbs).map_err(refused),
            Holder::OwnProcess(process) => {
                match process.sign(&ToSign { algorithm, tbs: tbs.to_vec() }).await? {
                    Signed::Signature(der) => der,
                    Signed::Refused(reason) => return Err(KeyError::Refused(reason)),
                }
            }
        };
        RawSignature::from_der(&der, algorithm).map_err(refused)
    }
}

#[cfg(test)]
mod tests;
