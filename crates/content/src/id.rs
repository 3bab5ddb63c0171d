//! Ids that are hashes of bytes.

use std::fmt;
use std::str::FromStr;

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits, got {0:?}")]
pub struct ParseIdError(String);

macro_rules! hash_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Hashes `bytes`.
            #[must_use]
            pub fn of(bytes: &[u8]) -> Self {
                Self(*blake3::hash(bytes).as_bytes())
            }

            /// Takes 32 bytes that are already a hash.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Takes a slice that should be 32 bytes long; `None` if it is not.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The 32 bytes of the hash.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first ten hexadecimal digits, for people.
            #[must_use]
            pub fn short(&self) -> String {
                hex::encode(&self.0[..5])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes)
                    .map_err(|_| ParseIdError(text.chars().take(80).collect()))?;
                Ok(Self(bytes))
            }
        }
    };
}

hash_id! {
    /// BLAKE3-256 of one file's plain bytes: what `b3sum` prints.
    BlobId
}

hash_id! {
    /// BLAKE3-256 of a chunk's bytes: plain content, or ciphertext in a sealed tree.
    ChunkId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_as_b3sum_does_and_parses_back() {
        let id = BlobId::of(b"");
        assert_eq!(
            id.to_string(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("af13".parse::<BlobId>().is_err());
        assert!("é".repeat(32).parse::<BlobId>().is_err());
    }
}
