//! Damage, crashes and limits; the reference model is in `tests/model.rs`.

mod model;

use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use tempfile::TempDir;

use self::model::copy_into;
use super::*;
use crate::Limit;
use crate::suite::{Kept, chunk, closure, frame, frame_of, id, ids, later, opened};

const OPTIONS: DiskOptions =
    DiskOptions { quota_bytes: u64::MAX, free_reserve_bytes: 0, cache: false };

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn open(path: &Path) -> DiskStore {
    DiskStore::open(path, OPTIONS).expect("opens")
}

fn first_pack(path: &Path) -> PathBuf {
    pack_file(path, 0)
}

fn pack_file(path: &Path, number: u32) -> PathBuf {
    pack::pack_path(&path.join("packs"), number)
}

fn copy(from: &Path) -> TempDir {
    let to = directory();
    copy_into(from, to.path());
    to
}

fn flip(path: &Path, offset: u64) {
    let file = File::options().read(true).write(true).open(path).expect("opens");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("there");
    file.write_all_at(&[byte[0] ^ 0x40], offset).expect("written");
}

async fn filled(path: &Path) -> DiskStore {
    let store = open(path);
    for first in [0, 10, 20] {
        store.append(vec![frame(first..first + 10)]).await.expect("room");
    }
    store.flush().await.expect("flush");
    store
}

async fn all_there(store: &DiskStore, seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        let read = store.read(&id(seed)).await.expect("intact");
        assert_eq!(read.as_deref(), Some(&chunk(seed)[..]), "chunk {seed}");
    }
}

#[tokio::test]
async fn two_cannot_share_a_directory() {
    let directory = directory();
    let store = open(directory.path());
    let second = DiskStore::open(directory.path(), OPTIONS);
    assert!(matches!(second, Err(StoreError::Locked { .. })));
    drop(store);
    open(directory.path());
}

#[tokio::test]
async fn a_crash_at_any_point_keeps_what_was_flushed() {
    let directory = directory();
    let store = filled(directory.path()).await;
    let flushed = copy(directory.path());
    store.append(vec![frame(30..40)]).await.expect("room");
    let appended = copy(directory.path());
    drop(store);
    all_there(&open(flushed.path()), 0..30).await;
    // The append reached the file and was not committed: whole frames are taken in.
    let length = std::fs::metadata(first_pack(appended.path())).expect("there").len();
    let start = std::fs::metadata(first_pack(flushed.path())).expect("there").len();
    for cut in [start + 1, start + 60, length - 1, length] {
        let torn = copy(appended.path());
        File::options()
            .write(true)
            .open(first_pack(torn.path()))
            .expect("opens")
            .set_len(cut)
            .expect("cut");
        let store = open(torn.path());
        all_there(&store, 0..30).await;
        let whole = cut == length;
        assert_eq!(store.has(&ids(30..31)).await.expect("has"), [whole]);
        let now = std::fs::metadata(first_pack(torn.path())).expect("there").len();
        assert_eq!(now, if whole { length } else { start }, "a torn frame is cut off");
        store.append(vec![frame(30..40)]).await.expect("room");
        store.flush().await.expect("flush");
        drop(store);
        all_there(&open(torn.path()), 0..40).await;
    }
}

#[tokio::test]
async fn what_is_whole_in_a_damaged_frame_outlives_the_index() {
    let directory = directory();
    let store = open(directory.path());
    let frame = {
        let mut builder = content::frame::FrameBuilder::default();
        for seed in [1, 2, 3] {
            builder.push(id(seed), &chunk(seed));
        }
        let (entries, plain) = builder.take().expect("not empty");
        content::frame::FrameCodec::default().encode(entries, plain, content::frame::Codec::None)
    };
    let second = pack::PACK_HEADER_BYTES as usize + frame.head_bytes().len() + chunk(1).len();
    store.append(vec![frame]).await.expect("room");
    store.flush().await.expect("flush");
    flip(&first_pack(directory.path()), second as u64 + 5);
    let report = store.verify(Scope::All).await.expect("verify");
    let lost: Vec<_> = report.damaged.into_iter().flat_map(|damage| damage.ids).collect();
    assert_eq!(lost, ids([2]));
    assert_eq!(store.has(&ids([1, 2, 3])).await.expect("has"), [true, false, true]);
    drop(store);
    std::fs::remove_file(directory.path().join("index.redb")).expect("there");
    let store = open(directory.path());
    all_there(&store, [1, 3].into_iter()).await;
    assert_eq!(store.has(&ids([2])).await.expect("has"), [false]);
    let report = store.verify(Scope::All).await.expect("verify");
    assert!(report.damaged.is_empty(), "{report:?}");
}

