//! Reading chunks and frames back, verified.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;

use bytes::Bytes;
use content::frame::{ENTRY_BYTES, FrameCodec};
use content::{ChunkId, Frame};

use super::Disk;
use super::index::{Location, Place};
use super::pack::{self, NoFrame, pack_path};
use crate::StoreError;
use crate::codecs::{Gatherer, lock};

/// How often a chunk that moved while it was read is looked up again.
const LOOKUPS_MAX: usize = 4;
/// Decoded frames kept for readers of single chunks, by their lengths; the buffers they are in take
/// at most twice that.
const DECODED_BYTES_MAX: usize = 16 << 20;
/// What a kept chunk takes besides its bytes: an entry of at most 72 bytes in each of two maps,
/// which may be less than half full. Matters where chunks are tiny, and a frame may have 4,096.
const DECODED_CHUNK_BYTES: usize = 256;

/// Frames lately read, decoded and verified; least recently used ones go.
#[derive(Default)]
pub(super) struct Decoded {
    frames: HashMap<Place, Opened>,
    /// The frame each chunk is in.
    places: HashMap<ChunkId, Place>,
    bytes: usize,
    tick: u64,
}

/// A frame's chunks, each a piece of the same memory.
struct Opened {
    chunks: HashMap<ChunkId, Piece>,
    /// Memory of all of them together.
    held_bytes: usize,
    used: u64,
}

/// A chunk as a piece of its frame, all of which it keeps in memory.
#[derive(Clone)]
pub(super) struct Piece {
    bytes: Bytes,
    frame_bytes: usize,
}

impl Piece {
    /// The chunk by itself. Who keeps it counts its length alone, so it must not keep a frame; and
    /// copying is cheap beside the hashing that came before.
    pub(super) fn alone(self) -> Bytes {
        if self.bytes.len() == self.frame_bytes {
            return self.bytes;
        }
        Bytes::copy_from_slice(&self.bytes)
    }
}

impl Decoded {
    fn chunk(&mut self, place: Place, id: &ChunkId) -> Option<Piece> {
        self.tick += 1;
        let opened = self.frames.get_mut(&place)?;
        opened.used = self.tick;
        opened.chunks.get(id).cloned()
    }

    /// A chunk wherever it is, and where that is.
    pub(super) fn find(&mut self, id: &ChunkId) -> Option<(Place, Piece)> {
        let place = *self.places.get(id)?;
        Some((place, self.chunk(place, id)?))
    }

    fn keep(&mut self, place: Place, frame: &Frame, chunks: HashMap<ChunkId, Piece>) {
        // What did not compress is a piece of what was read from the pack.
        let frame_bytes = frame.encoded_length().max(frame.plain_length());
        let held_bytes = frame_bytes + chunks.len() * DECODED_CHUNK_BYTES;
        self.bytes += held_bytes;
        self.places.extend(chunks.keys().map(|id| (*id, place)));
        let opened = Opened { chunks, held_bytes, used: self.tick };
        if let Some(old) = self.frames.insert(place, opened) {
            self.bytes -= old.held_bytes;
        }
        while self.bytes > DECODED_BYTES_MAX {
            let oldest = self.frames.iter().min_by_key(|(_, opened)| opened.used);
            let Some(place) = oldest.map(|(place, _)| *place) else { break };
            if let Some(old) = self.frames.remove(&place) {
                self.bytes -= old.held_bytes;
                self.drop_places(place, old.chunks.keys());
            }
        }
    }

    pub(super) fn forget(&mut self, pack: u32) {
        self.frames.retain(|place, opened| {
            let keep = place.pack != pack;
            self.bytes -= if keep { 0 } else { opened.held_bytes };
            keep
        });
        self.places.retain(|_, place| place.pack != pack);
    }

    /// Forgets where chunks were, unless another frame has them too.
    fn drop_places<'a>(&mut self, place: Place, ids: impl Iterator<Item = &'a ChunkId>) {
        for id in ids {
            if self.places.get(id) == Some(&place) {
                self.places.remove(id);
            }
        }
    }
}

/// What is at a place.
pub(super) enum Loaded {
    Frame(Frame),
    Damaged,
    /// The pack is gone: look the chunk up again.
    Gone,
}

