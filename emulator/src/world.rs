//! Everything the emulated cloud remembers, and the one function that answers a request.
//!
//! It is pure: the same world, request and moment give the same answer. Serving it, delivering its events
//! and moving its clock are other modules' business.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::access::Access;
use crate::arm::{self, Arm, Provider};
use crate::choices::Choices;
use crate::context::Context;
use crate::dps::Dps;
use crate::event_grid::{EventGrid, link};
use crate::exchange::{self, Request, Response};
use crate::faults::{Effect, Faults, Instead, Interference, Place, Wire, answers};
use crate::identity::{self, Identity};
use crate::journal::{Entry, Journal};
use crate::key_vault::{self, KeyVaults};
use crate::operation::Operation;
use crate::rbac::Rbac;
use crate::reply::Reply;
use crate::service::{Routed, Task};
use crate::stored;

pub use crate::names::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION, TENANT, VAULT};

/// The state of every service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct World {
    /// Follow the recordings only: no verification code outside the answer that made it.
    pub strict: bool,
    /// What `random` was seeded with.
    #[serde(with = "stored::number")]
    pub seed: u64,
    /// What to do where the service does one of two things.
    pub choices: Choices,
    /// Where ids, codes and etags come from; seeded, so that a run can be repeated.
    #[serde(with = "stored::random")]
    pub random: fastrand::Rng,
    /// Tokens.
    pub identity: Identity,
    /// Who may do what; everybody everything, until roles are asked for.
    pub rbac: Rbac,
    /// Subscriptions and resource groups.
    pub arm: Arm,
    /// DPS instances with their certificates.
    pub dps: Dps,
    /// Vaults.
    pub key_vaults: KeyVaults,
    /// Event subscriptions and what is waiting to be delivered.
    pub event_grid: EventGrid,
    /// Failures on demand.
    pub faults: Faults,
    /// What happened.
    #[serde(skip)]
    pub journal: Journal,
}

/// A request, and the service it is for.
enum Claim {
    KeyVault(key_vault::Route),
    Identity(identity::Route),
    Arm(arm::Route),
    EventGridLink(link::Route),
    Nobody(Unclaimed),
}

/// A request no service answers.
struct Unclaimed;

/// The resource providers behind Azure Resource Manager. Another one is another line, and a field of the world.
fn providers(dps: &mut Dps) -> [&mut dyn Provider; 1] {
    [dps]
}

impl World {
    /// A world with nothing in it.
    pub fn empty(seed: u64) -> World {
        let mut world = World {
            strict: false,
            choices: Choices::default(),
            seed,
            random: fastrand::Rng::with_seed(seed),
            identity: Identity::new(),
            rbac: Rbac::off(),
            arm: Arm::default(),
            dps: Dps::default(),
            key_vaults: KeyVaults::default(),
            event_grid: EventGrid::new(seed),
            faults: Faults::default(),
            journal: Journal::default(),
        };
        world.reseed(seed);
        world
    }

    /// The world of a new customer: one subscription with nothing in it.
    pub fn unused(seed: u64) -> World {
        let mut world = World::empty(seed);
        world.arm.add_subscription(SUBSCRIPTION);
        world
    }

    /// The world of the tutorial: one subscription, resource group, DPS instance and vault.
    pub fn tutorial(seed: u64) -> World {
        let mut world = World::empty(seed);
        world.add_provisioning_service(SUBSCRIPTION, RESOURCE_GROUP, PROVISIONING_SERVICE);
        world.key_vaults.add(VAULT);
        world
    }

    /// Adds a DPS instance, and its resource group if need be; one that is there stays as it is.
    pub fn add_provisioning_service(&mut self, subscription: &str, resource_group: &str, name: &str) {
        self.arm.add_resource_group(subscription, resource_group);
        self.dps.add(subscription, resource_group, name);
    }

    /// Has everything that is drawn from here on depend on this seed alone.
    pub fn reseed(&mut self, seed: u64) {
        self.seed = seed;
        self.random = fastrand::Rng::with_seed(seed);
        self.event_grid.reseed(seed);
        self.dps.reseed(seed);
    }

    /// Takes the place of another world in the same emulator: is reached where that one was, and goes on with its
    /// journal, in which what happened there is forgotten.
    pub(crate) fn replaces(&mut self, former: &mut World) {
        self.journal = std::mem::take(&mut former.journal);
        self.journal.clear();
        self.event_grid.replaces(&former.event_grid);
        self.identity.keep_app_header(&former.identity);
    }

