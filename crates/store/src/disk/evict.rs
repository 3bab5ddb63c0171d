//! Cache mode: the least recently used frames make room.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::Ordering;

use content::ChunkId;

use super::index::{Change, Place};
use super::pack::{self, pack_path};
use super::write::Writer;
use super::{Disk, unix};
use crate::StoreError;

/// What eviction leaves, in hundredths of the quota, so that it need not run at each append.
const EVICT_TO_PERCENT: u64 = 90;

impl Disk {
    /// In cache mode: evicts least recently used frames when `incoming` more bytes would go
    /// beyond the quota.
    pub(super) fn make_room(&self, incoming: u64) -> Result<(), StoreError> {
        let quota = self.options.quota_bytes;
        let fits = || self.pack_bytes.load(Ordering::Relaxed).saturating_add(incoming) <= quota;
        if fits() || incoming > quota {
            return Ok(());
        }
        let _flushing = self.flushing.blocking_lock();
        let mut writer = self.writer.blocking_lock();
        if fits() {
            return Ok(());
        }
        self.check_poison()?;
        let batch = self.batch(&mut writer);
        self.commit(batch, Change::default())?;
        let uses = self.index.uses()?;
        let (mut frames, mut live) = (Vec::new(), 0);
        // Emptiest first: they free the most for what they copy.
        let mut order = BTreeSet::new();
        for (number, length) in pack::list(&self.packs)? {
            let modified = std::fs::metadata(pack_path(&self.packs, number))
                .and_then(|metadata| metadata.modified())
                .map_or(0, unix);
            let Some((census, _)) = self.census(number)? else { continue };
            for frame in census.into_iter().filter(|frame| !frame.here.is_empty()) {
                let used = uses.get(&frame.place.key()).copied().unwrap_or(modified);
                frames.push((used, frame.place, frame.bytes));
                live += frame.bytes;
            }
            order.insert((length, number));
        }
        frames.sort_unstable();
        let target = (quota / 100 * EVICT_TO_PERCENT).min(quota.saturating_sub(incoming));
        let mut evicted: HashSet<Place> = HashSet::new();
        let mut kept: HashMap<u32, u64> = HashMap::new();
        for (_, place, bytes) in frames {
            if live > target {
                live -= bytes;
                evicted.insert(place);
            } else {
                *kept.entry(place.pack).or_default() += bytes;
            }
        }
        let mut packs: Vec<(u64, u32)> = order
            .into_iter()
            .map(|(length, number)| {
                (kept.get(&number).copied().unwrap_or(0) * 1000 / length.max(1), number)
            })
            .collect();
        packs.sort_unstable();
        for (_, number) in packs {
            if self.pack_bytes.load(Ordering::Relaxed) <= target {
                break;
            }
            self.evict(&mut writer, number, &evicted, &uses)?;
        }
        Ok(())
    }

    /// Rewrites a pack without the evicted frames.
    fn evict(
        &self,
        writer: &mut Writer,
        number: u32,
        evicted: &HashSet<Place>,
        uses: &HashMap<u64, u64>,
    ) -> Result<(), StoreError> {
        let Some((census, _)) = self.census(number)? else { return Ok(()) };
        let gone: HashSet<ChunkId> = census
            .iter()
            .filter(|frame| evicted.contains(&frame.place))
            .flat_map(|frame| frame.here.iter().map(|(id, _)| *id))
            .collect();
        let report = self.sweep_pack(writer, number, |id| !gone.contains(id), 101, uses)?;
        tracing::debug!(pack = number, ?report, "evicted");
        Ok(())
    }
}
