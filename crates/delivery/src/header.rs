//! What is in a delivery.

use std::collections::HashMap;

use content::cbor::{self, Encoded, Reader, Writer};
use content::{DecodeError, Mtime, Name};

/// The longest subject, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 200;
/// The longest message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// The longest header, in bytes: some 800,000 items with usual names. Both sides hold it in memory.
pub const HEADER_BYTES_MAX: usize = 64 << 20;
/// The longest path, in bytes: what Linux takes in one call.
const PATH_BYTES_MAX: usize = 4095;
/// The longest target of a symbolic link, in bytes.
const TARGET_BYTES_MAX: usize = 4095;
const WHAT: &str = "header of a delivery";

/// What somebody sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// One line; may be empty.
    pub subject: String,
    /// A text of any lines; may be empty.
    pub message: String,
    /// When it was made, in seconds since 1970.
    pub sent: u64,
    /// Files, directories and links; a directory before what is in it. Contents of files follow the
    /// header in this order.
    pub items: Vec<Item>,
}

/// A file, a directory or a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Names with `/` between them, relative, as raw bytes.
    pub path: Vec<u8>,
    /// The lower 12 bits of `st_mode`.
    pub mode: u32,
    /// Time of last modification.
    pub mtime: Mtime,
    /// What it is.
    pub kind: ItemKind,
}

/// What an item is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemKind {
    /// A regular file.
    File {
        /// Its length in bytes.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link, kept and never followed.
    Symlink {
        /// What it says, verbatim.
        target: Vec<u8>,
    },
}

/// Whether a path leads below the directory it begins in, by names alone.
#[must_use]
pub fn check_path(path: &[u8]) -> bool {
    path.len() <= PATH_BYTES_MAX
        && path.split(|byte| *byte == b'/').all(|name| Name::new(name).is_some())
}

impl Header {
    /// How many files, and how many bytes they have together.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        self.items.iter().fold((0, 0), |(files, bytes), item| match item.kind {
            ItemKind::File { size } => (files + 1, bytes.saturating_add(size)),
            ItemKind::Directory | ItemKind::Symlink { .. } => (files, bytes),
        })
    }

    /// Bytes of the largest file.
    #[must_use]
    pub fn largest(&self) -> u64 {
        let size = |item: &Item| match item.kind {
            ItemKind::File { size } => Some(size),
            ItemKind::Directory | ItemKind::Symlink { .. } => None,
        };
        self.items.iter().filter_map(size).max().unwrap_or(0)
    }

    /// Encodes the header.
    ///
    /// # Panics
    /// Never; what is written is checked when it is read.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(5)?.u8(0)?.u8(1)?.u8(1)?.str(&self.subject)?;
            writer.u8(2)?.str(&self.message)?.u8(3)?.u64(self.sent)?;
            writer.u8(4)?.array(self.items.len() as u64)?;
            self.items.iter().try_for_each(|item| item.write(writer))
        })
    }

    /// Decodes a header.
    ///
    /// # Errors
    /// Anything but the one encoding of a header whose items lead below one directory, each path once,
    /// and each in a directory that stands before it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > HEADER_BYTES_MAX {
            return Err(cbor::invalid(WHAT, format!("{} bytes", bytes.len())));
        }
        let read = |reader: &mut Reader<'_>| {
            let mut fields = reader.fields()?;
            fields.expect(reader, 0)?;
            reader.version(1)?;
            fields.expect(reader, 1)?;
            let subject = reader.text()?.to_owned();
            // It is shown in a line of a terminal, beside others.
            if subject.len() > SUBJECT_BYTES_MAX || subject.chars().any(char::is_control) {
                return Err(reader.invalid("a subject of several lines, or too long"));
            }
            fields.expect(reader, 2)?;
            let message = reader.text()?.to_owned();
            if message.len() > MESSAGE_BYTES_MAX {
                return Err(reader.invalid(format!("a message of {} bytes", message.len())));
            }
            fields.expect(reader, 3)?;
            let sent = reader.u64()?;
            fields.expect(reader, 4)?;
            let count = reader.items()?;
            let mut items = Vec::with_capacity(reader.capacity(count, Item::ENCODED_BYTES_MIN));
            for _ in 0..count {
                items.push(Item::read(reader)?);
            }
            fields.finish(reader)?;
            check_hierarchy(&items).map_err(|reason| reader.invalid(reason))?;
            Ok(Self { subject, message, sent, items })
        };
        cbor::decode_canonical(WHAT, bytes, read, Self::encode)
    }
}

/// Every path once, and in a directory that came before.
fn check_hierarchy(items: &[Item]) -> Result<(), &'static str> {
    let mut is_directory = HashMap::with_capacity(items.len());
    for item in items {
        if let Some(slash) = item.path.iter().rposition(|byte| *byte == b'/')
            && is_directory.get(&item.path[..slash]) != Some(&true)
        {
            return Err("an item before the directory it is in");
        }
        let directory = item.kind == ItemKind::Directory;
        if is_directory.insert(item.path.as_slice(), directory).is_some() {
            return Err("a path stands twice");
        }
    }
    Ok(())
}

impl Item {
    /// A path of one byte, and nothing that is not needed.
    const ENCODED_BYTES_MIN: usize = 9;

