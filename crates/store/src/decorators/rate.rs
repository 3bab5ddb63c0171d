//! Slows a store down.

use std::num::NonZeroU64;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use content::{ChunkId, Frame};
use tokio::time::Instant;

use crate::codecs::lock;
use crate::{Appended, ChunkStore, GcReport, Roots, Scope, StoreError, StoreStats, VerifyReport};

/// Lets so many bytes a second through, both ways together; calls wait for their turn.
pub struct RateLimited<S> {
    inner: S,
    bytes_per_second: NonZeroU64,
    /// When the bytes granted so far are through.
    free_at: Mutex<Option<Instant>>,
}

impl<S> RateLimited<S> {
    /// Wraps `inner`.
    pub fn new(inner: S, bytes_per_second: NonZeroU64) -> Self {
        Self { inner, bytes_per_second, free_at: Mutex::new(None) }
    }

    async fn spend(&self, bytes: usize) {
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second.get() as f64);
        let until = {
            let mut free_at = lock(&self.free_at);
            let now = Instant::now();
            let until = free_at.map_or(now, |free_at| free_at.max(now)) + takes;
            *free_at = Some(until);
            until
        };
        tokio::time::sleep_until(until).await;
    }
}

#[async_trait]
impl<S: ChunkStore> ChunkStore for RateLimited<S> {
    async fn has(&self, ids: &[ChunkId]) -> Result<Vec<bool>, StoreError> {
        self.inner.has(ids).await
    }

    async fn append(&self, frames: Vec<Frame>) -> Result<Appended, StoreError> {
        let bytes = frames.iter().map(Frame::encoded_length).sum();
        self.spend(bytes).await;
        self.inner.append(frames).await
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush().await
    }

    async fn read(&self, id: &ChunkId) -> Result<Option<Bytes>, StoreError> {
        let bytes = self.inner.read(id).await?;
        self.spend(bytes.as_ref().map_or(0, Bytes::len)).await;
        Ok(bytes)
    }

    async fn frames(&self, ids: &[ChunkId]) -> Result<(Vec<Frame>, Vec<ChunkId>), StoreError> {
        let (frames, missing) = self.inner.frames(ids).await?;
        self.spend(frames.iter().map(Frame::encoded_length).sum()).await;
        Ok((frames, missing))
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        self.inner.stats().await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.inner.check_writable().await
    }

    async fn verify(&self, how: Scope) -> Result<VerifyReport, StoreError> {
        self.inner.verify(how).await
    }

    async fn gc(
        &self,
        roots: &dyn Roots,
        grace: Duration,
        now: SystemTime,
    ) -> Result<GcReport, StoreError> {
        self.inner.gc(roots, grace, now).await
    }
}