impl Disk {
    pub(super) fn load(&self, place: Place) -> Result<Loaded, StoreError> {
        let error = |action| StoreError::io(action, &pack_path(&self.packs, place.pack));
        let file = match self.handles.open(&self.packs, place.pack) {
            Ok(file) => file,
            Err(failure) if failure.kind() == ErrorKind::NotFound => return Ok(Loaded::Gone),
            Err(failure) => return Err(error("open")(failure)),
        };
        match pack::read_frame(&file, u64::from(place.offset), self.codecs.buffers()) {
            Ok(frame) => Ok(Loaded::Frame(frame)),
            Err(NoFrame::Damaged) => Ok(Loaded::Damaged),
            Err(NoFrame::Io(failure)) => Err(error("read")(failure)),
        }
    }

    pub(super) fn read(&self, id: ChunkId) -> Result<Option<Bytes>, StoreError> {
        let mut before = None;
        for _ in 0..LOOKUPS_MAX {
            let Some(location) = self.locate(&[id])?[0] else { return Ok(None) };
            if before == Some(location) {
                break;
            }
            before = Some(location);
            self.note_use(location.place);
            let decoded = lock(&self.decoded).chunk(location.place, &id);
            if let Some(piece) = decoded {
                return Ok(Some(piece.alone()));
            }
            match self.load(location.place)? {
                Loaded::Frame(frame) => {
                    let bytes =
                        self.codecs.with(|codec| self.chunk_of(&frame, location, id, codec));
                    return bytes.map(Some).ok_or_else(|| self.report_damage(id, location));
                }
                Loaded::Damaged => return Err(self.report_damage(id, location)),
                Loaded::Gone => {}
            }
        }
        match before {
            Some(location) => Err(self.report_damage(id, location)),
            None => Ok(None),
        }
    }

    /// One chunk of a frame; keeps the others for the next reader if all are intact.
    fn chunk_of(
        &self,
        frame: &Frame,
        location: Location,
        id: ChunkId,
        codec: &mut FrameCodec,
    ) -> Option<Bytes> {
        let frame_bytes = frame.plain_length();
        let mut chunks = HashMap::with_capacity(frame.entries().len());
        let mut keep = |id, bytes| drop(chunks.insert(id, Piece { bytes, frame_bytes }));
        if codec.open(frame, |_| true, &mut keep).is_ok() {
            let piece = chunks.get(&id).cloned();
            lock(&self.decoded).keep(location.place, frame, chunks);
            return piece.map(Piece::alone);
        }
        let mut found = None;
        // An error is a damaged chunk: then nothing was found.
        let only = |_, bytes| found = Some(Piece { bytes, frame_bytes });
        let _ = codec.open(frame, |other| *other == id, only);
        found.map(Piece::alone)
    }

    pub(super) fn report_damage(&self, id: ChunkId, location: Location) -> StoreError {
        let place = location.place;
        tracing::warn!(%id, pack = place.pack, offset = place.offset, "a stored chunk is damaged");
        // Unless it has come again in the meantime.
        if matches!(self.locate(&[id]).as_deref(), Ok([Some(now)]) if *now == location) {
            lock(&self.damaged).insert(id);
        }
        StoreError::Damaged { id }
    }

    pub(super) fn frames(
        &self,
        ids: Vec<ChunkId>,
    ) -> Result<(Vec<Frame>, Vec<ChunkId>), StoreError> {
        let (mut missing, mut distinct) = (Vec::new(), HashSet::with_capacity(ids.len()));
        let mut wanted: Vec<ChunkId> = ids.into_iter().filter(|id| distinct.insert(*id)).collect();
        let (frames, lost) = self.codecs.with(|codec| {
            let mut gatherer = Gatherer::default();
            let mut gathered = 0;
            for _ in 0..LOOKUPS_MAX {
                let mut gone = Vec::new();
                for (place, chunks) in self.by_frame(&wanted, &mut missing)? {
                    if gathered >= crate::FRAMES_BYTES {
                        // What is left is neither sent nor missing: it will be asked for again.
                        return Ok((gatherer.finish(codec), Vec::new()));
                    }
                    match self.load(place)? {
                        Loaded::Frame(frame) => {
                            self.note_use(place);
                            gathered +=
                                self.take(frame, &chunks, &mut gatherer, &mut missing, codec);
                        }
                        Loaded::Damaged => {
                            for (id, location) in chunks {
                                self.report_damage(id, location);
                                missing.push(id);
                            }
                        }
                        Loaded::Gone => gone.extend(chunks.into_iter().map(|(id, _)| id)),
                    }
                }
                wanted = gone;
                if wanted.is_empty() {
                    break;
                }
            }
            Ok::<_, StoreError>((gatherer.finish(codec), std::mem::take(&mut wanted)))
        })?;
        missing.extend(lost);
        Ok((frames, missing))
    }

