//! `verify`: reads frames and compares every chunk with its id.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;

use bytes::Bytes;
use content::ChunkId;

use super::Disk;
use super::index::{Location, Place};
use super::read::Loaded;
use crate::codecs::Gatherer;
use crate::{Damage, Scope, StoreError, VerifyReport};

impl Disk {
    pub(super) fn verify(&self, how: Scope) -> Result<VerifyReport, StoreError> {
        let draw = RandomState::new();
        let chosen = |place: Place| match how {
            Scope::All => true,
            Scope::Sample(thousandths) => draw.hash_one(place) % 1000 < u64::from(thousandths),
        };
        // Frames, not chunks: at 10 million chunks this stays below 50 MB.
        let mut places = HashSet::new();
        self.index.for_each(|_, location| {
            if chosen(location.place) {
                places.insert(location.place);
            }
        })?;
        let mut places: Vec<Place> = places.into_iter().collect();
        places.sort_unstable();
        let (mut report, mut damaged) = (VerifyReport::default(), HashMap::new());
        for place in places {
            match self.load(place)? {
                Loaded::Frame(frame) => {
                    report.checked += frame.entries().len() as u64;
                    let opened = frame.verify_check();
                    let opened = opened.and_then(|()| {
                        self.codecs.with(|codec| codec.open(&frame, |_| true, |_, _| ()))
                    });
                    if opened.is_err() {
                        damaged.insert(place, Vec::new());
                    }
                }
                // A pack may also have been rewritten meanwhile; the index knows.
                Loaded::Damaged | Loaded::Gone => drop(damaged.insert(place, Vec::new())),
            }
        }
        if damaged.is_empty() {
            return Ok(report);
        }
        self.index.for_each(|id, location| {
            if let Some(ids) = damaged.get_mut(&location.place) {
                ids.push((id, location));
            }
        })?;
        for (place, chunks) in damaged {
            let ids = self.lost_of(place, chunks)?;
            if !ids.is_empty() {
                report.damaged.push(Damage { pack: place.pack, offset: place.offset.into(), ids });
            }
        }
        report.damaged.sort_unstable_by_key(|damage| (damage.pack, damage.offset));
        Ok(report)
    }

    /// Which chunks of a damaged frame are lost. An uncompressed frame may have intact ones: they are
    /// stored once more, because an index that is made anew leaves out frames whose check fails.
    fn lost_of(
        &self,
        place: Place,
        chunks: Vec<(ChunkId, Location)>,
    ) -> Result<Vec<ChunkId>, StoreError> {
        let mut intact = HashMap::new();
        if let Loaded::Frame(frame) = self.load(place)? {
            self.codecs.with(|codec| {
                for (id, _) in &chunks {
                    // An error is what is looked for: the chunk is not intact.
                    let _ = codec.open(
                        &frame,
                        |other| other == id,
                        |id, bytes| {
                            intact.insert(id, bytes);
                        },
                    );
                }
            });
        }
        if !intact.is_empty() && !self.rescue(place, &intact)? {
            intact.clear();
        }
        let lost = chunks.into_iter().filter(|(id, _)| !intact.contains_key(id));
        Ok(lost
            .map(|(id, location)| {
                self.report_damage(id, location);
                id
            })
            .collect())
    }

    /// Stores chunks of a damaged frame in a new one; `false` when there is no room for it: then they
    /// count as lost, and come again with the others.
    fn rescue(&self, place: Place, chunks: &HashMap<ChunkId, Bytes>) -> Result<bool, StoreError> {
        let mut writer = self.writer.blocking_lock();
        if self.check_poison().is_err() {
            return Ok(true);
        }
        let ids: Vec<ChunkId> = chunks.keys().copied().collect();
        // Unless they have been stored again meanwhile.
        let here = self.locate(&ids)?;
        let here = ids.iter().zip(here).filter(|(_, now)| now.is_some_and(|it| it.place == place));
        let here: Vec<ChunkId> = here.map(|(id, _)| *id).collect();
        let frames = self.codecs.with(|codec| {
            let mut gatherer = Gatherer::default();
            for id in &here {
                gatherer.chunk(*id, &chunks[id], codec);
            }
            gatherer.finish(codec)
        });
        let bytes = frames.iter().map(|frame| frame.encoded_length() as u64).sum();
        let room = self.check_room(bytes).and_then(|()| self.check_index_room(here.len()));
        let stored = room.and_then(|()| {
            frames.iter().try_for_each(|frame| self.put(&mut writer, frame).map(drop))
        });
        self.appended.fetch_add(1, Ordering::Release);
        match stored {
            Ok(()) => {
                let (pack, count) = (place.pack, here.len());
                tracing::warn!(
                    pack,
                    offset = place.offset,
                    count,
                    "chunks of a damaged frame were saved"
                );
                Ok(true)
            }
            Err(StoreError::Full { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
