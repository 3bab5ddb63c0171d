use content::{BlobId, ChunkRef, Mtime, Name};

use super::*;

fn record(path: &[u8], listed: Vec<Piece>) -> Record {
    let name = Name::new(crate::order::split(path).1).expect("valid");
    let chunk = ChunkRef::plain(ChunkId::of(path), 700);
    let contents = Contents::Slice { chunk, offset: 3 };
    let kind = Kind::File { size: 600, blob: BlobId::of(path), contents, link: None };
    let mtime = Mtime { seconds: -4, nanos: 5 };
    let xattrs = vec![(b"user.a".to_vec(), b"b".to_vec())];
    let entry = Entry { name, mode: 0o644, mtime, owner: None, xattrs, kind };
    let file = tempfile::tempfile().expect("a file");
    let facts = Some(FileFacts::of(&file).expect("facts"));
    Record { action: Action::Repair, path: path.into(), facts, entry, listed, proven: true }
}

#[test]
fn records_come_back_and_damage_anywhere_means_no_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("plan");
    let many = (0..5000).map(|_| Piece::Hole(32768)).collect();
    let records = [record(b"a\xff", Vec::new()), record(b"dir/b", many)];
    let tree = ChunkId::of(b"tree");
    let mut writer = RecordWriter::create(&path, tree, Covers::Tree).expect("creates");
    for record in &records {
        writer.push(record).expect("writes");
    }
    writer.finish(true).expect("finishes");

    let mut reader = RecordReader::open(&path).expect("readable").expect("whole");
    assert!(reader.is_for(tree, Covers::Tree));
    assert!(!reader.is_for(tree, Covers::TreeAndOwners));
    let mut offsets = Vec::new();
    for record in &records {
        offsets.push(reader.offset());
        assert_eq!(reader.next().expect("reads").as_ref(), Some(record));
    }
    for _ in 0..2 {
        assert_eq!(reader.next().expect("reads"), None);
    }
    assert_eq!(reader.record_at(offsets[1]).expect("reads"), records[1]);

    let bytes = std::fs::read(&path).expect("reads");
    for at in (0..bytes.len()).step_by(97) {
        assert_no_file(&path, &flipped(&bytes, at, 2), &format!("byte {at}"));
        assert_no_file(&path, &bytes[..at], &format!("cut at {at}"));
    }
}

fn flipped(bytes: &[u8], at: usize, bit: u32) -> Vec<u8> {
    let mut altered = bytes.to_vec();
    altered[at] ^= 1 << bit;
    altered
}

fn assert_no_file(path: &Path, bytes: &[u8], what: &str) {
    std::fs::write(path, bytes).expect("writes");
    assert!(RecordReader::open(path).expect("readable").is_none(), "{what}");
}

#[test]
fn a_file_altered_or_cut_at_any_byte_is_no_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("plan");
    let mut writer =
        RecordWriter::create(&path, ChunkId::of(b"tree"), Covers::Part).expect("creates");
    for (path, listed) in [(&b"a"[..], Vec::new()), (b"b", vec![Piece::Hole(32768)])] {
        writer.push(&record(path, listed)).expect("writes");
    }
    writer.finish(true).expect("finishes");
    let bytes = std::fs::read(&path).expect("reads");
    assert!(RecordReader::open(&path).expect("readable").is_some());
    for at in 0..bytes.len() {
        // Another bit of each byte: all eight of all of them take ten seconds.
        let bit = u32::try_from(at % 8).expect("below 8");
        assert_no_file(&path, &flipped(&bytes, at, bit), &format!("bit {bit} of byte {at}"));
        assert_no_file(&path, &bytes[..at], &format!("cut at {at}"));
    }
    assert_no_file(&path, &[&bytes[..], b"\0"].concat(), "a byte more");
}

/// Bodies come from files that checked, and still must not be trusted with a panic.
#[test]
fn a_body_that_is_cut_or_altered_is_refused_or_read_and_never_panics() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("plan");
    let mut writer =
        RecordWriter::create(&path, ChunkId::of(b"tree"), Covers::Part).expect("creates");
    let written = record(b"dir/b", vec![Piece::Hole(32768)]);
    writer.push(&written).expect("writes");
    writer.finish(true).expect("finishes");
    let bytes = std::fs::read(&path).expect("reads");
    let body = &bytes[HEADER_BYTES + 4..bytes.len() - TRAILER_BYTES];
    let open = |body: &[u8]| Raw::decode(body).and_then(Raw::open);
    assert_eq!(open(body), Some(written));
    for at in 0..body.len() {
        assert_eq!(open(&body[..at]), None, "cut at {at}");
        for bit in 0..8 {
            let _ = open(&flipped(body, at, bit));
        }
    }
}

