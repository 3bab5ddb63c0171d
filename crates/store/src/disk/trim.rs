//! A store as a cache: what was longest not used goes once there is more than wanted.
//!
//! Unlike the quota, which makes room while something is appended, this runs beside the jobs and
//! leaves alone what they, or any root, may need. So the store may be larger for a while.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use content::ChunkId;

use super::pack::{self, pack_path};
use super::sweep::Listening;
use super::{Disk, DiskStore, unix};
use crate::codecs::lock;
use crate::mark::Marked;
use crate::{ChunkStore as _, GcReport, Roots, StoreError};

/// What a trim leaves, in hundredths of what is allowed, so that the next is not due at once.
const TRIM_TO_PERCENT: u64 = 90;
/// Packs are rewritten whatever is in use of them: each byte freed is wanted.
const ALWAYS_PERCENT: u64 = 101;

/// Chunks that may go, by pack; the pack that loses most comes first.
type Oldest = Vec<(u32, HashSet<ChunkId>)>;

impl DiskStore {
    /// Bytes of the packs, without asking the index.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.0.pack_bytes.load(Ordering::Relaxed)
    }

    /// When the packs take more than `bytes`, removes chunks that no closure names and nobody has
    /// used since `since`, the longest not used first.
    ///
    /// Open the store with [`super::DiskOptions::cache`], else it does not know what was used.
    /// Safe beside readers and writers, like [`crate::ChunkStore::gc`].
    ///
    /// # Errors
    /// Those of `gc`: when it is not known what must be kept, nothing (more) is removed.
    pub async fn trim(
        &self,
        bytes: u64,
        roots: &dyn Roots,
        since: SystemTime,
    ) -> Result<GcReport, StoreError> {
        let mut report = GcReport::default();
        if self.stored_bytes() <= bytes {
            return Ok(report);
        }
        let disk = &self.0;
        let _one_at_a_time = disk.collecting.lock().await;
        let _stop_listening = Listening::start(disk);
        self.flush().await?;
        let mut marked = Marked::default();
        marked.extend(self, roots).await?;
        let target = bytes / 100 * TRIM_TO_PERCENT;
        let (oldest, uses);
        (marked, oldest, uses) = self
            .run(move |disk| {
                let uses = disk.index.uses()?;
                let oldest = disk.oldest(target, &marked, unix(since), &uses)?;
                Ok((marked, oldest, Arc::new(uses)))
            })
            .await?;
        for (number, gone) in oldest {
            if self.stored_bytes() <= target {
                break;
            }
            let flushing = Arc::clone(&disk.flushing).lock_owned().await;
            let mut writer = Arc::clone(&disk.writer).lock_owned().await;
            // As in `gc`: from here on nothing becomes needed without being seen here or in
            // `touched`.
            marked.extend(self, roots).await?;
            let uses = Arc::clone(&uses);
            let swept;
            (marked, swept) = self
                .run(move |disk| {
                    let _flushing = flushing;
                    let is_touched = |id: &ChunkId| {
                        lock(&disk.touched).as_ref().is_some_and(|touched| touched.contains(id))
                    };
                    let keep =
                        |id: &ChunkId| !gone.contains(id) || marked.needs(id) || is_touched(id);
                    let swept =
                        disk.sweep_pack(&mut writer, number, keep, ALWAYS_PERCENT, &uses)?;
                    Ok((marked, swept))
                })
                .await?;
            tracing::debug!(pack = number, ?swept, "trimmed");
            report.removed_chunks += swept.removed_chunks;
            report.freed_bytes += swept.freed_bytes;
            report.rewritten_packs += swept.rewritten_packs;
        }
        report.kept_chunks = marked.len();
        Ok(report)
    }
}

impl Disk {
    fn oldest(
        &self,
        target: u64,
        marked: &Marked,
        since: u64,
        uses: &HashMap<u64, u64>,
    ) -> Result<Oldest, StoreError> {
        let (mut frames, mut packs, mut live) = (Vec::new(), BTreeMap::new(), 0);
        for (number, length) in pack::list(&self.packs)? {
            let modified = std::fs::metadata(pack_path(&self.packs, number))
                .and_then(|metadata| metadata.modified())
                .map_or(0, unix);
            let Some((census, _)) = self.census(number)? else { continue };
            let mut kept = 0;
            for frame in census.into_iter().filter(|frame| !frame.here.is_empty()) {
                live += frame.bytes;
                kept += frame.bytes;
                let used = uses.get(&frame.place.key()).copied().unwrap_or(modified);
                let is_needed = used >= since || frame.here.iter().any(|(id, _)| marked.needs(id));
                if !is_needed {
                    let ids: Vec<ChunkId> = frame.here.iter().map(|(id, _)| *id).collect();
                    frames.push((used, frame.place, frame.bytes, ids));
                }
            }
            packs.insert(number, (length, kept, HashSet::new()));
        }
        frames.sort_unstable_by_key(|(used, place, ..)| (*used, *place));
        for (_, place, bytes, ids) in frames {
            if live <= target {
                break;
            }
            live -= bytes;
            if let Some((_, kept, gone)) = packs.get_mut(&place.pack) {
                *kept -= bytes;
                gone.extend(ids);
            }
        }
        // Emptiest first: they free the most for what they copy.
        let mut order: Vec<_> = packs
            .into_iter()
            .map(|(number, (length, kept, gone))| (kept * 1000 / length.max(1), number, gone))
            .filter(|(kept, _, gone)| *kept < 900 || !gone.is_empty())
            .collect();
        order.sort_unstable_by_key(|(kept, number, _)| (*kept, *number));
        Ok(order.into_iter().map(|(_, number, gone)| (number, gone)).collect())
    }
}
