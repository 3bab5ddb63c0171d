//! What was already placed in temporary files.
//!
//! ```text
//! header   magic "CnJ2", tree id (32), boot id (16), check (8)        integers little-endian
//! records  kind u8 (0 placed, 1 complete), temporary name (16), offset u64, length u32, sum (16), check (8)
//! ```
//!
//! A record is appended after the bytes it speaks of were written. What one process wrote, the
//! next one on the same boot sees; after a reboot every statement is checked against the bytes
//! before it is believed: those of a plain chunk by its id, those of a sealed one by the sum, BLAKE3 of the bytes as they
//! were written. The first record that does not check ends the journal.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use content::{BlobId, ChunkId, ChunkRef};

const MAGIC: [u8; 4] = *b"CnJ2";
const HEADER_BYTES: usize = 60;
const RECORD_BYTES: usize = 53;

/// Names a temporary file: derived from the path and the blob it will be, so that a later run
/// finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TempName([u8; 16]);

impl TempName {
    pub(crate) fn of(path: &[u8], blob: &BlobId) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(blob.as_bytes()).update(path);
        Self(*hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes"))
    }

    pub(crate) fn file_name(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }
}

/// What a stretch of a file was when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum([u8; 16]);

impl Sum {
    /// Of the bytes that `chunk` fills a stretch with: all of them, or a part of them.
    pub(crate) fn of(chunk: &ChunkRef, bytes: &[u8]) -> Self {
        // What has an id of its own was hashed before.
        if chunk.sealing.is_none() && bytes.len() == chunk.length as usize {
            return Self(first(chunk.id.as_bytes()));
        }
        Self(first(blake3::hash(bytes).as_bytes()))
    }
}

/// Stretches of a file, merged where they touch.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    pub(crate) fn insert(&mut self, mut start: u64, length: u64) {
        let Some(mut end) = start.checked_add(length) else { return };
        if let Some((&before, &before_end)) = self.0.range(..=start).next_back()
            && before_end >= start
        {
            start = before;
            end = end.max(before_end);
        }
        while let Some((&next, &next_end)) = self.0.range(start..).next()
            && next <= end
        {
            self.0.remove(&next);
            end = end.max(next_end);
        }
        self.0.insert(start, end);
    }

    pub(crate) fn contains(&self, start: u64, length: u64) -> bool {
        let covering = self.0.range(..=start).next_back();
        covering.is_some_and(|(_, &end)| start.checked_add(length).is_some_and(|to| to <= end))
    }
}

/// What a journal says.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// Files whose temporary file was finished; it may already be in place.
    pub(crate) complete: HashSet<TempName>,
    /// Bytes of unfinished temporary files.
    pub(crate) ranges: HashMap<TempName, Ranges>,
    /// What was written there, by offset; where that is to be checked.
    pub(crate) sums: HashMap<TempName, BTreeMap<u64, Sum>>,
    /// It was written since the machine started, so the page cache holds what it says; and that is enough.
    pub(crate) same_boot: bool,
}

impl Placed {
    pub(crate) fn is_empty(&self) -> bool {
        self.complete.is_empty() && self.ranges.is_empty()
    }
}

/// An append-only journal.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    buffer: Vec<u8>,
}

/// Where a journal is, and for what.
pub(crate) struct JournalPlace {
    path: PathBuf,
    header: [u8; HEADER_BYTES],
    /// Whether what was written on this boot is checked like that of another one.
    rechecks: bool,
}

