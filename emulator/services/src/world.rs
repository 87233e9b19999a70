//! Everything the emulated cloud remembers, and the one function that answers a request.
//!
//! It is pure: the same world, request and moment give the same answer. Serving it, delivering its events
//! and moving its clock are other modules' business.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::access::rbac::Rbac;
use crate::arm::{self, Arm, Provider};
use crate::context::Context;
use crate::context::access::Access;
use crate::dps::Dps;
use crate::event_grid::{EventGrid, link};
use crate::ground::exchange::{self, Request, Response};
use crate::ground::reply::Reply;
use crate::ground::stored;
use crate::identity::{self, Identity};
use crate::key_vault::{self, KeyVaults};
use crate::service::{Answer, Routed, Task, Work};
use crate::steering::choices::Choices;
use crate::steering::faults::{Effect, Faults, Instead, Interference, Place, Wire, answers};
use crate::steering::journal::{Entry, Journal};
use crate::steering::operation::Operation;

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
    Unclaimed(Unclaimed),
}

/// A request no service answers.
struct Unclaimed;

/// A request that was read and met by whatever fault applies.
struct Asked {
    claim: Claim,
    operation: Operation,
    object: String,
    fault: Option<Effect>,
}

/// What a fault leaves to be done.
enum Plan {
    Serve(Task, Option<Interference>),
    Reply(Reply),
}

/// What comes of a request at first.
pub(crate) enum Begun {
    /// A reply.
    Replied(Reply),
    /// Work, before there can be one.
    Working(Working),
}

/// A request that is decided, and waits for work.
pub(crate) struct Working {
    asked: Asked,
    interference: Option<Interference>,
    work: ServiceWork,
}

/// A request whose work is done.
pub(crate) struct Worked {
    asked: Asked,
    interference: Option<Interference>,
    rest: ServiceRest,
}

enum Served {
    Ready(Response),
    Later(ServiceWork),
}

enum ServiceWork {
    KeyVault(Work<key_vault::Rest>),
    Arm(Work<arm::Rest>),
}

enum ServiceRest {
    KeyVault(key_vault::Rest),
    Arm(arm::Rest),
}

/// The state of the services, apart from what a context lends.
struct Services<'w> {
    arm: &'w mut Arm,
    dps: &'w mut Dps,
    key_vaults: &'w mut KeyVaults,
    identity: &'w Identity,
}

