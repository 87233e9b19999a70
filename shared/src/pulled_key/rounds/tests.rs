use openssl::nid::Nid;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::symm::{Cipher, encrypt};
use openssl::x509::X509;

use super::super::PulledKey;
use super::*;
use crate::testing::{self, P256};

const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06];
const SHROUDED_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x02];
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
const AES_256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];
const BAG: u8 = CONTEXT_0 | CONSTRUCTED;

/// A count that is quick, and that stands nowhere else.
const MARK: usize = 0x1_2345;

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut element = vec![tag, 0x83];
    element.extend(&content.len().to_be_bytes()[5..]);
    element.extend(content);
    element
}

fn oid(content: &[u8]) -> Vec<u8> {
    tlv(OBJECT_IDENTIFIER, &[content])
}

fn integer(value: u64) -> Vec<u8> {
    let octets = [&[0][..], &value.to_be_bytes()].concat();
    let needless = octets.windows(2).take_while(|pair| pair[0] == 0 && pair[1] & 0x80 == 0).count();
    tlv(0x02, &[&octets[needless.min(8)..]])
}

/// `AlgorithmIdentifier` of PBES2 with PBKDF2 (HMAC-SHA-1) and AES.
fn pbes2(derivation: &[u8]) -> Vec<u8> {
    let encryption = tlv(SEQUENCE, &[&oid(AES_256_CBC), &tlv(OCTET_STRING, &[&[9; 16]])]);
    tlv(SEQUENCE, &[&oid(PBES2), &tlv(SEQUENCE, &[derivation, &encryption])])
}

fn pbkdf2(rounds: u64) -> Vec<u8> {
    let parameters = tlv(SEQUENCE, &[&tlv(OCTET_STRING, &[b"salt"]), &integer(rounds)]);
    tlv(SEQUENCE, &[&oid(PBKDF2), &parameters])
}

/// A key in a bag, encrypted with the empty password by so many rounds, as far as it says.
fn shrouded(key: &PKey<Private>, says: u64) -> Vec<u8> {
    const ROUNDS: u64 = 2048;
    let plain = key.private_key_to_pkcs8().expect("encodes");
    let info = tlv(SEQUENCE, &[&pbes2(&pbkdf2(says)), &tlv(OCTET_STRING, &[&encrypted(&plain, ROUNDS)])]);
    let bag = tlv(SEQUENCE, &[&oid(SHROUDED_KEY), &tlv(BAG, &[&info])]);
    tlv(SEQUENCE, &[&bag])
}

fn encrypted(plain: &[u8], rounds: u64) -> Vec<u8> {
    let mut key = [0; 32];
    let rounds = usize::try_from(rounds).expect("fits");
    pbkdf2_hmac(b"", b"salt", rounds, openssl::hash::MessageDigest::sha1(), &mut key).expect("derives");
    encrypt(Cipher::aes_256_cbc(), &key, Some(&[9; 16]), plain).expect("encrypts")
}

/// A PFX without a MAC, with its contents encrypted or not.
fn pfx(contents: &[u8], is_encrypted: bool) -> Vec<u8> {
    let safe = if is_encrypted {
        let content = tlv(CONTEXT_0, &[&encrypted(contents, 2048)]);
        let info = tlv(SEQUENCE, &[&oid(DATA), &pbes2(&pbkdf2(2048)), &content]);
        let data = tlv(SEQUENCE, &[&tlv(0x02, &[&[0]]), &info]);
        tlv(SEQUENCE, &[&oid(ENCRYPTED_DATA), &tlv(BAG, &[&data])])
    } else {
        tlv(SEQUENCE, &[&oid(DATA), &tlv(BAG, &[&tlv(OCTET_STRING, &[contents])])])
    };
    let safes = tlv(OCTET_STRING, &[&tlv(SEQUENCE, &[&safe])]);
    tlv(SEQUENCE, &[&tlv(0x02, &[&[3]]), &tlv(SEQUENCE, &[&oid(DATA), &tlv(BAG, &[&safes])])])
}

/// One that OpenSSL wrote, with the counts of its key, its certificates and its MAC replaced.
fn with_counts(algorithm: Nid, key: Option<u32>, mac: Option<u32>) -> Vec<u8> {
    let private = testing::key(P256);
    let certificate = X509::from_der(testing::ca(&private, 30).der()).expect("decodes");
    let mark = |is_marked: bool| i32::try_from(if is_marked { MARK } else { 2048 }).expect("fits");
    let mut builder = Pkcs12::builder();
    builder.pkey(&private).cert(&certificate).key_algorithm(algorithm).cert_algorithm(algorithm);
    builder.key_iter(mark(key.is_some()) as u32).mac_iter(mark(mac.is_some()) as u32);
    let der = builder.build2("").and_then(|pfx| pfx.to_der()).expect("encodes");
    let marked = [0x02, 0x03, 0x01, 0x23, 0x45];
    let count = (key.or(mac).unwrap_or_default() & 0x007f_ffff).to_be_bytes();
    let mut replaced = 0;
    let mut changed = der.clone();
    for at in 0..=der.len() - marked.len() {
        if der[at..].starts_with(&marked) {
            changed[at + 2..at + 5].copy_from_slice(&count[1..]);
            replaced += 1;
        }
    }
    assert_eq!(
        replaced,
        2 * usize::from(key.is_some()) + usize::from(mac.is_some()),
        "the counts are where they were"
    );
    changed
}

const MOST: u32 = 1_000_000;
const AES: Nid = Nid::AES_256_CBC;
const TRIPLE_DES: Nid = Nid::PBE_WITHSHA1AND3_KEY_TRIPLEDES_CBC;

