//! The control API in the shell.
//!
//! Data goes to stdout, as a table for people or as JSON for programs, and hints to stderr.

mod arguments;
mod output;
mod snapshot_file;
mod tables;

use std::error::Error;

use clap::Subcommand;
use futures::StreamExt;

use crate::control::client::Client;
use crate::control::{
    AddFault, AddVault, Call, ChangeClock, ClearFaults, ClockChange, GetClock, GetEnvironment, GetFaults,
    GetJournal, GetNextCode, GetOperations, GetOverview, GetRegistries, GetSnapshot, JournalQuery, NextCode,
    Nothing, PostReset, PutSnapshot, RemoveFault, Reset, RuleId, SetNextCode, VaultName,
};
pub use arguments::{
    AddVaultArguments, ClockArguments, Connection, FaultsArguments, JournalArguments, NextCodeArguments,
    ResetArguments, SnapshotArguments,
};
use arguments::{ClockAction, FaultsAction};
use output::Output;

/// What can be asked of a running emulator.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what runs, and where
    Status(Connection),
    /// Print what points a shell here: eval "$(emulator env)"
    Env(Connection),
    /// List the DPS instances' certificates, as the portal shows them
    Certificates(Connection),
    /// Add an empty vault
    AddVault(AddVaultArguments),
    /// Have calls fail on demand: list the rules, add one, clear them
    Faults(FaultsArguments),
    /// Show the emulator's clock, freeze it, set it, advance it, let it run
    Clock(ClockArguments),
    /// Choose the verification code that is handed out next, or show the chosen one
    NextCode(NextCodeArguments),
    /// Show what happened, or what happens
    Journal(JournalArguments),
    /// Write the whole state, private keys and secrets included, into a file that can be restored
    Snapshot(SnapshotArguments),
    /// Put everything to how it was when a snapshot was taken
    Restore(SnapshotArguments),
    /// Put everything back to how it was at start
    Reset(ResetArguments),
}

/// Carries out a command. What the emulator says goes to stdout.
#[tokio::main]
pub async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    let none = &Nothing {};
    match command {
        Command::Status(to) => to.show::<GetOverview>(none, none).await,
        Command::Env(to) => {
            to.show::<GetEnvironment>(none, none).await?;
            output::hint("eval \"$(emulator env)\" sets these in this shell");
            Ok(())
        }
        Command::Certificates(to) => to.show::<GetRegistries>(none, none).await,
        Command::AddVault(AddVaultArguments { name, to }) => {
            to.show::<AddVault>(&VaultName { name }, none).await
        }
        Command::Faults(FaultsArguments { action, to }) => match action.unwrap_or(FaultsAction::List) {
            FaultsAction::List => to.show::<GetFaults>(none, none).await,
            FaultsAction::Add(rule) => to.show::<AddFault>(none, &rule.fault()).await,
            FaultsAction::Clear { id: None } => to.show::<ClearFaults>(none, none).await,
            FaultsAction::Clear { id: Some(id) } => to.show::<RemoveFault>(&RuleId { id }, none).await,
            FaultsAction::Operations => to.show::<GetOperations>(none, none).await,
        },
        Command::Clock(ClockArguments { action, to }) => {
            let change = match action.unwrap_or(ClockAction::Show) {
                ClockAction::Show => return to.show::<GetClock>(none, none).await,
                ClockAction::Freeze { at } => ClockChange::freeze(at),
                ClockAction::Set { to } => ClockChange::set(to),
                ClockAction::Advance { by } => ClockChange::advance(by),
                ClockAction::Run => ClockChange::run(),
            };
            to.show::<ChangeClock>(none, &change).await
        }
        Command::NextCode(NextCodeArguments { code, forget, to }) => match (code, forget) {
            (None, false) => to.show::<GetNextCode>(none, none).await,
            (code, _) => to.show::<SetNextCode>(none, &NextCode { code }).await,
        },
        Command::Journal(arguments) => {
            let (query, to) = (arguments.query(), &arguments.to);
            match arguments.follow {
                false => to.show::<GetJournal>(&query, none).await,
                true => to.follow(&query).await,
            }
        }
        Command::Snapshot(SnapshotArguments { file, to }) => {
            let snapshot = to.client()?.call::<GetSnapshot>(none, none).await?;
            snapshot_file::write(&file, &snapshot)
        }
        Command::Restore(SnapshotArguments { file, to }) => {
            to.show::<PutSnapshot>(none, &snapshot_file::read(&file)?).await
        }
        Command::Reset(ResetArguments { seed, to }) => to.show::<PostReset>(none, &Reset { seed }).await,
    }
}

impl Connection {
    fn client(&self) -> Result<Client, Box<dyn Error>> {
        Ok(Client::new(self.emulator.clone())?)
    }

    async fn show<C: Call>(&self, parameters: &C::Parameters, body: &C::Body) -> Result<(), Box<dyn Error>>
    where
        C::Answer: tables::Table,
    {
        let answer = self.client()?.call::<C>(parameters, body).await?;
        Output::new(self.output).answer(&answer)
    }

    async fn follow(&self, query: &JournalQuery) -> Result<(), Box<dyn Error>> {
        let client = self.client()?;
        let mut output = Output::new(self.output);
        let mut entries = std::pin::pin!(client.follow(query).await?);
        while let Some(entry) = entries.next().await {
            if !output.entry(&entry?)? {
                break;
            }
        }
        Ok(())
    }
}
