//! The plan file and the index: one line of each per entry, in walk order.
//!
//! Both files have the same layout, so that the plan of a finished checkout becomes the index
//! by adding what was seen on disk:
//!
//! ```text
//! header   magic "CnPl", version u16, 0, what it covers u8, tree id (32)                     integers little-endian
//! records  length u32 (not 0), action u8, flags u8, facts (68, if flagged), path length u32,
//!          path, entry length u32 and a directory node with this entry alone (if flagged),
//!          count u32 of piece lists, each length u32 and list (if flagged)
//! runs     length u32, action 6, flags 0, 0 u32, offset u64, bytes u64, records u64: of a plan alone
//! end      0 u32, number of records u64, BLAKE3 of everything before (32)
//! ```
//!
//! A file that does not check is no file: opening it answers `None`.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use content::reference::PieceList;
use content::{ChunkId, Contents, Entry, Kind, Node, Piece};
use directory::FileFacts;

use crate::facts;

const HEADER_BYTES: usize = 40;
const TRAILER_BYTES: usize = 44;
const RECORD_BYTES_MAX: usize = 1 << 30;
/// Bytes copied at once.
const COPY_BYTES: u64 = 256 << 10;
const MAGIC: [u8; 7] = *b"CnPl\x01\0\0";

/// What a file covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Covers {
    /// Selected entries, and what earlier checkouts left.
    Part = 0,
    /// The tree; owners were not looked at.
    Tree = 1,
    /// The tree with its owners.
    TreeAndOwners = 2,
}

/// What is to be done about an entry; in an index always [`Action::Keep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Is as it should be.
    Keep,
    /// Its bytes are right, its mode, times, owner or attributes are not.
    Repair,
    /// To be made.
    Make,
    /// Was in the old index, is not in the tree.
    Remove,
    /// The same, and in the way of an entry of another kind.
    RemoveFirst,
    /// Was in the old index and is not selected this time: stays in the index.
    Carry,
    /// A run of entries that are as the old index has them, on disk too: a plan does not repeat
    /// them, it says where they are there.
    Same,
}

const ACTIONS: [Action; 7] = [
    Action::Keep,
    Action::Repair,
    Action::Make,
    Action::Remove,
    Action::RemoveFirst,
    Action::Carry,
    Action::Same,
];

impl Action {
    fn code(self) -> u8 {
        let code = ACTIONS.iter().position(|action| *action == self).expect("listed");
        u8::try_from(code).expect("there are seven")
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) action: Action,
    /// Path from the root of the tree.
    pub(crate) path: Vec<u8>,
    /// What the file looked like on disk, at a time when that could be trusted.
    pub(crate) facts: Option<FileFacts>,
    pub(crate) entry: Entry,
    /// The pieces of contents of the kind [`Contents::List`].
    pub(crate) listed: Vec<Piece>,
    /// The bytes on disk were hashed and have the entry's blob id.
    pub(crate) proven: bool,
}

impl Record {
    /// Whether the entry is a directory.
    pub(crate) fn is_directory(&self) -> bool {
        matches!(self.entry.kind, Kind::Directory { .. })
    }

    /// The pieces of a file's contents, unless they are inline or a slice.
    pub(crate) fn pieces(&self) -> &[Piece] {
        match &self.entry.kind {
            Kind::File { contents: Contents::Pieces(pieces), .. } => pieces,
            Kind::File { .. } => &self.listed,
            Kind::Directory { .. } | Kind::Symlink { .. } => &[],
        }
    }

    fn encode(&self, body: &mut Vec<u8>) {
        body.clear();
        let flags = u8::from(self.facts.is_some())
            | u8::from(!self.listed.is_empty()) << 1
            | u8::from(self.proven) << 2
            | u8::from(self.is_directory()) << 3;
        body.extend_from_slice(&[self.action.code(), flags]);
        if let Some(facts) = &self.facts {
            facts::encode(facts, body);
        }
        put(body, &self.path);
        put(body, &Node { entries: vec![self.entry.clone()] }.encode());
        if !self.listed.is_empty() {
            let lists = self.listed.chunks(PieceList::PIECES_MAX);
            put_length(body, lists.len());
            for list in lists {
                put(body, &PieceList(list.to_vec()).encode());
            }
        }
    }
}

