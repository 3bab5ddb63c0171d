//! A chunk store as a destination.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use content::frame::{Codec, FrameBuilder, FrameCodec};
use content::{ChunkId, Frame, FrameEntry};
use store::{ChunkStore, StoreError};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::{Destination, DestinationError};

/// What a crash may cost: chunks are durable at the latest after this many bytes more...
const FLUSH_BYTES: u64 = 4 << 20;
/// ...or with the first chunk that comes this long after them.
const FLUSH_AFTER: Duration = Duration::from_secs(1);

/// Puts chunks into a store, in new frames, and makes them durable as it goes.
///
/// Use it within a runtime: it must be called as [`Destination`] says.
pub struct StoreDestination {
    store: Arc<dyn ChunkStore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    builder: FrameBuilder,
    codecs: Vec<FrameCodec>,
    /// Bytes taken since the last flush began.
    bytes: u64,
    /// When the first of them was taken.
    since: Option<Instant>,
}

type Filled = Option<(Vec<FrameEntry>, Bytes)>;

impl StoreDestination {
    /// Puts chunks into `store`.
    #[must_use]
    pub fn new(store: Arc<dyn ChunkStore>) -> Self {
        Self { store, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn encode(&self, filled: (Vec<FrameEntry>, Bytes)) -> Frame {
        let codec = self.state().codecs.pop();
        let mut codec = codec.unwrap_or_default();
        let frame = codec.encode(filled.0, filled.1, Codec::Zstd);
        self.state().codecs.push(codec);
        frame
    }

    fn append(&self, filled: Vec<(Vec<FrameEntry>, Bytes)>, flush: bool) -> Result<(), StoreError> {
        let frames: Vec<Frame> = filled.into_iter().map(|filled| self.encode(filled)).collect();
        Handle::current().block_on(async {
            if !frames.is_empty() {
                self.store.append(frames).await?;
            }
            if flush { self.store.flush().await } else { Ok(()) }
        })
    }
}

impl Destination for StoreDestination {
    fn write(&self, id: ChunkId, bytes: Bytes) -> Result<(), DestinationError> {
        let (filled, flush) = {
            let mut state = self.state();
            let full = state.builder.is_full_for(bytes.len());
            let full: Filled = if full { state.builder.take() } else { None };
            state.builder.push(id, &bytes);
            state.bytes += bytes.len() as u64;
            let since = *state.since.get_or_insert_with(Instant::now);
            let flush = state.bytes >= FLUSH_BYTES || since.elapsed() >= FLUSH_AFTER;
            let rest: Filled = if flush { state.builder.take() } else { None };
            if flush {
                state.bytes = 0;
                state.since = None;
            }
            ([full, rest].into_iter().flatten().collect::<Vec<_>>(), flush)
        };
        if filled.is_empty() && !flush {
            return Ok(());
        }
        let appended = self.append(filled, flush);
        appended.map_err(|error| DestinationError::new("cannot store what was fetched", error))
    }

    fn finish(&self) -> Result<(), DestinationError> {
        let rest = self.state().builder.take();
        let appended = self.append(rest.into_iter().collect(), true);
        appended.map_err(|error| DestinationError::new("cannot store what was fetched", error))
    }
}
