//! Fails on demand, for tests of whoever uses a store.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use content::{ChunkId, Frame};

use crate::codecs::lock;
use crate::{Appended, ChunkStore, GcReport, Roots, Scope, StoreError, StoreStats, VerifyReport};

/// A call of [`ChunkStore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `has`
    Has,
    /// `append`
    Append,
    /// `flush`
    Flush,
    /// `read`
    Read,
    /// `frames`
    Frames,
    /// `stats`
    Stats,
    /// `verify`
    Verify,
    /// `gc`
    Gc,
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    pass: u64,
    fail: u64,
}

/// Lets calls fail with [`StoreError::Injected`] before the store within sees them.
pub struct Faulty<S> {
    inner: S,
    plans: Mutex<HashMap<Operation, Plan>>,
}

impl<S> Faulty<S> {
    /// Wraps `inner`; nothing fails yet.
    pub fn new(inner: S) -> Self {
        Self { inner, plans: Mutex::default() }
    }

    /// Lets `pass` calls of `operation` through, then `fail` calls fail, then all pass.
    pub fn plan(&self, operation: Operation, pass: u64, fail: u64) {
        lock(&self.plans).insert(operation, Plan { pass, fail });
    }

    fn meet(&self, operation: Operation) -> Result<(), StoreError> {
        let mut plans = lock(&self.plans);
        let Some(plan) = plans.get_mut(&operation) else { return Ok(()) };
        if plan.pass > 0 {
            plan.pass -= 1;
        } else if plan.fail > 0 {
            plan.fail -= 1;
            return Err(StoreError::Injected);
        }
        Ok(())
    }
}

#[async_trait]
impl<S: ChunkStore> ChunkStore for Faulty<S> {
    async fn has(&self, ids: &[ChunkId]) -> Result<Vec<bool>, StoreError> {
        self.meet(Operation::Has)?;
        self.inner.has(ids).await
    }

    async fn append(&self, frames: Vec<Frame>) -> Result<Appended, StoreError> {
        self.meet(Operation::Append)?;
        self.inner.append(frames).await
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.meet(Operation::Flush)?;
        self.inner.flush().await
    }

    async fn read(&self, id: &ChunkId) -> Result<Option<Bytes>, StoreError> {
        self.meet(Operation::Read)?;
        self.inner.read(id).await
    }

    async fn frames(&self, ids: &[ChunkId]) -> Result<(Vec<Frame>, Vec<ChunkId>), StoreError> {
        self.meet(Operation::Frames)?;
        self.inner.frames(ids).await
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        self.meet(Operation::Stats)?;
        self.inner.stats().await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.inner.check_writable().await
    }

    async fn verify(&self, how: Scope) -> Result<VerifyReport, StoreError> {
        self.meet(Operation::Verify)?;
        self.inner.verify(how).await
    }

    async fn gc(
        &self,
        roots: &dyn Roots,
        grace: Duration,
        now: SystemTime,
    ) -> Result<GcReport, StoreError> {
        self.meet(Operation::Gc)?;
        self.inner.gc(roots, grace, now).await
    }
}
