//! Keeps chunks: verified when they come, durable before anybody is told, verified when they go.
//!
//! [`ChunkStore`] is the trait; [`MemoryStore`] and [`DiskStore`] implement it, and the
//! decorators [`Verifying`], [`RateLimited`], [`Counting`] and [`Faulty`] wrap any of them. All
//! of them pass one suite (`suite.rs`). The store knows chunks and closures alone: what a tree
//! is, who may read a chunk and where else it could be found is known elsewhere.
//!
//! Invariants:
//! * Bytes under an id have that id: checked on the way in and on the way out. Damage is
//!   reported and logged, never returned.
//! * What [`ChunkStore::flush`] covered survives a crash; nothing else was promised.
//! * After a failed write or sync nothing more is written until the store is opened again.
//!
//! Start reading at [`ChunkStore`], then `disk.rs`, whose head gives the byte layout.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use content::{ChunkId, Frame};

mod codecs;
mod decorators;
mod disk;
mod error;
mod mark;
mod memory;
mod report;
#[cfg(test)]
mod suite;

pub use decorators::{Counting, Counts, Faulty, Operation, RateLimited, Verifying};
pub use disk::{DiskOptions, DiskStore, catches_panics};
pub use error::{Limit, StoreError};
pub use memory::MemoryStore;
pub use report::{Appended, Damage, GcReport, Scope, StoreStats, VerifyReport};

/// Plain bytes and entries after which [`ChunkStore::frames`] stops; one frame or 2 MiB chunk may
/// come on top.
pub const FRAMES_BYTES: usize = 2 << 20;

/// Why it is not known what must be kept.
pub type RootsError = Box<dyn std::error::Error + Send + Sync>;

/// What must be kept: asked twice or more in one [`ChunkStore::gc`].
#[async_trait]
pub trait Roots: Send + Sync {
    /// Ids of the closure heads of everything to keep, as of now.
    ///
    /// The first call comes after the store has begun to remember every id it is asked for, so
    /// whoever checks the chunks of a new root with [`ChunkStore::has`] from then on keeps them.
    /// Later calls come while the store takes no writes: they must not wait for a writer.
    ///
    /// # Errors
    /// When they cannot all be told; then nothing is removed.
    async fn closures(&self) -> Result<Vec<ChunkId>, RootsError>;
}

/// A place that keeps chunks.
///
/// The calls suit an object store as well as a disk: many ids and whole frames at a time, and
/// one explicit point of durability. Dropping a future cancels the wait, not the work.
#[async_trait]
pub trait ChunkStore: Send + Sync {
    /// Whether each chunk is here, in the order asked; chunks found damaged are not, chunks not
    /// flushed yet are: flush before relying on the answer for good.
    ///
    /// # Errors
    /// When the index cannot be read.
    async fn has(&self, ids: &[ChunkId]) -> Result<Vec<bool>, StoreError>;

    /// Takes frames in and verifies every chunk; chunks already here are not stored again.
    ///
    /// This is no acknowledgement: only [`ChunkStore::flush`] makes them last.
    ///
    /// # Errors
    /// [`StoreError::WrongBytes`] and [`StoreError::BadFrame`] before anything is stored;
    /// [`StoreError::Full`] when there is no room.
    async fn append(&self, frames: Vec<Frame>) -> Result<Appended, StoreError>;

    /// Makes everything appended before the call durable and indexed.
    ///
    /// Calls that overlap share one sync.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`] and what led to it: nothing since the last good flush is promised.
    /// [`StoreError::Full`] when there is no room for the index: nothing is lost, a later flush
    /// makes all of it last.
    async fn flush(&self) -> Result<(), StoreError>;

    /// The verified bytes of one chunk; `None` when it is not here. They keep no more in memory
    /// than their length: never a frame they were a piece of.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the bytes are no longer what they were.
    async fn read(&self, id: &ChunkId) -> Result<Option<Bytes>, StoreError>;

    /// Frames that together hold the wanted chunks, and the wanted chunks that are not here (or
    /// are damaged).
    ///
    /// A stored frame comes whole when at least three quarters of its bytes are wanted, so it
    /// may hold more than was asked for. Frames come in the order of the first wanted chunk in
    /// them. Everything is held in memory at once, so a store stops after about
    /// [`FRAMES_BYTES`]: ask again for the ids that are neither in a frame nor missing. At
    /// least one id is answered, so asking again comes to an end.
    ///
    /// # Errors
    /// When the index or the disk cannot be read; damage is no error here.
    async fn frames(&self, ids: &[ChunkId]) -> Result<(Vec<Frame>, Vec<ChunkId>), StoreError>;

    /// Counts what is here.
    ///
    /// # Errors
    /// When the index cannot be read.
    async fn stats(&self) -> Result<StoreStats, StoreError>;

    /// Whether an [`ChunkStore::append`] would be taken now; nothing is written.
    ///
    /// # Errors
    /// [`StoreError::Full`] without room for one more byte, [`StoreError::Poisoned`] after a
    /// failed write or sync.
    async fn check_writable(&self) -> Result<(), StoreError>;

    /// Reads what is here and compares it with its hashes.
    ///
    /// # Errors
    /// When the index cannot be read; damage is in the report.
    async fn verify(&self, how: Scope) -> Result<VerifyReport, StoreError>;

    /// Removes chunks that no closure names and that came longer than `grace` before `now`.
    ///
    /// Safe beside readers and writers: chunks asked for or sent again while it runs are kept.
    ///
    /// # Errors
    /// [`StoreError::ClosureMissing`] or [`StoreError::ClosureMalformed`] when it is not known
    /// what must be kept: then nothing (more) is removed.
    async fn gc(
        &self,
        roots: &dyn Roots,
        grace: Duration,
        now: SystemTime,
    ) -> Result<GcReport, StoreError>;
}

#[async_trait]
impl<S: ChunkStore + ?Sized> ChunkStore for std::sync::Arc<S> {
    async fn has(&self, ids: &[ChunkId]) -> Result<Vec<bool>, StoreError> {
        (**self).has(ids).await
    }

    async fn append(&self, frames: Vec<Frame>) -> Result<Appended, StoreError> {
        (**self).append(frames).await
    }

    async fn flush(&self) -> Result<(), StoreError> {
        (**self).flush().await
    }

    async fn read(&self, id: &ChunkId) -> Result<Option<Bytes>, StoreError> {
        (**self).read(id).await
    }

    async fn frames(&self, ids: &[ChunkId]) -> Result<(Vec<Frame>, Vec<ChunkId>), StoreError> {
        (**self).frames(ids).await
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        (**self).stats().await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        (**self).check_writable().await
    }

    async fn verify(&self, how: Scope) -> Result<VerifyReport, StoreError> {
        (**self).verify(how).await
    }

    async fn gc(
        &self,
        roots: &dyn Roots,
        grace: Duration,
        now: SystemTime,
    ) -> Result<GcReport, StoreError> {
        (**self).gc(roots, grace, now).await
    }
}
