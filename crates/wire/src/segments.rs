//! Segments of a live delivery, one after another, as a recipient gets them.
//!
//! What is in a segment is sealed and nobody's business here. There is no end marker: the recipient
//! knows from the delivery how many segments there are, and asks again behind the last it has.
//!
//! ```text
//! number     8 bytes, little-endian
//! length     4 bytes, little-endian, at most 1,048,704; 0 is a heart-beat
//! segment    as many bytes
//! ```

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};

/// Most bytes of a segment: 1 MiB, and what sealing adds to it.
pub const SEGMENT_BYTES_MAX: usize = (1 << 20) + 128;

/// Bytes in front of a segment.
pub const SEGMENT_HEAD_BYTES: usize = 12;

/// One record of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SegmentRecord {
    /// A segment.
    Segment {
        /// Its number.
        number: u64,
        /// Its bytes, at least one.
        bytes: Bytes,
    },
    /// Nothing new: the connection is alive.
    HeartBeat {
        /// The number of the segment that comes next.
        next: u64,
    },
}

/// Why a stream of segments was refused. After an error nothing more comes from the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// A segment is said to be longer than any may be. Drop the sender.
    #[error("segment {number} of {bytes} bytes; at most {SEGMENT_BYTES_MAX} are allowed")]
    TooLong {
        /// Its number.
        number: u64,
        /// Its length.
        bytes: u32,
    },
    /// The stream stopped within a record: the connection broke. What came before is good; ask for
    /// the rest again.
    #[error("the stream of segments was cut short after {spare_bytes} bytes of a record")]
    CutShort {
        /// Bytes of the record that was begun.
        spare_bytes: usize,
    },
}

/// What stands in front of a segment's bytes.
///
/// # Panics
/// If the segment is empty or longer than [`SEGMENT_BYTES_MAX`].
#[must_use]
pub fn encode_segment_head(number: u64, length: usize) -> [u8; SEGMENT_HEAD_BYTES] {
    assert!((1..=SEGMENT_BYTES_MAX).contains(&length), "no segment has {length} bytes");
    head(number, length)
}

/// A heart-beat before the segment `next`.
#[must_use]
pub fn encode_heart_beat(next: u64) -> [u8; SEGMENT_HEAD_BYTES] {
    head(next, 0)
}

fn head(number: u64, length: usize) -> [u8; SEGMENT_HEAD_BYTES] {
    let mut head = [0; SEGMENT_HEAD_BYTES];
    head[..8].copy_from_slice(&number.to_le_bytes());
    let length = u32::try_from(length).expect("the callers allow no more than a segment has");
    head[8..].copy_from_slice(&length.to_le_bytes());
    head
}

/// Takes a stream of segments apart as it arrives.
///
/// Give it bytes with [`push`](Self::push), then take records with
/// [`next_record`](Self::next_record) until there is none, and so on; when the sender has closed,
/// [`finish`](Self::finish) says whether that was between two records. A segment is allocated as its
/// bytes come, or as long as one that came before, not by the length it claims.
#[derive(Debug, Default)]
pub struct SegmentStreamDecoder {
    /// What came and belongs to no record yet.
    pieces: VecDeque<Bytes>,
    head: BytesMut,
    body: Option<Body>,
    /// The longest segment that came whole: so much the sender is trusted with.
    longest: usize,
    failed: Option<SegmentError>,
}

#[derive(Debug)]
struct Body {
    number: u64,
    length: usize,
    bytes: BytesMut,
}

impl SegmentStreamDecoder {
    /// Begins before the first record.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: Bytes) {
        if self.failed.is_none() && !bytes.is_empty() {
            self.pieces.push_back(bytes);
        }
    }

    /// The next whole record; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When a segment claims to be too long; the same error every time from then on.
    pub fn next_record(&mut self) -> Result<Option<SegmentRecord>, SegmentError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        while let Some(piece) = self.pieces.front_mut() {
            let record = match &mut self.body {
                None => match begin(&mut self.head, piece) {
                    Ok(None) => None,
                    Ok(Some((number, 0))) => Some(SegmentRecord::HeartBeat { next: number }),
                    Ok(Some((number, length))) => {
                        self.body = Some(Body { number, length, bytes: BytesMut::new() });
                        None
                    }
                    Err(error) => {
                        *self = Self { failed: Some(error), ..Self::default() };
                        return Err(error);
                    }
                },
                Some(body) => body.take(piece, self.longest),
            };
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            if let Some(record) = record {
                let length = self.body.take().map_or(0, |body| body.length);
                self.longest = self.longest.max(length);
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Bytes that wait for the rest of their record.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        let pieces: usize = self.pieces.iter().map(Bytes::len).sum();
        let begun = self.body.as_ref().map_or(0, |body| SEGMENT_HEAD_BYTES + body.bytes.len());
        pieces + self.head.len() + begun
    }

    /// Says that the sender has closed. Take all records first.
    ///
    /// # Errors
    /// [`SegmentError::CutShort`] within a record, and whatever
    /// [`next_record`](Self::next_record) failed with.
    pub fn finish(self) -> Result<(), SegmentError> {
        match (self.failed, self.buffered_bytes()) {
            (Some(error), _) => Err(error),
            (None, 0) => Ok(()),
            (None, spare_bytes) => Err(SegmentError::CutShort { spare_bytes }),
        }
    }
}

