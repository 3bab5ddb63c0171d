//! Deterministic CBOR (RFC 8949, section 4.2.1) in and out.
//!
//! Decoding is strict by construction: a value is accepted only when encoding it again
//! gives the very bytes that came in, so two different texts never mean the same thing.

use minicbor::{Decoder, Encoder};

/// Why bytes from outside were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not CBOR of the expected shape, or end too early. The object is damaged
    /// or was written by something else: fetch it again from another source.
    #[error("{what} is malformed: {reason}")]
    Malformed {
        /// The thing that was being decoded.
        what: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// The object was written by a newer program. Upgrade to read it.
    #[error("{what} has version {version}, this program reads up to {supported}")]
    Version {
        /// The thing that was being decoded.
        what: &'static str,
        /// The version found.
        version: u64,
        /// The newest version understood.
        supported: u64,
    },
    /// A second encoding of a valid value. Accepting it would give one thing two ids.
    #[error("{what} is not in its canonical form")]
    NotCanonical {
        /// The thing that was being decoded.
        what: &'static str,
    },
    /// The object breaks a rule of the format, such as a name with a slash.
    #[error("{what} is invalid: {reason}")]
    Invalid {
        /// The thing that was being decoded.
        what: &'static str,
        /// The rule that was broken.
        reason: String,
    },
}

impl DecodeError {
    pub(crate) fn invalid(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { what, reason: reason.into() }
    }

    pub(crate) fn malformed(what: &'static str, reason: impl ToString) -> Self {
        Self::Malformed { what, reason: reason.to_string() }
    }
}

pub(crate) type Writer = Encoder<Vec<u8>>;

/// Encodes into a fresh vector; writing to a vector cannot fail.
pub(crate) fn encode(
    write: impl FnOnce(&mut Writer) -> Result<(), minicbor::encode::Error<std::convert::Infallible>>,
) -> Vec<u8> {
    let mut writer = Encoder::new(Vec::new());
    write(&mut writer).expect("writing to a vector cannot fail");
    writer.into_writer()
}

/// Encode result with an error that cannot happen.
pub(crate) type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

/// Reads one value that must fill `bytes` and re-encode to exactly them.
pub(crate) fn decode_canonical<T>(
    what: &'static str,
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
    encode: impl FnOnce(&T) -> Vec<u8>,
) -> Result<T, DecodeError> {
    let mut reader = Reader { what, decoder: Decoder::new(bytes) };
    let value = read(&mut reader)?;
    if reader.decoder.position() != bytes.len() {
        return Err(DecodeError::malformed(what, "bytes follow the value"));
    }
    if encode(&value) != bytes {
        return Err(DecodeError::NotCanonical { what });
    }
    Ok(value)
}

/// A decoder that knows what it reads, for its errors.
pub(crate) struct Reader<'b> {
    what: &'static str,
    decoder: Decoder<'b>,
}

impl<'b> Reader<'b> {
    fn wrap<T>(&self, result: Result<T, minicbor::decode::Error>) -> Result<T, DecodeError> {
        result.map_err(|error| DecodeError::malformed(self.what, error))
    }

    pub(crate) fn invalid(&self, reason: impl Into<String>) -> DecodeError {
        DecodeError::invalid(self.what, reason)
    }

    pub(crate) fn array(&mut self) -> Result<u64, DecodeError> {
        let length = self.decoder.array();
        self.wrap(length)?.ok_or(DecodeError::NotCanonical { what: self.what })
    }

    pub(crate) fn map(&mut self) -> Result<u64, DecodeError> {
        let length = self.decoder.map();
        self.wrap(length)?.ok_or(DecodeError::NotCanonical { what: self.what })
    }

    pub(crate) fn array_of(&mut self, expected: u64) -> Result<(), DecodeError> {
        match self.array()? {
            length if length == expected => Ok(()),
            length => Err(DecodeError::malformed(
                self.what,
                format!("array of {length} where {expected} belong"),
            )),
        }
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        let value = self.decoder.u64();
        self.wrap(value)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        let value = self.decoder.u32();
        self.wrap(value)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, DecodeError> {
        let value = self.decoder.i64();
        self.wrap(value)
    }

    /// A negative integer as its magnitude, `n` for `-n`.
    pub(crate) fn negative(&mut self) -> Result<u64, DecodeError> {
        match self.i64()? {
            value if value < 0 => Ok(value.unsigned_abs()),
            _ => Err(self.invalid("a hole must be negative")),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'b [u8], DecodeError> {
        let value = self.decoder.bytes();
        self.wrap(value)
    }

    pub(crate) fn hash(&mut self) -> Result<[u8; 32], DecodeError> {
        let what = self.what;
        self.bytes()?
            .try_into()
            .map_err(|_| DecodeError::malformed(what, "a hash or key must be 32 bytes"))
    }

    pub(crate) fn version(&mut self, supported: u64) -> Result<(), DecodeError> {
        match self.u64()? {
            version if version == supported => Ok(()),
            version => Err(DecodeError::Version { what: self.what, version, supported }),
        }
    }

    pub(crate) fn next_is_array(&self) -> bool {
        matches!(self.decoder.datatype(), Ok(minicbor::data::Type::Array))
    }

    pub(crate) fn next_is_bytes(&self) -> bool {
        matches!(self.decoder.datatype(), Ok(minicbor::data::Type::Bytes))
    }

    /// A capacity for `claimed` items of at least `item_bytes` each, bounded by what is left.
    pub(crate) fn capacity(&self, claimed: u64, item_bytes: usize) -> usize {
        let left = self.decoder.input().len() - self.decoder.position();
        usize::try_from(claimed).unwrap_or(usize::MAX).min(left / item_bytes.max(1) + 1)
    }
}
