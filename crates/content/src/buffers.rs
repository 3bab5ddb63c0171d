//! Memory for frames, used again.
//!
//! A frame is large enough for an allocator to fetch its memory from the system and to give it
//! back at once. Then every frame costs page faults and zeroing, which made up a third of what a
//! hub spent on sending 2 GiB. What is kept here between two frames is a few MiB, whatever their
//! lengths were, and no buffer takes more than twice the bytes in it.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Shorter buffers are left to the allocator, which keeps that much by itself.
const KEPT_BYTES_MIN: usize = 64 << 10;
/// Most bytes kept for later: two of the largest frames, or sixteen usual ones.
const SPARE_BYTES_MAX: usize = 8 << 20;
/// New buffers are a multiple of this, so that more of them fit the next frame.
const STEP_BYTES: usize = 64 << 10;

/// A place where buffers come from and go back to; clones are the same place.
#[derive(Debug, Clone, Default)]
pub struct Buffers(Arc<Mutex<Spare>>);

#[derive(Debug, Default)]
struct Spare {
    memory: Vec<Vec<u8>>,
    bytes: usize,
}

/// Some bytes, which go back to their [`Buffers`] when the last who has them drops them.
#[derive(Debug)]
pub struct Buffer {
    /// Initialised as far as it was ever used, which may be beyond `length`.
    memory: Vec<u8>,
    length: usize,
    home: Buffers,
}

impl Buffers {
    /// A buffer without bytes, with room for `capacity`.
    #[must_use]
    pub fn empty(&self, capacity: usize) -> Buffer {
        let memory = self.take(capacity).unwrap_or_else(|| {
            let kept = capacity >= KEPT_BYTES_MIN;
            Vec::with_capacity(if kept { capacity.next_multiple_of(STEP_BYTES) } else { capacity })
        });
        Buffer { memory, length: 0, home: self.clone() }
    }

    /// A buffer of `length` bytes that are whatever was there before: overwrite all of them.
    #[must_use]
    pub fn of_length(&self, length: usize) -> Buffer {
        let mut buffer = self.empty(length);
        if buffer.memory.len() < length {
            buffer.memory.resize(length, 0);
        }
        buffer.length = length;
        buffer
    }

    fn take(&self, capacity: usize) -> Option<Vec<u8>> {
        let mut spare = self.lock();
        let fits = |memory: &Vec<u8>| (capacity..=capacity * 2).contains(&memory.capacity());
        let index = spare.memory.iter().rposition(fits)?;
        let memory = spare.memory.swap_remove(index);
        spare.bytes -= memory.capacity();
        Some(memory)
    }

    fn give_back(&self, memory: Vec<u8>) {
        let mut spare = self.lock();
        // What has waited longest fits least of what comes now.
        while spare.bytes + memory.capacity() > SPARE_BYTES_MAX && !spare.memory.is_empty() {
            let oldest = spare.memory.remove(0);
            spare.bytes -= oldest.capacity();
        }
        if memory.capacity() <= SPARE_BYTES_MAX {
            spare.bytes += memory.capacity();
            spare.memory.push(memory);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Spare> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// Adds `bytes` at the end.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let known = (self.memory.len() - self.length).min(bytes.len());
        let (over, behind) = bytes.split_at(known);
        self.memory[self.length..self.length + known].copy_from_slice(over);
        self.memory.extend_from_slice(behind);
        self.length += bytes.len();
    }

    /// The same bytes, for many readers.
    #[must_use]
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[..self.length]
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.memory.capacity() >= KEPT_BYTES_MIN {
            self.home.give_back(std::mem::take(&mut self.memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: usize = 512 << 10;

    fn address(buffer: &[u8]) -> usize {
        buffer.as_ptr().addr()
    }

    #[test]
    fn memory_comes_back_when_the_last_reader_is_gone() {
        let buffers = Buffers::default();
        let mut first = buffers.empty(FRAME);
        first.extend_from_slice(&[7; FRAME]);
        let at = address(&first);
        let frozen = first.freeze();
        let part = frozen.slice(10..20);
        drop(frozen);
        assert_ne!(address(&buffers.of_length(FRAME)), at, "a reader still has it");
        assert_eq!(part, [7; 10][..]);
        drop(part);
        assert_eq!(address(&buffers.of_length(FRAME)), at);
    }

    #[test]
    fn a_buffer_holds_what_was_put_in_and_nothing_of_before() {
        let buffers = Buffers::default();
        buffers.of_length(FRAME).fill(9);
        let mut again = buffers.empty(FRAME);
        assert!(again.is_empty());
        again.extend_from_slice(b"first ");
        again.extend_from_slice(b"second");
        assert_eq!(&*again, b"first second");
        again.extend_from_slice(&vec![5; FRAME]);
        assert_eq!(again.len(), 12 + FRAME, "it grows beyond what was asked for");
        assert_eq!(&again.freeze()[6..14], b"second\x05\x05");
    }

    #[test]
    fn short_frames_do_not_keep_the_memory_of_long_ones() {
        let buffers = Buffers::default();
        drop(buffers.of_length(4 << 20));
        for length in [1, 100, KEPT_BYTES_MIN, FRAME] {
            let buffer = buffers.of_length(length);
            assert!(buffer.memory.capacity() <= (2 * length).max(KEPT_BYTES_MIN), "{length}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let buffers = Buffers::default();
        let many: Vec<Buffer> = (0..100).map(|n| buffers.of_length(FRAME + n * 1000)).collect();
        drop(many);
        let spare = buffers.lock();
        let sum: usize = spare.memory.iter().map(Vec::capacity).sum();
        assert!(sum == spare.bytes && sum <= SPARE_BYTES_MAX, "{sum}");
        assert!(spare.memory.len() > 4, "some are kept");
    }
}
