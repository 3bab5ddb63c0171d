//! The journal of a recipient: the tags of the segments that are on its disk, in order.
//!
//! A tag is added when the segment's bytes were written to their files. A killed process loses nothing of
//! that; after another boot of the machine it is only a claim, and the segments are read again.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use delivery::Tag;

/// An open journal.
#[derive(Debug)]
pub(crate) struct Tags {
    file: File,
    count: u64,
}

impl Tags {
    /// Opens the journal at `path`, making it when there is none. Half a tag at its end was not written.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = file.open(path)?;
        let count = file.metadata()?.len() / Tag::BYTES as u64;
        Ok(Self { file, count })
    }

    /// How many segments are on the disk.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The next segment is on the disk.
    pub(crate) fn add(&mut self, tag: Tag) -> io::Result<()> {
        self.file.write_all_at(tag.as_bytes(), self.count * Tag::BYTES as u64)?;
        self.count += 1;
        Ok(())
    }

    /// That of segment `number`, which is on the disk.
    pub(crate) fn read(&self, number: u64) -> io::Result<Tag> {
        let mut bytes = [0; Tag::BYTES];
        self.file.read_exact_at(&mut bytes, number * Tag::BYTES as u64)?;
        Ok(Tag::from_bytes(bytes))
    }

    /// Forgets what comes behind the first `count`.
    pub(crate) fn truncate(&mut self, count: u64) -> io::Result<()> {
        self.count = self.count.min(count);
        self.file.set_len(self.count * Tag::BYTES as u64)
    }

    /// Makes the journal durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_outlives_its_process_and_half_a_tag_does_not_count() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("tags");
        let tag = |number| Tag::from_bytes([number; 32]);
        let mut tags = Tags::open(&path).expect("opens");
        (1..=3).for_each(|number| tags.add(tag(number)).expect("adds"));
        tags.file.write_all_at(&[9; 20], 96).expect("half a tag");
        let mut again = Tags::open(&path).expect("opens");
        assert_eq!((again.count(), again.read(2).expect("there")), (3, tag(3)));
        again.add(tag(4)).expect("adds");
        assert_eq!(again.read(3).expect("there"), tag(4));
        again.truncate(1).expect("truncates");
        assert_eq!(Tags::open(&path).expect("opens").count(), 1);
    }
}
