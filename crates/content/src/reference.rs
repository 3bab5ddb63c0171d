//! How one thing names another.
//!
//! A plain reference is an id and a length. A sealed reference also carries the key:
//! holding it is the right to read what hangs under it.

use crate::cbor::{Encoded, Reader, Writer};
use crate::{CHUNK_BYTES_MAX, ChunkId, DecodeError};

/// The largest contents kept inside a node instead of in a chunk, in bytes.
pub const INLINE_BYTES_MAX: usize = 512;

/// How many pieces a file may have before they move into chunks of their own.
///
/// 64 sealed pieces are about 5 KiB of node: past that one big file would dominate its
/// directory's node and be re-sent with every change of a neighbour.
pub const DIRECT_PIECES_MAX: usize = 64;

/// What it takes to open a sealed chunk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sealing {
    /// The chunk's AES-256-GCM key.
    pub key: [u8; 32],
    /// Length of the ciphertext in bytes, which is what hubs see and count.
    pub stored_length: u32,
}

impl std::fmt::Debug for Sealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealing({} bytes stored)", self.stored_length)
    }
}

/// Names one chunk, and opens it when it is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRef {
    /// Hash of the chunk's bytes as stored (ciphertext if sealed).
    pub id: ChunkId,
    /// Length of the plain bytes.
    pub length: u32,
    /// Present exactly when the chunk is sealed.
    pub sealing: Option<Sealing>,
}

impl ChunkRef {
    /// Names a plain chunk.
    #[must_use]
    pub const fn plain(id: ChunkId, length: u32) -> Self {
        Self { id, length, sealing: None }
    }

    /// Length of the chunk's bytes as stored and sent.
    #[must_use]
    pub fn stored_length(&self) -> u32 {
        self.sealing.map_or(self.length, |sealing| sealing.stored_length)
    }

    pub(crate) fn write(&self, writer: &mut Writer) -> Encoded {
        writer.array(if self.sealing.is_some() { 4 } else { 2 })?;
        self.write_fields(writer)
    }

    fn field_count(&self) -> u64 {
        if self.sealing.is_some() { 4 } else { 2 }
    }

    fn write_fields(&self, writer: &mut Writer) -> Encoded {
        writer.bytes(self.id.as_bytes())?.u32(self.length)?;
        if let Some(sealing) = &self.sealing {
            writer.bytes(&sealing.key)?.u32(sealing.stored_length)?;
        }
        Ok(())
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let fields = reader.items()?;
        Self::read_fields(reader, fields)
    }

    fn read_fields(reader: &mut Reader<'_>, fields: u64) -> Result<Self, DecodeError> {
        let id = ChunkId::from_bytes(reader.array()?);
        let length = reader.u32()?;
        let sealing = match fields {
            2 => None,
            4 => Some(Sealing { key: reader.array()?, stored_length: reader.u32()? }),
            _ => return Err(reader.invalid("a reference has 2 fields, or 4 when sealed")),
        };
        let reference = Self { id, length, sealing };
        if length == 0 || length as usize > CHUNK_BYTES_MAX {
            return Err(reader.invalid(format!("a chunk of {length} bytes")));
        }
        if reference.stored_length() == 0 || reference.stored_length() as usize > CHUNK_BYTES_MAX {
            return Err(reader.invalid("a sealed chunk of impossible length"));
        }
        Ok(reference)
    }
}

/// A stretch of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// All of one chunk.
    Chunk(ChunkRef),
    /// This many zero bytes that need no storage.
    Hole(u64),
}

impl Piece {
    /// Length in plain bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Chunk(chunk) => u64::from(chunk.length),
            Self::Hole(length) => *length,
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) -> Encoded {
        match self {
            Self::Chunk(chunk) => chunk.write(writer),
            Self::Hole(length) => {
                writer.i64(-i64::try_from(*length).expect("file lengths fit i64"))?;
                Ok(())
            }
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.next_is_array() {
            Ok(Self::Chunk(ChunkRef::read(reader)?))
        } else {
            let length = reader.i64()?;
            if length >= 0 {
                return Err(reader.invalid("a hole must be negative"));
            }
            if length == i64::MIN {
                return Err(reader.invalid("a hole longer than any file"));
            }
            Ok(Self::Hole(length.unsigned_abs()))
        }
    }
}

