//! Finds blobs and chunks in the files of the old index.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use content::{ChunkId, ChunkRef, Contents, Kind, Piece};
use directory::FileFacts;
use memchr::memmem;
use rustix::fs::copy_file_range;

use crate::CheckoutError;
use crate::finish::unknown_form;
use crate::journal::TempName;
use crate::order::split;
use crate::place::{Dirs, write_sparse};
use crate::plan::{Planned, same_contents, short};
use crate::record::{Record, RecordReader};
use crate::reuse::Capture;

/// Where in the old index a wanted blob or chunk is said to be.
#[derive(Default)]
pub(crate) struct Sources {
    index: Option<RecordReader>,
    /// Records by the first bytes of their blob's id: at most two, in case one has changed.
    blobs: HashMap<u64, Vec<u64>>,
    /// Record and offset in the file.
    chunks: HashMap<ChunkId, (u64, u64)>,
    open: Option<Open>,
    /// The files are another checkout's, which keeps them as they are.
    is_base: bool,
}

/// Fewer wanted ids than this are looked for in the bytes of a record before it is decoded.
const LOOKED_FOR_MAX: usize = 16;

/// What tells records that cannot be sources, quickly.
enum Wanted {
    /// Any record may be one.
    Many,
    /// One with the first bytes of one of these ids.
    Few(Vec<memmem::Finder<'static>>),
}

impl Wanted {
    fn of(planned: &Planned) -> Self {
        if planned.blobs.len() + planned.chunks.len() > LOOKED_FOR_MAX {
            return Self::Many;
        }
        let ids = planned.blobs.iter().chain(&planned.chunks);
        let finder = |id: &u64| memmem::Finder::new(&id.to_le_bytes()).into_owned();
        Self::Few(ids.map(finder).collect())
    }

    fn may_be_in(&self, record: &[u8]) -> bool {
        match self {
            Self::Many => true,
            Self::Few(finders) => finders.iter().any(|finder| finder.find(record).is_some()),
        }
    }
}

struct Open {
    record: u64,
    file: File,
    trusted: bool,
}

const CANDIDATES_MAX: usize = 2;
const COPY_BYTES: usize = 1 << 20;

impl Sources {
    /// Goes through the old index for what the plan wants.
    pub(crate) fn find(index: &Path, planned: &Planned) -> Result<Self, CheckoutError> {
        if planned.blobs.is_empty() && planned.chunks.is_empty() {
            return Ok(Self::default());
        }
        let reader = RecordReader::open(index).map_err(CheckoutError::State)?;
        let Some(mut reader) = reader else { return Ok(Self::default()) };
        let wanted = Wanted::of(planned);
        let (mut blobs, mut chunks) = (HashMap::<u64, Vec<u64>>::new(), HashMap::new());
        loop {
            let at = reader.offset();
            let Some(raw) = reader.next_raw().map_err(CheckoutError::State)? else { break };
            if !wanted.may_be_in(raw.rest()) {
                continue;
            }
            let record = raw.open().ok_or_else(unknown_form)?;
            let Kind::File { blob, contents, .. } = &record.entry.kind else { continue };
            if planned.blobs.contains(&short(blob.as_bytes())) {
                let known = blobs.entry(short(blob.as_bytes())).or_default();
                if known.len() < CANDIDATES_MAX {
                    known.push(at);
                }
            }
            if matches!(contents, Contents::Slice { .. } | Contents::Inline(_)) {
                continue;
            }
            let mut offset = 0;
            for piece in record.pieces() {
                if let Piece::Chunk(chunk) = piece
                    && planned.chunks.contains(&short(chunk.id.as_bytes()))
                {
                    chunks.entry(chunk.id).or_insert((at, offset));
                }
                offset += piece.length();
            }
        }
        Ok(Self { index: Some(reader), blobs, chunks, open: None, is_base: false })
    }

    /// The same for the index of another checkout.
    pub(crate) fn find_base(index: &Path, planned: &Planned) -> Result<Self, CheckoutError> {
        Ok(Self { is_base: true, ..Self::find(index, planned)? })
    }