fn put_length(body: &mut Vec<u8>, length: usize) {
    body.extend_from_slice(&u32::try_from(length).expect("records are below 1 GiB").to_le_bytes());
}

fn put(body: &mut Vec<u8>, bytes: &[u8]) {
    put_length(body, bytes.len());
    body.extend_from_slice(bytes);
}

/// Records of the old index, one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) records: u64,
}

impl Run {
    /// Takes one more record, if it comes right behind.
    pub(crate) fn extend(&mut self, start: u64, end: u64) -> bool {
        let follows = self.offset + self.bytes == start;
        if follows {
            self.bytes += end - start;
            self.records += 1;
        }
        follows
    }
}

/// A record of which only the front was decoded.
pub(crate) struct Raw<'a> {
    body: &'a [u8],
    pub(crate) action: Action,
    flags: u8,
    pub(crate) path: &'a [u8],
    pub(crate) facts: Option<FileFacts>,
    rest: &'a [u8],
}

impl<'a> Raw<'a> {
    /// Decodes the front of what [`RecordReader::next_body`] read.
    pub(crate) fn decode(body: &'a [u8]) -> Option<Self> {
        let (&[action, flags], mut rest) = body.split_first_chunk()?;
        let action = *ACTIONS.get(usize::from(action))?;
        let facts = if flags & 1 == 0 {
            None
        } else {
            let (bytes, after) = rest.split_first_chunk()?;
            rest = after;
            Some(facts::decode(bytes))
        };
        let path = take(&mut rest)?;
        Some(Self { body, action, flags, path, facts, rest })
    }

    /// Whether the entry is a directory.
    pub(crate) fn is_directory(&self) -> bool {
        self.flags & 8 != 0
    }

    /// The rest, not decoded.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The rest of an [`Action::Same`].
    pub(crate) fn run(&self) -> Option<Run> {
        let numbers: &[u8; 24] = self.rest.try_into().ok()?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let [offset, bytes, records] = *<&[[u8; 8]; 3]>::try_from(numbers).ok()?;
        let [offset, bytes, records] = [offset, bytes, records].map(u64::from_le_bytes);
        Some(Run { offset, bytes, records })
    }

    /// Decodes the rest.
    pub(crate) fn open(self) -> Option<Record> {
        let mut rest = self.rest;
        let node = Node::decode(take(&mut rest)?).ok()?;
        let [entry] = <[Entry; 1]>::try_from(node.entries).ok()?;
        let mut listed = Vec::new();
        if self.flags & 2 != 0 {
            for _ in 0..length(&mut rest)? {
                listed.extend(PieceList::decode(take(&mut rest)?).ok()?.0);
            }
        }
        Some(Record {
            action: self.action,
            path: self.path.to_vec(),
            facts: self.facts,
            entry,
            listed,
            proven: self.flags & 4 != 0,
        })
    }
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    let (length, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_le_bytes(*length) as usize)
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = length(rest)?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

/// Hashes what passes.
struct Hashing {
    file: File,
    hasher: blake3::Hasher,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a plan or an index; it takes its name only when it is whole.
pub(crate) struct RecordWriter {
    out: BufWriter<Hashing>,
    path: PathBuf,
    unfinished: PathBuf,
    count: u64,
    body: Vec<u8>,
}

impl RecordWriter {
    /// Begins the file that will be `path`, for `tree`.
    pub(crate) fn create(path: &Path, tree: ChunkId, covers: Covers) -> io::Result<Self> {
        let unfinished = path.with_extension("new");
        let file = File::create(&unfinished)?;
        let hashing = Hashing { file, hasher: blake3::Hasher::new() };
        let mut out = BufWriter::with_capacity(256 << 10, hashing);
        out.write_all(&MAGIC)?;
        out.write_all(&[covers as u8])?;
        out.write_all(tree.as_bytes())?;
        Ok(Self { out, path: path.into(), unfinished, count: 0, body: Vec::new() })
    }

