//! Everything at once, from outside: the real handler process against the emulator, and the real verifier
//! against peers that misbehave. One binary, because linking is what takes long.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod answers;
mod audit;
mod bad_requests;
mod bench;
mod canary;
mod command_line;
mod control;
mod deliveries;
mod demo;
mod event_grid;
mod failures;
mod finding;
mod front_doors;
mod fuzz_smoke;
mod harness;
mod identities;
mod infrastructure;
mod invocations;
mod key_matrix;
mod locks;
mod memory;
mod official_clients;
mod package;
mod page;
mod peers;
mod promises;
mod proxies;
mod recordings;
mod refusals;
mod replay;
mod rights;
mod runbook;
mod settings;
mod shell;
mod supply_chain;
mod sweeps;
mod telemetry;
mod unproven;
mod uploads;
mod webhook;
mod withdrawals;
