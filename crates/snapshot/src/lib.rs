//! Reads a directory into content: walks it, cuts, groups and seals what it finds.
//!
//! Three kinds of threads work at it:
//!
//! * one *walks* ([`walk`]) and lists what there is in walk order: per directory first
//!   everything but directories by name, then each directory by name;
//! * several *read* ([`read`]): they cut, hash and seal, and offer the chunks to the sink;
//! * the caller's own *assembles* ([`assemble`]) in walk order: groups of small files, nodes,
//!   the closure, the index.
//!
//! It does not know where chunks go ([`ChunkSink`]) and sends nothing.
//!
//! Invariants:
//! * The tree depends on what was found alone: not on the number of threads, not on their
//!   timing, not on the index. All order is decided by the assembler.
//! * A file that changed while it was read is never part of a tree.
//! * What is under way is bounded by count and by bytes; of the whole tree only the ids of its
//!   chunks, and files with several names, are remembered.
//!
//! Start reading at [`snapshot`].

mod assemble;
mod index;
mod levels;
mod read;
mod runs;
mod sink;
mod walk;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};

use content::bounds::TreeBoundsError;
use content::closure::ClosureEntry;
use content::{ChunkId, ClosureHead, Sealer, Totals, TreeRef};
use directory::{FileKind, IndexError, IndexReader, IndexWriter, XattrScope};

pub use sink::{ChunkKind, ChunkSink, SinkError};

/// How to read a directory.
#[derive(Debug, Clone)]
pub struct SnapshotOptions {
    /// Seals every chunk but the closure's; `None` leaves all plain.
    pub sealer: Option<Sealer>,
    /// Reads every file, whatever the index remembers.
    pub reread: bool,
    /// Records users and groups, and the attributes that only root can restore.
    pub owners: bool,
    /// Threads that read; at least one is used.
    pub threads: usize,
    /// Chunks that must be offered even if the files they came from did not change.
    pub resend: HashSet<ChunkId>,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        Self {
            sealer: None,
            reread: false,
            owners: false,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            resend: HashSet::new(),
        }
    }
}

impl SnapshotOptions {
    pub(crate) fn xattr_scope(&self) -> XattrScope {
        if self.owners { XattrScope::Owned } else { XattrScope::User }
    }
}

/// What a snapshot found.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The tree.
    pub tree: TreeRef,
    /// What it holds.
    pub totals: Totals,
    /// The chunk with the closure's head, which was offered last.
    pub closure: ClosureEntry,
    /// The head itself.
    pub closure_head: ClosureHead,
    /// What was left out, in walk order.
    pub skipped: Vec<Skipped>,
    /// Files that were opened and read.
    pub files_read: u64,
    /// Bytes that were read from them, holes not counted.
    pub bytes_read: u64,
}

/// Something that is not part of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Path from the root, raw bytes.
    pub path: Vec<u8>,
    /// Why it was left out.
    pub reason: SkipReason,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", String::from_utf8_lossy(&self.path), self.reason)
    }
}

/// Why something is not part of the tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// It is neither a regular file, a directory nor a symbolic link. Nothing to do: such things
    /// have no contents to carry.
    #[error("it is {}", describe(*.0))]
    Special(FileKind),
    /// The system refused. Give the publisher the right to read it, or repair the disk.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It changed each time it was read. Publish again when whatever writes it has finished.
    #[error("it kept changing while it was read")]
    Changing,
    /// It was removed between listing and reading.
    #[error("it was removed while the directory was read")]
    Removed,
    /// A name, path, link target or attribute is longer than any this format carries, or the
    /// directory is deeper. Publish the part that is too deep under a name of its own.
    #[error("its {0} cannot be recorded")]
    Unrecordable(&'static str),
}

