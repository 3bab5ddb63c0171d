//! Chunks that are stored or sent together, and compressed together.
//!
//! Deduplication wants small units, compression large ones. So a chunk keeps its own identity
//! and travels in a frame with its neighbours: the same bytes on the wire and in a pack.
//!
//! ```text
//! offset  bytes  field
//!      0      4  magic "CnF1"
//!      4      1  codec: 0 none, 1 zstd
//!      5      1  zero
//!      6      2  count of chunks, 1 to 4,096         (integers are little-endian)
//!      8      4  length of the chunks together, at most 4 MiB
//!     12      4  length of the payload, never more than the field before
//!     16     32  BLAKE3 of everything else: header without this field, entries, payload
//!     48   36 n  entries: chunk id (32), length (4)
//!   48+36n       payload: the chunks one after another, compressed or not
//! ```

use bytes::Bytes;

use crate::cbor::{invalid, malformed};
use crate::{Buffers, CHUNK_BYTES_MAX, ChunkId, DecodeError};

/// Length of the fixed part of a frame, in bytes.
pub const HEADER_BYTES: usize = 48;
/// Length of one entry, in bytes.
pub const ENTRY_BYTES: usize = 36;
/// Most chunks in a frame.
pub const CHUNKS_MAX: usize = 4096;
/// Most plain bytes in a frame: two of the largest chunks.
pub const PLAIN_BYTES_MAX: usize = 4 << 20;
/// Where a frame is full, in plain bytes.
///
/// Per-chunk zstd-3 of a toolchain tree at 32 KiB gave 349 MB, frames of this size 300 MB; twice
/// the size gained under 2 % and doubled what a reader of one chunk must decompress.
pub const PLAIN_BYTES_TARGET: usize = 512 * 1024;

const MAGIC: [u8; 4] = *b"CnF1";
const WHAT: &str = "frame";
const LEVEL: i32 = 3;

/// How a payload is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// The chunks as they are.
    None,
    /// One zstd frame around all of them.
    Zstd,
}

/// A chunk in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameEntry {
    /// Id of the chunk.
    pub id: ChunkId,
    /// Length of its bytes.
    pub length: u32,
}

/// The fixed part of a frame, checked for plausible lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    codec: Codec,
    count: u16,
    plain_length: u32,
    payload_length: u32,
    check: [u8; 32],
}

impl FrameHeader {
    /// Reads the fixed part.
    ///
    /// # Errors
    /// Refuses a wrong magic number, an unknown codec and lengths beyond the limits, so that
    /// what follows can be read into memory.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, DecodeError> {
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        if bytes[..4] != MAGIC || bytes[5] != 0 {
            return Err(malformed(WHAT, "no frame begins here"));
        }
        let codec = match bytes[4] {
            0 => Codec::None,
            1 => Codec::Zstd,
            other => return Err(invalid(WHAT, format!("codec {other}"))),
        };
        let header = Self {
            codec,
            count: u16::from_le_bytes([bytes[6], bytes[7]]),
            plain_length: word(8),
            payload_length: word(12),
            check: *bytes[16..].first_chunk().expect("48 bytes"),
        };
        let (plain, payload) = (header.plain_length as usize, header.payload_length as usize);
        let whole =
            codec == Codec::Zstd && payload < plain || codec == Codec::None && payload == plain;
        let count = usize::from(header.count);
        if count == 0 || count > CHUNKS_MAX || plain > PLAIN_BYTES_MAX || !whole || plain < count {
            return Err(invalid(WHAT, "lengths beyond the limits"));
        }
        Ok(header)
    }

    /// Bytes that follow the fixed part: entries and payload.
    #[must_use]
    pub fn body_length(&self) -> usize {
        self.entries_length() + self.payload_length as usize
    }

    /// Bytes of the entries.
    #[must_use]
    pub fn entries_length(&self) -> usize {
        usize::from(self.count) * ENTRY_BYTES
    }

    fn encode_unchecked(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = u8::from(self.codec == Codec::Zstd);
        bytes[6..8].copy_from_slice(&self.count.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.plain_length.to_le_bytes());
        bytes[12..].copy_from_slice(&self.payload_length.to_le_bytes());
        bytes
    }
}

