//! Removing what no root needs, and the rewriting of packs that eviction shares.
//!
//! To rewrite a pack: chunks to keep are copied to the active pack and made durable, the index
//! turns to the copies and forgets the rest in one commit, then the old file is deleted.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use content::ChunkId;

use super::index::{Change, Location, Place};
use super::pack::{self, pack_path};
use super::read::Loaded;
use super::write::Writer;
use super::{Disk, DiskStore};
use crate::codecs::{Gatherer, lock};
use crate::mark::Marked;
use crate::{GcReport, Roots, StoreError};

/// Packs with less than this part of their bytes in use are rewritten, in hundredths.
///
/// At 60 % a rewrite copies at most one and a half bytes for each byte it frees.
const FILL_PERCENT_MIN: u64 = 60;
/// A frame and its chunks that the index finds here.
pub(super) struct Census {
    pub(super) place: Place,
    pub(super) bytes: u64,
    /// All plain bytes of the frame, whether still indexed here or not.
    pub(super) plain: u64,
    pub(super) here: Vec<(ChunkId, Location)>,
}

impl DiskStore {
    pub(super) async fn collect(
        &self,
        roots: &dyn Roots,
        grace: Duration,
        now: SystemTime,
    ) -> Result<GcReport, StoreError> {
        let disk = &self.0;
        let _one_at_a_time = disk.collecting.lock().await;
        let _stop_listening = Listening::start(disk);
        crate::ChunkStore::flush(self).await?;
        let mut marked = Marked::default();
        marked.extend(self, roots).await?;
        let mut report = GcReport::default();
        let packs = self.run(|disk| pack::list(&disk.packs)).await?;
        for (number, _) in packs {
            let modified = std::fs::metadata(pack_path(&disk.packs, number))
                .and_then(|metadata| metadata.modified());
            let Ok(modified) = modified else { continue };
            if now.duration_since(modified).unwrap_or_default() < grace {
                continue;
            }
            let flushing = Arc::clone(&disk.flushing).lock_owned().await;
            let mut writer = Arc::clone(&disk.writer).lock_owned().await;
            // Under the writer's lock nothing new can be published from chunks of this pack
            // without being seen here or in `touched`.
            marked.extend(self, roots).await?;
            let step;
            (marked, step) = self
                .run(move |disk| {
                    let _flushing = flushing;
                    // Only grows while this runs: what is kept at one look is kept at the next,
                    // and `sweep_pack` looks again before it lets anything go.
                    let is_touched = |id: &ChunkId| {
                        lock(&disk.touched).as_ref().is_some_and(|touched| touched.contains(id))
                    };
                    let keep = |id: &ChunkId| marked.needs(id) || is_touched(id);
                    let uses = disk.uses_if_cache()?;
                    let step =
                        disk.sweep_pack(&mut writer, number, keep, FILL_PERCENT_MIN, &uses)?;
                    Ok((marked, step))
                })
                .await?;
            tracing::debug!(pack = number, ?step, "swept");
            report.removed_chunks += step.removed_chunks;
            report.freed_bytes += step.freed_bytes;
            report.rewritten_packs += step.rewritten_packs;
        }
        report.kept_chunks = marked.len();
        Ok(report)
    }
}

/// While it lives, ids that are asked for or sent again are remembered.
pub(super) struct Listening<'a>(&'a Disk);

impl<'a> Listening<'a> {
    pub(super) fn start(disk: &'a Disk) -> Self {
        *lock(&disk.touched) = Some(HashSet::new());
        Self(disk)
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        *lock(&self.0.touched) = None;
    }
}

impl Disk {
    /// Removes the chunks of a pack that `keep` does not select; rewrites the pack when it is
    /// filled less than `fill_percent`. Call it holding `flushing`.
    pub(super) fn sweep_pack(
        &self,
        writer: &mut Writer,
        number: u32,
        keep: impl Fn(&ChunkId) -> bool,
        fill_percent: u64,
        uses: &HashMap<u64, u64>,
    ) -> Result<GcReport, StoreError> {
        self.check_poison()?;
        // A pack of 64 MiB may hold some ten thousand chunks.
        self.check_index_room(10_000)?;
        // What the pack holds must be in the index before it is judged by it.
        let batch = self.batch(writer);
        self.commit(batch, Change::default())?;
        let mut report = GcReport::default();
        let Some((census, length)) = self.census(number)? else { return Ok(report) };
        let (mut used, mut change) = (0, Change::default());
        for frame in &census {
            let live = frame.here.iter().filter(|(id, _)| keep(id));
            let live: u64 = live.map(|(_, location)| u64::from(location.length)).sum();
            used += frame.bytes * live / frame.plain.max(1);
            change.remove.extend(frame.here.iter().map(|(id, _)| *id).filter(|id| !keep(id)));
        }
        let removed = change.remove.len() as u64;
        let sparse = used * 100 < length * fill_percent;
        if !sparse && removed == 0 {
            return Ok(report);
        }
        if sparse {
            writer.seal(number);
            if !self.copy(writer, &census, &keep, uses, &mut change)? {
                return Ok(report);
            }
            change.drop_packs = vec![number];
            change.drop_uses = census.iter().map(|frame| frame.place).collect();
        }
        let batch = self.batch(writer);
        {
            // Whoever asks from now on waits, and is told that the chunks are gone.
            let touched = lock(&self.touched);
            let asked = |id| touched.as_ref().is_some_and(|touched| touched.contains(id));
            if change.remove.iter().any(asked) {
                drop(touched);
                self.commit(batch, Change::default())?;
                return Ok(report);
            }
            self.commit(batch, change)?;
        }
        report.removed_chunks = removed;
        if !sparse {
            return Ok(report);
        }
        self.delete(number, length)?;
        report.freed_bytes = length.saturating_sub(used);
        report.rewritten_packs = u64::from(used > 0);
        Ok(report)
    }

