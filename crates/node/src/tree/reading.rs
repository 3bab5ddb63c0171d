//! Reading in a tree without fetching the rest.

use bytes::Bytes;
use content::bounds::{Tally, TreeBoundsError};
use content::reference::{ListSegment, PieceList};
use content::{ChunkRef, Contents, DecodeError, Entry, Kind, Node as Directory, Piece, TreeRoot};
use fetch::{Priority, Want};

use super::{FoundTree, TreeError, kind_word};

/// Most bytes of a directory's node, which is read into memory: room for ten million entries, far
/// above what a directory of any file system is used with.
const DIRECTORY_BYTES_MAX: u64 = 1 << 30;
/// Pieces asked for together, and with them the chunks in memory at a time.
const BATCH_PIECES: usize = 64;

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
        let root = TreeRoot::decode(&bytes[0])?;
        let stated = self.release.as_ref().and_then(|release| release.totals);
        if stated.is_some_and(|stated| stated != root.totals) {
            let reason = "its totals are not those of the release";
            return Err(malformed("tree root", reason.to_owned()));
        }
        Ok(root)
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

    /// Counts what a walk through this tree comes by, and refuses what is more than stated.
    ///
    /// # Errors
    /// When the root cannot be had, or states more than any tree may have.
    pub async fn tally(&self) -> Result<Tally, TreeError> {
        let root = self.root().await?;
        Tally::new(self.tree.id(), &root).map_err(|error| too_large(&error))
    }

    /// Every path in the tree with its entry, in walk order, skipping sub-trees `enter` refuses.
    ///
    /// # Errors
    /// When a directory cannot be had.
    pub async fn walk(
        &self,
        mut visit: impl FnMut(&[u8], &Entry) -> bool,
    ) -> Result<(), TreeError> {
        let mut tally = self.tally().await?;
        // Directories not entered yet, those of one directory together: paths of all of them
        // would take memory without measure.
        let mut open: Vec<(Vec<u8>, std::vec::IntoIter<Entry>)> = Vec::new();
        let mut next = Some((Vec::new(), None::<Entry>));
        while let Some((path, entry)) = next.take() {
            let directory = match &entry {
                None => self.root_directory().await?,
                Some(entry) => self.directory(entry).await?,
            };
            count(&mut tally, &path, entry.as_ref(), &directory)?;
            let mut deeper = Vec::new();
            for entry in directory.walk_order() {
                let below = join(&path, entry);
                let enter = visit(&below, entry);
                if enter && matches!(entry.kind, Kind::Directory { .. }) {
                    deeper.push(entry.clone());
                }
            }
            open.push((path, deeper.into_iter()));
            while next.is_none()
                && let Some((path, directories)) = open.last_mut()
            {
                match directories.next() {
                    Some(entry) => next = Some((join(path, &entry), Some(entry))),
                    None => drop(open.pop()),
                }
            }
        }
        Ok(())
    }
}

/// Counts a directory that was read; `entry` is its own, none for the root.
///
/// # Errors
/// When there is more than stated, or than any tree may have.
pub fn count(
    tally: &mut Tally,
    path: &[u8],
    entry: Option<&Entry>,
    directory: &Directory,
) -> Result<(), TreeError> {
    let size = match entry.map(|entry| &entry.kind) {
        Some(Kind::Directory { size, .. }) => *size,
        Some(Kind::File { .. } | Kind::Symlink { .. }) | None => 0,
    };
    tally.count(path, size, directory).map_err(|error| too_large(&error))
}

/// The path of an entry of the directory at `path`.
#[must_use]
pub fn join(path: &[u8], entry: &Entry) -> Vec<u8> {
    let name = entry.name.as_bytes();
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}

fn too_large(error: &TreeBoundsError) -> TreeError {
    malformed("tree", error.to_string())
}

fn malformed(what: &'static str, reason: String) -> TreeError {
    TreeError::Decode(DecodeError::Malformed { what, reason })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use content::{BlobId, ChunkId, Totals, TreeRef};
    use fetch::{FetchConfig, Fetcher};

    use super::*;
    use crate::state::Node;

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
        (FoundTree { tree, release: None, owner: None, fetcher, store, hub: None }, frames)
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

    /// `depth` directories, each naming the next `width` times, and a root that states `totals`.
    async fn nested(node: &Node, depth: usize, width: usize, totals: Totals) -> FoundTree {
        let (mut found, _) = found(node, &[]);
        let mut chunks = Vec::new();
        let mut keep = |bytes: Vec<u8>| {
            let chunk =
                ChunkRef::plain(ChunkId::of(&bytes), u32::try_from(bytes.len()).expect("short"));
            chunks.push((chunk.id, Bytes::from(bytes)));
            chunk
        };
        let (mut size, mut contents) = (0, Contents::Inline(Vec::new()));
        let mut entries = Vec::new();
        for level in 0..=depth {
            let bytes = Directory { entries: std::mem::take(&mut entries) }.encode();
            size = bytes.len() as u64;
            contents = Contents::Pieces(vec![Piece::Chunk(keep(bytes))]);
            let kind = Kind::Directory { size, node: BlobId::of(b"?"), contents: contents.clone() };
            let count = if level < depth { width } else { 0 };
            entries = (0..count).map(|number| directory_entry(number, kind.clone())).collect();
        }
        let root = TreeRoot { parameters: 1, size, node: BlobId::of(b"?"), contents, totals };
        found.tree = TreeRef(keep(root.encode()));
        let frames = crate::upload::frames_of(&chunks, content::frame::Codec::Zstd);
        found.store.append(frames).await.expect("stored");
        found
    }

    fn directory_entry(number: usize, kind: Kind) -> Entry {
        Entry {
            name: content::Name::new(number.to_string().as_bytes()).expect("a name"),
            mode: 0o755,
            mtime: content::Mtime { seconds: 0, nanos: 0 },
            owner: None,
            xattrs: Vec::new(),
            kind,
        }
    }

    #[tokio::test]
    async fn a_walk_ends_where_the_root_says_so() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let node = Node::open(directory.path()).expect("opens");
        let walk = async |found: &FoundTree| {
            let mut visited = 0;
            let walked = found.walk(|_, _| {
                visited += 1;
                true
            });
            (walked.await.map_err(|error| format!("{error:?}")), visited)
        };
        let stated = |directories| Totals { directories, ..Totals::default() };
        // Four levels of ten: 11,110 directories.
        let honest = nested(&node, 4, 10, stated(11_110)).await;
        assert_eq!(walk(&honest).await, (Ok(()), 11_110));
        let bomb = nested(&node, 40, 10, stated(5000)).await;
        let (refused, visited) = walk(&bomb).await;
        assert!(refused.expect_err("refused").contains("more than the 5000 directories"));
        assert!(visited < 5050, "{visited} visited");
        let bomb = nested(&node, 40, 10, stated(u64::MAX)).await;
        let (refused, visited) = walk(&bomb).await;
        assert!(refused.expect_err("refused").contains("the most any may"));
        assert_eq!(visited, 0, "its root already states too much");
        let chain = nested(&node, 3000, 1, stated(3000)).await;
        let refused = walk(&chain).await.0.expect_err("refused");
        assert!(refused.contains("directories one inside the other"), "{refused}");
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
