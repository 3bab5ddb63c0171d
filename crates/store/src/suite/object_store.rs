//! A store over nothing but put, get, list and delete of whole objects, as an object store
//! gives: that the suite passes shows that the trait asks for no more.
//!
//! An object holds one frame and is named by the hash of its bytes; it is never altered. The
//! index is made by listing. What was appended waits in memory until `flush` puts it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;

use bytes::Bytes;
use content::FrameEntry;

use super::*;
use crate::codecs::{Codecs, Gatherer, lock};
use crate::mark::Marked;

/// What an object store can do; there is neither appending nor renaming nor locking.
#[derive(Default)]
struct Objects(Mutex<BTreeMap<String, (Bytes, SystemTime)>>);

impl Objects {
    fn put(&self, key: &str, bytes: Bytes) {
        lock(&self.0).insert(key.to_owned(), (bytes, SystemTime::now()));
    }

    fn get(&self, key: &str) -> Option<Bytes> {
        lock(&self.0).get(key).map(|(bytes, _)| bytes.clone())
    }

    /// Keys that begin with `prefix`, and when each was put.
    fn list(&self, prefix: &str) -> Vec<(String, SystemTime)> {
        let objects = lock(&self.0);
        let found = objects.iter().filter(|(key, _)| key.starts_with(prefix));
        found.map(|(key, (_, put))| (key.clone(), *put)).collect()
    }

    fn delete(&self, key: &str) {
        lock(&self.0).remove(key);
    }
}

const PREFIX: &str = "frames/";

fn key_of(bytes: &[u8]) -> String {
    format!("{PREFIX}{}", blake3::hash(bytes).to_hex())
}

fn bytes_of(frame: &Frame) -> Bytes {
    [frame.head_bytes(), frame.payload().clone()].concat().into()
}

#[derive(Default)]
struct Index {
    /// In which object each chunk is.
    chunks: HashMap<ChunkId, String>,
    /// Objects that `flush` has still to put.
    waiting: BTreeMap<String, Bytes>,
    /// Ids asked for or sent again while `gc` runs.
    touched: Option<HashSet<ChunkId>>,
}

struct ObjectStore<'a> {
    objects: &'a Objects,
    index: Mutex<Index>,
    codecs: Codecs,
}

impl<'a> ObjectStore<'a> {
    fn open(objects: &'a Objects) -> Self {
        let store = Self { objects, index: Mutex::default(), codecs: Codecs::default() };
        for (key, _) in objects.list(PREFIX) {
            let frame = store.frame(&key).expect("listed and well-formed");
            let mut index = lock(&store.index);
            index.chunks.extend(frame.entries().iter().map(|entry| (entry.id, key.clone())));
        }
        store
    }

    fn frame(&self, key: &str) -> Option<Frame> {
        let waiting = lock(&self.index).waiting.get(key).cloned();
        let bytes = waiting.or_else(|| self.objects.get(key))?;
        Frame::from_bytes(&bytes).ok()
    }

    /// The chunks of a frame that are wanted, verified.
    fn chunks(
        &self,
        frame: &Frame,
        wanted: impl Fn(&ChunkId) -> bool,
    ) -> Result<Vec<(ChunkId, Bytes)>, StoreError> {
        let mut found = Vec::new();
        self.codecs
            .with(|codec| codec.open(frame, &wanted, |id, bytes| found.push((id, bytes))))?;
        Ok(found)
    }

    /// A frame of some chunks, to be put under its key.
    fn packed(&self, chunks: &[(ChunkId, Bytes)]) -> Vec<(String, Frame)> {
        let frames = self.codecs.with(|codec| {
            let mut gatherer = Gatherer::default();
            chunks.iter().for_each(|(id, bytes)| gatherer.chunk(*id, bytes, codec));
            gatherer.finish(codec)
        });
        frames.into_iter().map(|frame| (key_of(&bytes_of(&frame)), frame)).collect()
    }

    fn keys(&self) -> HashSet<String> {
        lock(&self.index).chunks.values().cloned().collect()
    }
}

fn length(entries: &[FrameEntry]) -> u64 {
    entries.iter().map(|entry| u64::from(entry.length)).sum()
}