    /// Makes the temporary file of `record` from an old file with the same blob, if there is one.
    pub(crate) fn whole_file(
        &mut self,
        capture: &Capture<'_>,
        dirs: &mut Dirs<'_>,
        record: &Record,
        temp: TempName,
    ) -> Result<bool, CheckoutError> {
        let Kind::File { size, blob, .. } = &record.entry.kind else { return Ok(false) };
        let Some(index) = &self.index else { return Ok(false) };
        let Some(candidates) = self.blobs.get(&short(blob.as_bytes())) else { return Ok(false) };
        for at in candidates {
            let old = index.record_at(*at).map_err(CheckoutError::State)?;
            let same = matches!(&old.entry.kind, Kind::File { blob: other, .. } if other == blob);
            let (parent, name) = split(&old.path);
            let Ok(dir) = dirs.at(parent) else { continue };
            let Ok((source, facts)) = dir.open_file_with_facts(name) else { continue };
            if !same || facts.size != *size {
                continue;
            }
            let trusted = old.facts.is_some_and(|known| known.unchanged(&facts))
                && (old.proven || same_contents(&old, record));
            // A second name, where the first goes away; its mode and times change with it.
            let vanishes = !self.is_base && capture.vanishes(&old.path);
            if trusted && facts.links == 1 && vanishes {
                let temp_name = temp.file_name();
                drop(capture.place.temp.unlink(temp_name.as_bytes()));
                if dir.link(name, &capture.place.temp, temp_name.as_bytes()).is_ok() {
                    if old.entry.xattrs != record.entry.xattrs {
                        capture.undress(&source, temp, record)?;
                    }
                    capture.dress(&source, temp, record)?;
                    return Ok(true);
                }
            }
            let target = capture.place.create_temp(temp)?;
            let copied = if trusted {
                copy(&source, &target, record, *size)
            } else {
                copy_hashing(&source, &target, record, *size)
            };
            // Reading may fail, writing may not, but both end in fetching and saying so there.
            if copied.unwrap_or(false) {
                capture.dress(&target, temp, record)?;
                return Ok(true);
            }
            capture.place.temp.unlink(temp.file_name().as_bytes())?;
        }
        Ok(false)
    }

    /// The plain bytes of a chunk, read from an old file and verified.
    pub(crate) fn chunk(
        &mut self,
        dirs: &mut Dirs<'_>,
        chunk: &ChunkRef,
    ) -> Result<Option<Vec<u8>>, CheckoutError> {
        let Some(&(at, offset)) = self.chunks.get(&chunk.id) else { return Ok(None) };
        let Some(index) = &self.index else { return Ok(None) };
        if self.open.as_ref().is_none_or(|open| open.record != at) {
            let old = index.record_at(at).map_err(CheckoutError::State)?;
            let (parent, name) = split(&old.path);
            let opened = dirs.at(parent).and_then(|dir| dir.open_file_with_facts(name));
            let Ok((file, facts)) = opened else { return Ok(None) };
            let trusted = old.facts.is_some_and(|known| known.unchanged(&facts));
            self.open = Some(Open { record: at, file, trusted });
        }
        let Some(open) = &self.open else { return Ok(None) };
        // The id of a sealed chunk says nothing of its plain bytes.
        if chunk.sealing.is_some() && !open.trusted {
            return Ok(None);
        }
        let mut bytes = vec![0; chunk.length as usize];
        if open.file.read_exact_at(&mut bytes, offset).is_err() {
            return Ok(None);
        }
        let fits = chunk.sealing.is_some() || ChunkId::of(&bytes) == chunk.id;
        Ok(fits.then_some(bytes))
    }
}

/// Copies inside the kernel, sharing blocks where the file system can; holes stay holes.
fn copy(source: &File, target: &File, record: &Record, size: u64) -> std::io::Result<bool> {
    let before = FileFacts::of(source)?;
    target.set_len(size)?;
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    let mut offset = 0;
    for piece in record.pieces() {
        if let Piece::Chunk(_) = piece {
            match stretches.last_mut() {
                Some((_, end)) if *end == offset => *end += piece.length(),
                _ => stretches.push((offset, offset + piece.length())),
            }
        }
        offset += piece.length();
    }
    if record.pieces().is_empty() {
        stretches.push((0, size));
    }
    for (mut start, end) in stretches {
        while start < end {
            let (mut from, mut to) = (start, start);
            let length = usize::try_from(end - start).unwrap_or(usize::MAX);
            let copied = copy_file_range(source, Some(&mut from), target, Some(&mut to), length)?;
            if copied == 0 {
                return Ok(false);
            }
            start += copied as u64;
        }
    }
    Ok(before.unchanged(&FileFacts::of(source)?))
}

/// Copies and compares the hash.
fn copy_hashing(source: &File, target: &File, record: &Record, size: u64) -> std::io::Result<bool> {
    let Kind::File { blob, .. } = &record.entry.kind else { return Ok(false) };
    let holes = record.pieces().iter().any(|piece| matches!(piece, Piece::Hole(_)));
    target.set_len(size)?;
    let (mut hasher, mut offset) = (blake3::Hasher::new(), 0);
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let count = source.read_at(&mut buffer, offset)?;
        if count == 0 {
            return Ok(offset == size && hasher.finalize() == *blob.as_bytes());
        }
        hasher.update(&buffer[..count]);
        write_sparse(target, offset, &buffer[..count], holes)?;
        offset += count as u64;
    }
}
