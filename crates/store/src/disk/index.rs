//! The index: where each chunk is. Rebuildable from the packs, so it may be lost, and any damage in
//! it is an error, also where its library panics.
//!
//! ```text
//! table "chunks"  chunk id (32 bytes)          -> pack, frame offset, plain offset, length
//!                                                 (4 x u32, little-endian)
//! table "packs"   pack u32                     -> bytes of the pack that are indexed, u64
//! table "uses"    pack << 32 | frame offset    -> last use, unix seconds (cache mode alone)
//! table "totals"  "plain_bytes"                -> lengths of all chunks added up, u64
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use content::ChunkId;
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

use super::guard::guarded;
use crate::StoreError;

const CHUNKS: TableDefinition<'_, &[u8; 32], &[u8; 16]> = TableDefinition::new("chunks");
const PACKS: TableDefinition<'_, u32, u64> = TableDefinition::new("packs");
const USES: TableDefinition<'_, u64, u64> = TableDefinition::new("uses");
const TOTALS: TableDefinition<'_, &str, u64> = TableDefinition::new("totals");
const PLAIN_BYTES: &str = "plain_bytes";

/// Pages kept in memory: the upper levels of an index of 10 million chunks and then some.
const CACHE_BYTES: usize = 64 << 20;

/// A frame's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) pack: u32,
    pub(super) offset: u32,
}

impl Place {
    pub(super) fn key(self) -> u64 {
        u64::from(self.pack) << 32 | u64::from(self.offset)
    }
}

/// A chunk's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) place: Place,
    /// Where in the frame's plain bytes the chunk begins.
    pub(super) plain: u32,
    pub(super) length: u32,
}

impl Location {
    fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let words = [self.place.pack, self.place.offset, self.plain, self.length];
        for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; 16]) -> Self {
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let place = Place { pack: word(0), offset: word(4) };
        Self { place, plain: word(8), length: word(12) }
    }
}

/// What one commit changes.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) insert: Vec<(ChunkId, Location)>,
    pub(super) remove: Vec<ChunkId>,
    pub(super) lengths: Vec<(u32, u64)>,
    pub(super) drop_packs: Vec<u32>,
    pub(super) uses: HashMap<Place, u64>,
    pub(super) drop_uses: Vec<Place>,
}

pub(super) struct Index(Database);

