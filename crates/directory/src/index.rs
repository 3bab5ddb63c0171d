//! The file that remembers facts and contents between two runs.
//!
//! It is a cache: losing it costs reading again, believing a damaged one would cost a wrong
//! tree. So the reader checks the whole file before it yields anything, and whatever is wrong
//! with it means "no index".
//!
//! ```text
//! bytes  field                                       (integers are little-endian)
//!     8  magic "CnIndex1"
//!    32  context: what the contents depend on besides the files, see IndexContext
//!        entries, in walk order:
//!     4    length n of the entry, at least 1, at most 256 MiB
//!     n    the entry, laid out in `index/code.rs`
//!     4  zero: no more entries
//!     8  count of entries
//!    32  BLAKE3 of everything before
//! ```
//!
//! Sealed references carry keys: the file is readable by its owner alone.

mod code;

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use content::{BlobId, Contents, Mtime, Piece};

use crate::{FileFacts, Xattrs};

const MAGIC: [u8; 8] = *b"CnIndex1";
const HEAD_BYTES: u64 = 40;
const TAIL_BYTES: u64 = 44;
/// Far more than the pieces of the largest file a file system holds would take per GiB cut; it
/// bounds what a damaged length can allocate together with the length of the file itself.
const ENTRY_BYTES_MAX: u32 = 256 << 20;

/// What remembered contents depend on besides the files: parameters, sealing secret. An index
/// of another context is no index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexContext(pub [u8; 32]);

/// What a name was, and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexKind {
    /// A regular file; its size is in the facts.
    File {
        /// Hash of the contents.
        blob: BlobId,
        /// Where the bytes are.
        contents: Contents,
        /// For [`Contents::List`] the pieces that the list's chunks name, otherwise empty; see
        /// [`IndexEntry::pieces`].
        listed: Vec<Piece>,
    },
    /// A symbolic link.
    Symlink {
        /// What it says.
        target: Vec<u8>,
    },
    /// A directory.
    Directory,
}

/// One name and what was found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// Path from the root, raw bytes.
    pub path: Vec<u8>,
    /// What the system said.
    pub facts: FileFacts,
    /// When it said so, before the contents were read.
    pub recorded_at: Mtime,
    /// Extended attributes; changing one changes the facts.
    pub xattrs: Xattrs,
    /// File, symbolic link or directory.
    pub kind: IndexKind,
}

impl IndexEntry {
    /// Whether the contents remembered here are those of a file that shows `facts` now.
    #[must_use]
    pub fn holds_for(&self, facts: &FileFacts) -> bool {
        self.facts.unchanged(facts) && self.facts.settled(self.recorded_at)
    }

    /// The pieces of a file that has some, whether its node lists them or a chunk does.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        match &self.kind {
            IndexKind::File { contents: Contents::Pieces(pieces), .. } => pieces,
            IndexKind::File { listed, .. } => listed,
            IndexKind::Symlink { .. } | IndexKind::Directory => &[],
        }
    }
}

