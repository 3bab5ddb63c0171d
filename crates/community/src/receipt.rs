//! What a target answers to a release.

use content::DecodeError;
use content::cbor::{self, Reader};
use documents::envelope::{self, Attributed, Payload};
use documents::{Context, DocumentError, DocumentHash, NodeKey, PublicKey};

use crate::release::Address;
use crate::{ExchangeKey, ExchangePublic, OpenError, identity};
use documents::exchange::{MessageSeed, OVERHEAD_BYTES, Purpose, SealError};

/// The longest body of a receipt, in bytes.
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// The longest signed receipt, in bytes: the body, and room for the rest.
pub const SIGNED_BYTES_MAX: usize = BODY_BYTES_MAX + (64 << 10);

const LABEL: &str = "consign/receipt/1";

/// A target's signed statement that it is done with a release; what became of it is sealed inside for
/// the publisher. So every hop can tell that the target answered, and nobody in between what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReceipt {
    /// Which release, whose, and the target, which signs.
    pub address: Address,
    /// Number of the release.
    pub sequence: u64,
    /// When it was signed, in seconds since 1970.
    pub issued: u64,
    /// The body, sealed for the publisher.
    sealed: Vec<u8>,
}

/// Why a receipt was refused. The target is asked for it again by sending the release again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It is no receipt of this target.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It is of another release.
    #[error("the receipt is for another release")]
    OtherRelease,
    /// It was not sealed for this publisher: the target's program is broken.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl SignedReceipt {
    /// A receipt with a body of at most [`BODY_BYTES_MAX`], for whoever knows packages.
    ///
    /// # Errors
    /// Nothing can be sealed for the publisher's key.
    pub fn new(
        address: Address,
        sequence: u64,
        issued: u64,
        body: &[u8],
        publisher: &ExchangePublic,
        random: MessageSeed,
    ) -> Result<Self, SealError> {
        let purpose = Purpose { label: LABEL, place: &address.place() };
        let sealed = publisher.seal(purpose, body, random)?;
        Ok(Self { address, sequence, issued, sealed })
    }

    /// Signs the receipt with the target's key.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    /// Verifies that the target of `expected` answered just this release.
    ///
    /// # Errors
    /// It did not.
    pub fn open(signed: &[u8], expected: &Address, sequence: u64) -> Result<Self, ReceiptError> {
        let receipt: Self = envelope::open(signed, &expected.target)?;
        if (&receipt.address, receipt.sequence) != (expected, sequence) {
            return Err(ReceiptError::OtherRelease);
        }
        Ok(receipt)
    }

    /// What became of the release, for its publisher.
    ///
    /// # Errors
    /// It is not sealed for this key.
    pub fn body(&self, publisher: &ExchangeKey) -> Result<Vec<u8>, ReceiptError> {
        let purpose = Purpose { label: LABEL, place: &self.address.place() };
        Ok(publisher.open(None, purpose, &self.sealed)?)
    }
}

impl Payload for SignedReceipt {
    const CONTEXT: Context = Context::Receipt;
    const BYTES_MAX: usize = SIGNED_BYTES_MAX;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            let Address { community, manifest, publisher, target } = &self.address;
            writer.map(8)?.u8(0)?.u8(1)?.u8(1)?.bytes(community.as_bytes())?;
            writer.u8(2)?.bytes(publisher.as_bytes())?.u8(3)?.u64(self.sequence)?;
            writer.u8(4)?.bytes(manifest.as_bytes())?.u8(5)?.bytes(target.as_bytes())?;
            writer.u8(6)?.u64(self.issued)?.u8(7)?.bytes(&self.sealed)?;
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
            let sealed = reader.bytes()?;
            if !(OVERHEAD_BYTES..=BODY_BYTES_MAX + OVERHEAD_BYTES).contains(&sealed.len()) {
                return Err(reader.invalid(format!("a sealed body of {} bytes", sealed.len())));
            }
            fields.finish(reader)?;
            let sealed = sealed.to_vec();
            let address = Address { community, manifest, publisher, target };
            Ok(Self { address, sequence, issued, sealed })
        };
        cbor::decode_canonical("receipt", bytes, read, Self::encode)
    }
}

impl Attributed for SignedReceipt {
    fn signer(&self) -> PublicKey {
        self.address.target
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{BODY, NOW, exchange, key, receipt};

    fn with(body: &[u8], publisher: u8) -> SignedReceipt {
        let random = MessageSeed::from_random([3; 32]);
        let publisher = exchange(publisher).public();
        SignedReceipt::new(receipt().address, 7, NOW, body, &publisher, random).expect("seals")
    }

    fn open(signed: &[u8]) -> Result<SignedReceipt, ReceiptError> {
        SignedReceipt::open(signed, &receipt().address, 7)
    }

    #[test]
    fn every_hop_can_tell_that_a_target_answered_and_only_the_publisher_what() {
        let signed = receipt().sign(&key(5));
        let opened = open(&signed).expect("opens");
        assert_eq!(opened.body(&exchange(4)).as_deref(), Ok(BODY));
        assert_eq!(opened.body(&exchange(9)), Err(ReceiptError::Open(OpenError)));
        assert!(!signed.windows(BODY.len()).any(|window| window == BODY));
    }

    #[test]
    fn nobody_answers_for_another_target_or_another_release() {
        // Signed by another target in the name of this one.
        let forged = receipt().sign(&key(6));
        assert!(matches!(open(&forged), Err(ReceiptError::Document(_))));
        // An answer to another release, offered as one to this.
        let signed = receipt().sign(&key(5));
        let other = Address { manifest: DocumentHash::of(b"other"), ..receipt().address };
        for (address, sequence) in [(&other, 7), (&receipt().address, 8)] {
            let opened = SignedReceipt::open(&signed, address, sequence);
            assert_eq!(opened, Err(ReceiptError::OtherRelease));
        }
        // What another target sealed, signed as one's own: it opens at its own place alone.
        let taken = Address { target: key(6).public(), ..receipt().address };
        let stolen = SignedReceipt { address: taken, ..receipt() };
        assert_eq!(stolen.body(&exchange(4)), Err(ReceiptError::Open(OpenError)));
    }

    #[test]
    fn a_large_receipt_fits_and_a_larger_one_does_not() {
        let large = with(&vec![7; BODY_BYTES_MAX], 4);
        assert_eq!(open(&large.sign(&key(5))), Ok(large));
        assert!(open(&with(&vec![7; BODY_BYTES_MAX + 1], 4).sign(&key(5))).is_err());
        assert!(open(&vec![0; SIGNED_BYTES_MAX + 1]).is_err());
    }
}
