//! An encrypted part of a PFX, opened with the empty password, to see what it would have us compute.

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkcs5::{pbkdf2_hmac, scrypt};
use openssl::sha::sha1;
use openssl::symm::{Cipher, decrypt};
use zeroize::Zeroizing;

use super::UnusableSecret;
use super::ber::{Element, OBJECT_IDENTIFIER, OCTET_STRING};
use super::rounds::SCRYPT;

const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
/// `pbeWithSHAAnd3-KeyTripleDES-CBC`, the one scheme of PKCS#12 that OpenSSL has without its legacy provider.
const PBE_SHA1_3DES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x03];
/// `hmacWithSHA1` and its successors, by their last octet.
const HMAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02];
const AES_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01];
const DES_EDE3_CBC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07];

/// What OpenSSL allows scrypt by default.
const SCRYPT_MEMORY: u64 = 32 * 1024 * 1024;
/// PKCS#12 makes different things of an empty password: two zero octets, or none at all.
const EMPTY_PASSWORDS: [&[u8]; 2] = [&[0, 0], &[]];

/// The algorithm and its parameters, and what it encrypted.
pub(super) struct Sealed {
    scheme: Option<Scheme>,
    content: Vec<u8>,
}

enum Scheme {
    Pbes2 { derivation: Derivation, cipher: Cipher, iv: Vec<u8> },
    Pkcs12 { salt: Vec<u8>, rounds: u64 },
}

enum Derivation {
    Pbkdf2 { salt: Vec<u8>, rounds: usize, digest: MessageDigest },
    Scrypt { salt: Vec<u8>, cost: u64, block_size: u64, parallelism: u64 },
}

