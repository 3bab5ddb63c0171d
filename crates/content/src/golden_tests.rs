//! Golden files: the bytes of each released version of each format.

use crate::closure::{ClosureBuilder, ClosureEntry};
use crate::frame::{Codec, FrameBuilder, FrameCodec};
use crate::reference::PieceList;
use crate::{
    BlobId, ChunkId, ChunkRef, Closure, ClosureHead, Contents, ConvergenceSecret, Frame, Piece,
    Sealer, Totals, TreeRoot,
};
use golden::survives_damage;

pub(crate) fn golden(name: &str, bytes: &[u8]) {
    golden::compare(env!("CARGO_MANIFEST_DIR"), name, bytes);
}

fn root() -> TreeRoot {
    TreeRoot {
        parameters: 1,
        size: 700,
        node: BlobId::of(b"node"),
        contents: Contents::Pieces(vec![
            Piece::Chunk(ChunkRef::plain(ChunkId::of(b"first"), 600)),
            Piece::Chunk(ChunkRef::plain(ChunkId::of(b"second"), 100)),
        ]),
        totals: Totals { files: 3, directories: 1, symlinks: 0, bytes: 12_345 },
    }
}

fn pieces() -> PieceList {
    let sealed = Sealer::new(ConvergenceSecret::from_bytes([5; 32])).seal(b"sealed").0;
    PieceList(vec![Piece::Hole(1 << 33), Piece::Chunk(sealed)])
}

fn closure() -> (Closure, ClosureHead) {
    let mut builder = ClosureBuilder::default();
    let entry = ClosureEntry { id: ChunkId::of(b"only"), stored_length: 4 };
    assert_eq!(builder.push(entry), None);
    let (last, head) = builder.finish(ChunkId::of(b"tree"));
    (Closure::decode(&last.expect("one segment")).expect("valid"), head)
}

fn frame() -> Vec<u8> {
    let mut builder = FrameBuilder::default();
    builder.push(ChunkId::of(b"first"), b"first");
    builder.push(ChunkId::of(b"second"), b"second");
    let (entries, plain) = builder.take().expect("not empty");
    let frame = FrameCodec::default().encode(entries, plain, Codec::None);
    [frame.head_bytes(), frame.payload().clone()].concat()
}

#[test]
fn every_released_format_has_its_golden_file() {
    golden("tree-root-1", &root().encode());
    golden("piece-list-1", &pieces().encode());
    golden("closure-segment-1", &closure().0.encode());
    golden("closure-head-1", &closure().1.encode());
    golden("frame-1", &frame());
    let sealed = Sealer::new(ConvergenceSecret::from_bytes([5; 32])).seal(b"sealed").1;
    golden("sealed-chunk-1", &sealed);
}

/// Each decoder on every truncation and every single-bit flip: an error or the same bytes again.
#[test]
fn decoders_survive_damage() {
    survives_damage(&root().encode(), |bytes| {
        TreeRoot::decode(bytes).ok().map(|root| root.encode())
    });
    survives_damage(&pieces().encode(), |bytes| {
        PieceList::decode(bytes).ok().map(|list| list.encode())
    });
    let (segment, head) = closure();
    survives_damage(&segment.encode(), |bytes| Closure::decode(bytes).ok().map(|one| one.encode()));
    survives_damage(&head.encode(), |bytes| {
        ClosureHead::decode(bytes).ok().map(|one| one.encode())
    });
    survives_damage(&frame(), |bytes| {
        let frame = Frame::from_bytes(&bytes.to_vec().into()).ok()?;
        Some([frame.head_bytes(), frame.payload().clone()].concat())
    });
}
