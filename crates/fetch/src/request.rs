//! One request on its way: a task that asks a source and hands over what comes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use content::{ChunkId, Frame};
use fetch_plan::RequestId;
use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::{Source, SourceError};

/// Room in memory for what was received and not yet written, in KiB.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    free: Arc<Semaphore>,
    size: u32,
    waiting: Arc<AtomicUsize>,
}

/// Some room, given back when dropped.
pub(crate) type Held = OwnedSemaphorePermit;

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Room {
    pub(crate) fn new(bytes: u32) -> Self {
        let size = (bytes / 1024).max(1);
        Self { free: Arc::new(Semaphore::new(size as usize)), size, waiting: Arc::default() }
    }

    async fn take(&self, bytes: usize) -> Held {
        // A frame larger than the whole room gets all of it.
        let size = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).clamp(1, self.size);
        self.waiting.fetch_add(1, Relaxed);
        let waiting = Waiting(&self.waiting);
        let held = Arc::clone(&self.free).acquire_many_owned(size).await;
        drop(waiting);
        held.expect("the semaphore is never closed")
    }

    /// Whether something received waits for room.
    pub(crate) fn is_short(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }
}

/// What comes from a request's task.
pub(crate) enum Arrival {
    /// A frame, not verified.
    Frame { request: RequestId, frame: Frame, held: Held },
    /// The last arrival of the request.
    Ended { request: RequestId, result: Result<(), SourceError> },
}

/// Asks `source` for `ids` and passes on what it sends, as fast as there is room for it.
///
/// Dropping the future ends the request.
pub(crate) async fn run(
    request: RequestId,
    source: Arc<dyn Source>,
    ids: Vec<ChunkId>,
    room: Room,
    arrivals: mpsc::UnboundedSender<Arrival>,
) {
    // Two frames: one on its way in while another waits for room.
    let (sender, mut frames) = mpsc::channel::<Frame>(1);
    let pass_on = async {
        while let Some(frame) = frames.recv().await {
            let held = room.take(frame.plain_length()).await;
            if arrivals.send(Arrival::Frame { request, frame, held }).is_err() {
                return;
            }
        }
    };
    let ask = AssertUnwindSafe(source.fetch(&ids, sender)).catch_unwind();
    let (result, ()) = tokio::join!(ask, pass_on);
    let broken = |_| Err(SourceError::Failed("broke down".to_owned()));
    let result = result.unwrap_or_else(broken);
    // Nobody listens once the fetch has ended.
    drop(arrivals.send(Arrival::Ended { request, result }));
}
