//! The readers of what a checkout keeps between two runs, for `fuzz-targets`.

use std::io;
use std::path::Path;

use content::{BlobId, ChunkId, ChunkRef, Contents, Entry, Kind, ListSegment, Mtime, Name, Piece};
use directory::{FileFacts, FileKind};

use crate::journal::{JournalPlace, Sum, TempName};
use crate::record::{Action, Covers, Record, RecordReader, RecordWriter};

/// Writes a plan with one record of each form.
///
/// # Errors
/// When the system refuses.
///
/// # Panics
/// Never: the names are names.
pub fn write_records(path: &Path) -> io::Result<()> {
    let chunk = ChunkRef::plain(ChunkId::of(b"chunk"), 700);
    let file =
        |size, contents| Kind::File { size, blob: BlobId::of(b"blob"), contents, link: None };
    let list = Contents::List(vec![ListSegment { chunk, span: 1400 }]);
    let forms = [
        (file(600, Contents::Slice { chunk, offset: 3 }), vec![]),
        (file(1400, list), vec![Piece::Hole(700), Piece::Chunk(chunk)]),
        (Kind::Symlink { target: b"../else".to_vec() }, vec![]),
    ];
    let mtime = Mtime { seconds: -4, nanos: 5 };
    let mut writer = RecordWriter::create(path, ChunkId::of(b"tree"), Covers::Tree)?;
    for (number, (kind, listed)) in forms.into_iter().enumerate() {
        let name = Name::new(format!("f{number}").as_bytes()).expect("a name");
        let xattrs = vec![(b"user.a".to_vec(), b"b".to_vec())];
        let entry = Entry { name, mode: 0o644, mtime, owner: None, xattrs, kind };
        let facts = (number != 1).then_some(FileFacts {
            kind: FileKind::File,
            size: 600,
            mtime,
            ctime: mtime,
            inode: 7,
            device: 8,
            mode: 0o644,
            links: 1,
            owner: content::Owner { user: 1, group: 2 },
            allocated: 4096,
        });
        let path = format!("d/f{number}").into_bytes();
        writer.push(&Record {
            action: Action::Repair,
            path,
            facts,
            entry,
            listed,
            proven: true,
        })?;
    }
    writer.finish(false)
}

/// Writes a journal with a statement of each kind.
///
/// # Errors
/// When the system refuses.
pub fn write_journal(path: &Path) -> io::Result<()> {
    let place = JournalPlace::new(path, ChunkId::of(b"tree"), [1; 16]);
    let (mut journal, _) = place.open()?;
    let [one, two] = [b"one", b"two"].map(|path| TempName::of(path, &BlobId::of(path)));
    let bytes = [7; 700];
    let chunk = ChunkRef::plain(ChunkId::of(b"chunk"), 1000);
    let sum = |bytes: &[u8]| Sum::of(&chunk, bytes);
    journal.placed(one, 0, (700, sum(&bytes)));
    journal.placed(one, 700, (300, sum(&bytes[..300])));
    journal.complete(two);
    journal.write()
}

/// How many records the plan or index at `path` has; `None` when it is no such file. Records that
/// are written again come back as they were.
///
/// # Errors
/// When a record is malformed behind a checksum that holds.
///
/// # Panics
/// When something else comes back.
pub fn records(path: &Path) -> io::Result<Option<usize>> {
    let Some(mut reader) = RecordReader::open(path)? else { return Ok(None) };
    let (mut found, mut offsets) = (Vec::new(), vec![reader.offset()]);
    while let Some(record) = reader.next()? {
        found.push(record);
        offsets.push(reader.offset());
    }
    for (record, offset) in found.iter().zip(&offsets) {
        assert_eq!(reader.record_at(*offset)?, *record, "a record found by its place");
    }
    let again = path.with_extension("again");
    let mut writer = RecordWriter::create(&again, ChunkId::of(b"tree"), Covers::Part)?;
    for record in &found {
        writer.push(record)?;
    }
    writer.finish(false)?;
    let mut reader = RecordReader::open(&again)?.expect("just written");
    for record in &found {
        assert_eq!(reader.next()?.as_ref(), Some(record), "a record written again");
    }
    assert_eq!(reader.next()?, None);
    Ok(Some(found.len()))
}

/// How many files the journal at `path` speaks of; opened twice it says the same.
///
/// # Errors
/// When the system refuses.
///
/// # Panics
/// When it says something else the second time.
pub fn journal(path: &Path) -> io::Result<usize> {
    let place = JournalPlace::new(path, ChunkId::of(b"tree"), [1; 16]);
    let abandoned = place.abandoned()?;
    let (journal, placed) = place.open()?;
    drop(journal);
    assert!(abandoned.is_none() || placed.is_empty(), "of this tree or of another one");
    if placed.same_boot {
        let (_, again) = place.open()?;
        assert_eq!((&again.complete, &again.ranges), (&placed.complete, &placed.ranges));
    }
    Ok(placed.complete.len() + placed.ranges.len())
}
