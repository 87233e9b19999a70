//! The reliability campaign: everything the network, the registry, other writers and the host can do to a
//! run, tried exhaustively.
//!
//! Most of it runs in memory: the verifier with its real Azure clients, the emulated services' core in place
//! of the network, and tokio's clock, which jumps instead of passing. What only a real process can show, a
//! crash and memory, runs as one.

#![allow(clippy::unwrap_used)] // a panic is how a test fails
#![allow(clippy::print_stdout)] // the campaign says what it tried

mod cloud;
mod fault_matrix;
mod interleavings;
mod kills;
mod outages;
mod process;
mod scale_out;
mod schedules;
mod soak;
mod uploads_of_our_own;
