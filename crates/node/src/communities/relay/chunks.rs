//! The chunks of a release, from several hubs to one.
//!
//! A few batches at once, so that memory stays flat and round trips overlap. The hub at the end is
//! asked about each chunk first: after a break, or for the next version, only what it lacks moves.

use std::sync::Arc;

use bytes::Bytes;
use content::closure::ClosureEntry;
use content::frame::Codec;
use content::{ChunkId, Closure, ClosureHead};
use documents::Manifest;
use fetch::{FetchConfig, FetchError, Fetcher, HubSource, Priority, Want};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hub_client::{ClientError, HubClient};

use super::counts::Counts;
use crate::hubs::HubLink;
use crate::upload::frames_of;

/// Most bytes of chunks in a batch.
const BATCH_BYTES: u64 = 8 << 20;
/// Most chunks in a batch.
const BATCH_CHUNKS: usize = 1024;
/// Batches asked about, fetched or sent at the same time.
const BATCHES_UNDER_WAY: usize = 3;
/// Most chunks of a closure, as the hub takes them.
const CLOSURE_CHUNKS_MAX: u64 = 4 << 20;

/// Why the chunks are not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    /// The release is made wrong: trying again changes nothing.
    #[error("{0}")]
    Refused(String),
    /// They did not come.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// They could not be handed on.
    #[error(transparent)]
    Hub(#[from] ClientError),
}

/// Copies what the closure of a release lists, and the closure; returns the bytes that were sent.
pub(super) async fn copy_chunks(
    from: &[HubLink],
    to: &Arc<HubClient>,
    release: &Manifest,
    counts: &Arc<Counts>,
) -> Result<u64, CopyError> {
    let sources = from.iter().map(|link| {
        let source = HubSource::new(link.url.clone(), Arc::clone(&link.client));
        Arc::new(source) as Arc<dyn fetch::Source>
    });
    let fetcher = Fetcher::new(sources.collect(), FetchConfig::default());
    let copy = Copy { fetcher: Arc::new(fetcher), to: Arc::clone(to), counts: Arc::clone(counts) };
    let (head_bytes, mut sent) = copy.chunk(&release.closure).await?;
    let head = ClosureHead::decode(&head_bytes).map_err(refused)?;
    if head.chunks > CLOSURE_CHUNKS_MAX {
        return Err(CopyError::Refused("its closure is too large".to_owned()));
    }
    for segment in &head.segments {
        let (bytes, more) = copy.chunk(segment).await?;
        sent += more + copy.all(&Closure::decode(&bytes).map_err(refused)?.0).await?;
    }
    Ok(sent)
}

fn refused(error: content::DecodeError) -> CopyError {
    CopyError::Refused(format!("its closure is malformed: {error}"))
}

#[derive(Clone)]
struct Copy {
    fetcher: Arc<Fetcher>,
    to: Arc<HubClient>,
    counts: Arc<Counts>,
}

impl Copy {
    /// Copies one chunk, and returns what is in it.
    async fn chunk(&self, entry: &ClosureEntry) -> Result<(Bytes, u64), CopyError> {
        let mut found = self.fetcher.fetch_all(vec![want(entry)]).await?;
        let bytes = found.remove(&entry.id).unwrap_or_default();
        let sent = match self.to.have(&[entry.id]).await?[..] {
            [true] => 0,
            _ => self.send(vec![(entry.id, bytes.clone())]).await?,
        };
        Ok((bytes, sent))
    }

    /// Copies those that are not there.
    async fn all(&self, entries: &[ClosureEntry]) -> Result<u64, CopyError> {
        let batches: Vec<Vec<ClosureEntry>> =
            batches(entries).into_iter().map(<[ClosureEntry]>::to_vec).collect();
        let sent: Vec<u64> = stream::iter(batches)
            .map(|batch| self.clone().batch(batch))
            .buffer_unordered(BATCHES_UNDER_WAY)
            .try_collect()
            .await?;
        Ok(sent.into_iter().sum())
    }

    async fn batch(self, batch: Vec<ClosureEntry>) -> Result<u64, CopyError> {
        let ids: Vec<ChunkId> = batch.iter().map(|entry| entry.id).collect();
        let has = self.to.have(&ids).await?;
        let missing = batch.iter().zip(has).filter(|(_, has)| !has);
        let wants: Vec<Want> = missing.map(|(entry, _)| want(entry)).collect();
        if wants.is_empty() {
            return Ok(0);
        }
        let found = self.fetcher.fetch_all(wants).await?;
        // In the order of the closure: what is read together lies together.
        let mut found = found;
        let chunks = ids.iter().filter_map(|id| found.remove_entry(id)).collect();
        self.send(chunks).await
    }

    async fn send(&self, chunks: Vec<(ChunkId, Bytes)>) -> Result<u64, CopyError> {
        let bytes = chunks.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        // What is sealed does not compress.
        let framing = tokio::task::spawn_blocking(move || frames_of(&chunks, Codec::None));
        let frames = framing.await.expect("framing does not panic");
        self.to.upload(frames).await?;
        self.counts.passed_down(bytes);
        Ok(bytes)
    }
}

fn want(entry: &ClosureEntry) -> Want {
    Want { id: entry.id, length: entry.stored_length, priority: Priority::Ordered }
}

/// Runs of entries that go together.
fn batches(entries: &[ClosureEntry]) -> Vec<&[ClosureEntry]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (end, entry) in entries.iter().enumerate() {
        let length = u64::from(entry.stored_length);
        if end > start && (end - start >= BATCH_CHUNKS || bytes + length > BATCH_BYTES) {
            batches.push(&entries[start..end]);
            (start, bytes) = (end, 0);
        }
        bytes += length;
    }
    if start < entries.len() {
        batches.push(&entries[start..]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_and_complete() {
        let entry = |number: u32, stored_length| {
            let id = ChunkId::of(&number.to_le_bytes());
            ClosureEntry { id, stored_length }
        };
        let entries: Vec<ClosureEntry> = (0..5000)
            .map(|number| entry(number, if number % 100 == 0 { 7 << 20 } else { 1000 }))
            .collect();
        let batches = batches(&entries);
        assert_eq!(batches.concat(), entries);
        for batch in batches {
            let bytes: u64 = batch.iter().map(|entry| u64::from(entry.stored_length)).sum();
            assert!(!batch.is_empty() && batch.len() <= BATCH_CHUNKS && bytes <= BATCH_BYTES);
        }
        assert_eq!(super::batches(&[]).len(), 0);
        let large = [entry(1, u32::MAX), entry(2, 5)];
        assert_eq!(super::batches(&large).len(), 2, "a large one goes alone");
    }
}
