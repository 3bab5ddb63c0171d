//! The bytes of one index entry.
//!
//! ```text
//! entry      path (bytes), facts, recorded_at (time), xattrs, kind
//! bytes      length (4), that many bytes
//! time       seconds (8, signed), nanoseconds (4)
//! facts      kind (1), size (8), mtime (time), ctime (time), inode (8), device (8), mode (4),
//!            links (4), user (4), group (4), allocated (8)
//! xattrs     count (4), as often: name (bytes), value (bytes)
//! kind       0 blob (32) contents | 1 target (bytes) | 2
//! contents   0 bytes | 1 reference offset (4) | 2 pieces
//!            | 3 count (4), as often: span (8), reference; then the listed pieces
//! pieces     count (4), as often: 0 length (8) | 1 reference
//! reference  id (32), length (4), 0 | 1 key (32) stored length (4)
//! ```

use content::{BlobId, ChunkId, ChunkRef, Contents, ListSegment, Mtime, Owner, Piece, Sealing};

use crate::{FileFacts, FileKind, IndexEntry, IndexKind, Xattrs};

pub(super) fn write(entry: &IndexEntry, out: &mut Vec<u8>) {
    bytes(&entry.path, out);
    facts(&entry.facts, out);
    time(entry.recorded_at, out);
    count(entry.xattrs.len(), out);
    for (name, value) in &entry.xattrs {
        bytes(name, out);
        bytes(value, out);
    }
    match &entry.kind {
        IndexKind::File { blob, contents: at, listed } => {
            out.push(0);
            out.extend_from_slice(blob.as_bytes());
            contents(at, listed, out);
        }
        IndexKind::Symlink { target } => {
            out.push(1);
            bytes(target, out);
        }
        IndexKind::Directory => out.push(2),
    }
}

