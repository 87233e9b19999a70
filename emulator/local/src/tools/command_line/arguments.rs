//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use time::OffsetDateTime;
use url::Url;

use crate::control::client::STANDARD;
use crate::control::{JournalQuery, Moment};
use keyholder_emulator::faults::{Calls, EFFECTS, Effect, Fault};
use keyholder_emulator::operation::Operation;
use keyholder_emulator::span;

/// Which emulator, and how to show its answers.
#[derive(Debug, Args)]
pub struct Connection {
    /// Where the emulator is
    #[arg(long, global = true, value_name = "URL", default_value = STANDARD)]
    pub(super) emulator: Url,
    /// How to print
    #[arg(long, short, global = true, value_enum, default_value_t)]
    pub(super) output: Format,
}

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

/// A vault to be.
#[derive(Debug, Args)]
pub struct AddVaultArguments {
    /// 3 to 24 letters, digits and hyphens; the first is a letter
    pub(super) name: String,
    #[command(flatten)]
    pub(super) to: Connection,
}

/// The fault plan, and what to do with it.
#[derive(Debug, Args)]
pub struct FaultsArguments {
    #[command(subcommand)]
    pub(super) action: Option<FaultsAction>,
    #[command(flatten)]
    pub(super) to: Connection,
}

/// What to do with the fault plan.
#[derive(Debug, Subcommand)]
pub(super) enum FaultsAction {
    /// List the rules in force, and how often each has struck
    List,
    /// Add a rule after those in force
    #[command(after_help = effects_help())]
    Add(RuleArguments),
    /// Remove every rule, or the one with this id
    Clear {
        /// The rule's id
        id: Option<u64>,
    },
    /// List every operation, and what a call of it can meet
    Operations,
}

/// Every effect, and how rules look.
fn effects_help() -> String {
    let rows =
        EFFECTS.iter().map(|notation| format!("  {:<28} {}\n", notation.forms.join(", "), notation.about));
    let rows: String = rows.collect();
    format!(
        "Effects:\n{rows}\nExamples:\n  \
         emulator faults add dps.verify answer=503 --first 2\n  \
         emulator faults add vault.sign throttle=3 --object my-vault/root-ca\n  \
         emulator faults add eventGrid.deliver resetAfter --sometimes 100 --seed 7"
    )
}

/// A rule.
#[derive(Debug, Args)]
pub(super) struct RuleArguments {
    /// The call it is aimed at: dps.verify, vault.sign, identity.getToken, eventGrid.deliver, …
    operation: Operation,
    /// What the call meets, as listed below
    effect: Effect,
    /// Only calls for this object, as the journal names it
    #[arg(long)]
    object: Option<String>,
    #[command(flatten)]
    calls: CallsArguments,
    /// Which draw of --sometimes it is; the same seed strikes the same calls
    #[arg(long, requires = "sometimes", default_value_t = 1)]
    seed: u64,
}

/// Which calls a rule strikes; all of them if nothing is said.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct CallsArguments {
    /// The first so many
    #[arg(long, value_name = "COUNT")]
    first: Option<u32>,
    /// Only the one with this number, counted from 1
    #[arg(long, value_name = "NUMBER")]
    nth: Option<u32>,
    /// One in so many
    #[arg(long, value_name = "COUNT")]
    every: Option<u32>,
    /// So many of a thousand, drawn with --seed
    #[arg(long, value_name = "PER MILLE")]
    sometimes: Option<u16>,
}

impl RuleArguments {
    pub(super) fn fault(self) -> Fault {
        let CallsArguments { first, nth, every, sometimes } = self.calls;
        let chosen = [
            first.map(Calls::First),
            nth.map(Calls::Nth),
            every.map(Calls::Every),
            sometimes.map(|per_mille| Calls::Sometimes { per_mille, seed: self.seed }),
        ];
        let calls = chosen.into_iter().flatten().next().unwrap_or_default();
        Fault { operation: self.operation, object: self.object, calls, effect: self.effect }
    }
}

/// The clock, and what to do with it.
#[derive(Debug, Args)]
pub struct ClockArguments {
    #[command(subcommand)]
    pub(super) action: Option<ClockAction>,
    #[command(flatten)]
    pub(super) to: Connection,
}

/// What to do with the clock.
#[derive(Debug, Subcommand)]
pub(super) enum ClockAction {
    /// Show what time it is
    Show,
    /// Stop it, where it stands or at a moment
    Freeze {
        /// As 2021-10-15 or 2021-10-15T18:46:06Z
        #[arg(value_parser = Moment::parse)]
        at: Option<OffsetDateTime>,
    },
    /// Put it to a moment, which may be in the past
    Set {
        /// As 2021-10-15 or 2021-10-15T18:46:06Z
        #[arg(value_parser = Moment::parse)]
        to: OffsetDateTime,
    },
    /// Move it forward; whatever falls due happens at once
    Advance {
        /// As 90s, 36h or "2days 30m"
        #[arg(value_parser = span::parse)]
        by: Duration,
    },
    /// Let it run from where it stands
    Run,
}

/// A verification code.
#[derive(Debug, Args)]
pub struct NextCodeArguments {
    /// The code; left out, the chosen one is shown
    pub(super) code: Option<String>,
    /// Leave it to chance again
    #[arg(long, conflicts_with = "code")]
    pub(super) forget: bool,
    #[command(flatten)]
    pub(super) to: Connection,
}

/// Which entries of the journal.
#[derive(Debug, Args)]
pub struct JournalArguments {
    /// Stay, and show each entry as it is written
    #[arg(long, short)]
    pub(super) follow: bool,
    /// Only entries after the one with this number
    #[arg(long, value_name = "NUMBER")]
    since: Option<u64>,
    /// Only this operation (dps.verify), or those of this service (dps)
    #[arg(long)]
    operation: Option<String>,
    /// Only this object, as the journal names it
    #[arg(long)]
    object: Option<String>,
    /// Only what is about the DPS certificate with this ARM id
    #[arg(long, value_name = "ID")]
    certificate: Option<String>,
    /// At most so many entries; without --follow 100 if left out
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    #[command(flatten)]
    pub(super) to: Connection,
}

impl JournalArguments {
    pub(super) fn query(&self) -> JournalQuery {
        JournalQuery {
            since: self.since,
            limit: self.limit,
            operation: self.operation.clone(),
            object: self.object.clone(),
            certificate: self.certificate.clone(),
        }
    }
}

/// How to start over.
#[derive(Debug, Args)]
pub struct ResetArguments {
    /// Where codes, etags and ids come from then; the present seed if left out
    #[arg(long)]
    pub(super) seed: Option<u64>,
    #[command(flatten)]
    pub(super) to: Connection,
}

/// Where a snapshot is.
#[derive(Debug, Args)]
pub struct SnapshotArguments {
    /// The file; - for standard output and input
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) to: Connection,
}
