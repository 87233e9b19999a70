//! Every call of the control API. One that is added here is served, asked for, described and carried out.

use super::call::{Call, Nothing, Visitor, calls};
use super::carry_out::Control;
use super::clock::{ClockChange, ClockReading};
use super::error::ControlError;
use super::event_grid::{
    DeadLetters, Disorder, EventGridState, EventSubscription, NewSubscription, Redelivery, SubscriptionTarget,
};
use super::faults::{FaultPlan, FaultRule, Operations, RuleId};
use super::journal::{JournalPage, JournalQuery};
use super::overview::{Environment, NextCode, Overview, Reset, VaultName};
use super::registries::Registries;
use super::snapshot::Snapshot;
use keyholder_emulator::faults::Fault;

calls! {
    /// What runs here, and where.
    GetOverview = GET "/_emulator", Nothing, Nothing => Overview,
        |control, _, _| Ok(control.overview());

    /// Shell variables that point programs here.
    GetEnvironment = GET "/_emulator/environment", Nothing, Nothing => Environment,
        |control, _, _| control.environment();

    /// Everything that can be asked of the emulated services, and what it can be struck with.
    GetOperations = GET "/_emulator/operations", Nothing, Nothing => Operations,
        |_, _, _| Ok(Operations::all());

    /// The rules in force, in the order they are tried, and how often each has struck.
    GetFaults = GET "/_emulator/faults", Nothing, Nothing => FaultPlan,
        |control, _, _| Ok(control.faults());

    /// Adds a rule after those in force. One that could never strike is refused.
    AddFault = POST "/_emulator/faults", Nothing, Fault => FaultRule,
        |control, _, fault| control.add_fault(fault);

    /// Removes every rule.
    ClearFaults = DELETE "/_emulator/faults", Nothing, Nothing => FaultPlan,
        |control, _, _| Ok(control.clear_faults());

    /// Removes one rule.
    RemoveFault = DELETE "/_emulator/faults/{id}", RuleId, Nothing => FaultPlan,
        |control, rule, _| control.remove_fault(rule.id);

    /// What time it is here.
    GetClock = GET "/_emulator/clock", Nothing, Nothing => ClockReading,
        |control, _, _| Ok(control.clock());

    /// Freezes, sets, advances or runs the clock. Whatever falls due happens at once.
    ChangeClock = PATCH "/_emulator/clock", Nothing, ClockChange => ClockReading,
        |control, _, change| control.change_clock(change);

    /// The code that the next generateVerificationCode will hand out, if it was chosen beforehand.
    GetNextCode = GET "/_emulator/next-code", Nothing, Nothing => NextCode,
        |control, _, _| Ok(control.next_code());

    /// Chooses the code that the next generateVerificationCode hands out, of whichever certificate; null leaves
    /// it to chance again.
    SetNextCode = PUT "/_emulator/next-code", Nothing, NextCode => NextCode,
        |control, _, next| control.set_next_code(next.code);

    /// What happened, oldest first.
    GetJournal = GET "/_emulator/journal", JournalQuery, Nothing => JournalPage,
        |control, query, _| control.journal(&query);

    /// Adds an empty vault, unless there is one of that name.
    AddVault = PUT "/_emulator/vaults/{name}", VaultName, Nothing => Overview,
        |control, vault, _| control.add_vault(&vault.name);

    /// Event subscriptions, and what is on its way to them.
    GetEventGrid = GET "/_emulator/event-grid", Nothing, Nothing => EventGridState,
        |control, _, _| Ok(control.event_grid());

    /// Has events delivered several times, held back, or released in an order of a seed.
    ChangeDelivery = PATCH "/_emulator/event-grid", Nothing, Disorder => EventGridState,
        |control, _, disorder| Ok(control.disturb(&disorder));

    /// Creates or changes an event subscription, as soon as its endpoint has agreed.
    PutEventSubscription = PUT "/_emulator/event-grid/subscriptions/{name}", SubscriptionTarget, NewSubscription => EventSubscription,
        |control, target, new| control.put_event_subscription(&target.name, &new);

    /// Ends an event subscription; what it is still to be sent is forgotten.
    DeleteEventSubscription = DELETE "/_emulator/event-grid/subscriptions/{name}", SubscriptionTarget, Nothing => EventGridState,
        |control, target, _| control.delete_event_subscription(&target.name);

    /// Delivers an event once more to everyone who got it.
    Redeliver = POST "/_emulator/event-grid/redeliver", Nothing, Redelivery => EventGridState,
        |control, _, again| control.redeliver(&again.event_id);

    /// Events nobody took, with the members Event Grid adds to them.
    GetDeadLetters = GET "/_emulator/event-grid/dead-letters", Nothing, Nothing => DeadLetters,
        |control, _, _| Ok(control.dead_letters());

    /// The DPS instances and their certificates, as the portal shows them.
    GetRegistries = GET "/_emulator/registries", Nothing, Nothing => Registries,
        |control, _, _| Ok(control.registries());

    /// The whole state as a document that can be restored. It holds private keys and secrets.
    GetSnapshot = GET "/_emulator/snapshot", Nothing, Nothing => Snapshot,
        |control, _, _| Ok(control.snapshot());

    /// Puts everything to how it was when a snapshot was taken: services, faults and clock. The journal begins anew.
    PutSnapshot = PUT "/_emulator/snapshot", Nothing, Snapshot => Overview,
        |control, _, snapshot| control.restore(snapshot);

    /// Puts everything back to how it was at start: services, faults, clock and journal.
    PostReset = POST "/_emulator/reset", Nothing, Reset => Overview,
        |control, _, reset| Ok(control.reset(reset));
}
