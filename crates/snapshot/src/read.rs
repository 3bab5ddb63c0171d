//! Reads one file at a time: cuts, hashes, seals, and notices when it changes meanwhile.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use content::cut::{BlobCutter, Cut};
use content::group::FILES;
use content::{BlobId, ChunkRef, Mtime, Piece};
use crossbeam_channel::{Receiver, Sender};
use directory::{AccessError, Dir, FileFacts, XattrScope, Xattrs, facts, xattr};
use rustix::fs::SeekFrom;
use rustix::io::{Errno, pread};

use crate::sink::Output;
use crate::{ChunkKind, SinkError, SkipReason, SnapshotProgress};

/// How often a file that changed is read again.
const RETRIES: u32 = 3;
/// What extended attributes of one entry may take in a node, names and values.
const XATTR_BYTES_MAX: usize = 64 * 1024;

/// Work for a reading thread.
pub(crate) enum Job {
    /// Read files of one directory; the answers come in the same order.
    Files { dir: Arc<Dir>, names: Vec<Box<[u8]>>, reply: Sender<Vec<Outcome>> },
    /// Put the members of a group into one chunk.
    Group { members: Vec<Vec<u8>>, reply: Sender<Result<ChunkRef, SinkError>> },
}

/// What came of reading a file.
pub(crate) enum Outcome {
    /// It was read and did not change meanwhile.
    Read(Box<ReadFile>),
    /// It is left out.
    Skipped(SkipReason),
    /// The sink ended, or the snapshot did.
    Failed(SinkError),
}

/// A file that was read.
pub(crate) struct ReadFile {
    pub(crate) facts: FileFacts,
    /// When the facts were asked for: before the first byte was read.
    pub(crate) recorded_at: Mtime,
    pub(crate) xattrs: Xattrs,
    pub(crate) blob: BlobId,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    /// All bytes of a file small enough for a group.
    Small(Vec<u8>),
    /// The pieces of a larger one; their chunks have been offered.
    Pieces(Vec<Piece>),
}

/// Serves jobs until there are no more.
pub(crate) fn serve(reader: &FileReader<'_>, jobs: Receiver<Job>) {
    for job in jobs {
        // Nobody waits for the answer when the snapshot has ended early.
        match job {
            Job::Files { dir, names, reply } => {
                drop(reply.send(names.iter().map(|name| reader.read(&dir, name)).collect()));
            }
            Job::Group { members, reply } => {
                let plain = members.concat();
                drop(reply.send(reader.output.put_owned(plain, ChunkKind::Content)));
            }
        }
    }
}

pub(crate) struct FileReader<'a> {
    pub(crate) output: &'a Output<'a>,
    pub(crate) progress: &'a SnapshotProgress,
    scope: XattrScope,
    stopped: AtomicBool,
    files_read: AtomicU64,
    bytes_read: AtomicU64,
}

/// Makes readers give up when it is dropped.
pub(crate) struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// How far a large file is, taken back unless it gets to its end.
struct UnderWay<'a> {
    progress: &'a SnapshotProgress,
    bytes: u64,
}

impl UnderWay<'_> {
    fn advance(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.progress.bytes_under_way.fetch_add(bytes, Relaxed);
    }

    /// Leaves the bytes to whoever counts the file as done.
    fn complete(mut self) {
        self.bytes = 0;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.progress.bytes_under_way.fetch_sub(self.bytes, Relaxed);
    }
}

/// Why one attempt at a file failed.
enum Attempt {
    Changed,
    Skip(SkipReason),
    Sink(SinkError),
}

impl From<Errno> for Attempt {
    fn from(errno: Errno) -> Self {
        Self::Skip(SkipReason::Unreadable(std::io::Error::from(errno).to_string()))
    }
}

impl<'a> FileReader<'a> {
    pub(crate) fn new(
        output: &'a Output<'a>,
        scope: XattrScope,
        progress: &'a SnapshotProgress,
    ) -> Self {
        Self {
            output,
            progress,
            scope,
            stopped: AtomicBool::new(false),
            files_read: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
        }
    }

