//! A chunk store that forgets what was not flushed when its machine stops.

use std::collections::BTreeMap;

use bytes::Bytes;
use content::frame::{Codec, FrameBuilder, FrameCodec};
use content::{ChunkId, Frame};
use futures_util::FutureExt as _;
use random::Random;
use store::{ChunkStore as _, Faulty, MemoryStore, Operation, StoreError};

/// What is durable is a [`MemoryStore`]; what is not stands before it.
pub(crate) struct Keeping {
    durable: Faulty<MemoryStore>,
    cached: BTreeMap<ChunkId, Bytes>,
    codec: FrameCodec,
}

/// Memory never lets anybody wait.
fn at_once<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().expect("a store in memory answers at once")
}

impl Keeping {
    pub(crate) fn new() -> Self {
        let durable = Faulty::new(MemoryStore::new());
        Self { durable, cached: BTreeMap::new(), codec: FrameCodec::default() }
    }

    /// Takes frames in, each chunk verified.
    pub(crate) fn append(&mut self, frames: &[Frame]) -> Result<u64, StoreError> {
        let mut opened = Vec::new();
        for frame in frames {
            self.codec.open(frame, |_| true, |id, bytes| opened.push((id, bytes)))?;
        }
        let count = opened.len() as u64;
        self.cached.extend(opened);
        Ok(count)
    }

    /// Takes a chunk in that the caller has verified.
    pub(crate) fn insert(&mut self, id: ChunkId, bytes: Bytes) {
        self.cached.insert(id, bytes);
    }

    /// Makes everything durable.
    pub(crate) fn flush(&mut self) -> Result<(), StoreError> {
        if self.cached.is_empty() {
            return Ok(());
        }
        let frames = self.frames_of(self.cached.clone().into_iter());
        at_once(self.durable.append(frames))?;
        self.cached.clear();
        Ok(())
    }

    /// The machine stops: of what was not flushed some is there afterwards, in whole chunks.
    pub(crate) fn crash(&mut self, random: &mut Random) {
        let kept: Vec<_> =
            std::mem::take(&mut self.cached).into_iter().filter(|_| random.happens(500)).collect();
        let frames = self.frames_of(kept.into_iter());
        // A disk that is full loses it too.
        drop(at_once(self.durable.append(frames)));
    }

    /// Lets the next writes fail.
    pub(crate) fn fail(&mut self, times: u64) {
        self.durable.plan(Operation::Append, 0, times);
    }

    pub(crate) fn has(&self, ids: &[ChunkId]) -> Vec<bool> {
        let mut has = self.has_durable(ids);
        for (has, id) in has.iter_mut().zip(ids) {
            *has |= self.cached.contains_key(id);
        }
        has
    }

    pub(crate) fn has_durable(&self, ids: &[ChunkId]) -> Vec<bool> {
        at_once(self.durable.has(ids)).unwrap_or_default()
    }

    pub(crate) fn read(&self, id: &ChunkId) -> Option<Bytes> {
        let cached = self.cached.get(id).cloned();
        cached.or_else(|| at_once(self.durable.read(id)).ok().flatten())
    }

    /// Frames with the wanted chunks, and those that are not here.
    pub(crate) fn frames(&mut self, ids: &[ChunkId]) -> (Vec<Frame>, Vec<ChunkId>) {
        let Ok((mut frames, missing)) = at_once(self.durable.frames(ids)) else {
            return (Vec::new(), ids.to_vec());
        };
        let (cached, missing): (Vec<_>, Vec<_>) =
            missing.into_iter().partition(|id| self.cached.contains_key(id));
        let cached: Vec<_> =
            cached.into_iter().filter_map(|id| Some((id, self.cached.get(&id)?.clone()))).collect();
        frames.extend(self.frames_of(cached.into_iter()));
        (frames, missing)
    }

    fn frames_of(&mut self, chunks: impl Iterator<Item = (ChunkId, Bytes)>) -> Vec<Frame> {
        frames_of(&mut self.codec, chunks)
    }
}

/// Puts chunks into frames, whether or not their bytes have their ids.
pub(crate) fn frames_of(
    codec: &mut FrameCodec,
    chunks: impl Iterator<Item = (ChunkId, Bytes)>,
) -> Vec<Frame> {
    let mut builder = FrameBuilder::default();
    let mut frames = Vec::new();
    for (id, bytes) in chunks {
        if builder.is_full_for(bytes.len())
            && let Some((entries, plain)) = builder.take()
        {
            frames.push(codec.encode(entries, plain, Codec::None));
        }
        builder.push(id, &bytes);
    }
    if let Some((entries, plain)) = builder.take() {
        frames.push(codec.encode(entries, plain, Codec::None));
    }
    frames
}
