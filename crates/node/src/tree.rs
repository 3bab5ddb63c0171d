//! Finding a tree and reading in it without fetching the rest.

use std::sync::Arc;

use bytes::Bytes;
use content::reference::{ListSegment, PieceList};
use content::{
    ChunkId, ChunkRef, Contents, DecodeError, Entry, Kind, Node as Directory, Piece, TreeRef,
    TreeRoot,
};
use documents::{AcceptError, Capability, DocumentError, Manifest, PublicKey, ReleaseName};
use fetch::{FetchConfig, FetchError, Fetcher, HubSource, Priority, Source, StoreSource, Want};
use hub_client::ClientError;
use store::{ChunkStore, DiskOptions, DiskStore, StoreError};

use crate::hubs::{HubChoiceError, HubLink};
use crate::publish::unix_now;
use crate::state::{Node, StateError};
use crate::trust::Trust;

/// Most bytes of a directory's node, which is read into memory: room for ten million entries, far
/// above what a directory of any file system is used with.
const DIRECTORY_BYTES_MAX: u64 = 1 << 30;
/// Pieces asked for together, and with them the chunks in memory at a time.
const BATCH_PIECES: usize = 64;

/// What a user calls a tree: a name, a name and a release, or an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeSpec {
    /// The newest release of a name, or the one with a number.
    Release {
        /// The name.
        name: ReleaseName,
        /// The release, the newest if none.
        sequence: Option<u64>,
    },
    /// A tree id.
    Id(ChunkId),
}

/// A text that names no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither NAME, NAME@RELEASE (as in team/tools@3) nor a tree id of 64 digits")]
pub struct ParseTreeSpecError(String);

impl std::str::FromStr for TreeSpec {
    type Err = ParseTreeSpecError;

    fn from_str(text: &str) -> Result<Self, ParseTreeSpecError> {
        let error = || ParseTreeSpecError(text.to_owned());
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let (name, sequence) = match text.split_once('@') {
            None => (text, None),
            Some((name, number)) => {
                (name, Some(number.parse().ok().filter(|number| *number > 0).ok_or_else(error)?))
            }
        };
        Ok(Self::Release { name: name.parse().map_err(|_| error())?, sequence })
    }
}

impl std::fmt::Display for TreeSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Release { name, sequence: None } => write!(f, "{name}"),
            Self::Release { name, sequence: Some(number) } => write!(f, "{name}@{number}"),
            Self::Id(id) => write!(f, "{id}"),
        }
    }
}

