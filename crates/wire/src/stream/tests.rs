use content::frame::{Codec, FrameBuilder, FrameCodec, PLAIN_BYTES_MAX};
use proptest::prelude::*;

use super::*;

fn golden(name: &str, bytes: &[u8]) {
    golden::compare(env!("CARGO_MANIFEST_DIR"), name, bytes);
}

fn frame_of(chunks: &[&[u8]], codec: Codec) -> Frame {
    let mut builder = FrameBuilder::default();
    for chunk in chunks {
        builder.push(ChunkId::of(chunk), chunk);
    }
    let (entries, plain) = builder.take().expect("not empty");
    FrameCodec::default().encode(entries, plain, codec)
}

fn frames() -> Vec<Frame> {
    vec![
        frame_of(&[b"first", b"second"], Codec::None),
        frame_of(&[&b"words and words ".repeat(900)], Codec::Zstd),
        frame_of(&[&[7; 9_000], b"x"], Codec::None),
    ]
}

fn stream_of(frames: &[Frame], missing: &[ChunkId]) -> Vec<u8> {
    let mut bytes: Vec<u8> = frames.iter().flat_map(encode_frame).flatten().collect();
    bytes.extend_from_slice(&encode_end(missing));
    bytes
}

/// Feeds `bytes` in pieces of `step`; the frames that came and how it ended.
fn decode(bytes: &[u8], step: usize) -> (Vec<Frame>, Result<Vec<ChunkId>, StreamError>) {
    let mut decoder = FrameStreamDecoder::default();
    let mut frames = Vec::new();
    for piece in bytes.chunks(step.max(1)) {
        decoder.push(Bytes::copy_from_slice(piece));
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next_frame(), Err(error.clone()), "it stays failed");
                    assert_eq!(decoder.buffered_bytes(), 0, "nothing is kept");
                    return (frames, Err(error));
                }
            }
        }
    }
    (frames, decoder.finish())
}

#[test]
fn a_stream_comes_back_however_it_was_cut() {
    let missing = [ChunkId::of(b"gone"), ChunkId::of(b"lost")];
    let bytes = stream_of(&frames(), &missing);
    for step in [1, 7, 31, 47, 48, 49, 4_095, 4_096, 5_000, usize::MAX] {
        let (came, end) = decode(&bytes, step);
        assert_eq!(came, frames(), "in pieces of {step}");
        assert_eq!(end, Ok(missing.to_vec()), "in pieces of {step}");
    }
    assert_eq!(decode(&encode_end(&[]), 3), (Vec::new(), Ok(Vec::new())));
}

#[test]
fn a_stream_cut_short_at_any_byte_is_no_end() {
    let bytes = stream_of(&frames()[..2], &[ChunkId::of(b"gone")]);
    for length in 0..bytes.len() {
        let (came, end) = decode(&bytes[..length], 1_000);
        let Err(StreamError::CutShort { frames: whole, spare_bytes }) = end else {
            panic!("{length} bytes ended with {end:?}");
        };
        assert_eq!(whole, came.len() as u64);
        let consumed: usize = came.iter().map(Frame::encoded_length).sum();
        assert_eq!(consumed + spare_bytes, length);
        assert_eq!(came, frames()[..came.len()]);
    }
}

#[test]
fn flipped_bits_never_panic_and_never_go_unnoticed() {
    let original = frames();
    let bytes = stream_of(&original[..1], &[ChunkId::of(b"gone")]);
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let (came, end) = decode(&altered, 50);
        let intact = came.iter().all(|frame| frame.verify_check().is_ok());
        if intact && end.is_ok() {
            // Only the ids of missing chunks carry no check of their own.
            assert_eq!(came, original[..1]);
            assert!(bit / 8 >= bytes.len() - 32);
        }
    }
}

#[test]
fn bytes_behind_the_end_are_refused() {
    let mut bytes = stream_of(&frames()[..1], &[]);
    bytes.push(0);
    for step in [1, usize::MAX] {
        assert_eq!(decode(&bytes, step).1, Err(StreamError::Trailing));
    }
    // Also when nobody asked for another frame in between.
    let mut decoder = FrameStreamDecoder::default();
    decoder.push(encode_end(&[]));
    assert_eq!(decoder.next_frame(), Ok(None));
    assert!(decoder.is_ended());
    decoder.push(Bytes::from_static(b"more"));
    assert_eq!(decoder.finish(), Err(StreamError::Trailing));
}

