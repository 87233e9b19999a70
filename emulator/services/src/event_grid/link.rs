//! The link by which somebody agrees in an endpoint's place.

use http::{Method, StatusCode};
use time::OffsetDateTime;

use super::EventGrid;
use super::handshake::Unconfirmed;
use super::name::SubscriptionName;
use crate::ground::exchange::{self, Request, Response};
use crate::service::{Routed, Task};
use crate::steering::operation::Operation;

const TEXT: &str = "text/plain; charset=utf-8";

/// The link that agrees to an event subscription, by the subscription's name.
#[derive(Debug)]
pub(crate) struct Route(String);

impl Route {
    /// From a path like `/eventsubscriptions/{name}/validate`.
    pub(crate) fn parse(request: &Request) -> Option<Route> {
        let mut segments = request.uri().path().strip_prefix('/')?.split('/');
        let is = |segment: Option<&str>, word: &str| {
            segment.is_some_and(|segment| segment.eq_ignore_ascii_case(word))
        };
        let is_first = is(segments.next(), "eventsubscriptions");
        let name = segments.next()?;
        let is_link = is_first && is(segments.next(), "validate") && segments.next().is_none();
        is_link.then(|| Route(name.to_owned()))
    }
}

impl Routed for Route {
    fn operation(&self) -> Operation {
        Operation::ConfirmSubscription
    }

    fn object(&self) -> String {
        self.0.clone()
    }
}

/// Does what it is told about a request that follows the link.
pub(crate) fn handle(
    event_grid: &mut EventGrid,
    route: &Route,
    request: &Request,
    task: Task,
    now: OffsetDateTime,
) -> Response {
    match task {
        Task::Answer => follow(event_grid, &route.0, request, now),
        Task::RefuseTooLarge => exchange::empty(StatusCode::PAYLOAD_TOO_LARGE),
        Task::Fail(status) => exchange::empty(status),
    }
}

/// Answers whoever follows the link. The sentences are chosen, not observed.
fn follow(event_grid: &mut EventGrid, name: &str, request: &Request, now: OffsetDateTime) -> Response {
    if request.method() != Method::GET {
        return exchange::empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    let value = |name| exchange::query(request, name).unwrap_or_default();
    let confirmed = match name.parse::<SubscriptionName>() {
        Ok(name) => event_grid.confirm(&name, &value("id"), &value("token"), now),
        Err(_) => Err(Unconfirmed::Unknown),
    };
    match confirmed {
        Ok(()) => {
            exchange::with_body(StatusCode::OK, TEXT, format!("{name} may be delivered to from now on.\n"))
        }
        Err(unconfirmed) => {
            let status = match unconfirmed {
                Unconfirmed::Unknown => StatusCode::NOT_FOUND,
                Unconfirmed::Expired => StatusCode::GONE,
            };
            exchange::with_body(status, TEXT, format!("{unconfirmed}\n"))
        }
    }
}
