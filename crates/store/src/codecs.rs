//! Compressors shared by the threads of a store, and frames made of loose chunks.

use std::sync::Mutex;

use bytes::Bytes;
use content::frame::{Codec, FrameBuilder, FrameCodec};
use content::{Buffers, ChunkId, Frame};

/// Compressors kept idle: each holds a few MiB, and as many calls as cores use one at a time.
const IDLE_MAX: usize = 4;

#[derive(Default)]
pub(crate) struct Codecs {
    idle: Mutex<Vec<FrameCodec>>,
    buffers: Buffers,
}

impl Codecs {
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut FrameCodec) -> T) -> T {
        let idle = lock(&self.idle).pop();
        let mut codec = idle.unwrap_or_else(|| FrameCodec::new(self.buffers.clone()));
        let result = work(&mut codec);
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE_MAX {
            idle.push(codec);
        }
        result
    }

    /// Where frames are read into.
    pub(crate) fn buffers(&self) -> &Buffers {
        &self.buffers
    }
}

/// Locks; a panic elsewhere leaves every structure here whole, so poisoning is ignored.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Collects whole frames and loose chunks into frames, in the order they come.
#[derive(Default)]
pub(crate) struct Gatherer {
    frames: Vec<Frame>,
    loose: FrameBuilder,
}

impl Gatherer {
    pub(crate) fn frame(&mut self, frame: Frame, codec: &mut FrameCodec) {
        self.close(codec);
        self.frames.push(frame);
    }

    pub(crate) fn chunk(&mut self, id: ChunkId, bytes: &Bytes, codec: &mut FrameCodec) {
        if self.loose.is_full_for(bytes.len()) {
            self.close(codec);
        }
        self.loose.push(id, bytes);
    }

    fn close(&mut self, codec: &mut FrameCodec) {
        if let Some((entries, plain)) = self.loose.take() {
            self.frames.push(codec.encode(entries, plain, Codec::Zstd));
        }
    }

    pub(crate) fn finish(mut self, codec: &mut FrameCodec) -> Vec<Frame> {
        self.close(codec);
        self.frames
    }
}
