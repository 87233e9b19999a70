//! The control API for tests in the same process, and what every other way in ends at.

use std::fmt;
use std::sync::Arc;

use super::clock::{ClockChange, ClockReading};
use super::error::ControlError;
use super::event_grid::{self, DeadLetters, Disorder, EventGridState, EventSubscription, NewSubscription};
use super::faults::{FaultPlan, FaultRule};
use super::journal::{JournalPage, JournalQuery};
use super::overview::{Environment, NextCode, Overview, Reset};
use super::registries::Registries;
use super::site::Site;
use super::snapshot::Snapshot;
use super::token::random_token;
use keyholder_emulator::Emulator;
use keyholder_emulator::dps::{LONGEST_CODE, is_code};
use keyholder_emulator::faults::Fault;
use keyholder_emulator::key_vault::is_vault_name;

/// Steers one emulator; cheap to clone.
///
/// ```
/// use keyholder_emulator_local::control::{ClockChange, Control, Moment};
/// use keyholder_emulator::{Emulator, World};
///
/// let control = Control::of(&Emulator::new(World::tutorial(7)));
/// let then = Moment::parse("2021-10-15T18:46:06Z")?;
/// control.change_clock(ClockChange::freeze(Some(then)))?;
/// control.set_next_code(Some("A1B2C3D4E5F6G7H8".to_owned()))?;
/// assert_eq!(control.clock().now, then);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Control {
    emulator: Emulator,
    site: Option<Arc<Site>>,
    token: Arc<str>,
}

impl fmt::Debug for Control {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("site", &self.site).finish_non_exhaustive()
    }
}

impl Control {
    /// The control API of an emulator without addresses.
    pub fn of(emulator: &Emulator) -> Control {
        Control { emulator: emulator.clone(), site: None, token: random_token() }
    }

    /// Of an emulator with addresses.
    pub(crate) fn at(site: Arc<Site>, emulator: Emulator) -> Control {
        let token = Arc::clone(&site.token);
        Control { emulator, site: Some(site), token }
    }

    /// What whoever comes over HTTP has to show.
    pub fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// What runs here, and where.
    pub fn overview(&self) -> Overview {
        let clock = self.clock();
        self.emulator.look(|world, _| Overview {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: world.seed,
            strict: world.strict,
            clock,
            newest: world.journal.written(),
            hits: world.faults.hits(),
            addresses: self.site.as_ref().map(|site| site.addresses(world.key_vaults.names())),
        })
    }

    /// Shell variables that point programs here.
    pub fn environment(&self) -> Result<Environment, ControlError> {
        Ok(self.site()?.environment())
    }

    /// The CA that clients of the TLS port have to trust.
    pub fn ca_pem(&self) -> Result<&[u8], ControlError> {
        Ok(&self.site()?.ca_pem)
    }

    /// The rules in force, in the order they are tried.
    pub fn faults(&self) -> FaultPlan {
        self.emulator.look(|world, _| FaultPlan::of(&world.faults))
    }

    /// Adds a rule after those in force, unless it could never strike.
    pub fn add_fault(&self, fault: Fault) -> Result<FaultRule, ControlError> {
        self.emulator.with(|world, _| Ok(FaultRule::of(world.faults.try_add(fault)?)))
    }

    /// Removes every rule.
    pub fn clear_faults(&self) -> FaultPlan {
        self.emulator.with(|world, _| {
            world.faults.clear();
            FaultPlan::of(&world.faults)
        })
    }

    /// Removes one rule.
    pub fn remove_fault(&self, id: u64) -> Result<FaultPlan, ControlError> {
        self.emulator.with(|world, _| match world.faults.remove(id) {
            true => Ok(FaultPlan::of(&world.faults)),
            false => Err(ControlError::NoSuchRule(id)),
        })
    }

    /// What time it is.
    pub fn clock(&self) -> ClockReading {
        ClockReading::of(self.emulator.clock())
    }

    /// Freezes, sets, advances or runs the clock.
    pub fn change_clock(&self, change: ClockChange) -> Result<ClockReading, ControlError> {
        self.emulator.move_clock(|clock| change.apply(clock))?;
        Ok(self.clock())
    }

    /// The code chosen for the next challenge.
    pub fn next_code(&self) -> NextCode {
        self.emulator.look(|world, _| NextCode { code: world.dps.next_code().map(str::to_owned) })
    }

