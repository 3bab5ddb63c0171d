//! Directories that are being put together, and the metadata they become.
//!
//! A directory is *open* while the walk is in it, *left* when it is not, and *waiting* as long
//! as contents of its files are not known or a directory in it is not finished. Left and not
//! waiting, it becomes a node and is given to its parent.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use content::closure::{ClosureBuilder, ClosureEntry};
use content::cut::{BlobCutter, Cut};
use content::group::{Grouper, NODES};
use content::reference::{DIRECT_PIECES_MAX, INLINE_BYTES_MAX, PieceList};
use content::{
    BlobId, ChunkId, ChunkRef, ClosureHead, Contents, Entry, Kind, ListSegment, Node, Piece,
};

use crate::sink::Output;
use crate::{ChunkKind, SinkError};

/// Lists chunks, each once, and offers those that are metadata.
pub(crate) struct Listing<'a> {
    output: &'a Output<'a>,
    closure: ClosureBuilder,
    listed: HashSet<ChunkId>,
}

impl<'a> Listing<'a> {
    pub(crate) fn new(output: &'a Output<'a>) -> Self {
        Self { output, closure: ClosureBuilder::default(), listed: HashSet::new() }
    }

    /// Lists a chunk that has been offered, or need not be.
    pub(crate) fn list(&mut self, chunk: &ChunkRef) -> Result<(), SinkError> {
        if self.listed.insert(chunk.id)
            && let Some(segment) = self.closure.push(ClosureEntry::from(chunk))
        {
            self.output.put_plain(segment.into(), ChunkKind::Metadata)?;
        }
        Ok(())
    }

    /// Offers and lists a chunk of metadata.
    pub(crate) fn put(&mut self, plain: &[u8]) -> Result<ChunkRef, SinkError> {
        let chunk = self.output.put(plain, ChunkKind::Metadata)?;
        self.list(&chunk)?;
        Ok(chunk)
    }

    /// Contents of listed pieces; of many the pieces too, which then are in list chunks.
    pub(crate) fn contents_of(
        &mut self,
        pieces: Vec<Piece>,
    ) -> Result<(Contents, Vec<Piece>), SinkError> {
        for piece in &pieces {
            if let Piece::Chunk(chunk) = piece {
                self.list(chunk)?;
            }
        }
        if pieces.len() <= DIRECT_PIECES_MAX {
            return Ok((Contents::Pieces(pieces), Vec::new()));
        }
        let mut segments = Vec::new();
        let mut from = 0;
        for (at, piece) in pieces.iter().enumerate() {
            if PieceList::ends_after(piece, at + 1 - from) || at + 1 == pieces.len() {
                let segment = PieceList(pieces[from..=at].to_vec());
                let span = segment.0.iter().map(Piece::length).sum();
                segments.push(ListSegment { chunk: self.put(&segment.encode())?, span });
                from = at + 1;
            }
        }
        Ok((Contents::List(segments), pieces))
    }

    /// Contents of metadata too long for a group.
    fn cut(&mut self, plain: &[u8]) -> Result<Contents, SinkError> {
        let mut pieces = Vec::new();
        let mut refused = None;
        let output = self.output;
        let mut take = |cut: Cut<'_>| match cut {
            Cut::Hole(length) => pieces.push(Piece::Hole(length)),
            Cut::Chunk(bytes) if refused.is_none() => {
                match output.put(bytes, ChunkKind::Metadata) {
                    Ok(chunk) => pieces.push(Piece::Chunk(chunk)),
                    Err(error) => refused = Some(error),
                }
            }
            Cut::Chunk(_) => {}
        };
        let mut cutter = BlobCutter::new(plain.len() as u64);
        let mut rest = plain;
        while !rest.is_empty() {
            let room = cutter.space();
            let count = room.len().min(rest.len());
            room[..count].copy_from_slice(&rest[..count]);
            cutter.advance(count, &mut take);
            rest = &rest[count..];
        }
        cutter.finish(&mut take);
        match refused {
            Some(error) => Err(error),
            None => self.contents_of(pieces).map(|(contents, _)| contents),
        }
    }

    /// Offers the closure of `tree`; its own chunks are not listed in it.
    pub(crate) fn finish(self, tree: ChunkId) -> Result<(ClosureEntry, ClosureHead), SinkError> {
        let (last, head) = self.closure.finish(tree);
        if let Some(segment) = last {
            self.output.put_plain(segment.into(), ChunkKind::Metadata)?;
        }
        let chunk = self.output.put_plain(Bytes::from(head.encode()), ChunkKind::Metadata)?;
        Ok((ClosureEntry::from(&chunk), head))
    }
}

/// A directory that is being put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LevelId(u64);

/// A finished directory's node.
pub(crate) struct FinishedNode {
    pub(crate) size: u64,
    pub(crate) node: BlobId,
    pub(crate) contents: Contents,
}

struct Level {
    parent: Option<(LevelId, usize)>,
    /// In the order they came; None for a file that turned out unreadable later.
    entries: Vec<Option<Entry>>,
    /// Files whose contents are not known yet.
    waiting: usize,
    left: bool,
    /// Where in `entries` the directories are, in order.
    directories: Vec<usize>,
    /// How many of them have been grouped.
    grouped: usize,
    /// Nodes that are finished before an earlier one is, by their place in `directories`.
    early: BTreeMap<usize, Vec<u8>>,
    grouper: Grouper,
    run: Vec<(usize, Vec<u8>)>,
}