#[test]
fn a_run_stands_for_the_records_of_the_index_it_names() {
    let directory = tempfile::tempdir().expect("a directory");
    let [index, plan, next] = ["index", "plan", "next"].map(|name| directory.path().join(name));
    let tree = ChunkId::of(b"tree");
    let kept = |path: &[u8]| Record { action: Action::Keep, ..record(path, Vec::new()) };
    let records = [b"a", b"b", b"c", b"d"].map(|path| kept(path));
    let mut writer = RecordWriter::create(&index, tree, Covers::Tree).expect("creates");
    for record in &records {
        writer.push(record).expect("writes");
    }
    writer.finish(false).expect("finishes");

    let mut old = RecordReader::open(&index).expect("readable").expect("whole");
    let mut ends = vec![old.offset()];
    while old.next().expect("reads").is_some() {
        ends.push(old.offset());
    }
    let mut run = Run { offset: ends[1], bytes: ends[2] - ends[1], records: 1 };
    assert!(!run.extend(ends[3], ends[4]), "a gap ends a run");
    assert!(run.extend(ends[2], ends[3]));

    let mut writer = RecordWriter::create(&plan, tree, Covers::Tree).expect("creates");
    writer.push_run(&run).expect("writes");
    writer.push(&records[3]).expect("writes");
    writer.finish(false).expect("finishes");
    let mut reader = RecordReader::open(&plan).expect("readable").expect("whole");
    let raw = reader.next_raw().expect("reads").expect("a run");
    assert_eq!((raw.action, raw.run()), (Action::Same, Some(run)));
    assert_eq!(reader.next_of(&[Action::Keep]).expect("reads").as_ref(), Some(&records[3]));

    let mut writer = RecordWriter::create(&next, tree, Covers::Tree).expect("creates");
    writer.copy_run(&old, &run).expect("writes");
    let beyond = Run { bytes: 1 << 40, ..run };
    assert!(writer.copy_run(&old, &beyond).is_err(), "what is not there is not made up");
    drop(writer);
    let mut writer = RecordWriter::create(&next, tree, Covers::Tree).expect("creates");
    writer.copy_run(&old, &run).expect("writes");
    writer.finish(false).expect("finishes");
    let mut reader = RecordReader::open(&next).expect("readable").expect("whole");
    for record in &records[1..3] {
        assert_eq!(reader.next().expect("reads").as_ref(), Some(record));
    }
    assert_eq!(reader.next().expect("reads"), None);
}

#[test]
fn an_index_of_another_tree_is_not_even_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("index");
    let (tree, other) = (ChunkId::of(b"tree"), ChunkId::of(b"other"));
    let open = |tree| RecordReader::open_for(&path, tree, Covers::Tree).expect("readable");
    assert!(open(tree).is_none(), "no file");
    let writer = RecordWriter::create(&path, tree, Covers::Tree).expect("creates");
    writer.finish(false).expect("finishes");
    assert!(open(tree).is_some() && open(other).is_none());
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes[45] ^= 1;
    std::fs::write(&path, bytes).expect("writes");
    assert!(open(tree).is_none(), "damaged");
    std::fs::write(&path, b"CnPl").expect("writes");
    assert!(open(tree).is_none(), "cut off");
}

#[test]
fn a_length_beyond_the_file_is_refused_before_there_is_memory_for_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("plan");
    let mut bytes = [&MAGIC[..], &[Covers::Tree as u8], ChunkId::of(b"tree").as_bytes()].concat();
    bytes.extend_from_slice(&u32::try_from(RECORD_BYTES_MAX).expect("fits").to_le_bytes());
    bytes.extend_from_slice(&[0; 12]);
    bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
    std::fs::write(&path, &bytes).expect("writes");
    let mut reader = RecordReader::open(&path).expect("readable").expect("the checksum holds");
    let refused = reader.next().expect_err("no such record");
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    assert!(reader.body.is_empty(), "{} bytes were made room for", reader.body.len());
    let refused = reader.record_at(HEADER_BYTES as u64).expect_err("no such record");
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
}
