//! From a snapshot to a hub: asks what the hub lacks, frames it, sends it.
//!
//! The snapshot's threads offer chunks; they wait when too much is under way, so that memory
//! stays flat. Batches overlap: while one is on the wire the next is compressed and the hub is
//! asked about the one after.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use content::frame::{Codec, FrameBuilder, FrameCodec};
use content::{ChunkId, ChunkRef, Frame};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hub_client::{ClientError, HubClient};
use snapshot::{ChunkKind, ChunkSink, SinkError};
use tokio::sync::mpsc;

/// Most chunks the hub is asked about at once.
const BATCH_CHUNKS: usize = 1024;
/// Most bytes in a batch; eight frames or so, enough to hide a round trip.
const BATCH_BYTES: usize = 8 << 20;
/// Batches asked about, compressed or sent at the same time.
const BATCHES_UNDER_WAY: usize = 3;

type Batch = Vec<(ChunkId, Bytes)>;

/// Counts what an upload does, for progress.
#[derive(Debug, Default)]
pub struct UploadProgress {
    /// Bytes of chunks offered so far.
    pub offered_bytes: AtomicU64,
    /// Bytes of chunks the hub had already.
    pub known_bytes: AtomicU64,
    /// Bytes of chunks that were sent, before compression.
    pub sent_bytes: AtomicU64,
}

/// The snapshot's end.
pub(crate) struct UploadSink {
    sender: mpsc::Sender<Batch>,
    state: Mutex<Pending>,
    progress: Arc<UploadProgress>,
    codec_none: bool,
    /// Metadata of the last release the hub accepted: it need not be asked about again, for the
    /// hub checks the whole closure when the release is posted.
    accepted: HashSet<ChunkId>,
}

#[derive(Default)]
struct Pending {
    offered: HashSet<ChunkId>,
    metadata: Vec<ChunkId>,
    /// One batch for contents and one for metadata: what is fetched together lies together.
    batches: [(Batch, usize); 2],
}

impl UploadSink {
    /// A sink, and the job that has to run until the sink is dropped.
    pub(crate) fn new(
        sealed: bool,
        accepted: HashSet<ChunkId>,
        progress: Arc<UploadProgress>,
    ) -> (Self, mpsc::Receiver<Batch>) {
        let (sender, receiver) = mpsc::channel(1);
        let state = Mutex::new(Pending::default());
        (Self { sender, state, progress, codec_none: sealed, accepted }, receiver)
    }

    /// Whether what passes here is ciphertext, which does not compress.
    pub(crate) fn codec(&self) -> Codec {
        if self.codec_none { Codec::None } else { Codec::Zstd }
    }

    /// Hands over what is left in the last batches; returns the ids of all metadata.
    pub(crate) fn finish(self) -> Result<Vec<ChunkId>, SinkError> {
        let pending = self.state.into_inner().expect("no thread panicked while offering");
        for (batch, _) in pending.batches {
            if !batch.is_empty() {
                self.sender.blocking_send(batch).map_err(|_| SinkError::closed())?;
            }
        }
        Ok(pending.metadata)
    }
}

impl ChunkSink for UploadSink {
    fn offer(&self, reference: &ChunkRef, stored: Bytes, kind: ChunkKind) -> Result<(), SinkError> {
        let full = {
            let mut state = self.state.lock().expect("no thread panicked while offering");
            if !state.offered.insert(reference.id) {
                return Ok(());
            }
            if kind == ChunkKind::Metadata {
                state.metadata.push(reference.id);
                if self.accepted.contains(&reference.id) {
                    return Ok(());
                }
            }
            self.progress.offered_bytes.fetch_add(stored.len() as u64, Relaxed);
            let (batch, bytes) = &mut state.batches[usize::from(kind == ChunkKind::Metadata)];
            *bytes += stored.len();
            batch.push((reference.id, stored));
            if batch.len() < BATCH_CHUNKS && *bytes < BATCH_BYTES {
                return Ok(());
            }
            *bytes = 0;
            std::mem::take(batch)
        };
        self.sender.blocking_send(full).map_err(|_| SinkError::closed())
    }
}

/// Sends batches until the sink is gone.
pub(crate) async fn upload(
    hub: Arc<HubClient>,
    batches: mpsc::Receiver<Batch>,
    codec: Codec,
    progress: Arc<UploadProgress>,
) -> Result<(), ClientError> {
    let batches = stream::unfold(batches, async |mut batches| {
        batches.recv().await.map(|batch| (batch, batches))
    });
    batches
        .map(|batch| {
            let (hub, progress) = (Arc::clone(&hub), Arc::clone(&progress));
            async move {
                let ids: Vec<ChunkId> = batch.iter().map(|(id, _)| *id).collect();
                let has = hub.have(&ids).await?;
                let total: usize = batch.iter().map(|(_, bytes)| bytes.len()).sum();
                let missing: Batch = batch
                    .into_iter()
                    .zip(has)
                    .filter_map(|(chunk, has)| (!has).then_some(chunk))
                    .collect();
                let lacking: usize = missing.iter().map(|(_, bytes)| bytes.len()).sum();
                progress.known_bytes.fetch_add((total - lacking) as u64, Relaxed);
                if missing.is_empty() {
                    return Ok(());
                }
                let frames = tokio::task::spawn_blocking(move || frames_of(&missing, codec))
                    .await
                    .expect("framing does not panic");
                hub.upload(frames).await?;
                progress.sent_bytes.fetch_add(lacking as u64, Relaxed);
                Ok(())
            }
        })
        .buffer_unordered(BATCHES_UNDER_WAY)
        .try_collect::<()>()
        .await
}

/// Puts chunks into frames.
pub(crate) fn frames_of(chunks: &[(ChunkId, Bytes)], codec: Codec) -> Vec<Frame> {
    let (mut builder, mut encoder) = (FrameBuilder::default(), FrameCodec::default());
    let mut frames = Vec::new();
    for (id, bytes) in chunks {
        if builder.is_full_for(bytes.len())
            && let Some((entries, plain)) = builder.take()
        {
            frames.push(encoder.encode(entries, plain, codec));
        }
        builder.push(*id, bytes);
    }
    if let Some((entries, plain)) = builder.take() {
        frames.push(encoder.encode(entries, plain, codec));
    }
    frames
}
