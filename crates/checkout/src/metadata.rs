//! Reads the nodes of a tree: from the metadata store, and what that lacks through the fetcher.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use content::bounds::{DEPTH_MAX, DirectoryIndex, Sighting, Survey, Tally, TreeBoundsError};
use content::frame::{Codec, FrameBuilder, FrameCodec};
use content::reference::PieceList;
use content::{
    ChunkId, ChunkRef, Contents, DecodeError, Entry, Kind, Name, Node, Piece, Totals, TreeRef,
    TreeRoot, seal,
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

/// Directories that are the same as others and still looked into, because what an old index knows
/// depends on the path. Beyond, a directory may lack nodes; they are fetched one by one then.
const REPEATS_MAX: usize = 1 << 16;

/// Longest node of a directory that is read, and most bytes of those that are read and not yet
/// gone through, one inside the other. An entry takes a hundred bytes or so: ten million.
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
    ///
    /// Each distinct directory is read once, and the tree is measured by that before it is
    /// walked: one that is larger than stated, or than any may be, is refused here.
    pub(crate) async fn complete(
        &mut self,
        tree: TreeRef,
        stated: Option<&Totals>,
    ) -> Result<TreeRoot, CheckoutError> {
        let mut seen = HashSet::new();
        self.ensure(&mut seen, [tree.0].iter()).await?;
        let root = TreeRoot::decode(&self.chunk(&tree.0).await?).map_err(malformed(b""))?;
        if stated.is_some_and(|stated| *stated != root.totals) {
            let reason = "its totals are not those of the release";
            return Err(CheckoutError::Contradiction { path: String::new(), reason });
        }
        let mut survey = Survey::new(tree.id(), &root)?;
        let mut level = vec![Unread::new(None, survey.root(), root.size, root.contents.clone())];
        // Nodes may repeat each other and name one list many times.
        let (mut lists, mut named) = (Vec::<ChunkRef>::new(), HashSet::new());
        let (mut repeats, mut depth) = (0, 0);
        while !level.is_empty() {
            if depth > DEPTH_MAX {
                let path = level[0].path();
                let what = "directories one inside the other";
                let tree = tree.id();
                return Err(TreeBoundsError::too_large(tree, &path, what, DEPTH_MAX).into());
            }
            depth += 1;
            let mut next = Vec::new();
            for batch in level.chunks(BATCH_NODES) {
                let chunks = batch.iter().flat_map(|unread| unread.contents.chunks());
                self.ensure(&mut seen, chunks.chain(lists.iter())).await?;
                lists.clear();
                for Unread { place, index, size, contents } in batch {
                    if let Contents::List(_) = contents {
                        let pieces = self.listed(*size, contents, b"", PIECES_MAX).await?;
                        self.ensure(&mut seen, pieces.iter().filter_map(chunk_of)).await?;
                    }
                    let node = self.node(*size, contents, b"").await?;
                    let is_first = survey.read(*index, *size, &node)?;
                    for entry in node.entries {
                        match entry.kind {
                            kind @ Kind::Directory { .. } => {
                                let name = entry.name;
                                if !self.known.is_empty() {
                                    let path = join(&path_of(place.as_ref()), name.as_bytes());
                                    if self.known.contains(&path, &kind) {
                                        continue;
                                    }
                                }
                                let Kind::Directory { size, contents, .. } = kind else { continue };
                                let sighting = survey.found(
                                    *index,
                                    is_first,
                                    name.as_bytes(),
                                    size,
                                    &contents,
                                );
                                let (Sighting::New(found) | Sighting::Again(found)) = sighting;
                                if matches!(sighting, Sighting::Again(_)) {
                                    // What was known beneath it at one path may not be here.
                                    if self.known.is_empty() || repeats == REPEATS_MAX {
                                        continue;
                                    }
                                    repeats += 1;
                                }
                                let place = Place { parent: place.clone(), name };
                                let place = Some(Arc::new(place));
                                next.push(Unread::new(place, found, size, contents));
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
        survey.finish()?;
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
        tree: TreeRef,
        root: &TreeRoot,
        planner: mpsc::Sender<Found>,
    ) -> Result<(), CheckoutError> {
        let room = Arc::new(Semaphore::new(LISTINGS_BYTES_MAX as usize));
        // Known directories were not measured; in the wrong place they are met all the same.
        let mut tally = Tally::new(tree.id(), root)?;
        let mut open = Open::default();
        let mut next = Some((Vec::new(), None::<Entry>));
        while let Some((path, entry)) = next.take().or_else(|| open.next()) {
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
            tally.count(&path, size, &node)?;
            let (mut listed, mut pieces_count) = (HashMap::new(), 0);
            let mut directories = Vec::new();
            for child in &node.entries {
                match &child.kind {
                    Kind::Directory { .. } => directories.push(child.clone()),
                    Kind::File { size, contents: contents @ Contents::List(_), .. } => {
                        let left = PIECES_MAX - pieces_count;
                        let pieces = self.listed(*size, contents, &path, left).await?;
                        pieces_count += pieces.len();
                        listed.insert(child.name.clone(), pieces);
                    }
                    Kind::File { .. } | Kind::Symlink { .. } => {}
                }
            }
            open.enter(&path, size, directories)?;
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

/// A directory whose node has not been read.
struct Unread {
    place: Option<Arc<Place>>,
    index: DirectoryIndex,
    size: u64,
    contents: Contents,
}

impl Unread {
    fn new(
        place: Option<Arc<Place>>,
        index: DirectoryIndex,
        size: u64,
        contents: Contents,
    ) -> Self {
        Self { place, index, size, contents }
    }

    fn path(&self) -> Vec<u8> {
        path_of(self.place.as_ref())
    }
}

/// Where a directory was found first. Whole paths would take memory without measure: those of a
/// level may all be long.
struct Place {
    parent: Option<Arc<Self>>,
    name: Name,
}

fn path_of(mut place: Option<&Arc<Place>>) -> Vec<u8> {
    let mut names = Vec::new();
    while let Some(here) = place {
        names.push(here.name.as_bytes());
        place = here.parent.as_ref();
    }
    names.reverse();
    names.join(&b'/')
}

/// Directories that were named and not entered, those of one directory together.
#[derive(Default)]
struct Open {
    levels: Vec<Level>,
    bytes: u64,
}

struct Level {
    path: Vec<u8>,
    bytes: u64,
    directories: std::vec::IntoIter<Entry>,
}

impl Open {
    /// `bytes` is the size of the directory's node.
    fn enter(
        &mut self,
        path: &[u8],
        bytes: u64,
        directories: Vec<Entry>,
    ) -> Result<(), CheckoutError> {
        if directories.is_empty() {
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > NODE_BYTES_MAX {
            let reason = "directories one inside the other, larger than any";
            return Err(CheckoutError::Contradiction { path: shown(path), reason });
        }
        let directories = directories.into_iter();
        self.levels.push(Level { path: path.to_vec(), bytes, directories });
        Ok(())
    }

    fn next(&mut self) -> Option<(Vec<u8>, Option<Entry>)> {
        loop {
            let level = self.levels.last_mut()?;
            if let Some(entry) = level.directories.next() {
                return Some((join(&level.path, entry.name.as_bytes()), Some(entry)));
            }
            self.bytes -= level.bytes;
            self.levels.pop();
        }
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