/// The resource providers behind Azure Resource Manager. Another one is another line, and a field of the world.
fn providers(dps: &mut Dps) -> [&mut (dyn Provider + 'static); 1] {
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
        match self.begin(request, now) {
            Begun::Replied(reply) => reply,
            Begun::Working(working) => self.finish(working.carry_out(), request, now),
        }
    }

    /// [`World::reply`] for callers that cannot go without an answer; see [`Reply::into_response`].
    pub fn handle(&mut self, request: &Request, now: OffsetDateTime) -> Response {
        self.reply(request, now).into_response()
    }

    /// Decides what becomes of a request, and replies at once unless that takes work. All that is drawn for the
    /// decision is drawn here; the world is free while the work is carried out.
    pub(crate) fn begin(&mut self, request: &Request, now: OffsetDateTime) -> Begun {
        let claim = self.claim(request);
        let (operation, object) = (claim.routed().operation(), claim.routed().object());
        let fault = self.faults.strike(operation, &object);
        let asked = Asked { claim, operation, object, fault };
        let (task, interference) = match plan(fault, request) {
            Plan::Serve(task, interference) => (task, interference),
            Plan::Reply(reply) => return Begun::Replied(self.write_down(&asked, reply, request, now)),
        };
        let response = match self.serve(&asked.claim, request, task, interference, now) {
            Served::Ready(response) => response,
            Served::Later(work) => return Begun::Working(Working { asked, interference, work }),
        };
        let reply = conclude(fault, response);
        Begun::Replied(self.write_down(&asked, reply, request, now))
    }

    /// Replies to a request whose work is done.
    pub(crate) fn finish(&mut self, worked: Worked, request: &Request, now: OffsetDateTime) -> Reply {
        let Worked { asked, interference, rest } = worked;
        let response = self.resume(&asked.claim, rest, request, interference, now);
        let reply = conclude(asked.fault, response);
        self.write_down(&asked, reply, request, now)
    }

    fn write_down(&mut self, asked: &Asked, reply: Reply, request: &Request, now: OffsetDateTime) -> Reply {
        let routed = asked.claim.routed();
        let answered = |response| routed.operation_answered(response);
        let operation = reply.response().map_or(asked.operation, answered);
        self.journal.write(Entry {
            certificates: routed.certificate().into_iter().map(str::to_owned).collect(),
            fault: asked.fault,
            ..Entry::exchange(now, operation, &asked.object, request, reply.response())
        });
        reply
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
            Claim::Unclaimed(Unclaimed)
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
    ) -> Served {
        let (services, mut context) = self.split(interference, now);
        let context = &mut context;
        let Services { arm, dps, key_vaults, identity } = services;
        Served::Ready(match claim {
            Claim::KeyVault(route) => match key_vault::handle(key_vaults, route, request, task, context) {
                Answer::Ready(response) => response,
                Answer::Later(work) => return Served::Later(ServiceWork::KeyVault(work)),
            },
            Claim::Arm(route) => match arm::handle(arm, &mut providers(dps), route, request, task, context) {
                Answer::Ready(response) => response,
                Answer::Later(work) => return Served::Later(ServiceWork::Arm(work)),
            },
            Claim::Identity(route) => identity::handle(identity, route, request, task, now, context.random),
            Claim::EventGridLink(route) => link::handle(&mut self.event_grid, route, request, task, now),
            Claim::Unclaimed(_) => exchange::empty(match task {
                Task::Answer => StatusCode::NOT_FOUND,
                Task::RefuseTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                Task::Fail(status) => status,
            }),
        })
    }

    /// Hands a request whose work is done back to its service.
    fn resume(
        &mut self,
        claim: &Claim,
        rest: ServiceRest,
        request: &Request,
        interference: Option<Interference>,
        now: OffsetDateTime,
    ) -> Response {
        let (services, mut context) = self.split(interference, now);
        let context = &mut context;
        let Services { arm, dps, key_vaults, .. } = services;
        match (rest, claim) {
            (ServiceRest::KeyVault(rest), Claim::KeyVault(route)) => {
                key_vault::finish(key_vaults, rest, route, request, context)
            }
            (ServiceRest::Arm(rest), Claim::Arm(route)) => {
                arm::finish(arm, &mut providers(dps), rest, route, request, context)
            }
            _ => exchange::empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    fn split(
        &mut self,
        interference: Option<Interference>,
        now: OffsetDateTime,
    ) -> (Services<'_>, Context<'_>) {
        let World { strict, choices, random, identity, rbac, arm, dps, key_vaults, event_grid, .. } = self;
        let context = Context {
            access: Access::new(identity, rbac),
            strict: *strict,
            choices: *choices,
            interference,
            now,
            random,
            audience: event_grid,
        };
        (Services { arm, dps, key_vaults, identity }, context)
    }
}

/// What a fault leaves a service to do.
fn plan(fault: Option<Effect>, request: &Request) -> Plan {
    let task = if exchange::is_too_large(request) { Task::RefuseTooLarge } else { Task::Answer };
    match fault.map(Effect::place) {
        None => Plan::Serve(task, None),
        Some(Place::Within(interference)) => Plan::Serve(task, Some(interference)),
        Some(Place::Instead(instead)) => match instead {
            Instead::Failure(status) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Plan::Serve(Task::Fail(status), None)
            }
            Instead::Throttle { .. } => Plan::Serve(Task::Fail(StatusCode::TOO_MANY_REQUESTS), None),
            Instead::Page => Plan::Reply(Reply::Answer(answers::html())),
            Instead::AnotherShape => Plan::Serve(task, None),
        },
        Some(Place::OnTheWire(wire)) => match wire {
            Wire::Silence => Plan::Reply(Reply::Silence),
            Wire::ResetBefore => Plan::Reply(Reply::Reset),
            Wire::ResetAfter | Wire::Delay(_) | Wire::Truncated => Plan::Serve(task, None),
        },
    }
}

/// What a fault makes of a service's answer.
fn conclude(fault: Option<Effect>, mut response: Response) -> Reply {
    match fault.map(Effect::place) {
        None | Some(Place::Within(_)) => Reply::Answer(response),
        Some(Place::Instead(instead)) => Reply::Answer(match instead {
            Instead::Failure(_) | Instead::Page => response,
            Instead::Throttle { retry_after } => {
                answers::set_retry_after(&mut response, retry_after);
                response
            }
            Instead::AnotherShape => answers::another_shape(),
        }),
        Some(Place::OnTheWire(wire)) => match wire {
            Wire::Silence => Reply::Silence,
            Wire::ResetBefore | Wire::ResetAfter => Reply::Reset,
            Wire::Delay(time) => Reply::AnswerAfter(time, response),
            Wire::Truncated => Reply::half(response),
        },
    }
}

impl Working {
    /// Carries out the work. It takes its time, and needs no world.
    pub(crate) fn carry_out(self) -> Worked {
        let Working { asked, interference, work } = self;
        let rest = match work {
            ServiceWork::KeyVault(work) => ServiceRest::KeyVault(work()),
            ServiceWork::Arm(work) => ServiceRest::Arm(work()),
        };
        Worked { asked, interference, rest }
    }
}

impl Claim {
    fn routed(&self) -> &dyn Routed {
        match self {
            Claim::KeyVault(route) => route,
            Claim::Identity(route) => route,
            Claim::Arm(route) => route,
            Claim::EventGridLink(route) => route,
            Claim::Unclaimed(unclaimed) => unclaimed,
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