    /// Groups chunks by the frame they are in, in the order of the first one of each.
    #[expect(clippy::type_complexity, reason = "a list of groups, used in one place")]
    fn by_frame(
        &self,
        ids: &[ChunkId],
        missing: &mut Vec<ChunkId>,
    ) -> Result<Vec<(Place, Vec<(ChunkId, Location)>)>, StoreError> {
        let mut groups: Vec<(Place, Vec<(ChunkId, Location)>)> = Vec::new();
        let mut at: HashMap<Place, usize> = HashMap::new();
        for (id, location) in ids.iter().zip(self.locate(ids)?) {
            let Some(location) = location else {
                missing.push(*id);
                continue;
            };
            let group = *at.entry(location.place).or_insert_with(|| {
                groups.push((location.place, Vec::new()));
                groups.len() - 1
            });
            groups[group].1.push((*id, location));
        }
        Ok(groups)
    }

    /// Hands on a frame as it is when most of it is wanted, else the wanted chunks. The memory of
    /// what is handed on: of a whole frame that is more than what was wanted of it, and where chunks
    /// are tiny their entries are longer than they.
    fn take(
        &self,
        frame: Frame,
        chunks: &[(ChunkId, Location)],
        gatherer: &mut Gatherer,
        missing: &mut Vec<ChunkId>,
        codec: &mut FrameCodec,
    ) -> usize {
        let bytes: usize = chunks.iter().map(|(_, location)| location.length as usize).sum();
        let named: HashSet<ChunkId> = frame.entries().iter().map(|entry| entry.id).collect();
        let most = bytes * 4 >= frame.plain_length() * 3;
        let complete = chunks.iter().all(|(id, _)| named.contains(id));
        if most && complete && frame.verify_check().is_ok() {
            let held_bytes = frame.plain_length() + frame.entries().len() * ENTRY_BYTES;
            gatherer.frame(frame, codec);
            return held_bytes;
        }
        let wanted: HashSet<ChunkId> = chunks.iter().map(|(id, _)| *id).collect();
        let mut found = HashMap::with_capacity(wanted.len());
        let opened =
            codec.open(&frame, |id| wanted.contains(id), |id, bytes| drop(found.insert(id, bytes)));
        for (id, location) in chunks {
            if opened.is_err() && !found.contains_key(id) {
                let keep = |found: &mut HashMap<_, _>, id, bytes| drop(found.insert(id, bytes));
                // An error is a damaged chunk: then it is missing below.
                let _ = codec.open(&frame, |other| other == id, |id, b| keep(&mut found, id, b));
            }
            match found.get(id) {
                Some(bytes) => gatherer.chunk(*id, bytes, codec),
                None => {
                    self.report_damage(*id, *location);
                    missing.push(*id);
                }
            }
        }
        bytes + chunks.len() * ENTRY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::frame_of;

    /// What `Decoded` keeps in memory, as an allocator would count it at least.
    fn taken(decoded: &Decoded) -> usize {
        let frames = decoded.frames.values();
        let pieces = frames.flat_map(|opened| opened.chunks.values());
        // An id in each of two maps.
        let ids = decoded.places.len() * 2 * size_of::<ChunkId>();
        ids + pieces.map(|piece| piece.bytes.len() + size_of::<Piece>()).sum::<usize>()
    }

    #[test]
    fn what_is_kept_decoded_is_counted_with_what_keeps_it() {
        let mut decoded = Decoded::default();
        let mut codec = FrameCodec::default();
        for number in 0..64 {
            let tiny: Vec<Vec<u8>> = (0..4096u32)
                .map(|chunk| (number * 4096 + chunk).to_le_bytes()[..3].to_vec())
                .collect();
            let frame = frame_of(&tiny);
            let (mut chunks, frame_bytes) = (HashMap::new(), frame.plain_length());
            let keep = |id, bytes| drop(chunks.insert(id, Piece { bytes, frame_bytes }));
            codec.open(&frame, |_| true, keep).expect("well-formed");
            decoded.keep(Place { pack: 0, offset: number }, &frame, chunks);
        }
        assert!(taken(&decoded) <= DECODED_BYTES_MAX, "{} bytes", taken(&decoded));
        assert!(decoded.frames.len() > 4, "some are kept");
        decoded.forget(0);
        assert_eq!((decoded.bytes, decoded.places.len()), (0, 0));
    }
}