/// A chunk that holds a list of pieces, and the bytes of the file those pieces span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListSegment {
    /// The chunk with the [`PieceList`].
    pub chunk: ChunkRef,
    /// Plain bytes of the file under it.
    pub span: u64,
}

/// Where the bytes of a file or of a directory's node are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// The bytes themselves, at most [`INLINE_BYTES_MAX`].
    Inline(Vec<u8>),
    /// A stretch of a chunk shared with small neighbours.
    Slice {
        /// The shared chunk.
        chunk: ChunkRef,
        /// Where in the chunk's plain bytes the contents begin.
        offset: u32,
    },
    /// Up to [`DIRECT_PIECES_MAX`] pieces, in order.
    Pieces(Vec<Piece>),
    /// Chunks that list the pieces, for large files.
    List(Vec<ListSegment>),
}

impl Contents {
    /// Writes the contents; `previous` is the slice chunk of the entry before, which need not
    /// be repeated.
    pub(crate) fn write(&self, previous: &mut Option<ChunkRef>, writer: &mut Writer) -> Encoded {
        match self {
            Self::Inline(bytes) => {
                writer.bytes(bytes)?;
            }
            Self::Slice { chunk, offset } => {
                let repeat = *previous == Some(*chunk);
                writer.array(if repeat { 2 } else { 2 + chunk.field_count() })?.u8(0)?;
                writer.u32(*offset)?;
                if !repeat {
                    chunk.write_fields(writer)?;
                    *previous = Some(*chunk);
                }
            }
            Self::Pieces(pieces) => {
                writer.array(1 + pieces.len() as u64)?.u8(1)?;
                for piece in pieces {
                    piece.write(writer)?;
                }
            }
            Self::List(segments) => {
                writer.array(1 + segments.len() as u64)?.u8(2)?;
                for segment in segments {
                    writer.array(2)?.u64(segment.span)?;
                    segment.chunk.write(writer)?;
                }
            }
        }
        Ok(())
    }

    /// Reads contents that must describe exactly `size` bytes.
    pub(crate) fn read(
        reader: &mut Reader<'_>,
        size: u64,
        previous: &mut Option<ChunkRef>,
    ) -> Result<Self, DecodeError> {
        let contents = if reader.next_is_bytes() {
            Self::Inline(reader.bytes()?.to_vec())
        } else {
            let fields = reader.items()?;
            match reader.u64()? {
                0 => {
                    let offset = reader.u32()?;
                    let chunk = match fields {
                        2 => (*previous)
                            .ok_or_else(|| reader.invalid("a slice repeats no earlier chunk"))?,
                        _ => ChunkRef::read_fields(reader, fields.saturating_sub(2))?,
                    };
                    *previous = Some(chunk);
                    Self::Slice { chunk, offset }
                }
                1 => {
                    let count = fields.saturating_sub(1);
                    if count as usize > DIRECT_PIECES_MAX {
                        return Err(reader.invalid("too many direct pieces"));
                    }
                    let mut pieces = Vec::with_capacity(reader.capacity(count, 2));
                    for _ in 0..count {
                        pieces.push(Piece::read(reader)?);
                    }
                    Self::Pieces(pieces)
                }
                2 => {
                    let count = fields.saturating_sub(1);
                    let mut segments = Vec::with_capacity(reader.capacity(count, 36));
                    for _ in 0..count {
                        reader.array_of(2)?;
                        let span = reader.u64()?;
                        segments.push(ListSegment { chunk: ChunkRef::read(reader)?, span });
                    }
                    Self::List(segments)
                }
                other => return Err(reader.invalid(format!("contents of kind {other}"))),
            }
        };
        contents.check(size).map_err(|reason| reader.invalid(reason))?;
        Ok(contents)
    }

    fn check(&self, size: u64) -> Result<(), String> {
        let described = match self {
            Self::Inline(bytes) if bytes.len() > INLINE_BYTES_MAX => {
                return Err(format!("{} bytes inline", bytes.len()));
            }
            Self::Inline(bytes) => Some(bytes.len() as u64),
            Self::Slice { chunk, offset } => {
                let end = u64::from(*offset).checked_add(size);
                if end.is_none_or(|end| end > u64::from(chunk.length)) {
                    return Err("a slice reaches past its chunk".into());
                }
                Some(size)
            }
            Self::Pieces(pieces) => total(pieces.iter().map(Piece::length)),
            Self::List(segments) => total(segments.iter().map(|segment| segment.span)),
        };
        match described {
            Some(described) if described == size => Ok(()),
            Some(described) => Err(format!("contents of {described} bytes for a size of {size}")),
            None => Err("contents longer than any file".into()),
        }
    }