impl Sealed {
    /// Takes the parts of an `AlgorithmIdentifier` and what was encrypted with it.
    pub(super) fn read(algorithm: &[Element<'_>], content: &[u8]) -> Option<Sealed> {
        let (Element { tag: OBJECT_IDENTIFIER, content: name }, parameters) =
            (algorithm.first()?, algorithm.get(1)?)
        else {
            return None;
        };
        Some(Sealed { scheme: Scheme::read(name, parameters), content: content.to_vec() })
    }

    /// What is in it; two things, if both empty passwords fit. OpenSSL is not asked to read what cannot be opened here,
    /// so it opens nothing that was not seen.
    pub(super) fn open(&self) -> Result<Vec<Zeroizing<Vec<u8>>>, UnusableSecret> {
        let opened = match self.scheme.as_ref().ok_or(UnusableSecret::LegacyPfx)? {
            Scheme::Pbes2 { derivation, cipher, iv } => vec![
                derivation
                    .key(cipher.key_len())
                    .and_then(|key| decrypt(*cipher, &key, Some(iv), &self.content)),
            ],
            Scheme::Pkcs12 { salt, rounds } => EMPTY_PASSWORDS
                .map(|password| {
                    let derived = |purpose, length| pkcs12_key(purpose, password, salt, *rounds, length);
                    decrypt(Cipher::des_ede3_cbc(), &derived(1, 24), Some(&derived(2, 8)), &self.content)
                })
                .into(),
        };
        // Why the wrong password does not fit stays in this thread's queue, where the next TLS call would find it.
        drop(ErrorStack::get());
        let opened: Vec<_> = opened.into_iter().filter_map(Result::ok).map(Zeroizing::new).collect();
        if opened.is_empty() { Err(UnusableSecret::EncryptedPfx) } else { Ok(opened) }
    }
}

impl Scheme {
    fn read(name: &[u8], parameters: &Element<'_>) -> Option<Scheme> {
        let parts = parameters.parts();
        match name {
            PBES2 => {
                let [derivation, encryption, ..] = parts.as_slice() else { return None };
                let encryption = encryption.parts();
                let [named, iv, ..] = encryption.as_slice() else { return None };
                let cipher = cipher(named.content)?;
                let iv = iv.octets().into_owned();
                if cipher.iv_len() != Some(iv.len()) {
                    return None;
                }
                Some(Scheme::Pbes2 { derivation: Derivation::read(&derivation.parts())?, cipher, iv })
            }
            PBE_SHA1_3DES => {
                let [salt, rounds, ..] = parts.as_slice() else { return None };
                Some(Scheme::Pkcs12 { salt: salt.octets().into_owned(), rounds: rounds.number()? })
            }
            _ => None,
        }
    }
}

impl Derivation {
    fn read(algorithm: &[Element<'_>]) -> Option<Derivation> {
        let [name, parameters, ..] = algorithm else { return None };
        let parts = parameters.parts();
        let salt = parts.first().filter(|part| part.tag & !super::ber::CONSTRUCTED == OCTET_STRING)?;
        let salt = salt.octets().into_owned();
        let numbers: Vec<u64> = parts.iter().filter_map(Element::number).collect();
        match (name.content, numbers.as_slice()) {
            (PBKDF2, [rounds, ..]) => {
                let named = parts.iter().skip(1).find(|part| part.is_constructed()).map(Element::parts);
                let digest = match named.as_deref() {
                    None => MessageDigest::sha1(),
                    Some([named, ..]) => digest(named.content)?,
                    Some([]) => return None,
                };
                Some(Derivation::Pbkdf2 { salt, rounds: usize::try_from(*rounds).ok()?, digest })
            }
            (SCRYPT, &[cost, block_size, parallelism, ..]) => {
                Some(Derivation::Scrypt { salt, cost, block_size, parallelism })
            }
            _ => None,
        }
    }

    /// Returns the key of an empty password.
    fn key(&self, length: usize) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
        let mut key = Zeroizing::new(vec![0; length]);
        match self {
            Derivation::Pbkdf2 { salt, rounds, digest } => {
                pbkdf2_hmac(b"", salt, (*rounds).max(1), *digest, &mut key)?;
            }
            Derivation::Scrypt { salt, cost, block_size, parallelism } => {
                scrypt(b"", salt, *cost, *block_size, *parallelism, SCRYPT_MEMORY, &mut key)?;
            }
        }
        Ok(key)
    }
}

fn cipher(name: &[u8]) -> Option<Cipher> {
    match name {
        DES_EDE3_CBC => Some(Cipher::des_ede3_cbc()),
        _ => match name.strip_prefix(AES_CBC)? {
            [2] => Some(Cipher::aes_128_cbc()),
            [22] => Some(Cipher::aes_192_cbc()),
            [42] => Some(Cipher::aes_256_cbc()),
            _ => None,
        },
    }
}

fn digest(name: &[u8]) -> Option<MessageDigest> {
    match name.strip_prefix(HMAC)? {
        [7] => Some(MessageDigest::sha1()),
        [8] => Some(MessageDigest::sha224()),
        [9] => Some(MessageDigest::sha256()),
        [10] => Some(MessageDigest::sha384()),
        [11] => Some(MessageDigest::sha512()),
        _ => None,
    }
}

/// RFC 7292, appendix B.2, with SHA-1: bytes for a key (1) or an initialization vector (2).
fn pkcs12_key(purpose: u8, password: &[u8], salt: &[u8], rounds: u64, length: usize) -> Zeroizing<Vec<u8>> {
    const BLOCK: usize = 64;
    let filled = |bytes: &[u8]| -> Vec<u8> {
        let length = bytes.len().div_ceil(BLOCK) * BLOCK;
        bytes.iter().copied().cycle().take(length).collect()
    };
    let mut input = Zeroizing::new([filled(salt), filled(password)].concat());
    let mut derived = Zeroizing::new(Vec::new());
    while derived.len() < length {
        let mut hash = sha1(&[&[purpose; BLOCK][..], &input].concat());
        for _ in 1..rounds {
            hash = sha1(&hash);
        }
        derived.extend_from_slice(&hash);
        for block in input.chunks_mut(BLOCK) {
            add_with_one(block, &hash);
        }
    }
    derived.truncate(length);
    derived
}

/// Adds the hash, repeated to the length of the block, and one; both are numbers with their last octet the lowest.
fn add_with_one(block: &mut [u8], hash: &[u8]) {
    let mut carry = 1_u16;
    for at in (0..block.len()).rev() {
        let sum = u16::from(block[at]) + u16::from(hash[at % hash.len()]) + carry;
        block[at] = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
}
