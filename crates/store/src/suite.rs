//! What every store must do; run by each implementation and each decorator.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use content::closure::ClosureBuilder;
use content::frame::{Codec, FrameBuilder, FrameCodec};
use content::{ChunkId, Frame};

use crate::*;

mod object_store;

/// Chunks whose bytes follow from a seed; some compress, some do not.
pub(crate) fn chunk(seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; 3000 + (seed as usize * 977) % 9000];
    let mut reader = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
    if seed.is_multiple_of(3) {
        reader.fill(&mut bytes[..64]);
    } else {
        reader.fill(&mut bytes);
    }
    bytes
}

pub(crate) fn id(seed: u64) -> ChunkId {
    ChunkId::of(&chunk(seed))
}

pub(crate) fn ids(seeds: impl IntoIterator<Item = u64>) -> Vec<ChunkId> {
    seeds.into_iter().map(id).collect()
}

pub(crate) fn frame_of(chunks: &[Vec<u8>]) -> Frame {
    let mut builder = FrameBuilder::default();
    for bytes in chunks {
        builder.push(ChunkId::of(bytes), bytes);
    }
    let (entries, plain) = builder.take().expect("not empty");
    FrameCodec::default().encode(entries, plain, Codec::Zstd)
}

pub(crate) fn frame(seeds: impl IntoIterator<Item = u64>) -> Frame {
    frame_of(&seeds.into_iter().map(chunk).collect::<Vec<_>>())
}

/// A frame whose second chunk has not the id it is under.
pub(crate) fn lying_frame() -> Frame {
    let mut codec = FrameCodec::default();
    let mut builder = FrameBuilder::default();
    builder.push(id(900), &chunk(900));
    builder.push(id(901), &chunk(902));
    let (entries, plain) = builder.take().expect("not empty");
    codec.encode(entries, plain, Codec::None)
}

pub(crate) struct Kept(pub(crate) Vec<ChunkId>);

#[async_trait]
impl Roots for Kept {
    async fn closures(&self) -> Result<Vec<ChunkId>, RootsError> {
        Ok(self.0.clone())
    }
}

/// The closure of `seeds` as a frame, and its head's id.
pub(crate) fn closure(seeds: impl IntoIterator<Item = u64>) -> (Frame, ChunkId) {
    let mut builder = ClosureBuilder::default();
    let mut chunks = Vec::new();
    for seed in seeds {
        let stored_length = chunk(seed).len() as u32;
        chunks.extend(builder.push(content::closure::ClosureEntry { id: id(seed), stored_length }));
    }
    let (last, head) = builder.finish(id(0));
    chunks.extend(last);
    let head = head.encode();
    let head_id = ChunkId::of(&head);
    chunks.push(head);
    (frame_of(&chunks), head_id)
}

/// Far enough ahead that everything is older than any grace.
pub(crate) fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(3600)
}

pub(crate) async fn opened(store: &dyn ChunkStore, wanted: &[ChunkId]) -> Vec<ChunkId> {
    let (frames, missing) = store.frames(wanted).await.expect("readable");
    let mut found = Vec::new();
    for frame in &frames {
        frame.verify_check().expect("intact");
        FrameCodec::default()
            .open(frame, |id| wanted.contains(id), |id, _| found.push(id))
            .expect("every chunk has its id");
    }
    assert_eq!(found.len() + missing.len(), wanted.len(), "each found once or missing");
    found
}

pub(crate) async fn run(store: &dyn ChunkStore) {
    // Nothing yet.
    assert_eq!(store.has(&ids(0..2)).await.expect("has"), [false, false]);
    assert_eq!(store.read(&id(0)).await.expect("read"), None);
    store.flush().await.expect("nothing to flush");

    // What goes in comes out, flushed or not.
    let appended = store.append(vec![frame(0..10), frame(10..20)]).await.expect("room");
    let bytes: usize = (0..20).map(|seed| chunk(seed).len()).sum();
    let expected = Appended { new_chunks: 20, known_chunks: 0, new_bytes: bytes as u64 };
    assert_eq!(appended, expected);
    for _ in 0..2 {
        assert_eq!(store.has(&ids([0, 99, 19])).await.expect("has"), [true, false, true]);
        for seed in 0..20 {
            let read = store.read(&id(seed)).await.expect("read");
            assert_eq!(read.as_deref(), Some(&chunk(seed)[..]));
        }
        assert_eq!(store.read(&id(99)).await.expect("read"), None);
        // Each by itself: two neighbours in a frame are not neighbours in memory, as pieces are.
        let [first, second] = [store.read(&id(0)).await, store.read(&id(1)).await];
        let [first, second] = [first, second].map(|read| read.expect("read").expect("here"));
        assert_ne!(first.as_ptr_range().end, second.as_ptr(), "pieces keep their whole frame");
        assert_eq!(opened(store, &ids(0..20)).await, ids(0..20));
        let mut some = opened(store, &ids([15, 99, 3, 16])).await;
        assert_eq!(some[0], id(15), "frames in the order of the first wanted chunk");
        some.sort();
        let mut expected = ids([3, 15, 16]);
        expected.sort();
        assert_eq!(some, expected);
        store.flush().await.expect("flush");
    }

    // Known chunks are not stored again; new ones beside them are.
    let before = store.stats().await.expect("stats");
    assert_eq!((before.chunks, before.plain_bytes), (20, bytes as u64));
    let again = store.append(vec![frame([5, 6, 100]), frame([100, 7])]).await.expect("room");
    assert_eq!((again.new_chunks, again.known_chunks), (1, 4));
    assert_eq!(again.new_bytes, chunk(100).len() as u64);
    store.flush().await.expect("flush");
    assert_eq!(store.stats().await.expect("stats").chunks, 21);
    assert_eq!(store.read(&id(100)).await.expect("read").as_deref(), Some(&chunk(100)[..]));

    // Wrong bytes are refused with all that came along.
    let refused = store.append(vec![frame([800]), lying_frame()]).await;
    assert!(matches!(refused, Err(StoreError::WrongBytes { id: wrong }) if wrong == id(901)));
    assert_eq!(store.has(&ids([800, 900, 901])).await.expect("has"), [false; 3]);

    let report = store.verify(Scope::All).await.expect("verify");
    assert_eq!((report.checked, report.damaged.len()), (21, 0));
    assert!(store.verify(Scope::Sample(100)).await.expect("verify").checked <= 21);

    collects(store).await;
}

