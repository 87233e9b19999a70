//! The events of one request that are not worked on, counted, so that a request is a few lines of the log however many
//! events it has.

use std::collections::{BTreeMap, HashMap};

use keyholder::CertificateId;
use keyholder::reason::DeliveryAnswer;
use tracing::{error, info, info_span, warn};

/// Why an event is not worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// It is about something else.
    Ignored,
    /// It is no event.
    Unreadable,
    /// It is about a registry that is not allowed, as others of the request were.
    NotAllowed,
    /// It is about a certificate that others of the request are about.
    Repeated,
    /// There are too many others.
    PutOff,
}

/// Events of one kind.
#[derive(Debug)]
struct Alike {
    count: usize,
    /// Of the first of them.
    id: Option<String>,
    reason: String,
}

/// The events of one request.
#[derive(Debug, Default)]
pub(super) struct Tally {
    kinds: BTreeMap<Kind, Alike>,
    not_allowed: usize,
    certificates: HashMap<CertificateId, usize>,
}

impl Tally {
    pub(super) fn add(&mut self, kind: Kind, id: Option<String>, reason: String) {
        self.kinds.entry(kind).or_insert(Alike { count: 0, id, reason }).count += 1;
    }

    /// Counts an event about a registry that is not allowed. Returns whether there were `limit` before it.
    pub(super) fn of_not_allowed(&mut self, limit: usize) -> bool {
        self.not_allowed += 1;
        self.not_allowed > limit
    }

    /// Counts an event about a certificate. Returns whether there were `limit` before it.
    pub(super) fn of_certificate(&mut self, certificate: &CertificateId, limit: usize) -> bool {
        let count = self.certificates.entry(certificate.clone()).or_default();
        *count += 1;
        *count > limit
    }

    /// Writes one line for each kind.
    pub(super) fn log(&self) {
        for (kind, Alike { count, id, reason }) in &self.kinds {
            let _span = info_span!("event", eventId = id).entered();
            match kind {
                Kind::Ignored => {
                    info!(event = "event.ignored", reason, count, "the event is not about an upload");
                }
                Kind::Unreadable => {
                    error!(event = "event.unreadable", reason, count, "the event cannot be read");
                }
                Kind::NotAllowed => error!(
                    event = "event.denied",
                    reason, count, "more events about registries that KEYHOLDER_REGISTRIES does not have"
                ),
                Kind::Repeated => info!(
                    event = "event.repeated",
                    reason, count, "more events about a certificate that two are about already"
                ),
                Kind::PutOff => warn!(
                    event = "event.put-off",
                    reason, count, "too many uploads at once; the events are delivered again"
                ),
            }
        }
    }

    /// Returns a line of the answer for each kind.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.kinds.iter().map(|(kind, Alike { count, reason, .. })| {
            let what = match kind {
                Kind::Ignored => "ignored",
                Kind::Unreadable => "not understood",
                Kind::NotAllowed => "not allowed",
                Kind::Repeated => "repeated",
                Kind::PutOff => "put off, too many uploads at once",
            };
            match count {
                1 => format!("{what}: {reason}"),
                count => format!("{what}: {count} events, the first: {reason}"),
            }
        })
    }

    /// Returns the answer to the caller.
    pub(super) fn answer(&self) -> DeliveryAnswer {
        let answers = self.kinds.keys().map(|kind| match kind {
            Kind::Ignored | Kind::Repeated => DeliveryAnswer::Done,
            Kind::Unreadable | Kind::NotAllowed => DeliveryAnswer::NeedsAction,
            Kind::PutOff => DeliveryAnswer::Retry,
        });
        answers.max().unwrap_or(DeliveryAnswer::Done)
    }
}
