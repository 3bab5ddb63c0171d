//! Phase B: chunks that arrive go straight into the temporary files of the entries that need
//! them.
//!
//! The feeder streams the plan, registers which stretch of which file wants which chunk, and
//! asks for each chunk once. Writers (threads of the fetch) verify nothing but what a chunk's
//! id does not say, write, note it in the journal, and hand complete files to the finisher.
//!
//! Invariant: a chunk is in `wanted` from its registration until its bytes are being written;
//! while it is there, further uses join it. What is used again later is kept in the spill file.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::AcqRel, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};

use bytes::Bytes;
use content::{BlobId, ChunkId, ChunkRef, Contents, Kind, Piece, seal};
use fetch::{Destination, DestinationError, Priority, Want};

use crate::finish::Completed;
use crate::journal::{Journal, Ranges, Sum, TempName};
use crate::order::shown;
use crate::place::{Dress, Place, write_sparse};
use crate::plan::short;
use crate::record::{Action, Record};
use crate::reuse::{Captured, open_plan};
use crate::{CheckoutError, CheckoutProgress, Stop};

/// Chunks registered and not yet placed. At 100 ms of delay this still fills 1 GB/s.
const WINDOW_BYTES: u64 = 128 << 20;
const WINDOW_CHUNKS: usize = 16 * 1024;
/// Bytes of a file written before they are sent on to the disk.
pub(crate) const WRITE_BACK_BYTES: u64 = 8 << 20;
/// Files of several pieces that are open at once, and files of one that wait for it.
const OPEN_FILES_MAX: usize = 64;
const WAITING_FILES_MAX: usize = 4096;

/// One file that waits for chunks.
struct Job {
    path: Vec<u8>,
    temp: TempName,
    dress: Dress,
    size: u64,
    /// Checked when the file comes as a whole; a larger one is the sum of its verified chunks.
    blob: BlobId,
    holes: bool,
    /// Open when there are several pieces; a file of one piece is made when that arrives.
    file: Option<File>,
    /// One writes at a time: on the file's lock in the kernel the others would spin.
    writing: Mutex<()>,
    /// Pieces that are not there, and one more until all are registered.
    left: AtomicUsize,
    written: AtomicU64,
}

/// A stretch of a file that a chunk fills.
struct Use {
    job: Arc<Job>,
    file_offset: u64,
    chunk_offset: u32,
    length: u32,
}

struct Wanted {
    reference: ChunkRef,
    uses: Vec<Use>,
}

#[derive(Default)]
struct Table {
    wanted: HashMap<ChunkId, Wanted>,
    wanted_bytes: u64,
    open_files: usize,
    waiting_files: usize,
    /// Uses still to come of chunks with more than one.
    uses: HashMap<u64, u32>,
    spilled: HashMap<ChunkId, (u64, u32)>,
    spill_end: u64,
    failure: Option<CheckoutError>,
}

