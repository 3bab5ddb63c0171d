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
        let mut altered = bytes.clone();
        altered[at] ^= 4;
        std::fs::write(&path, &altered).expect("writes");
        assert!(RecordReader::open(&path).expect("readable").is_none(), "byte {at}");
        std::fs::write(&path, &bytes[..at]).expect("writes");
        assert!(RecordReader::open(&path).expect("readable").is_none(), "cut at {at}");
    }
}
