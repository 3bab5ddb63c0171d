//! The flat list of chunks under a tree.
//!
//! A closure tells a hub or a relay which chunks a release needs, and nothing else: it can be
//! read without any key. It is itself kept in chunks: segments of ids and stored lengths in
//! order of first use, and a head that names the segments. Segments end where content says,
//! so that a new version re-sends only the segments around its changes.

use crate::cbor::{self, DecodeError, Reader};
use crate::{ChunkId, ChunkRef};

/// A chunk as hubs know it: its id and its length as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosureEntry {
    /// Id of the chunk.
    pub id: ChunkId,
    /// Its length as stored, in bytes.
    pub stored_length: u32,
}

impl From<&ChunkRef> for ClosureEntry {
    fn from(chunk: &ChunkRef) -> Self {
        Self { id: chunk.id, stored_length: chunk.stored_length() }
    }
}

const SEGMENT_ENTRIES_MIN: usize = 64;
const SEGMENT_ENTRIES_MAX: usize = 4096;
const SEGMENT_DRAW: u16 = 512;
const SEGMENT_MAGIC: [u8; 4] = *b"CnC1";
const ENTRY_BYTES: usize = 36;

/// One segment of a closure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure(pub Vec<ClosureEntry>);

impl Closure {
    /// Encodes the segment, see `docs/format.md`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 + self.0.len() * ENTRY_BYTES);
        bytes.extend_from_slice(&SEGMENT_MAGIC);
        for entry in &self.0 {
            bytes.extend_from_slice(entry.id.as_bytes());
            bytes.extend_from_slice(&entry.stored_length.to_le_bytes());
        }
        bytes
    }

    /// Decodes a segment.
    ///
    /// # Errors
    /// Refuses a wrong magic number, a broken last entry and impossible lengths.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "closure segment";
        let Some((magic, body)) = bytes.split_first_chunk::<4>() else {
            return Err(cbor::malformed(WHAT, "too short"));
        };
        let (entries, rest) = body.as_chunks::<ENTRY_BYTES>();
        if *magic != SEGMENT_MAGIC || !rest.is_empty() || entries.len() > SEGMENT_ENTRIES_MAX {
            return Err(cbor::malformed(WHAT, "not a list of ids and lengths"));
        }
        let read = |entry: &[u8; ENTRY_BYTES]| {
            let (id, length) = entry.split_first_chunk::<32>().expect("36 bytes");
            let length = u32::from_le_bytes(length.try_into().expect("4 bytes"));
            if length == 0 || length as usize > crate::CHUNK_BYTES_MAX {
                return Err(cbor::invalid(WHAT, "an impossible length"));
            }
            Ok(ClosureEntry { id: ChunkId::from_bytes(*id), stored_length: length })
        };
        entries.iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

/// The head of a closure: names its segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosureHead {
    /// Id of the tree this is the closure of.
    pub tree: ChunkId,
    /// Chunks listed in all segments.
    pub chunks: u64,
    /// Their stored lengths added up.
    pub stored_bytes: u64,
    /// The segments, in order.
    pub segments: Vec<ClosureEntry>,
}

impl ClosureHead {
    /// Encodes the head, see `docs/format.md`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.array(5)?.u8(1)?.bytes(self.tree.as_bytes())?;
            writer.u64(self.chunks)?.u64(self.stored_bytes)?;
            writer.array(self.segments.len() as u64)?;
            self.segments.iter().try_for_each(|segment| cbor::write_chunk(segment, writer))
        })
    }

    /// Decodes a head.
    ///
    /// # Errors
    /// Refuses anything but the canonical encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            reader.array_of(5)?;
            reader.version(1)?;
            let tree = ChunkId::from_bytes(reader.array()?);
            let (chunks, stored_bytes) = (reader.u64()?, reader.u64()?);
            let count = reader.items()?;
            let mut segments = Vec::with_capacity(reader.capacity(count, 36));
            for _ in 0..count {
                reader.array_of(2)?;
                let id = ChunkId::from_bytes(reader.array()?);
                segments.push(ClosureEntry { id, stored_length: reader.u32()? });
            }
            Ok(Self { tree, chunks, stored_bytes, segments })
        };
        cbor::decode_canonical("closure head", bytes, read, Self::encode)
    }
}

/// Collects a closure in order of first use and cuts it into segments.
///
/// The caller sees to it that each chunk comes once.
#[derive(Debug, Default)]
pub struct ClosureBuilder {
    open: Vec<ClosureEntry>,
    segments: Vec<ClosureEntry>,
    chunks: u64,
    stored_bytes: u64,
}

impl ClosureBuilder {
    /// Adds one chunk; returns the bytes of a segment when one is full.
    #[must_use]
    pub fn push(&mut self, entry: ClosureEntry) -> Option<Vec<u8>> {
        self.open.push(entry);
        self.chunks += 1;
        self.stored_bytes += u64::from(entry.stored_length);
        let draw = u16::from_le_bytes([entry.id.as_bytes()[0], entry.id.as_bytes()[1]]);
        let ends = self.open.len() >= SEGMENT_ENTRIES_MIN && draw.is_multiple_of(SEGMENT_DRAW);
        (ends || self.open.len() == SEGMENT_ENTRIES_MAX).then(|| self.close())
    }

    fn close(&mut self) -> Vec<u8> {
        let bytes = Closure(std::mem::take(&mut self.open)).encode();
        self.segments.push(ClosureEntry {
            id: ChunkId::of(&bytes),
            stored_length: u32::try_from(bytes.len()).expect("segments are below 160 KiB"),
        });
        bytes
    }

    /// Ends the closure of `tree`; returns the last segment, if any, and the head.
    #[must_use]
    pub fn finish(mut self, tree: ChunkId) -> (Option<Vec<u8>>, ClosureHead) {
        let last = (!self.open.is_empty()).then(|| self.close());
        let head = ClosureHead {
            tree,
            chunks: self.chunks,
            stored_bytes: self.stored_bytes,
            segments: self.segments,
        };
        (last, head)
    }
}