/// All directories that are not finished.
pub(crate) struct Levels {
    levels: HashMap<LevelId, Level>,
    next: u64,
    root: Option<FinishedNode>,
}

impl Levels {
    pub(crate) fn new() -> Self {
        Self { levels: HashMap::new(), next: 0, root: None }
    }

    /// Opens a directory; `within` is its parent and its own entry there.
    pub(crate) fn enter(&mut self, within: Option<(LevelId, Entry)>) -> LevelId {
        let parent = within.map(|(parent, entry)| {
            let level = self.level(parent);
            level.entries.push(Some(entry));
            let place = level.directories.len();
            level.directories.push(level.entries.len() - 1);
            (parent, place)
        });
        let id = LevelId(self.next);
        self.next += 1;
        let level = Level {
            parent,
            entries: Vec::new(),
            waiting: 0,
            left: false,
            directories: Vec::new(),
            grouped: 0,
            early: BTreeMap::new(),
            grouper: Grouper::new(NODES),
            run: Vec::new(),
        };
        self.levels.insert(id, level);
        id
    }

    fn level(&mut self, id: LevelId) -> &mut Level {
        self.levels.get_mut(&id).expect("a level stays until it is finished")
    }

    /// Adds an entry that is complete.
    pub(crate) fn add(&mut self, id: LevelId, entry: Entry) {
        self.level(id).entries.push(Some(entry));
    }

    /// Adds a file whose contents will be known later; returns its place.
    pub(crate) fn add_waiting(&mut self, id: LevelId, entry: Entry) -> usize {
        let level = self.level(id);
        level.entries.push(Some(entry));
        level.waiting += 1;
        level.entries.len() - 1
    }

    /// A file that is waited for; None when it was removed.
    pub(crate) fn entry(&mut self, id: LevelId, place: usize) -> &mut Option<Entry> {
        &mut self.level(id).entries[place]
    }

    /// Says that the file at `place` is complete, or removed.
    pub(crate) fn settle(
        &mut self,
        id: LevelId,
        listing: &mut Listing<'_>,
    ) -> Result<(), SinkError> {
        self.level(id).waiting -= 1;
        self.finish_ready(id, listing)
    }

    /// Says that the walk is through with a directory.
    pub(crate) fn leave(
        &mut self,
        id: LevelId,
        listing: &mut Listing<'_>,
    ) -> Result<(), SinkError> {
        self.level(id).left = true;
        self.finish_ready(id, listing)
    }

    /// The root's node, once it is finished.
    pub(crate) fn into_root(self) -> Option<FinishedNode> {
        self.root
    }

    /// Finishes a directory if nothing keeps it, then its parent, and so on.
    fn finish_ready(
        &mut self,
        mut id: LevelId,
        listing: &mut Listing<'_>,
    ) -> Result<(), SinkError> {
        loop {
            let level = self.level(id);
            if !level.left || level.waiting > 0 || level.grouped < level.directories.len() {
                return Ok(());
            }
            let mut level = self.levels.remove(&id).expect("looked at above");
            if level.grouper.end_directory() {
                level.close_run(listing)?;
            }
            let mut entries: Vec<Entry> = level.entries.into_iter().flatten().collect();
            entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            let node = Node { entries }.encode();
            let Some((parent, place)) = level.parent else {
                self.root = Some(FinishedNode {
                    size: node.len() as u64,
                    node: BlobId::of(&node),
                    contents: if node.len() <= INLINE_BYTES_MAX {
                        Contents::Inline(node)
                    } else {
                        listing.cut(&node)?
                    },
                });
                return Ok(());
            };
            self.level(parent).take_node(place, node, listing)?;
            id = parent;
        }
    }
}

impl Level {
    /// Groups nodes in the order of their names, whatever order they are finished in.
    fn take_node(
        &mut self,
        place: usize,
        node: Vec<u8>,
        listing: &mut Listing<'_>,
    ) -> Result<(), SinkError> {
        self.early.insert(place, node);
        while let Some(node) = self.early.remove(&self.grouped) {
            let at = self.directories[self.grouped];
            self.grouped += 1;
            let id = BlobId::of(&node);
            if node.len() <= INLINE_BYTES_MAX {
                let size = node.len() as u64;
                self.set(at, size, id, Contents::Inline(node));
            } else if node.len() > NODES.member_bytes_max {
                let contents = listing.cut(&node)?;
                self.set(at, node.len() as u64, id, contents);
            } else {
                let placement = self.grouper.place(&id, node.len());
                if placement.closes_before {
                    self.close_run(listing)?;
                }
                self.run.push((at, node));
                if placement.closes_after {
                    self.close_run(listing)?;
                }
            }
        }
        Ok(())
    }

    fn close_run(&mut self, listing: &mut Listing<'_>) -> Result<(), SinkError> {
        let run = std::mem::take(&mut self.run);
        let plain: Vec<u8> = run.iter().flat_map(|(_, node)| node).copied().collect();
        let chunk = listing.put(&plain)?;
        let mut offset = 0;
        for (at, node) in run {
            let size = u32::try_from(node.len()).expect("members are small");
            self.set(at, size.into(), BlobId::of(&node), Contents::Slice { chunk, offset });
            offset += size;
        }
        Ok(())
    }

    fn set(&mut self, at: usize, size: u64, node: BlobId, contents: Contents) {
        let entry = self.entries[at].as_mut().expect("directories are not removed");
        entry.kind = Kind::Directory { size, node, contents };
    }
}