#[tokio::test]
async fn frames_at_once_are_counted_with_their_entries() {
    let directory = directory();
    let store = open(directory.path());
    let (mut wanted, mut tiny) = (Vec::new(), 0u32);
    for number in 0..60u32 {
        // Three quarters of the bytes are wanted; the entries are three times as long as those.
        let mut large = vec![0; 40 << 10];
        blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut large);
        wanted.push(ChunkId::of(&large));
        let mut chunks = vec![large];
        chunks.extend((0..4095).map(|_| {
            tiny += 1;
            tiny.to_le_bytes()[..3].to_vec()
        }));
        store.append(vec![frame_of(&chunks)]).await.expect("room");
    }
    let mut rounds = 0;
    while !wanted.is_empty() {
        let (frames, missing) = store.frames(&wanted).await.expect("readable");
        assert!(missing.is_empty());
        let held = frames.iter().map(Frame::encoded_length).sum::<usize>();
        let most = crate::FRAMES_BYTES + frames[0].encoded_length();
        assert!(held <= most, "{held} bytes of frames at once");
        let came: Vec<ChunkId> = frames.iter().map(|frame| frame.entries()[0].id).collect();
        wanted.retain(|id| !came.contains(id));
        rounds += 1;
    }
    assert!(rounds > 1);
}

#[tokio::test]
async fn a_lost_or_broken_index_is_rebuilt() {
    let source = directory();
    drop(filled(source.path()).await);
    for harm in ["lost", "empty", "garbage", "distrusted"] {
        let directory = copy(source.path());
        let index = directory.path().join("index.redb");
        match harm {
            "lost" => std::fs::remove_file(&index).expect("removed"),
            "empty" => std::fs::write(&index, b"").expect("written"),
            "garbage" => std::fs::write(&index, vec![7; 50_000]).expect("written"),
            _ => drop(File::create(directory.path().join(recover::DISTRUST)).expect("created")),
        }
        let store = open(directory.path());
        all_there(&store, 0..30).await;
        assert_eq!(store.stats().await.expect("stats").chunks, 30, "{harm}");
    }
}

/// Whatever is damaged in it, no panic of its library gets out, and opening it again heals it.
#[tokio::test]
async fn an_index_with_any_damaged_page_is_an_error_at_worst_and_made_anew() {
    let source = directory();
    drop(filled(source.path()).await);
    let whole = std::fs::read(source.path().join("index.redb")).expect("read");
    for (number, page) in whole.chunks(4096).enumerate() {
        if page.iter().all(|byte| *byte == 0) {
            continue;
        }
        for harm in ["zeros", "ones", "flips"] {
            let directory = copy(source.path());
            let mut bytes = whole.clone();
            for byte in &mut bytes[number * 4096..][..page.len()] {
                *byte = match harm {
                    "zeros" => 0,
                    "ones" => 255,
                    _ => *byte ^ 0x11,
                };
            }
            std::fs::write(directory.path().join("index.redb"), bytes).expect("written");
            let store = open(directory.path());
            let first = store.read(&ids(0..1)[0]).await;
            assert!(matches!(first, Ok(_) | Err(StoreError::Index(_))), "{first:?}");
            let _ = store.stats().await;
            let _ = store.verify(Scope::All).await;
            drop(store);
            let store = open(directory.path());
            let found = store.has(&ids(0..30)).await.expect("has");
            let reads = store.read(&ids(29..30)[0]).await;
            assert!(reads.is_ok(), "page {number}, {harm}: {reads:?} {found:?}");
        }
    }
}

#[tokio::test]
async fn a_rebuild_steps_over_damage_inside_a_pack() {
    let directory = directory();
    drop(filled(directory.path()).await);
    let second = PACK_START + frame(0..10).encoded_length() as u64;
    flip(&first_pack(directory.path()), second);
    std::fs::remove_file(directory.path().join("index.redb")).expect("removed");
    let store = open(directory.path());
    all_there(&store, (0..10).chain(20..30)).await;
    assert_eq!(store.has(&ids(10..12)).await.expect("has"), [false, false]);
}

const PACK_START: u64 = pack::PACK_HEADER_BYTES;

