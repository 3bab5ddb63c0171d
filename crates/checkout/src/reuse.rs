//! Before anything is fetched: what an earlier run placed, and what the old version has.
//!
//! Nothing in the destination gets its final name or goes away before this is over, so every
//! old file is still where the old index says.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use content::{BlobId, ChunkId, ChunkRef, Contents, Entry, Kind, Piece};
use directory::Root;

use crate::journal::{Journal, Placed, Ranges, Sum, TempName};
use crate::place::{Dirs, Dress, Place, hash_unchanged, write_sparse};
use crate::plan::{Planned, short};
use crate::record::{Action, Record, RecordReader};
use crate::sources::Sources;
use crate::{Base, CheckoutError, CheckoutProgress, Stop};

/// What is there, and what is left to fetch.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    /// Temporary files that only need their final name.
    pub(crate) complete: HashSet<TempName>,
    /// Bytes that are already in unfinished temporary files.
    pub(crate) ranges: HashMap<TempName, Ranges>,
    /// How many stretches of files need a chunk, for chunks that several need.
    pub(crate) uses: HashMap<u64, u32>,
    pub(crate) bytes_reused: u64,
    pub(crate) chunks_missing: u64,
}

pub(crate) struct Capture<'a> {
    pub(crate) place: &'a Place,
    pub(crate) progress: &'a CheckoutProgress,
    pub(crate) journal: &'a mut Journal,
    pub(crate) placed: Placed,
    pub(crate) planned: &'a Planned,
    pub(crate) stop: &'a Stop,
}