/// Places chunks; shared by the feeder and the writers.
pub(crate) struct Placer {
    place: Arc<Place>,
    progress: Arc<CheckoutProgress>,
    stop: Arc<Stop>,
    journal: Mutex<Journal>,
    table: Mutex<Table>,
    room: Condvar,
    spill: File,
    completed: Mutex<Option<mpsc::Sender<Completed>>>,
    bytes_written: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Placer {
    pub(crate) fn new(
        place: Arc<Place>,
        progress: Arc<CheckoutProgress>,
        stop: Arc<Stop>,
        journal: Journal,
        uses: HashMap<u64, u32>,
        completed: mpsc::Sender<Completed>,
    ) -> Result<Self, CheckoutError> {
        drop(place.temp.unlink(SPILL));
        let spill = place.temp.create_file(SPILL)?;
        Ok(Self {
            place,
            progress,
            stop,
            journal: Mutex::new(journal),
            table: Mutex::new(Table { uses, ..Table::default() }),
            room: Condvar::new(),
            spill,
            completed: Mutex::new(Some(completed)),
            bytes_written: 0.into(),
        })
    }

    /// Ends placing: the finisher learns that nothing more comes. Returns why placing failed, if
    /// it did, and the bytes written.
    pub(crate) fn close(&self) -> (Option<CheckoutError>, u64) {
        lock(&self.completed).take();
        (lock(&self.table).failure.take(), self.bytes_written.load(Relaxed))
    }

    /// Remembers the first failure and wakes the feeder.
    fn fail(&self, error: CheckoutError) {
        let mut table = lock(&self.table);
        table.failure.get_or_insert(error);
        self.stop.set();
        self.room.notify_all();
    }

    /// Lets the feeder and the finisher see that it is over, after the stop was set.
    pub(crate) fn abandon(&self) {
        lock(&self.completed).take();
        drop(lock(&self.table));
        self.room.notify_all();
    }

    fn complete(&self, job: &Job) {
        let completed = Completed { path: job.path.clone(), temp: job.temp, size: job.size };
        if let Some(sender) = &*lock(&self.completed) {
            // Without a finisher it is over, and the feeder will say so.
            drop(sender.send(completed));
        }
    }

    /// Writes one stretch; returns whether the file is complete with it.
    fn write_use(&self, one: &Use, plain: &[u8]) -> Result<bool, CheckoutError> {
        let job = &one.job;
        let start = one.chunk_offset as usize;
        let bytes = plain.get(start..start + one.length as usize).ok_or_else(|| {
            let reason = "a slice reaches past its chunk";
            CheckoutError::Contradiction { path: shown(&job.path), reason }
        })?;
        let failed = |error| CheckoutError::contents("write", &job.path, error);
        self.bytes_written.fetch_add(u64::from(one.length), Relaxed);
        CheckoutProgress::add(&self.progress.bytes_done, one.length.into());
        match &job.file {
            None => {
                self.write_whole(job, bytes)?;
                Ok(true)
            }
            Some(file) => {
                let writing = lock(&job.writing);
                write_sparse(file, one.file_offset, bytes, job.holes).map_err(failed)?;
                drop(writing);
                let written = job.written.fetch_add(one.length.into(), Relaxed);
                let (before, now) = (written, written + u64::from(one.length));
                if before / WRITE_BACK_BYTES < now / WRITE_BACK_BYTES {
                    self.place.write_back(file, before / WRITE_BACK_BYTES * WRITE_BACK_BYTES);
                }
                self.one_less(job)
            }
        }
    }

    /// Counts down; the last one dresses the file.
    fn one_less(&self, job: &Job) -> Result<bool, CheckoutError> {
        let last = job.left.fetch_sub(1, AcqRel) == 1;
        if last && let Some(file) = &job.file {
            self.place
                .dress(file, job.temp, &job.dress)
                .map_err(|error| CheckoutError::contents("finish", &job.path, error))?;
        }
        Ok(last)
    }

    fn write_whole(&self, job: &Job, bytes: &[u8]) -> Result<(), CheckoutError> {
        if bytes.len() as u64 != job.size || BlobId::of(bytes) != job.blob {
            let reason = "its bytes do not have the hash its entry states";
            return Err(CheckoutError::Contradiction { path: shown(&job.path), reason });
        }
        let file = self.place.create_temp(job.temp)?;
        file.write_all_at(bytes, 0)
            .map_err(|error| CheckoutError::contents("write", &job.path, error))?;
        self.place
            .dress(&file, job.temp, &job.dress)
            .map_err(|error| CheckoutError::contents("finish", &job.path, error))
    }

    /// Writes all uses of a chunk and notes them in the journal with one append.
    fn place_chunk(
        &self,
        reference: &ChunkRef,
        uses: Vec<Use>,
        stored: &[u8],
    ) -> Result<(), CheckoutError> {
        let opened;
        let plain = if reference.sealing.is_some() || stored.len() != reference.length as usize {
            opened = seal::open(reference, stored)?;
            &opened[..]
        } else {
            stored
        };
        let mut whole = Vec::with_capacity(uses.len());
        for one in &uses {
            whole.push(self.write_use(one, plain)?);
        }
        {
            let mut journal = lock(&self.journal);
            for (one, whole) in uses.iter().zip(&whole) {
                if *whole {
                    journal.complete(one.job.temp);
                } else {
                    let from = one.chunk_offset as usize;
                    let bytes = &plain[from..from + one.length as usize];
                    let placed = (one.length, Sum::of(reference, bytes));
                    journal.placed(one.job.temp, one.file_offset, placed);
                }
            }
            journal.write().map_err(CheckoutError::State)?;
        }
        for (one, _) in uses.iter().zip(whole).filter(|(_, whole)| *whole) {
            self.finished(&one.job);
        }
        Ok(())
    }

    fn finished(&self, job: &Job) {
        let mut table = lock(&self.table);
        match job.file {
            Some(_) => table.open_files -= 1,
            None => table.waiting_files -= 1,
        }
        drop(table);
        self.room.notify_all();
        self.complete(job);
    }

    fn take(&self, id: ChunkId, stored: &[u8]) -> Result<Option<Wanted>, CheckoutError> {
        let mut table = lock(&self.table);
        let Some(wanted) = table.wanted.remove(&id) else { return Ok(None) };
        table.wanted_bytes -= u64::from(wanted.reference.stored_length());
        let key = short(id.as_bytes());
        if let Some(left) = table.uses.get_mut(&key) {
            *left = left.saturating_sub(u32::try_from(wanted.uses.len()).unwrap_or(u32::MAX));
            if *left > 0 && !table.spilled.contains_key(&id) {
                let at = table.spill_end;
                self.spill
                    .write_all_at(stored, at)
                    .map_err(|error| CheckoutError::contents("write", SPILL, error))?;
                let length = u32::try_from(stored.len()).unwrap_or(u32::MAX);
                table.spill_end += u64::from(length);
                table.spilled.insert(id, (at, length));
            }
        }
        drop(table);
        self.room.notify_all();
        Ok(Some(wanted))
    }
}

const SPILL: &[u8] = b"spill";

impl Destination for Placer {
    fn write(&self, id: ChunkId, bytes: Bytes) -> Result<(), DestinationError> {
        let placed = self.stop.check().and_then(|()| match self.take(id, &bytes)? {
            Some(wanted) => self.place_chunk(&wanted.reference, wanted.uses, &bytes),
            None => Ok(()),
        });
        placed.map_err(|error| {
            let what = error.to_string();
            self.fail(error);
            DestinationError::refused(what)
        })
    }
}

/// Streams the plan and asks for what is missing.
pub(crate) struct Feeder {
    pub(crate) placer: Arc<Placer>,
    pub(crate) wants: Option<tokio::sync::mpsc::Sender<Want>>,
    pub(crate) complete: HashSet<TempName>,
    pub(crate) ranges: HashMap<TempName, Ranges>,
    /// Registered and not yet asked for: the shared chunk of the last small files.
    held: Option<(Want, u32)>,
}

impl Feeder {
    pub(crate) fn new(
        placer: Arc<Placer>,
        wants: tokio::sync::mpsc::Sender<Want>,
        captured: &mut Captured,
    ) -> Self {
        let complete = std::mem::take(&mut captured.complete);
        let ranges = std::mem::take(&mut captured.ranges);
        Self { placer, wants: Some(wants), complete, ranges, held: None }
    }

