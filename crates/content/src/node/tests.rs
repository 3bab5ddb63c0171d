use super::*;
use crate::{ChunkId, Piece, Sealing};

fn chunk(text: &str, length: u32) -> ChunkRef {
    ChunkRef::plain(ChunkId::of(text.as_bytes()), length)
}

fn file(name: &[u8], size: u64, contents: Contents) -> Entry {
    let blob = implied_blob(&contents).unwrap_or_else(|| BlobId::of(name));
    Entry {
        name: Name::new(name).expect("valid"),
        mode: 0o644,
        mtime: Mtime { seconds: 1_700_000_000, nanos: 123_456_789 },
        owner: None,
        xattrs: Vec::new(),
        kind: Kind::File { size, blob, contents, link: None },
    }
}

/// One entry of every kind and every way of naming contents.
pub(crate) fn specimen() -> Node {
    let group = chunk("group", 9_000);
    let sealing = Some(Sealing { key: [9; 32], stored_length: 120 });
    let mut owned = file(b"b-owned", 3, Contents::Inline(b"abc".to_vec()));
    owned.owner = Some(Owner { user: 1000, group: 100 });
    owned.xattrs = vec![(b"user.a".to_vec(), b"1".to_vec()), (b"user.b".to_vec(), vec![])];
    let mut linked = file(b"f-link", 40, Contents::Slice { chunk: group, offset: 100 });
    let Kind::File { link, .. } = &mut linked.kind else { unreachable!("made as a file") };
    *link = Some(b"sub/other".to_vec());
    let pieces = vec![
        Piece::Chunk(chunk("one", 50)),
        Piece::Hole(65_536),
        Piece::Chunk(ChunkRef { sealing, ..chunk("two", 100) }),
    ];
    let list = Contents::List(vec![ListSegment { chunk: chunk("list", 70), span: 5 << 30 }]);
    let mut directory =
        file(b"h-dir", 60, Contents::Slice { chunk: chunk("nodes", 100), offset: 0 });
    directory.kind = Kind::Directory {
        size: 60,
        node: BlobId::of(b"node"),
        contents: Contents::Slice { chunk: chunk("nodes", 100), offset: 0 },
    };
    let mut symlink = file(b"i-sym", 0, Contents::Inline(vec![]));
    symlink.kind = Kind::Symlink { target: b"../elsewhere".to_vec() };
    symlink.mtime = Mtime { seconds: -5, nanos: 0 };
    Node {
        entries: vec![
            file(b"a-empty", 0, Contents::Inline(vec![])),
            owned,
            file(b"c-slice", 100, Contents::Slice { chunk: group, offset: 0 }),
            file(b"d-pieces", 65_686, Contents::Pieces(pieces)),
            file(b"e-single", 50, Contents::Pieces(vec![Piece::Chunk(chunk("one", 50))])),
            linked,
            file(b"g-list", 5 << 30, list),
            directory,
            symlink,
            file(b"j-\xff\xfe not utf-8", 0, Contents::Inline(vec![])),
        ],
    }
}

use crate::ListSegment;

#[test]
fn a_node_survives_the_round_trip() {
    let node = specimen();
    assert_eq!(Node::decode(&node.encode()), Ok(node));
}

/// Bytes written by version 1 stay readable and stay what version 1 writes.
#[test]
fn the_golden_node_of_version_1() {
    crate::golden("node-1", &specimen().encode());
}

#[test]
fn truncation_at_every_byte_and_every_bit_flip_is_survived() {
    let bytes = specimen().encode();
    for length in 0..bytes.len() {
        assert!(Node::decode(&bytes[..length]).is_err(), "{length} bytes");
    }
    for index in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[index / 8] ^= 1 << (index % 8);
        if let Ok(node) = Node::decode(&altered) {
            assert_eq!(node.encode(), altered, "one encoding a value");
        }
    }
}

#[test]
fn names_that_could_leave_the_directory_do_not_exist() {
    for name in [&b""[..], b".", b"..", b"a/b", b"/", b"nul\0", &[b'x'; 256]] {
        assert_eq!(Name::new(name), None, "{name:?}");
    }
    let mut bytes = specimen().encode();
    let at = bytes.windows(7).position(|window| window == b"a-empty").expect("in there");
    bytes[at..at + 7].copy_from_slice(b"../../x");
    assert!(matches!(Node::decode(&bytes), Err(DecodeError::Invalid { .. })));
}

#[test]
fn entries_twice_or_out_of_order_are_refused() {
    let mut bytes = specimen().encode();
    let at = bytes.windows(7).position(|window| window == b"b-owned").expect("in there");
    bytes[at..at + 7].copy_from_slice(b"a-empty");
    assert!(matches!(Node::decode(&bytes), Err(DecodeError::Invalid { .. })));
}

#[test]
fn a_count_that_promises_the_sky_allocates_nothing() {
    // array(2), version 1, array(2^62 entries)
    let bytes = [0x82, 0x01, 0x9b, 0x40, 0, 0, 0, 0, 0, 0, 0];
    assert!(matches!(Node::decode(&bytes), Err(DecodeError::Malformed { .. })));
}

#[test]
fn contents_must_add_up_to_the_size() {
    let mut node = specimen();
    let Kind::File { size, .. } = &mut node.entries[3].kind else { unreachable!("made as a file") };
    *size += 1;
    assert!(matches!(Node::decode(&node.encode()), Err(DecodeError::Invalid { .. })));
}

#[test]
fn walk_order_is_files_first() {
    let node = specimen();
    let last = node.walk_order().last().expect("not empty");
    assert_eq!(last.name.as_bytes(), b"h-dir");
}