impl Capture<'_> {
    /// Goes through the plan once.
    pub(crate) fn run(
        mut self,
        plan: &Path,
        index: &Path,
        base: Option<&Base>,
    ) -> Result<Captured, CheckoutError> {
        let mut captured = Captured::default();
        let mut seen: HashSet<u64> = HashSet::new();
        let own = Sources::find(index, self.planned)?;
        let mut old = vec![Old { sources: own, dirs: Dirs::new(&self.place.root) }];
        // A base that is gone costs fetching.
        let base_root = base.and_then(|base| Root::open(&base.directory).ok());
        if let (Some(base), Some(root)) = (base, &base_root) {
            let sources = Sources::find_base(&base.state.join("index"), self.planned)?;
            old.push(Old { sources, dirs: Dirs::new(root) });
        }
        let mut plan = open_plan(plan)?;
        while let Some(record) = plan.next_of(&[Action::Make]).map_err(CheckoutError::State)? {
            self.stop.check()?;
            let Kind::File { size, blob, contents, link: None } = &record.entry.kind else {
                continue;
            };
            if matches!(contents, Contents::Inline(_)) || *size == 0 {
                continue;
            }
            let temp = TempName::of(&record.path, blob);
            let mut whole = self.is_complete(temp, &record.entry, *size, blob)?;
            for old in &mut old {
                whole = whole || old.sources.whole_file(&self, &mut old.dirs, &record, temp)?;
            }
            if whole {
                self.journal.complete(temp);
                captured.complete.insert(temp);
                captured.bytes_reused += size;
                CheckoutProgress::add(&self.progress.bytes_done, *size);
                continue;
            }
            let mut missing = |chunk: &ChunkRef| {
                captured.chunks_missing += 1;
                if !seen.insert(short(chunk.id.as_bytes())) {
                    *captured.uses.entry(short(chunk.id.as_bytes())).or_insert(1) += 1;
                }
            };
            if let Contents::Slice { chunk, .. } = contents {
                missing(chunk);
                continue;
            }
            let (ranges, reused) = self.pieces(&mut old, &record, temp, missing)?;
            captured.bytes_reused += reused;
            CheckoutProgress::add(&self.progress.bytes_done, reused);
            if reused > 0 {
                captured.ranges.insert(temp, ranges);
            }
            self.journal.write().map_err(CheckoutError::State)?;
        }
        self.journal.write().map_err(CheckoutError::State)?;
        Ok(captured)
    }

    /// Whether an earlier run finished this temporary file, and it is as it was then.
    ///
    /// It may be a second name of an old file, which somebody has changed since by its first. Files
    /// are dressed before the journal calls them complete, so another time tells; and while the
    /// first name is there, the bytes are asked, because times can be set.
    fn is_complete(
        &self,
        temp: TempName,
        entry: &Entry,
        size: u64,
        blob: &BlobId,
    ) -> Result<bool, CheckoutError> {
        if !self.placed.complete.contains(&temp) {
            return Ok(false);
        }
        let name = temp.file_name();
        match self.place.temp.stat(name.as_bytes()) {
            Ok(facts) if facts.size != size || !self.place.is_dressed(&facts, entry) => Ok(false),
            Ok(facts) if self.placed.same_boot && facts.links == 1 => Ok(true),
            Ok(_) => {
                let hashed = hash_unchanged(&self.place.temp, name.as_bytes())?;
                Ok(hashed.is_some_and(|(hashed, _)| hashed == *blob))
            }
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Goes through the pieces of one file; what is not there already and not in an old file
    /// either is given to `missing`. Returns what is there, and how many bytes that are.
    fn pieces(
        &mut self,
        old: &mut [Old<'_>],
        record: &Record,
        temp: TempName,
        mut missing: impl FnMut(&ChunkRef),
    ) -> Result<(Ranges, u64), CheckoutError> {
        let journaled = self.placed.ranges.remove(&temp);
        let sums = self.placed.sums.remove(&temp).unwrap_or_default();
        let mut file = match &journaled {
            Some(_) => self.place.reopen_temp(temp),
            None => None,
        };
        let journaled =
            if file.is_some() { journaled.unwrap_or_default() } else { Ranges::default() };
        let holes = record.pieces().iter().any(|piece| matches!(piece, Piece::Hole(_)));
        let (mut there, mut reused, mut offset) = (Ranges::default(), 0, 0);
        for piece in record.pieces() {
            if let Piece::Chunk(chunk) = piece {
                let length = chunk.length;
                let known = journaled.contains(offset, length.into())
                    && (self.placed.same_boot
                        || self.holds(file.as_ref(), chunk, offset, sums.get(&offset)));
                let mut sum = sums.get(&offset).copied();
                let found = if known {
                    true
                } else if let Some(bytes) = chunk_of(old, chunk)? {
                    let file = match &mut file {
                        Some(file) => file,
                        None => file.insert(self.place.create_temp(temp)?),
                    };
                    write_sparse(file, offset, &bytes, holes)
                        .map_err(|error| CheckoutError::contents("write", &record.path, error))?;
                    sum = Some(Sum::of(chunk, &bytes));
                    true
                } else {
                    missing(chunk);
                    false
                };
                if found {
                    if let Some(sum) = sum.filter(|_| !known || !self.placed.same_boot) {
                        self.journal.placed(temp, offset, (length, sum));
                    }
                    there.insert(offset, length.into());
                    reused += u64::from(length);
                }
            }
            offset += piece.length();
        }
        Ok((there, reused))
    }

    /// Whether the bytes of a chunk really are in a temporary file. Those of a sealed chunk cannot be told by its id:
    /// they are what was written if their sum is.
    fn holds(&self, file: Option<&File>, chunk: &ChunkRef, offset: u64, sum: Option<&Sum>) -> bool {
        let mut bytes = vec![0; chunk.length as usize];
        if file.is_none_or(|file| file.read_exact_at(&mut bytes, offset).is_err()) {
            return false;
        }
        match chunk.sealing {
            None => ChunkId::of(&bytes) == chunk.id,
            Some(_) => sum == Some(&Sum::of(chunk, &bytes)),
        }
    }

    /// Dresses a temporary file that was filled from an old one.
    pub(crate) fn dress(
        &self,
        file: &File,
        temp: TempName,
        record: &Record,
    ) -> Result<(), CheckoutError> {
        self.place
            .dress(file, temp, &Dress::of(&record.entry))
            .map_err(|error| CheckoutError::contents("finish", &record.path, error))
    }

    /// Gives a temporary file that is a second name of an old one exactly the attributes of its
    /// entry: dressing takes none away, because other temporary files have none.
    pub(crate) fn undress(
        &self,
        file: &File,
        temp: TempName,
        record: &Record,
    ) -> Result<(), CheckoutError> {
        self.place
            .reset_xattrs(file, temp, &record.entry)
            .map_err(|error| CheckoutError::contents("finish", &record.path, error))
    }

    pub(crate) fn vanishes(&self, path: &[u8]) -> bool {
        self.planned.vanishing.contains(&crate::plan::short_path(path))
    }
}

/// A checkout that contents are taken from.
struct Old<'a> {
    sources: Sources,
    dirs: Dirs<'a>,
}

/// The plain bytes of a chunk from the first that has it.
fn chunk_of(old: &mut [Old<'_>], chunk: &ChunkRef) -> Result<Option<Vec<u8>>, CheckoutError> {
    for old in old {
        if let Some(bytes) = old.sources.chunk(&mut old.dirs, chunk)? {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// Opens the plan that was just written.
pub(crate) fn open_plan(path: &Path) -> Result<RecordReader, CheckoutError> {
    RecordReader::reopen(path).map_err(CheckoutError::State)
}
