//! Frames one after another, then an end marker.
//!
//! A connection that breaks looks like an end of the stream; the marker tells them apart. It
//! also lists what was asked for and is not there, so that silence never means anything.
//!
//! ```text
//! frame*                       as in `content::frame`
//! "CnE1"                       4 bytes
//! count of missing chunks      4 bytes, little-endian, at most 8,192
//! ids of the missing chunks    32 bytes each
//! ```

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use content::frame::{FrameHeader, HEADER_BYTES};
use content::{Buffer, Buffers, ChunkId, DecodeError, Frame};

/// Most ids in an end marker: no request asks for more.
pub const MISSING_MAX: usize = crate::HAVE_IDS_MAX;

const END_MAGIC: [u8; 4] = *b"CnE1";
const END_BYTES: usize = 8;
const ID_BYTES: usize = 32;
/// Shorter pieces are copied together, so that a sender of single bytes costs no more memory
/// than one of large pieces.
const PIECE_BYTES_MIN: usize = 4096;

/// Why a stream of frames was refused. After an error nothing more comes from the decoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// What came is neither a frame nor the end marker, or is beyond the limits. Drop the
    /// sender.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// The end marker lists more missing chunks than can be asked for. Drop the sender.
    #[error("the end of the stream lists {count} missing chunks")]
    TooManyMissing {
        /// How many it claims to list.
        count: u32,
    },
    /// Bytes follow the end marker. Drop the sender.
    #[error("bytes follow the end of the stream")]
    Trailing,
    /// The stream stopped without its end marker: the connection broke. What came before is
    /// good; ask for the rest again.
    #[error("the stream was cut short after {frames} frames and {spare_bytes} bytes of the next")]
    CutShort {
        /// Whole frames before the break.
        frames: u64,
        /// Bytes of the frame or end marker that was begun.
        spare_bytes: usize,
    },
}

/// A frame as bytes, ready to be sent without copying its payload.
#[must_use]
pub fn encode_frame(frame: &Frame) -> [Bytes; 2] {
    [frame.head_bytes(), frame.payload().clone()]
}

/// The end of a stream, with the ids of chunks that were asked for and are not here.
///
/// # Panics
/// If there are more than [`MISSING_MAX`].
#[must_use]
pub fn encode_end(missing: &[ChunkId]) -> Bytes {
    assert!(missing.len() <= MISSING_MAX, "no request asks for more");
    let count = u32::try_from(missing.len()).expect("checked above");
    let mut bytes = Vec::with_capacity(END_BYTES + missing.len() * ID_BYTES);
    bytes.extend_from_slice(&END_MAGIC);
    bytes.extend_from_slice(&count.to_le_bytes());
    missing.iter().for_each(|id| bytes.extend_from_slice(id.as_bytes()));
    bytes.into()
}

/// Takes a stream apart as it arrives.
///
/// Give it bytes with [`push`](Self::push), then take frames with
/// [`next_frame`](Self::next_frame) until there is none, and so on; when the sender has closed,
/// [`finish`](Self::finish) says whether that was the end. Pieces are copied into the frame they
/// belong to as soon as they come, while the processor still has them at hand and so that who
/// received them gets the memory back for the next.
#[derive(Debug, Default)]
pub struct FrameStreamDecoder {
    buffers: Buffers,
    pieces: VecDeque<Bytes>,
    /// Short pieces that follow `pieces`.
    tail: BytesMut,
    /// Bytes in `pieces` and `tail`.
    buffered: usize,
    state: State,
    frames: u64,
}

#[derive(Debug, Default)]
enum State {
    /// Before a frame or the end marker.
    #[default]
    Between,
    /// Behind the fixed part of a frame, with what has come of the rest.
    Body(FrameHeader, Buffer),
    /// Behind the fixed part of the end marker.
    Missing(usize),
    /// Behind the end marker.
    Ended(Vec<ChunkId>),
    Failed(StreamError),
}

impl FrameStreamDecoder {
    /// Begins before the first frame; frames lie in memory of `buffers`.
    #[must_use]
    pub fn new(buffers: Buffers) -> Self {
        Self { buffers, ..Self::default() }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: Bytes) {
        self.buffered += bytes.len();
        if bytes.len() < PIECE_BYTES_MIN {
            self.tail.extend_from_slice(&bytes);
        } else {
            self.close_tail();
            self.pieces.push_back(bytes);
        }
    }

