//! The bytes of one file, or of a directory's node, in order and a little at a time.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;

use bytes::Bytes;
use content::reference::PieceList;
use content::{ChunkId, ChunkRef, Contents, ListSegment, Piece};
use futures_util::Stream;

use super::{BrowseError, Browser};

/// Chunks whose rights are asked for at once.
const LOOK_AHEAD: usize = 256;

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// A stretch of the file and where its bytes are.
enum Part {
    Bytes(Bytes),
    /// `length` bytes of a chunk from `offset` on.
    Chunk {
        chunk: ChunkRef,
        offset: usize,
    },
    Hole,
    /// Not looked into yet.
    List(ListSegment),
}

/// Reads a range; holds at most one list of pieces and one chunk in memory.
pub(crate) struct FileReader {
    browser: Browser,
    /// Range and origin of what is to come, in order and without gaps.
    parts: VecDeque<(Range<u64>, Part)>,
    allowed: HashSet<ChunkId>,
    at: u64,
    end: u64,
}

impl FileReader {
    /// `contents` describe `size` bytes; `range` lies within.
    pub(super) fn new(browser: Browser, contents: &Contents, size: u64, range: Range<u64>) -> Self {
        let mut parts = VecDeque::new();
        match contents {
            Contents::Inline(bytes) => {
                parts.push_back((0..size, Part::Bytes(Bytes::copy_from_slice(bytes))));
            }
            Contents::Slice { chunk, offset } => {
                let part = Part::Chunk { chunk: *chunk, offset: *offset as usize };
                parts.push_back((0..size, part));
            }
            Contents::Pieces(pieces) => parts = in_order(0, pieces.iter().map(piece_part)),
            Contents::List(segments) => {
                let lists = segments.iter().map(|segment| (segment.span, Part::List(*segment)));
                parts = in_order(0, lists);
            }
        }
        Self { browser, parts, allowed: HashSet::new(), at: range.start, end: range.end }
    }

    /// The next bytes, never none of them; `None` at the end of the range.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, BrowseError> {
        while self.at < self.end {
            let Some((range, part)) = self.parts.pop_front() else {
                return Err(BrowseError::Contradiction("contents shorter than their size"));
            };
            if range.end <= self.at {
                continue;
            }
            let (from, until) = (self.at - range.start, self.end.min(range.end) - range.start);
            let bytes = match part {
                Part::Bytes(bytes) => slice(&bytes, from, until)?,
                Part::Chunk { chunk, offset } => {
                    self.allow(chunk.id).await?;
                    let bytes = self.browser.chunk(&chunk).await?;
                    slice(&bytes, offset as u64 + from, offset as u64 + until)?
                }
                Part::Hole => {
                    let step = (until - from).min(ZEROS.len() as u64);
                    if from + step < range.end - range.start {
                        self.parts.push_front((range, Part::Hole));
                    }
                    Bytes::from_static(&ZEROS[..step as usize])
                }
                Part::List(segment) => {
                    self.expand(range, &segment).await?;
                    continue;
                }
            };
            self.at += bytes.len() as u64;
            return Ok(Some(bytes));
        }
        Ok(None)
    }

    /// Puts the pieces that a list names in its place.
    async fn expand(
        &mut self,
        range: Range<u64>,
        segment: &ListSegment,
    ) -> Result<(), BrowseError> {
        self.allow(segment.chunk.id).await?;
        let list = PieceList::decode(&self.browser.chunk(&segment.chunk).await?)?;
        let pieces = in_order(range.start, list.0.iter().map(piece_part));
        if pieces.back().map_or(range.start, |(last, _)| last.end) != range.end {
            return Err(BrowseError::Contradiction("a list of pieces of another length"));
        }
        for piece in pieces.into_iter().rev() {
            self.parts.push_front(piece);
        }
        Ok(())
    }

    /// Asks for the rights to a chunk and, while at it, to those behind it.
    async fn allow(&mut self, id: ChunkId) -> Result<(), BrowseError> {
        if !self.allowed.remove(&id) {
            let behind = self.parts.iter().filter_map(|(_, part)| match part {
                Part::Chunk { chunk, .. } => Some(chunk.id),
                Part::List(segment) => Some(segment.chunk.id),
                Part::Bytes(_) | Part::Hole => None,
            });
            let ids: Vec<ChunkId> = std::iter::once(id).chain(behind).take(LOOK_AHEAD).collect();
            self.allowed = self.browser.readable(&ids).await?;
            if !self.allowed.remove(&id) {
                return Err(BrowseError::Absent(id));
            }
        }
        Ok(())
    }

    /// The rest as a stream, for the body of a response.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Bytes, BrowseError>> + Send {
        futures_util::stream::try_unfold(self, async |mut reader| {
            Ok(reader.next().await?.map(|bytes| (bytes, reader)))
        })
    }
}

fn piece_part(piece: &Piece) -> (u64, Part) {
    let part = match piece {
        Piece::Chunk(chunk) => Part::Chunk { chunk: *chunk, offset: 0 },
        Piece::Hole(_) => Part::Hole,
    };
    (piece.length(), part)
}

/// Lays parts of these lengths end to end. What adds up to more than any file is cut there and
/// so found to contradict its size.
fn in_order(start: u64, parts: impl Iterator<Item = (u64, Part)>) -> VecDeque<(Range<u64>, Part)> {
    let mut at = start;
    parts
        .map(|(length, part)| {
            let from = at;
            at = at.saturating_add(length);
            (from..at, part)
        })
        .collect()
}

fn slice(bytes: &Bytes, from: u64, until: u64) -> Result<Bytes, BrowseError> {
    let within = usize::try_from(from).ok().zip(usize::try_from(until).ok());
    match within {
        Some((from, until)) if from <= until && until <= bytes.len() => {
            Ok(bytes.slice(from..until))
        }
        _ => Err(BrowseError::Contradiction("a stretch outside its chunk")),
    }
}
