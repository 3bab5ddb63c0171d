//! Chunks made from a seed.

use std::collections::BTreeMap;

use bytes::Bytes;
use content::frame::{Codec, FrameCodec};
use content::{ChunkId, Frame, FrameEntry};
use fetch::{Priority, Want};
use random::Random;

/// `length` bytes that do not compress, the same for the same seed.
#[must_use]
pub fn noise(seed: u64, length: usize) -> Bytes {
    Random::new(seed).bytes(length).into()
}

/// `length` bytes of text that compresses well, the same for the same seed.
#[must_use]
pub fn words(seed: u64, length: usize) -> Bytes {
    const WORDS: [&str; 8] =
        ["chunk ", "source ", "release ", "hub ", "node ", "tree ", "a ", "of "];
    let mut text = String::with_capacity(length + 8);
    for byte in noise(seed, length.div_ceil(2)) {
        text.push_str(WORDS[usize::from(byte % 8)]);
    }
    text.truncate(length);
    text.into_bytes().into()
}

/// A frame that claims to hold these chunks, whether or not the bytes fit the ids.
///
/// # Panics
/// Beyond the limits of a frame.
#[must_use]
pub fn frame_of(chunks: &[(ChunkId, Bytes)]) -> Frame {
    let entry = |(id, bytes): &(ChunkId, Bytes)| FrameEntry {
        id: *id,
        length: u32::try_from(bytes.len()).expect("test chunks are small"),
    };
    let plain: Vec<u8> = chunks.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    FrameCodec::default().encode(chunks.iter().map(entry).collect(), plain.into(), Codec::None)
}

/// Chunks in the order they were made.
#[derive(Debug, Clone, Default)]
pub struct Library {
    order: Vec<ChunkId>,
    chunks: BTreeMap<ChunkId, Bytes>,
}

impl Library {
    /// `count` chunks of `length` bytes, give or take a half.
    #[must_use]
    pub fn new(seed: u64, count: usize, length: usize) -> Self {
        let mut library = Self::default();
        for number in 0..count as u64 {
            let own = seed.wrapping_mul(1_000_003).wrapping_add(number);
            let vary = usize::from(noise(own, 1)[0]) * length / 256;
            library.push(noise(own, length / 2 + vary));
        }
        library
    }

    /// Adds a chunk.
    pub fn push(&mut self, bytes: Bytes) -> ChunkId {
        let id = ChunkId::of(&bytes);
        if self.chunks.insert(id, bytes).is_none() {
            self.order.push(id);
        }
        id
    }

    /// The bytes of a chunk.
    #[must_use]
    pub fn chunk(&self, id: &ChunkId) -> Option<&Bytes> {
        self.chunks.get(id)
    }

    /// All ids, in order.
    #[must_use]
    pub fn ids(&self) -> &[ChunkId] {
        &self.order
    }

    /// Wants for all chunks, in order.
    #[must_use]
    pub fn wants(&self) -> Vec<Want> {
        let want = |id: &ChunkId| Want {
            id: *id,
            length: u32::try_from(self.chunks[id].len()).expect("test chunks are small"),
            priority: Priority::Ordered,
        };
        self.order.iter().map(want).collect()
    }

    /// Bytes of all chunks together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.chunks.values().map(|bytes| bytes.len() as u64).sum()
    }
}
