use content::{ChunkId, ChunkRef, ListSegment, Owner, Sealing};

use super::*;
use crate::FileKind;

fn entry(path: &[u8], kind: IndexKind) -> IndexEntry {
    IndexEntry {
        path: path.to_vec(),
        facts: FileFacts {
            kind: FileKind::File,
            size: 77,
            mtime: Mtime { seconds: -3, nanos: 999_999_999 },
            ctime: Mtime { seconds: 1_700_000_000, nanos: 5 },
            inode: 1 << 40,
            device: 9,
            mode: 0o4755,
            links: 2,
            owner: Owner { user: 1000, group: 100 },
            allocated: 512,
        },
        recorded_at: Mtime { seconds: 1_700_000_001, nanos: 0 },
        xattrs: vec![(b"user.note".to_vec(), b"\0\xff".to_vec())],
        kind,
    }
}

fn entries() -> Vec<IndexEntry> {
    let plain = ChunkRef::plain(ChunkId::of(b"plain"), 5);
    let sealing = Some(Sealing { key: [7; 32], stored_length: 22 });
    let sealed = ChunkRef { sealing, ..plain };
    let pieces = vec![Piece::Hole(1 << 35), Piece::Chunk(plain), Piece::Chunk(sealed)];
    let file = |contents, listed| IndexKind::File { blob: BlobId::of(b"blob"), contents, listed };
    vec![
        entry(b"inline", file(Contents::Inline(b"few".to_vec()), vec![])),
        entry(b"slice\xff", file(Contents::Slice { chunk: sealed, offset: 9 }, vec![])),
        entry(b"link", IndexKind::Symlink { target: b"../else".to_vec() }),
        entry(b"folder", IndexKind::Directory),
        entry(b"folder/pieces", file(Contents::Pieces(pieces.clone()), vec![])),
        entry(
            b"folder/list",
            file(Contents::List(vec![ListSegment { chunk: plain, span: 70 }]), pieces),
        ),
    ]
}

fn write(path: &Path, context: IndexContext) {
    let mut writer = IndexWriter::create_for(path, context).expect("creates");
    for entry in entries() {
        writer.push(&entry).expect("writes");
    }
    assert!(!path.exists(), "no index shows before it is whole");
    writer.finish().expect("finishes");
}

#[test]
fn an_index_reads_back_and_matches_its_golden_file() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let path = folder.path().join("index");
    write(&path, IndexContext([3; 32]));
    let read: Vec<_> =
        IndexReader::open_for(&path, IndexContext([3; 32])).expect("sound").collect();
    assert_eq!(read, entries());
    assert_eq!(read[5].pieces().len(), 3);
    assert_eq!(read[4].pieces().len(), 3);
    assert!(read[0].pieces().is_empty());
    assert!(IndexReader::open(&path).is_none(), "an index of another context is none");
    assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 1, "no draft is left");

    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/index-1.bin");
    if !Path::new(golden).exists() && std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::copy(&path, golden).expect("writable");
    }
    let golden = std::fs::read(golden).expect("the golden file exists");
    assert_eq!(std::fs::read(&path).expect("readable"), golden, "the format must not change");
}

#[test]
fn a_damaged_index_is_no_index() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let path = folder.path().join("index");
    write(&path, IndexContext::default());
    let bytes = std::fs::read(&path).expect("readable");
    assert!(IndexReader::open(&path).is_some());
    for length in 0..bytes.len() {
        std::fs::write(&path, &bytes[..length]).expect("writable");
        assert!(IndexReader::open(&path).is_none(), "cut at {length}");
    }
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        std::fs::write(&path, altered).expect("writable");
        assert!(IndexReader::open(&path).is_none(), "flipped at {at}");
    }
    std::fs::remove_file(&path).expect("removable");
    assert!(IndexReader::open(&path).is_none());
}

/// A sound check over an unsound entry, which only a faulty writer could make.
#[test]
fn an_entry_decoder_survives_any_bytes() {
    for entry in entries() {
        let mut bytes = Vec::new();
        code::write(&entry, &mut bytes);
        assert_eq!(code::read(&bytes), Some(entry));
        for length in 0..bytes.len() {
            assert_eq!(code::read(&bytes[..length]), None);
        }
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] = 0xff;
            if let Some(other) = code::read(&altered) {
                let mut again = Vec::new();
                code::write(&other, &mut again);
                assert_eq!(again, altered);
            }
        }
    }
}

#[test]
fn an_unfinished_index_leaves_the_old_one_alone() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let path = folder.path().join("index");
    write(&path, IndexContext::default());
    let mut writer = IndexWriter::create(&path).expect("creates");
    writer.push(&entries()[0]).expect("writes");
    drop(writer);
    assert_eq!(IndexReader::open(&path).expect("sound").count(), entries().len());
    assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 1);
}