impl Index {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        guarded(|| {
            let database = Database::builder()
                .set_cache_size(CACHE_BYTES)
                .create(path)
                .map_err(StoreError::index)?;
            let index = Self(database);
            // Makes the tables, and touches each root page.
            index.commit(Change::default())?;
            index.count()?;
            Ok(index)
        })
    }

    pub(super) fn lookup(&self, ids: &[ChunkId]) -> Result<Vec<Option<Location>>, StoreError> {
        guarded(|| {
            let transaction = self.0.begin_read().map_err(StoreError::index)?;
            let chunks = transaction.open_table(CHUNKS).map_err(StoreError::index)?;
            ids.iter()
                .map(|id| {
                    let found = chunks.get(id.as_bytes()).map_err(StoreError::index)?;
                    Ok(found.map(|value| Location::decode(value.value())))
                })
                .collect()
        })
    }

    /// Applies `change` in one durable transaction.
    pub(super) fn commit(&self, mut change: Change) -> Result<(), StoreError> {
        guarded(|| {
            // Neighbours in the tree share pages: in order, each page is touched once.
            change.insert.sort_unstable_by_key(|(id, _)| *id);
            change.remove.sort_unstable();
            let transaction = self.0.begin_write().map_err(StoreError::index)?;
            {
                let mut chunks = transaction.open_table(CHUNKS).map_err(StoreError::index)?;
                let mut packs = transaction.open_table(PACKS).map_err(StoreError::index)?;
                let mut uses = transaction.open_table(USES).map_err(StoreError::index)?;
                let mut totals = transaction.open_table(TOTALS).map_err(StoreError::index)?;
                let mut plain = totals
                    .get(PLAIN_BYTES)
                    .map_err(StoreError::index)?
                    .map_or(0, |sum| sum.value());
                for id in &change.remove {
                    if let Some(old) = chunks.remove(id.as_bytes()).map_err(StoreError::index)? {
                        plain = plain.saturating_sub(Location::decode(old.value()).length.into());
                    }
                }
                for (id, location) in &change.insert {
                    let old = chunks
                        .insert(id.as_bytes(), &location.encode())
                        .map_err(StoreError::index)?
                        .map_or(0, |old| Location::decode(old.value()).length);
                    plain = (plain + u64::from(location.length)).saturating_sub(old.into());
                }
                totals.insert(PLAIN_BYTES, plain).map_err(StoreError::index)?;
                for (pack, length) in change.lengths {
                    packs.insert(pack, length).map_err(StoreError::index)?;
                }
                for pack in change.drop_packs {
                    packs.remove(pack).map_err(StoreError::index)?;
                }
                for (place, when) in change.uses {
                    uses.insert(place.key(), when).map_err(StoreError::index)?;
                }
                for place in change.drop_uses {
                    uses.remove(place.key()).map_err(StoreError::index)?;
                }
            }
            transaction.commit().map_err(StoreError::index)
        })
    }

    /// Removes every chunk of `packs`, and the packs: one pass over the index.
    pub(super) fn forget(&self, packs: &HashSet<u32>) -> Result<(), StoreError> {
        let mut change =
            Change { drop_packs: packs.iter().copied().collect(), ..Change::default() };
        self.for_each(|id, location| {
            if packs.contains(&location.place.pack) {
                change.remove.push(id);
            }
        })?;
        self.commit(change)
    }

    pub(super) fn for_each(
        &self,
        mut visit: impl FnMut(ChunkId, Location),
    ) -> Result<(), StoreError> {
        guarded(|| {
            let transaction = self.0.begin_read().map_err(StoreError::index)?;
            let chunks = transaction.open_table(CHUNKS).map_err(StoreError::index)?;
            for entry in chunks.iter().map_err(StoreError::index)? {
                let (id, location) = entry.map_err(StoreError::index)?;
                visit(ChunkId::from_bytes(*id.value()), Location::decode(location.value()));
            }
            Ok(())
        })
    }

    /// The packs and how much of each is indexed.
    pub(super) fn packs(&self) -> Result<BTreeMap<u32, u64>, StoreError> {
        guarded(|| {
            let transaction = self.0.begin_read().map_err(StoreError::index)?;
            let packs = transaction.open_table(PACKS).map_err(StoreError::index)?;
            packs
                .iter()
                .map_err(StoreError::index)?
                .map(|entry| {
                    let (pack, length) = entry.map_err(StoreError::index)?;
                    Ok((pack.value(), length.value()))
                })
                .collect()
        })
    }

    pub(super) fn uses(&self) -> Result<HashMap<u64, u64>, StoreError> {
        guarded(|| {
            let transaction = self.0.begin_read().map_err(StoreError::index)?;
            let uses = transaction.open_table(USES).map_err(StoreError::index)?;
            uses.iter()
                .map_err(StoreError::index)?
                .map(|entry| {
                    let (place, when) = entry.map_err(StoreError::index)?;
                    Ok((place.value(), when.value()))
                })
                .collect()
        })
    }

    /// Chunks, and their lengths added up.
    pub(super) fn count(&self) -> Result<(u64, u64), StoreError> {
        guarded(|| {
            let transaction = self.0.begin_read().map_err(StoreError::index)?;
            let chunks = transaction.open_table(CHUNKS).map_err(StoreError::index)?;
            let totals = transaction.open_table(TOTALS).map_err(StoreError::index)?;
            let plain = totals.get(PLAIN_BYTES).map_err(StoreError::index)?;
            Ok((chunks.len().map_err(StoreError::index)?, plain.map_or(0, |sum| sum.value())))
        })
    }
}