    /// Chooses the code for the next challenge, of whichever certificate; `None` leaves it to chance.
    pub fn set_next_code(&self, code: Option<String>) -> Result<NextCode, ControlError> {
        if code.as_deref().is_some_and(|code| !is_code(code)) {
            return Err(ControlError::invalid(format!(
                "a code has 1 to {LONGEST_CODE} bytes; send null to leave it to chance"
            )));
        }
        self.emulator.with(|world, _| match &code {
            Some(code) => world.dps.set_next_code(code),
            None => world.dps.forget_next_code(),
        });
        Ok(NextCode { code })
    }

    /// Some of what happened, oldest first.
    pub fn journal(&self, query: &JournalQuery) -> Result<JournalPage, ControlError> {
        self.emulator.look(|world, _| query.page(&world.journal))
    }

    /// Adds an empty vault, unless there is one of that name.
    pub fn add_vault(&self, name: &str) -> Result<Overview, ControlError> {
        if !is_vault_name(name) {
            return Err(ControlError::invalid(format!(
                "{name:?} is no vault's name: 3 to 24 letters, digits and single hyphens are, the first a letter, \
                 the last no hyphen"
            )));
        }
        self.emulator.with(|world, _| world.key_vaults.add(name));
        Ok(self.overview())
    }

    /// Event subscriptions, and what is on its way to them.
    pub fn event_grid(&self) -> EventGridState {
        self.emulator.look(|world, now| EventGridState::of(&world.event_grid, now))
    }

    /// Has events delivered several times, held back, or released in an order of a seed.
    pub fn disturb(&self, disorder: &Disorder) -> EventGridState {
        self.emulator.with(|world, now| {
            if let Some(copies) = disorder.copies {
                world.event_grid.set_copies(copies);
            }
            if disorder.hold_back {
                world.event_grid.hold_back();
            }
            if let Some(seed) = disorder.release {
                world.event_grid.release(seed, now);
            }
        });
        self.event_grid()
    }

    /// Creates or changes an event subscription, as soon as its endpoint has agreed.
    pub fn put_event_subscription(
        &self,
        name: &str,
        new: &NewSubscription,
    ) -> Result<EventSubscription, ControlError> {
        let functions = self.site.as_ref().map(|site| &site.functions);
        self.emulator.with(|world, now| new.propose(name, functions, world, now))
    }

    /// Ends an event subscription.
    pub fn delete_event_subscription(&self, name: &str) -> Result<EventGridState, ControlError> {
        let parsed = event_grid::subscription_name(name)?;
        match self.emulator.with(|world, now| world.event_grid.unsubscribe(&parsed, now)) {
            true => Ok(self.event_grid()),
            false => Err(ControlError::NoSuchSubscription(name.to_owned())),
        }
    }

    /// Delivers an event once more to everyone who got it.
    pub fn redeliver(&self, event_id: &str) -> Result<EventGridState, ControlError> {
        match self.emulator.with(|world, now| world.event_grid.redeliver(event_id, now)) {
            0 => Err(ControlError::invalid(format!("no event {event_id:?} was delivered to anybody"))),
            _ => Ok(self.event_grid()),
        }
    }

    /// Events nobody took.
    pub fn dead_letters(&self) -> DeadLetters {
        self.emulator.look(|world, _| DeadLetters::of(&world.event_grid))
    }

    /// The DPS instances and their certificates.
    pub fn registries(&self) -> Registries {
        self.emulator.look(|world, _| Registries::of(&world.dps))
    }

    /// Puts everything back to how it was at start.
    pub fn reset(&self, reset: Reset) -> Overview {
        self.emulator.reset(reset.seed);
        self.overview()
    }

    /// The whole state, with private keys and secrets, but for the journal.
    pub fn snapshot(&self) -> Snapshot {
        let functions = self.site.as_ref().map(|site| site.functions.clone());
        self.emulator.look(|world, _| Snapshot::of(world.clone(), self.emulator.clock(), functions))
    }

    /// Puts everything to how it was when a snapshot was taken, here or elsewhere.
    pub fn restore(&self, snapshot: Snapshot) -> Result<Overview, ControlError> {
        let functions = self.site.as_ref().map(|site| &site.functions);
        let (world, clock) = snapshot.open(functions)?;
        self.emulator.replace(world, clock);
        Ok(self.overview())
    }

    fn site(&self) -> Result<&Site, ControlError> {
        self.site.as_deref().ok_or(ControlError::NoAddresses)
    }
}
