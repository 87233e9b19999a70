//! The link by which somebody agrees in an endpoint's place.

use http::{Method, StatusCode};
use time::OffsetDateTime;

use super::EventGrid;
use super::handshake::Unconfirmed;
use super::subscription::SubscriptionName;
use crate::exchange::{self, Request, Response};

const TEXT: &str = "text/plain; charset=utf-8";

/// The name in a path like `/eventsubscriptions/{name}/validate`.
pub(crate) fn subscription_named(request: &Request) -> Option<String> {
    let mut segments = request.uri().path().strip_prefix('/')?.split('/');
    let is =
        |segment: Option<&str>, word: &str| segment.is_some_and(|segment| segment.eq_ignore_ascii_case(word));
    let is_first = is(segments.next(), "eventsubscriptions");
    let name = segments.next()?;
    (is_first && is(segments.next(), "validate") && segments.next().is_none()).then(|| name.to_owned())
}

/// Answers whoever follows the link. The sentences are chosen, not observed.
pub(crate) fn follow(
    event_grid: &mut EventGrid,
    name: &str,
    request: &Request,
    now: OffsetDateTime,
) -> Response {
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
