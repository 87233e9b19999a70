//! What is left of a pulled key in the memory of the handler once it was used.
//!
//! The whole writable memory of the real process is searched, which Linux lets its parent do. Where it cannot be read
//! the test says so and proves nothing.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyholder_emulator::faults::Calls;
use keyholder_emulator::operation::Operation;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::x509::X509;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::Cloud;
use crate::harness::key_forms::PfxCipher;
use crate::harness::programs::{HANDLER, program};
use crate::harness::{HTTP, events};

/// So much of a secret is no coincidence; and of anything twice as long that is left over, one such piece is whole.
const PIECE: usize = 16;
/// The first bytes of a key in DER are those of every key of its kind: three pieces of them at most.
const HEADER_PIECES: usize = 3;
/// A run has ended once it is answered; the connection that the key came through may take a moment more.
const LOOKS: usize = 20;

#[tokio::test]
async fn nothing_of_a_pulled_key_is_left_in_the_memory_of_the_handler() {
    let cloud = Cloud::start_with(&[("KEYHOLDER_KEY_ACCESS", "read-secret")]).await;
    cloud.fail(Operation::Deliver, None, Calls::Always, 503);
    let rsa = Authority::root("RSA Root", Family::Rsa2048);
    let curve = Authority::root("Curve Root", Family::P384);
    let kept = [
        ("rsa-pem-ca", &rsa, rsa.key_and_certificate()),
        ("curve-pem-ca", &curve, curve.key_and_certificate()),
        // The key comes last in a long answer, so that no later and shorter one overwrites it by chance.
        ("long-pem-ca", &rsa, format!("{}{}", rsa.certificate().repeat(8), rsa.key())),
        ("rsa-pfx-ca", &rsa, STANDARD.encode(rsa.pfx_with("", PfxCipher::Aes256))),
        ("curve-pfx-ca", &curve, STANDARD.encode(curve.pfx_with("", PfxCipher::TripleDes))),
    ];
    let mut needles = Needles::default();
    for (name, ca, value) in &kept {
        cloud.store_secret(name, value);
        cloud.upload(name, ca).await;
        needles.hide(name, value, ca);
    }

    let (handler, address) = start(&cloud).await;
    for (name, ..) in &kept {
        let body = json!({ "Data": { "event": events::upload(name) }, "Metadata": {} }).to_string();
        let answer = HTTP.post(format!("http://{address}/VerifyOnUpload")).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
        assert!(
            cloud.certificate(name, |certificate| certificate.is_verified()),
            "{name}: {}",
            cloud.story()
        );
    }
    let pid = handler.id().expect("it is running");
    // This process made the keys, so that a search that works finds them here.
    let here = match needles.in_memory_of(std::process::id()) {
        Ok(here) => here,
        Err(error) => return eprintln!("NOT PROVEN: the memory of processes cannot be read here: {error}"),
    };
    assert_eq!(here, needles.names(), "the search misses what is there");
    let mut left = BTreeSet::new();
    for _ in 0..LOOKS {
        left = match needles.in_memory_of(pid) {
            Ok(left) => left,
            Err(error) => {
                return eprintln!("NOT PROVEN: the memory of the handler cannot be read here: {error}");
            }
        };
        if left.is_empty() {
            break;
        }
    }
    assert_eq!(left, BTreeSet::new(), "left in the memory of the handler");
}

/// A handler of our own, because only a parent may look into a process.
async fn start(cloud: &Cloud) -> (Child, String) {
    let mut handler = Command::from(program(HANDLER))
        .envs(cloud.azure().app_settings().iter().map(|(name, value)| (name, value)))
        .env("FUNCTIONS_CUSTOMHANDLER_PORT", "0")
        .kill_on_drop(true)
        .spawn()
        .expect("the handler starts");
    let mut lines = BufReader::new(handler.stdout.take().expect("it is piped")).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("it says that it listens");
        let line: Value = serde_json::from_str(&line).unwrap();
        if let Some(address) = line["address"].as_str() {
            break address.to_owned();
        }
    };
    // Read on, so that it can go on writing.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (handler, address)
}

/// Pieces of secrets, to be looked for by their first two bytes.
#[derive(Default)]
struct Needles(Vec<(String, Vec<u8>)>);

