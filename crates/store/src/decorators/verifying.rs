//! Checks everything that goes in and comes out: for stores that are not trusted to do so.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use content::{ChunkId, Frame};

use crate::codecs::Codecs;
use crate::{Appended, ChunkStore, GcReport, Roots, Scope, StoreError, StoreStats, VerifyReport};

/// Compares all bytes with their ids, whatever the store within does.
///
/// It hashes on the calling task: meant for slow stores and tests.
pub struct Verifying<S> {
    inner: S,
    codecs: Codecs,
}

impl<S> Verifying<S> {
    /// Wraps `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner, codecs: Codecs::default() }
    }
}

#[async_trait]
impl<S: ChunkStore> ChunkStore for Verifying<S> {
    async fn has(&self, ids: &[ChunkId]) -> Result<Vec<bool>, StoreError> {
        self.inner.has(ids).await
    }

    async fn append(&self, frames: Vec<Frame>) -> Result<Appended, StoreError> {
        self.codecs.with(|codec| {
            frames.iter().try_for_each(|frame| codec.open(frame, |_| true, |_, _| ()))
        })?;
        self.inner.append(frames).await
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush().await
    }

    async fn read(&self, id: &ChunkId) -> Result<Option<Bytes>, StoreError> {
        let bytes = self.inner.read(id).await?;
        match bytes {
            Some(bytes) if ChunkId::of(&bytes) != *id => {
                tracing::warn!(%id, "a store returned other bytes");
                Err(StoreError::Damaged { id: *id })
            }
            other => Ok(other),
        }
    }

    async fn frames(&self, ids: &[ChunkId]) -> Result<(Vec<Frame>, Vec<ChunkId>), StoreError> {
        let (frames, mut missing) = self.inner.frames(ids).await?;
        let mut intact = Vec::with_capacity(frames.len());
        let wanted: HashSet<&ChunkId> = ids.iter().collect();
        self.codecs.with(|codec| {
            for frame in frames {
                let opened = codec.open(&frame, |_| true, |_, _| ());
                match opened.and_then(|()| frame.verify_check()) {
                    Ok(()) => intact.push(frame),
                    Err(error) => {
                        tracing::warn!(%error, "a store returned a damaged frame");
                        let named = frame.entries().iter().map(|entry| entry.id);
                        missing.extend(named.filter(|id| wanted.contains(id)));
                    }
                }
            }
        });
        Ok((intact, missing))
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