impl JournalPlace {
    pub(crate) fn new(path: &Path, tree: ChunkId, boot: [u8; 16]) -> Self {
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&MAGIC);
        header[4..36].copy_from_slice(tree.as_bytes());
        header[36..52].copy_from_slice(&boot);
        let check = check(&header[..52]);
        header[52..].copy_from_slice(&check);
        Self { path: path.into(), header, rechecks: false }
    }

    /// The same, which believes what was written on this boot no more than that of another one.
    pub(crate) fn rechecked(self, rechecks: bool) -> Self {
        Self { rechecks, ..self }
    }

    fn next_path(&self) -> PathBuf {
        self.path.with_extension("next")
    }

    /// Whether an unfinished checkout left a journal.
    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// What a run for another tree left, and which tree that was.
    pub(crate) fn abandoned(&self) -> io::Result<Option<(ChunkId, Placed)>> {
        let other = self.read()?.filter(|(header, ..)| header[4..36] != self.header[4..36]);
        Ok(other.and_then(|(header, placed, _)| {
            ChunkId::from_slice(&header[4..36]).map(|tree| (tree, placed))
        }))
    }

    /// The journal's header, what it says, and how many of its bytes are whole; `None` when there
    /// is no sound one.
    fn read(&self) -> io::Result<Option<([u8; HEADER_BYTES], Placed, usize)>> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some((header, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        if header[..4] != MAGIC || header[52..] != check(&header[..52]) {
            return Ok(None);
        }
        let same_boot = !self.rechecks && header[36..52] == self.header[36..52];
        let mut placed = Placed { same_boot, ..Placed::default() };
        let mut whole = HEADER_BYTES;
        for record in body.as_chunks::<RECORD_BYTES>().0 {
            if record[RECORD_BYTES - 8..] != check(&record[..RECORD_BYTES - 8]) {
                break;
            }
            whole += RECORD_BYTES;
            let name = TempName(*record[1..].first_chunk().expect("53 bytes"));
            let offset = u64::from_le_bytes(*record[17..].first_chunk().expect("53 bytes"));
            let length = u32::from_le_bytes(*record[25..].first_chunk().expect("53 bytes"));
            if record[0] == 1 {
                placed.complete.insert(name);
                placed.ranges.remove(&name);
                placed.sums.remove(&name);
            } else {
                placed.ranges.entry(name).or_default().insert(offset, length.into());
                if !same_boot {
                    let sum = Sum(*record[29..].first_chunk().expect("53 bytes"));
                    placed.sums.entry(name).or_default().insert(offset, sum);
                }
            }
        }
        Ok(Some((*header, placed, whole)))
    }

    /// Reads what an earlier run for the same tree left, and opens a journal to go on with.
    pub(crate) fn open(&self) -> io::Result<(Journal, Placed)> {
        let (placed, whole) = match self.read()? {
            Some((header, placed, whole)) if header[4..36] == self.header[4..36] => (placed, whole),
            _ => return self.create(&self.path).map(|journal| (journal, Placed::default())),
        };
        if placed.is_empty() && !placed.same_boot {
            // There is nothing to be checked, so nobody would let another journal take this one's place.
            return self.create(&self.path).map(|journal| (journal, placed));
        }
        if !placed.same_boot {
            // The old statements stay until each was checked and written anew.
            return self.create(&self.next_path()).map(|journal| (journal, placed));
        }
        let file = File::options().append(true).open(&self.path)?;
        file.set_len(whole as u64)?;
        Ok((Journal { file, buffer: Vec::new() }, placed))
    }

    fn create(&self, path: &Path) -> io::Result<Journal> {
        let _ = std::fs::remove_file(path);
        let mut file = File::options().append(true).create_new(true).open(path)?;
        file.write_all(&self.header)?;
        Ok(Journal { file, buffer: Vec::new() })
    }

    /// Lets the journal of this boot take the place of the one before.
    pub(crate) fn adopt(&self) -> io::Result<()> {
        match std::fs::rename(self.next_path(), &self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Forgets the journal: everything is in place.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Journal {
    /// Notes that a stretch of a temporary file is written, and with what; [`write`](Self::write) says so.
    pub(crate) fn placed(&mut self, name: TempName, offset: u64, (length, sum): (u32, Sum)) {
        self.note(0, name, offset, (length, sum));
    }

    /// Notes that a temporary file is complete.
    pub(crate) fn complete(&mut self, name: TempName) {
        self.note(1, name, 0, (0, Sum([0; 16])));
    }

    fn note(&mut self, kind: u8, name: TempName, offset: u64, (length, sum): (u32, Sum)) {
        let start = self.buffer.len();
        self.buffer.push(kind);
        self.buffer.extend_from_slice(&name.0);
        self.buffer.extend_from_slice(&offset.to_le_bytes());
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(&sum.0);
        let check = check(&self.buffer[start..]);
        self.buffer.extend_from_slice(&check);
    }

    /// Appends what was noted.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

fn check(bytes: &[u8]) -> [u8; 8] {
    *blake3::hash(bytes).as_bytes().first_chunk().expect("a hash has 32 bytes")
}

fn first(hash: &[u8; 32]) -> [u8; 16] {
    *hash.first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_merge_and_know_what_they_cover() {
        let mut ranges = Ranges::default();
        for (start, length) in [(10, 5), (30, 5), (15, 5), (0, 10), (22, 9)] {
            ranges.insert(start, length);
        }
        assert_eq!(ranges.0, BTreeMap::from([(0, 20), (22, 35)]));
        assert!(ranges.contains(0, 20) && ranges.contains(23, 12));
        assert!(!ranges.contains(19, 2) && !ranges.contains(40, 1));
    }

    #[test]
    fn a_torn_tail_is_dropped_and_another_tree_starts_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let place = JournalPlace::new(&path, ChunkId::of(b"tree"), [1; 16]);
        let (one, two) = (BlobId::of(b"1"), BlobId::of(b"2"));
        let (one, two) = (TempName::of(b"p", &one), TempName::of(b"p", &two));
        let (mut journal, placed) = place.open().expect("opens");
        assert!(placed.is_empty());
        let sum = Sum([7; 16]);
        journal.placed(one, 7, (3, sum));
        journal.complete(two);
        journal.write().expect("writes");
        let whole = std::fs::read(&path).expect("reads");
        std::fs::write(&path, [&whole[..], b"torn"].concat()).expect("writes");

        let (mut journal, placed) = place.open().expect("opens");
        assert!(placed.same_boot && placed.complete.contains(&two));
        assert!(placed.ranges[&one].contains(7, 3));
        assert!(placed.sums.is_empty(), "on this boot nothing is checked");
        journal.placed(one, 10, (1, sum));
        journal.write().expect("writes");
        assert!(place.open().expect("opens").1.ranges[&one].contains(7, 4));

        let rebooted = JournalPlace::new(&path, ChunkId::of(b"tree"), [2; 16]);
        let (_, placed) = rebooted.open().expect("opens");
        assert!(!placed.same_boot && placed.complete.contains(&two));
        assert_eq!(placed.sums[&one], BTreeMap::from([(7, sum), (10, sum)]));
        let other = JournalPlace::new(&path, ChunkId::of(b"other"), [1; 16]);
        let (abandoned, placed) = other.abandoned().expect("opens").expect("of another tree");
        assert!(abandoned == ChunkId::of(b"tree") && placed.complete.contains(&two));
        assert!(place.abandoned().expect("opens").is_none(), "its own is no other's");
        assert!(other.open().expect("opens").1.is_empty());
    }

    #[test]
    fn a_journal_of_another_boot_that_says_nothing_yet_is_gone_on_with_in_its_place() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let place = |boot| JournalPlace::new(&path, ChunkId::of(b"tree"), [boot; 16]);
        let name = TempName::of(b"p", &BlobId::of(b"1"));
        drop(place(1).open().expect("opens"));
        for (boot, rechecks) in [(2, false), (2, true)] {
            let (mut journal, placed) = place(boot).rechecked(rechecks).open().expect("opens");
            assert!(placed.is_empty());
            if rechecks {
                journal.complete(name);
                journal.write().expect("writes");
            }
        }
        // The next one that was killed early, too, finds what this one did.
        assert!(place(2).open().expect("opens").1.complete.contains(&name));
    }

    #[test]
    fn every_bit_counts_and_what_precedes_damage_is_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let place = JournalPlace::new(&path, ChunkId::of(b"tree"), [1; 16]);
        let names = [0u8, 1, 2].map(|byte| TempName::of(b"p", &BlobId::of(&[byte])));
        let (mut journal, _) = place.open().expect("opens");
        for name in names {
            journal.complete(name);
        }
        journal.write().expect("writes");
        let bytes = std::fs::read(&path).expect("reads");
        assert_eq!(bytes.len(), HEADER_BYTES + names.len() * RECORD_BYTES);

        // How many statements are whole before a byte; `None` within the header.
        let before = |at: usize| at.checked_sub(HEADER_BYTES).map(|below| below / RECORD_BYTES);
        let check = |bytes: &[u8], sound: Option<usize>, what: &str| {
            std::fs::write(&path, bytes).expect("writes");
            let read = place.read().expect("readable").map(|(_, placed, whole)| {
                assert_eq!(whole, HEADER_BYTES + placed.complete.len() * RECORD_BYTES, "{what}");
                assert!(placed.ranges.is_empty(), "{what}");
                placed.complete
            });
            let expected = sound.map(|count| names[..count].iter().copied().collect());
            assert_eq!(read, expected, "{what}");
        };
        check(&bytes, Some(names.len()), "whole");
        for at in 0..bytes.len() {
            check(&bytes[..at], before(at), &format!("cut at {at}"));
            for bit in 0..8 {
                let mut altered = bytes.clone();
                altered[at] ^= 1 << bit;
                check(&altered, before(at), &format!("bit {bit} of byte {at}"));
            }
        }
    }
}
