//! The bytes of the messages of a handover.

use content::DecodeError;
use content::cbor::{self, Reader};

use crate::ticket::TICKET_BYTES_MAX;

/// The side and a point.
const POINT_BYTES: usize = 33;
const PROOF_BYTES: usize = 32;
const CIPHER_TAG_BYTES: usize = 16;

/// A claim or its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point(pub(crate) [u8; POINT_BYTES]);

/// What says that an end has the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proof(pub(crate) [u8; PROOF_BYTES]);

/// The last message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Closing {
    Ticket { proof: Proof, sealed: Vec<u8> },
    Refusal,
}

impl Point {
    pub(crate) const WHAT: &str = "claim or answer of a code";

    pub(crate) fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.array(2)?.u8(1)?.bytes(&self.0)?;
            Ok(())
        })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            reader.array_of(2)?;
            reader.version(1)?;
            Ok(Self(reader.array()?))
        };
        cbor::decode_canonical(Self::WHAT, bytes, read, Self::encode)
    }
}

impl Proof {
    pub(crate) fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.array(2)?.u8(1)?.bytes(&self.0)?;
            Ok(())
        })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            reader.array_of(2)?;
            reader.version(1)?;
            Ok(Self(reader.array()?))
        };
        cbor::decode_canonical("proof of a code", bytes, read, Self::encode)
    }
}

impl Closing {
    pub(crate) fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            match self {
                Self::Ticket { proof, sealed } => {
                    writer.array(3)?.u8(1)?.bytes(&proof.0)?.bytes(sealed)?
                }
                Self::Refusal => writer.array(1)?.u8(1)?,
            };
            Ok(())
        })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let items = reader.items()?;
            reader.version(1)?;
            match items {
                1 => Ok(Self::Refusal),
                3 => {
                    let proof = Proof(reader.array()?);
                    let sealed = reader.bytes()?;
                    let lengths = CIPHER_TAG_BYTES + 1..=CIPHER_TAG_BYTES + TICKET_BYTES_MAX;
                    if !lengths.contains(&sealed.len()) {
                        return Err(reader.invalid("a ticket of an impossible length"));
                    }
                    Ok(Self::Ticket { proof, sealed: sealed.to_vec() })
                }
                _ => Err(reader.invalid("neither a ticket nor a refusal")),
            }
        };
        cbor::decode_canonical("handover of a ticket", bytes, read, Self::encode)
    }
}
