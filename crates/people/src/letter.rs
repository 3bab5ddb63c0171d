//! The secret of a delivery, sealed by one device for another.

use delivery::{DeliveryId, DeliverySecret};
use documents::exchange::{MessageSeed, OVERHEAD_BYTES, Purpose, SealError};
use documents::{ExchangeKey, ExchangePublic, OpenError};

use crate::Identity;

const LABEL: &str = "consign/letter/1";

/// Bytes of a sealed letter.
pub const LETTER_BYTES: usize = 32 + OVERHEAD_BYTES;

/// What addresses a delivery to a person: which delivery, from whom, for whom. A hub that keeps it for
/// another delivery or other people keeps something that does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letter {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// Who sends it.
    pub sender: Identity,
    /// Who is to have it.
    pub recipient: Identity,
}

impl Letter {
    fn place(&self) -> [u8; 80] {
        let mut place = [0; 80];
        place[..16].copy_from_slice(self.delivery.as_bytes());
        place[16..48].copy_from_slice(self.sender.as_bytes());
        place[48..].copy_from_slice(self.recipient.as_bytes());
        place
    }

    /// Seals the delivery's secret by one of the sender's devices for one of the recipient's.
    ///
    /// # Errors
    /// Nothing can be sealed for that device.
    pub fn seal(
        &self,
        sender: &ExchangeKey,
        device: &ExchangePublic,
        secret: &DeliverySecret,
        random: MessageSeed,
    ) -> Result<Vec<u8>, SealError> {
        let purpose = Purpose { label: LABEL, place: &self.place() };
        sender.seal_as(device, purpose, secret.as_bytes(), random)
    }

    /// Opens what was sealed for this device by that one of the sender's.
    ///
    /// # Errors
    /// It was not, or it belongs to another delivery.
    pub fn open(
        &self,
        sender: &ExchangePublic,
        device: &ExchangeKey,
        sealed: &[u8],
    ) -> Result<DeliverySecret, OpenError> {
        let purpose = Purpose { label: LABEL, place: &self.place() };
        let plain = device.open(Some(sender), purpose, sealed)?;
        Ok(DeliverySecret::from_bytes(plain.try_into().map_err(|_| OpenError)?))
    }
}

#[cfg(test)]
mod tests {
    use documents::{DocumentHash, NodeKey};

    use super::*;

    fn exchange(secret: u8) -> ExchangeKey {
        ExchangeKey::derive(&NodeKey::from_secret_bytes([secret; 32]))
    }

    #[test]
    fn a_letter_opens_for_its_device_from_its_sender_and_for_its_delivery() {
        let identity = |byte| DocumentHash::from_bytes([byte; 32]);
        let delivery = DeliveryId::from_bytes([1; 16]);
        let letter = Letter { delivery, sender: identity(2), recipient: identity(3) };
        let secret = DeliverySecret::from_bytes([4; 32]);
        let (anna, ben, eve) = (exchange(5), exchange(6), exchange(7));
        let seed = MessageSeed::from_random([8; 32]);
        let sealed = letter.seal(&anna, &ben.public(), &secret, seed).expect("seals");
        assert_eq!(sealed.len(), LETTER_BYTES);
        assert_eq!(letter.open(&anna.public(), &ben, &sealed), Ok(secret));

        assert_eq!(letter.open(&anna.public(), &eve, &sealed), Err(OpenError));
        assert_eq!(letter.open(&eve.public(), &ben, &sealed), Err(OpenError));
        for other in [
            Letter { delivery: DeliveryId::from_bytes([9; 16]), ..letter },
            Letter { sender: identity(3), recipient: identity(2), ..letter },
            Letter { recipient: identity(9), ..letter },
        ] {
            assert_eq!(other.open(&anna.public(), &ben, &sealed), Err(OpenError));
        }
        assert_eq!(letter.open(&anna.public(), &ben, &sealed[1..]), Err(OpenError));
    }
}
