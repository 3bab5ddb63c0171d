//! A target for packs as a damage, a crash or a broken program may have left them.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use content::frame::{Codec, ENTRY_BYTES, FrameBuilder, FrameCodec, FrameHeader, HEADER_BYTES};
use content::{ChunkId, Frame};
use store::{ChunkStore, DiskOptions, DiskStore, Scope};
use tempfile::TempDir;

use crate::Verdict;
use crate::disk_targets::directory;

/// Bits of an input's first byte.
const RIGHT_CHECKS: u8 = 1;
const RIGHT_IDS: u8 = 2;
/// The bytes stand behind chunks that were acknowledged.
const BEHIND: u8 = 4;
/// The bytes stand over chunks that were acknowledged, the index knows nothing of it.
const OVER: u8 = 8;
/// The index is lost as well.
const NO_INDEX: u8 = 16;

const PACK_HEADER: &[u8; 16] = b"CnPk\x01\0\0\0\0\0\0\0\0\0\0\0";
const OPTIONS: DiskOptions =
    DiskOptions { quota_bytes: u64::MAX, free_reserve_bytes: 0, cache: false };

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    /// A store with acknowledged chunks, to be copied.
    static BASE: OnceCell<TempDir> = const { OnceCell::new() };
}

/// A pack: the store opens, gives out no wrong byte, keeps what the damage left alone, and takes
/// what was lost again. The first byte says how the pack came to be, the second where.
#[must_use]
pub fn store_pack(bytes: &[u8]) -> Verdict {
    let Some((&[how, place], body)) = bytes.split_first_chunk() else { return Verdict::Refused };
    let mut body = body.to_vec();
    make_right(&mut body, how);
    let target = directory();
    let packs = target.path().join("packs");
    let pack = packs.join("00000000.pack");
    let mut file = if how & (BEHIND | OVER) == 0 {
        std::fs::create_dir(&packs).expect("room");
        PACK_HEADER.to_vec()
    } else {
        BASE.with(|base| copy(base.get_or_init(base_store).path(), target.path()));
        std::fs::read(&pack).expect("copied")
    };
    // A write over what is there is no shorter than it: a file that shrinks is another case.
    let at = if how & OVER == 0 { file.len() } else { 16 + usize::from(place) * 16 };
    let (start, end) = (at.min(file.len()), (at + body.len()).min(file.len()));
    file.splice(start..end, body.iter().copied());
    std::fs::write(&pack, &file).expect("room");
    if how & NO_INDEX != 0 {
        drop(std::fs::remove_file(target.path().join("index.redb")));
    }
    let found = RUNTIME.with(|runtime| runtime.block_on(look(target.path(), &file, how)));
    if found > 0 { Verdict::Accepted } else { Verdict::Refused }
}

/// Counts the chunks that can be read out of what `pack` names.
async fn look(path: &Path, pack: &[u8], how: u8) -> usize {
    let ids: Vec<ChunkId> =
        named(pack).into_iter().chain(base_ids()).collect::<BTreeSet<_>>().into_iter().collect();
    let mut found = 0;
    {
        let store =
            DiskStore::open(path, OPTIONS).expect("damage in a pack is no reason to refuse");
        for id in &ids {
            if let Ok(Some(bytes)) = store.read(id).await {
                assert_eq!(ChunkId::of(&bytes), *id, "no wrong byte is given out");
                found += 1;
            }
        }
        let (frames, _) = store.frames(&ids).await.expect("the disk can be read");
        for frame in frames {
            let opened = FrameCodec::default().open(&frame, |_| true, |_, _| ());
            opened.expect("no damaged frame is given out");
        }
        store.verify(Scope::All).await.expect("the disk can be read");
        if how & OVER == 0 && how & BEHIND != 0 {
            let there = store.has(&base_ids()).await.expect("the index can be read");
            assert_eq!(there, vec![true; there.len()], "what was acknowledged is kept");
        }
        // What was lost may come again, and then it is there.
        store.append(vec![base_frame()]).await.expect("room");
        store.flush().await.expect("room");
    }
    let store = DiskStore::open(path, OPTIONS).expect("opens again");
    for id in base_ids() {
        let bytes = store.read(&id).await.expect("sound").expect("flushed");
        assert_eq!(ChunkId::of(&bytes), id);
    }
    found
}

fn base_chunks() -> [Vec<u8>; 3] {
    [vec![7; 300], b"a chunk that was acknowledged".to_vec(), (0..=255).collect()]
}

fn base_ids() -> Vec<ChunkId> {
    base_chunks().iter().map(|chunk| ChunkId::of(chunk)).collect()
}

fn base_frame() -> Frame {
    let mut builder = FrameBuilder::default();
    for chunk in base_chunks() {
        builder.push(ChunkId::of(&chunk), &chunk);
    }
    let (entries, plain) = builder.take().expect("not empty");
    FrameCodec::default().encode(entries, plain, Codec::Zstd)
}

fn base_store() -> TempDir {
    let base = directory();
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let store = DiskStore::open(base.path(), OPTIONS).expect("opens");
            store.append(vec![base_frame()]).await.expect("room");
            store.flush().await.expect("room");
        });
    });
    base
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to.join("packs")).expect("room");
    for name in ["index.redb", "packs/00000000.pack"] {
        std::fs::copy(from.join(name), to.join(name)).expect("room");
    }
}

/// Places where a frame seems to begin, and its header.
fn headers(bytes: &[u8]) -> Vec<(usize, FrameHeader)> {
    let places = bytes.windows(4).enumerate().filter(|(_, four)| four == b"CnF1");
    places
        .filter_map(|(at, _)| Some((at, FrameHeader::decode(bytes[at..].first_chunk()?).ok()?)))
        .collect()
}

/// Every id that a frame anywhere in `pack` names.
fn named(pack: &[u8]) -> BTreeSet<ChunkId> {
    let mut ids = BTreeSet::new();
    for (at, header) in headers(pack) {
        let end = (at + HEADER_BYTES + header.body_length()).min(pack.len());
        if let Ok(frame) = Frame::from_bytes(&Bytes::copy_from_slice(&pack[at..end])) {
            ids.extend(frame.entries().iter().map(|entry| entry.id));
        }
    }
    ids
}

/// Makes ids and checks of the frames in `body` what a whole writer would have made them.
fn make_right(body: &mut [u8], how: u8) {
    for (at, header) in headers(body) {
        let end = at + HEADER_BYTES + header.body_length();
        let Some(frame) = body.get_mut(at..end) else { continue };
        let (head, rest) = frame.split_at_mut(HEADER_BYTES);
        let (entries, payload) = rest.split_at_mut(header.entries_length());
        if how & RIGHT_IDS != 0 {
            let mut left = &*payload;
            for entry in entries.as_chunks_mut::<ENTRY_BYTES>().0 {
                let (id, length) = entry.split_at_mut(32);
                let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
                let Some((chunk, after)) = left.split_at_checked(length) else { break };
                id.copy_from_slice(ChunkId::of(chunk).as_bytes());
                left = after;
            }
        }
        if how & RIGHT_CHECKS != 0 {
            let (fields, check) = head.split_at_mut(16);
            let mut hasher = blake3::Hasher::new();
            hasher.update(fields).update(entries).update(payload);
            check.copy_from_slice(hasher.finalize().as_bytes());
        }
    }
}
