//! Reads the nodes of a tree: from the metadata store, and what that lacks through the fetcher.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use content::frame::{Codec, FrameBuilder, FrameCodec};
use content::reference::PieceList;
use content::{
    ChunkId, ChunkRef, Contents, DecodeError, Entry, Kind, Name, Node, Piece, TreeRef, TreeRoot,
    seal,
};
use fetch::{Fetcher, Priority, Want};
use store::ChunkStore;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::CheckoutError;
use crate::known::KnownDirectories;
use crate::order::{join, shown};

/// Nodes looked for together, and with them the chunks of one request.
const BATCH_NODES: usize = 4096;
/// Most bytes of metadata in memory between fetching and storing.
const BATCH_BYTES: u64 = 8 << 20;
/// Opened chunks kept for the nodes that share them.
const CACHE_BYTES: usize = 8 << 20;

/// Longest node of a directory that is read. An entry takes a hundred bytes or so: ten million.
const NODE_BYTES_MAX: u64 = 1 << 30;
/// Half the shortest chunk that cutting makes; shorter ones are only the ends of stretches.
const PIECE_BYTES_MIN: u64 = 4096;
/// Pieces of any file whatever its size: two lists of them.
const PIECES_FREE: usize = 2 * PieceList::PIECES_MAX;
/// Most pieces in the lists of one directory's files together: 8 TiB in chunks of average length.
const PIECES_MAX: usize = 16 << 20;
/// Most memory of directories on their way to the planner; a larger one goes alone.
const LISTINGS_BYTES_MAX: u32 = 256 << 20;

/// What the planner is told, directory by directory.
pub(crate) enum Found {
    /// A directory with its entries.
    Listing(Listing),
    /// A directory with the contents the old index knows; nothing beneath it is sent.
    Same {
        /// Its path.
        path: Vec<u8>,
        /// Itself.
        entry: Entry,
    },
}

/// One directory on its way to the planner.
pub(crate) struct Listing {
    pub(crate) path: Vec<u8>,
    /// `None` for the root.
    pub(crate) entry: Option<Entry>,
    pub(crate) node: Node,
    /// The pieces of files whose contents are lists.
    pub(crate) listed: HashMap<Name, Vec<Piece>>,
    /// Its part of [`LISTINGS_BYTES_MAX`].
    pub(crate) _room: OwnedSemaphorePermit,
}

/// Reader of one tree's metadata.
pub(crate) struct Metadata<'a> {
    pub(crate) fetcher: &'a Fetcher,
    pub(crate) store: &'a dyn ChunkStore,
    known: KnownDirectories,
    young: HashMap<ChunkId, Bytes>,
    young_bytes: usize,
    old: HashMap<ChunkId, Bytes>,
    /// Bytes of chunks that had to be fetched.
    pub(crate) fetched_bytes: u64,
}

impl<'a> Metadata<'a> {
    pub(crate) fn new(
        fetcher: &'a Fetcher,
        store: &'a dyn ChunkStore,
        known: KnownDirectories,
    ) -> Self {
        let (young, old) = (HashMap::new(), HashMap::new());
        Self { fetcher, store, known, young, young_bytes: 0, old, fetched_bytes: 0 }
    }

    /// Brings all metadata of the tree that is not known into the store, level by level: as many
    /// round trips as the tree is deep, however many directories it has.
    pub(crate) async fn complete(&mut self, tree: TreeRef) -> Result<TreeRoot, CheckoutError> {
        let mut seen = HashSet::new();
        self.ensure(&mut seen, [tree.0].iter()).await?;
        let root = TreeRoot::decode(&self.chunk(&tree.0).await?).map_err(malformed(b""))?;
        let mut level = vec![(Vec::new(), root.size, root.contents.clone())];
        // Nodes may repeat each other and name one list many times.
        let (mut lists, mut named) = (Vec::<ChunkRef>::new(), HashSet::new());
        while !level.is_empty() {
            let mut next = Vec::new();
            for batch in level.chunks(BATCH_NODES) {
                let chunks = batch.iter().flat_map(|(_, _, contents)| contents.chunks());
                self.ensure(&mut seen, chunks.chain(lists.iter())).await?;
                lists.clear();
                for (path, size, contents) in batch {
                    if let Contents::List(_) = contents {
                        let pieces = self.listed(*size, contents, b"", PIECES_MAX).await?;
                        self.ensure(&mut seen, pieces.iter().filter_map(chunk_of)).await?;
                    }
                    for entry in self.node(*size, contents, b"").await?.entries {
                        match entry.kind {
                            kind @ Kind::Directory { .. } => {
                                let path = join(path, entry.name.as_bytes());
                                if !self.known.contains(&path, &kind)
                                    && let Kind::Directory { size, contents, .. } = kind
                                {
                                    next.push((path, size, contents));
                                }
                            }
                            Kind::File { contents: contents @ Contents::List(_), .. } => {
                                let new = contents.chunks().filter(|chunk| named.insert(chunk.id));
                                lists.extend(new);
                            }
                            Kind::File { .. } | Kind::Symlink { .. } => {}
                        }
                    }
                }
            }
            level = next;
        }
        self.ensure(&mut seen, lists.iter()).await?;
        if self.fetched_bytes > 0 {
            self.store.flush().await?;
        }
        Ok(root)
    }