    /// Answers a request, or does what a fault wants instead, and writes the exchange down.
    pub fn reply(&mut self, request: &Request, now: OffsetDateTime) -> Reply {
        let claim = self.claim(request);
        let (operation, object) = (claim.routed().operation(), claim.routed().object());
        let fault = self.faults.strike(operation, &object);
        let reply = self.answer(fault, &claim, request, now);
        let answered = |response| claim.routed().operation_answered(response);
        let operation = reply.response().map_or(operation, answered);
        self.journal.write(Entry {
            certificates: claim.routed().certificate().into_iter().map(str::to_owned).collect(),
            fault,
            ..Entry::exchange(now, operation, &object, request, reply.response())
        });
        reply
    }

    /// [`World::reply`] for callers that cannot go without an answer; see [`Reply::into_response`].
    pub fn handle(&mut self, request: &Request, now: OffsetDateTime) -> Response {
        self.reply(request, now).into_response()
    }

    fn claim(&mut self, request: &Request) -> Claim {
        if let Some(route) = key_vault::Route::parse(request) {
            Claim::KeyVault(route)
        } else if let Some(route) = identity::Route::parse(request) {
            Claim::Identity(route)
        } else if let Some(route) = arm::route(request, &providers(&mut self.dps)) {
            Claim::Arm(route)
        } else if let Some(route) = link::Route::parse(request) {
            Claim::EventGridLink(route)
        } else {
            Claim::Nobody(Unclaimed)
        }
    }

    /// Answers as the service does, unless a fault applies.
    fn answer(
        &mut self,
        fault: Option<Effect>,
        claim: &Claim,
        request: &Request,
        now: OffsetDateTime,
    ) -> Reply {
        let task = if exchange::is_too_large(request) { Task::RefuseTooLarge } else { Task::Answer };
        let mut serve = |task, interference| self.serve(claim, request, task, interference, now);
        match fault.map(Effect::place) {
            None => Reply::Answer(serve(task, None)),
            Some(Place::Within(interference)) => Reply::Answer(serve(task, Some(interference))),
            Some(Place::Instead(instead)) => Reply::Answer(match instead {
                Instead::Failure(status) => {
                    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                    serve(Task::Fail(status), None)
                }
                Instead::Throttle { retry_after } => {
                    let mut response = serve(Task::Fail(StatusCode::TOO_MANY_REQUESTS), None);
                    answers::set_retry_after(&mut response, retry_after);
                    response
                }
                Instead::Page => answers::html(),
                Instead::AnotherShape => {
                    serve(task, None);
                    answers::another_shape()
                }
            }),
            Some(Place::OnTheWire(wire)) => match wire {
                Wire::Silence => Reply::Silence,
                Wire::ResetBefore => Reply::Reset,
                Wire::ResetAfter => {
                    serve(task, None);
                    Reply::Reset
                }
                Wire::Delay(time) => Reply::AnswerAfter(time, serve(task, None)),
                Wire::Truncated => Reply::half(serve(task, None)),
            },
        }
    }

    /// Hands a request to its service, with that service's own state and what it may use besides.
    fn serve(
        &mut self,
        claim: &Claim,
        request: &Request,
        task: Task,
        interference: Option<Interference>,
        now: OffsetDateTime,
    ) -> Response {
        let World { strict, choices, random, identity, rbac, arm, dps, key_vaults, event_grid, .. } = self;
        let context = &mut Context {
            access: Access::new(identity, rbac),
            strict: *strict,
            choices: *choices,
            interference,
            now,
            random,
            audience: event_grid,
        };
        match claim {
            Claim::KeyVault(route) => key_vault::handle(key_vaults, route, request, task, context),
            Claim::Identity(route) => identity::handle(identity, route, request, task, context),
            Claim::Arm(route) => arm::handle(arm, &mut providers(dps), route, request, task, context),
            Claim::EventGridLink(route) => link::handle(&mut self.event_grid, route, request, task, now),
            Claim::Nobody(_) => exchange::empty(match task {
                Task::Answer => StatusCode::NOT_FOUND,
                Task::RefuseTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                Task::Fail(status) => status,
            }),
        }
    }
}

impl Claim {
    fn routed(&self) -> &dyn Routed {
        match self {
            Claim::KeyVault(route) => route,
            Claim::Identity(route) => route,
            Claim::Arm(route) => route,
            Claim::EventGridLink(route) => route,
            Claim::Nobody(unclaimed) => unclaimed,
        }
    }
}

impl Routed for Unclaimed {
    fn operation(&self) -> Operation {
        Operation::Unknown
    }

    fn object(&self) -> String {
        String::new()
    }
}