/// Why a tree could not be found or read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The hub could not be reached or refused.
    #[error("cannot ask {url} for {spec}")]
    Hub {
        /// The hub.
        url: String,
        /// What was asked for.
        spec: String,
        /// What it said.
        #[source]
        source: ClientError,
    },
    /// No hub is known to ask.
    #[error(transparent)]
    HubChoice(#[from] HubChoiceError),
    /// The release is not one that may be believed; nothing was changed.
    #[error("release {spec} is refused")]
    Refused {
        /// What was asked for.
        spec: String,
        /// Why.
        #[source]
        source: AcceptError,
    },
    /// The hub sent a document that is no release of this publisher.
    #[error("the release document of {spec} is refused")]
    Document {
        /// What was asked for.
        spec: String,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// Another publisher than the pinned one. If the name was handed over, accept the new
    /// publisher with `--publisher`.
    #[error("{name} was published by {offered}, this node trusts {pinned} for it")]
    OtherPublisher {
        /// The name.
        name: ReleaseName,
        /// Who signed what the hub offers.
        offered: PublicKey,
        /// Who is trusted.
        pinned: PublicKey,
    },
    /// The release is sealed and no capability was given. Pass `--capability FILE`, or type it
    /// when asked.
    #[error("{0} is sealed and needs its capability")]
    NeedsCapability(String),
    /// The capability does not open this release.
    #[error("the capability does not open {0}")]
    WrongCapability(String),
    /// A chunk could not be had from any source.
    #[error("cannot fetch a part of the tree")]
    Fetch(#[from] FetchError),
    /// The local store failed.
    #[error("the local store failed")]
    Store(#[from] StoreError),
    /// The publisher made a tree that breaks the format.
    #[error("the tree is malformed")]
    Decode(#[from] DecodeError),
    /// A folder named as a source could not be read.
    #[error("cannot use {} as a source", path.display())]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        source: snapshot::SnapshotError,
    },
    /// The publisher made a directory that claims bytes it does not have.
    #[error("a directory of the tree has a hole")]
    HoleInDirectory,
    /// What was read could not be passed on.
    #[error("cannot write the output")]
    Sink(#[source] std::io::Error),
    /// A sealed part does not open.
    #[error("a sealed part of the tree does not open")]
    Open(#[from] content::seal::OpenError),
    /// Nothing in the tree has this path.
    #[error("there is no {0} in the tree")]
    NoPath(String),
    /// The path is not what the command needs.
    #[error("{path} is {is}, not {wanted}")]
    Kind {
        /// The path.
        path: String,
        /// What it is.
        is: &'static str,
        /// What was needed.
        wanted: &'static str,
    },
    /// The state directory failed.
    #[error("cannot use this node's state")]
    State(#[from] StateError),
}

/// A tree that was found, and where to read it.
pub struct FoundTree {
    /// The tree.
    pub tree: TreeRef,
    /// The release it is, when asked for by name.
    pub release: Option<Manifest>,
    /// Where chunks come from.
    pub fetcher: Arc<Fetcher>,
    /// Where metadata is kept.
    pub store: Arc<dyn ChunkStore>,
    /// The hub asked, if any.
    pub hub: Option<HubLink>,
}

impl Node {
    /// Finds `spec`, checks its release, and prepares its sources.
    ///
    /// # Errors
    /// See [`TreeError`].
    pub async fn find_tree(
        &self,
        spec: &TreeSpec,
        hub_url: Option<&str>,
        capability: Option<&Capability>,
        publisher: Option<&PublicKey>,
        also: &[String],
    ) -> Result<FoundTree, TreeError> {
        let store = self.metadata_store()?;
        let local: Arc<dyn Source> = Arc::new(StoreSource::new("local store", Arc::clone(&store)));
        match spec {
            TreeSpec::Release { name, sequence } => {
                let hub = self.hub(hub_url)?;
                let manifest = self.release(&hub, name, *sequence, spec, publisher).await?;
                let tree = tree_of(&manifest, spec, capability)?;
                let client = Arc::clone(&hub.client);
                let mut sources: Vec<Arc<dyn Source>> =
                    vec![Arc::new(HubSource::new(hub.url.clone(), client).with_promise())];
                sources.extend(self.more_sources(also, &store).await?);
                Ok(FoundTree {
                    tree,
                    release: Some(manifest),
                    fetcher: Arc::new(Fetcher::new(sources, FetchConfig::default())),
                    store,
                    hub: Some(hub),
                })
            }
            TreeSpec::Id(id) => {
                let hub = match self.hub(hub_url) {
                    Ok(hub) => Some(hub),
                    Err(HubChoiceError::NoneKnown) => None,
                    Err(error) => return Err(error.into()),
                };
                let mut sources = vec![local];
                if let Some(hub) = &hub {
                    let client = Arc::clone(&hub.client);
                    sources.push(Arc::new(HubSource::new(hub.url.clone(), client)));
                }
                sources.extend(self.more_sources(also, &store).await?);
                let fetcher = Arc::new(Fetcher::new(sources, FetchConfig::default()));
                // The length of a root is not part of its id, so it is read first.
                let want = Want { id: *id, length: 1024, priority: Priority::Demanded };
                let root = fetcher.fetch_all(vec![want]).await?;
                let length = root.get(id).map_or(0, Bytes::len);
                let tree = TreeRef(ChunkRef::plain(*id, u32::try_from(length).unwrap_or(u32::MAX)));
                Ok(FoundTree { tree, release: None, fetcher, store, hub })
            }
        }
    }

    /// Sources named beside the hub: other hubs by URL, stores and folders by path.
    async fn more_sources(
        &self,
        also: &[String],
        metadata: &Arc<dyn ChunkStore>,
    ) -> Result<Vec<Arc<dyn Source>>, TreeError> {
        let mut sources: Vec<Arc<dyn Source>> = Vec::new();
        for one in also {
            if one.starts_with("http://") || one.starts_with("https://") {
                let hub = self.hub(Some(one))?;
                sources.push(Arc::new(HubSource::new(hub.url, hub.client)));
                continue;
            }
            let path = std::path::Path::new(one);
            if path.join("packs").is_dir() {
                let store = DiskStore::open(path, DiskOptions::default())?;
                sources.push(Arc::new(StoreSource::new(one.clone(), Arc::new(store))));
            } else {
                sources.push(Arc::new(self.folder_source(path, metadata).await?));
            }
        }
        Ok(sources)
    }

    /// Gets a release of `name` and checks it against what this node trusts and has seen.
    async fn release(
        &self,
        hub: &HubLink,
        name: &ReleaseName,
        sequence: Option<u64>,
        spec: &TreeSpec,
        publisher: Option<&PublicKey>,
    ) -> Result<Manifest, TreeError> {
        let ask = |source| TreeError::Hub { url: hub.url.clone(), spec: spec.to_string(), source };
        let document = |source| TreeError::Document { spec: spec.to_string(), source };
        let newest = hub.client.head(name).await.map_err(ask)?;
        let offered = Manifest::peek_publisher(&newest.manifest).map_err(document)?;
        let mut trust = match publisher {
            // A new publisher begins a new history.
            Some(key) => match self.trust(&hub.identity, name)? {
                Some(trust) if trust.publisher == *key => trust,
                _ => Trust { publisher: *key, seen: None },
            },
            None => self.trust_or_pin(hub, name, offered)?,
        };
        if trust.publisher != offered {
            let (name, pinned) = (name.clone(), trust.publisher);
            return Err(TreeError::OtherPublisher { name, offered, pinned });
        }
        let accepted = documents::accept_head(
            &newest.head,
            &newest.manifest,
            &trust.publisher,
            name,
            trust.seen.as_ref(),
            unix_now(),
        )
        .map_err(|source| TreeError::Refused { spec: spec.to_string(), source })?;
        trust.seen = Some(accepted.seen);
        self.remember_trust(&hub.identity, name, &trust)?;
        match sequence {
            Some(number) if number != accepted.manifest.sequence => {
                let bytes = hub.client.release(name, number).await.map_err(ask)?;
                let (manifest, _) = Manifest::open(&bytes, &trust.publisher).map_err(document)?;
                if manifest.name != *name || manifest.sequence != number {
                    let source = AcceptError::WrongName {
                        expected: name.to_string(),
                        found: format!("{}@{}", manifest.name, manifest.sequence),
                    };
                    return Err(TreeError::Refused { spec: spec.to_string(), source });
                }
                Ok(manifest)
            }
            _ => Ok(accepted.manifest),
        }
    }
}

fn tree_of(
    manifest: &Manifest,
    spec: &TreeSpec,
    capability: Option<&Capability>,
) -> Result<TreeRef, TreeError> {
    if manifest.sealed_root.is_none() {
        return Ok(TreeRef(ChunkRef::plain(manifest.tree.id, manifest.tree.stored_length)));
    }
    let capability = capability.ok_or_else(|| TreeError::NeedsCapability(spec.to_string()))?;
    capability.open_root(manifest).map_err(|_| TreeError::WrongCapability(spec.to_string()))
}

impl FoundTree {
    /// Reads chunks: from the local store, else from the sources, kept locally if `keep`.
    async fn chunks(&self, chunks: &[ChunkRef], keep: bool) -> Result<Vec<Bytes>, TreeError> {
        let mut stored: Vec<Option<Bytes>> = Vec::with_capacity(chunks.len());
        let mut wants = Vec::new();
        for chunk in chunks {
            let found = self.store.read(&chunk.id).await?;
            if found.is_none() {
                wants.push(Want {
                    id: chunk.id,
                    length: chunk.stored_length(),
                    priority: Priority::Demanded,
                });
            }
            stored.push(found);
        }
        if !wants.is_empty() {
            let fetched = self.fetcher.fetch_all(wants).await?;
            if keep {
                let pairs: Vec<_> =
                    fetched.iter().map(|(id, bytes)| (*id, bytes.clone())).collect();
                let frames = crate::upload::frames_of(&pairs, content::frame::Codec::Zstd);
                self.store.append(frames).await?;
                self.store.flush().await?;
            }
            for (chunk, stored) in chunks.iter().zip(&mut stored) {
                if stored.is_none() {
                    *stored = fetched.get(&chunk.id).cloned();
                }
            }
        }
        let opened = chunks.iter().zip(stored).map(|(chunk, stored)| {
            let stored = stored.expect("fetch_all returns every wanted chunk or an error");
            Ok(Bytes::from(content::seal::open(chunk, &stored)?))
        });
        opened.collect()
    }

    /// Reads the record under the tree id.
    ///
    /// # Errors
    /// When it cannot be had or is malformed.
    pub async fn root(&self) -> Result<TreeRoot, TreeError> {
        let bytes = self.chunks(&[self.tree.0], true).await?;
        Ok(TreeRoot::decode(&bytes[0])?)
    }

    /// The pieces of one list, which span what the list's parent states.
    async fn listed(&self, segment: &ListSegment) -> Result<Vec<Piece>, TreeError> {
        let bytes = self.chunks(&[segment.chunk], true).await?;
        let pieces = PieceList::decode(&bytes[0])?.0;
        let span = pieces.iter().try_fold(0u64, |sum, piece| sum.checked_add(piece.length()));
        if span != Some(segment.span) {
            return Err(malformed(
                "a list of pieces",
                format!("it spans something else than the {} bytes stated", segment.span),
            ));
        }
        Ok(pieces)
    }

    /// Reads `range` of contents of `size` bytes, giving it in order to `sink`.
    async fn read_contents(
        &self,
        contents: &Contents,
        range: std::ops::Range<u64>,
        keep: bool,
        mut sink: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), TreeError> {
        match contents {
            Contents::Inline(bytes) => {
                sink(&bytes[range.start as usize..range.end as usize]).map_err(TreeError::Sink)?;
            }
            Contents::Slice { chunk, offset } => {
                let bytes = self.chunks(&[*chunk], keep).await?;
                let from = u64::from(*offset);
                sink(&bytes[0][(from + range.start) as usize..(from + range.end) as usize])
                    .map_err(TreeError::Sink)?;
            }
            Contents::Pieces(pieces) => {
                self.read_pieces(pieces, 0, &range, keep, &mut sink).await?;
            }
            // One list at a time: lists that repeat chunks are short for what they stand for.
            Contents::List(segments) => {
                let mut at = 0u64;
                for segment in segments {
                    let end = at.saturating_add(segment.span);
                    if end > range.start && at < range.end {
                        let pieces = self.listed(segment).await?;
                        self.read_pieces(&pieces, at, &range, keep, &mut sink).await?;
                    }
                    at = end;
                }
            }
        }
        Ok(())
    }

    /// Reads what `range` covers of pieces that begin at `at`.
    async fn read_pieces(
        &self,
        pieces: &[Piece],
        mut at: u64,
        range: &std::ops::Range<u64>,
        keep: bool,
        sink: &mut impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), TreeError> {
        let mut batch: Vec<(Piece, u64)> = Vec::new();
        for piece in pieces {
            let end = at.saturating_add(piece.length());
            if end > range.start && at < range.end {
                batch.push((*piece, at));
            }
            at = end;
            if batch.len() == BATCH_PIECES {
                self.read_batch(&std::mem::take(&mut batch), range, keep, sink).await?;
            }
        }
        self.read_batch(&batch, range, keep, sink).await
    }

    async fn read_batch(
        &self,
        batch: &[(Piece, u64)],
        range: &std::ops::Range<u64>,
        keep: bool,
        sink: &mut impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), TreeError> {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let chunks: Vec<ChunkRef> = batch
            .iter()
            .filter_map(|(piece, _)| match piece {
                Piece::Chunk(chunk) => Some(*chunk),
                Piece::Hole(_) => None,
            })
            .collect();
        let mut bytes = self.chunks(&chunks, keep).await?.into_iter();
        for (piece, at) in batch {
            let from = range.start.saturating_sub(*at);
            let until = piece.length().min(range.end - at);
            match piece {
                Piece::Chunk(_) => {
                    let chunk = bytes.next().expect("as many as were asked for");
                    sink(&chunk[from as usize..until as usize]).map_err(TreeError::Sink)?;
                }
                Piece::Hole(_) => {
                    let mut left = until - from;
                    while left > 0 {
                        let step = left.min(ZEROS.len() as u64);
                        sink(&ZEROS[..step as usize]).map_err(TreeError::Sink)?;
                        left -= step;
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads a directory's node.
    async fn node(&self, size: u64, contents: &Contents) -> Result<Directory, TreeError> {
        if size > DIRECTORY_BYTES_MAX {
            return Err(malformed("a directory of the tree", format!("it has {size} bytes")));
        }
        // A hole costs nothing to claim and everything to fill: no directory has one.
        let has_hole = |pieces: &[Piece]| pieces.iter().any(|it| matches!(it, Piece::Hole(_)));
        match contents {
            Contents::Inline(_) | Contents::Slice { .. } => {}
            Contents::Pieces(pieces) => {
                if has_hole(pieces) {
                    return Err(TreeError::HoleInDirectory);
                }
            }
            Contents::List(segments) => {
                for segment in segments {
                    if has_hole(&self.listed(segment).await?) {
                        return Err(TreeError::HoleInDirectory);
                    }
                }
            }
        }
        let mut bytes = Vec::new();
        self.read_contents(contents, 0..size, true, |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })
        .await?;
        Ok(Directory::decode(&bytes)?)
    }

    /// The root directory.
    ///
    /// # Errors
    /// When it cannot be had or is malformed.
    pub async fn root_directory(&self) -> Result<Directory, TreeError> {
        let root = self.root().await?;
        self.node(root.size, &root.contents).await
    }

    /// The directory an entry stands for.
    ///
    /// # Errors
    /// When it cannot be had or the entry is no directory.
    pub async fn directory(&self, entry: &Entry) -> Result<Directory, TreeError> {
        match &entry.kind {
            Kind::Directory { size, contents, .. } => self.node(*size, contents).await,
            Kind::File { .. } | Kind::Symlink { .. } => Err(TreeError::Kind {
                path: String::from_utf8_lossy(entry.name.as_bytes()).into_owned(),
                is: kind_word(entry),
                wanted: "a directory",
            }),
        }
    }

    /// Finds what is at `path`; `None` stands for the root.
    ///
    /// # Errors
    /// [`TreeError::NoPath`] when nothing is there.
    pub async fn entry_at(&self, path: &[u8]) -> Result<Option<Entry>, TreeError> {
        let missing = || TreeError::NoPath(String::from_utf8_lossy(path).into_owned());
        let mut found: Option<Entry> = None;
        for name in
            path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".")
        {
            let directory = match &found {
                None => self.root_directory().await?,
                Some(entry) => self.directory(entry).await?,
            };
            found = Some(directory.entry(name).cloned().ok_or_else(missing)?);
        }
        Ok(found)
    }

    /// Reads a range of a file, fetching only the chunks under it; ends past the file are cut.
    ///
    /// # Errors
    /// When a chunk cannot be had, or `entry` is no file.
    pub async fn read_file(
        &self,
        entry: &Entry,
        range: std::ops::Range<u64>,
        sink: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), TreeError> {
        match &entry.kind {
            Kind::File { size, contents, .. } => {
                let end = range.end.min(*size);
                self.read_contents(contents, range.start.min(end)..end, false, sink).await
            }
            Kind::Directory { .. } | Kind::Symlink { .. } => Err(TreeError::Kind {
                path: String::from_utf8_lossy(entry.name.as_bytes()).into_owned(),
                is: kind_word(entry),
                wanted: "a file",
            }),
        }
    }

    /// Every path in the tree with its entry, in walk order, skipping sub-trees `enter` refuses.
    ///
    /// # Errors
    /// When a directory cannot be had.
    pub async fn walk(
        &self,
        mut visit: impl FnMut(&[u8], &Entry) -> bool,
    ) -> Result<(), TreeError> {
        let mut stack = vec![(Vec::new(), None::<Entry>)];
        while let Some((path, entry)) = stack.pop() {
            let directory = match &entry {
                None => self.root_directory().await?,
                Some(entry) => self.directory(entry).await?,
            };
            let mut deeper = Vec::new();
            for entry in directory.walk_order() {
                let mut below = path.clone();
                if !below.is_empty() {
                    below.push(b'/');
                }
                below.extend_from_slice(entry.name.as_bytes());
                let enter = visit(&below, entry);
                if enter && matches!(entry.kind, Kind::Directory { .. }) {
                    deeper.push((below, Some(entry.clone())));
                }
            }
            stack.extend(deeper.into_iter().rev());
        }
        Ok(())
    }
}

fn malformed(what: &'static str, reason: String) -> TreeError {
    TreeError::Decode(DecodeError::Malformed { what, reason })
}

/// What an entry is, in a word.
#[must_use]
pub fn kind_word(entry: &Entry) -> &'static str {
    match entry.kind {
        Kind::File { .. } => "a file",
        Kind::Directory { .. } => "a directory",
        Kind::Symlink { .. } => "a symbolic link",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_named_by_release_or_by_id() {
        let id = ChunkId::of(b"tree");
        assert_eq!(id.to_string().parse(), Ok(TreeSpec::Id(id)));
        let spec: TreeSpec = "team/tools@3".parse().expect("valid");
        assert_eq!(spec.to_string(), "team/tools@3");
        assert!(matches!(&spec, TreeSpec::Release { sequence: Some(3), .. }));
        for wrong in ["", "tools", "team/tools@", "team/tools@0", "team/tools@x", "../x", "a/b/c"] {
            assert!(wrong.parse::<TreeSpec>().is_err(), "{wrong:?}");
        }
    }

    /// A tree of which only the store counts.
    fn found(node: &Node, chunks: &[&[u8]]) -> (FoundTree, Vec<content::frame::Frame>) {
        let pairs: Vec<_> = chunks
            .iter()
            .map(|bytes| (ChunkId::of(bytes), Bytes::copy_from_slice(bytes)))
            .collect();
        let store = node.metadata_store().expect("opens");
        let tree = TreeRef(ChunkRef::plain(ChunkId::of(b"root"), 4));
        let fetcher = Arc::new(Fetcher::new(Vec::new(), FetchConfig::default()));
        let frames = crate::upload::frames_of(&pairs, content::frame::Codec::Zstd);
        (FoundTree { tree, release: None, fetcher, store, hub: None }, frames)
    }

    #[tokio::test]
    async fn lists_that_repeat_chunks_are_read_in_parts_and_span_what_is_stated() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let node = Node::open(directory.path()).expect("opens");
        let letters = b"abcdefgh";
        let piece = Piece::Chunk(ChunkRef::plain(ChunkId::of(letters), 8));
        let list = PieceList(vec![piece; 1000]).encode();
        let (found, frames) = found(&node, &[letters, &list]);
        found.store.append(frames).await.expect("stored");
        let chunk = ChunkRef::plain(ChunkId::of(&list), u32::try_from(list.len()).expect("short"));
        let segment = |span| ListSegment { chunk, span };

        let contents = Contents::List(vec![segment(8000); 1_000_000]);
        let mut read = Vec::new();
        let range = 4_000_000_006..4_000_000_013;
        let sink = |part: &[u8]| {
            read.extend_from_slice(part);
            Ok(())
        };
        found.read_contents(&contents, range, false, sink).await.expect("reads");
        assert_eq!(read, b"ghabcde");

        let lies = Contents::List(vec![segment(7999)]);
        let refused = found.read_contents(&lies, 0..10, false, |_| Ok(())).await;
        assert!(matches!(refused, Err(TreeError::Decode(_))), "{refused:?}");
        let refused = found.node(7999, &lies).await;
        assert!(matches!(refused, Err(TreeError::Decode(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn a_directory_that_would_fill_the_memory_is_refused() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let node = Node::open(directory.path()).expect("opens");
        let (found, _) = found(&node, &[]);
        // Nothing of it is in the store: it is refused before anything is asked for.
        let chunk = ChunkRef::plain(ChunkId::of(b"list"), 4);
        let contents = Contents::List(vec![ListSegment { chunk, span: (1 << 30) + 1 }]);
        let refused = found.node((1 << 30) + 1, &contents).await;
        assert!(matches!(refused, Err(TreeError::Decode(_))), "{refused:?}");
        let hole = Contents::Pieces(vec![Piece::Hole(1 << 20)]);
        let refused = found.node(1 << 20, &hole).await;
        assert!(matches!(refused, Err(TreeError::HoleInDirectory)), "{refused:?}");
    }
}