    /// Goes through the plan once.
    pub(crate) fn run(mut self, plan: &Path) -> Result<(), CheckoutError> {
        let mut plan = open_plan(plan)?;
        while let Some(record) = plan.next_of(&[Action::Make]).map_err(CheckoutError::State)? {
            self.placer.stop.check()?;
            self.record(&record)?;
        }
        self.release()
    }

    fn record(&mut self, record: &Record) -> Result<(), CheckoutError> {
        let Kind::File { size, blob, contents, link: None } = &record.entry.kind else {
            return Ok(());
        };
        let temp = TempName::of(&record.path, blob);
        let pieces = record.pieces();
        let mut job = Job {
            path: record.path.clone(),
            temp,
            dress: Dress::of(&record.entry),
            size: *size,
            blob: *blob,
            holes: pieces.iter().any(|piece| matches!(piece, Piece::Hole(_))),
            file: None,
            writing: Mutex::default(),
            left: 1.into(),
            written: 0.into(),
        };
        if self.complete.contains(&temp) {
            self.placer.complete(&job);
            return Ok(());
        }
        if let Contents::Inline(bytes) = contents {
            self.placer.write_whole(&job, bytes)?;
            self.placer.bytes_written.fetch_add(bytes.len() as u64, Relaxed);
            CheckoutProgress::add(&self.placer.progress.bytes_done, *size);
            self.placer.complete(&job);
            return Ok(());
        }
        let ranges = self.ranges.remove(&temp);
        if let Contents::Slice { chunk, offset } = contents {
            let length = u32::try_from(*size).unwrap_or(u32::MAX);
            let (job, chunk_offset) = (Arc::new(job), *offset);
            return self.register(chunk, Use { job, file_offset: 0, chunk_offset, length }, true);
        }
        if let ([Piece::Chunk(chunk)], None) = (pieces, &ranges) {
            let one =
                Use { job: Arc::new(job), file_offset: 0, chunk_offset: 0, length: chunk.length };
            return self.register(chunk, one, false);
        }
        let file = match &ranges {
            // What is in there was counted as not missing, so there is no way without it.
            Some(_) => self.placer.place.reopen_temp(temp).ok_or_else(|| {
                let gone = std::io::Error::other("somebody moved what was placed");
                CheckoutError::contents("go on with", &record.path, gone)
            })?,
            None => self.placer.place.create_temp(temp)?,
        };
        let ranges = ranges.unwrap_or_default();
        file.set_len(*size)
            .map_err(|error| CheckoutError::contents("lengthen", &record.path, error))?;
        job.file = Some(file);
        self.wait_for_room(|table| table.open_files < OPEN_FILES_MAX)?;
        lock(&self.placer.table).open_files += 1;
        let (job, mut offset) = (Arc::new(job), 0);
        for piece in pieces {
            if let Piece::Chunk(chunk) = piece
                && !ranges.contains(offset, chunk.length.into())
            {
                job.left.fetch_add(1, AcqRel);
                let job = Arc::clone(&job);
                let one = Use { job, file_offset: offset, chunk_offset: 0, length: chunk.length };
                self.register(chunk, one, false)?;
            }
            offset += piece.length();
        }
        if self.placer.one_less(&job)? {
            {
                let mut journal = lock(&self.placer.journal);
                journal.complete(temp);
                journal.write().map_err(CheckoutError::State)?;
            }
            self.placer.finished(&job);
        }
        Ok(())
    }

