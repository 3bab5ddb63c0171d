//! A destination that watches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use content::ChunkId;
use fetch::{Destination, DestinationError};

use crate::{Honest, Library};

#[derive(Default)]
struct State {
    chunks: BTreeMap<ChunkId, Bytes>,
    bytes: u64,
    ahead_max: u64,
    twice: u64,
    finished: u64,
}

/// Keeps what is written, counts what is written twice, and may fail or watch a source.
#[derive(Default)]
pub struct Watching {
    state: Mutex<State>,
    source: Option<Arc<Honest>>,
    full_after: Option<u64>,
}

impl Watching {
    /// One that notes how far `source` runs ahead of what is written.
    #[must_use]
    pub fn source(source: &Arc<Honest>) -> Self {
        Self { source: Some(Arc::clone(source)), ..Self::default() }
    }

    /// One that has room for so many bytes.
    #[must_use]
    pub fn full_after(bytes: u64) -> Self {
        Self { full_after: Some(bytes), ..Self::default() }
    }

    /// Whether it holds exactly `library`, everything written once, and was finished once.
    #[must_use]
    pub fn holds(&self, library: &Library) -> bool {
        let state = self.state();
        let there = |id: &ChunkId| state.chunks.get(id) == library.chunk(id);
        state.chunks.len() == library.ids().len()
            && library.ids().iter().all(there)
            && state.twice == 0
            && state.finished == 1
    }

    /// Bytes written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// How often it was finished.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.state().finished
    }

    /// Most bytes the watched source had given and that were not written yet.
    #[must_use]
    pub fn ahead_max(&self) -> u64 {
        self.state().ahead_max
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Destination for Watching {
    fn write(&self, id: ChunkId, bytes: Bytes) -> Result<(), DestinationError> {
        let mut state = self.state();
        if let Some(source) = &self.source {
            state.ahead_max = state.ahead_max.max(source.given().saturating_sub(state.bytes));
        }
        if self.full_after.is_some_and(|limit| state.bytes >= limit) {
            return Err(DestinationError::refused("the disk is full"));
        }
        state.bytes += bytes.len() as u64;
        if state.chunks.insert(id, bytes).is_some() {
            state.twice += 1;
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), DestinationError> {
        self.state().finished += 1;
        Ok(())
    }
}
