//! Deterministic CBOR (RFC 8949, section 4.2.1) in and out, for trees here and for what the
//! `documents` crate signs.
//!
//! Decoding is strict by construction: a value is accepted only when encoding it again
//! gives the very bytes that came in, so two different texts never mean the same thing.
//! Nothing is allocated from a length that is only claimed, see [`Reader::capacity`].

use std::convert::Infallible;

use minicbor::{Decoder, Encoder};

use crate::closure::ClosureEntry;
use crate::{CHUNK_BYTES_MAX, ChunkId};

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

/// An object that is not what its encoding should be.
pub fn malformed(what: &'static str, reason: impl ToString) -> DecodeError {
    DecodeError::Malformed { what, reason: reason.to_string() }
}

/// An object that breaks a rule of its format.
pub fn invalid(what: &'static str, reason: impl Into<String>) -> DecodeError {
    DecodeError::Invalid { what, reason: reason.into() }
}

/// Writes items one after the other.
pub type Writer = Encoder<Vec<u8>>;

/// Encode result with an error that cannot happen.
pub type Encoded = Result<(), minicbor::encode::Error<Infallible>>;

/// Encodes into a fresh vector; writing to a vector cannot fail.
pub fn encode(write: impl FnOnce(&mut Writer) -> Encoded) -> Vec<u8> {
    let mut writer = Encoder::new(Vec::new());
    write(&mut writer).expect("writing to a vector cannot fail");
    writer.into_writer()
}

/// Writes `[id, stored length]`.
///
/// # Errors
/// None: writing to a vector cannot fail.
pub fn write_chunk(chunk: &ClosureEntry, writer: &mut Writer) -> Encoded {
    writer.array(2)?.bytes(chunk.id.as_bytes())?.u32(chunk.stored_length)?;
    Ok(())
}

/// Reads one value that must fill `bytes` and re-encode to exactly them.
///
/// # Errors
/// What `read` refuses, bytes that follow the value, and any encoding but the canonical one.
pub fn decode_canonical<T>(
    what: &'static str,
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
    encode: impl FnOnce(&T) -> Vec<u8>,
) -> Result<T, DecodeError> {
    let mut reader = Reader { what, decoder: Decoder::new(bytes) };
    let value = read(&mut reader)?;
    if reader.decoder.position() != bytes.len() {
        return Err(malformed(what, "bytes follow the value"));
    }
    if encode(&value) != bytes {
        return Err(DecodeError::NotCanonical { what });
    }
    Ok(value)
}

/// A decoder that knows what it reads, for its errors.
///
/// Every method that reads takes the next item off the input, and refuses an item of another
/// type and one that is cut short.
#[derive(Debug)]
pub struct Reader<'b> {
    what: &'static str,
    decoder: Decoder<'b>,
}

impl<'b> Reader<'b> {
    fn wrap<T>(&self, result: Result<T, minicbor::decode::Error>) -> Result<T, DecodeError> {
        result.map_err(|error| malformed(self.what, error))
    }

    /// The error for a value that breaks a rule of its format.
    pub fn invalid(&self, reason: impl Into<String>) -> DecodeError {
        invalid(self.what, reason)
    }

    fn length(
        &self,
        header: Result<Option<u64>, minicbor::decode::Error>,
    ) -> Result<u64, DecodeError> {
        self.wrap(header)?.ok_or(DecodeError::NotCanonical { what: self.what })
    }

    fn exactly(&self, found: u64, expected: u64) -> Result<(), DecodeError> {
        if found == expected {
            Ok(())
        } else {
            Err(malformed(self.what, format!("{found} items where {expected} belong")))
        }
    }

    /// Begins an array; how many items it claims to have.
    ///
    /// # Errors
    /// Also refuses an array without a length.
    pub fn items(&mut self) -> Result<u64, DecodeError> {
        let header = self.decoder.array();
        self.length(header)
    }

    /// Begins an array of `expected` items.
    ///
    /// # Errors
    /// Also refuses an array of another length.
    pub fn array_of(&mut self, expected: u64) -> Result<(), DecodeError> {
        let found = self.items()?;
        self.exactly(found, expected)
    }

    /// Begins a map of `expected` pairs.
    ///
    /// # Errors
    /// Also refuses a map of another length.
    pub fn map_of(&mut self, expected: u64) -> Result<(), DecodeError> {
        let header = self.decoder.map();
        let found = self.length(header)?;
        self.exactly(found, expected)
    }

    /// Begins a map whose keys ascend.
    ///
    /// # Errors
    /// Also refuses a map without a length.
    pub fn fields(&mut self) -> Result<Fields, DecodeError> {
        let header = self.decoder.map();
        Ok(Fields { left: self.length(header)?, key: None })
    }

