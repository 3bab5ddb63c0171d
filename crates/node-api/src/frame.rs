//! Messages as frames.
//!
//! ```text
//! bytes  field
//!     1  kind: 0 a message in JSON, 1 contents as they are
//!     4  length n, little-endian, at most 1 MiB
//!     n  the message or the bytes
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest frame without its head, in bytes: far above any message, and contents come in
/// pieces.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
const HEAD_BYTES: usize = 5;

/// Why bytes are no frame, or a frame no message. The connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The head names a kind that does not exist: the other side speaks something else.
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    /// The head names a length above [`FRAME_BYTES_MAX`].
    #[error("a frame of {0} bytes, more than any may have")]
    TooLong(usize),
    /// The message is not one of those expected here.
    #[error("not a message expected here: {0}")]
    Message(String),
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A message, still encoded.
    Message(Vec<u8>),
    /// Contents.
    Bytes(Vec<u8>),
}

impl Frame {
    /// The frame of a message.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] when the message does not fit.
    pub fn of(message: &impl Serialize) -> Result<Self, FrameError> {
        let bytes =
            serde_json::to_vec(message).map_err(|error| FrameError::Message(error.to_string()))?;
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong(bytes.len()));
        }
        Ok(Self::Message(bytes))
    }

    /// The message in a frame.
    ///
    /// # Errors
    /// [`FrameError::Message`] when it holds contents, or another message.
    pub fn message<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        match self {
            Self::Message(bytes) => serde_json::from_slice(bytes)
                .map_err(|error| FrameError::Message(error.to_string())),
            Self::Bytes(_) => Err(FrameError::Message("contents where a message belongs".into())),
        }
    }

    /// The frame as it is sent.
    ///
    /// # Panics
    /// When it is longer than [`FRAME_BYTES_MAX`]: whoever makes frames of contents cuts them.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, bytes) = match self {
            Self::Message(bytes) => (0, bytes),
            Self::Bytes(bytes) => (1, bytes),
        };
        assert!(bytes.len() <= FRAME_BYTES_MAX, "contents are sent in pieces");
        let length = u32::try_from(bytes.len()).expect("at most 1 MiB");
        let mut encoded = Vec::with_capacity(HEAD_BYTES + bytes.len());
        encoded.push(kind);
        encoded.extend_from_slice(&length.to_le_bytes());
        encoded.extend_from_slice(bytes);
        encoded
    }
}

/// Cuts what arrives into frames. Holds at most one unfinished frame beside what was pushed.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
}

impl FrameReader {
    /// Adds bytes that arrived; take the frames out before pushing more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// When the bytes are no frame; nothing after them can be read.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((head, rest)) = self.buffer.split_first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let [kind, length @ ..] = *head;
        if kind > 1 {
            return Err(FrameError::Kind(kind));
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong(length));
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let body = body.to_vec();
        self.buffer.drain(..HEAD_BYTES + length);
        Ok(Some(if kind == 0 { Frame::Message(body) } else { Frame::Bytes(body) }))
    }

    /// Whether a frame was begun and not finished: the other side went away in its middle.
    #[must_use]
    pub fn is_in_a_frame(&self) -> bool {
        !self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::{FromNode, ToNode};

    proptest! {
        #[test]
        fn frames_come_back_however_they_are_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..8),
            step in 1usize..50,
        ) {
            let frames: Vec<Frame> = bodies.into_iter().enumerate().map(|(index, body)| {
                if index % 2 == 0 { Frame::Bytes(body) } else { Frame::Message(body) }
            }).collect();
            let sent: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
            let (mut reader, mut read) = (FrameReader::default(), Vec::new());
            for part in sent.chunks(step) {
                reader.push(part);
                while let Some(frame) = reader.next_frame().expect("sound") {
                    read.push(frame);
                }
            }
            prop_assert_eq!(read, frames);
            prop_assert!(!reader.is_in_a_frame());
        }

        #[test]
        fn noise_is_refused_or_waited_for_and_never_panics(noise: Vec<u8>) {
            let mut reader = FrameReader::default();
            reader.push(&noise);
            while let Ok(Some(frame)) = reader.next_frame() {
                drop(frame.message::<ToNode>());
                drop(frame.message::<FromNode>());
            }
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_anything_is_allocated() {
        let mut reader = FrameReader::default();
        reader.push(&[0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(reader.next_frame(), Err(FrameError::TooLong(u32::MAX as usize)));
        let mut reader = FrameReader::default();
        reader.push(&[7, 0, 0, 0, 0]);
        assert_eq!(reader.next_frame(), Err(FrameError::Kind(7)));
    }
}