#[test]
fn a_count_that_openssl_would_follow_is_read_wherever_it_stands() {
    let rows = [
        ("the MAC", with_counts(AES, None, Some(MOST + 1))),
        ("key and certificates, AES", with_counts(AES, Some(MOST + 1), None)),
        ("key and certificates, 3DES", with_counts(TRIPLE_DES, Some(MOST + 1), None)),
        ("a key", pfx(&shrouded(&testing::key(P256), u64::from(MOST) + 1), false)),
        ("a key in an encrypted part", pfx(&shrouded(&testing::key(P256), u64::from(MOST) + 1), true)),
    ];
    for (name, pfx) in rows {
        assert_eq!(check(&pfx), Err(UnusableSecret::TooManyRounds(u64::from(MOST) + 1)), "{name}");
    }
}

#[test]
fn a_key_in_an_encrypted_part_is_read_if_its_count_is_small_and_not_if_it_is_huge() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let key = testing::key(P256);
    let read = |rounds| {
        let pfx = STANDARD.encode(pfx(&shrouded(&key, rounds), true));
        PulledKey::from_secret(zeroize::Zeroizing::new(pfx))
    };
    let ca = testing::ca(&key, 30);
    assert!(read(2048).expect("OpenSSL reads it").belongs_to(&ca), "so OpenSSL follows the count in there");
    let refused = read(0x7fff_ffff).err();
    assert_eq!(refused, Some(UnusableSecret::TooManyRounds(0x7fff_ffff)));
    let sentence = refused.map(|refused| refused.to_string()).unwrap_or_default();
    assert!(sentence.contains("2147483647 rounds") && sentence.contains("-iter 2048"), "{sentence}");
}

#[test]
fn a_million_rounds_are_computed_and_not_one_more_nor_five_times_as_many() {
    let key = testing::key(P256);
    let with = |rounds: u64, keys: usize| {
        let bags: Vec<u8> = (0..keys).flat_map(|_| shrouded(&key, rounds)[5..].to_vec()).collect();
        check(&pfx(&tlv(SEQUENCE, &[&bags]), false))
    };
    let most = u64::from(MOST);
    assert_eq!(with(most, 1), Ok(()));
    assert_eq!(with(most + 1, 1), Err(UnusableSecret::TooManyRounds(most + 1)));
    assert_eq!(with(most, 4), Ok(()));
    assert_eq!(with(most, 5), Err(UnusableSecret::TooManyRounds(5 * most)));
    assert_eq!(with(u64::MAX, 2), Err(UnusableSecret::TooManyRounds(u64::MAX)));
}

#[test]
fn the_cost_of_scrypt_is_its_three_numbers_multiplied() {
    let scrypt = |cost, block_size, parallelism| {
        let numbers = [integer(cost), integer(block_size), integer(parallelism)].concat();
        let parameters = tlv(SEQUENCE, &[&tlv(OCTET_STRING, &[b"salt"]), &numbers]);
        let info =
            tlv(SEQUENCE, &[&pbes2(&tlv(SEQUENCE, &[&oid(SCRYPT), &parameters])), &tlv(OCTET_STRING, &[])]);
        check(&pfx(&info, false))
    };
    assert_eq!(scrypt(1 << 14, 8, 1), Ok(()), "as OpenSSL writes it");
    assert_eq!(scrypt(1 << 14, 8, 8), Err(UnusableSecret::TooManyRounds(1 << 20)));
    assert_eq!(scrypt(2, 1, u64::MAX), Err(UnusableSecret::TooManyRounds(u64::MAX)));
}

#[test]
fn a_negative_count_and_one_in_pieces_of_a_string_are_read_too() {
    let pbkdf2 = |count: &[u8]| {
        let parameters = tlv(SEQUENCE, &[&tlv(OCTET_STRING, &[b"salt"]), count]);
        tlv(SEQUENCE, &[&oid(PBKDF2), &parameters])
    };
    assert_eq!(check(&pbkdf2(&[0x02, 1, 0x80])), Err(UnusableSecret::TooManyRounds(u64::MAX)));

    let huge = pbkdf2(&integer(0x7fff_ffff));
    let (first, second) = huge.split_at(20);
    let in_pieces = tlv(0x24, &[&tlv(OCTET_STRING, &[first]), &tlv(OCTET_STRING, &[second])]);
    assert_eq!(check(&in_pieces), Err(UnusableSecret::TooManyRounds(0x7fff_ffff)));
}

#[test]
fn what_is_nested_deeper_than_any_pfx_is_refused() {
    let mut nested = integer(7);
    for _ in 0..60 {
        nested = tlv(SEQUENCE, &[&nested]);
    }
    assert_eq!(check(&nested), Err(UnusableSecret::Unknown));
}

/// The seeds of the fuzz targets were written by several programs.
#[test]
fn what_openssl_reads_in_no_time_is_let_through() {
    let rows: [(&str, &[u8]); 7] = [
        ("3DES", include_bytes!("../../../../tests/fuzz/corpus/pfx_secret/3des.pfx")),
        (
            "a chain under AES-128",
            include_bytes!("../../../../tests/fuzz/corpus/pfx_secret/aes128-chain.pfx"),
        ),
        ("AES-256", include_bytes!("../../../../tests/fuzz/corpus/pfx_secret/aes256.pfx")),
        ("no key", include_bytes!("../../../../tests/fuzz/corpus/pfx_secret/no-key.pfx")),
        ("no MAC", include_bytes!("../../../../tests/fuzz/corpus/pfx_secret/no-mac.pfx")),
        ("not encrypted", include_bytes!("../../../../tests/fuzz/corpus/pfx_secret/plain.pfx")),
        ("RSA", include_bytes!("../../../../tests/fuzz/corpus/pfx_secret/rsa.pfx")),
    ];
    for (name, pfx) in rows {
        assert_eq!(check(pfx), Ok(()), "{name}");
    }
}
