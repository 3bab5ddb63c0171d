//! Lists of chunk ids, and which of them are known.

use bytes::Bytes;
use content::ChunkId;

/// Most ids in a request for chunks.
pub const IDS_MAX: usize = 1024;

/// Most ids in a question which chunks are known.
pub const HAVE_IDS_MAX: usize = 8192;

const ID_BYTES: usize = 32;

/// Why a list of ids or a bitmap was refused. The other side is broken or speaks another
/// version; nothing is gained by asking again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdListError {
    /// The list is longer than this request allows. Split it.
    #[error("a list of {bytes} bytes; at most {max} ids of {ID_BYTES} bytes are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
        /// How many ids are allowed.
        max: usize,
    },
    /// The bytes are not a whole number of ids.
    #[error("a list of ids is cut short: {bytes} bytes")]
    Ragged {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The bitmap does not answer as many ids as were asked about.
    #[error("a bitmap of {bytes} bytes for {ids} ids")]
    WrongLength {
        /// Its length in bytes.
        bytes: usize,
        /// The ids asked about.
        ids: usize,
    },
    /// Bits behind the last id are set.
    #[error("a bitmap says something about ids that were not asked about")]
    SpareBits,
}

/// The body of a request about chunks: their ids, one after another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdList(pub Vec<ChunkId>);

impl IdList {
    /// Encodes the list, see `docs/format.md`.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        Self::encode_ids(&self.0)
    }

    /// Encodes borrowed ids.
    #[must_use]
    pub fn encode_ids(ids: &[ChunkId]) -> Bytes {
        let mut bytes = Vec::with_capacity(ids.len() * ID_BYTES);
        ids.iter().for_each(|id| bytes.extend_from_slice(id.as_bytes()));
        bytes.into()
    }

    /// Decodes a list of at most `max` ids, [`IDS_MAX`] or [`HAVE_IDS_MAX`].
    ///
    /// # Errors
    /// Refuses longer lists before looking at them, and half ids.
    pub fn decode(bytes: &[u8], max: usize) -> Result<Self, IdListError> {
        if bytes.len() / ID_BYTES > max {
            return Err(IdListError::TooLong { bytes: bytes.len(), max });
        }
        let (ids, rest) = bytes.as_chunks::<ID_BYTES>();
        if !rest.is_empty() {
            return Err(IdListError::Ragged { bytes: bytes.len() });
        }
        Ok(Self(ids.iter().map(|id| ChunkId::from_bytes(*id)).collect()))
    }
}

/// Which of the ids in an [`IdList`] are known, in the order they were asked in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HaveBitmap(pub Vec<bool>);

impl HaveBitmap {
    /// Encodes the answer: bit `i % 8` of byte `i / 8`, counting from the lowest.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = vec![0; self.0.len().div_ceil(8)];
        for (index, _) in self.0.iter().enumerate().filter(|(_, known)| **known) {
            bytes[index / 8] |= 1 << (index % 8);
        }
        bytes.into()
    }

    /// Decodes the answer about `count` ids.
    ///
    /// # Errors
    /// Refuses a bitmap of another length, and set bits behind the last id.
    pub fn decode(bytes: &[u8], count: usize) -> Result<Self, IdListError> {
        if bytes.len() != count.div_ceil(8) {
            return Err(IdListError::WrongLength { bytes: bytes.len(), ids: count });
        }
        let bit = |index: usize| bytes[index / 8] >> (index % 8) & 1 == 1;
        if (count..bytes.len() * 8).any(bit) {
            return Err(IdListError::SpareBits);
        }
        Ok(Self((0..count).map(bit).collect()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_comes_back_and_half_ids_are_refused() {
        let list = IdList((0..5u8).map(|n| ChunkId::of(&[n])).collect());
        let bytes = list.encode();
        assert_eq!(bytes.len(), 160);
        for length in 0..=bytes.len() {
            let decoded = IdList::decode(&bytes[..length], 5);
            match length % 32 {
                0 => assert_eq!(decoded, Ok(IdList(list.0[..length / 32].to_vec()))),
                _ => assert_eq!(decoded, Err(IdListError::Ragged { bytes: length })),
            }
        }
    }

    #[test]
    fn a_list_beyond_the_limit_is_refused() {
        let bytes = vec![0; 32 * (IDS_MAX + 1)];
        assert_eq!(
            IdList::decode(&bytes, IDS_MAX),
            Err(IdListError::TooLong { bytes: bytes.len(), max: IDS_MAX })
        );
        assert!(IdList::decode(&bytes[32..], IDS_MAX).is_ok());
        assert!(IdList::decode(&bytes, HAVE_IDS_MAX).is_ok());
    }

    #[test]
    fn bits_count_from_the_lowest() {
        let mut answer = vec![false; 10];
        answer[0] = true;
        answer[9] = true;
        assert_eq!(HaveBitmap(answer).encode(), &[0b1, 0b10][..]);
    }

    #[test]
    fn a_bitmap_for_another_question_is_refused() {
        assert_eq!(
            HaveBitmap::decode(&[1, 0], 8),
            Err(IdListError::WrongLength { bytes: 2, ids: 8 })
        );
        assert_eq!(HaveBitmap::decode(&[0b1_0000], 4), Err(IdListError::SpareBits));
        assert_eq!(HaveBitmap::decode(&[], 0), Ok(HaveBitmap(Vec::new())));
    }

    proptest! {
        #[test]
        fn every_bitmap_comes_back(answer in prop::collection::vec(any::<bool>(), 0..70)) {
            let bytes = HaveBitmap(answer.clone()).encode();
            prop_assert_eq!(HaveBitmap::decode(&bytes, answer.len()), Ok(HaveBitmap(answer)));
        }

        #[test]
        fn what_decodes_encodes_to_the_same(bytes: Vec<u8>, count in 0..100usize) {
            if let Ok(answer) = HaveBitmap::decode(&bytes, count) {
                prop_assert_eq!(answer.encode(), &bytes[..]);
            }
        }
    }
}