    /// The chunks named directly, in order: for a list those that hold the list.
    pub fn chunks(&self) -> impl Iterator<Item = &ChunkRef> {
        let (one, pieces, segments): (Option<&ChunkRef>, &[Piece], &[ListSegment]) = match self {
            Self::Inline(_) => (None, &[], &[]),
            Self::Slice { chunk, .. } => (Some(chunk), &[], &[]),
            Self::Pieces(pieces) => (None, pieces, &[]),
            Self::List(segments) => (None, &[], segments),
        };
        one.into_iter()
            .chain(pieces.iter().filter_map(|piece| match piece {
                Piece::Chunk(chunk) => Some(chunk),
                Piece::Hole(_) => None,
            }))
            .chain(segments.iter().map(|segment| &segment.chunk))
    }

    /// Whether the id of the single plain chunk is at the same time the id of the blob.
    #[must_use]
    pub fn single_plain_chunk(&self) -> Option<ChunkId> {
        match self {
            Self::Pieces(pieces) => match pieces.as_slice() {
                [Piece::Chunk(ChunkRef { id, sealing: None, .. })] => Some(*id),
                _ => None,
            },
            Self::Inline(_) | Self::Slice { .. } | Self::List(_) => None,
        }
    }
}

fn total(mut lengths: impl Iterator<Item = u64>) -> Option<u64> {
    lengths.try_fold(0u64, u64::checked_add).filter(|total| *total <= i64::MAX as u64)
}

/// The pieces listed in one [`ListSegment`]'s chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceList(pub Vec<Piece>);

impl PieceList {
    /// Most pieces in one list chunk; sealed pieces of 76 bytes keep it under 160 KiB.
    pub const PIECES_MAX: usize = 2048;
    const PIECES_MIN: usize = 128;
    const WHAT: &'static str = "piece list";

    /// Whether a list segment ends behind `piece`, its `count`-th: content decides, so that an
    /// insertion changes only the segment it falls into.
    #[must_use]
    pub fn ends_after(piece: &Piece, count: usize) -> bool {
        if count >= Self::PIECES_MAX {
            return true;
        }
        match piece {
            Piece::Chunk(chunk) => {
                let word = u16::from_le_bytes([chunk.id.as_bytes()[0], chunk.id.as_bytes()[1]]);
                count >= Self::PIECES_MIN && word % 512 == 0
            }
            Piece::Hole(_) => false,
        }
    }

    /// Encodes the list, see `docs/format.md`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        crate::cbor::encode(|writer| {
            writer.array(2)?.u8(1)?.array(self.0.len() as u64)?;
            self.0.iter().try_for_each(|piece| piece.write(writer))
        })
    }

    /// Decodes a list.
    ///
    /// # Errors
    /// Refuses anything but the canonical encoding of at most [`Self::PIECES_MAX`] pieces.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            reader.array_of(2)?;
            reader.version(1)?;
            let count = reader.items()?;
            if count as usize > Self::PIECES_MAX {
                return Err(reader.invalid("too many pieces"));
            }
            let mut pieces = Vec::with_capacity(reader.capacity(count, 2));
            for _ in 0..count {
                pieces.push(Piece::read(reader)?);
            }
            Ok(Self(pieces))
        };
        crate::cbor::decode_canonical(Self::WHAT, bytes, read, Self::encode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_of_any_size_is_compared_with_its_chunk_without_wrapping() {
        let chunk = ChunkRef::plain(ChunkId::of(b"shared"), 6);
        let check = |offset, size| Contents::Slice { chunk, offset }.check(size);
        assert_eq!((check(0, 6), check(5, 1), check(6, 0)), (Ok(()), Ok(()), Ok(())));
        for (offset, size) in [(0, 7), (6, 1), (1, u64::MAX), (0, u64::MAX), (7, u64::MAX - 6)] {
            assert!(check(offset, size).is_err(), "{size} bytes at {offset}");
        }
        let spans = |spans: &[u64]| {
            let segments = spans.iter().map(|span| ListSegment { chunk, span: *span });
            Contents::List(segments.collect()).check(1)
        };
        assert!(spans(&[u64::MAX, 2]).is_err() && spans(&[1]).is_ok());
    }
}
