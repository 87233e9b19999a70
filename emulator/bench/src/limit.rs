//! What a verification cannot be faster than: the calls that have to wait for each other, and the cryptography
//! in between.

use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::sign::Signer;

use crate::distribution::median;

/// Look (and at the same time ask the vault for the CA), code, signature, proof: each needs the answer before.
pub(crate) const CALLS: u32 = 4;
/// In a new process one more comes first: for tokens, and at the same time the vault's challenge.
pub(crate) const COLD_CALLS: u32 = 5;
/// So many of these have to be over before a certificate can be built that is to be signed.
const COLD_CALLS_BEFORE_BUILDING: u32 = 3;
const SIGNATURES: usize = 101;
const KEYS: usize = 15;

/// How long cryptography takes on this machine, each in the middle of some tries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cryptography {
    /// A signature with RSA-2048, as the vault makes it.
    pub(crate) signature: Duration,
    /// A new RSA-2048 key, as the certificate that is the proof has one.
    pub(crate) key: Duration,
}

impl Cryptography {
    pub(crate) fn measure() -> Result<Cryptography, ErrorStack> {
        let key = PKey::from_rsa(Rsa::generate(2048)?)?;
        let signature = timed(SIGNATURES, || {
            Signer::new(MessageDigest::sha256(), &key)?.sign_oneshot_to_vec(b"a certificate")
        })?;
        Ok(Cryptography { signature, key: timed(KEYS, || Rsa::generate(2048))? })
    }

    /// The limit of a verification in a process that has made one before.
    pub(crate) fn warm(self, latency: Duration) -> Duration {
        latency * CALLS + self.signature
    }

    /// The limit of the first one, beside which a key is made, or, where keys cost nothing, is not waited for.
    pub(crate) fn cold(self, latency: Duration, makes_key: bool) -> Duration {
        let calls = latency * COLD_CALLS_BEFORE_BUILDING;
        let ready = if makes_key { calls.max(self.key) } else { calls };
        ready + latency * (COLD_CALLS - COLD_CALLS_BEFORE_BUILDING) + self.signature
    }
}

fn timed<T>(tries: usize, mut work: impl FnMut() -> Result<T, ErrorStack>) -> Result<Duration, ErrorStack> {
    let mut seconds = Vec::with_capacity(tries);
    for _ in 0..tries {
        let begun = Instant::now();
        work()?;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    Ok(Duration::from_secs_f64(median(seconds).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_counts_only_as_far_as_calls_do_not_hide_it() {
        let ms = Duration::from_millis;
        let cryptography = Cryptography { signature: ms(1), key: ms(100) };
        assert_eq!(cryptography.warm(ms(20)), ms(81));
        assert_eq!(cryptography.cold(ms(20), false), ms(101));
        assert_eq!(cryptography.cold(ms(20), true), ms(141));
        assert_eq!(cryptography.cold(ms(50), true), ms(251));
    }
}
