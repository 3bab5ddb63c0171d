//! Index entries on their way to the file: written in walk order, completed in any.

use std::collections::VecDeque;

use directory::{IndexEntry, IndexError, IndexWriter};

/// Writes entries as soon as all before them are complete.
pub(super) struct Records {
    writer: IndexWriter,
    /// Number of the first entry in `records`.
    first: u64,
    records: VecDeque<Record>,
}

struct Record {
    /// None as long as nothing is known, or when there is nothing to remember.
    entry: Option<IndexEntry>,
    complete: bool,
}

impl Records {
    pub(super) fn new(writer: IndexWriter) -> Self {
        Self { writer, first: 0, records: VecDeque::new() }
    }

    /// Takes the next place in walk order; returns its number.
    pub(super) fn open(&mut self, entry: Option<IndexEntry>) -> u64 {
        self.records.push_back(Record { entry, complete: false });
        self.first + self.records.len() as u64 - 1
    }

    /// The entry of an open place.
    pub(super) fn entry(&mut self, number: u64) -> &mut Option<IndexEntry> {
        &mut self.record(number).entry
    }

    fn record(&mut self, number: u64) -> &mut Record {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.records.get_mut(at)).expect("a record stays until it is complete")
    }

    /// Says that the entry of a place will not change any more.
    pub(super) fn settle(&mut self, number: u64) -> Result<(), IndexError> {
        self.record(number).complete = true;
        while self.records.front().is_some_and(|record| record.complete) {
            let record = self.records.pop_front().expect("looked at above");
            self.first += 1;
            if let Some(entry) = record.entry {
                self.writer.push(&entry)?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), IndexError> {
        debug_assert!(self.records.is_empty(), "every file has been completed or left out");
        self.writer.finish()
    }
}
