//! Everything the emulated cloud remembers, and the one function that answers a request.
//!
//! It is pure: the same world, request and moment give the same answer. Serving it, delivering its events
//! and moving its clock are other modules' business.

use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::access::Access;
use crate::arm::{self, Arm};
use crate::choices::Choices;
use crate::context::Context;
use crate::event_grid::{EventGrid, link};
use crate::exchange::{self, Request, Response};
use crate::faults::{Effect, Faults, answers};
use crate::identity::{self, Identity};
use crate::journal::{Entry, Journal};
use crate::key_vault::{self, KeyVaults};
use crate::operation::Operation;
use crate::rbac::Rbac;
use crate::reply::Reply;
use crate::stored;

pub use crate::names::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION, TENANT, VAULT};

/// What a failure on demand says where the service says nothing of its own.
const ON_DEMAND: &str = "The emulator was asked for this failure.";

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
    /// Subscriptions, resource groups and DPS instances with their certificates.
    pub arm: Arm,
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

/// Which service a request is for, parsed far enough to name the operation and its object.
#[derive(Debug)]
enum Route {
    Identity(identity::Route),
    Arm(arm::Route),
    KeyVault(key_vault::Route),
    /// The link that agrees to an event subscription, by the subscription's name.
    EventGridLink(String),
    Unknown,
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
        world.arm.add_resource_group(SUBSCRIPTION, RESOURCE_GROUP);
        world.arm.add_provisioning_service(SUBSCRIPTION, RESOURCE_GROUP, PROVISIONING_SERVICE);
        world.key_vaults.add(VAULT);
        world
    }

    /// Has everything that is drawn from here on depend on this seed alone.
    pub fn reseed(&mut self, seed: u64) {
        self.seed = seed;
        self.random = fastrand::Rng::with_seed(seed);
        self.event_grid.reseed(seed);
        self.arm.mint.reseed(seed);
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
        let route = Route::of(request);
        let (operation, object) = (route.operation(request), route.object());
        let fault = self.faults.strike(operation, &object);
        let reply = self.meet(fault, &route, request, now);
        let operation = match (&route, reply.response().map(Response::status)) {
            (Route::KeyVault(_), Some(StatusCode::UNAUTHORIZED)) => Operation::VaultChallenge,
            _ => operation,
        };
        self.journal.write(Entry {
            certificates: route.certificate().into_iter().map(str::to_owned).collect(),
            fault,
            ..Entry::exchange(now, operation, &object, request, reply.response())
        });
        reply
    }

    /// [`World::reply`] for callers that cannot go without an answer; see [`Reply::into_response`].
    pub fn handle(&mut self, request: &Request, now: OffsetDateTime) -> Response {
        self.reply(request, now).into_response()
    }

    fn meet(
        &mut self,
        fault: Option<Effect>,
        route: &Route,
        request: &Request,
        now: OffsetDateTime,
    ) -> Reply {
        let response = match fault {
            Some(Effect::Silence) => return Reply::Silence,
            Some(Effect::ResetBefore) => return Reply::Reset,
            Some(Effect::Html) => answers::html(),
            Some(Effect::Answer(status)) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                route.failure(status, now, &mut self.random)
            }
            Some(Effect::Throttle { retry_after }) => {
                let mut response = route.failure(StatusCode::TOO_MANY_REQUESTS, now, &mut self.random);
                answers::set_retry_after(&mut response, retry_after);
                response
            }
            _ => self.serve(route, request, fault, now),
        };
        match fault {
            Some(Effect::ResetAfter) => Reply::Reset,
            Some(Effect::Delay(time)) => Reply::AnswerAfter(time, response),
            Some(Effect::Truncated) => Reply::half(response),
            Some(Effect::WrongShape) => Reply::Answer(answers::another_shape()),
            _ => Reply::Answer(response),
        }
    }

    fn serve(
        &mut self,
        route: &Route,
        request: &Request,
        fault: Option<Effect>,
        now: OffsetDateTime,
    ) -> Response {
        if exchange::is_too_large(request) {
            return route.too_large(now, &mut self.random);
        }
        let World { strict, choices, random, identity, rbac, arm, key_vaults, event_grid, .. } = self;
        let context = &mut Context {
            access: Access::new(identity, rbac),
            strict: *strict,
            choices: *choices,
            effect: fault,
            now,
            random,
            audience: event_grid,
        };
        match route {
            Route::Identity(route) => identity::handle(identity, route, request, now, context.random),
            Route::Arm(route) => arm::handle(arm, route, request, context),
            Route::KeyVault(route) => key_vault::handle(key_vaults, route, request, context),
            Route::EventGridLink(name) => link::follow(&mut self.event_grid, name, request, now),
            Route::Unknown => exchange::empty(StatusCode::NOT_FOUND),
        }
    }
}

impl Route {
    fn of(request: &Request) -> Route {
        if let Some(route) = key_vault::Route::parse(request) {
            Route::KeyVault(route)
        } else if let Some(route) = identity::Route::parse(request) {
            Route::Identity(route)
        } else if let Some(route) = arm::Route::parse(request) {
            Route::Arm(route)
        } else if let Some(name) = link::subscription_named(request) {
            Route::EventGridLink(name)
        } else {
            Route::Unknown
        }
    }

    /// A call without a token asks a vault for the challenge, whatever else it asks for.
    fn operation(&self, request: &Request) -> Operation {
        match self {
            Route::Identity(route) => route.operation(),
            Route::Arm(route) => route.operation(),
            Route::KeyVault(_) if !request.headers().contains_key(header::AUTHORIZATION) => {
                Operation::VaultChallenge
            }
            Route::KeyVault(route) => route.operation(),
            Route::EventGridLink(_) => Operation::ConfirmSubscription,
            Route::Unknown => Operation::Unknown,
        }
    }

    fn object(&self) -> String {
        match self {
            Route::Identity(route) => route.object().to_owned(),
            Route::Arm(route) => route.object(),
            Route::KeyVault(route) => route.object(),
            Route::EventGridLink(name) => name.clone(),
            Route::Unknown => String::new(),
        }
    }

    /// The id of the DPS certificate it is about, if it is about one.
    fn certificate(&self) -> Option<&str> {
        match self {
            Route::Arm(route) => route.certificate_id(),
            Route::Identity(_) | Route::KeyVault(_) | Route::EventGridLink(_) | Route::Unknown => None,
        }
    }

    /// The refusal of a body that is too large, in the service's own form.
    fn too_large(&self, now: OffsetDateTime, random: &mut fastrand::Rng) -> Response {
        match self {
            Route::Arm(route) => arm::too_large(route, now, random),
            Route::KeyVault(route) => key_vault::too_large(route, random),
            Route::Identity(route) => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                identity::refuse(route, status, "The request is too large.", now, random)
            }
            Route::EventGridLink(_) | Route::Unknown => exchange::empty(StatusCode::PAYLOAD_TOO_LARGE),
        }
    }

    /// A failure on demand, in the service's own form.
    fn failure(&self, status: StatusCode, now: OffsetDateTime, random: &mut fastrand::Rng) -> Response {
        match self {
            Route::Arm(route) => arm::fault(route, status, now, random),
            Route::KeyVault(route) => key_vault::fault(route, status, random),
            Route::Identity(route) => identity::refuse(route, status, ON_DEMAND, now, random),
            Route::EventGridLink(_) | Route::Unknown => exchange::empty(status),
        }
    }
}