    fn write(&self, writer: &mut Writer) -> Encoded {
        writer.array(if self.kind == ItemKind::Directory { 4 } else { 5 })?.bytes(&self.path)?;
        let kind = match self.kind {
            ItemKind::File { .. } => 0,
            ItemKind::Directory => 1,
            ItemKind::Symlink { .. } => 2,
        };
        writer
            .u8(kind)?
            .u32(self.mode)?
            .array(2)?
            .i64(self.mtime.seconds)?
            .u32(self.mtime.nanos)?;
        match &self.kind {
            ItemKind::File { size } => writer.u64(*size)?,
            ItemKind::Directory => writer,
            ItemKind::Symlink { target } => writer.bytes(target)?,
        };
        Ok(())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = reader.items()?;
        let path = reader.bytes()?.to_vec();
        if !check_path(&path) {
            return Err(reader.invalid("a path that could lead elsewhere"));
        }
        let kind = reader.u64()?;
        let mode = reader.u32()?;
        if mode > 0o7777 {
            return Err(reader.invalid("a mode with more than permissions"));
        }
        reader.array_of(2)?;
        let mtime = Mtime { seconds: reader.i64()?, nanos: reader.u32()? };
        if mtime.nanos >= 1_000_000_000 {
            return Err(reader.invalid("a second of more than a second"));
        }
        let kind = match (kind, length) {
            (0, 5) => ItemKind::File { size: reader.u64()? },
            (1, 4) => ItemKind::Directory,
            (2, 5) => ItemKind::Symlink { target: read_target(reader)? },
            _ => return Err(reader.invalid("an item of no kind")),
        };
        Ok(Self { path, mode, mtime, kind })
    }
}

fn read_target(reader: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let target = reader.bytes()?;
    if !(1..=TARGET_BYTES_MAX).contains(&target.len()) || target.contains(&0) {
        return Err(reader.invalid("a link that no file system holds"));
    }
    Ok(target.to_vec())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn item(path: &str, kind: ItemKind) -> Item {
        let mtime = Mtime { seconds: 1_790_000_000, nanos: 5 };
        Item { path: path.into(), mode: 0o644, mtime, kind }
    }

    pub(crate) fn file(path: &str, size: u64) -> Item {
        item(path, ItemKind::File { size })
    }

    pub(crate) fn directory(path: &str) -> Item {
        item(path, ItemKind::Directory)
    }

    pub(crate) fn link(path: &str, target: &str) -> Item {
        item(path, ItemKind::Symlink { target: target.into() })
    }

    pub(crate) fn header(items: Vec<Item>) -> Header {
        let (subject, message) = ("Plans".into(), "As promised.\n".into());
        Header { subject, message, sent: 1_795_000_000, items }
    }

    #[test]
    fn a_header_reads_as_it_was_written() {
        let ours = header(vec![
            directory("plans"),
            file("plans/ground floor.dwg", 5_000_000_000),
            link("plans/newest", "ground floor.dwg"),
            file("notes", 0),
        ]);
        let bytes = ours.encode();
        assert_eq!(Header::decode(&bytes), Ok(ours.clone()));
        assert_eq!(ours.totals(), (2, 5_000_000_000));
        for end in 0..bytes.len() {
            Header::decode(&bytes[..end]).expect_err("cut short");
        }
    }

    #[test]
    fn nothing_leads_out_of_the_directory_it_is_put_in() {
        for path in ["", "/etc/passwd", "..", "a/../b", "a//b", "a/", "./a", "a\0b", "."] {
            let refused = Header::decode(&header(vec![directory("a"), file(path, 1)]).encode());
            assert!(refused.is_err(), "{path:?}");
        }
        let long = vec![b'x'; 256];
        assert!(!check_path(&long), "a name longer than any");
        assert!(!check_path(&b"x/".repeat(2048)[..4096]), "a path longer than any");
    }

    #[test]
    fn nothing_is_put_through_a_link_or_a_file_and_nothing_comes_twice() {
        for items in [
            vec![link("a", "/etc"), file("a/passwd", 1)],
            vec![file("a", 1), file("a/b", 1)],
            vec![file("a/b", 1), directory("a")],
            vec![file("a", 1), file("a", 1)],
            vec![directory("a"), link("a", "b")],
        ] {
            assert!(Header::decode(&header(items.clone()).encode()).is_err(), "{items:?}");
        }
    }

    #[test]
    fn what_would_confuse_a_terminal_or_a_file_system_is_refused() {
        let plain = || header(vec![file("a", 1)]);
        let refused = |header: Header| assert!(Header::decode(&header.encode()).is_err());
        refused(Header { subject: "a\u{1b}[2Jb".into(), ..plain() });
        refused(Header { subject: "x".repeat(SUBJECT_BYTES_MAX + 1), ..plain() });
        refused(Header { message: "x".repeat(MESSAGE_BYTES_MAX + 1), ..plain() });
        refused(header(vec![Item { mode: 0o10_000, ..file("a", 1) }]));
        let mtime = Mtime { seconds: 0, nanos: 1_000_000_000 };
        refused(header(vec![Item { mtime, ..file("a", 1) }]));
        refused(header(vec![link("a", "")]));
    }
}
