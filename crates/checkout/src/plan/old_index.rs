//! The records of the last checkout, in the order of the walk.

use crate::CheckoutError;
use crate::record::{Raw, Record, RecordReader};

/// The old index, one record ahead.
pub(crate) struct OldIndex {
    reader: RecordReader,
    body: Vec<u8>,
    /// Where that record begins.
    at: u64,
    ended: bool,
}

impl OldIndex {
    pub(crate) fn new(reader: RecordReader) -> Result<Self, CheckoutError> {
        let mut old = Self { reader, body: Vec::new(), at: 0, ended: false };
        old.step()?;
        Ok(old)
    }

    /// The next record, as it was read.
    pub(super) fn ahead(&self) -> Option<&[u8]> {
        (!self.ended).then_some(&*self.body)
    }

    /// The front of the next record.
    pub(super) fn next(&self) -> Option<Raw<'_>> {
        self.ahead().and_then(Raw::decode)
    }

    pub(super) fn step(&mut self) -> Result<(), CheckoutError> {
        self.at = self.reader.offset();
        self.ended = !self.reader.next_body(&mut self.body).map_err(CheckoutError::State)?;
        if !self.ended && Raw::decode(&self.body).is_none() {
            return Err(malformed());
        }
        Ok(())
    }

    /// Where the next record begins and ends.
    pub(super) fn stretch(&self) -> (u64, u64) {
        (self.at, self.reader.offset())
    }

    /// Another reader, before the next record.
    pub(super) fn again(&self) -> std::io::Result<RecordReader> {
        self.reader.another(self.at)
    }

    pub(super) fn take(&mut self) -> Result<Option<Record>, CheckoutError> {
        let Some(next) = self.next() else { return Ok(None) };
        let record = next.open().ok_or_else(malformed)?;
        self.step()?;
        Ok(Some(record))
    }
}

/// The checksum held, so only another version of the program can have written it.
pub(super) fn malformed() -> CheckoutError {
    CheckoutError::State(std::io::Error::other("the index has an unknown form"))
}