    /// Reads an unsigned integer.
    ///
    /// # Errors
    /// Also refuses one that is negative or larger than the type.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        let value = self.decoder.u64();
        self.wrap(value)
    }

    /// Reads an unsigned integer.
    ///
    /// # Errors
    /// Also refuses one that is negative or larger than the type.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        let value = self.decoder.u32();
        self.wrap(value)
    }

    /// Reads an integer.
    ///
    /// # Errors
    /// Also refuses one that is beyond the type.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        let value = self.decoder.i64();
        self.wrap(value)
    }

    /// Reads the key of a map that must be this one.
    ///
    /// # Errors
    /// Also refuses another key.
    pub fn key(&mut self, expected: i64) -> Result<(), DecodeError> {
        match self.i64()? {
            key if key == expected => Ok(()),
            key => Err(malformed(self.what, format!("{key} where {expected} belongs"))),
        }
    }

    /// Reads a byte string.
    ///
    /// # Errors
    /// Also refuses one in pieces.
    pub fn bytes(&mut self) -> Result<&'b [u8], DecodeError> {
        let value = self.decoder.bytes();
        self.wrap(value)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Also refuses one in pieces and one that is not UTF-8.
    pub fn text(&mut self) -> Result<&'b str, DecodeError> {
        let value = self.decoder.str();
        self.wrap(value)
    }

    /// Reads a byte string of `N` bytes, such as a hash or a key.
    ///
    /// # Errors
    /// Also refuses another length.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let what = self.what;
        let wrong = |_| malformed(what, format!("{N} bytes belong here"));
        self.bytes()?.try_into().map_err(wrong)
    }

    /// Reads `[id, stored length]`.
    ///
    /// # Errors
    /// Also refuses a length that no chunk has.
    pub fn chunk(&mut self) -> Result<ClosureEntry, DecodeError> {
        self.array_of(2)?;
        let id = ChunkId::from_bytes(self.array()?);
        let stored_length = self.u32()?;
        if stored_length == 0 || stored_length as usize > CHUNK_BYTES_MAX {
            return Err(self.invalid(format!("a chunk of {stored_length} bytes")));
        }
        Ok(ClosureEntry { id, stored_length })
    }

    /// Reads the version of an object.
    ///
    /// # Errors
    /// Also refuses any but the one that is supported.
    pub fn version(&mut self, supported: u64) -> Result<(), DecodeError> {
        match self.u64()? {
            version if version == supported => Ok(()),
            version => Err(DecodeError::Version { what: self.what, version, supported }),
        }
    }

    /// Whether an array comes next.
    #[must_use]
    pub fn next_is_array(&self) -> bool {
        matches!(self.decoder.datatype(), Ok(minicbor::data::Type::Array))
    }

    /// Whether a byte string comes next.
    #[must_use]
    pub fn next_is_bytes(&self) -> bool {
        matches!(self.decoder.datatype(), Ok(minicbor::data::Type::Bytes))
    }

    /// A capacity for `claimed` items of at least `item_bytes` each, bounded by what is left.
    #[must_use]
    pub fn capacity(&self, claimed: u64, item_bytes: usize) -> usize {
        let left = self.decoder.input().len() - self.decoder.position();
        usize::try_from(claimed).unwrap_or(usize::MAX).min(left / item_bytes.max(1) + 1)
    }
}

/// Walks the keys of a map whose keys must ascend, see [`Reader::fields`].
///
/// Whoever reads asks for the keys in ascending order, and so meets every key or none.
#[derive(Debug)]
pub struct Fields {
    left: u64,
    key: Option<u64>,
}

impl Fields {
    /// Consumes the next key if it is `wanted`.
    ///
    /// # Errors
    /// Refuses a key that is no number.
    pub fn take(&mut self, reader: &mut Reader<'_>, wanted: u8) -> Result<bool, DecodeError> {
        if self.key.is_none() && self.left > 0 {
            self.left -= 1;
            self.key = Some(reader.u64()?);
        }
        let found = self.key == Some(u64::from(wanted));
        if found {
            self.key = None;
        }
        Ok(found)
    }

    /// Consumes the next key, which must be `wanted`.
    ///
    /// # Errors
    /// Refuses another key, and the end of the map.
    pub fn expect(&mut self, reader: &mut Reader<'_>, wanted: u8) -> Result<(), DecodeError> {
        if self.take(reader, wanted)? {
            Ok(())
        } else {
            Err(reader.invalid(format!("field {wanted} is missing or out of order")))
        }
    }

    /// Ends the map.
    ///
    /// # Errors
    /// Refuses a key that nobody has asked for.
    pub fn finish(self, reader: &Reader<'_>) -> Result<(), DecodeError> {
        if self.key.is_none() && self.left == 0 {
            Ok(())
        } else {
            Err(reader.invalid("an unknown field"))
        }
    }
}
