//! The fuzz bodies on stable Rust, for a moment: every committed seed, then mutations of the seeds, then bytes
//! out of nowhere. A real search is `tests/fuzz/run`; this keeps its findings found.
//!
//! It draws the same cases every time. `PROPTEST_RNG_SEED` asks for others, `PROPTEST_CASES` for more.

#[allow(unreachable_pub)] // to the fuzz targets it is a library
#[path = "../fuzz/bodies/mod.rs"]
mod bodies;
mod mutation;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestError, TestRunner};

use mutation::mutation;

/// Drawn when no other seed is asked for.
const SEED: u64 = 20_261_123;

type Body = fn(&[u8]);

const BODIES: [(&str, Body); 15] = [
    ("arm_answer", bodies::arm_answer),
    ("arm_list", bodies::arm_list),
    ("bearer_token", bodies::bearer_token),
    ("ca_certificate", bodies::ca_certificate),
    ("certificate_id", bodies::certificate_id),
    ("cloud_event", bodies::cloud_event),
    ("event_grid_event", bodies::event_grid_event),
    ("host_envelope", bodies::host_envelope),
    ("jwk_set", bodies::jwk_set),
    ("key_vault_answer", bodies::key_vault_answer),
    ("pem_secret", bodies::pem_secret),
    ("pfx_rounds", bodies::pfx_rounds),
    ("pfx_secret", bodies::pfx_secret),
    ("snapshot", bodies::snapshot),
    ("webhook_front_door", bodies::webhook_front_door),
];

#[test]
fn every_body_has_a_target_and_seeds() {
    let bodies: Vec<&str> = BODIES.iter().map(|(name, _)| *name).collect();
    let stems = |folder: &str| {
        let mut stems: Vec<String> = files(&fuzz().join(folder))
            .iter()
            .map(|path| path.file_stem().and_then(|stem| stem.to_str()).expect("a plain name").to_owned())
            .collect();
        stems.sort();
        stems
    };
    assert_eq!(stems("fuzz_targets"), bodies);
    assert_eq!(stems("corpus"), bodies);
}

#[test]
fn every_seed_keeps_every_promise() {
    for (name, body) in BODIES {
        for path in files(&fuzz().join("corpus").join(name)) {
            eprintln!("{}", path.display());
            body(&fs::read(&path).expect("readable"));
        }
    }
}

#[test]
fn mutated_ids_and_events_keep_every_promise() {
    for name in ["certificate_id", "cloud_event", "event_grid_event", "host_envelope"] {
        keeps_every_promise(name, 300);
    }
}

#[test]
fn mutated_requests_keep_every_promise() {
    keeps_every_promise("webhook_front_door", 150);
}

#[test]
fn mutated_snapshots_keep_every_promise() {
    keeps_every_promise("snapshot", 100);
}

#[test]
fn mutated_answers_keep_every_promise() {
    for name in ["arm_answer", "arm_list", "key_vault_answer"] {
        keeps_every_promise(name, 150);
    }
}

#[test]
fn mutated_tokens_and_key_sets_keep_every_promise() {
    for name in ["bearer_token", "jwk_set"] {
        keeps_every_promise(name, 150);
    }
}

#[test]
fn mutated_certificates_and_keys_keep_every_promise() {
    for name in ["ca_certificate", "pem_secret", "pfx_rounds", "pfx_secret"] {
        keeps_every_promise(name, 100);
    }
}

fn keeps_every_promise(name: &str, cases: u32) {
    let (_, body) = BODIES.into_iter().find(|(body, _)| *body == name).expect("one of the bodies");
    let seeds = files(&fuzz().join("corpus").join(name));
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|path| fs::read(path).expect("readable")).collect();
    let config = config(cases);
    let rerun = format!("PROPTEST_RNG_SEED={} PROPTEST_CASES={}", config.rng_seed, config.cases);

    let bytes = prop_oneof![
        4 => mutation(seeds),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => any::<String>().prop_map(String::into_bytes),
    ];
    let outcome = TestRunner::new(config).run(&bytes, |bytes| {
        body(&bytes);
        Ok(())
    });
    if let Err(TestError::Fail(reason, bytes)) = outcome {
        let file = std::env::temp_dir().join(format!("{name}-finding"));
        fs::write(&file, &bytes).expect("the temporary folder takes files");
        panic!(
            "{name}: {reason}\ninput: {}\nkept in {}; again with {rerun}",
            bytes.escape_ascii(),
            file.display()
        );
    }
    assert!(outcome.is_ok(), "{name}: {outcome:?}");
}

fn config(cases: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { cases };
    let rng_seed = match asked.rng_seed {
        RngSeed::Random => RngSeed::Fixed(SEED),
        fixed => fixed,
    };
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..asked }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}
