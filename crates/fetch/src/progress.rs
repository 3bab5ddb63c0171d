//! What others may watch while a fetch runs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use fetch_plan::Progress;

/// What a fetch waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitsFor {
    /// A phrase that follows "waits for".
    pub what: String,
    /// Since when.
    pub since: Instant,
}

/// Counters that a fetch keeps up to date, shared by any number of fetches and watchers.
#[derive(Debug, Default)]
pub struct FetchProgress {
    wanted_chunks: AtomicU64,
    wanted_bytes: AtomicU64,
    retrieved_chunks: AtomicU64,
    retrieved_bytes: AtomicU64,
    wasted_bytes: AtomicU64,
    waits_for: Mutex<Option<WaitsFor>>,
}

impl FetchProgress {
    /// Chunks wanted so far.
    pub fn wanted_chunks(&self) -> u64 {
        self.wanted_chunks.load(Relaxed)
    }

    /// Their bytes.
    pub fn wanted_bytes(&self) -> u64 {
        self.wanted_bytes.load(Relaxed)
    }

    /// Chunks retrieved so far.
    pub fn retrieved_chunks(&self) -> u64 {
        self.retrieved_chunks.load(Relaxed)
    }

    /// Their bytes.
    pub fn retrieved_bytes(&self) -> u64 {
        self.retrieved_bytes.load(Relaxed)
    }

    /// Bytes that arrived for nothing.
    pub fn wasted_bytes(&self) -> u64 {
        self.wasted_bytes.load(Relaxed)
    }

    /// What the fetch waits for; `None` when it has nothing to wait for.
    pub fn waits_for(&self) -> Option<WaitsFor> {
        self.waits_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds what changed between two looks at one plan.
    pub(crate) fn advance(&self, before: &Progress, after: &Progress) {
        let add = |counter: &AtomicU64, before: u64, after: u64| {
            counter.fetch_add(after.saturating_sub(before), Relaxed);
        };
        add(&self.wanted_chunks, before.wanted_pieces, after.wanted_pieces);
        add(&self.wanted_bytes, before.wanted_bytes, after.wanted_bytes);
        add(&self.retrieved_chunks, before.retrieved_pieces, after.retrieved_pieces);
        add(&self.retrieved_bytes, before.retrieved_bytes, after.retrieved_bytes);
        add(&self.wasted_bytes, before.wasted_bytes, after.wasted_bytes);
    }

    pub(crate) fn set_waits_for(&self, waits_for: Option<WaitsFor>) {
        *self.waits_for.lock().unwrap_or_else(PoisonError::into_inner) = waits_for;
    }
}
