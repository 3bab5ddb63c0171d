//! What is asked of a fetch and what it tells afterwards.

use content::{ChunkId, ChunkRef};
use fetch_plan::{Fault, Priority};

use crate::DestinationError;

/// A chunk to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Its id.
    pub id: ChunkId,
    /// Its length as stored, in bytes: plans and progress count with it, nothing is trusted.
    pub length: u32,
    /// How soon it is needed.
    pub priority: Priority,
}

impl Want {
    /// Wants the chunk that `reference` names.
    #[must_use]
    pub fn of(reference: &ChunkRef, priority: Priority) -> Self {
        Self { id: reference.id, length: reference.stored_length(), priority }
    }
}

/// What one source gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceShare {
    /// Its name.
    pub source: String,
    /// Bytes of the chunks it was the first to bring.
    pub bytes: u64,
    /// Chunks it was asked for and did not have.
    pub lacked: u64,
}

/// A source that misbehaved, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Culprit {
    /// Its name.
    pub source: String,
    /// What it did, as a fragment that follows the name.
    pub reason: String,
}

/// What a finished fetch did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchReport {
    /// Every source, in the order they were given to the fetcher.
    pub sources: Vec<SourceShare>,
    /// Sources that misbehaved, in the order it was noticed; a source may be named again when
    /// it misbehaves in another way.
    pub culprits: Vec<Culprit>,
    /// Chunks fetched.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that arrived for nothing: a second copy, chunks not asked for.
    pub wasted_bytes: u64,
}

impl FetchReport {
    /// Bytes that the source called `name` brought.
    #[must_use]
    pub fn bytes_from(&self, name: &str) -> u64 {
        self.sources.iter().filter(|share| share.source == name).map(|share| share.bytes).sum()
    }
}

/// Why one source could not give a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReason {
    /// Its name.
    pub source: String,
    /// Why it was dropped; none when it merely does not have the chunk.
    pub fault: Option<Fault>,
    /// The reason, as a fragment that follows the name.
    pub reason: String,
}

/// Why a fetch ended before everything was there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The fetcher has no source at all. Name a hub or a directory to fetch from.
    #[error("there is no source to fetch from")]
    NoSources,
    /// No source can give this chunk. What was fetched before is kept; fetch again when one of
    /// the reasons has gone, or with another source.
    #[error("no source gave chunk {}: {}", id.short(), list(reasons))]
    Unavailable {
        /// The chunk.
        id: ChunkId,
        /// Why, source by source.
        reasons: Vec<SourceReason>,
    },
    /// The destination failed. Repair it and fetch again: what it made durable stays.
    #[error("cannot write what was fetched")]
    Destination(#[source] DestinationError),
}

fn list(reasons: &[SourceReason]) -> String {
    let each = |reason: &SourceReason| format!("{} {}", reason.source, reason.reason);
    reasons.iter().map(each).collect::<Vec<_>>().join("; ")
}
