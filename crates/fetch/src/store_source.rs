//! A chunk store as a source.

use std::sync::Arc;

use async_trait::async_trait;
use content::{ChunkId, Frame};
use store::ChunkStore;
use tokio::sync::mpsc;

use crate::{Source, SourceError};

/// About how much is read from the store at a time.
const READ_BYTES: usize = 4 << 20;
/// Read at first, before the usual length of a chunk is known: 32 MiB at most.
const READ_IDS_FIRST: usize = 16;
const READ_IDS_MAX: usize = 256;

/// Asks a store, most often one on this machine.
pub struct StoreSource {
    name: String,
    store: Arc<dyn ChunkStore>,
}

impl StoreSource {
    /// Asks `store`, known to people as `name`.
    #[must_use]
    pub fn new(name: impl Into<String>, store: Arc<dyn ChunkStore>) -> Self {
        Self { name: name.into(), store }
    }
}

#[async_trait]
impl Source for StoreSource {
    fn name(&self) -> &str {
        &self.name
    }

    async fn fetch(&self, ids: &[ChunkId], frames: mpsc::Sender<Frame>) -> Result<(), SourceError> {
        let mut rest = ids;
        let mut count = READ_IDS_FIRST;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(count.min(rest.len()));
            rest = later;
            let found = self.store.frames(now).await;
            let (found, missing) = found.map_err(|error| SourceError::Failed(error.to_string()))?;
            let bytes: usize = found.iter().map(Frame::plain_length).sum();
            let average = bytes / (now.len() - missing.len().min(now.len() - 1));
            count = (READ_BYTES / average.max(1)).clamp(1, READ_IDS_MAX);
            for frame in found {
                if frames.send(frame).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
