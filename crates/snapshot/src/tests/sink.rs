//! A sink that keeps everything, and reads trees back from it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;

use bytes::Bytes;
use content::reference::PieceList;
use content::{
    BlobId, ChunkId, ChunkRef, Closure, ClosureHead, Contents, Entry, Kind, Node, Piece, TreeRoot,
};

use crate::{ChunkKind, ChunkSink, SinkError, Snapshot};

#[derive(Default)]
pub(super) struct MemorySink {
    chunks: Mutex<HashMap<ChunkId, Bytes>>,
    offered: Mutex<HashMap<ChunkId, ChunkKind>>,
}

/// An entry read back; `bytes` is a file's contents (holes of a GiB and more left out).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Restored {
    pub(super) entry: Entry,
    pub(super) bytes: Vec<u8>,
}

impl ChunkSink for MemorySink {
    fn offer(&self, reference: &ChunkRef, stored: Bytes, kind: ChunkKind) -> Result<(), SinkError> {
        assert_eq!(ChunkId::of(&stored), reference.id);
        assert_eq!(stored.len(), reference.stored_length() as usize);
        self.offered.lock().expect("sound").insert(reference.id, kind);
        self.chunks.lock().expect("sound").insert(reference.id, stored);
        Ok(())
    }
}

impl MemorySink {
    /// Forgets what was offered, not what is stored.
    pub(super) fn begin(&self) {
        self.offered.lock().expect("sound").clear();
    }

    pub(super) fn offered(&self, kind: ChunkKind) -> HashSet<ChunkId> {
        let offered = self.offered.lock().expect("sound");
        offered.iter().filter(|(_, is)| **is == kind).map(|(id, _)| *id).collect()
    }

    pub(super) fn holds(&self, needle: &[u8]) -> bool {
        let chunks = self.chunks.lock().expect("sound");
        chunks.values().any(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    }

    fn stored(&self, id: &ChunkId) -> Bytes {
        self.chunks.lock().expect("sound").get(id).expect("every chunk was offered").clone()
    }

    fn open(&self, chunk: &ChunkRef) -> Vec<u8> {
        content::seal::open(chunk, &self.stored(&chunk.id)).expect("opens")
    }

    fn bytes(&self, contents: &Contents, size: u64) -> Vec<u8> {
        let piece = |piece: &Piece| match piece {
            Piece::Hole(length) if *length >= 1 << 30 => Vec::new(),
            Piece::Hole(length) => vec![0; *length as usize],
            Piece::Chunk(chunk) => self.open(chunk),
        };
        match contents {
            Contents::Inline(bytes) => bytes.clone(),
            Contents::Slice { chunk, offset } => {
                self.open(chunk)[*offset as usize..][..size as usize].to_vec()
            }
            Contents::Pieces(pieces) => pieces.iter().flat_map(piece).collect(),
            Contents::List(segments) => {
                let lists = segments.iter().map(|segment| self.open(&segment.chunk));
                lists
                    .flat_map(|list| PieceList::decode(&list).expect("valid").0)
                    .flat_map(|listed| piece(&listed))
                    .collect()
            }
        }
    }

    pub(super) fn root(&self, shot: &Snapshot) -> TreeRoot {
        TreeRoot::decode(&self.open(&shot.tree.0)).expect("valid")
    }

    /// All entries by path, every hash checked.
    pub(super) fn restore(&self, shot: &Snapshot) -> BTreeMap<Vec<u8>, Restored> {
        let root = self.root(shot);
        assert_eq!(root.totals, shot.totals);
        let mut restored = BTreeMap::new();
        self.restore_node(b"", &root.contents, root.size, root.node, &mut restored);
        restored
    }

    fn restore_node(
        &self,
        path: &[u8],
        contents: &Contents,
        size: u64,
        id: BlobId,
        restored: &mut BTreeMap<Vec<u8>, Restored>,
    ) {
        let bytes = self.bytes(contents, size);
        assert_eq!((bytes.len() as u64, BlobId::of(&bytes)), (size, id));
        for entry in Node::decode(&bytes).expect("valid").entries {
            let path = crate::walk::join(path, entry.name.as_bytes());
            let mut bytes = Vec::new();
            match &entry.kind {
                Kind::Directory { size, node, contents } => {
                    self.restore_node(&path, contents, *size, *node, restored);
                }
                Kind::File { size, blob, contents, .. } => {
                    bytes = self.bytes(contents, *size);
                    if bytes.len() as u64 == *size {
                        assert_eq!(BlobId::of(&bytes), *blob);
                    }
                }
                Kind::Symlink { .. } => {}
            }
            restored.insert(path, Restored { entry, bytes });
        }
    }

    /// The closure lists what the tree needs: each chunk once, all there, nothing else new.
    pub(super) fn check_closure(&self, shot: &Snapshot) {
        let head = self.stored(&shot.closure.id);
        assert_eq!(head.len(), shot.closure.stored_length as usize);
        let head = ClosureHead::decode(&head).expect("plain and valid");
        assert_eq!((&head, head.tree), (&shot.closure_head, shot.tree.id()));
        let (mut listed, mut bytes) = (HashSet::new(), 0);
        let mut own = HashSet::from([shot.closure.id]);
        for segment in &head.segments {
            own.insert(segment.id);
            for entry in Closure::decode(&self.stored(&segment.id)).expect("plain and valid").0 {
                assert!(listed.insert(entry.id), "listed twice");
                assert_eq!(self.stored(&entry.id).len(), entry.stored_length as usize);
                bytes += u64::from(entry.stored_length);
            }
        }
        assert_eq!((head.chunks, head.stored_bytes), (listed.len() as u64, bytes));
        assert!(listed.contains(&shot.tree.id()));
        let mut needed = HashSet::new();
        self.needed(&self.root(shot).contents, self.root(shot).size, true, &mut needed);
        needed.insert(shot.tree.id());
        assert_eq!(listed, needed, "the closure is exactly what the tree needs");
        let metadata = self.offered(ChunkKind::Metadata);
        assert!(own.is_subset(&metadata) && own.is_disjoint(&listed));
    }

    fn needed(&self, contents: &Contents, size: u64, node: bool, needed: &mut HashSet<ChunkId>) {
        needed.extend(contents.chunks().map(|chunk| chunk.id));
        if let Contents::List(segments) = contents {
            for segment in segments {
                let list = PieceList::decode(&self.open(&segment.chunk)).expect("valid");
                needed.extend(Contents::Pieces(list.0).chunks().map(|chunk| chunk.id));
            }
        }
        if !node {
            return;
        }
        for entry in Node::decode(&self.bytes(contents, size)).expect("valid").entries {
            match &entry.kind {
                Kind::Directory { size, contents, .. } => {
                    self.needed(contents, *size, true, needed);
                }
                Kind::File { size, contents, .. } => self.needed(contents, *size, false, needed),
                Kind::Symlink { .. } => {}
            }
        }
    }
}
