//! The reliability campaign: everything the network, the registry, other writers and the host can do to a
//! run, tried exhaustively.
//!
//! Most of it runs in memory: the verifier with its real Azure clients, the emulated services' core in place
//! of the network, and tokio's clock, which jumps instead of passing. What only a real process can show, a
//! crash and memory, runs as one.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

/// Says what was tried and what came of it, past the test harness, which would show it for failures only.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod cloud;
mod fault_matrix;
mod hostile;
mod interleavings;
mod kills;
mod outages;
mod process;
mod round_trips;
mod scale_out;
mod schedules;
mod soak;
mod uploads_of_our_own;
mod webhook;

/// Says what does not depend on chance, and sees to it that the documentation says the same.
pub(crate) fn say_as_documented(line: &str) {
    say!("{line}");
    let documented = include_str!("../../docs/reliability.md");
    assert!(documented.contains(line), "docs/reliability.md says something else than this:\n{line}");
}
