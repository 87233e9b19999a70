//! What a fault does to a call.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ground::span;

/// What a struck call meets. "Nothing happens" means that the service never hears of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Effect {
    /// The service answers this status in its own error form, and nothing happens.
    Answer(u16),
    /// 429 in the service's own error form, and nothing happens.
    Throttle {
        /// Seconds in `Retry-After`; none leaves the header out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// It happens at once, and the answer comes this much later, in real time.
    Delay(
        #[serde(with = "span")]
        #[schemars(with = "span::Span")]
        Duration,
    ),
    /// Nothing happens, and no answer ever comes.
    Silence,
    /// The connection is reset, and nothing happens.
    ResetBefore,
    /// It happens, and then the connection is reset: the answer is lost.
    ResetAfter,
    /// It happens, and the answer breaks off in the middle of its body.
    Truncated,
    /// A proxy in between answers 200 with an HTML page, and nothing happens.
    Html,
    /// It happens, and the answer is 200 with JSON that has none of the expected members.
    WrongShape,
    /// It happens, and the answer carries the etag from before the certificate's latest write.
    StaleEtag,
    /// Somebody else replaces the certificate with itself just before, so that the caller's etag is stale.
    SomebodyElseWrites,
    /// DPS takes any verification certificate for a proof.
    AcceptAnyProof,
}

impl fmt::Display for Effect {
    /// Reads on after "fault: ".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Answer(status) => write!(f, "answered {status}"),
            Effect::Throttle { retry_after: Some(seconds) } => write!(f, "throttled for {seconds} s"),
            Effect::Throttle { retry_after: None } => f.write_str("throttled for an unknown time"),
            Effect::Delay(time) => write!(f, "answered {time:?} late"),
            Effect::Silence => f.write_str("never answered"),
            Effect::ResetBefore => f.write_str("connection reset before anything happened"),
            Effect::ResetAfter => f.write_str("connection reset after it had happened"),
            Effect::Truncated => f.write_str("answer cut in half"),
            Effect::Html => f.write_str("answered with an HTML page"),
            Effect::WrongShape => f.write_str("answered with JSON of another shape"),
            Effect::StaleEtag => f.write_str("answered with the former etag"),
            Effect::SomebodyElseWrites => f.write_str("somebody else wrote just before"),
            Effect::AcceptAnyProof => f.write_str("any proof is accepted"),
        }
    }
}
