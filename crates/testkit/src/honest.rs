//! A source that does what it should, at its own pace.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use content::{ChunkId, Frame};
use fetch::{Source, SourceError};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{Library, frame_of};

/// Bytes in a frame.
const FRAME_BYTES: usize = 256 << 10;

/// An honest source: a rate shared by its requests, a delay before each answer, perhaps chunks
/// it does not have, perhaps an end.
pub struct Honest {
    name: String,
    library: Arc<Library>,
    rate: Option<u64>,
    delay: Duration,
    lacking: fn(&ChunkId) -> bool,
    dies_after: u64,
    free_at: Mutex<Option<Instant>>,
    given: AtomicU64,
}

impl Honest {
    /// One that gives all of `library` as fast as it is taken.
    #[must_use]
    pub fn new(name: &str, library: &Arc<Library>) -> Self {
        Self {
            name: name.to_owned(),
            library: Arc::clone(library),
            rate: None,
            delay: Duration::ZERO,
            lacking: |_| false,
            dies_after: u64::MAX,
            free_at: Mutex::default(),
            given: AtomicU64::new(0),
        }
    }

    /// With `rate` bytes a second for all its requests together.
    #[must_use]
    pub fn with_rate(mut self, rate: u64) -> Self {
        self.rate = Some(rate);
        self
    }

    /// With a `delay` before each answer.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Without the chunks that `lacking` selects.
    #[must_use]
    pub fn without(mut self, lacking: fn(&ChunkId) -> bool) -> Self {
        self.lacking = lacking;
        self
    }

    /// Fails every request once it gave so many bytes.
    #[must_use]
    pub fn dying_after(mut self, bytes: u64) -> Self {
        self.dies_after = bytes;
        self
    }

    /// Bytes it gave.
    #[must_use]
    pub fn given(&self) -> u64 {
        self.given.load(Relaxed)
    }

    async fn give(&self, chunks: &mut Vec<(ChunkId, Bytes)>, frames: &mpsc::Sender<Frame>) -> bool {
        if chunks.is_empty() {
            return true;
        }
        let frame = frame_of(chunks);
        chunks.clear();
        let bytes = frame.plain_length() as u64;
        if let Some(rate) = self.rate {
            sleep_until(self.turn(Duration::from_micros(bytes * 1_000_000 / rate))).await;
        }
        self.given.fetch_add(bytes, Relaxed);
        frames.send(frame).await.is_ok()
    }

    /// When something that takes `time` has passed through the line that all requests share.
    fn turn(&self, time: Duration) -> Instant {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let done = free_at.map_or(now, |free| free.max(now)) + time;
        *free_at = Some(done);
        done
    }
}

#[async_trait]
impl Source for Honest {
    fn name(&self) -> &str {
        &self.name
    }

    async fn fetch(&self, ids: &[ChunkId], frames: mpsc::Sender<Frame>) -> Result<(), SourceError> {
        sleep(self.delay).await;
        let mut chunks = Vec::new();
        let mut bytes = 0;
        for id in ids.iter().filter(|id| !(self.lacking)(id)) {
            if self.given() >= self.dies_after {
                return Err(SourceError::Failed("went away".to_owned()));
            }
            let Some(chunk) = self.library.chunk(id) else { continue };
            bytes += chunk.len();
            chunks.push((*id, chunk.clone()));
            if bytes >= FRAME_BYTES {
                bytes = 0;
                if !self.give(&mut chunks, &frames).await {
                    return Ok(());
                }
            }
        }
        self.give(&mut chunks, &frames).await;
        Ok(())
    }
}
