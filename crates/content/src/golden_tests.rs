//! Golden files: the bytes of each released version of each format.

use crate::closure::{ClosureBuilder, ClosureEntry};
use crate::frame::{Codec, FrameBuilder, FrameCodec};
use crate::reference::PieceList;
use crate::{
    BlobId, ChunkId, ChunkRef, Closure, ClosureHead, Contents, ConvergenceSecret, Frame, Piece,
    Sealer, Totals, TreeRoot,
};

/// Compares with `golden/NAME.hex`; `UPDATE_GOLDEN=1` writes a file that does not exist yet.
#[expect(clippy::disallowed_methods, reason = "a test that reads its golden files")]
pub(crate) fn golden(name: &str, bytes: &[u8]) {
    let path = format!("{}/golden/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(_) if std::env::var_os("UPDATE_GOLDEN").is_some() => {
            std::fs::write(&path, format!("{}\n", hex::encode(bytes))).expect("writable");
            return;
        }
        Err(error) => panic!("{path}: {error}"),
    };
    assert_eq!(text.trim(), hex::encode(bytes), "{name}: a released format must not change");
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
    fn damage(bytes: &[u8], mut decode: impl FnMut(&[u8]) -> Option<Vec<u8>>) {
        assert_eq!(decode(bytes).as_deref(), Some(bytes));
        for length in 0..bytes.len() {
            if let Some(again) = decode(&bytes[..length]) {
                assert_eq!(again, &bytes[..length]);
            }
        }
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.to_vec();
            altered[bit / 8] ^= 1 << (bit % 8);
            if let Some(again) = decode(&altered) {
                assert_eq!(again, altered);
            }
        }
    }
    damage(&root().encode(), |bytes| TreeRoot::decode(bytes).ok().map(|root| root.encode()));
    damage(&pieces().encode(), |bytes| PieceList::decode(bytes).ok().map(|list| list.encode()));
    let (segment, head) = closure();
    damage(&segment.encode(), |bytes| Closure::decode(bytes).ok().map(|one| one.encode()));
    damage(&head.encode(), |bytes| ClosureHead::decode(bytes).ok().map(|one| one.encode()));
    damage(&frame(), |bytes| {
        let frame = Frame::from_bytes(&bytes.to_vec().into()).ok()?;
        Some([frame.head_bytes(), frame.payload().clone()].concat())
    });
}