    async fn ensure(
        &mut self,
        seen: &mut HashSet<ChunkId>,
        chunks: impl Iterator<Item = &ChunkRef>,
    ) -> Result<(), CheckoutError> {
        let new: Vec<&ChunkRef> = chunks.filter(|chunk| seen.insert(chunk.id)).collect();
        for part in new.chunks(BATCH_NODES) {
            let ids: Vec<ChunkId> = part.iter().map(|chunk| chunk.id).collect();
            let has = self.store.has(&ids).await?;
            let (mut wants, mut bytes) = (Vec::new(), 0);
            for (chunk, has) in part.iter().zip(has) {
                if !has {
                    wants.push(Want::of(chunk, Priority::Demanded));
                    bytes += u64::from(chunk.stored_length());
                }
                if bytes >= BATCH_BYTES {
                    self.fetch(std::mem::take(&mut wants)).await?;
                    bytes = 0;
                }
            }
            self.fetch(wants).await?;
        }
        Ok(())
    }

    async fn fetch(&mut self, wants: Vec<Want>) -> Result<(), CheckoutError> {
        if wants.is_empty() {
            return Ok(());
        }
        let order: Vec<ChunkId> = wants.iter().map(|want| want.id).collect();
        let fetched = self.fetcher.fetch_all(wants).await?;
        let (mut builder, mut codec) = (FrameBuilder::default(), FrameCodec::default());
        let mut frames = Vec::new();
        for id in order {
            let Some(bytes) = fetched.get(&id) else { continue };
            self.fetched_bytes += bytes.len() as u64;
            if builder.is_full_for(bytes.len())
                && let Some((entries, plain)) = builder.take()
            {
                frames.push(codec.encode(entries, plain, Codec::Zstd));
            }
            builder.push(id, bytes);
        }
        if let Some((entries, plain)) = builder.take() {
            frames.push(codec.encode(entries, plain, Codec::Zstd));
        }
        self.store.append(frames).await?;
        Ok(())
    }

