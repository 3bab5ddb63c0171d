//! Reading in the trees of plain releases: directories, paths, the bytes of files, and what
//! changed between two.
//!
//! Everything a tree says is its publisher's word, so all of it is bounded here: the size of a
//! directory, the length of a path, the entries a comparison looks at. And an id in a tree opens
//! nothing: each chunk is checked against the rights of whoever reads, not of whoever published,
//! so that nobody reads a stranger's chunk by naming it in a tree of their own.
//!
//! [`Browser::open`] gives a [`Tree`]; [`Tree::find`], [`Tree::directory`] and [`Tree::reader`]
//! go on from there; [`changes()`] compares two.

mod changes;
mod reader;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use content::{
    ChunkId, ChunkRef, Contents, DecodeError, Entry, Kind, Node, Piece, TreeRoot, bounds,
};
use documents::Manifest;
use hub_db::{Caller, DbError, Release};
use store::StoreError;

pub(crate) use self::changes::{Change, ChangeKind, changes};
pub(crate) use self::reader::FileReader;
use crate::app::App;
use crate::caller::is_in_force;

/// Largest directory that is read: some 70,000 entries, whose decoded form takes a few times
/// as much memory.
const DIRECTORY_BYTES_MAX: u64 = 8 << 20;

/// Longest path that is looked up or told: no tree may have a longer one.
pub(crate) const PATH_BYTES_MAX: usize = bounds::PATH_BYTES_MAX as usize;

/// Bytes of directories that are read on the way down to one path: a tree may name its largest
/// directory at every step.
const WAY_BYTES_MAX: u64 = 8 * DIRECTORY_BYTES_MAX;