/// Decodes the entries of a frame, which must add up to its plain length.
///
/// # Errors
/// Refuses impossible lengths and a wrong sum.
pub fn decode_entries(header: &FrameHeader, bytes: &[u8]) -> Result<Vec<FrameEntry>, DecodeError> {
    let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() || entries.len() != usize::from(header.count) {
        return Err(malformed(WHAT, "entries cut short"));
    }
    let mut sum = 0usize;
    let mut decoded = Vec::with_capacity(entries.len());
    for entry in entries {
        let (id, length) = entry.split_first_chunk::<32>().expect("36 bytes");
        let length = u32::from_le_bytes(length.try_into().expect("4 bytes"));
        if length == 0 || length as usize > CHUNK_BYTES_MAX {
            return Err(invalid(WHAT, "a chunk of impossible length"));
        }
        sum += length as usize;
        decoded.push(FrameEntry { id: ChunkId::from_bytes(*id), length });
    }
    if sum != header.plain_length as usize {
        return Err(invalid(WHAT, "its chunks do not add up to its length"));
    }
    Ok(decoded)
}

/// Several chunks, encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    header: FrameHeader,
    entries: Vec<FrameEntry>,
    payload: Bytes,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame")
            .field("chunks", &self.entries.len())
            .field("plain_length", &self.header.plain_length)
            .field("payload_length", &self.header.payload_length)
            .finish()
    }
}

/// A frame, or a chunk in it, is not what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The check over the frame fails: it was damaged on the way or on the disk.
    #[error("a frame is damaged")]
    Check,
    /// The payload does not decompress to the stated length.
    #[error("a frame's payload is malformed")]
    Payload,
    /// The bytes do not have the id they were sent under. Drop the source.
    #[error("the bytes sent as chunk {0} have another hash")]
    WrongBytes(ChunkId),
}

impl Frame {
    /// Joins `header`, `entries` and the rest of `body` as read from a file or a connection.
    ///
    /// # Errors
    /// As [`decode_entries`]; or when `body` is not as long as the header says.
    pub fn decode(header: FrameHeader, body: Bytes) -> Result<Self, DecodeError> {
        if body.len() != header.body_length() {
            return Err(malformed(WHAT, "cut short"));
        }
        let entries = decode_entries(&header, &body[..header.entries_length()])?;
        let payload = body.slice(header.entries_length()..);
        Ok(Self { header, entries, payload })
    }

    /// Decodes a frame that fills `bytes`.
    ///
    /// # Errors
    /// As [`FrameHeader::decode`] and [`Frame::decode`].
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, DecodeError> {
        let Some(header) = bytes.first_chunk() else {
            return Err(malformed(WHAT, "cut short"));
        };
        Self::decode(FrameHeader::decode(header)?, bytes.slice(HEADER_BYTES..))
    }

    /// The chunks of the frame, in order.
    #[must_use]
    pub fn entries(&self) -> &[FrameEntry] {
        &self.entries
    }

    /// Length of all chunks together.
    #[must_use]
    pub fn plain_length(&self) -> usize {
        self.header.plain_length as usize
    }

    /// Length of the whole frame as stored or sent.
    #[must_use]
    pub fn encoded_length(&self) -> usize {
        HEADER_BYTES + self.header.body_length()
    }

    /// Header and entries as bytes; the payload follows them.
    #[must_use]
    pub fn head_bytes(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.header.entries_length());
        bytes.extend_from_slice(&self.header.encode_unchecked());
        bytes.extend_from_slice(&self.header.check);
        write_entries(&self.entries, &mut bytes);
        bytes.into()
    }

    /// The payload as bytes.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Whether the frame is as it was when it was made.
    ///
    /// # Errors
    /// [`FrameError::Check`] when it is not.
    pub fn verify_check(&self) -> Result<(), FrameError> {
        if self.header.check == check(&self.header, &self.entries, &self.payload) {
            Ok(())
        } else {
            Err(FrameError::Check)
        }
    }
}

fn write_entries(entries: &[FrameEntry], bytes: &mut Vec<u8>) {
    for entry in entries {
        bytes.extend_from_slice(entry.id.as_bytes());
        bytes.extend_from_slice(&entry.length.to_le_bytes());
    }
}

