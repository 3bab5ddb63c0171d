//! That a target begins with a release, told before there is an answer.

use content::DecodeError;
use content::cbor::{self, Reader};
use documents::envelope::{self, Attributed, Payload};
use documents::{Context, DocumentError, DocumentHash, NodeKey, PublicKey};

use crate::identity;
use crate::release::Address;

/// The longest signed beginning, in bytes.
pub const SIGNED_BYTES_MAX: usize = 512;

/// A target's signed statement that it begins with a release. It answers nothing: a receipt does. Every
/// hop and the publisher can tell that nobody but the target said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// Which release, whose, and the target, which signs.
    pub address: Address,
    /// Number of the release.
    pub sequence: u64,
    /// When it began, by the target's clock, in seconds since 1970.
    pub begun: u64,
}

/// Why a beginning is not believed: the target is pending as before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BeginningError {
    /// It was not said by this target.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It is of another release.
    #[error("another release was begun")]
    OtherRelease,
}

impl Beginning {
    /// Signs it with the target's key.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    /// Verifies that the target of `expected` begins with just this release.
    ///
    /// # Errors
    /// It did not say so.
    pub fn open(signed: &[u8], expected: &Address, sequence: u64) -> Result<Self, BeginningError> {
        let beginning: Self = envelope::open(signed, &expected.target)?;
        if (&beginning.address, beginning.sequence) != (expected, sequence) {
            return Err(BeginningError::OtherRelease);
        }
        Ok(beginning)
    }

    /// Since when it runs, for somebody who sent it at `sent` and asks at `now`: no clock of a target
    /// makes that earlier than the one or later than the other.
    #[must_use]
    pub fn since(&self, sent: u64, now: u64) -> u64 {
        self.begun.max(sent).min(now)
    }
}

impl Payload for Beginning {
    const CONTEXT: Context = Context::Beginning;
    const BYTES_MAX: usize = SIGNED_BYTES_MAX;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            let Address { community, manifest, publisher, target } = &self.address;
            writer.map(7)?.u8(0)?.u8(1)?.u8(1)?.bytes(community.as_bytes())?;
            writer.u8(2)?.bytes(publisher.as_bytes())?.u8(3)?.u64(self.sequence)?;
            writer.u8(4)?.bytes(manifest.as_bytes())?.u8(5)?.bytes(target.as_bytes())?;
            writer.u8(6)?.u64(self.begun)?;
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
            let begun = reader.u64()?;
            fields.finish(reader)?;
            let address = Address { community, manifest, publisher, target };
            Ok(Self { address, sequence, begun })
        };
        cbor::decode_canonical("beginning", bytes, read, Self::encode)
    }
}

impl Attributed for Beginning {
    fn signer(&self) -> PublicKey {
        self.address.target
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{NOW, beginning, key, receipt};

    fn open(signed: &[u8]) -> Result<Beginning, BeginningError> {
        Beginning::open(signed, &beginning().address, 7)
    }

    #[test]
    fn nobody_begins_for_another_target_or_with_another_release() {
        assert_eq!(open(&beginning().sign(&key(5))), Ok(beginning()));
        // Signed by another target in the name of this one.
        let forged = open(&beginning().sign(&key(6)));
        assert!(matches!(forged, Err(BeginningError::Document(_))), "{forged:?}");
        let signed = beginning().sign(&key(5));
        let other = Address { manifest: DocumentHash::of(b"other"), ..beginning().address };
        for (address, sequence) in [(&other, 7), (&beginning().address, 8)] {
            let opened = Beginning::open(&signed, address, sequence);
            assert_eq!(opened, Err(BeginningError::OtherRelease));
        }
        // A receipt is no beginning, and a beginning no receipt.
        assert!(open(&receipt().sign(&key(5))).is_err());
        assert!(crate::SignedReceipt::open(&signed, &beginning().address, 7).is_err());
    }

    #[test]
    fn the_longest_one_fits() {
        let longest = Beginning { sequence: u64::MAX, begun: u64::MAX, ..beginning() };
        let signed = longest.sign(&key(5));
        assert!(signed.len() <= SIGNED_BYTES_MAX, "{} bytes", signed.len());
        assert_eq!(Beginning::open(&signed, &longest.address, u64::MAX), Ok(longest));
    }

    #[test]
    fn a_clock_of_a_target_moves_nothing_before_it_was_sent_or_after_now() {
        let begun = |begun| Beginning { begun, ..beginning() }.since(NOW - 50, NOW);
        assert_eq!(begun(NOW - 20), NOW - 20);
        assert_eq!(begun(0), NOW - 50);
        assert_eq!(begun(u64::MAX), NOW);
        let ahead = beginning().since(NOW + 90, NOW);
        assert_eq!(ahead, NOW, "who sent it has a clock that goes back");
    }
}