/// Number and length of the next record once its head is there.
fn begin(head: &mut BytesMut, piece: &mut Bytes) -> Result<Option<(u64, usize)>, SegmentError> {
    let taken = piece.len().min(SEGMENT_HEAD_BYTES - head.len());
    head.extend_from_slice(&piece.split_to(taken));
    if head.len() < SEGMENT_HEAD_BYTES {
        return Ok(None);
    }
    let (number, bytes) = (head.get_u64_le(), head.get_u32_le());
    if bytes as usize > SEGMENT_BYTES_MAX {
        return Err(SegmentError::TooLong { number, bytes });
    }
    Ok(Some((number, bytes as usize)))
}

impl Body {
    /// The segment when `piece` had the rest of it.
    fn take(&mut self, piece: &mut Bytes, longest: usize) -> Option<SegmentRecord> {
        let taken = piece.len().min(self.length - self.bytes.len());
        // Grows to twice what has come, or to what came before, and never beyond the segment.
        if self.bytes.capacity() < self.bytes.len() + taken {
            let enough = (2 * self.bytes.len()).max(self.bytes.len() + taken).max(longest);
            let wanted = enough.min(self.length);
            self.bytes.reserve(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(&piece.split_to(taken));
        (self.bytes.len() == self.length).then(|| SegmentRecord::Segment {
            number: self.number,
            bytes: std::mem::take(&mut self.bytes).freeze(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(records: &[SegmentRecord]) -> Vec<u8> {
        let mut stream = Vec::new();
        for record in records {
            match record {
                SegmentRecord::Segment { number, bytes } => {
                    stream.extend_from_slice(&encode_segment_head(*number, bytes.len()));
                    stream.extend_from_slice(bytes);
                }
                SegmentRecord::HeartBeat { next } => {
                    stream.extend_from_slice(&encode_heart_beat(*next));
                }
            }
        }
        stream
    }

    fn records() -> Vec<SegmentRecord> {
        vec![
            SegmentRecord::HeartBeat { next: 0 },
            SegmentRecord::Segment { number: 0, bytes: Bytes::from_static(b"first") },
            SegmentRecord::Segment { number: 1, bytes: vec![7; 9_000].into() },
            SegmentRecord::HeartBeat { next: u64::MAX },
        ]
    }

    /// Feeds `stream` in pieces of `step`; the records that came and how it ended.
    fn decode(stream: &[u8], step: usize) -> (Vec<SegmentRecord>, Result<(), SegmentError>) {
        let mut decoder = SegmentStreamDecoder::new();
        let mut came = Vec::new();
        for piece in stream.chunks(step.max(1)) {
            decoder.push(Bytes::copy_from_slice(piece));
            loop {
                match decoder.next_record() {
                    Ok(Some(record)) => came.push(record),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(decoder.next_record(), Err(error), "it stays failed");
                        assert_eq!(decoder.buffered_bytes(), 0, "nothing is kept");
                        return (came, Err(error));
                    }
                }
            }
        }
        (came, decoder.finish())
    }

    #[test]
    fn a_stream_comes_back_however_it_was_cut() {
        let stream = encode(&records());
        for step in [1, 7, 11, 12, 13, 4_096, usize::MAX] {
            assert_eq!(decode(&stream, step), (records(), Ok(())), "in pieces of {step}");
        }
        assert_eq!(decode(&[], 1), (Vec::new(), Ok(())));
    }

    #[test]
    fn a_stream_cut_within_a_record_is_no_end() {
        let stream = encode(&records()[..2]);
        for length in 0..=stream.len() {
            let (came, end) = decode(&stream[..length], 5);
            let whole = encode(&came).len();
            match length - whole {
                0 => assert_eq!(end, Ok(())),
                spare_bytes => assert_eq!(end, Err(SegmentError::CutShort { spare_bytes })),
            }
            assert_eq!(came, records()[..came.len()]);
        }
    }

    #[test]
    fn the_longest_segment_comes_and_a_longer_one_is_refused_by_its_head() {
        let longest =
            SegmentRecord::Segment { number: 3, bytes: vec![9; SEGMENT_BYTES_MAX].into() };
        let stream = encode(std::slice::from_ref(&longest));
        assert_eq!(decode(&stream, 16_384), (vec![longest], Ok(())));

        let bytes = SEGMENT_BYTES_MAX as u32 + 1;
        let mut head = encode_heart_beat(3);
        head[8..].copy_from_slice(&bytes.to_le_bytes());
        let refused = SegmentError::TooLong { number: 3, bytes };
        assert_eq!(decode(&head, 5), (Vec::new(), Err(refused)));
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        let mut decoder = SegmentStreamDecoder::new();
        decoder.push(Bytes::copy_from_slice(&encode_segment_head(0, SEGMENT_BYTES_MAX)));
        decoder.push(Bytes::from_static(&[7; 100]));
        assert_eq!(decoder.next_record(), Ok(None));
        assert_eq!(decoder.buffered_bytes(), SEGMENT_HEAD_BYTES + 100);
        let body = decoder.body.as_ref().expect("begun");
        assert!(body.bytes.capacity() <= 256, "{}", body.bytes.capacity());
    }

    #[test]
    #[should_panic(expected = "no segment has 0 bytes")]
    fn an_empty_segment_is_not_encoded() {
        let _ = encode_segment_head(1, 0);
    }

    #[test]
    fn the_released_stream_has_its_golden_file() {
        let bytes = encode(&records()[..2]);
        golden::compare(env!("CARGO_MANIFEST_DIR"), "segment-stream-1", &bytes);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(stream: Vec<u8>, step in 1..40usize) {
            let (came, end) = decode(&stream, step);
            if end.is_ok() {
                prop_assert_eq!(encode(&came), stream);
            }
        }
    }
}