/// Why a tree or something in it was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrowseError {
    /// The release is sealed: the hub has no key, only its readers have.
    #[error("the release is sealed")]
    Sealed,
    /// Nothing in the tree has this path.
    #[error("there is no such path in the tree")]
    NoPath,
    /// The path is something else than what was wanted.
    #[error("the path is {is}")]
    Kind {
        /// What it is.
        is: &'static str,
    },
    /// A chunk is not here, or not for this reader: nobody is told which.
    #[error("chunk {0} cannot be read")]
    Absent(ChunkId),
    /// The tree is larger than what is read here; clients can still fetch it.
    #[error("{0} is too large to be read here")]
    TooLarge(&'static str),
    /// The publisher made a tree that breaks the format.
    #[error("the tree is malformed")]
    Malformed(#[from] DecodeError),
    /// The tree contradicts itself in a way no decoder of a part can see.
    #[error("the tree contradicts itself: {0}")]
    Contradiction(&'static str),
    /// The reader's account or token was revoked meanwhile.
    #[error("the account is no longer in force")]
    Revoked,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Whose rights count.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reading {
    /// Those of a caller of the API.
    Caller(Caller),
    /// The operator's, who holds the disk and so everything plain on it.
    Operator,
}

/// Reads trees for somebody.
#[derive(Clone)]
pub(crate) struct Browser {
    app: Arc<App>,
    reading: Reading,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// The root directory, which has no entry.
    Root,
    /// Everything else.
    Entry(Box<Entry>),
}

/// The tree of a release.
#[derive(Clone)]
pub(crate) struct Tree {
    browser: Browser,
    root: Arc<TreeRoot>,
}

impl Browser {
    pub(crate) fn new(app: Arc<App>, reading: Reading) -> Self {
        Self { app, reading }
    }

    /// The tree of a release, which the caller is known to see.
    pub(crate) async fn open(&self, release: &Release) -> Result<Tree, BrowseError> {
        // Whoever signed it was checked when it was accepted.
        let publisher = Manifest::peek_publisher(&release.manifest);
        let manifest = publisher.and_then(|key| Manifest::open(&release.manifest, &key));
        let (manifest, _) = manifest.map_err(|_| BrowseError::Contradiction("the manifest"))?;
        if manifest.sealed_root.is_some() {
            return Err(BrowseError::Sealed);
        }
        let root = ChunkRef::plain(manifest.tree.id, manifest.tree.stored_length);
        self.allow(&[root.id]).await?;
        let root = TreeRoot::decode(&self.chunk(&root).await?)?;
        Ok(Tree { browser: self.clone(), root: Arc::new(root) })
    }

    /// Those of `ids` that may be read, as things are now.
    async fn readable(&self, ids: &[ChunkId]) -> Result<HashSet<ChunkId>, BrowseError> {
        match &self.reading {
            Reading::Operator => Ok(ids.iter().copied().collect()),
            Reading::Caller(caller) => {
                if !is_in_force(&self.app, caller).await? {
                    return Err(BrowseError::Revoked);
                }
                Ok(self.app.access.readable(caller, ids).await?)
            }
        }
    }

    async fn allow(&self, ids: &[ChunkId]) -> Result<(), BrowseError> {
        let readable = self.readable(ids).await?;
        match ids.iter().find(|id| !readable.contains(*id)) {
            Some(id) => Err(BrowseError::Absent(*id)),
            None => Ok(()),
        }
    }

    /// The bytes of a chunk that may be read.
    async fn chunk(&self, chunk: &ChunkRef) -> Result<Bytes, BrowseError> {
        if chunk.sealing.is_some() {
            return Err(BrowseError::Sealed);
        }
        let bytes = self.app.store.read(&chunk.id).await?;
        let bytes = bytes.ok_or(BrowseError::Absent(chunk.id))?;
        if bytes.len() != chunk.length as usize {
            return Err(BrowseError::Contradiction("a reference gives another length"));
        }
        Ok(bytes)
    }

    async fn node(&self, size: u64, contents: &Contents) -> Result<Node, BrowseError> {
        if size > DIRECTORY_BYTES_MAX {
            return Err(BrowseError::TooLarge("a directory"));
        }
        // A hole costs nothing to claim: no directory has one.
        if let Contents::Pieces(pieces) = contents
            && pieces.iter().any(|piece| matches!(piece, Piece::Hole(_)))
        {
            return Err(BrowseError::Contradiction("a directory with a hole"));
        }
        let mut reader = FileReader::new(self.clone(), contents, size, 0..size);
        let mut bytes = Vec::new();
        while let Some(part) = reader.next().await? {
            bytes.extend_from_slice(&part);
        }
        Ok(Node::decode(&bytes)?)
    }
}

impl Tree {
    async fn root_directory(&self) -> Result<Node, BrowseError> {
        self.browser.node(self.root.size, &self.root.contents).await
    }

    async fn below(&self, entry: &Entry) -> Result<Node, BrowseError> {
        match &entry.kind {
            Kind::Directory { size, contents, .. } => self.browser.node(*size, contents).await,
            Kind::File { .. } | Kind::Symlink { .. } => {
                Err(BrowseError::Kind { is: kind_word(entry) })
            }
        }
    }

    /// What is at `path`, parts joined by `/`; nothing is followed.
    pub(crate) async fn find(&self, path: &[u8]) -> Result<Found, BrowseError> {
        if path.len() > PATH_BYTES_MAX {
            return Err(BrowseError::NoPath);
        }
        let mut found: Option<Entry> = None;
        let mut way_bytes = 0u64;
        let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        for (depth, name) in (0u64..).zip(names) {
            let size = match &found {
                Some(Entry { kind: Kind::Directory { size, .. }, .. }) => *size,
                _ => self.root.size,
            };
            way_bytes = way_bytes.saturating_add(size);
            if depth > bounds::DEPTH_MAX || way_bytes > WAY_BYTES_MAX {
                return Err(BrowseError::TooLarge("the way to this path"));
            }
            let directory = match &found {
                None => self.root_directory().await?,
                Some(Entry { kind: Kind::File { .. } | Kind::Symlink { .. }, .. }) => {
                    return Err(BrowseError::NoPath);
                }
                Some(entry) => self.below(entry).await?,
            };
            found = Some(directory.entry(name).cloned().ok_or(BrowseError::NoPath)?);
        }
        Ok(found.map_or(Found::Root, |entry| Found::Entry(Box::new(entry))))
    }

    /// The directory at `path`, its entries sorted by name.
    pub(crate) async fn directory(&self, path: &[u8]) -> Result<Node, BrowseError> {
        match self.find(path).await? {
            Found::Root => self.root_directory().await,
            Found::Entry(entry) => self.below(&entry).await,
        }
    }

    /// Reads `range` of a file; what lies behind its end is cut off.
    pub(crate) fn reader(
        &self,
        entry: &Entry,
        range: std::ops::Range<u64>,
    ) -> Result<FileReader, BrowseError> {
        match &entry.kind {
            Kind::File { size, contents, .. } => {
                let end = range.end.min(*size);
                let range = range.start.min(end)..end;
                Ok(FileReader::new(self.browser.clone(), contents, *size, range))
            }
            Kind::Directory { .. } | Kind::Symlink { .. } => {
                Err(BrowseError::Kind { is: kind_word(entry) })
            }
        }
    }
}

/// What an entry is, in words.
pub(crate) fn kind_word(entry: &Entry) -> &'static str {
    match entry.kind {
        Kind::File { .. } => "a file",
        Kind::Directory { .. } => "a directory",
        Kind::Symlink { .. } => "a symbolic link",
    }
}
