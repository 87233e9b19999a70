//! The control API: what tests, scripts, the page and the shell can ask of the emulator itself.
//!
//! It is defined once, in the table of `table.rs`. Each call there is a type that names its method, its path, what it
//! takes and what it answers; [`Control`] carries it out for tests in this process, `server` brings it to HTTP,
//! `client` asks for it over HTTP on the command line's behalf, and `openapi` describes it. So the three ways
//! in cannot differ, and a call that is added here is everywhere.

mod call;
mod carry_out;
pub mod client;
mod clock;
mod error;
mod event_grid;
mod faults;
mod guard;
mod journal;
mod openapi;
mod overview;
mod parameters;
mod paths;
mod registries;
mod server;
mod site;
mod snapshot;
mod stream;
mod table;
mod token;

pub use call::{Call, Nothing};
pub use carry_out::Control;
pub use clock::{ClockChange, ClockReading};
pub use error::{ControlError, ErrorBody, ErrorDetail};
pub use event_grid::{
    DeadLetterInfo, DeadLetters, Disorder, EventGridState, EventSubscription, NewSubscription, Redelivery,
    SubscriptionTarget,
};
pub use faults::{FaultPlan, FaultRule, OperationInfo, Operations, RuleId};
pub use journal::{JournalPage, JournalQuery};
pub use keyholder_emulator::moment::Moment;
pub use overview::{Addresses, Environment, NextCode, Overview, Reset, Variable, VaultName};
pub use registries::{Certificate, Registries, Registry, Status};
pub(crate) use server::{at_home, guarded};
pub(crate) use site::Site;
pub use snapshot::Snapshot;
pub use table::{
    AddFault, AddVault, ChangeClock, ChangeDelivery, ClearFaults, DeleteEventSubscription, GetClock,
    GetDeadLetters, GetEnvironment, GetEventGrid, GetFaults, GetJournal, GetNextCode, GetOperations,
    GetOverview, GetRegistries, GetSnapshot, PostReset, PutEventSubscription, PutSnapshot, Redeliver,
    RemoveFault, SetNextCode,
};
pub use token::VARIABLE as TOKEN_VARIABLE;
pub(crate) use token::{TokenFile, random_token};