impl Needles {
    /// All that is secret of a CA and of the text that it is kept as.
    fn hide(&mut self, name: &str, value: &str, ca: &Authority) {
        let certificate = X509::from_pem(ca.certificate().as_bytes()).unwrap();
        // Both are known to everyone, and both stand in a PFX.
        let public =
            [certificate.to_der().unwrap(), certificate.digest(MessageDigest::sha1()).unwrap().to_vec()];
        let secrets = texts(value).chain(numbers(ca)).map(|(what, bytes)| (what, bytes, 1));
        let der = der(ca).map(|bytes| ("DER", bytes, HEADER_PIECES));
        for (what, bytes, header) in secrets.chain(der) {
            let is_private =
                |piece: &&[u8]| !public.iter().any(|known| known.windows(PIECE).any(|shown| shown == *piece));
            let pieces = bytes.chunks_exact(PIECE).skip(header).filter(is_private);
            self.0.extend(pieces.map(|piece| (format!("{what} of {name}"), piece.to_vec())));
        }
    }

    fn names(&self) -> BTreeSet<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Which secrets have a piece in the writable memory of a process.
    fn in_memory_of(&self, pid: u32) -> io::Result<BTreeSet<String>> {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        let memory = File::open(format!("/proc/{pid}/mem"))?;
        let (mut found, mut bytes, mut read) = (BTreeSet::new(), Vec::new(), 0);
        for (from, until) in maps.lines().filter_map(writable) {
            bytes.resize(usize::try_from(until - from).expect("it fits into memory"), 0);
            // A mapping may go away between the look at the list and the look at it.
            if memory.read_exact_at(&mut bytes, from).is_ok() {
                read += bytes.len();
                self.find_in(&bytes, &mut found);
            }
        }
        if read == 0 { Err(io::Error::other("no mapping could be read")) } else { Ok(found) }
    }

    fn find_in(&self, bytes: &[u8], found: &mut BTreeSet<String>) {
        let start = |piece: &[u8]| usize::from(piece[0]) << 8 | usize::from(piece[1]);
        let mut by_start = vec![Vec::new(); 1 << 16];
        for (name, piece) in &self.0 {
            by_start[start(piece)].push((name, piece));
        }
        for at in 0..bytes.len().saturating_sub(PIECE - 1) {
            for (name, piece) in &by_start[start(&bytes[at..])] {
                if bytes[at..].starts_with(piece) {
                    found.insert((*name).clone());
                }
            }
        }
    }
}

/// The lines of a PEM's key, or the one line of a PFX in base64, and its bytes.
fn texts(value: &str) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let key = value.split_once("PRIVATE KEY-----").map_or(value, |(_, rest)| rest);
    let key = key.split("-----END").next().unwrap_or_default();
    let lines = key.lines().map(|line| ("text", line.as_bytes().to_vec()));
    lines.chain(STANDARD.decode(value).ok().map(|pfx| ("bytes", pfx)))
}

/// A key in each of its forms as DER.
fn der(ca: &Authority) -> impl Iterator<Item = Vec<u8>> {
    let key = PKey::private_key_from_pem(ca.key().as_bytes()).unwrap();
    [key.private_key_to_pkcs8().unwrap(), key.private_key_to_der().unwrap()].into_iter()
}

/// The private numbers as DER has them, and as they are in a big number's words.
fn numbers(ca: &Authority) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let key = PKey::private_key_from_pem(ca.key().as_bytes()).unwrap();
    let mut numbers = Vec::new();
    if let Ok(key) = key.ec_key() {
        numbers.push(("d", "d in words", key.private_key().to_vec()));
    }
    if let Ok(key) = key.rsa() {
        numbers.extend([
            ("d", "d in words", key.d().to_vec()),
            ("p", "p in words", key.p().unwrap().to_vec()),
            ("q", "q in words", key.q().unwrap().to_vec()),
        ]);
    }
    numbers.into_iter().flat_map(|(number, in_words, bytes)| {
        let words = bytes.iter().rev().copied().collect();
        [(number, bytes), (in_words, words)]
    })
}

/// The range of a writable mapping, from a line such as `7f12…-7f13… rw-p 00000000 00:00 0 [heap]`.
fn writable(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    let (from, until) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    rest.starts_with("rw").then_some((number(from)?, number(until)?))
}
