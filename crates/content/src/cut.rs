//! Where a file is cut into chunks, and where its holes are.
//!
//! Cut points come from FastCDC (Xia et al., "The Design of Fast Content-Defined Chunking for
//! Data Deduplication Based Storage Systems", 2020; the `fastcdc` crate's `v2020` module with
//! its default gear table) and so depend on content alone. The size class depends on the size
//! of the file alone, so the same file is cut the same way everywhere.

use fastcdc::v2020::{MASKS, cut};

use crate::BlobId;

/// The number of the parameter set below; recorded in every tree root and manifest.
pub const PARAMETERS: u64 = 1;

/// How chunks of one class are cut, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeClass {
    /// Files up to this size belong to the class.
    pub file_bytes_max: u64,
    /// No chunk but the last of a stretch is shorter.
    pub chunk_bytes_min: usize,
    /// What FastCDC aims at.
    pub chunk_bytes_average: usize,
    /// No chunk is longer.
    pub chunk_bytes_max: usize,
}

const KIB: usize = 1024;

/// The classes of parameter set 1, by file size.
///
/// Measured on two versions of a toolchain tree: an average of 32 KiB re-sends a quarter of what
/// 128 KiB does; very large files would drown in references at that size.
pub const CLASSES: [SizeClass; 3] = [
    SizeClass {
        file_bytes_max: 32 << 20,
        chunk_bytes_min: 8 * KIB,
        chunk_bytes_average: 32 * KIB,
        chunk_bytes_max: 128 * KIB,
    },
    SizeClass {
        file_bytes_max: 1 << 30,
        chunk_bytes_min: 32 * KIB,
        chunk_bytes_average: 128 * KIB,
        chunk_bytes_max: 512 * KIB,
    },
    SizeClass {
        file_bytes_max: u64::MAX,
        chunk_bytes_min: 128 * KIB,
        chunk_bytes_average: 512 * KIB,
        chunk_bytes_max: 2048 * KIB,
    },
];

/// Holes begin and end at multiples of this, in bytes; what is shorter stays data.
///
/// A run of zeros that fills at least one such block is a hole, whether or not the file system
/// stores it as one: the same bytes give the same tree on every file system.
pub const HOLE_BLOCK_BYTES: usize = 32 * KIB;

/// The class a file of `size` bytes belongs to.
#[must_use]
pub fn class_of(size: u64) -> SizeClass {
    *CLASSES.iter().find(|class| size <= class.file_bytes_max).expect("the last class is unbounded")
}

impl SizeClass {
    /// Length of the first chunk of `bytes`, which must be longer than the largest chunk or
    /// reach to the end of the stretch.
    fn first_cut(&self, bytes: &[u8]) -> usize {
        let bits = self.chunk_bytes_average.ilog2() as usize;
        // Normalised chunking, level 1: one bit stricter before the average, one looser behind.
        let (strict, loose) = (MASKS[bits + 1], MASKS[bits - 1]);
        let (_, length) = cut(
            bytes,
            self.chunk_bytes_min,
            self.chunk_bytes_average,
            self.chunk_bytes_max,
            strict,
            loose,
            strict << 1,
            loose << 1,
        );
        length
    }
}

/// One stretch of a file, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut<'a> {
    /// The bytes of one chunk.
    Chunk(&'a [u8]),
    /// This many zero bytes.
    Hole(u64),
}

/// Cuts one file as its bytes arrive.
///
/// Fill [`space`](Self::space), say how much with [`advance`](Self::advance), say known zeros
/// with [`advance_hole`](Self::advance_hole), and [`finish`](Self::finish).
pub struct BlobCutter {
    class: SizeClass,
    /// Bytes not yet handed out, `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset in the file of `buffer[start]`.
    position: u64,
    /// Whole blocks up to this index of `buffer` are known to hold data.
    scanned: usize,
    /// Length of the hole being counted; data follows only after it is handed out.
    hole: u64,
    hasher: blake3::Hasher,
}

/// How much [`BlobCutter::space`] offers at least, in bytes.
pub const READ_BYTES: usize = 1 << 20;

static ZEROS: [u8; HOLE_BLOCK_BYTES] = [0; HOLE_BLOCK_BYTES];

impl BlobCutter {
    /// Prepares to cut a file of `size` bytes.
    #[must_use]
    pub fn new(size: u64) -> Self {
        let class = class_of(size);
        // Small files need no more room than they fill, and a spare byte to notice growth.
        let wanted = class.chunk_bytes_max + READ_BYTES;
        let room = usize::try_from(size).unwrap_or(wanted).saturating_add(1).min(wanted);
        Self {
            class,
            buffer: vec![0; room],
            start: 0,
            end: 0,
            position: 0,
            scanned: 0,
            hole: 0,
            hasher: blake3::Hasher::new(),
        }
    }

