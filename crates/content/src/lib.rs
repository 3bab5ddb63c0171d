//! What Consign carries: chunks, frames, trees, closures, and how their bytes look.
//!
//! This crate is words only: it computes ids, cuts, encodes, decodes and seals, and it
//! does no IO and knows no clock. Every byte layout is described in `docs/format.md`.
//!
//! * [`id`]: [`BlobId`] and [`ChunkId`], BLAKE3-256 of a file's and of a chunk's bytes.
//! * [`cut`]: where a file is cut into chunks and where its holes are.
//! * [`group`]: which small neighbours share a chunk.
//! * [`mod@reference`]: how one thing names another ([`ChunkRef`], [`Contents`]).
//! * [`node`]: one directory as deterministic CBOR ([`Node`], [`Entry`]).
//! * [`root`]: the record a tree id is the hash of ([`TreeRoot`]).
//! * [`bounds`]: how large a tree may be, and whether one is.
//! * [`closure`]: the flat list of chunks under a tree, readable by blind relays.
//! * [`seal`]: convergent encryption with a secret.
//! * [`frame`]: chunks that are stored or sent together, compressed together.
//! * [`buffers`]: memory of frames, used again.
//! * [`cbor`]: the one way in and out of deterministic CBOR, also for the `documents` crate.
//!
//! Invariant: every decoder here takes untrusted bytes. It never panics, allocates no more
//! than a small multiple of its input (or of a limit stated beside it), and accepts exactly
//! one encoding of a value: what decodes re-encodes to the same bytes.
//!
//! Start reading at [`mod@reference`], then [`node`].

pub mod bounds;
pub mod buffers;
pub mod cbor;
pub mod closure;
pub mod cut;
pub mod frame;
pub mod group;
pub mod id;
pub mod node;
pub mod reference;
pub mod root;
pub mod seal;

pub use buffers::{Buffer, Buffers};
pub use cbor::DecodeError;
pub use closure::{Closure, ClosureHead};
pub use frame::{Frame, FrameEntry};
pub use id::{BlobId, ChunkId};
pub use node::{Entry, Kind, Mtime, Name, Node, Owner};
pub use reference::{ChunkRef, Contents, ListSegment, Piece, Sealing};
pub use root::{Totals, TreeRef, TreeRoot};
pub use seal::{ConvergenceSecret, Sealer};

/// The largest chunk any decoder accepts, in bytes.
///
/// The largest size class cuts at 2 MiB ([`cut::CLASSES`]); sealing adds 17 bytes.
pub const CHUNK_BYTES_MAX: usize = 2 * 1024 * 1024 + 64;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
use golden_tests::golden;
