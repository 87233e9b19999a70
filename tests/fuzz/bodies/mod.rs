//! What must hold whatever bytes arrive: one function for every parser that meets bytes we did not write.
//!
//! Not panicking is the least of it. Each body states what the rest of the program relies on once a parser
//! has said yes, and that a refusal fits into one line of a log. libFuzzer drives these bodies for as long as
//! one likes, and `cargo test` drives the same bodies for a moment, so that an invariant is written once.

mod azure;
mod bearer;
mod crypto;
mod door;
mod emulator;
mod events;

pub use azure::{arm_answer, arm_list, key_vault_answer};
pub use bearer::{bearer_token, jwk_set};
pub use crypto::{ca_certificate, pem_secret, pfx_rounds, pfx_secret};
pub use door::webhook_front_door;
pub use emulator::snapshot;
pub use events::{certificate_id, cloud_event, event_grid_event, host_envelope};

use std::borrow::Cow;

/// The most that is kept of a peer's own sentence.
const QUOTE: usize = 600;
/// The longest sentence of ours about one.
const SENTENCE: usize = 1000;

/// Parsers of text get text: bytes that are not UTF-8 are the business of whoever decodes.
fn text(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// A sentence for a log: one line, and not as long as the one who made us write it likes.
fn assert_fits_a_log(sentence: &str, limit: usize) {
    assert!(!sentence.is_empty(), "a refusal without a reason");
    assert!(sentence.chars().count() <= limit, "{} characters: {sentence}", sentence.chars().count());
    assert!(!sentence.chars().any(char::is_control), "more than one line: {sentence:?}");
}
