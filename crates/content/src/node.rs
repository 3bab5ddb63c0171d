//! One directory.
//!
//! Entries are sorted by the raw bytes of their names. Names are whatever the file system
//! allows, UTF-8 or not; a name that could lead out of the directory is refused here, so
//! nothing that decodes can.

use crate::cbor::{self, DecodeError, Encoded, Reader, Writer};
use crate::{BlobId, ChunkRef, Contents};

/// The name of an entry: 1 to 255 bytes, no `/`, no NUL, not `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Takes raw bytes as a name; `None` when no directory entry can be called so.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let fits = !bytes.is_empty()
            && bytes.len() <= 255
            && bytes != b"."
            && bytes != b".."
            && !bytes.contains(&b'/')
            && !bytes.contains(&0);
        fits.then(|| Self(bytes.into()))
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// Time of last modification, to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mtime {
    /// Seconds since 1970-01-01 00:00:00 UTC, negative before.
    pub seconds: i64,
    /// Nanoseconds past `seconds`, below 1,000,000,000.
    pub nanos: u32,
}

/// User and group id of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Numeric user id.
    pub user: u32,
    /// Numeric group id.
    pub group: u32,
}

/// The name and the value of an extended attribute.
pub type Xattr = (Vec<u8>, Vec<u8>);

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Size in bytes, holes included.
        size: u64,
        /// Hash of the whole file.
        blob: BlobId,
        /// Where the bytes are.
        contents: Contents,
        /// Path from the root of the tree of the entry this one is a hard link to, an earlier
        /// one in walk order.
        link: Option<Vec<u8>>,
    },
    /// A directory; its node is stored like the contents of a file.
    Directory {
        /// Length of the node's bytes.
        size: u64,
        /// Hash of the node's bytes: equal for equal directories.
        node: BlobId,
        /// Where the node's bytes are.
        contents: Contents,
    },
    /// A symbolic link, kept and never followed.
    Symlink {
        /// What the link says, verbatim, 1 to 4,095 bytes.
        target: Vec<u8>,
    },
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: Name,
    /// The lower 12 bits of `st_mode`.
    pub mode: u32,
    /// Time of last modification.
    pub mtime: Mtime,
    /// Recorded only when the publisher asked for it.
    pub owner: Option<Owner>,
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<Xattr>,
    /// File, directory or symbolic link.
    pub kind: Kind,
}

/// A directory: its entries, sorted by name, each name once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// The entries.
    pub entries: Vec<Entry>,
}

/// Bytes of extended attributes an entry may carry: what ext4 and the VFS allow at most.
const XATTR_BYTES_MAX: usize = 64 * 1024;
const WHAT: &str = "directory node";

impl Node {
    /// Encodes the node, see `docs/format.md`.
    ///
    /// # Panics
    /// Never; the caller keeps `entries` sorted (checked in debug builds).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        debug_assert!(self.entries.is_sorted_by(|a, b| a.name < b.name));
        let mut previous = None;
        cbor::encode(|writer| {
            writer.array(2)?.u8(1)?.array(self.entries.len() as u64)?;
            self.entries.iter().try_for_each(|entry| entry.write(&mut previous, writer))
        })
    }

    /// Decodes a node.
    ///
    /// # Errors
    /// Refuses anything but the canonical encoding of a valid node: names that could leave the
    /// directory, entries out of order or twice, contents that do not add up to the size.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            reader.array_of(2)?;
            reader.version(1)?;
            let count = reader.items()?;
            // The smallest entry, a symbolic link of one-byte names, takes 15 bytes.
            let mut entries: Vec<Entry> = Vec::with_capacity(reader.capacity(count, 15));
            let mut previous = None;
            for _ in 0..count {
                let entry = Entry::read(reader, &mut previous)?;
                if entries.last().is_some_and(|last| last.name >= entry.name) {
                    return Err(reader.invalid(format!("{:?} is out of order", entry.name)));
                }
                entries.push(entry);
            }
            Ok(Self { entries })
        };
        cbor::decode_canonical(WHAT, bytes, read, Self::encode)
    }

    /// Finds an entry by name.
    #[must_use]
    pub fn entry(&self, name: &[u8]) -> Option<&Entry> {
        let found = self.entries.binary_search_by(|entry| entry.name.as_bytes().cmp(name));
        found.ok().map(|index| &self.entries[index])
    }

    /// The entries in walk order: first everything but directories, then the directories, both
    /// by name. Grouping, closures and indexes all follow this order.
    pub fn walk_order(&self) -> impl Iterator<Item = &Entry> {
        let is_directory = |entry: &&Entry| matches!(entry.kind, Kind::Directory { .. });
        self.entries
            .iter()
            .filter(move |entry| !is_directory(entry))
            .chain(self.entries.iter().filter(is_directory))
    }
}

