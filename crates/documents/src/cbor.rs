//! Deterministic CBOR (RFC 8949, section 4.2.1) in and out, as in the `content` crate.
//!
//! A value is accepted only when encoding it again gives the very bytes that came in.

use content::DecodeError;
use content::closure::ClosureEntry;
use minicbor::{Decoder, Encoder};

pub(crate) type Writer = Encoder<Vec<u8>>;

/// Encode result with an error that cannot happen.
pub(crate) type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

/// Encodes into a fresh vector; writing to a vector cannot fail.
pub(crate) fn encode(write: impl FnOnce(&mut Writer) -> Encoded) -> Vec<u8> {
    let mut writer = Encoder::new(Vec::new());
    write(&mut writer).expect("writing to a vector cannot fail");
    writer.into_writer()
}

pub(crate) fn malformed(what: &'static str, reason: impl ToString) -> DecodeError {
    DecodeError::Malformed { what, reason: reason.to_string() }
}

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
        return Err(malformed(what, "bytes follow the value"));
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
        result.map_err(|error| malformed(self.what, error))
    }

    pub(crate) fn invalid(&self, reason: impl Into<String>) -> DecodeError {
        DecodeError::Invalid { what: self.what, reason: reason.into() }
    }

    fn exactly(&self, found: Option<u64>, expected: u64) -> Result<(), DecodeError> {
        match found {
            Some(length) if length == expected => Ok(()),
            Some(length) => {
                Err(malformed(self.what, format!("{length} items where {expected} belong")))
            }
            None => Err(DecodeError::NotCanonical { what: self.what }),
        }
    }

    pub(crate) fn array_of(&mut self, expected: u64) -> Result<(), DecodeError> {
        let length = self.decoder.array();
        let length = self.wrap(length)?;
        self.exactly(length, expected)
    }

    /// The length of an array of at most `most` items.
    pub(crate) fn array_up_to(&mut self, most: u64) -> Result<u64, DecodeError> {
        let length = self.decoder.array();
        match self.wrap(length)? {
            Some(length) if length <= most => Ok(length),
            Some(length) => Err(self.invalid(format!("{length} items, more than {most}"))),
            None => Err(DecodeError::NotCanonical { what: self.what }),
        }
    }

    pub(crate) fn map_of(&mut self, expected: u64) -> Result<(), DecodeError> {
        let length = self.decoder.map();
        let length = self.wrap(length)?;
        self.exactly(length, expected)
    }

    /// Begins a map whose keys ascend.
    pub(crate) fn fields(&mut self) -> Result<Fields, DecodeError> {
        let length = self.decoder.map();
        let left = self.wrap(length)?.ok_or(DecodeError::NotCanonical { what: self.what })?;
        Ok(Fields { left, key: None })
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        let value = self.decoder.u64();
        self.wrap(value)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        let value = self.decoder.u32();
        self.wrap(value)
    }

    pub(crate) fn key(&mut self, expected: i64) -> Result<(), DecodeError> {
        let value = self.decoder.i64();
        match self.wrap(value)? {
            key if key == expected => Ok(()),
            key => Err(malformed(self.what, format!("{key} where {expected} belongs"))),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'b [u8], DecodeError> {
        let value = self.decoder.bytes();
        self.wrap(value)
    }

    pub(crate) fn text(&mut self) -> Result<&'b str, DecodeError> {
        let value = self.decoder.str();
        self.wrap(value)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let what = self.what;
        let wrong = |_| malformed(what, format!("{N} bytes belong here"));
        self.bytes()?.try_into().map_err(wrong)
    }

    /// Reads `[id, stored length]`.
    pub(crate) fn chunk(&mut self) -> Result<ClosureEntry, DecodeError> {
        self.array_of(2)?;
        let id = content::ChunkId::from_bytes(self.array()?);
        let stored_length = self.u32()?;
        if stored_length == 0 || stored_length as usize > content::CHUNK_BYTES_MAX {
            return Err(self.invalid(format!("a chunk of {stored_length} bytes")));
        }
        Ok(ClosureEntry { id, stored_length })
    }

    pub(crate) fn version(&mut self, supported: u64) -> Result<(), DecodeError> {
        match self.u64()? {
            version if version == supported => Ok(()),
            version => Err(DecodeError::Version { what: self.what, version, supported }),
        }
    }
}

/// Writes `[id, stored length]`.
pub(crate) fn write_chunk(chunk: &ClosureEntry, writer: &mut Writer) -> Encoded {
    writer.array(2)?.bytes(chunk.id.as_bytes())?.u32(chunk.stored_length)?;
    Ok(())
}

/// Walks the keys of a map whose keys must ascend.
pub(crate) struct Fields {
    left: u64,
    key: Option<u64>,
}

impl Fields {
    /// Consumes the next key if it is `wanted`.
    pub(crate) fn take(
        &mut self,
        reader: &mut Reader<'_>,
        wanted: u8,
    ) -> Result<bool, DecodeError> {
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

    pub(crate) fn expect(
        &mut self,
        reader: &mut Reader<'_>,
        wanted: u8,
    ) -> Result<(), DecodeError> {
        if self.take(reader, wanted)? {
            Ok(())
        } else {
            Err(reader.invalid(format!("field {wanted} is missing or out of order")))
        }
    }

    pub(crate) fn finish(self, reader: &Reader<'_>) -> Result<(), DecodeError> {
        if self.key.is_none() && self.left == 0 {
            Ok(())
        } else {
            Err(reader.invalid("an unknown field"))
        }
    }
}
