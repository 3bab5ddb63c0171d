//! What travels between a node and a hub besides JSON: chunks in frames, lists of ids, and segments of
//! deliveries.
//!
//! Untrusted bytes to typed messages and back; no sockets, no tasks, no clock. Every byte is
//! described in `docs/format.md`. The chunks inside a frame are *not* verified here: whoever
//! opens the frame does that, see [`content::frame::FrameCodec::open`].
//!
//! * [`stream`]: frames one after another with an end marker ([`FrameStreamDecoder`]).
//! * [`segments`]: segments of a live delivery with heart-beats between them
//!   ([`SegmentStreamDecoder`]).
//! * [`ids`]: lists of chunk ids ([`IdList`]) and the answer which are known ([`HaveBitmap`]).
//!
//! Invariant: what is buffered is bounded by one frame or segment plus what was pushed last. Lengths are
//! checked before anything is waited for, and each message has exactly one encoding.
//!
//! Start reading at [`stream`].

pub mod ids;
pub mod segments;
pub mod stream;

pub use ids::{HAVE_IDS_MAX, HaveBitmap, IDS_MAX, IdList, IdListError};
pub use segments::{
    SEGMENT_BYTES_MAX, SEGMENT_HEAD_BYTES, SegmentError, SegmentRecord, SegmentStreamDecoder,
    encode_heart_beat, encode_segment_head,
};
pub use stream::{FrameStreamDecoder, MISSING_MAX, StreamError, encode_end, encode_frame};