    /// The next whole frame; `None` when more bytes are needed or the stream has ended.
    ///
    /// # Errors
    /// When the bytes are not a stream of frames; the same error every time from then on.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, StreamError> {
        self.advance().inspect_err(|error| {
            self.state = State::Failed(error.clone());
            self.pieces.clear();
            self.tail = BytesMut::new();
            self.buffered = 0;
        })
    }

    fn advance(&mut self) -> Result<Option<Frame>, StreamError> {
        self.fill();
        loop {
            match &mut self.state {
                State::Between => {
                    let Some(magic) = self.peek::<4>() else { return Ok(None) };
                    if magic == END_MAGIC {
                        let Some(end) = self.peek::<END_BYTES>() else { return Ok(None) };
                        self.take(END_BYTES);
                        let [.., a, b, c, d] = end;
                        let count = u32::from_le_bytes([a, b, c, d]);
                        if count as usize > MISSING_MAX {
                            return Err(StreamError::TooManyMissing { count });
                        }
                        self.state = State::Missing(count as usize);
                    } else {
                        let Some(header) = self.peek::<HEADER_BYTES>() else { return Ok(None) };
                        let header = FrameHeader::decode(&header)?;
                        self.take(HEADER_BYTES);
                        let body = self.buffers.empty(header.body_length());
                        self.state = State::Body(header, body);
                        self.fill();
                    }
                }
                State::Body(header, body) => {
                    if body.len() < header.body_length() {
                        return Ok(None);
                    }
                    let (header, body) = (*header, std::mem::replace(body, self.buffers.empty(0)));
                    let frame = Frame::decode(header, body.freeze())?;
                    self.state = State::Between;
                    self.frames += 1;
                    return Ok(Some(frame));
                }
                State::Missing(count) => {
                    let length = *count * ID_BYTES;
                    if self.buffered < length {
                        return Ok(None);
                    }
                    let bytes = self.take(length);
                    let (ids, _) = bytes.as_chunks::<ID_BYTES>();
                    let missing = ids.iter().map(|id| ChunkId::from_bytes(*id)).collect();
                    self.state = State::Ended(missing);
                }
                State::Ended(_) if self.buffered > 0 => return Err(StreamError::Trailing),
                State::Ended(_) => return Ok(None),
                State::Failed(error) => return Err(error.clone()),
            }
        }
    }

    /// Whether the end marker has come.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// Moves what has come of a frame's body into it.
    fn fill(&mut self) {
        let State::Body(header, body) = &mut self.state else { return };
        while body.len() < header.body_length() && self.buffered > 0 {
            let left = header.body_length() - body.len();
            let taken = match self.pieces.front_mut() {
                Some(piece) => {
                    let taken = left.min(piece.len());
                    body.extend_from_slice(&piece.split_to(taken));
                    if piece.is_empty() {
                        self.pieces.pop_front();
                    }
                    taken
                }
                None => {
                    let taken = left.min(self.tail.len());
                    body.extend_from_slice(&self.tail.split_to(taken));
                    taken
                }
            };
            self.buffered -= taken;
        }
    }

    /// Bytes that wait for the rest of their frame.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        let body = match &self.state {
            State::Body(_, body) => body.len(),
            State::Between | State::Missing(_) | State::Ended(_) | State::Failed(_) => 0,
        };
        self.buffered + body
    }

    /// Says that the sender has closed; the ids it said it lacks.
    ///
    /// Take all frames first.
    ///
    /// # Errors
    /// [`StreamError::CutShort`] when the end marker is missing, and whatever
    /// [`next_frame`](Self::next_frame) failed with.
    pub fn finish(self) -> Result<Vec<ChunkId>, StreamError> {
        let begun = match &self.state {
            State::Ended(_) if self.buffered > 0 => return Err(StreamError::Trailing),
            State::Ended(_) | State::Failed(_) | State::Between => 0,
            State::Body(_, body) => HEADER_BYTES + body.len(),
            State::Missing(_) => END_BYTES,
        };
        match self.state {
            State::Ended(missing) => Ok(missing),
            State::Failed(error) => Err(error),
            State::Between | State::Body(..) | State::Missing(_) => Err(StreamError::CutShort {
                frames: self.frames,
                spare_bytes: begun + self.buffered,
            }),
        }
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(self.tail.split().freeze());
        }
    }

    /// The next `N` bytes, left in place; `None` when there are fewer.
    fn peek<const N: usize>(&self) -> Option<[u8; N]> {
        if self.buffered < N {
            return None;
        }
        let mut bytes = [0; N];
        let mut filled = 0;
        for piece in self.pieces.iter().map(|piece| &**piece).chain([&*self.tail]) {
            let count = piece.len().min(N - filled);
            bytes[filled..filled + count].copy_from_slice(&piece[..count]);
            filled += count;
            if filled == N {
                break;
            }
        }
        Some(bytes)
    }

    /// Takes the next `length` bytes, of which there must be enough; copies them only when they
    /// came in several pieces.
    fn take(&mut self, length: usize) -> Bytes {
        debug_assert!(self.buffered >= length, "the caller has looked");
        self.buffered -= length;
        let mut joined = BytesMut::new();
        let mut left = length;
        while left > 0 {
            let Some(piece) = self.pieces.front_mut() else {
                joined.extend_from_slice(&self.tail.split_to(left));
                break;
            };
            let part = piece.split_to(left.min(piece.len()));
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            if part.len() == length {
                return part;
            }
            if joined.is_empty() {
                joined.reserve(length);
            }
            left -= part.len();
            joined.extend_from_slice(&part);
        }
        joined.freeze()
    }
}

#[cfg(test)]
mod tests;
