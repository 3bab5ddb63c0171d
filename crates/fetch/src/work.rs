//! The work that needs a processor or a disk: opening frames, writing chunks.
//!
//! Done in jobs of a frame or more on blocking threads, a couple at a time: a task per chunk
//! would cost more than the hash of it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use content::frame::{FrameCodec, FrameError};
use content::{Buffers, ChunkId, Frame};
use fetch_plan::RequestId;
use tokio::task::JoinSet;

use crate::request::Held;
use crate::{Destination, DestinationError};

/// Frames are opened together up to this many plain bytes, so that small ones share the cost of
/// a job.
const JOB_BYTES: usize = 1 << 20;

/// A frame to open.
pub(crate) struct Received {
    pub(crate) request: RequestId,
    pub(crate) frame: Frame,
    /// What the request asked for: anything else in the frame is not even looked at.
    pub(crate) asked: Arc<HashSet<ChunkId>>,
    pub(crate) held: Held,
}

/// A frame that was opened.
pub(crate) struct Opened {
    pub(crate) request: RequestId,
    pub(crate) chunks: Vec<(ChunkId, Bytes)>,
    /// Bytes of chunks that were not asked for.
    pub(crate) excess_bytes: u64,
    pub(crate) error: Option<FrameError>,
    pub(crate) held: Held,
}

/// Verified chunks on their way to the destination.
pub(crate) struct Verified {
    pub(crate) chunks: Vec<(ChunkId, Bytes)>,
    pub(crate) held: Held,
}

/// What a job did.
pub(crate) struct Done {
    pub(crate) opened: Vec<Opened>,
    pub(crate) written: Result<(), DestinationError>,
}

/// The queue of work and the jobs that run.
pub(crate) struct Work {
    destination: Arc<dyn Destination>,
    codecs: Arc<Mutex<Vec<FrameCodec>>>,
    /// Memory of what is decompressed.
    buffers: Buffers,
    received: VecDeque<Received>,
    verified: VecDeque<Verified>,
    jobs: JoinSet<Done>,
    workers: usize,
}

impl Work {
    pub(crate) fn new(destination: Arc<dyn Destination>, workers: usize) -> Self {
        Self {
            destination,
            codecs: Arc::default(),
            buffers: Buffers::default(),
            received: VecDeque::new(),
            verified: VecDeque::new(),
            jobs: JoinSet::new(),
            workers: workers.max(1),
        }
    }

    pub(crate) fn open(&mut self, received: Received) {
        self.received.push_back(received);
    }

    pub(crate) fn write(&mut self, verified: Verified) {
        self.verified.push_back(verified);
    }

    /// Throws away what has come for `request` and was not opened; its plain bytes.
    pub(crate) fn discard(&mut self, request: RequestId) -> u64 {
        let mut bytes = 0;
        self.received.retain(|received| {
            let discarded = received.request == request;
            bytes += if discarded { received.frame.plain_length() as u64 } else { 0 };
            !discarded
        });
        bytes
    }

    /// Throws away everything that was not opened.
    pub(crate) fn discard_all(&mut self) {
        self.received.clear();
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.received.is_empty() && self.verified.is_empty() && self.jobs.is_empty()
    }

    /// Starts jobs while there is work and a worker free.
    pub(crate) fn start(&mut self) {
        while self.jobs.len() < self.workers {
            let verified: Vec<Verified> = self.verified.drain(..).collect();
            let chunks = verified.iter().flat_map(|verified| &verified.chunks);
            let mut bytes: usize = chunks.map(|(_, bytes)| bytes.len()).sum();
            let mut received = Vec::new();
            while bytes < JOB_BYTES
                && let Some(next) = self.received.pop_front()
            {
                bytes += next.frame.plain_length();
                received.push(next);
            }
            if verified.is_empty() && received.is_empty() {
                return;
            }
            let (destination, codecs) = (Arc::clone(&self.destination), Arc::clone(&self.codecs));
            let buffers = self.buffers.clone();
            self.jobs.spawn_blocking(move || {
                let written = write(&*destination, verified);
                let codec = lock(&codecs).pop();
                let mut codec = codec.unwrap_or_else(|| FrameCodec::new(buffers));
                let opened = received.into_iter().map(|frame| open(&mut codec, frame)).collect();
                lock(&codecs).push(codec);
                Done { opened, written }
            });
        }
    }

    /// The next job that is done; `None` when none runs.
    ///
    /// # Panics
    /// When the destination did.
    pub(crate) async fn done(&mut self) -> Option<Done> {
        match self.jobs.join_next().await? {
            Ok(done) => Some(done),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

fn lock(codecs: &Mutex<Vec<FrameCodec>>) -> std::sync::MutexGuard<'_, Vec<FrameCodec>> {
    codecs.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(destination: &dyn Destination, verified: Vec<Verified>) -> Result<(), DestinationError> {
    for Verified { chunks, held } in verified {
        for (id, bytes) in chunks {
            destination.write(id, bytes)?;
        }
        drop(held);
    }
    Ok(())
}

fn open(codec: &mut FrameCodec, received: Received) -> Opened {
    let Received { request, frame, asked, held } = received;
    let foreign = frame.entries().iter().filter(|entry| !asked.contains(&entry.id));
    let excess_bytes = foreign.map(|entry| u64::from(entry.length)).sum();
    let mut chunks = Vec::new();
    let result = if excess_bytes == frame.plain_length() as u64 {
        // Nothing asked for: not worth decompressing.
        Ok(())
    } else {
        codec.open(&frame, |id| asked.contains(id), |id, bytes| chunks.push((id, bytes)))
    };
    Opened { request, chunks, excess_bytes, error: result.err(), held }
}