    /// Room for the next bytes of the file; never empty.
    pub fn space(&mut self) -> &mut [u8] {
        if self.buffer.len() - self.end < READ_BYTES.min(self.buffer.len() / 2)
            || self.end == self.buffer.len()
        {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.scanned -= self.start;
            self.start = 0;
            if self.end == self.buffer.len() {
                self.buffer.resize(self.class.chunk_bytes_max + READ_BYTES + HOLE_BLOCK_BYTES, 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    /// Takes the first `count` bytes of [`space`](Self::space) as the next bytes of the file.
    pub fn advance(&mut self, count: usize, sink: &mut impl FnMut(Cut<'_>)) {
        self.hasher.update(&self.buffer[self.end..self.end + count]);
        self.end += count;
        self.cut_ready(false, sink);
    }

    /// Takes `count` zero bytes as the next bytes of the file without having read them.
    pub fn advance_hole(&mut self, mut count: u64, sink: &mut impl FnMut(Cut<'_>)) {
        while count > 0 {
            let past = (self.position + (self.end - self.start) as u64) % HOLE_BLOCK_BYTES as u64;
            if past == 0 && count >= HOLE_BLOCK_BYTES as u64 {
                // The last partial block is the file's end or more data: only whole blocks skip.
                self.cut_data(self.end, true, sink);
                let whole = count - count % HOLE_BLOCK_BYTES as u64;
                for _ in 0..whole / HOLE_BLOCK_BYTES as u64 {
                    self.hasher.update(&ZEROS);
                }
                self.hole += whole;
                self.position += whole;
                count -= whole;
            } else {
                let step = (HOLE_BLOCK_BYTES as u64 - past).min(count) as usize;
                let room = self.space();
                let step = step.min(room.len());
                room[..step].fill(0);
                self.advance(step, sink);
                count -= step as u64;
            }
        }
    }

    /// Hands out what is left; returns the blob's id and its length in bytes.
    pub fn finish(mut self, sink: &mut impl FnMut(Cut<'_>)) -> (BlobId, u64) {
        self.cut_ready(true, sink);
        self.end_hole(sink);
        (BlobId::from_bytes(*self.hasher.finalize().as_bytes()), self.position)
    }

    /// Cuts all that can be cut without knowing what comes next.
    fn cut_ready(&mut self, at_end: bool, sink: &mut impl FnMut(Cut<'_>)) {
        loop {
            match self.next_zero_block() {
                Some(zero_from) => {
                    self.cut_data(zero_from, true, sink);
                    self.hole += HOLE_BLOCK_BYTES as u64;
                    self.position += HOLE_BLOCK_BYTES as u64;
                    self.start += HOLE_BLOCK_BYTES;
                    self.scanned = self.start;
                }
                None if at_end => return self.cut_data(self.end, true, sink),
                None => return self.cut_data(self.scanned, false, sink),
            }
        }
    }

    /// Finds the next whole block of zeros, counting in blocks from the start of the file.
    fn next_zero_block(&mut self) -> Option<usize> {
        loop {
            let offset = self.position + (self.scanned - self.start) as u64;
            let past = (offset % HOLE_BLOCK_BYTES as u64) as usize;
            debug_assert_eq!(past, 0, "scanning goes in whole blocks");
            let block = self.buffer.get(self.scanned..self.scanned + HOLE_BLOCK_BYTES)?;
            if self.scanned + HOLE_BLOCK_BYTES > self.end {
                return None;
            }
            if block[0] == 0 && block == ZEROS {
                return Some(self.scanned);
            }
            self.scanned += HOLE_BLOCK_BYTES;
        }
    }

    /// Cuts `buffer[start..until]`; `closed` when a hole or the end of the file follows.
    fn cut_data(&mut self, until: usize, closed: bool, sink: &mut impl FnMut(Cut<'_>)) {
        let reach = if closed { 1 } else { self.class.chunk_bytes_max };
        while until - self.start >= reach {
            self.end_hole(sink);
            let length = self.class.first_cut(&self.buffer[self.start..until]);
            sink(Cut::Chunk(&self.buffer[self.start..self.start + length]));
            self.start += length;
            self.position += length as u64;
        }
        self.scanned = self.scanned.max(self.start);
        if closed {
            self.scanned = self.start;
        }
    }

    fn end_hole(&mut self, sink: &mut impl FnMut(Cut<'_>)) {
        if self.hole > 0 {
            sink(Cut::Hole(std::mem::take(&mut self.hole)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChunkId;

    /// Cuts `file` in reads of at most `step` bytes; holes come back as their length.
    fn cut_all(file: &[u8], step: usize) -> (Vec<Result<ChunkId, u64>>, Vec<u8>, BlobId) {
        let (mut cuts, mut joined) = (Vec::new(), Vec::new());
        let mut sink = |cut: Cut<'_>| match cut {
            Cut::Chunk(bytes) => {
                cuts.push(Ok(ChunkId::of(bytes)));
                joined.extend_from_slice(bytes);
            }
            Cut::Hole(length) => {
                cuts.push(Err(length));
                joined.resize(joined.len() + length as usize, 0);
            }
        };
        let mut cutter = BlobCutter::new(file.len() as u64);
        let mut rest = file;
        while !rest.is_empty() {
            let room = cutter.space();
            let count = room.len().min(rest.len()).min(step);
            room[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            cutter.advance(count, &mut sink);
        }
        let (blob, length) = cutter.finish(&mut sink);
        assert_eq!(length, file.len() as u64);
        (cuts, joined, blob)
    }

    fn noise(length: usize, seed: u8) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new_keyed(&[seed; 32]).finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn cuts_do_not_depend_on_the_size_of_reads() {
        let mut file = noise(3_000_000, 1);
        file[500_000..900_000].fill(0);
        file[1_000_000..1_040_000].fill(0);
        let whole = cut_all(&file, usize::MAX);
        assert_eq!(whole.1, file);
        assert_eq!(whole.2, BlobId::of(&file));
        for step in [1_000, 4_096, 65_537] {
            assert_eq!(cut_all(&file, step), whole);
        }
        assert!(whole.0.iter().any(|cut| *cut == Err(11 * HOLE_BLOCK_BYTES as u64)));
    }

    #[test]
    fn a_known_hole_and_zeros_that_were_read_cut_alike() {
        for (hole_at, hole, size) in
            [(0, 1 << 20, 1 << 20), (70_000, 400_000, 800_000), (100_000, 32_768, 150_000)]
        {
            let mut file = noise(size, 2);
            file[hole_at..hole_at + hole].fill(0);
            let expected = cut_all(&file, usize::MAX);
            let mut cuts = Vec::new();
            let mut sink = |cut: Cut<'_>| match cut {
                Cut::Chunk(bytes) => cuts.push(Ok(ChunkId::of(bytes))),
                Cut::Hole(length) => cuts.push(Err(length)),
            };
            let mut cutter = BlobCutter::new(size as u64);
            for part in [&file[..hole_at], &[], &file[hole_at + hole..]] {
                if part.is_empty() && hole_at > 0 || part.is_empty() && hole == size {
                    cutter.advance_hole(hole as u64, &mut sink);
                    if hole == size {
                        break;
                    }
                }
                let mut rest = part;
                while !rest.is_empty() {
                    let room = cutter.space();
                    let count = room.len().min(rest.len());
                    room[..count].copy_from_slice(&rest[..count]);
                    rest = &rest[count..];
                    cutter.advance(count, &mut sink);
                }
            }
            let (blob, _) = cutter.finish(&mut sink);
            assert_eq!((cuts, blob), (expected.0, expected.2), "hole at {hole_at}");
        }
    }

    #[test]
    fn an_insertion_changes_only_the_chunks_around_it() {
        let before = noise(4_000_000, 3);
        let mut after = before.clone();
        after.splice(2_000_000..2_000_000, *b"inserted");
        let (before, after) = (cut_all(&before, usize::MAX).0, cut_all(&after, usize::MAX).0);
        let fresh = after.iter().filter(|cut| !before.contains(cut)).count();
        assert!((1..=3).contains(&fresh), "{fresh} of {} chunks are new", after.len());
    }

    /// The chunk ids of known bytes never change: a change here is a new parameter set.
    #[test]
    fn the_cut_points_of_parameter_set_1_are_fixed() {
        let mut summary = blake3::Hasher::new();
        for size in [0, 1, 40_000, 1_000_000, 34_000_000] {
            for cut in cut_all(&noise(size, 4), usize::MAX).0 {
                summary.update(cut.expect("noise has no holes").as_bytes());
            }
        }
        assert_eq!(
            summary.finalize().to_hex().as_str(),
            "5f43d60a01bac00aaf2da40832eae9c27074c8295c83713d640293f234aac3b5"
        );
    }
}