    /// Adds a record; the caller keeps walk order.
    pub(crate) fn push(&mut self, record: &Record) -> io::Result<()> {
        record.encode(&mut self.body);
        self.write_body()
    }

    fn write_body(&mut self) -> io::Result<()> {
        let length = u32::try_from(self.body.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&self.body)?;
        self.count += 1;
        Ok(())
    }

    /// Adds a record that was read, as it is but for what is to be done about it.
    pub(crate) fn copy(&mut self, raw: &Raw<'_>, action: Action) -> io::Result<()> {
        let length = u32::try_from(raw.body.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&[action.code()])?;
        self.out.write_all(&raw.body[1..])?;
        self.count += 1;
        Ok(())
    }

    /// Adds a run to a plan.
    pub(crate) fn push_run(&mut self, run: &Run) -> io::Result<()> {
        self.body.clear();
        self.body.extend_from_slice(&[Action::Same.code(), 0]);
        put(&mut self.body, &[]);
        for number in [run.offset, run.bytes, run.records] {
            self.body.extend_from_slice(&number.to_le_bytes());
        }
        self.write_body()
    }

    /// Adds the records of a run, read from the index it is a run of.
    pub(crate) fn copy_run(&mut self, old: &RecordReader, run: &Run) -> io::Result<()> {
        let (mut at, end) = (run.offset, run.offset.saturating_add(run.bytes));
        while at < end {
            let length = (end - at).min(COPY_BYTES);
            self.body.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
            old.input.get_ref().read_exact_at(&mut self.body, at)?;
            self.out.write_all(&self.body)?;
            at += length;
        }
        self.count += run.records;
        Ok(())
    }

    /// Ends the file, makes it durable if asked to, and gives it its name.
    pub(crate) fn finish(mut self, durable: bool) -> io::Result<()> {
        self.out.write_all(&0u32.to_le_bytes())?;
        self.out.write_all(&self.count.to_le_bytes())?;
        let mut hashing = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let hash = hashing.hasher.finalize();
        hashing.file.write_all(hash.as_bytes())?;
        if durable {
            hashing.file.sync_all()?;
        }
        std::fs::rename(&self.unfinished, &self.path)
    }
}

/// Reads a plan or an index, record by record.
pub(crate) struct RecordReader {
    path: PathBuf,
    input: BufReader<File>,
    tree: ChunkId,
    covers: u8,
    offset: u64,
    /// Length of the file: no record is longer, whatever it says.
    size: u64,
    /// The last record was read; what follows is the trailer.
    ended: bool,
    body: Vec<u8>,
}

impl RecordReader {
    /// Opens `path` after checking all of it; `None` when it is missing or damaged.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let size = file.metadata()?.len();
        if size < (HEADER_BYTES + TRAILER_BYTES) as u64 {
            return Ok(None);
        }
        let mut hasher = blake3::Hasher::new();
        let mut hashed = (&mut file).take(size - 32);
        let mut buffer = vec![0; 256 << 10];
        loop {
            match hashed.read(&mut buffer)? {
                0 => break,
                count => hasher.update(&buffer[..count]),
            };
        }
        let mut stated = [0; 32];
        file.read_exact(&mut stated)?;
        if stated != *hasher.finalize().as_bytes() {
            return Ok(None);
        }
        Self::begin(path, file)
    }

    /// As [`open`](Self::open); `None` also when the file is not for all of `tree`, which is seen
    /// without reading it.
    pub(crate) fn open_for(path: &Path, tree: ChunkId, covers: Covers) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let begins = file.metadata()?.len() >= HEADER_BYTES as u64;
        match if begins { Self::begin(path, file)? } else { None } {
            Some(reader) if reader.is_for(tree, covers) => Self::open(path),
            Some(_) | None => Ok(None),
        }
    }

    /// Opens what this process wrote a moment ago, without checking all of it once more.
    pub(crate) fn reopen(path: &Path) -> io::Result<Self> {
        Self::begin(path, File::open(path)?)?.ok_or_else(malformed)
    }

