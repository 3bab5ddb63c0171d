//! What the roots need, for `gc`.

use std::collections::HashSet;

use content::{ChunkId, Closure, ClosureHead};

use crate::{ChunkStore, Roots, StoreError};

/// The first eight bytes of every id to keep.
///
/// 10 million chunks take about 200 MB instead of 700 MB; a collision (one in 10^12 for one
/// chunk) keeps a chunk that could have gone, never the other way round.
#[derive(Debug, Default)]
pub(crate) struct Marked {
    ids: HashSet<u64>,
    heads: HashSet<ChunkId>,
}

impl Marked {
    pub(crate) fn needs(&self, id: &ChunkId) -> bool {
        self.ids.contains(&short(id))
    }

    pub(crate) fn len(&self) -> u64 {
        self.ids.len() as u64
    }

    pub(crate) fn keep(&mut self, id: &ChunkId) {
        self.ids.insert(short(id));
    }

    /// Marks what roots that were not seen before need.
    pub(crate) async fn extend(
        &mut self,
        store: &dyn ChunkStore,
        roots: &dyn Roots,
    ) -> Result<(), StoreError> {
        for id in roots.closures().map_err(StoreError::Roots)? {
            if self.heads.contains(&id) {
                continue;
            }
            let malformed = |id| move |source| StoreError::ClosureMalformed { id, source };
            let head = ClosureHead::decode(&needed(store, id).await?).map_err(malformed(id))?;
            self.keep(&id);
            self.keep(&head.tree);
            for segment in &head.segments {
                let bytes = needed(store, segment.id).await?;
                let listed = Closure::decode(&bytes).map_err(malformed(segment.id))?;
                self.keep(&segment.id);
                listed.0.iter().for_each(|entry| self.keep(&entry.id));
            }
            self.heads.insert(id);
        }
        Ok(())
    }
}

async fn needed(store: &dyn ChunkStore, id: ChunkId) -> Result<bytes::Bytes, StoreError> {
    store.read(&id).await?.ok_or(StoreError::ClosureMissing { id })
}

pub(crate) fn short(id: &ChunkId) -> u64 {
    u64::from_le_bytes(*id.as_bytes().first_chunk().expect("an id has 32 bytes"))
}
