//! What the calls of a store report.

use std::fmt;

use content::ChunkId;

/// What [`crate::ChunkStore::append`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// Chunks that were not here before.
    pub new_chunks: u64,
    /// Chunks that were, or that came twice.
    pub known_chunks: u64,
    /// Plain bytes of the new chunks.
    pub new_bytes: u64,
}

/// What a store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Distinct chunks.
    pub chunks: u64,
    /// Their bytes added up, before compression.
    pub plain_bytes: u64,
    /// Bytes of the packs, which is what the quota counts; the index comes on top.
    pub stored_bytes: u64,
    /// Packs.
    pub packs: u64,
}

/// How much [`crate::ChunkStore::verify`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// About so many of a thousand frames, others each time.
    Sample(u32),
}

/// What [`crate::ChunkStore::verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Chunks read and compared with their ids.
    pub checked: u64,
    /// Damaged places.
    pub damaged: Vec<Damage>,
}

/// A frame that is no longer what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Number of the pack.
    pub pack: u32,
    /// Where in the pack the frame begins, in bytes.
    pub offset: u64,
    /// The chunks that are lost.
    pub ids: Vec<ChunkId>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} chunks in pack {:08x} at {}", self.ids.len(), self.pack, self.offset)
    }
}

/// What [`crate::ChunkStore::gc`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Chunks removed.
    pub removed_chunks: u64,
    /// Bytes freed.
    pub freed_bytes: u64,
    /// Chunks that roots need.
    pub kept_chunks: u64,
    /// Packs copied in part because little of them was needed.
    pub rewritten_packs: u64,
}