#[tokio::test]
async fn damage_is_named_never_returned_and_healed_by_sending_again() {
    let directory = directory();
    let store = filled(directory.path()).await;
    let at = PACK_START + frame(0..10).encoded_length() as u64;
    let last = at + frame(10..20).encoded_length() as u64 - 1;
    flip(&first_pack(directory.path()), last);
    // The last byte belongs to an incompressible chunk in a compressed or plain payload.
    let report = store.verify(Scope::All).await.expect("verify");
    assert_eq!(report.damaged.len(), 1);
    assert_eq!((report.damaged[0].pack, report.damaged[0].offset), (0, at));
    let lost = report.damaged[0].ids.clone();
    assert!(!lost.is_empty() && lost.iter().all(|lost| ids(10..20).contains(lost)));
    for lost in &lost {
        let read = store.read(lost).await;
        assert!(matches!(read, Err(StoreError::Damaged { id }) if id == *lost));
    }
    assert_eq!(store.has(&lost).await.expect("has"), vec![false; lost.len()]);
    let (_, missing) = store.frames(&ids(0..30)).await.expect("frames");
    assert_eq!(missing.len(), lost.len());
    assert_eq!(opened(&store, &ids(0..10)).await.len(), 10, "the others are untouched");

    let again = store.append(vec![frame(10..20)]).await.expect("room");
    assert_eq!(again.new_chunks, lost.len() as u64);
    store.flush().await.expect("flush");
    drop(store);
    let store = open(directory.path());
    all_there(&store, 0..30).await;
    assert_eq!(store.verify(Scope::All).await.expect("verify").damaged, []);
}

