//! What happened, in order: one entry an exchange, without secrets.
//!
//! Tests count with it, the demo narrates from it, the page draws it. It keeps facts that are public on the
//! wire and never a body, because bodies hold keys and tokens.

mod entry;

use std::collections::{HashMap, VecDeque};

pub use entry::Entry;
pub use entry::trace_id;

use crate::steering::operation::Operation;

/// Older entries make room, so that an emulator may stay up for days.
const CAPACITY: usize = 10_000;

/// The entries, oldest first, numbered without gaps.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    entries: VecDeque<Entry>,
    written: u64,
    totals: HashMap<Operation, u64>,
    cleared: u64,
}

impl Journal {
    /// All entries still kept.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Entries written after the one with this sequence number.
    pub fn since(&self, sequence: u64) -> impl DoubleEndedIterator<Item = &Entry> {
        let first = self.entries.front().map_or(0, |entry| entry.sequence);
        let skipped = usize::try_from(sequence.saturating_add(1).saturating_sub(first)).unwrap_or(usize::MAX);
        self.entries.range(skipped.min(self.entries.len())..)
    }

    /// The newest sequence number given out: that of the newest entry, unless the journal was cleared since.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The sequence number given to the latest clearing; 0 if there was none. Who has read up to an earlier
    /// one has read of a world that is gone.
    pub fn cleared(&self) -> u64 {
        self.cleared
    }

    /// How often an operation was answered at all.
    pub fn count(&self, operation: Operation) -> usize {
        self.entries().filter(|entry| entry.operation == operation).count()
    }

    /// How often an operation was ever asked for, whatever room its entries have had to make.
    pub fn total(&self, operation: Operation) -> u64 {
        self.totals.get(&operation).copied().unwrap_or_default()
    }

    /// Writes an entry down under the next sequence number.
    pub fn write(&mut self, mut entry: Entry) {
        self.written += 1;
        entry.sequence = self.written;
        *self.totals.entry(entry.operation).or_default() += 1;
        entry.note = entry.note.or_else(|| entry.fault.map(|fault| format!("fault: {fault}")));
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// The newest entry, to say how long it took.
    pub(crate) fn newest_mut(&mut self) -> Option<&mut Entry> {
        self.entries.back_mut()
    }

    /// Forgets every entry. Sequence numbers go on, so that none is ever used twice.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.totals.clear();
        self.written += 1;
        self.cleared = self.written;
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn write(journal: &mut Journal, times: usize) {
        for _ in 0..times {
            journal.write(Entry::new(datetime!(2026-03-05 10:00 UTC), Operation::Sign, "my-vault/root-ca"));
        }
    }

    fn since(journal: &Journal, sequence: u64) -> Vec<u64> {
        journal.since(sequence).map(|entry| entry.sequence).collect()
    }

    #[test]
    fn entries_are_found_by_what_was_read_before() {
        let mut journal = Journal::default();
        assert!(since(&journal, 0).is_empty());
        write(&mut journal, 3);
        assert_eq!(since(&journal, 0), [1, 2, 3]);
        assert_eq!(since(&journal, 2), [3]);
        assert!(since(&journal, 3).is_empty());
        assert!(since(&journal, u64::MAX).is_empty());
    }

    #[test]
    fn the_newest_entries_are_kept_and_all_of_them_are_counted() {
        let mut journal = Journal::default();
        write(&mut journal, CAPACITY + 5);
        let written = journal.written();
        assert_eq!((journal.count(Operation::Sign), journal.total(Operation::Sign)), (CAPACITY, written));
        assert_eq!(since(&journal, 0).first(), Some(&6));
        for (read, told) in [(0, CAPACITY), (5, CAPACITY), (6, CAPACITY - 1), (written - 1, 1), (written, 0)]
        {
            let found = since(&journal, read);
            assert_eq!(found.len(), told, "since {read}");
            assert!(found.iter().all(|sequence| *sequence > read), "since {read}");
        }
    }

    #[test]
    fn a_clearing_takes_a_number_so_that_readers_notice() {
        let mut journal = Journal::default();
        write(&mut journal, 2);
        journal.clear();
        assert_eq!((journal.written(), journal.cleared(), since(&journal, 0)), (3, 3, vec![]));
        write(&mut journal, 1);
        assert_eq!((since(&journal, 0), since(&journal, 2), since(&journal, 4)), (vec![4], vec![4], vec![]));
        journal.clear();
        assert_eq!(journal.cleared(), 5);
    }
}
