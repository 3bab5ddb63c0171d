//! Counts what a store is asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use content::{ChunkId, Frame};

use crate::{Appended, ChunkStore, GcReport, Roots, Scope, StoreError, StoreStats, VerifyReport};

/// What went through a [`Counting`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of any kind.
    pub calls: u64,
    /// Calls of `flush`.
    pub flushes: u64,
    /// Ids asked for by `has`.
    pub chunks_asked: u64,
    /// Encoded bytes of appended frames.
    pub bytes_in: u64,
    /// Bytes of chunks and encoded frames returned.
    pub bytes_out: u64,
}

/// Counts calls and bytes.
pub struct Counting<S> {
    inner: S,
    calls: AtomicU64,
    flushes: AtomicU64,
    chunks_asked: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl<S> Counting<S> {
    /// Wraps `inner`.
    pub fn new(inner: S) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            inner,
            calls: zero(),
            flushes: zero(),
            chunks_asked: zero(),
            bytes_in: zero(),
            bytes_out: zero(),
        }
    }

    /// What went through so far.
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            calls: of(&self.calls),
            flushes: of(&self.flushes),
            chunks_asked: of(&self.chunks_asked),
            bytes_in: of(&self.bytes_in),
            bytes_out: of(&self.bytes_out),
        }
    }

    fn add(counter: &AtomicU64, by: usize) {
        counter.fetch_add(by as u64, Ordering::Relaxed);
    }
}

#[async_trait]
impl<S: ChunkStore> ChunkStore for Counting<S> {
    async fn has(&self, ids: &[ChunkId]) -> Result<Vec<bool>, StoreError> {
        Self::add(&self.calls, 1);
        Self::add(&self.chunks_asked, ids.len());
        self.inner.has(ids).await
    }

    async fn append(&self, frames: Vec<Frame>) -> Result<Appended, StoreError> {
        Self::add(&self.calls, 1);
        let bytes = frames.iter().map(Frame::encoded_length).sum();
        Self::add(&self.bytes_in, bytes);
        self.inner.append(frames).await
    }

    async fn flush(&self) -> Result<(), StoreError> {
        Self::add(&self.calls, 1);
        Self::add(&self.flushes, 1);
        self.inner.flush().await
    }

    async fn read(&self, id: &ChunkId) -> Result<Option<Bytes>, StoreError> {
        Self::add(&self.calls, 1);
        let bytes = self.inner.read(id).await?;
        Self::add(&self.bytes_out, bytes.as_ref().map_or(0, Bytes::len));
        Ok(bytes)
    }

    async fn frames(&self, ids: &[ChunkId]) -> Result<(Vec<Frame>, Vec<ChunkId>), StoreError> {
        Self::add(&self.calls, 1);
        let (frames, missing) = self.inner.frames(ids).await?;
        Self::add(&self.bytes_out, frames.iter().map(Frame::encoded_length).sum());
        Ok((frames, missing))
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        Self::add(&self.calls, 1);
        self.inner.stats().await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        Self::add(&self.calls, 1);
        self.inner.check_writable().await
    }

    async fn verify(&self, how: Scope) -> Result<VerifyReport, StoreError> {
        Self::add(&self.calls, 1);
        self.inner.verify(how).await
    }

    async fn gc(
        &self,
        roots: &dyn Roots,
        grace: Duration,
        now: SystemTime,
    ) -> Result<GcReport, StoreError> {
        Self::add(&self.calls, 1);
        self.inner.gc(roots, grace, now).await
    }
}