#[tokio::test]
async fn a_deleted_or_shortened_pack_takes_only_its_own_chunks() {
    let directory = directory();
    drop(filled(directory.path()).await);
    let cut = PACK_START + frame(0..10).encoded_length() as u64 + 100;
    File::options()
        .write(true)
        .open(first_pack(directory.path()))
        .expect("opens")
        .set_len(cut)
        .expect("cut");
    let store = open(directory.path());
    all_there(&store, 0..10).await;
    assert_eq!(store.stats().await.expect("stats").chunks, 10);
    drop(store);
    std::fs::remove_file(first_pack(directory.path())).expect("removed");
    let store = open(directory.path());
    assert_eq!(store.stats().await.expect("stats"), StoreStats::default());
    store.append(vec![frame(0..10)]).await.expect("room");
    store.flush().await.expect("flush");
    all_there(&store, 0..10).await;
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written_and_reads_go_on() {
    let directory = directory();
    let store = filled(directory.path()).await;
    store.append(vec![frame(40..45)]).await.expect("room");
    store.0.fail_syncs.store(true, Ordering::Relaxed);
    assert!(matches!(store.flush().await, Err(StoreError::Io { action: "sync", .. })));
    store.0.fail_syncs.store(false, Ordering::Relaxed);
    assert!(matches!(store.flush().await, Err(StoreError::Poisoned { .. })));
    let refused = store.append(vec![frame(50..51)]).await;
    assert!(matches!(refused, Err(StoreError::Poisoned { reason }) if reason.contains("injected")));
    assert!(matches!(store.check_writable().await, Err(StoreError::Poisoned { .. })));
    all_there(&store, 0..30).await;
}

#[tokio::test]
async fn limits_name_what_is_missing() {
    let directory = directory();
    let (small, frame) = (frame([8]), frame(0..4));
    let quota_bytes = PACK_START + (small.encoded_length() + frame.encoded_length()) as u64 - 5;
    let store = DiskStore::open(directory.path(), DiskOptions { quota_bytes, ..OPTIONS });
    let store = store.expect("opens");
    store.append(vec![small]).await.expect("room");
    let full = store.append(vec![frame.clone()]).await;
    assert!(
        matches!(full, Err(StoreError::Full { limit: Limit::Quota, missing_bytes: 5 })),
        "{full:?}"
    );
    store.check_writable().await.expect("something smaller would fit");
    drop(store);
    let options = DiskOptions { free_reserve_bytes: u64::MAX / 2, ..OPTIONS };
    let store = DiskStore::open(directory.path(), options).expect("opens");
    let full = store.check_writable().await;
    assert!(matches!(full, Err(StoreError::Full { limit: Limit::Disk, .. })));
    let full = store.append(vec![frame]).await;
    assert!(matches!(full, Err(StoreError::Full { limit: Limit::Disk, .. })));
}

#[tokio::test]
async fn a_cache_drops_what_was_longest_not_used() {
    let directory = directory();
    let quota_bytes = 12 * frame(0..5).encoded_length() as u64;
    let options = DiskOptions { quota_bytes, cache: true, ..OPTIONS };
    let store = DiskStore::open(directory.path(), options).expect("opens");
    store.append(vec![frame(0..5)]).await.expect("room");
    store.flush().await.expect("flush");
    let favourite = store.0.locate(&[id(0)]).expect("indexed")[0].expect("there").place;
    lock(&store.0.uses).insert(favourite, unix_now() + 1000);
    for first in (5..200).step_by(5) {
        store.append(vec![frame(first..first + 5)]).await.expect("room is made");
        store.flush().await.expect("flush");
        let stats = store.stats().await.expect("stats");
        assert!(stats.stored_bytes <= quota_bytes, "{stats:?}");
    }
    all_there(&store, 195..200).await;
    all_there(&store, 0..5).await;
    assert_eq!(store.has(&ids(5..6)).await.expect("has"), [false]);
    drop(store);
    all_there(&open(directory.path()), 195..200).await;
}

#[tokio::test]
async fn a_trim_takes_what_was_longest_not_used_and_nothing_that_is_needed() {
    let directory = directory();
    let one = frame(0..5).encoded_length() as u64;
    let options = DiskOptions { cache: true, ..OPTIONS };
    let store = DiskStore::open(directory.path(), options).expect("opens");
    // The root needs the oldest of all.
    let (list, head) = closure(0..5);
    store.append(vec![list]).await.expect("room");
    for first in (0..200).step_by(5) {
        store.append(vec![frame(first..first + 5)]).await.expect("room");
    }
    store.flush().await.expect("flush");
    // The later a frame came, the later it was used; looking at it does not count.
    let pretend = || {
        let place = |first| store.0.locate(&[id(first)]).expect("indexed")[0].map(|it| it.place);
        let used = |first: u64| Some((place(first)?, 1000 + first));
        let uses: Vec<_> = (0..200).step_by(5).filter_map(used).collect();
        lock(&store.0.uses).extend(uses);
    };
    pretend();
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let kept = Kept(vec![head]);

    let quota = 20 * one;
    let report = store.trim(quota, &kept, at(10_000)).await.expect("trims");
    assert!(report.removed_chunks >= 100 && report.freed_bytes > 0, "{report:?}");
    assert!(store.stored_bytes() <= quota, "{} of {quota}", store.stored_bytes());
    all_there(&store, 0..5).await;
    all_there(&store, 150..200).await;
    assert_eq!(store.has(&ids(5..10)).await.expect("has"), [false; 5]);
    let again = store.trim(quota, &kept, at(10_000)).await.expect("trims");
    assert_eq!(again.removed_chunks, 0, "there is nothing to do");

    // What a running job used stays, however little is allowed.
    pretend();
    let report = store.trim(one, &kept, at(1000 + 190)).await.expect("trims");
    assert!(report.removed_chunks > 0);
    all_there(&store, 0..5).await;
    all_there(&store, 190..200).await;
    drop(store);
    all_there(&open(directory.path()), 190..200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_beside_readers_and_writers_loses_nothing_they_need() {
    let directory = directory();
    let store = Arc::new(open(directory.path()));
    let (list, head) = closure((0..100).step_by(4));
    store.append(vec![list]).await.expect("room");
    for first in (0..100).step_by(10) {
        store.append(vec![frame(first..first + 10)]).await.expect("room");
    }
    store.flush().await.expect("flush");
    let reading = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for _ in 0..20 {
                all_there(&store, (0..100).step_by(4)).await;
                let wanted = ids((0..100).step_by(4));
                assert_eq!(opened(store.as_ref(), &wanted).await.len(), wanted.len());
            }
        }
    });
    let writing = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for seed in 200..240 {
                store.append(vec![frame([seed])]).await.expect("room");
                store.flush().await.expect("flush");
            }
        }
    });
    let report = store.gc(&Kept(vec![head]), Duration::ZERO, later()).await.expect("gc");
    assert!(report.removed_chunks >= 75);
    reading.await.expect("no reader failed");
    writing.await.expect("no writer failed");
    drop(store);
    all_there(&open(directory.path()), (0..100).step_by(4)).await;
}

#[tokio::test]
async fn a_frame_comes_whole_when_most_of_it_is_wanted() {
    let directory = directory();
    let store = filled(directory.path()).await;
    let (frames, _) = store.frames(&ids(0..10)).await.expect("frames");
    assert_eq!(frames, [frame(0..10)], "stored as received");
    let (frames, missing) = store.frames(&ids([1, 12, 22])).await.expect("frames");
    let named: Vec<ChunkId> =
        frames.iter().flat_map(Frame::entries).map(|entry| entry.id).collect();
    assert_eq!((frames.len(), named, missing), (1, ids([1, 12, 22]), vec![]));
}
