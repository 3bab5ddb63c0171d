//! Targets for the decoders of the `wire` crate.

use bytes::Bytes;
use wire::{
    FrameStreamDecoder, HAVE_IDS_MAX, HaveBitmap, IDS_MAX, IdList, SegmentRecord,
    SegmentStreamDecoder,
};

use crate::{Verdict, same};

/// A stream of frames; the first two bytes say in how large pieces it arrives.
#[must_use]
pub fn frame_stream(bytes: &[u8]) -> Verdict {
    let Some((step, stream)) = bytes.split_first_chunk() else { return Verdict::Refused };
    let step = usize::from(u16::from_le_bytes(*step)).max(1);
    let mut decoder = FrameStreamDecoder::default();
    let mut again = Vec::new();
    for piece in stream.chunks(step) {
        decoder.push(Bytes::copy_from_slice(piece));
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => {
                    for part in wire::encode_frame(&frame) {
                        again.extend_from_slice(&part);
                    }
                }
                Ok(None) => break,
                Err(_) => return Verdict::Refused,
            }
        }
        assert!(decoder.buffered_bytes() <= stream.len());
    }
    let again = decoder.finish().ok().map(|missing| {
        again.extend_from_slice(&wire::encode_end(&missing));
        again
    });
    same(again, stream)
}

/// A stream of segments; the first two bytes say in how large pieces it arrives.
#[must_use]
pub fn segment_stream(bytes: &[u8]) -> Verdict {
    let Some((step, stream)) = bytes.split_first_chunk() else { return Verdict::Refused };
    let step = usize::from(u16::from_le_bytes(*step)).max(1);
    let mut decoder = SegmentStreamDecoder::new();
    let mut again = Vec::new();
    for piece in stream.chunks(step) {
        decoder.push(Bytes::copy_from_slice(piece));
        loop {
            match decoder.next_record() {
                Ok(Some(SegmentRecord::Segment { number, bytes })) => {
                    again.extend_from_slice(&wire::encode_segment_head(number, bytes.len()));
                    again.extend_from_slice(&bytes);
                }
                Ok(Some(SegmentRecord::HeartBeat { next })) => {
                    again.extend_from_slice(&wire::encode_heart_beat(next));
                }
                Ok(None) => break,
                Err(_) => return Verdict::Refused,
            }
        }
        assert!(decoder.buffered_bytes() <= stream.len());
    }
    same(decoder.finish().ok().map(|()| again), stream)
}

/// A list of ids.
#[must_use]
pub fn id_list(bytes: &[u8]) -> Verdict {
    let few = IdList::decode(bytes, IDS_MAX);
    let many = IdList::decode(bytes, HAVE_IDS_MAX);
    assert!(few.is_err() || few == many, "the limit decides nothing else");
    same(many.ok().map(|list| list.encode()), bytes)
}

/// An answer which chunks are known; the first two bytes say about how many.
#[must_use]
pub fn have_bitmap(bytes: &[u8]) -> Verdict {
    let Some((count, bitmap)) = bytes.split_first_chunk() else { return Verdict::Refused };
    let count = usize::from(u16::from_le_bytes(*count));
    same(HaveBitmap::decode(bitmap, count).ok().map(|answer| answer.encode()), bitmap)
}