    /// Notes that a stretch wants a chunk, and asks for the chunk if nobody did.
    fn register(&mut self, chunk: &ChunkRef, one: Use, shared: bool) -> Result<(), CheckoutError> {
        let single = one.job.file.is_none();
        // Members of the group that is being registered join it; they never wait.
        if self.held.as_ref().is_none_or(|(held, _)| held.id != chunk.id) {
            self.wait_for_room(|table| {
                table.wanted_bytes < WINDOW_BYTES
                    && table.wanted.len() < WINDOW_CHUNKS
                    && table.waiting_files < WAITING_FILES_MAX
            })?;
        }
        let mut table = lock(&self.placer.table);
        table.waiting_files += usize::from(single);
        if let Some(wanted) = table.wanted.get_mut(&chunk.id) {
            if wanted.reference != *chunk {
                let reason = "one chunk has two lengths or keys";
                return Err(CheckoutError::Contradiction { path: shown(&one.job.path), reason });
            }
            wanted.uses.push(one);
            drop(table);
            return match &mut self.held {
                Some((held, left)) if held.id == chunk.id => {
                    *left = left.saturating_sub(1);
                    if *left == 0 { self.release() } else { Ok(()) }
                }
                _ => Ok(()),
            };
        }
        if let Some(&(at, length)) = table.spilled.get(&chunk.id) {
            if let Some(left) = table.uses.get_mut(&short(chunk.id.as_bytes())) {
                *left = left.saturating_sub(1);
            }
            drop(table);
            let mut stored = vec![0; length as usize];
            let read = self.placer.spill.read_exact_at(&mut stored, at);
            read.map_err(|error| CheckoutError::contents("read", SPILL, error))?;
            if ChunkId::of(&stored) != chunk.id {
                let damaged = std::io::Error::other("its bytes have changed");
                return Err(CheckoutError::contents("read", SPILL, damaged));
            }
            return self.placer.place_chunk(chunk, vec![one], &stored);
        }
        let uses = table.uses.get(&short(chunk.id.as_bytes())).copied().unwrap_or(1);
        table.wanted.insert(chunk.id, Wanted { reference: *chunk, uses: vec![one] });
        table.wanted_bytes += u64::from(chunk.stored_length());
        drop(table);
        let want = Want::of(chunk, Priority::Ordered);
        if shared && uses > 1 {
            self.release()?;
            self.held = Some((want, uses - 1));
            return Ok(());
        }
        self.ask(want)
    }

    fn ask(&self, want: Want) -> Result<(), CheckoutError> {
        match &self.wants {
            Some(wants) => wants.blocking_send(want).map_err(|_| CheckoutError::Stopped),
            None => Err(CheckoutError::Stopped),
        }
    }

    /// Asks for the chunk that was held back for its last members.
    fn release(&mut self) -> Result<(), CheckoutError> {
        match self.held.take() {
            Some((want, _)) => self.ask(want),
            None => Ok(()),
        }
    }

    fn wait_for_room(&mut self, has_room: impl Fn(&Table) -> bool) -> Result<(), CheckoutError> {
        if has_room(&lock(&self.placer.table)) {
            return Ok(());
        }
        self.release()?;
        let mut table = lock(&self.placer.table);
        while !has_room(&table) {
            self.placer.stop.check()?;
            table = self.placer.room.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }
}