    /// The plain bytes of a chunk that is in the store, or was until just now.
    async fn chunk(&mut self, reference: &ChunkRef) -> Result<Bytes, CheckoutError> {
        if let Some(bytes) = self.young.get(&reference.id) {
            return Ok(bytes.clone());
        }
        let plain = match self.old.remove(&reference.id) {
            Some(plain) => plain,
            None => {
                let stored = match self.store.read(&reference.id).await? {
                    Some(stored) => stored,
                    // Collected or evicted in between.
                    None => self.fetch_one(reference).await?,
                };
                seal::open(reference, &stored)?.into()
            }
        };
        self.young_bytes += plain.len();
        if self.young_bytes > CACHE_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = plain.len();
        }
        self.young.insert(reference.id, plain.clone());
        Ok(plain)
    }

    async fn fetch_one(&mut self, reference: &ChunkRef) -> Result<Bytes, CheckoutError> {
        let wants = vec![Want::of(reference, Priority::Demanded)];
        let mut fetched = self.fetcher.fetch_all(wants).await?;
        let bytes = fetched.remove(&reference.id).ok_or(CheckoutError::Contradiction {
            path: String::new(),
            reason: "a chunk of metadata was fetched and is not there",
        })?;
        self.fetched_bytes += bytes.len() as u64;
        Ok(bytes)
    }

    /// The pieces that contents of the kind list name, for `size` bytes; at most `room` of them.
    ///
    /// Lists may repeat each other, so few bytes of metadata can name pieces without end: what
    /// makes no sense for the size is refused before it is in memory.
    async fn listed(
        &mut self,
        size: u64,
        contents: &Contents,
        path: &[u8],
        room: usize,
    ) -> Result<Vec<Piece>, CheckoutError> {
        let plausible = usize::try_from(size / PIECE_BYTES_MIN).unwrap_or(usize::MAX);
        let most = plausible.saturating_add(PIECES_FREE).min(room);
        let mut pieces = Vec::new();
        if let Contents::List(segments) = contents {
            for segment in segments {
                let bytes = self.chunk(&segment.chunk).await?;
                let list = PieceList::decode(&bytes).map_err(malformed(path))?;
                let span =
                    list.0.iter().try_fold(0u64, |sum, piece| sum.checked_add(piece.length()));
                if span != Some(segment.span) {
                    let reason = "a list of pieces spans something else than stated";
                    return Err(CheckoutError::Contradiction { path: shown(path), reason });
                }
                if pieces.len() + list.0.len() > most {
                    let reason = "a file of more pieces than its size allows";
                    return Err(CheckoutError::Contradiction { path: shown(path), reason });
                }
                pieces.extend(list.0);
            }
        }
        Ok(pieces)
    }

    async fn node(
        &mut self,
        size: u64,
        contents: &Contents,
        path: &[u8],
    ) -> Result<Node, CheckoutError> {
        let contradiction =
            |reason| Err(CheckoutError::Contradiction { path: shown(path), reason });
        if size > NODE_BYTES_MAX {
            return contradiction("a directory larger than any");
        }
        let pieces = match contents {
            Contents::Inline(bytes) => return Node::decode(bytes).map_err(malformed(path)),
            Contents::Slice { chunk, offset } => {
                let bytes = self.chunk(chunk).await?;
                let start = *offset as usize;
                let end = usize::try_from(size).ok().and_then(|size| start.checked_add(size));
                let Some(slice) = end.and_then(|end| bytes.get(start..end)) else {
                    return contradiction("a slice reaches past its chunk");
                };
                return Node::decode(slice).map_err(malformed(path));
            }
            Contents::Pieces(pieces) => pieces.clone(),
            Contents::List(_) => self.listed(size, contents, path, PIECES_MAX).await?,
        };
        // Their lengths add up to the size, so that bounds these bytes.
        let mut bytes = Vec::new();
        for piece in &pieces {
            let Piece::Chunk(chunk) = piece else {
                return contradiction("a directory with a hole");
            };
            let plain = self.chunk(chunk).await?;
            if plain.len() != chunk.length as usize {
                return contradiction("one chunk has two lengths");
            }
            bytes.extend_from_slice(&plain);
        }
        Node::decode(&bytes).map_err(malformed(path))
    }

    /// Sends every directory to the planner, in walk order; ends early when that hung up.
    pub(crate) async fn walk(
        &mut self,
        root: &TreeRoot,
        planner: mpsc::Sender<Found>,
    ) -> Result<(), CheckoutError> {
        let room = Arc::new(Semaphore::new(LISTINGS_BYTES_MAX as usize));
        let mut open: Vec<(Vec<u8>, Option<Entry>)> = vec![(Vec::new(), None)];
        while let Some((path, entry)) = open.pop() {
            let (size, contents) = match entry.as_ref().map(|entry| &entry.kind) {
                Some(Kind::Directory { size, contents, .. }) => (*size, contents),
                _ => (root.size, &root.contents),
            };
            if let Some(entry) = &entry
                && self.known.contains(&path, &entry.kind)
            {
                let found = Found::Same { path, entry: entry.clone() };
                if planner.send(found).await.is_err() {
                    return Ok(());
                }
                continue;
            }
            let node = self.node(size, contents, &path).await?;
            let (mut listed, mut pieces_count) = (HashMap::new(), 0);
            let first = open.len();
            for child in &node.entries {
                match &child.kind {
                    Kind::Directory { .. } => {
                        open.push((join(&path, child.name.as_bytes()), Some(child.clone())));
                    }
                    Kind::File { size, contents: contents @ Contents::List(_), .. } => {
                        let left = PIECES_MAX - pieces_count;
                        let pieces = self.listed(*size, contents, &path, left).await?;
                        pieces_count += pieces.len();
                        listed.insert(child.name.clone(), pieces);
                    }
                    Kind::File { .. } | Kind::Symlink { .. } => {}
                }
            }
            open[first..].reverse();
            let bytes = (size as usize).saturating_add(pieces_count * size_of::<Piece>());
            let part = u32::try_from(bytes).unwrap_or(u32::MAX).min(LISTINGS_BYTES_MAX);
            let _room = Arc::clone(&room)
                .acquire_many_owned(part)
                .await
                .expect("the semaphore is never closed");
            let found = Found::Listing(Listing { path, entry, node, listed, _room });
            if planner.send(found).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn chunk_of(piece: &Piece) -> Option<&ChunkRef> {
    match piece {
        Piece::Chunk(chunk) => Some(chunk),
        Piece::Hole(_) => None,
    }
}

fn malformed(path: &[u8]) -> impl FnOnce(DecodeError) -> CheckoutError {
    let path = shown(path);
    move |source| CheckoutError::Malformed { path, source }
}
