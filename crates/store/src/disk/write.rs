//! Appending and flushing.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use content::{ChunkId, Frame};

use super::index::{Change, Location, Place};
use super::pack::{self, PACK_BYTES_MAX, PACK_HEADER, PACK_HEADER_BYTES, pack_path};
use super::{Disk, unix_now};
use crate::codecs::{Gatherer, lock};
use crate::{Appended, Limit, StoreError};

/// What a commit of the index may write at most, besides [`INDEX_ENTRY_ROOM`] for each entry:
/// a new region's head and the tables' upper pages.
const INDEX_ROOM: u64 = 4 << 20;
/// A leaf page and its share of those above it, copied on write.
const INDEX_ENTRY_ROOM: u64 = 8 << 10;

/// The active pack and what was added since the last commit.
pub(super) struct Writer {
    active: Option<Active>,
    next: u32,
    added: Vec<(ChunkId, Location)>,
    /// Packs written since the last commit: their files, and their lengths now.
    dirty: BTreeMap<u32, (Arc<File>, u64)>,
}

struct Active {
    number: u32,
    file: Arc<File>,
    tail: u64,
}

/// What one flush makes durable.
pub(super) struct Batch {
    added: Vec<(ChunkId, Location)>,
    dirty: BTreeMap<u32, (Arc<File>, u64)>,
    through: u64,
}

impl Writer {
    /// Goes on in the last pack if there is room.
    pub(super) fn open(packs: &Path, last: Option<(u32, u64)>) -> Result<Self, StoreError> {
        let active = match last {
            Some((number, tail)) if tail < PACK_BYTES_MAX => {
                let path = pack_path(packs, number);
                let file = OpenOptions::new().write(true).open(&path);
                let file = Arc::new(file.map_err(StoreError::io("open", &path))?);
                Some(Active { number, file, tail })
            }
            _ => None,
        };
        let next = last.map_or(0, |(number, _)| number + 1);
        Ok(Self { active, next, added: Vec::new(), dirty: BTreeMap::new() })
    }

    /// Starts a new pack with the next frame if `number` is the active one.
    pub(super) fn seal(&mut self, number: u32) {
        self.active.take_if(|active| active.number == number);
    }
}

impl Disk {
    pub(super) fn append(&self, frames: Vec<Frame>) -> Result<Appended, StoreError> {
        self.check_poison()?;
        self.codecs.with(|codec| {
            // The check too: without it a rebuilt index would leave the frame out.
            frames.iter().try_for_each(|frame| {
                frame.verify_check()?;
                codec.open(frame, |_| true, |_, _| ())
            })
        })?;
        let incoming: u64 = frames.iter().map(|frame| frame.encoded_length() as u64).sum();
        if self.options.cache {
            self.make_room(incoming)?;
        }
        let mut writer = self.writer.blocking_lock();
        self.check_poison()?;
        let (frames, appended) = self.only_new(frames)?;
        self.check_room(frames.iter().map(|frame| frame.encoded_length() as u64).sum())?;
        for frame in &frames {
            self.put(&mut writer, frame)?;
        }
        self.appended.fetch_add(1, Ordering::Release);
        Ok(appended)
    }

    /// Leaves out chunks that are here: a frame of new chunks alone stays as it is, the new
    /// chunks of others go into frames of their own.
    fn only_new(&self, frames: Vec<Frame>) -> Result<(Vec<Frame>, Appended), StoreError> {
        let ids: Vec<ChunkId> =
            frames.iter().flat_map(Frame::entries).map(|entry| entry.id).collect();
        let known = self.has(&ids)?;
        let mut known = known.into_iter();
        let (mut appended, mut seen) = (Appended::default(), HashSet::new());
        self.codecs.with(|codec| {
            let mut gatherer = Gatherer::default();
            for frame in frames {
                let mut new = HashSet::new();
                for entry in frame.entries() {
                    if known.next() == Some(false) && seen.insert(entry.id) {
                        new.insert(entry.id);
                        appended.new_bytes += u64::from(entry.length);
                    }
                }
                appended.new_chunks += new.len() as u64;
                appended.known_chunks += (frame.entries().len() - new.len()) as u64;
                if new.len() == frame.entries().len() {
                    gatherer.frame(frame, codec);
                } else if !new.is_empty() {
                    let mut loose = Vec::with_capacity(new.len());
                    codec.open(
                        &frame,
                        |id| new.contains(id),
                        |id, bytes| loose.push((id, bytes)),
                    )?;
                    for (id, bytes) in loose.iter().filter(|(id, _)| new.remove(id)) {
                        gatherer.chunk(*id, bytes, codec);
                    }
                }
            }
            Ok((gatherer.finish(codec), appended))
        })
    }

    pub(super) fn check_room(&self, needed: u64) -> Result<(), StoreError> {
        if needed == 0 {
            return Ok(());
        }
        let after = self.pack_bytes.load(Ordering::Relaxed).saturating_add(needed);
        if after > self.options.quota_bytes {
            let missing_bytes = after - self.options.quota_bytes;
            return Err(StoreError::Full { limit: Limit::Quota, missing_bytes });
        }
        self.check_free(needed.saturating_add(self.options.free_reserve_bytes))
    }

    /// Whether the index can take so many entries. A commit that runs out of room half-way would
    /// leave an index that refuses even to be read until it is opened again.
    pub(super) fn check_index_room(&self, entries: usize) -> Result<(), StoreError> {
        self.check_free(INDEX_ROOM.saturating_add(INDEX_ENTRY_ROOM * entries as u64))
    }

