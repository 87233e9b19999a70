//! The headers on every answer of ARM.

use http::{HeaderName, HeaderValue, header};
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use crate::access::callers::Caller;
use crate::arm::route::Route;
use crate::ground::exchange::{self, Response};
use crate::ground::guid::guid;
use crate::names::TENANT;

/// Puts the recorded headers on an answer, those of the year that the emulator's clock shows. There is never an
/// `ETag` among them.
pub(crate) fn add(response: &mut Response, route: &Route, now: OffsetDateTime, random: &mut fastrand::Rng) {
    let headers = response.headers_mut();
    for (name, value) in CONSTANT {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let id = guid(random);
    let second = text(now, COMPACT);
    exchange::set_header(headers, HeaderName::from_static("x-ms-request-id"), &id);
    exchange::set_header(headers, HeaderName::from_static("x-ms-correlation-request-id"), &id);
    exchange::set_header(
        headers,
        HeaderName::from_static("x-ms-routing-request-id"),
        &format!("EASTUS:{second}:{id}"),
    );
    exchange::set_header(headers, header::DATE, &exchange::http_date(now));
    let left: &[(&str, u32)] = if is_since_2025(now) {
        headers.insert(HeaderName::from_static("x-cache"), HeaderValue::from_static("CONFIG_NOCACHE"));
        let edge = format!(
            "Ref A: {} Ref B: EWR30EDGE0000 Ref C: {}",
            guid(random).replace('-', "").to_uppercase(),
            text(now, EXTENDED)
        );
        exchange::set_header(headers, HeaderName::from_static("x-msedge-ref"), &edge);
        match (route.method.as_str(), route.is_top_level()) {
            ("GET", _) => &[("global-reads", 16499)],
            ("PUT", true) => &[("resource-requests", 799)],
            ("DELETE", _) => &[("deletes", 799), ("global-deletes", 11999)],
            _ => &[("writes", 799), ("global-writes", 11999)],
        }
    } else {
        headers.insert(header::SERVER, HeaderValue::from_static("Microsoft-HTTPAPI/2.0"));
        match (route.method.as_str(), route.is_top_level()) {
            ("GET", _) => &[("reads", 11999)],
            ("PUT", true) => &[("resource-requests", 4999)],
            ("DELETE", _) => &[("deletes", 14999)],
            _ => &[("writes", 1199)],
        }
    };
    for (kind, count) in left {
        let name = format!("x-ms-ratelimit-remaining-subscription-{kind}");
        let name = HeaderName::try_from(name).expect("the kinds are fit for a header's name");
        headers.insert(name, HeaderValue::from(*count));
    }
}

/// What a provider's answers have besides in recordings of 2025.
pub(crate) fn add_operation_identifier(
    response: &mut Response,
    caller: &Caller,
    now: OffsetDateTime,
    random: &mut fastrand::Rng,
) {
    if is_since_2025(now) {
        let identifier = format!("tenantId={TENANT},objectId={}/eastus/{}", caller.object_id, guid(random));
        exchange::set_header(
            response.headers_mut(),
            HeaderName::from_static("x-ms-operation-identifier"),
            &identifier,
        );
    }
}

/// Between the recordings of 2023 and those of November 2025 the front door was replaced; when, nobody recorded.
pub(crate) fn is_since_2025(now: OffsetDateTime) -> bool {
    now.year() >= 2025
}

fn text(at: OffsetDateTime, format: StaticFormatDescription) -> String {
    at.to_offset(time::UtcOffset::UTC).format(format).expect("the formats only name parts of a date and time")
}

/// As recorded from 2018 to 2025.
const CONSTANT: [(&str, &str); 5] = [
    ("cache-control", "no-cache"),
    ("pragma", "no-cache"),
    ("expires", "-1"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
];

const EXTENDED: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const COMPACT: StaticFormatDescription = format_description!("[year][month][day]T[hour][minute][second]Z");