fn check(header: &FrameHeader, entries: &[FrameEntry], payload: &[u8]) -> [u8; 32] {
    let mut listed = Vec::with_capacity(entries.len() * ENTRY_BYTES);
    write_entries(entries, &mut listed);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&header.encode_unchecked()).update(&listed).update(payload);
    *hasher.finalize().as_bytes()
}

/// Makes and opens frames; keeps the compressor's memory between them.
pub struct FrameCodec {
    compressor: zstd::bulk::Compressor<'static>,
    decompressor: zstd::bulk::Decompressor<'static>,
    buffers: Buffers,
}

impl Default for FrameCodec {
    fn default() -> Self {
        Self::new(Buffers::default())
    }
}

impl FrameCodec {
    /// Decompresses into `buffers`.
    #[must_use]
    pub fn new(buffers: Buffers) -> Self {
        Self {
            compressor: zstd::bulk::Compressor::new(LEVEL).expect("level 3 exists"),
            decompressor: zstd::bulk::Decompressor::new().expect("needs memory alone"),
            buffers,
        }
    }

    /// Makes a frame of `plain`, the bytes of `entries` one after another.
    ///
    /// # Panics
    /// If the lengths do not add up or are beyond the limits of a frame.
    #[must_use]
    pub fn encode(&mut self, entries: Vec<FrameEntry>, plain: Bytes, codec: Codec) -> Frame {
        let sum: usize = entries.iter().map(|entry| entry.length as usize).sum();
        assert!(sum == plain.len() && sum <= PLAIN_BYTES_MAX, "the entries describe the bytes");
        let count = u16::try_from(entries.len()).expect("at most 4,096 chunks");
        assert!((1..=CHUNKS_MAX).contains(&entries.len()), "at most 4,096 chunks");
        let packed = match codec {
            Codec::Zstd if crate::seal::compresses(&plain) => self.compressor.compress(&plain).ok(),
            Codec::Zstd | Codec::None => None,
        };
        let (codec, payload) = match packed {
            Some(packed) if packed.len() < plain.len() => (Codec::Zstd, packed.into()),
            _ => (Codec::None, plain),
        };
        let mut header = FrameHeader {
            codec,
            count,
            plain_length: u32::try_from(sum).expect("checked above"),
            payload_length: u32::try_from(payload.len()).expect("not above the sum"),
            check: [0; 32],
        };
        header.check = check(&header, &entries, &payload);
        Frame { header, entries, payload }
    }

    /// The plain bytes of all chunks, not yet compared with their ids.
    fn plain(&mut self, frame: &Frame) -> Result<Bytes, FrameError> {
        match frame.header.codec {
            Codec::None => Ok(frame.payload.clone()),
            Codec::Zstd => {
                let mut plain = self.buffers.of_length(frame.plain_length());
                match self.decompressor.decompress_to_buffer(&frame.payload, &mut plain[..]) {
                    Ok(length) if length == frame.plain_length() => Ok(plain.freeze()),
                    Ok(_) | Err(_) => Err(FrameError::Payload),
                }
            }
        }
    }

    /// Opens the frame and yields the chunks that `wanted` selects, each verified.
    ///
    /// # Errors
    /// A payload that does not decompress, or the first wanted chunk whose bytes do not have
    /// its id; chunks before it were already given to `sink`.
    pub fn open(
        &mut self,
        frame: &Frame,
        mut wanted: impl FnMut(&ChunkId) -> bool,
        mut sink: impl FnMut(ChunkId, Bytes),
    ) -> Result<(), FrameError> {
        let plain = self.plain(frame)?;
        let mut offset = 0;
        for entry in &frame.entries {
            let end = offset + entry.length as usize;
            if wanted(&entry.id) {
                let bytes = plain.slice(offset..end);
                if ChunkId::of(&bytes) != entry.id {
                    return Err(FrameError::WrongBytes(entry.id));
                }
                sink(entry.id, bytes);
            }
            offset = end;
        }
        Ok(())
    }
}

/// Collects chunks until a frame is full.
#[derive(Debug, Default)]
pub struct FrameBuilder {
    entries: Vec<FrameEntry>,
    plain: Vec<u8>,
}