    fn uses_if_cache(&self) -> Result<HashMap<u64, u64>, StoreError> {
        if self.options.cache { self.index.uses() } else { Ok(HashMap::new()) }
    }

    /// Frames of a pack; `None` when part of it cannot be read: such a pack is left alone.
    pub(super) fn census(&self, number: u32) -> Result<Option<(Vec<Census>, u64)>, StoreError> {
        let path = pack_path(&self.packs, number);
        let Ok(file) = self.handles.open(&self.packs, number) else { return Ok(None) };
        let length = file.metadata().map_err(StoreError::io("measure", &path))?.len();
        let (mut at, mut census) = (pack::PACK_HEADER_BYTES, Vec::new());
        while at < length {
            let Ok((entries, bytes)) = pack::read_entries(&file, at) else {
                tracing::warn!(pack = number, offset = at, "a damaged pack is not cleaned up");
                return Ok(None);
            };
            let Ok(offset) = u32::try_from(at) else { return Ok(None) };
            let place = Place { pack: number, offset };
            let ids: Vec<ChunkId> = entries.iter().map(|entry| entry.id).collect();
            let found = self.locate(&ids)?;
            let plain = entries.iter().map(|entry| u64::from(entry.length)).sum();
            let mut distinct = HashSet::new();
            let here = ids
                .into_iter()
                .zip(found)
                .filter_map(|(id, found)| Some((id, found?)))
                .filter(|(id, found)| found.place == place && distinct.insert(*id))
                .collect();
            census.push(Census { place, bytes, plain, here });
            at += bytes;
        }
        Ok(Some((census, length)))
    }

    /// Copies the chunks to keep to the active pack; `false` when one is damaged, so that the
    /// pack must stay.
    fn copy(
        &self,
        writer: &mut Writer,
        census: &[Census],
        keep: &impl Fn(&ChunkId) -> bool,
        uses: &HashMap<u64, u64>,
        change: &mut Change,
    ) -> Result<bool, StoreError> {
        for frame in census {
            let wanted: HashSet<ChunkId> =
                frame.here.iter().map(|(id, _)| *id).filter(|id| keep(id)).collect();
            if wanted.is_empty() {
                continue;
            }
            let Loaded::Frame(stored) = self.load(frame.place)? else { return Ok(false) };
            let copies = self.codecs.with(|codec| {
                let mut gatherer = Gatherer::default();
                if wanted.len() == stored.entries().len() {
                    codec.open(&stored, |_| true, |_, _| ())?;
                    stored.verify_check()?;
                    gatherer.frame(stored, codec);
                } else {
                    let mut loose = HashMap::new();
                    codec.open(
                        &stored,
                        |id| wanted.contains(id),
                        |id, bytes| {
                            drop(loose.insert(id, bytes));
                        },
                    )?;
                    for (id, _) in frame.here.iter().filter(|(id, _)| wanted.contains(id)) {
                        if let Some(bytes) = loose.get(id) {
                            gatherer.chunk(*id, bytes, codec);
                        }
                    }
                }
                Ok::<_, content::frame::FrameError>(gatherer.finish(codec))
            });
            let Ok(copies) = copies else {
                tracing::warn!(pack = frame.place.pack, "a damaged pack is not cleaned up");
                return Ok(false);
            };
            // The copies keep the time of their last use.
            let last_use = uses.get(&frame.place.key()).copied();
            for copy in &copies {
                let place = self.put(writer, copy)?;
                if let Some(when) = last_use {
                    change.uses.insert(place, when);
                }
            }
        }
        Ok(true)
    }

    fn delete(&self, number: u32, length: u64) -> Result<(), StoreError> {
        let path = pack_path(&self.packs, number);
        std::fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
        // Or a power cut brings it back, with chunks that were let go.
        let sync = File::open(&self.packs).and_then(|packs| packs.sync_all());
        sync.map_err(StoreError::io("sync", &self.packs))?;
        self.handles.close(number);
        lock(&self.decoded).forget(number);
        self.pack_bytes.fetch_sub(length, Ordering::Relaxed);
        self.pack_count.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}
