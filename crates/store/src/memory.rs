//! Chunks in memory: for tests, and for a command while another process has the disk's store.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use content::{ChunkId, Frame};

use crate::codecs::{Codecs, Gatherer, lock};
use crate::mark::Marked;
use crate::{
    Appended, ChunkStore, Damage, GcReport, Limit, Roots, Scope, StoreError, StoreStats,
    VerifyReport,
};

struct Held {
    bytes: Bytes,
    since: SystemTime,
}

#[derive(Default)]
struct Chunks {
    held: HashMap<ChunkId, Held>,
    bytes: u64,
    /// Ids asked for or sent again while `gc` runs.
    touched: Option<HashSet<ChunkId>>,
}

/// Keeps chunks as long as it lives; `flush` has nothing to do.
pub struct MemoryStore {
    chunks: Mutex<Chunks>,
    codecs: Codecs,
    quota_bytes: u64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store without a limit.
    #[must_use]
    pub fn new() -> Self {
        Self::with_quota(u64::MAX)
    }

    /// An empty store for at most `quota_bytes` plain bytes.
    #[must_use]
    pub fn with_quota(quota_bytes: u64) -> Self {
        Self { chunks: Mutex::default(), codecs: Codecs::default(), quota_bytes }
    }
}

#[async_trait]
impl ChunkStore for MemoryStore {
    async fn has(&self, ids: &[ChunkId]) -> Result<Vec<bool>, StoreError> {
        let mut chunks = lock(&self.chunks);
        if let Some(touched) = &mut chunks.touched {
            touched.extend(ids);
        }
        Ok(ids.iter().map(|id| chunks.held.contains_key(id)).collect())
    }

    async fn append(&self, frames: Vec<Frame>) -> Result<Appended, StoreError> {
        let mut opened = Vec::new();
        self.codecs.with(|codec| {
            frames.iter().try_for_each(|frame| {
                codec.open(frame, |_| true, |id, bytes| opened.push((id, bytes)))
            })
        })?;
        let mut chunks = lock(&self.chunks);
        let mut appended = Appended::default();
        let mut distinct = HashSet::new();
        for (id, bytes) in &opened {
            if chunks.held.contains_key(id) || !distinct.insert(*id) {
                appended.known_chunks += 1;
            } else {
                appended.new_chunks += 1;
                appended.new_bytes += bytes.len() as u64;
            }
        }
        let needed = chunks.bytes.saturating_add(appended.new_bytes);
        if needed > self.quota_bytes {
            let missing_bytes = needed - self.quota_bytes;
            return Err(StoreError::Full { limit: Limit::Quota, missing_bytes });
        }
        chunks.bytes = needed;
        let since = SystemTime::now();
        for (id, bytes) in opened {
            if let Some(touched) = &mut chunks.touched {
                touched.insert(id);
            }
            // A piece would keep its whole frame, of which the quota counts this chunk alone.
            let held = || Held { bytes: Bytes::copy_from_slice(&bytes), since };
            chunks.held.entry(id).or_insert_with(held);
        }
        Ok(appended)
    }

    async fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn read(&self, id: &ChunkId) -> Result<Option<Bytes>, StoreError> {
        Ok(lock(&self.chunks).held.get(id).map(|held| held.bytes.clone()))
    }

    async fn frames(&self, ids: &[ChunkId]) -> Result<(Vec<Frame>, Vec<ChunkId>), StoreError> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        {
            let chunks = lock(&self.chunks);
            let mut distinct = HashSet::new();
            for id in ids.iter().filter(|id| distinct.insert(**id)) {
                match chunks.held.get(id) {
                    Some(held) => found.push((*id, held.bytes.clone())),
                    None => missing.push(*id),
                }
            }
        }
        let frames = self.codecs.with(|codec| {
            let mut gatherer = Gatherer::default();
            for (id, bytes) in &found {
                gatherer.chunk(*id, bytes, codec);
            }
            gatherer.finish(codec)
        });
        Ok((frames, missing))
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        let chunks = lock(&self.chunks);
        Ok(StoreStats {
            chunks: chunks.held.len() as u64,
            plain_bytes: chunks.bytes,
            stored_bytes: chunks.bytes,
            packs: 0,
        })
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        if lock(&self.chunks).bytes >= self.quota_bytes {
            return Err(StoreError::Full { limit: Limit::Quota, missing_bytes: 1 });
        }
        Ok(())
    }

    async fn verify(&self, how: Scope) -> Result<VerifyReport, StoreError> {
        let chunks = lock(&self.chunks);
        let share = match how {
            Scope::All => chunks.held.len(),
            Scope::Sample(thousandths) => chunks.held.len() * thousandths as usize / 1000,
        };
        let checked = chunks.held.iter().take(share);
        let ids: Vec<ChunkId> = checked
            .filter(|(id, held)| ChunkId::of(&held.bytes) != **id)
            .map(|(id, _)| *id)
            .collect();
        let damaged =
            if ids.is_empty() { Vec::new() } else { vec![Damage { pack: 0, offset: 0, ids }] };
        Ok(VerifyReport { checked: share as u64, damaged })
    }

    async fn gc(
        &self,
        roots: &dyn Roots,
        grace: Duration,
        now: SystemTime,
    ) -> Result<GcReport, StoreError> {
        lock(&self.chunks).touched = Some(HashSet::new());
        let mut marked = Marked::default();
        let result = marked.extend(self, roots).await;
        let result = match result {
            Ok(()) => marked.extend(self, roots).await,
            Err(error) => Err(error),
        };
        let mut chunks = lock(&self.chunks);
        let touched = chunks.touched.take().unwrap_or_default();
        result?;
        let (count, bytes) = (chunks.held.len() as u64, chunks.bytes);
        let mut left = 0;
        chunks.held.retain(|id, held| {
            let young = now.duration_since(held.since).unwrap_or_default() < grace;
            let keep = young || marked.needs(id) || touched.contains(id);
            left += if keep { held.bytes.len() as u64 } else { 0 };
            keep
        });
        chunks.bytes = left;
        Ok(GcReport {
            removed_chunks: count - chunks.held.len() as u64,
            freed_bytes: bytes - left,
            kept_chunks: marked.len(),
            rewritten_packs: 0,
        })
    }
}
