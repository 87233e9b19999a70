//! The pure parts, one by one: `cargo bench -p keyholder-tests --bench pure`.

#![allow(missing_docs)] // criterion's macro makes public functions

mod pieces;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use keyholder::ca::SignatureAlgorithm;
use keyholder::proof::{RawSignature, lint};
use keyholder_emulator::event_grid::Filter;
use keyholder_emulator::journal::{Entry, Journal};
use keyholder_emulator::operation::Operation;
use serde_json::Value;

use pieces::Pieces;

fn verification(criterion: &mut Criterion) {
    let pieces = Pieces::new();
    let upload = pieces.upload();
    criterion
        .bench_function("event: parse an invocation", |bench| bench.iter(|| black_box(&pieces).upload()));
    criterion
        .bench_function("registry: parse an answer", |bench| bench.iter(|| black_box(&pieces).registered()));

    let (registered, code) = (pieces.registered(), pieces.code());
    let unsigned = pieces.unsigned();
    let tbs = unsigned.tbs().to_vec();
    criterion.bench_function("proof: build the TBS and lint it", |bench| bench.iter(|| pieces.unsigned()));
    criterion.bench_function("proof: lint the TBS", |bench| {
        bench.iter(|| {
            lint::lint(black_box(&tbs), &pieces.ca, &code, &pieces.leaf, pieces.now).expect("it is sound");
        });
    });
    let signature = pieces.sign(&unsigned);
    let proof = unsigned.assemble(&signature).expect("the signature is the CA's");
    criterion.bench_function("proof: assemble and verify", |bench| {
        bench.iter_batched(
            || {
                let unsigned = pieces.unsigned();
                let signature = pieces.sign(&unsigned);
                (unsigned, signature)
            },
            |(unsigned, signature)| unsigned.assemble(&signature),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("decision: a run that ends well", |bench| {
        bench.iter(|| black_box(&pieces).decide(&upload, &registered, &proof));
    });
}

fn signature(criterion: &mut Criterion) {
    for (name, algorithm, size) in
        [("P-256", SignatureAlgorithm::Es256, 64), ("P-521", SignatureAlgorithm::Es512, 132)]
    {
        let raw = RawSignature((1..=size).collect());
        criterion.bench_function(&format!("signature: r‖s to DER, {name}"), |bench| {
            bench.iter(|| black_box(&raw).to_der(algorithm));
        });
    }
}

fn emulator(criterion: &mut Criterion) {
    let pieces = Pieces::new();
    let invocation: Value = serde_json::from_slice(&pieces.invocation).expect("it is JSON");
    let (event, filter) = (&invocation["Data"]["event"], Filter::certificate_writes());
    criterion
        .bench_function("event grid: match a filter", |bench| bench.iter(|| filter.takes(black_box(event))));

    let mut journal = Journal::default();
    criterion.bench_function("journal: append an entry", |bench| {
        bench.iter(|| journal.write(Entry::new(pieces.now, Operation::GetCertificate, black_box("root-ca"))));
    });
}

criterion_group!(pure, verification, signature, emulator);
criterion_main!(pure);