#[async_trait]
impl ChunkStore for ObjectStore<'_> {
    async fn has(&self, ids: &[ChunkId]) -> Result<Vec<bool>, StoreError> {
        let mut index = lock(&self.index);
        if let Some(touched) = &mut index.touched {
            touched.extend(ids);
        }
        Ok(ids.iter().map(|id| index.chunks.contains_key(id)).collect())
    }

    async fn append(&self, frames: Vec<Frame>) -> Result<Appended, StoreError> {
        let mut opened = Vec::new();
        for frame in &frames {
            opened.extend(self.chunks(frame, |_| true)?);
        }
        let mut appended = Appended::default();
        let (mut fresh, mut distinct) = (Vec::new(), HashSet::new());
        let known = self.has(&opened.iter().map(|(id, _)| *id).collect::<Vec<_>>()).await?;
        for ((id, bytes), known) in opened.into_iter().zip(known) {
            if known || !distinct.insert(id) {
                appended.known_chunks += 1;
            } else {
                appended.new_chunks += 1;
                appended.new_bytes += bytes.len() as u64;
                fresh.push((id, bytes));
            }
        }
        for (key, frame) in self.packed(&fresh) {
            let mut index = lock(&self.index);
            index.chunks.extend(frame.entries().iter().map(|entry| (entry.id, key.clone())));
            index.waiting.insert(key, bytes_of(&frame));
        }
        Ok(appended)
    }

    async fn flush(&self) -> Result<(), StoreError> {
        let mut index = lock(&self.index);
        while let Some((key, bytes)) = index.waiting.pop_first() {
            self.objects.put(&key, bytes);
        }
        Ok(())
    }

    async fn read(&self, id: &ChunkId) -> Result<Option<Bytes>, StoreError> {
        let key = lock(&self.index).chunks.get(id).cloned();
        let Some(frame) = key.and_then(|key| self.frame(&key)) else { return Ok(None) };
        let found = self.chunks(&frame, |one| one == id)?.pop();
        Ok(found.map(|(_, bytes)| Bytes::copy_from_slice(&bytes)))
    }

    async fn frames(&self, ids: &[ChunkId]) -> Result<(Vec<Frame>, Vec<ChunkId>), StoreError> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        let mut distinct = HashSet::new();
        for id in ids.iter().filter(|id| distinct.insert(**id)) {
            match self.read(id).await? {
                Some(bytes) => found.push((*id, bytes)),
                None => missing.push(*id),
            }
        }
        Ok((self.packed(&found).into_iter().map(|(_, frame)| frame).collect(), missing))
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        let frames: Vec<Frame> = self.keys().iter().filter_map(|key| self.frame(key)).collect();
        Ok(StoreStats {
            chunks: lock(&self.index).chunks.len() as u64,
            plain_bytes: frames.iter().map(|frame| length(frame.entries())).sum(),
            stored_bytes: frames.iter().map(|frame| frame.encoded_length() as u64).sum(),
            packs: frames.len() as u64,
        })
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn verify(&self, how: Scope) -> Result<VerifyReport, StoreError> {
        let keys = self.keys();
        let share = match how {
            Scope::All => keys.len(),
            Scope::Sample(thousandths) => keys.len() * thousandths as usize / 1000,
        };
        let mut report = VerifyReport::default();
        for frame in keys.iter().take(share).filter_map(|key| self.frame(key)) {
            report.checked += frame.entries().len() as u64;
            if self.chunks(&frame, |_| true).is_err() {
                let ids = frame.entries().iter().map(|entry| entry.id).collect();
                report.damaged.push(Damage { pack: 0, offset: 0, ids });
            }
        }
        Ok(report)
    }

    async fn gc(
        &self,
        roots: &dyn Roots,
        grace: Duration,
        now: SystemTime,
    ) -> Result<GcReport, StoreError> {
        self.flush().await?;
        lock(&self.index).touched = Some(HashSet::new());
        let mut marked = Marked::default();
        let result = match marked.extend(self, roots).await {
            Ok(()) => marked.extend(self, roots).await,
            Err(error) => Err(error),
        };
        let touched = lock(&self.index).touched.take().unwrap_or_default();
        result?;
        let needed = |id: &ChunkId| marked.needs(id) || touched.contains(id);
        let mut report = GcReport { kept_chunks: marked.len(), ..GcReport::default() };
        for (key, put) in self.objects.list(PREFIX) {
            let Some(frame) = self.frame(&key) else { continue };
            let entries = frame.entries();
            let young = now.duration_since(put).unwrap_or_default() < grace;
            if young || entries.iter().all(|entry| needed(&entry.id)) {
                continue;
            }
            // The new object is there before the old one goes.
            let kept = self.chunks(&frame, needed)?;
            let rewritten = self.packed(&kept);
            for (key, frame) in &rewritten {
                self.objects.put(key, bytes_of(frame));
            }
            let mut index = lock(&self.index);
            entries.iter().for_each(|entry| drop(index.chunks.remove(&entry.id)));
            for (key, frame) in &rewritten {
                index.chunks.extend(frame.entries().iter().map(|entry| (entry.id, key.clone())));
            }
            self.objects.delete(&key);
            report.removed_chunks += (entries.len() - kept.len()) as u64;
            report.freed_bytes +=
                rewritten.iter().fold(frame.encoded_length() as u64, |freed, (_, frame)| {
                    freed.saturating_sub(frame.encoded_length() as u64)
                });
            report.rewritten_packs += u64::from(!kept.is_empty());
        }
        Ok(report)
    }
}

#[tokio::test]
async fn a_store_over_put_get_list_and_delete() {
    let objects = Objects::default();
    run(&ObjectStore::open(&objects)).await;

    // Whoever opens it again finds what was flushed, and nothing else.
    let store = ObjectStore::open(&objects);
    assert_eq!(store.has(&ids([0, 4, 7, 8])).await.expect("has"), [true, true, false, false]);
    store.append(vec![frame([30])]).await.expect("room");
    store.flush().await.expect("flush");
    store.append(vec![frame([31])]).await.expect("room");
    drop(store);
    let store = ObjectStore::open(&objects);
    assert_eq!(store.has(&ids([30, 31])).await.expect("has"), [true, false]);
    assert_eq!(store.read(&id(30)).await.expect("read").as_deref(), Some(&chunk(30)[..]));

    // An object whose bytes changed is told and never given out.
    let key = lock(&store.index).chunks[&id(30)].clone();
    let mut bytes = objects.get(&key).expect("there").to_vec();
    *bytes.last_mut().expect("not empty") ^= 1;
    objects.put(&key, bytes.into());
    let report = store.verify(Scope::All).await.expect("verify");
    assert_eq!(report.damaged.iter().flat_map(|it| it.ids.clone()).collect::<Vec<_>>(), [id(30)]);
    assert!(store.read(&id(30)).await.is_err());
}
