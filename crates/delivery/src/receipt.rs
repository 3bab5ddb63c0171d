//! The recipient's word that a delivery arrived.

use content::DecodeError;
use content::cbor::{self, Reader};
use documents::envelope::{self, Attributed, Payload};
use documents::{Context, DocumentError, NodeKey, PublicKey};

use crate::{DeliveryId, Tag};

/// The longest signed receipt, in bytes.
const RECEIPT_BYTES_MAX: usize = 1024;

/// What both sides compare in the end: BLAKE3 of the tags of all segments, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of these tags, those of all segments in order.
    #[must_use]
    pub fn of(tags: impl IntoIterator<Item = Tag>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for tag in tags {
            hasher.update(tag.as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// Takes a digest as it was kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// How much arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Items of the header.
    pub items: u64,
    /// Length of the stream.
    pub stream_bytes: u64,
}

/// The recipient's signed statement that it verified everything and wrote it to its disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which delivery.
    pub id: DeliveryId,
    /// What arrived.
    pub digest: Digest,
    /// How much.
    pub tally: Tally,
    /// When the last of it was on the disk, in seconds since 1970.
    pub received: u64,
    /// The recipient, who signs.
    pub recipient: PublicKey,
}

/// Why a receipt was refused: what it says did not happen so. Keep what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It is no receipt.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It is for another delivery, or for other contents than were sent.
    #[error("the receipt is for something else than was sent")]
    Other,
}

impl Receipt {
    /// Signs the receipt with the recipient's key.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    /// Verifies that the key which the receipt names signed it.
    ///
    /// # Errors
    /// It did not, or this is no receipt.
    pub fn read(signed: &[u8]) -> Result<Self, ReceiptError> {
        let claimed: Self = envelope::peek(signed)?;
        Ok(envelope::open(signed, &claimed.recipient)?)
    }

    /// Verifies that somebody received just this. The receipt names the key; whose it is, the reader
    /// has to know.
    ///
    /// # Errors
    /// Nobody did.
    pub fn open(
        signed: &[u8],
        id: DeliveryId,
        digest: Digest,
        tally: Tally,
    ) -> Result<Self, ReceiptError> {
        let receipt = Self::read(signed)?;
        if (receipt.id, receipt.digest, receipt.tally) != (id, digest, tally) {
            return Err(ReceiptError::Other);
        }
        Ok(receipt)
    }
}

impl Payload for Receipt {
    const CONTEXT: Context = Context::DeliveryReceipt;
    const BYTES_MAX: usize = RECEIPT_BYTES_MAX;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(7)?.u8(0)?.u8(1)?.u8(1)?.bytes(self.id.as_bytes())?;
            writer.u8(2)?.bytes(&self.digest.0)?.u8(3)?.u64(self.tally.items)?;
            writer.u8(4)?.u64(self.tally.stream_bytes)?.u8(5)?.u64(self.received)?;
            writer.u8(6)?.bytes(self.recipient.as_bytes())?;
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let mut fields = reader.fields()?;
            fields.expect(reader, 0)?;
            reader.version(1)?;
            fields.expect(reader, 1)?;
            let id = DeliveryId::from_bytes(reader.array()?);
            fields.expect(reader, 2)?;
            let digest = Digest(reader.array()?);
            fields.expect(reader, 3)?;
            let items = reader.u64()?;
            fields.expect(reader, 4)?;
            let tally = Tally { items, stream_bytes: reader.u64()? };
            fields.expect(reader, 5)?;
            let received = reader.u64()?;
            fields.expect(reader, 6)?;
            let recipient = PublicKey::from_bytes(reader.array()?);
            fields.finish(reader)?;
            Ok(Self { id, digest, tally, received, recipient })
        };
        cbor::decode_canonical("receipt of a delivery", bytes, read, Self::encode)
    }
}

impl Attributed for Receipt {
    fn signer(&self) -> PublicKey {
        self.recipient
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> NodeKey {
        NodeKey::from_secret_bytes([number; 32])
    }

    fn receipt() -> Receipt {
        Receipt {
            id: DeliveryId::from_bytes([1; 16]),
            digest: Digest::of([Tag::from_bytes([2; 32]), Tag::from_bytes([3; 32])]),
            tally: Tally { items: 3, stream_bytes: 1_500_000 },
            received: 1_795_000_000,
            recipient: key(9).public(),
        }
    }

    fn open(signed: &[u8]) -> Result<Receipt, ReceiptError> {
        let Receipt { id, digest, tally, .. } = receipt();
        Receipt::open(signed, id, digest, tally)
    }

    #[test]
    fn a_receipt_counts_for_what_was_sent_and_nothing_else() {
        assert_eq!(open(&receipt().sign(&key(9))), Ok(receipt()));
        let other = Digest::of([Tag::from_bytes([3; 32]), Tag::from_bytes([2; 32])]);
        for altered in [
            Receipt { digest: other, ..receipt() },
            Receipt { id: DeliveryId::from_bytes([2; 16]), ..receipt() },
            Receipt { tally: Tally { items: 2, stream_bytes: 1_500_000 }, ..receipt() },
        ] {
            assert_eq!(open(&altered.sign(&key(9))), Err(ReceiptError::Other));
        }
    }

    #[test]
    fn a_receipt_that_was_not_signed_by_whom_it_names_is_refused() {
        let forged = receipt().sign(&key(8));
        assert!(matches!(open(&forged), Err(ReceiptError::Document(_))));
        let mut altered = receipt().sign(&key(9));
        let last = altered.len() - 1;
        altered[last] ^= 1;
        assert!(matches!(open(&altered), Err(ReceiptError::Document(_))));
    }
}
