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
    /// Heads and segments that were read: a segment that releases share is read once. Whole
    /// ids, because a collision here would leave a segment unread.
    read: HashSet<ChunkId>,
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
        for id in roots.closures().await.map_err(StoreError::Roots)? {
            if self.read.contains(&id) {
                continue;
            }
            let malformed = |id| move |source| StoreError::ClosureMalformed { id, source };
            let head = ClosureHead::decode(&needed(store, id).await?).map_err(malformed(id))?;
            self.keep(&id);
            self.keep(&head.tree);
            for segment in &head.segments {
                if self.read.contains(&segment.id) {
                    continue;
                }
                let bytes = needed(store, segment.id).await?;
                let listed = Closure::decode(&bytes).map_err(malformed(segment.id))?;
                self.keep(&segment.id);
                listed.0.iter().for_each(|entry| self.keep(&entry.id));
                self.read.insert(segment.id);
            }
            self.read.insert(id);
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

#[cfg(test)]
mod tests {
    use content::closure::ClosureBuilder;
    use content::frame::{Codec, FrameBuilder, FrameCodec};

    use super::*;
    use crate::suite::{Kept, id, ids};
    use crate::{Counting, MemoryStore};

    /// The closures of two trees that list the same chunks: heads of their own, one segment.
    async fn with_a_shared_segment(store: &MemoryStore) -> [ChunkId; 2] {
        let mut frame = FrameBuilder::default();
        let mut heads = Vec::new();
        for root in [0, 1] {
            let mut builder = ClosureBuilder::default();
            for id in ids(0..20) {
                let entry = content::closure::ClosureEntry { id, stored_length: 10 };
                assert!(builder.push(entry).is_none(), "one segment holds them");
            }
            let (segment, head) = builder.finish(id(root));
            for bytes in [segment.expect("the only one"), head.encode()] {
                frame.push(ChunkId::of(&bytes), &bytes);
            }
            heads.push(ChunkId::of(&head.encode()));
        }
        let (entries, plain) = frame.take().expect("not empty");
        let frame = FrameCodec::default().encode(entries, plain, Codec::Zstd);
        store.append(vec![frame]).await.expect("room");
        heads.try_into().expect("two of them")
    }

    #[tokio::test]
    async fn what_releases_share_is_read_once() {
        let memory = MemoryStore::new();
        let heads = with_a_shared_segment(&memory).await;
        let store = Counting::new(memory);
        let mut marked = Marked::default();
        marked.extend(&store, &Kept(heads.to_vec())).await.expect("all is there");
        assert_eq!(store.counts().calls, 3, "two heads and their segment");
        assert!(ids(0..20).iter().chain(&heads).all(|id| marked.needs(id)));
        marked.extend(&store, &Kept(heads.to_vec())).await.expect("all is there");
        assert_eq!(store.counts().calls, 3, "and nothing twice");
    }
}
