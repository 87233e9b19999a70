//! One verification's own work, so many times over, for `tests/benches/instructions` to count.

mod pieces;

use std::hint::black_box;

use keyholder::outcome::Outcome;

use pieces::Pieces;

fn main() {
    let times = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1);
    let pieces = Pieces::new();
    for _ in 0..times {
        black_box(verification(&pieces));
    }
}

/// Its steps one after the other, as a run takes them; what is counted.
#[inline(never)]
fn verification(pieces: &Pieces) -> Outcome {
    let upload = pieces.upload();
    let registered = pieces.registered();
    let unsigned = pieces.unsigned();
    let signature = pieces.sign(&unsigned);
    let proof = unsigned.assemble(&signature).expect("the signature is the CA's");
    pieces.decide(&upload, &registered, &proof)
}