const NAME: u8 = 0;
const KIND: u8 = 1;
const MODE: u8 = 2;
const MTIME: u8 = 3;
const OWNER: u8 = 4;
const XATTRS: u8 = 5;
const TARGET: u8 = 6;
const SIZE: u8 = 7;
const BLOB: u8 = 8;
const CONTENTS: u8 = 9;
const LINK: u8 = 10;

impl Entry {
    fn write(&self, previous: &mut Option<ChunkRef>, writer: &mut Writer) -> Encoded {
        let (kind, sized) = match &self.kind {
            Kind::File { size, blob, contents, .. } => (0, Some((*size, blob, contents))),
            Kind::Directory { size, node, contents } => (1, Some((*size, node, contents))),
            Kind::Symlink { .. } => (2, None),
        };
        let blob = sized.and_then(|(_, blob, contents)| states_blob(contents).then_some(blob));
        let link = match &self.kind {
            Kind::File { link, .. } => link.as_ref(),
            Kind::Directory { .. } | Kind::Symlink { .. } => None,
        };
        let fields = 4
            + u64::from(self.owner.is_some())
            + u64::from(!self.xattrs.is_empty())
            + if sized.is_some() { 2 } else { 1 }
            + u64::from(blob.is_some())
            + u64::from(link.is_some());
        writer.map(fields)?.u8(NAME)?.bytes(self.name.as_bytes())?.u8(KIND)?.u8(kind)?;
        writer.u8(MODE)?.u32(self.mode)?;
        writer.u8(MTIME)?.array(2)?.i64(self.mtime.seconds)?.u32(self.mtime.nanos)?;
        if let Some(owner) = self.owner {
            writer.u8(OWNER)?.array(2)?.u32(owner.user)?.u32(owner.group)?;
        }
        if !self.xattrs.is_empty() {
            writer.u8(XATTRS)?.array(self.xattrs.len() as u64)?;
            for (name, value) in &self.xattrs {
                writer.array(2)?.bytes(name)?.bytes(value)?;
            }
        }
        if let Kind::Symlink { target } = &self.kind {
            writer.u8(TARGET)?.bytes(target)?;
        }
        if let Some((size, _, contents)) = sized {
            writer.u8(SIZE)?.u64(size)?;
            if let Some(blob) = blob {
                writer.u8(BLOB)?.bytes(blob.as_bytes())?;
            }
            writer.u8(CONTENTS)?;
            contents.write(previous, writer)?;
        }
        if let Some(link) = link {
            writer.u8(LINK)?.bytes(link)?;
        }
        Ok(())
    }

