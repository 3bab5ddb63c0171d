//! Convergent encryption with a secret.
//!
//! The key of a chunk is a keyed BLAKE3 hash of the very bytes that get encrypted, under the
//! publisher's convergence secret. Two chunks have the same key only if they are the same, so
//! a fixed (zero) nonce never meets two messages under one key. The same content sealed again
//! by the same publisher gives the same ciphertext and is known already; nobody without the
//! secret can confirm a guess of the content.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::{CHUNK_BYTES_MAX, ChunkId, ChunkRef, Sealing};

/// The secret that separates one publisher's sealed chunks from everybody else's.
#[derive(Clone, PartialEq, Eq)]
pub struct ConvergenceSecret([u8; 32]);

impl ConvergenceSecret {
    /// Takes 32 random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for ConvergenceSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConvergenceSecret(..)")
    }
}

/// Why a sealed chunk could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The reference says the chunk is not sealed.
    #[error("chunk {0} is not sealed")]
    NotSealed(ChunkId),
    /// The key does not fit, or the bytes are not what was sealed. Wrong capability, or a
    /// publisher that made a broken tree: the chunk's id was already verified.
    #[error("the key does not open chunk {0}")]
    WrongKey(ChunkId),
    /// The sealed bytes are not a compression this program knows, or not of the stated length.
    #[error("chunk {chunk} opens to something malformed: {reason}")]
    Malformed {
        /// The chunk.
        chunk: ChunkId,
        /// What was wrong.
        reason: String,
    },
}

const RAW: u8 = 0;
const ZSTD: u8 = 1;
const LEVEL: i32 = 3;

/// Whether `bytes` are worth compressing: the first 64 KiB must shrink by a tenth.
#[must_use]
pub fn compresses(bytes: &[u8]) -> bool {
    let probe = &bytes[..bytes.len().min(64 * 1024)];
    // Level 1 on a small probe: its verdict agrees with level 3 and costs a third.
    zstd::bulk::compress(probe, 1).is_ok_and(|small| small.len() * 10 <= probe.len() * 9)
}

/// Seals chunks under one secret.
#[derive(Debug, Clone)]
pub struct Sealer {
    secret: ConvergenceSecret,
}

impl Sealer {
    /// Seals under `secret`.
    #[must_use]
    pub fn new(secret: ConvergenceSecret) -> Self {
        Self { secret }
    }

    /// Compresses where that pays, then encrypts; returns the reference and the ciphertext.
    ///
    /// # Panics
    /// If `plain` is longer than [`CHUNK_BYTES_MAX`].
    #[must_use]
    pub fn seal(&self, plain: &[u8]) -> (ChunkRef, Vec<u8>) {
        assert!(plain.len() <= CHUNK_BYTES_MAX, "chunks are cut below the limit");
        let mut message = Vec::with_capacity(plain.len() + 17);
        let packed = if compresses(plain) { zstd::bulk::compress(plain, LEVEL).ok() } else { None };
        match packed {
            Some(packed) if packed.len() < plain.len() => {
                message.push(ZSTD);
                message.extend_from_slice(&packed);
            }
            _ => {
                message.push(RAW);
                message.extend_from_slice(plain);
            }
        }
        let key = *blake3::keyed_hash(&self.secret.0, &message).as_bytes();
        cipher(&key)
            .seal_in_place_append_tag(zero_nonce(), Aad::empty(), &mut message)
            .expect("messages are far below the limit of AES-GCM");
        let reference = ChunkRef {
            id: ChunkId::of(&message),
            length: u32::try_from(plain.len()).expect("checked above"),
            sealing: Some(Sealing {
                key,
                stored_length: u32::try_from(message.len()).expect("checked above"),
            }),
        };
        (reference, message)
    }
}

/// Opens the verified bytes of `reference`'s chunk: returns plain chunks as they are.
///
/// # Errors
/// When the key does not fit or the plain length is not the stated one.
pub fn open(reference: &ChunkRef, stored: &[u8]) -> Result<Vec<u8>, OpenError> {
    let chunk = reference.id;
    let malformed = |reason: &str| OpenError::Malformed { chunk, reason: reason.into() };
    let length = reference.length as usize;
    let Some(sealing) = &reference.sealing else {
        if stored.len() != length {
            return Err(malformed("its length is not the one its reference states"));
        }
        return Ok(stored.to_vec());
    };
    let mut message = stored.to_vec();
    let plain = cipher(&sealing.key)
        .open_in_place(zero_nonce(), Aad::empty(), &mut message)
        .map_err(|_| OpenError::WrongKey(chunk))?;
    let opened = match plain.split_first() {
        Some((&RAW, bytes)) => bytes.to_vec(),
        Some((&ZSTD, bytes)) => {
            // The output is bounded by the stated length, which decoding bounds in turn.
            zstd::bulk::decompress(bytes, length.min(CHUNK_BYTES_MAX))
                .map_err(|_| malformed("its compressed bytes are damaged"))?
        }
        _ => return Err(malformed("it is compressed in a way this program does not know")),
    };
    if opened.len() != length {
        return Err(malformed("its length is not the one its reference states"));
    }
    Ok(opened)
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key is 32 bytes"))
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_content_converges_under_one_secret_and_not_under_two() {
        let (mine, theirs) = ([1; 32], [2; 32]).map_secrets();
        let text = b"the same words again and again ".repeat(100);
        let (first, bytes) = mine.seal(&text);
        assert_eq!(mine.seal(&text), (first, bytes.clone()));
        assert_ne!(theirs.seal(&text).0.id, first.id);
        assert!(bytes.len() < text.len() / 5, "compressed before it was sealed");
        assert_eq!(open(&first, &bytes), Ok(text));
    }

    trait MapSecrets {
        fn map_secrets(self) -> (Sealer, Sealer);
    }

    impl MapSecrets for ([u8; 32], [u8; 32]) {
        fn map_secrets(self) -> (Sealer, Sealer) {
            let sealer = |bytes| Sealer::new(ConvergenceSecret::from_bytes(bytes));
            (sealer(self.0), sealer(self.1))
        }
    }

    #[test]
    fn altered_bytes_a_wrong_key_and_a_wrong_length_are_refused() {
        let sealer = Sealer::new(ConvergenceSecret::from_bytes([7; 32]));
        let (reference, bytes) = sealer.seal(b"contents");
        for index in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[index] ^= 1;
            assert_eq!(open(&reference, &altered), Err(OpenError::WrongKey(reference.id)));
        }
        let mut other = reference;
        other.sealing.as_mut().expect("sealed").key[0] ^= 1;
        assert_eq!(open(&other, &bytes), Err(OpenError::WrongKey(reference.id)));
        let longer = ChunkRef { length: 9, ..reference };
        assert!(matches!(open(&longer, &bytes), Err(OpenError::Malformed { .. })));
    }
}