/// Why an index could not be written.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The system refused, or the disk is full. The old index, if any, is untouched.
    #[error("cannot write the index {}", path.display())]
    Write {
        /// The index.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// Writes an index beside its final name. Two writers of one index exclude each other by a lock
/// that is the caller's.
pub struct IndexWriter {
    path: PathBuf,
    draft: PathBuf,
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
    count: u64,
    placed: bool,
}

impl IndexWriter {
    /// Begins an index that depends on nothing but the files.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, IndexError> {
        Self::create_for(path, IndexContext::default())
    }

    /// Begins an index of `context`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create_for(path: &Path, context: IndexContext) -> Result<Self, IndexError> {
        let failed = |source| IndexError::Write { path: path.to_owned(), source };
        // One name for all runs, so that a killed one leaves nothing that stays: whoever writes
        // an index holds a lock of its own.
        let mut draft = path.as_os_str().to_owned();
        draft.push(".tmp");
        let draft = PathBuf::from(draft);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = BufWriter::with_capacity(128 * 1024, options.open(&draft).map_err(failed)?);
        let mut writer = Self {
            path: path.to_owned(),
            draft,
            file,
            hasher: blake3::Hasher::new(),
            buffer: Vec::new(),
            count: 0,
            placed: false,
        };
        writer.buffer.extend_from_slice(&MAGIC);
        writer.buffer.extend_from_slice(&context.0);
        writer.write_buffer()?;
        Ok(writer)
    }

    /// Adds the next entry in walk order.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn push(&mut self, entry: &IndexEntry) -> Result<(), IndexError> {
        self.buffer.extend_from_slice(&[0; 4]);
        code::write(entry, &mut self.buffer);
        let length = self.buffer.len() - 4;
        if length > ENTRY_BYTES_MAX as usize {
            // Not remembered: the file will be read again.
            self.buffer.clear();
            return Ok(());
        }
        let length = u32::try_from(length).expect("at most 256 MiB");
        self.buffer[..4].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
        self.write_buffer()
    }

    /// Makes the index durable and gives it its name in one step.
    ///
    /// # Errors
    /// When the disk failed; the old index is untouched.
    pub fn finish(mut self) -> Result<(), IndexError> {
        self.buffer.extend_from_slice(&[0; 4]);
        self.buffer.extend_from_slice(&self.count.to_le_bytes());
        self.write_buffer()?;
        let hash = *self.hasher.finalize().as_bytes();
        self.file.write_all(&hash).map_err(|source| self.failed(source))?;
        self.file.flush().map_err(|source| self.failed(source))?;
        self.file.get_ref().sync_all().map_err(|source| self.failed(source))?;
        std::fs::rename(&self.draft, &self.path).map_err(|source| self.failed(source))?;
        self.placed = true;
        Ok(())
    }

    fn write_buffer(&mut self) -> Result<(), IndexError> {
        self.hasher.update(&self.buffer);
        self.file.write_all(&self.buffer).map_err(|source| self.failed(source))?;
        self.buffer.clear();
        Ok(())
    }

    fn failed(&self, source: io::Error) -> IndexError {
        IndexError::Write { path: self.path.clone(), source }
    }
}

impl Drop for IndexWriter {
    fn drop(&mut self) {
        if !self.placed {
            // A draft nobody finished; there is nobody to tell if it stays.
            drop(std::fs::remove_file(&self.draft));
        }
    }
}

/// Reads an index in walk order.
pub struct IndexReader {
    file: BufReader<File>,
    left: u64,
    buffer: Vec<u8>,
}

impl IndexReader {
    /// Opens an index that depends on nothing but the files; `None` when there is no sound one.
    #[must_use]
    pub fn open(path: &Path) -> Option<Self> {
        Self::open_for(path, IndexContext::default())
    }

    /// Opens an index of `context`; `None` when there is no sound one.
    #[must_use]
    pub fn open_for(path: &Path, context: IndexContext) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        let body = length.checked_sub(32)?;
        if length < HEAD_BYTES + TAIL_BYTES {
            return None;
        }
        let mut head = [0; HEAD_BYTES as usize];
        file.read_exact(&mut head).ok()?;
        if head[..8] != MAGIC || head[8..] != context.0 {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&head);
        hasher.update_reader((&file).take(body - HEAD_BYTES)).ok()?;
        let mut hash = [0; 32];
        file.read_exact(&mut hash).ok()?;
        if hasher.finalize() != hash {
            return None;
        }
        file.seek(io::SeekFrom::Start(HEAD_BYTES)).ok()?;
        let left = body.checked_sub(HEAD_BYTES)?;
        Some(Self { file: BufReader::with_capacity(128 * 1024, file), left, buffer: Vec::new() })
    }

    /// The next entry. A file that changed since it was opened ends early: a cache that forgot.
    fn read_entry(&mut self) -> Option<IndexEntry> {
        let mut length = [0; 4];
        self.left = self.left.checked_sub(4)?;
        self.file.read_exact(&mut length).ok()?;
        let length = u32::from_le_bytes(length);
        self.left = self.left.checked_sub(u64::from(length))?;
        if length == 0 || length > ENTRY_BYTES_MAX {
            return None;
        }
        self.buffer.resize(length as usize, 0);
        self.file.read_exact(&mut self.buffer).ok()?;
        code::read(&self.buffer)
    }
}

impl Iterator for IndexReader {
    type Item = IndexEntry;

    fn next(&mut self) -> Option<IndexEntry> {
        let entry = self.read_entry();
        if entry.is_none() {
            self.left = 0;
        }
        entry
    }
}

#[cfg(test)]
mod tests;