fn describe(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Fifo => "a named pipe",
        FileKind::Socket => "a socket",
        FileKind::Device => "a device",
        FileKind::File | FileKind::Directory | FileKind::Symlink | FileKind::Unknown => {
            "of an unknown kind"
        }
    }
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The path does not exist or cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// What was asked for.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The directory itself cannot be listed, or its attributes cannot be read.
    #[error("the directory cannot be read: {0}")]
    Unreadable(SkipReason),
    /// The path is a pipe, socket or device: publish a file or a directory.
    #[error("{} is neither a file nor a directory", path.display())]
    NotContent {
        /// What was asked for.
        path: PathBuf,
    },
    /// Nobody takes the chunks any more; the sink's own end says why.
    #[error("the chunks cannot be handed on")]
    Sink(#[from] SinkError),
    /// There is more than a tree may hold. Make several trees of it, under names of their own.
    #[error("the directory is too large for one tree")]
    TooLarge(#[from] TreeBoundsError),
    /// The new index cannot be written; the old one is untouched.
    #[error("what was read cannot be remembered")]
    Index(#[from] IndexError),
}

/// Counts what goes on, to be shown while it does.
#[derive(Debug, Default)]
pub struct SnapshotProgress {
    /// Files listed so far.
    pub files_found: AtomicU64,
    /// Their sizes added up.
    pub bytes_found: AtomicU64,
    /// Set when everything is listed: what was found is then all there is.
    pub listed: AtomicBool,
    /// Files that are done, read or known.
    pub files_done: AtomicU64,
    /// Their sizes added up.
    pub bytes_done: AtomicU64,
    /// How far those are that are being read and large.
    pub bytes_under_way: AtomicU64,
    /// Files that were opened and read.
    pub files_read: AtomicU64,
    /// Bytes read from them.
    pub bytes_read: AtomicU64,
}

/// Reads the file or directory at `path`.
///
/// Metadata chunks are all offered to `sink`, contents only of files that are read: those the
/// index at `previous` does not vouch for. The new index is written to `index`, which may be
/// the same path; keep it only when the chunks have arrived. A missing, damaged or foreign
/// index is no index.
///
/// # Errors
/// When `path` cannot be opened, `sink` refuses, or the index cannot be written. Things beneath
/// `path` that cannot be read are no error: see [`Snapshot::skipped`].
pub fn snapshot(
    path: &Path,
    options: &SnapshotOptions,
    previous: Option<&Path>,
    index: &Path,
    sink: &dyn ChunkSink,
    progress: &SnapshotProgress,
) -> Result<Snapshot, SnapshotError> {
    let start = walk::Start::at(path)?;
    let context = index::context(options);
    let previous = previous.filter(|_| !options.reread);
    let previous = previous.and_then(|path| IndexReader::open_for(path, context));
    let writer = IndexWriter::create_for(index, context)?;
    let output = sink::Output::new(sink, options.sealer.as_ref());
    let reader = read::FileReader::new(&output, options.xattr_scope(), progress);

    let (jobs, todo) = crossbeam_channel::unbounded();
    let (steps, found) = crossbeam_channel::bounded(walk::STEPS_MAX);
    std::thread::scope(|scope| {
        // However this ends, readers must not go on with what nobody waits for.
        let _stop = reader.stop_on_drop();
        for _ in 0..options.threads.max(1) {
            let todo = todo.clone();
            scope.spawn(|| read::serve(&reader, todo));
        }
        drop(todo);
        let walker = walk::Walker {
            root: &start.root,
            options,
            index: index::Cursor::new(previous),
            steps,
            jobs: jobs.clone(),
            progress,
            set: Vec::new(),
            weight: 0,
            links: std::collections::HashMap::new(),
        };
        scope.spawn(|| walker.walk(start.only));
        let assembler = assemble::Assembler::new(&start.root, options, &reader, jobs, writer);
        assembler.assemble(found)
    })
}

/// Opens the index that a snapshot with `options` wrote; `None` when there is no sound one.
#[must_use]
pub fn open_index(path: &Path, options: &SnapshotOptions) -> Option<IndexReader> {
    IndexReader::open_for(path, index::context(options))
}

#[cfg(test)]
mod tests;
