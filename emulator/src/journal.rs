//! What happened, in order: one entry an exchange, without secrets.
//!
//! Tests count with it, the demo narrates from it. It keeps facts that are public on the wire (etag, code,
//! thumbprint, error) and never a body, because bodies hold keys and tokens.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;
use time::OffsetDateTime;

use crate::exchange::{self, Request, Response};
use crate::faults::Effect;
use crate::operation::Operation;

/// Older entries make room, so that an emulator may stay up for days.
const CAPACITY: usize = 10_000;

/// One exchange.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Counts from 1 and never repeats.
    pub sequence: u64,
    /// By the emulator's clock.
    pub at: OffsetDateTime,
    /// What was asked.
    pub operation: Operation,
    /// Of which object: a certificate's name, `vault/name`, a function, a resource.
    pub object: String,
    /// The HTTP status of the answer; 0 when there was none.
    pub status: u16,
    /// `If-Match` of the request.
    pub if_match: Option<String>,
    /// `etag` of the answer.
    pub etag: Option<String>,
    /// `properties.thumbprint` of the answer.
    pub thumbprint: Option<String>,
    /// `properties.verificationCode` of the answer.
    pub code: Option<String>,
    /// The failure on demand that struck it.
    pub fault: Option<Effect>,
    /// The error of the answer, or else the fault, or another short remark.
    pub note: Option<String>,
}

/// The entries, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    entries: VecDeque<Entry>,
    written: u64,
    totals: HashMap<Operation, u64>,
}

impl Journal {
    /// All entries still kept.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Entries written after the one with this sequence number.
    pub fn since(&self, sequence: u64) -> impl Iterator<Item = &Entry> {
        let oldest = self.written - self.entries.len() as u64;
        let told = usize::try_from(sequence.saturating_sub(oldest)).unwrap_or(usize::MAX);
        self.entries.iter().skip(told)
    }

    /// How many entries were ever written; also the newest one's sequence number.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// How often an operation was answered at all.
    pub fn count(&self, operation: Operation) -> usize {
        self.entries().filter(|entry| entry.operation == operation).count()
    }

    /// How often an operation was ever asked for, whatever room its entries have had to make.
    pub fn total(&self, operation: Operation) -> u64 {
        self.totals.get(&operation).copied().unwrap_or_default()
    }

    /// Writes down an exchange with one of the services; without a response, if a fault kept it from the
    /// caller.
    pub fn exchange(
        &mut self,
        at: OffsetDateTime,
        operation: Operation,
        object: &str,
        request: &Request,
        response: Option<&Response>,
        fault: Option<Effect>,
    ) {
        let body: Value = response
            .filter(|response| response.headers().contains_key(http::header::CONTENT_TYPE))
            .and_then(|response| serde_json::from_slice(response.body()).ok())
            .unwrap_or_default();
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        self.write(Entry {
            sequence: 0,
            at,
            operation,
            object: object.to_owned(),
            status: response.map_or(0, |response| response.status().as_u16()),
            if_match: exchange::header_text(request, http::header::IF_MATCH).map(str::to_owned),
            etag: text("/etag"),
            thumbprint: text("/properties/thumbprint"),
            code: text("/properties/verificationCode"),
            fault,
            note: text("/error/message").or_else(|| text("/message")).or_else(|| fault.map(said)),
        });
    }

    /// Writes down something that is no request to a service: a delivery, an invocation.
    pub fn remark(
        &mut self,
        at: OffsetDateTime,
        operation: Operation,
        object: &str,
        status: u16,
        fault: Option<Effect>,
        note: Option<String>,
    ) {
        self.write(Entry {
            sequence: 0,
            at,
            operation,
            object: object.to_owned(),
            status,
            if_match: None,
            etag: None,
            thumbprint: None,
            code: None,
            fault,
            note: note.or_else(|| fault.map(said)),
        });
    }

    fn write(&mut self, mut entry: Entry) {
        self.written += 1;
        entry.sequence = self.written;
        *self.totals.entry(entry.operation).or_default() += 1;
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }
}

fn said(fault: Effect) -> String {
    format!("fault: {fault}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_entries_are_kept_and_all_of_them_are_counted() {
        let mut journal = Journal::default();
        for number in 0..CAPACITY + 5 {
            let object = number.to_string();
            journal.remark(OffsetDateTime::UNIX_EPOCH, Operation::Deliver, &object, 202, None, None);
        }
        let written = journal.written();
        assert_eq!(
            (journal.count(Operation::Deliver), journal.total(Operation::Deliver)),
            (CAPACITY, written)
        );
        assert_eq!(journal.entries().next().map(|entry| entry.sequence), Some(6));
        for (since, told) in [(0, CAPACITY), (5, CAPACITY), (6, CAPACITY - 1), (written - 1, 1), (written, 0)]
        {
            let entries: Vec<u64> = journal.since(since).map(|entry| entry.sequence).collect();
            assert_eq!(entries.len(), told, "since {since}");
            assert!(entries.iter().all(|sequence| *sequence > since), "since {since}");
        }
    }
}
