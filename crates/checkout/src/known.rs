//! The directories of the tree an index was written for.
//!
//! A directory whose contents are stated as they were then has the same entries all the way
//! down, so neither its nodes nor those beneath it have to be read again.

use std::collections::HashSet;
use std::io;

use content::{Entry, Kind, Mtime, Name, Node};

use crate::record::RecordReader;

/// Path and contents of every directory, hashed.
///
/// Half a hash: whoever wanted another directory to pass for a known one would need 2^64 tries.
#[derive(Debug, Default)]
pub(crate) struct KnownDirectories(HashSet<[u8; 16]>);

impl KnownDirectories {
    /// Goes through an index and leaves it at its beginning.
    pub(crate) fn read(index: &mut RecordReader) -> io::Result<Self> {
        let mut known = HashSet::new();
        while let Some(raw) = index.next_raw()? {
            if !raw.is_directory() {
                continue;
            }
            if let Some(record) = raw.open() {
                known.insert(key(&record.path, &record.entry.kind));
            }
        }
        index.rewind()?;
        Ok(Self(known))
    }

    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there was this directory at `path`.
    pub(crate) fn contains(&self, path: &[u8], directory: &Kind) -> bool {
        !self.0.is_empty() && self.0.contains(&key(path, directory))
    }
}

fn key(path: &[u8], directory: &Kind) -> [u8; 16] {
    let entry = Entry {
        name: Name::new(b"directory").expect("a valid name"),
        mode: 0,
        mtime: Mtime { seconds: 0, nanos: 0 },
        owner: None,
        xattrs: Vec::new(),
        kind: directory.clone(),
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(path.len() as u64).to_le_bytes()).update(path);
    hasher.update(&Node { entries: vec![entry] }.encode());
    *hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes")
}
