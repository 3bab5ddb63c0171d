//! The plain bytes of a segment, where they are sealed and opened without being moved.

use std::ops::{Deref, DerefMut};

use crate::SEGMENT_BYTES;
use crate::vault::{CIPHER_TAG_BYTES, ROOM_BYTES};

/// The plain bytes of a segment, with room around them for what sealing adds.
#[derive(Debug, Clone)]
pub struct PlainSegment {
    /// The plain bytes, behind something else.
    pub(crate) bytes: Vec<u8>,
    /// Where they begin.
    pub(crate) front: usize,
}

impl PlainSegment {
    /// So many zeros, to be written over.
    ///
    /// # Panics
    /// If they are more than [`SEGMENT_BYTES`].
    #[must_use]
    pub fn zeroed(length: usize) -> Self {
        let mut bytes = room(length);
        bytes.resize(ROOM_BYTES + length, 0);
        Self { bytes, front: ROOM_BYTES }
    }

    /// The bytes behind [`ROOM_BYTES`] for what stands before the ciphertext.
    pub(crate) fn with_room(self) -> Vec<u8> {
        if self.front == ROOM_BYTES { self.bytes } else { Self::from(&*self).bytes }
    }
}

/// [`ROOM_BYTES`], and memory for a segment and the cipher's tag behind them.
fn room(length: usize) -> Vec<u8> {
    assert!(length <= SEGMENT_BYTES, "segments are cut at the limit");
    let mut bytes = Vec::with_capacity(ROOM_BYTES + length + CIPHER_TAG_BYTES);
    bytes.resize(ROOM_BYTES, 0);
    bytes
}

impl From<&[u8]> for PlainSegment {
    /// # Panics
    /// If they are more than [`SEGMENT_BYTES`].
    fn from(plain: &[u8]) -> Self {
        let mut bytes = room(plain.len());
        bytes.extend_from_slice(plain);
        Self { bytes, front: ROOM_BYTES }
    }
}

impl Deref for PlainSegment {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.front..]
    }
}

impl DerefMut for PlainSegment {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.front..]
    }
}

impl PartialEq for PlainSegment {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for PlainSegment {}