fn count(count: usize, out: &mut Vec<u8>) {
    // Longer than any entry may be; the writer drops the entry for its length.
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    count(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn time(time: Mtime, out: &mut Vec<u8>) {
    out.extend_from_slice(&time.seconds.to_le_bytes());
    out.extend_from_slice(&time.nanos.to_le_bytes());
}

const KINDS: [FileKind; 7] = [
    FileKind::File,
    FileKind::Directory,
    FileKind::Symlink,
    FileKind::Fifo,
    FileKind::Socket,
    FileKind::Device,
    FileKind::Unknown,
];

fn facts(facts: &FileFacts, out: &mut Vec<u8>) {
    let kind = KINDS.iter().position(|kind| *kind == facts.kind).expect("all kinds are listed");
    out.push(u8::try_from(kind).expect("seven kinds"));
    out.extend_from_slice(&facts.size.to_le_bytes());
    time(facts.mtime, out);
    time(facts.ctime, out);
    out.extend_from_slice(&facts.inode.to_le_bytes());
    out.extend_from_slice(&facts.device.to_le_bytes());
    for word in [facts.mode, facts.links, facts.owner.user, facts.owner.group] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&facts.allocated.to_le_bytes());
}

fn contents(contents: &Contents, listed: &[Piece], out: &mut Vec<u8>) {
    match contents {
        Contents::Inline(inline) => {
            out.push(0);
            bytes(inline, out);
        }
        Contents::Slice { chunk, offset } => {
            out.push(1);
            reference(chunk, out);
            out.extend_from_slice(&offset.to_le_bytes());
        }
        Contents::Pieces(direct) => {
            out.push(2);
            pieces(direct, out);
        }
        Contents::List(segments) => {
            out.push(3);
            count(segments.len(), out);
            for segment in segments {
                out.extend_from_slice(&segment.span.to_le_bytes());
                reference(&segment.chunk, out);
            }
            pieces(listed, out);
        }
    }
}

fn pieces(pieces: &[Piece], out: &mut Vec<u8>) {
    count(pieces.len(), out);
    for piece in pieces {
        match piece {
            Piece::Hole(length) => {
                out.push(0);
                out.extend_from_slice(&length.to_le_bytes());
            }
            Piece::Chunk(chunk) => {
                out.push(1);
                reference(chunk, out);
            }
        }
    }
}

fn reference(chunk: &ChunkRef, out: &mut Vec<u8>) {
    out.extend_from_slice(chunk.id.as_bytes());
    out.extend_from_slice(&chunk.length.to_le_bytes());
    match &chunk.sealing {
        None => out.push(0),
        Some(sealing) => {
            out.push(1);
            out.extend_from_slice(&sealing.key);
            out.extend_from_slice(&sealing.stored_length.to_le_bytes());
        }
    }
}

/// Reads an entry that fills `bytes`; `None` when it is not one.
pub(super) fn read(bytes: &[u8]) -> Option<IndexEntry> {
    let mut reader = Reader(bytes);
    let entry = reader.entry()?;
    reader.0.is_empty().then_some(entry)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.u32()?;
        self.take(length as usize).map(<[u8]>::to_vec)
    }

    /// Reads as many as a count says, reserving no more than the bytes that are left can hold.
    fn many<T>(&mut self, least: usize, one: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.u32()? as usize;
        let mut many = Vec::with_capacity(count.min(self.0.len() / least));
        for _ in 0..count {
            many.push(one(self)?);
        }
        Some(many)
    }

    fn time(&mut self) -> Option<Mtime> {
        let seconds = self.array().map(i64::from_le_bytes)?;
        Some(Mtime { seconds, nanos: self.u32()? })
    }

    fn entry(&mut self) -> Option<IndexEntry> {
        let path = self.bytes()?;
        let facts = self.facts()?;
        let recorded_at = self.time()?;
        let xattrs: Xattrs = self.many(8, |reader| Some((reader.bytes()?, reader.bytes()?)))?;
        let kind = match self.u8()? {
            0 => {
                let blob = BlobId::from_bytes(self.array()?);
                let (contents, listed) = self.contents()?;
                IndexKind::File { blob, contents, listed }
            }
            1 => IndexKind::Symlink { target: self.bytes()? },
            2 => IndexKind::Directory,
            _ => return None,
        };
        Some(IndexEntry { path, facts, recorded_at, xattrs, kind })
    }

    fn facts(&mut self) -> Option<FileFacts> {
        Some(FileFacts {
            kind: *KINDS.get(usize::from(self.u8()?))?,
            size: self.u64()?,
            mtime: self.time()?,
            ctime: self.time()?,
            inode: self.u64()?,
            device: self.u64()?,
            mode: self.u32()?,
            links: self.u32()?,
            owner: Owner { user: self.u32()?, group: self.u32()? },
            allocated: self.u64()?,
        })
    }

    fn contents(&mut self) -> Option<(Contents, Vec<Piece>)> {
        let contents = match self.u8()? {
            0 => Contents::Inline(self.bytes()?),
            1 => Contents::Slice { chunk: self.reference()?, offset: self.u32()? },
            2 => Contents::Pieces(self.many(9, Self::piece)?),
            3 => {
                let segments = self.many(45, |reader| {
                    let span = reader.u64()?;
                    Some(ListSegment { chunk: reader.reference()?, span })
                })?;
                return Some((Contents::List(segments), self.many(9, Self::piece)?));
            }
            _ => return None,
        };
        Some((contents, Vec::new()))
    }

    fn piece(&mut self) -> Option<Piece> {
        match self.u8()? {
            0 => self.u64().map(Piece::Hole),
            1 => self.reference().map(Piece::Chunk),
            _ => None,
        }
    }

    fn reference(&mut self) -> Option<ChunkRef> {
        let id = ChunkId::from_bytes(self.array()?);
        let length = self.u32()?;
        let sealing = match self.u8()? {
            0 => None,
            1 => Some(Sealing { key: self.array()?, stored_length: self.u32()? }),
            _ => return None,
        };
        Some(ChunkRef { id, length, sealing })
    }
}