#[test]
fn impossible_lengths_are_refused_before_anything_is_waited_for() {
    let [head, _] = encode_frame(&frames()[0]);
    let mut oversized = head[..HEADER_BYTES].to_vec();
    oversized[8..12].copy_from_slice(&(PLAIN_BYTES_MAX as u32 + 1).to_le_bytes());
    oversized[12..16].copy_from_slice(&(PLAIN_BYTES_MAX as u32 + 1).to_le_bytes());
    assert!(matches!(decode(&oversized, 9).1, Err(StreamError::Malformed(_))));

    let mut endless = encode_end(&[]).to_vec();
    endless[4..].copy_from_slice(&(MISSING_MAX as u32 + 1).to_le_bytes());
    let count = MISSING_MAX as u32 + 1;
    assert_eq!(decode(&endless, 9).1, Err(StreamError::TooManyMissing { count }));

    assert!(matches!(decode(&[b'x'; 48], 48).1, Err(StreamError::Malformed(_))));
}

#[test]
fn pieces_are_let_go_as_soon_as_they_are_in_their_frame() {
    let bytes: Bytes = stream_of(&[frame_of(&[&[9; 300_000]], Codec::None)], &[]).into();
    let mut decoder = FrameStreamDecoder::default();
    for start in (0..200_000).step_by(20_000) {
        let piece = Bytes::copy_from_slice(&bytes[start..start + 20_000]);
        decoder.push(piece.clone());
        assert_eq!(decoder.next_frame(), Ok(None));
        assert!(piece.is_unique(), "who received it gets the memory back");
        assert_eq!(decoder.buffered_bytes(), start + 20_000 - HEADER_BYTES);
    }
}

#[test]
fn frames_lie_in_memory_that_is_used_again() {
    let frame = frame_of(&[&[9; 300_000]], Codec::None);
    let bytes: Bytes = stream_of(std::slice::from_ref(&frame), &[]).into();
    let buffers = Buffers::default();
    let places = [(); 3].map(|()| {
        let mut decoder = FrameStreamDecoder::new(buffers.clone());
        decoder.push(bytes.clone());
        let again = decoder.next_frame().expect("valid").expect("whole");
        assert_eq!(again, frame);
        again.payload().as_ptr()
    });
    assert!(places.iter().all(|place| *place == places[0]));
}

#[test]
fn single_bytes_do_not_pile_up_in_pieces() {
    let bytes = stream_of(&[frame_of(&[&[9; 100_000]], Codec::None)], &[]);
    let mut decoder = FrameStreamDecoder::default();
    for byte in &bytes[..100_000] {
        decoder.push(Bytes::copy_from_slice(&[*byte]));
        assert_eq!(decoder.next_frame(), Ok(None));
        assert!(decoder.pieces.len() <= 1);
    }
    assert_eq!(decoder.buffered_bytes() + HEADER_BYTES, 100_000);
}

#[test]
#[should_panic(expected = "no request asks for more")]
fn an_end_with_too_many_ids_is_not_encoded() {
    let _ = encode_end(&vec![ChunkId::of(b""); MISSING_MAX + 1]);
}

#[test]
fn every_released_stream_has_its_golden_file() {
    golden("frame-stream-1", &stream_of(&frames()[..1], &[ChunkId::of(b"gone")]));
    golden("id-list-1", &crate::IdList(vec![ChunkId::of(b"a"), ChunkId::of(b"b")]).encode());
    golden("have-bitmap-1", &crate::HaveBitmap((0..10).map(|n| n % 3 == 0).collect()).encode());
}

proptest! {
    #[test]
    fn pieces_of_any_size_give_the_same_frames(cuts in prop::collection::vec(0..12_000usize, 0..9)) {
        let bytes: Bytes = stream_of(&frames(), &[]).into();
        let mut cuts = cuts;
        cuts.push(bytes.len());
        cuts.retain(|cut| *cut <= bytes.len());
        cuts.sort_unstable();
        let (mut decoder, mut came, mut from) = (FrameStreamDecoder::default(), Vec::new(), 0);
        for cut in cuts {
            decoder.push(bytes.slice(from..cut));
            from = cut;
            while let Some(frame) = decoder.next_frame().expect("valid") {
                came.push(frame);
            }
        }
        prop_assert_eq!(came, frames());
        prop_assert_eq!(decoder.finish(), Ok(Vec::new()));
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, step in 1..60usize) {
        let (_, end) = decode(&bytes, step);
        prop_assert!(end.is_err() || bytes.starts_with(&END_MAGIC));
    }
}
