//! Targets for the decoders of the `content` crate.

use bytes::Bytes;
use content::frame::FrameCodec;
use content::reference::PieceList;
use content::seal::{OpenError, open};
use content::{ChunkId, ChunkRef, Closure, ClosureHead, Frame, Node, Sealing, TreeRoot};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::{Verdict, same};

/// A directory node.
#[must_use]
pub fn node(bytes: &[u8]) -> Verdict {
    same(Node::decode(bytes).ok().map(|node| node.encode()), bytes)
}

/// A tree root.
#[must_use]
pub fn tree_root(bytes: &[u8]) -> Verdict {
    same(TreeRoot::decode(bytes).ok().map(|root| root.encode()), bytes)
}

/// A list of pieces.
#[must_use]
pub fn piece_list(bytes: &[u8]) -> Verdict {
    same(PieceList::decode(bytes).ok().map(|list| list.encode()), bytes)
}

/// A segment of a closure.
#[must_use]
pub fn closure_segment(bytes: &[u8]) -> Verdict {
    same(Closure::decode(bytes).ok().map(|segment| segment.encode()), bytes)
}

/// The head of a closure.
#[must_use]
pub fn closure_head(bytes: &[u8]) -> Verdict {
    same(ClosureHead::decode(bytes).ok().map(|head| head.encode()), bytes)
}

/// A frame; its payload is opened too, and every chunk that comes out has its id.
#[must_use]
pub fn frame(bytes: &[u8]) -> Verdict {
    let Ok(frame) = Frame::from_bytes(&Bytes::copy_from_slice(bytes)) else {
        return Verdict::Refused;
    };
    let mut left = frame.plain_length();
    let opened = FrameCodec::default().open(
        &frame,
        |_| true,
        |id, chunk| {
            assert_eq!(ChunkId::of(&chunk), id, "only verified chunks come out");
            left -= chunk.len();
        },
    );
    assert!(opened.is_err() || left == 0, "every byte of an opened frame is in a chunk");
    same(Some([frame.head_bytes(), frame.payload().clone()].concat()), bytes)
}

const KEY: [u8; 32] = [5; 32];

/// Bytes as the stored chunk of a sealed reference; the first four are the plain length.
#[must_use]
pub fn sealed_chunk(bytes: &[u8]) -> Verdict {
    let Some((length, stored)) = bytes.split_first_chunk() else { return Verdict::Refused };
    open_stored(u32::from_le_bytes(*length), stored)
}

/// Bytes as the message inside a sealed chunk: what the right key opens to.
#[must_use]
pub fn sealed_message(bytes: &[u8]) -> Verdict {
    let Some((length, message)) = bytes.split_first_chunk() else { return Verdict::Refused };
    let mut stored = message.to_vec();
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).expect("the key is 32 bytes"))
        .seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut stored)
        .expect("far below the limit of AES-GCM");
    open_stored(u32::from_le_bytes(*length), &stored)
}

fn open_stored(length: u32, stored: &[u8]) -> Verdict {
    let Ok(stored_length) = u32::try_from(stored.len()) else { return Verdict::Refused };
    let sealing = Some(Sealing { key: KEY, stored_length });
    let reference = ChunkRef { id: ChunkId::of(stored), length, sealing };
    match open(&reference, stored) {
        Ok(plain) => {
            assert_eq!(plain.len(), length as usize, "never another length than stated");
            Verdict::Accepted
        }
        Err(
            OpenError::NotSealed(chunk)
            | OpenError::WrongKey(chunk)
            | OpenError::Malformed { chunk, .. },
        ) => {
            assert_eq!(chunk, reference.id, "the chunk is named");
            Verdict::Refused
        }
    }
}