    pub(crate) fn stop_on_drop(&self) -> StopOnDrop<'_> {
        StopOnDrop(&self.stopped)
    }

    fn count_bytes(&self, count: u64) {
        self.bytes_read.fetch_add(count, Relaxed);
        self.progress.bytes_read.fetch_add(count, Relaxed);
    }

    /// The file is no longer under way: whoever has it counts it.
    pub(crate) fn handed_over(&self, file: &ReadFile) {
        if matches!(file.body, Body::Pieces(_)) {
            self.progress.bytes_under_way.fetch_sub(file.facts.size, Relaxed);
        }
    }

    /// Files read so far.
    pub(crate) fn files_read(&self) -> u64 {
        self.files_read.load(Relaxed)
    }

    /// Bytes read so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Relaxed)
    }

    /// Reads the file `name` in `dir`.
    pub(crate) fn read(&self, dir: &Dir, name: &[u8]) -> Outcome {
        for attempt in 0..=RETRIES {
            match self.attempt(dir, name) {
                Ok(file) => {
                    self.files_read.fetch_add(1, Relaxed);
                    self.progress.files_read.fetch_add(1, Relaxed);
                    return Outcome::Read(Box::new(file));
                }
                Err(Attempt::Changed) => {
                    // A writer that is at it now may be done a moment later.
                    std::thread::sleep(Duration::from_millis(5) * attempt);
                }
                Err(Attempt::Skip(reason)) => return Outcome::Skipped(reason),
                Err(Attempt::Sink(error)) => return Outcome::Failed(error),
            }
        }
        Outcome::Skipped(SkipReason::Changing)
    }

    fn attempt(&self, dir: &Dir, name: &[u8]) -> Result<ReadFile, Attempt> {
        if self.stopped.load(Relaxed) {
            return Err(Attempt::Sink(SinkError::Closed));
        }
        let recorded_at = facts::now();
        let (file, before) =
            dir.open_file_with_facts(name).map_err(|error| Attempt::Skip(reason(&error)))?;
        let size = before.size;
        let mut under_way = UnderWay { progress: self.progress, bytes: 0 };
        let (blob, body) = if size <= FILES.member_bytes_max as u64 {
            let bytes = self.read_small(&file, size)?;
            (BlobId::of(&bytes), Body::Small(bytes))
        } else {
            let (blob, pieces) = self.read_large(&file, &before, &mut under_way)?;
            (blob, Body::Pieces(pieces))
        };
        let xattrs = xattr::read(file.as_fd(), self.scope)
            .map_err(|error| Attempt::Skip(SkipReason::Unreadable(error.to_string())))?;
        check_xattrs(&xattrs).map_err(Attempt::Skip)?;
        let after = FileFacts::of(&file)
            .map_err(|error| Attempt::Skip(SkipReason::Unreadable(error.to_string())))?;
        if !before.unchanged(&after) {
            return Err(Attempt::Changed);
        }
        under_way.complete();
        Ok(ReadFile { facts: after, recorded_at, xattrs, blob, body })
    }

    /// One call reads a file whose size is right: the spare byte shows that nothing follows.
    fn read_small(&self, file: &File, size: u64) -> Result<Vec<u8>, Attempt> {
        let size = usize::try_from(size).expect("small files fit memory");
        let mut bytes = vec![0; size + 1];
        let mut filled = 0;
        loop {
            let count = pread(file, &mut bytes[filled..], filled as u64)?;
            filled += count;
            if filled > size || count == 0 && filled < size {
                return Err(Attempt::Changed);
            }
            if filled == size {
                bytes.truncate(size);
                self.count_bytes(size as u64);
                return Ok(bytes);
            }
        }
    }

    fn read_large(
        &self,
        file: &File,
        facts: &FileFacts,
        under_way: &mut UnderWay<'_>,
    ) -> Result<(BlobId, Vec<Piece>), Attempt> {
        let mut pieces = Vec::new();
        let mut refused = None;
        let mut take = |cut: Cut<'_>| match cut {
            Cut::Hole(length) => pieces.push(Piece::Hole(length)),
            Cut::Chunk(bytes) if refused.is_none() => {
                match self.output.put(bytes, ChunkKind::Content) {
                    Ok(chunk) => pieces.push(Piece::Chunk(chunk)),
                    Err(error) => refused = Some(error),
                }
            }
            Cut::Chunk(_) => {}
        };
        let mut cutter = BlobCutter::new(facts.size);
        let mut extents = Extents { file, facts, at: 0 };
        while let Some(extent) = extents.next_extent()? {
            match extent {
                Extent::Hole(length) => {
                    cutter.advance_hole(length, &mut take);
                    under_way.advance(length);
                }
                Extent::Data { from, to } => {
                    self.cut_extent(file, from, to, &mut cutter, &mut take, under_way)?;
                }
            }
        }
        let (blob, length) = cutter.finish(&mut take);
        match refused {
            Some(error) => Err(Attempt::Sink(error)),
            None if length != facts.size => Err(Attempt::Changed),
            None => Ok((blob, pieces)),
        }
    }

    fn cut_extent(
        &self,
        file: &File,
        from: u64,
        to: u64,
        cutter: &mut BlobCutter,
        take: &mut impl FnMut(Cut<'_>),
        under_way: &mut UnderWay<'_>,
    ) -> Result<(), Attempt> {
        let mut at = from;
        while at < to {
            if self.stopped.load(Relaxed) {
                return Err(Attempt::Sink(SinkError::Closed));
            }
            let room = cutter.space();
            let count = usize::try_from(to - at).unwrap_or(usize::MAX).min(room.len());
            let count = pread(file, &mut room[..count], at)?;
            if count == 0 {
                return Err(Attempt::Changed);
            }
            cutter.advance(count, take);
            at += count as u64;
            self.count_bytes(count as u64);
            under_way.advance(count as u64);
        }
        Ok(())
    }
}

