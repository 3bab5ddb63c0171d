//! What others may watch while a checkout runs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use fetch::{FetchProgress, WaitsFor};

/// Counters that a checkout keeps up to date.
#[derive(Debug, Default)]
pub struct CheckoutProgress {
    pub(crate) bytes_total: AtomicU64,
    pub(crate) bytes_done: AtomicU64,
    pub(crate) files_total: AtomicU64,
    pub(crate) files_done: AtomicU64,
    phase: Mutex<Option<WaitsFor>>,
    fetch: Arc<FetchProgress>,
}

impl CheckoutProgress {
    /// Bytes of all selected files, as far as the tree was read.
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total.load(Relaxed)
    }

    /// Bytes that are there: kept, reused or written.
    pub fn bytes_done(&self) -> u64 {
        self.bytes_done.load(Relaxed)
    }

    /// Selected files, as far as the tree was read.
    pub fn files_total(&self) -> u64 {
        self.files_total.load(Relaxed)
    }

    /// Files that are in place.
    pub fn files_done(&self) -> u64 {
        self.files_done.load(Relaxed)
    }

    /// What the fetch of contents counts.
    #[must_use]
    pub fn fetch(&self) -> &Arc<FetchProgress> {
        &self.fetch
    }

    /// What the checkout waits for; `None` when it has not begun or is done.
    pub fn waits_for(&self) -> Option<WaitsFor> {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone();
        phase.map(|phase| self.fetch.waits_for().unwrap_or(phase))
    }

    /// Enters a phase unless it is in it already.
    pub(crate) fn wait_for(&self, what: &str) {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if phase.is_none_or(|phase| phase.what != what) {
            self.enter(Some(what));
        }
    }

    pub(crate) fn enter(&self, what: Option<&str>) {
        let phase = what.map(|what| WaitsFor { what: what.into(), since: Instant::now() });
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Relaxed);
    }
}