async fn collects(store: &dyn ChunkStore) {
    let (list, head) = closure(0..5);
    store.append(vec![list]).await.expect("room");
    store.flush().await.expect("flush");
    let hour = Duration::from_secs(7200);
    let young = store.gc(&Kept(vec![head]), hour, later()).await.expect("gc");
    assert_eq!(young.removed_chunks, 0, "younger than the grace");

    let lost = store.gc(&Kept(vec![head, id(777)]), Duration::ZERO, later()).await;
    assert!(matches!(lost, Err(StoreError::ClosureMissing { id: lost }) if lost == id(777)));
    let wrong = store.gc(&Kept(vec![id(1)]), Duration::ZERO, later()).await;
    assert!(matches!(wrong, Err(StoreError::ClosureMalformed { .. })));
    assert_eq!(store.stats().await.expect("stats").chunks, 23, "then nothing goes");

    let report = store.gc(&Kept(vec![head]), Duration::ZERO, later()).await.expect("gc");
    assert_eq!(report.removed_chunks, 16);
    assert!(report.freed_bytes > 0);
    let mut expected = vec![true; 5];
    expected.extend([false; 15]);
    assert_eq!(store.has(&ids(0..20)).await.expect("has"), expected);
    for seed in 0..5 {
        let read = store.read(&id(seed)).await.expect("read");
        assert_eq!(read.as_deref(), Some(&chunk(seed)[..]), "kept chunks can be read");
    }
    assert_eq!(store.read(&id(7)).await.expect("read"), None);
    let back = store.append(vec![frame([7])]).await.expect("room");
    assert_eq!(back.new_chunks, 1, "what went may come again");
}

#[tokio::test]
async fn memory() {
    run(&MemoryStore::new()).await;
    let full = MemoryStore::with_quota(100).append(vec![frame([1])]).await;
    assert!(matches!(full, Err(StoreError::Full { limit: Limit::Quota, .. })));
}

#[tokio::test]
async fn disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = DiskOptions { free_reserve_bytes: 0, ..DiskOptions::default() };
    run(&DiskStore::open(directory.path(), options).expect("opens")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cache() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = DiskOptions { free_reserve_bytes: 0, cache: true, ..DiskOptions::default() };
    run(&DiskStore::open(directory.path(), options).expect("opens")).await;
}

#[tokio::test]
async fn decorators() {
    run(&Verifying::new(MemoryStore::new())).await;
    let fast = NonZeroU64::new(1 << 34).expect("not zero");
    run(&RateLimited::new(MemoryStore::new(), fast)).await;
    run(&Faulty::new(MemoryStore::new())).await;
    let counting = Counting::new(Arc::new(MemoryStore::new()) as Arc<dyn ChunkStore>);
    run(&counting).await;
    let counts = counting.counts();
    assert!(
        counts.calls > 50 && counts.flushes >= 5 && counts.bytes_in > 0 && counts.bytes_out > 0
    );
}

#[tokio::test]
async fn a_planned_failure_comes_when_it_was_planned() {
    let store = Faulty::new(MemoryStore::new());
    store.plan(Operation::Flush, 1, 1);
    store.flush().await.expect("one passes");
    assert!(matches!(store.flush().await, Err(StoreError::Injected)));
    store.flush().await.expect("then all pass");
}

#[tokio::test]
async fn a_limited_store_takes_its_time() {
    let rate = NonZeroU64::new(200_000).expect("not zero");
    let store = RateLimited::new(MemoryStore::new(), rate);
    let begun = std::time::Instant::now();
    let frame = frame([1, 2, 4, 5]);
    let due = Duration::from_secs_f64(frame.encoded_length() as f64 / 200_000.0);
    store.append(vec![frame]).await.expect("room");
    assert!(begun.elapsed() >= due);
}