    fn check_free(&self, wanted: u64) -> Result<(), StoreError> {
        let disk = rustix::fs::statvfs(&self.packs)
            .map_err(|error| StoreError::io("ask for free space of", &self.packs)(error.into()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if wanted > free {
            return Err(StoreError::Full { limit: Limit::Disk, missing_bytes: wanted - free });
        }
        Ok(())
    }

    /// Writes one frame to the active pack and makes its chunks findable.
    pub(super) fn put(&self, writer: &mut Writer, frame: &Frame) -> Result<Place, StoreError> {
        let length = frame.encoded_length() as u64;
        writer.active.take_if(|active| active.tail + length > PACK_BYTES_MAX);
        if writer.active.is_none() {
            writer.active = Some(self.create_pack(writer)?);
        }
        let active = writer.active.as_mut().expect("created above");
        let path = || pack_path(&self.packs, active.number);
        if let Err(error) = pack::write_frame(&active.file, active.tail, frame) {
            if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
                // Nothing behind the tail counts; the next frame overwrites it.
                let missing_bytes = length;
                return Err(StoreError::Full { limit: Limit::Disk, missing_bytes });
            }
            return Err(self.poison(StoreError::io("write", &path())(error)));
        }
        let offset = u32::try_from(active.tail).expect("packs are at most 64 MiB");
        let place = Place { pack: active.number, offset };
        active.tail += length;
        writer.dirty.insert(active.number, (Arc::clone(&active.file), active.tail));
        self.pack_bytes.fetch_add(length, Ordering::Relaxed);
        if self.options.cache {
            lock(&self.uses).entry(place).or_insert_with(unix_now);
        }
        let mut pending = self.pending.write().unwrap_or_else(PoisonError::into_inner);
        let mut damaged = lock(&self.damaged);
        let mut plain = 0;
        for entry in frame.entries() {
            let location = Location { place, plain, length: entry.length };
            damaged.remove(&entry.id);
            pending.insert(entry.id, location);
            writer.added.push((entry.id, location));
            plain += entry.length;
        }
        Ok(place)
    }

    fn create_pack(&self, writer: &mut Writer) -> Result<Active, StoreError> {
        let number = writer.next;
        let path = pack_path(&self.packs, number);
        let create = || {
            use std::os::unix::fs::FileExt;
            let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            file.write_all_at(&PACK_HEADER, 0)?;
            File::open(&self.packs)?.sync_all()?;
            Ok(file)
        };
        // Nothing was written to any pack yet: without descriptors or room this append fails,
        // and the store goes on.
        let file = create().map_err(|error: std::io::Error| {
            // A pack that is there already is not ours to remove.
            if error.kind() != ErrorKind::AlreadyExists {
                let _ = std::fs::remove_file(&path);
            }
            if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
                StoreError::Full { limit: Limit::Disk, missing_bytes: PACK_HEADER_BYTES }
            } else {
                StoreError::io("create", &path)(error)
            }
        })?;
        let file = Arc::new(file);
        writer.next += 1;
        self.pack_bytes.fetch_add(PACK_HEADER_BYTES, Ordering::Relaxed);
        self.pack_count.fetch_add(1, Ordering::Relaxed);
        Ok(Active { number, file, tail: PACK_HEADER_BYTES })
    }

    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.check_poison()?;
        let batch = {
            let mut writer = self.writer.blocking_lock();
            // Before anything is taken from the writer: a later flush finds it all again.
            self.check_index_room(writer.added.len())?;
            self.batch(&mut writer)
        };
        self.commit(batch, Change::default())
    }

    /// Takes what was added so far.
    pub(super) fn batch(&self, writer: &mut Writer) -> Batch {
        Batch {
            added: std::mem::take(&mut writer.added),
            dirty: std::mem::take(&mut writer.dirty),
            through: self.appended.load(Ordering::Acquire),
        }
    }

    /// Syncs the packs, then commits `batch` and `change` at once. Call it holding `flushing`.
    pub(super) fn commit(&self, batch: Batch, change: Change) -> Result<(), StoreError> {
        let result = self.commit_unguarded(batch, change);
        result.map_err(|error| self.poison(error))
    }

    fn commit_unguarded(&self, batch: Batch, mut change: Change) -> Result<(), StoreError> {
        for (number, (file, _)) in &batch.dirty {
            self.sync(file).map_err(StoreError::io("sync", &pack_path(&self.packs, *number)))?;
        }
        change.lengths.extend(batch.dirty.iter().map(|(number, (_, length))| (*number, *length)));
        for (place, when) in std::mem::take(&mut *lock(&self.uses)) {
            // A copied frame keeps the time its original was used.
            change.uses.entry(place).or_insert(when);
        }
        change.drop_uses.iter().for_each(|place| {
            change.uses.remove(place);
        });
        change.insert.extend_from_slice(&batch.added);
        self.index.commit(change)?;
        let mut pending = self.pending.write().unwrap_or_else(PoisonError::into_inner);
        for (id, location) in &batch.added {
            if pending.get(id) == Some(location) {
                pending.remove(id);
            }
        }
        self.flushed.fetch_max(batch.through, Ordering::Release);
        Ok(())
    }

    fn sync(&self, file: &File) -> std::io::Result<()> {
        #[cfg(test)]
        if self.fail_syncs.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("a failure was injected"));
        }
        file.sync_data()
    }
}