    fn read(reader: &mut Reader<'_>, previous: &mut Option<ChunkRef>) -> Result<Self, DecodeError> {
        let mut fields = reader.fields()?;
        fields.expect(reader, NAME)?;
        let name = Name::new(reader.bytes()?)
            .ok_or_else(|| reader.invalid("a name that no directory entry can have"))?;
        fields.expect(reader, KIND)?;
        let kind = reader.u64()?;
        fields.expect(reader, MODE)?;
        let mode = reader.u32()?;
        if mode > 0o7777 {
            return Err(reader.invalid(format!("mode {mode:o}")));
        }
        fields.expect(reader, MTIME)?;
        reader.array_of(2)?;
        let mtime = Mtime { seconds: reader.i64()?, nanos: reader.u32()? };
        if mtime.nanos >= 1_000_000_000 {
            return Err(reader.invalid("a second of more than 10^9 nanoseconds"));
        }
        let owner = if fields.take(reader, OWNER)? {
            reader.array_of(2)?;
            Some(Owner { user: reader.u32()?, group: reader.u32()? })
        } else {
            None
        };
        let xattrs = if fields.take(reader, XATTRS)? { read_xattrs(reader)? } else { Vec::new() };
        let kind = match kind {
            0 | 1 => {
                fields.expect(reader, SIZE)?;
                let size = reader.u64()?;
                let stated = if fields.take(reader, BLOB)? {
                    Some(BlobId::from_bytes(reader.array()?))
                } else {
                    None
                };
                fields.expect(reader, CONTENTS)?;
                let contents = Contents::read(reader, size, previous)?;
                let blob = match (stated, implied_blob(&contents)) {
                    (None, Some(implied)) => implied,
                    (Some(stated), None) => stated,
                    _ => return Err(reader.invalid("a hash missing or said twice")),
                };
                if kind == 1 {
                    Kind::Directory { size, node: blob, contents }
                } else {
                    let link =
                        if fields.take(reader, LINK)? { Some(read_link(reader)?) } else { None };
                    Kind::File { size, blob, contents, link }
                }
            }
            2 => {
                fields.expect(reader, TARGET)?;
                let target = reader.bytes()?;
                if target.is_empty() || target.len() > 4095 || target.contains(&0) {
                    return Err(reader.invalid("an impossible symbolic link"));
                }
                Kind::Symlink { target: target.to_vec() }
            }
            other => return Err(reader.invalid(format!("an entry of kind {other}"))),
        };
        fields.finish(reader)?;
        Ok(Self { name, mode, mtime, owner, xattrs, kind })
    }
}

/// Whether the hash is written out; where the contents already say it, it is not repeated.
fn states_blob(contents: &Contents) -> bool {
    implied_blob(contents).is_none()
}

fn implied_blob(contents: &Contents) -> Option<BlobId> {
    if let Contents::Inline(bytes) = contents {
        return Some(BlobId::of(bytes));
    }
    contents.single_plain_chunk().map(|id| BlobId::from_bytes(*id.as_bytes()))
}

fn read_xattrs(reader: &mut Reader<'_>) -> Result<Vec<Xattr>, DecodeError> {
    let count = reader.items()?;
    let mut xattrs: Vec<Xattr> = Vec::with_capacity(reader.capacity(count, 3));
    let mut bytes_total = 0;
    for _ in 0..count {
        reader.array_of(2)?;
        let (name, value) = (reader.bytes()?, reader.bytes()?);
        bytes_total += name.len() + value.len();
        if name.is_empty() || name.len() > 255 || name.contains(&0) || bytes_total > XATTR_BYTES_MAX
        {
            return Err(reader.invalid("an impossible extended attribute"));
        }
        if xattrs.last().is_some_and(|(last, _)| last.as_slice() >= name) {
            return Err(reader.invalid("extended attributes out of order"));
        }
        xattrs.push((name.to_vec(), value.to_vec()));
    }
    Ok(xattrs)
}

/// A path within the tree: valid names joined by single slashes.
fn read_link(reader: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let path = reader.bytes()?;
    if path.len() > 4096 || path.split(|byte| *byte == b'/').any(|name| Name::new(name).is_none()) {
        return Err(reader.invalid("a hard link to an impossible path"));
    }
    Ok(path.to_vec())
}

#[cfg(test)]
mod tests;
