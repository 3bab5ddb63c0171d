//! Keeping the node's store small: `consign node --cache SIZE`.
//!
//! The store holds metadata that jobs read, and what `put` keeps. The first can be had again from
//! where it came from, so the longest not used of it goes once the store is larger than wanted.
//! What `put` keeps never goes, nor what anybody used since the oldest running job began: the
//! store may stay larger for that, and [`CacheStatus`] shows it.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use node_api::status::{CacheStatus, JobStatus};
use store::{GcReport, StoreError};

use crate::local::PutRoots;
use crate::state::Node;

/// How often the size of the store is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Until a store that could not be made small enough is tried again: each try reads all packs'
/// directories.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The bound of a store, and what went for it.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    max_bytes: Option<u64>,
    evicted_chunks: AtomicU64,
    evicted_bytes: AtomicU64,
}

impl Cache {
    pub(crate) fn of(max_bytes: u64) -> Self {
        Self { max_bytes: Some(max_bytes), ..Self::default() }
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.max_bytes.is_some()
    }
}

impl Node {
    /// The bound of the store and what went for it; `None` without a bound.
    #[must_use]
    pub fn cache_status(&self) -> Option<CacheStatus> {
        let max_bytes = self.cache.max_bytes?;
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        Some(CacheStatus {
            max_bytes,
            stored_bytes: store.map(|store| store.stored_bytes()),
            evicted_chunks: self.cache.evicted_chunks.load(Relaxed),
            evicted_bytes: self.cache.evicted_bytes.load(Relaxed),
        })
    }

    /// Keeps the store below its bound for as long as it is polled; `jobs` tells what runs.
    pub(crate) async fn keep_small(&self, jobs: impl Fn() -> Vec<JobStatus>) {
        let Some(max_bytes) = self.cache.max_bytes else { return std::future::pending().await };
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let store = self.store.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
            let Some(store) = store else { continue };
            if store.stored_bytes() <= max_bytes {
                continue;
            }
            // Times are whole seconds: the second before counts too.
            let oldest = jobs().iter().map(|job| job.started.saturating_sub(1)).min();
            let since = match oldest {
                Some(oldest) => UNIX_EPOCH + Duration::from_secs(oldest),
                None => SystemTime::now() + Duration::from_secs(1),
            };
            let roots = PutRoots(self.roots_path());
            match store.trim(max_bytes, &roots, since).await {
                Ok(report) => self.note_trim(&report),
                Err(error) => self.warn(&error),
            }
            if store.stored_bytes() > max_bytes {
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }

    fn note_trim(&self, report: &GcReport) {
        self.cache.evicted_chunks.fetch_add(report.removed_chunks, Relaxed);
        self.cache.evicted_bytes.fetch_add(report.freed_bytes, Relaxed);
        if report.removed_chunks > 0 {
            tracing::info!(
                chunks = report.removed_chunks,
                bytes = report.freed_bytes,
                "evicted what was longest not used"
            );
        }
    }

    fn warn(&self, error: &StoreError) {
        tracing::warn!(%error, state = %self.directory().display(), "the store cannot be made smaller");
    }
}