/// Whether a node can carry these attributes.
pub(crate) fn check_xattrs(xattrs: &Xattrs) -> Result<(), SkipReason> {
    let bytes: usize = xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > XATTR_BYTES_MAX {
        return Err(SkipReason::Unrecordable("extended attributes"));
    }
    Ok(())
}

/// What a failed access means for what was to be read.
pub(crate) fn reason(error: &AccessError) -> SkipReason {
    match error {
        error if error.is_not_found() => SkipReason::Removed,
        AccessError::System { source, .. } => SkipReason::Unreadable(source.to_string()),
        // It was something else when it was listed.
        AccessError::Blocked { .. } | AccessError::Outside { .. } => SkipReason::Changing,
    }
}

enum Extent {
    Hole(u64),
    Data { from: u64, to: u64 },
}

/// The stretches of a file that take room, and those that do not.
struct Extents<'a> {
    file: &'a File,
    facts: &'a FileFacts,
    at: u64,
}

impl Extents<'_> {
    fn next_extent(&mut self) -> Result<Option<Extent>, Errno> {
        let (at, size) = (self.at, self.facts.size);
        if at >= size {
            return Ok(None);
        }
        if self.facts.allocated >= size {
            self.at = size;
            return Ok(Some(Extent::Data { from: at, to: size }));
        }
        let from = match rustix::fs::seek(self.file, SeekFrom::Data(at)) {
            Ok(from) => from.min(size),
            Err(Errno::NXIO) => size,
            // The file system does not know its holes; zeros that are read make the same tree.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
            Err(errno) => return Err(errno),
        };
        if from > at {
            self.at = from;
            return Ok(Some(Extent::Hole(from - at)));
        }
        let to = match rustix::fs::seek(self.file, SeekFrom::Hole(at)) {
            Ok(to) if to > at => to.min(size),
            Ok(_) | Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NXIO) => size,
            Err(errno) => return Err(errno),
        };
        self.at = to;
        Ok(Some(Extent::Data { from: at, to }))
    }
}