impl FrameBuilder {
    /// Whether `length` more bytes belong into the next frame.
    #[must_use]
    pub fn is_full_for(&self, length: usize) -> bool {
        !self.entries.is_empty()
            && (self.plain.len() + length > PLAIN_BYTES_TARGET || self.entries.len() == CHUNKS_MAX)
    }

    /// Adds a chunk.
    pub fn push(&mut self, id: ChunkId, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).expect("chunks are far below 4 GiB");
        self.entries.push(FrameEntry { id, length });
        self.plain.extend_from_slice(bytes);
    }

    /// Takes what was collected; `None` when nothing was.
    pub fn take(&mut self) -> Option<(Vec<FrameEntry>, Bytes)> {
        if self.entries.is_empty() {
            return None;
        }
        let plain = std::mem::replace(&mut self.plain, Vec::with_capacity(PLAIN_BYTES_TARGET));
        Some((std::mem::take(&mut self.entries), plain.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame_of(chunks: &[&[u8]], codec: Codec) -> Frame {
        let mut builder = FrameBuilder::default();
        for chunk in chunks {
            builder.push(ChunkId::of(chunk), chunk);
        }
        let (entries, plain) = builder.take().expect("not empty");
        FrameCodec::default().encode(entries, plain, codec)
    }

    fn bytes_of(frame: &Frame) -> Vec<u8> {
        [frame.head_bytes(), frame.payload().clone()].concat()
    }

    #[test]
    fn chunks_come_back_verified_and_only_the_wanted_ones() {
        let text = b"words words words ".repeat(1000);
        for codec in [Codec::None, Codec::Zstd] {
            let frame = frame_of(&[&text, b"second"], codec);
            let again = Frame::from_bytes(&bytes_of(&frame).into()).expect("valid");
            assert_eq!(again, frame);
            again.verify_check().expect("intact");
            let mut got = Vec::new();
            FrameCodec::default()
                .open(&again, |id| *id == ChunkId::of(b"second"), |_, bytes| got.push(bytes))
                .expect("opens");
            assert_eq!(got, [&b"second"[..]]);
        }
    }

    #[test]
    fn a_flip_of_any_bit_is_noticed() {
        let frame = frame_of(&[b"first chunk", &b"second chunk ".repeat(40)], Codec::Zstd);
        let bytes = bytes_of(&frame);
        for index in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[index] ^= 0x10;
            let noticed = Frame::from_bytes(&altered.into())
                .map_err(|_| ())
                .and_then(|frame| frame.verify_check().map_err(|_| ()));
            assert_eq!(noticed, Err(()), "byte {index}");
        }
    }

    #[test]
    fn a_chunk_under_a_false_id_is_named() {
        let mut frame = frame_of(&[b"true bytes"], Codec::None);
        let claimed = ChunkId::of(b"other bytes");
        frame.entries[0].id = claimed;
        let opened = FrameCodec::default().open(&frame, |_| true, |_, _| ());
        assert_eq!(opened, Err(FrameError::WrongBytes(claimed)));
    }

    /// Eight kilobytes that decompress to 64 MiB, in a frame that states less.
    #[test]
    fn a_payload_that_unpacks_to_more_than_it_says_is_refused_at_its_limit() {
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).expect("compresses");
        assert!(bomb.len() < 16 << 10, "{} bytes", bomb.len());
        for stated in [bomb.len() + 1, PLAIN_BYTES_MAX / 2] {
            let length = u32::try_from(stated).expect("small");
            let mut frame = frame_of(&[b"any"], Codec::None);
            frame.entries = vec![FrameEntry { id: ChunkId::of(b"any"), length }];
            frame.header = FrameHeader {
                codec: Codec::Zstd,
                count: 1,
                plain_length: length,
                payload_length: u32::try_from(bomb.len()).expect("small"),
                check: frame.header.check,
            };
            frame.payload = bomb.clone().into();
            let frame = Frame::from_bytes(&bytes_of(&frame).into()).expect("plausible");
            let mut codec = FrameCodec::default();
            let opened = codec.open(&frame, |_| true, |_, _| panic!("nothing comes out"));
            assert_eq!(opened, Err(FrameError::Payload), "{stated} bytes stated");
        }
    }
}
