//! What a target answers to a release.

use content::DecodeError;
use content::cbor::{self, Reader};
use documents::envelope::{self, Attributed, Payload};
use documents::{Context, DocumentError, DocumentHash, NodeKey, PublicKey};

use crate::exchange::{OVERHEAD_BYTES, Purpose, SealError};
use crate::{CommunityId, ExchangeKey, ExchangePublic, OpenError, identity};

/// The longest body of a receipt, in bytes.
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// The longest signed receipt, in bytes: the body, and room for the rest.
pub const SIGNED_BYTES_MAX: usize = BODY_BYTES_MAX + (64 << 10);
/// The longest sealed receipt, in bytes.
pub const SEALED_BYTES_MAX: usize = SIGNED_BYTES_MAX + OVERHEAD_BYTES;

const INFO: &str = "consign/receipt/1";

/// A target's signed statement what became of one release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReceipt {
    /// The community.
    pub community: CommunityId,
    /// Whose release it was.
    pub publisher: PublicKey,
    /// Its number.
    pub sequence: u64,
    /// Hash of its signed manifest.
    pub manifest: DocumentHash,
    /// The target, which signs.
    pub target: PublicKey,
    /// When it was signed, in seconds since 1970.
    pub issued: u64,
    /// What became of it, for whoever knows packages; at most [`BODY_BYTES_MAX`].
    pub body: Vec<u8>,
}

/// Why a receipt was refused. The target is asked for it again by sending the release again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It is not sealed for this publisher, or was altered.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is no receipt of this target.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It is of another community or for another publisher.
    #[error("the receipt is for somebody else")]
    Elsewhere,
}

impl SignedReceipt {
    /// Signs the receipt with the target's key and seals it for its publisher. `random` makes the key
    /// of this one message.
    ///
    /// # Errors
    /// Nothing can be sealed for the publisher's key.
    pub fn seal(
        &self,
        key: &NodeKey,
        publisher: &ExchangePublic,
        random: [u8; 32],
    ) -> Result<Vec<u8>, SealError> {
        let aad = aad(&self.community, &self.publisher, &self.target);
        publisher.seal(Purpose { info: INFO, aad: &aad }, &envelope::sign(self, key), random)
    }

    /// Opens a sealed receipt of `target`.
    ///
    /// # Errors
    /// It is not one for this publisher by this target.
    pub fn open(
        sealed: &[u8],
        community: &CommunityId,
        publisher: (&PublicKey, &ExchangeKey),
        target: &PublicKey,
    ) -> Result<Self, ReceiptError> {
        if sealed.len() > SEALED_BYTES_MAX {
            return Err(DocumentError::TooLarge { length: sealed.len() }.into());
        }
        let (key, exchange) = publisher;
        let aad = aad(community, key, target);
        let signed = exchange.open(None, Purpose { info: INFO, aad: &aad }, sealed)?;
        let receipt: Self = envelope::open(&signed, target)?;
        if (&receipt.community, &receipt.publisher) != (community, key) {
            return Err(ReceiptError::Elsewhere);
        }
        Ok(receipt)
    }
}

fn aad(community: &CommunityId, publisher: &PublicKey, target: &PublicKey) -> Vec<u8> {
    [&community.as_bytes()[..], publisher.as_bytes(), target.as_bytes()].concat()
}

impl Payload for SignedReceipt {
    const CONTEXT: Context = Context::Receipt;
    const BYTES_MAX: usize = SIGNED_BYTES_MAX;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(8)?.u8(0)?.u8(1)?.u8(1)?.bytes(self.community.as_bytes())?;
            writer.u8(2)?.bytes(self.publisher.as_bytes())?.u8(3)?.u64(self.sequence)?;
            writer.u8(4)?.bytes(self.manifest.as_bytes())?;
            writer.u8(5)?.bytes(self.target.as_bytes())?;
            writer.u8(6)?.u64(self.issued)?.u8(7)?.bytes(&self.body)?;
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let (mut fields, community) = identity::read_head(reader)?;
            fields.expect(reader, 2)?;
            let publisher = PublicKey::from_bytes(reader.array()?);
            fields.expect(reader, 3)?;
            let sequence = crate::charter::read_number(reader)?;
            fields.expect(reader, 4)?;
            let manifest = DocumentHash::from_bytes(reader.array()?);
            fields.expect(reader, 5)?;
            let target = PublicKey::from_bytes(reader.array()?);
            fields.expect(reader, 6)?;
            let issued = reader.u64()?;
            fields.expect(reader, 7)?;
            let body = reader.bytes()?;
            if body.len() > BODY_BYTES_MAX {
                return Err(reader.invalid(format!("a body of {} bytes", body.len())));
            }
            fields.finish(reader)?;
            let body = body.to_vec();
            Ok(Self { community, publisher, sequence, manifest, target, issued, body })
        };
        cbor::decode_canonical("receipt", bytes, read, Self::encode)
    }
}

impl Attributed for SignedReceipt {
    fn signer(&self) -> PublicKey {
        self.target
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{exchange, key, receipt};

    fn sealed() -> Vec<u8> {
        receipt().seal(&key(5), &exchange(4).public(), [3; 32]).expect("seals")
    }

    fn open(sealed: &[u8]) -> Result<SignedReceipt, ReceiptError> {
        let (community, publisher, target) =
            (receipt().community, key(4).public(), key(5).public());
        SignedReceipt::open(sealed, &community, (&publisher, &exchange(4)), &target)
    }

    #[test]
    fn only_its_publisher_reads_a_receipt() {
        assert_eq!(open(&sealed()), Ok(receipt()));
        let community = receipt().community;
        let eve = (&key(9).public(), &exchange(9));
        let opened = SignedReceipt::open(&sealed(), &community, eve, &key(5).public());
        assert_eq!(opened, Err(ReceiptError::Open(OpenError)));
        let needle = receipt().body;
        assert!(!sealed().windows(needle.len()).any(|window| window == needle));
    }

    #[test]
    fn nobody_answers_for_another_target_or_another_release() {
        // Signed by another target in the name of this one.
        let forged = receipt().seal(&key(6), &exchange(4).public(), [3; 32]).expect("seals");
        assert!(matches!(open(&forged), Err(ReceiptError::Document(_))));
        // A target's own receipt, offered as another's.
        let other = SignedReceipt { target: key(6).public(), ..receipt() };
        let other = other.seal(&key(6), &exchange(4).public(), [3; 32]).expect("seals");
        assert_eq!(open(&other), Err(ReceiptError::Open(OpenError)));
        assert!(open(&vec![0; SEALED_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn a_large_receipt_fits_and_a_larger_one_does_not() {
        let with = |bytes| SignedReceipt { body: vec![7; bytes], ..receipt() };
        let large = with(BODY_BYTES_MAX);
        let sealed = large.seal(&key(5), &exchange(4).public(), [3; 32]).expect("seals");
        assert_eq!(open(&sealed), Ok(large));
        let larger = with(BODY_BYTES_MAX + 1).seal(&key(5), &exchange(4).public(), [3; 32]);
        assert!(open(&larger.expect("seals")).is_err());
    }
}