    /// The same file once more, before the record that begins at `offset`.
    pub(crate) fn another(&self, offset: u64) -> io::Result<Self> {
        let mut another = Self::reopen(&self.path)?;
        another.input.seek(SeekFrom::Start(offset))?;
        another.offset = offset;
        Ok(another)
    }

    fn begin(path: &Path, mut file: File) -> io::Result<Option<Self>> {
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(&mut header, 0)?;
        if header[..7] != MAGIC {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(HEADER_BYTES as u64))?;
        let size = file.metadata()?.len();
        Ok(Some(Self {
            path: path.into(),
            input: BufReader::with_capacity(256 << 10, file),
            tree: ChunkId::from_slice(&header[8..]).expect("the header has 40 bytes"),
            covers: header[7],
            offset: HEADER_BYTES as u64,
            size,
            ended: false,
            body: Vec::new(),
        }))
    }

    /// Whether the file was written for all of `tree`.
    pub(crate) fn is_for(&self, tree: ChunkId, covers: Covers) -> bool {
        self.tree == tree && self.covers == covers as u8 && covers != Covers::Part
    }

    /// Whether the file was written for `tree`, in part or as a whole.
    pub(crate) fn is_of(&self, tree: ChunkId) -> bool {
        self.tree == tree
    }

    /// Where the next record begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the file has all that is in `covers`, of whatever tree.
    pub(crate) fn covers(&self, covers: Covers) -> bool {
        self.covers == covers as u8
    }

    /// Goes back to the first record.
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        self.input.seek(SeekFrom::Start(HEADER_BYTES as u64))?;
        (self.offset, self.ended) = (HEADER_BYTES as u64, false);
        Ok(())
    }

    /// Reads the next record into `body`; false at the end.
    pub(crate) fn next_body(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let mut length = [0; 4];
        self.input.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length == 0 {
            self.ended = true;
            return Ok(false);
        }
        self.check_length(self.offset, length)?;
        self.offset += 4 + length as u64;
        body.resize(length, 0);
        self.input.read_exact(body)?;
        Ok(true)
    }

    /// The next record with only its front decoded.
    pub(crate) fn next_raw(&mut self) -> io::Result<Option<Raw<'_>>> {
        let mut body = std::mem::take(&mut self.body);
        let read = self.next_body(&mut body);
        self.body = body;
        if !read? {
            return Ok(None);
        }
        Raw::decode(&self.body).map(Some).ok_or_else(malformed)
    }

    /// The next record about which one of `actions` is to be done.
    pub(crate) fn next_of(&mut self, actions: &[Action]) -> io::Result<Option<Record>> {
        while let Some(raw) = self.next_raw()? {
            if actions.contains(&raw.action) {
                return raw.open().map(Some).ok_or_else(malformed);
            }
        }
        Ok(None)
    }

    /// The next record.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record>> {
        match self.next_raw()? {
            Some(raw) => raw.open().map(Some).ok_or_else(malformed),
            None => Ok(None),
        }
    }

    /// The record that begins at `offset`, wherever the reader stands.
    pub(crate) fn record_at(&self, offset: u64) -> io::Result<Record> {
        let file = self.input.get_ref();
        let mut length = [0; 4];
        file.read_exact_at(&mut length, offset)?;
        let length = u32::from_le_bytes(length) as usize;
        self.check_length(offset, length)?;
        let mut body = vec![0; length];
        file.read_exact_at(&mut body, offset + 4)?;
        Raw::decode(&body).and_then(Raw::open).ok_or_else(malformed)
    }

    /// Whether a record at `offset` can be so long, before there is memory for it.
    fn check_length(&self, offset: u64, length: usize) -> io::Result<()> {
        let end = (offset + 4).checked_add(length as u64);
        let fits = end.is_some_and(|end| end <= self.size);
        if fits && length <= RECORD_BYTES_MAX { Ok(()) } else { Err(malformed()) }
    }
}

/// The checksum held, so only another version of the program can have written this.
fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a record of an unknown form")
}

#[cfg(test)]
mod tests;
