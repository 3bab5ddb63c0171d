//! X25519 keys, and HPKE (RFC 9180) with them.
//!
//! DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; each message has a key of its own.

use std::fmt;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _, single_shot_open,
    single_shot_seal_with_rng,
};

use crate::NodeKey;

type Kem = X25519HkdfSha256;
type Secret = <Kem as hpke::Kem>::PrivateKey;
type Public = <Kem as hpke::Kem>::PublicKey;
type Encapped = <Kem as hpke::Kem>::EncappedKey;

const DERIVATION: &str = "consign 2026-11-21 exchange key of a node, version 1";
/// How much longer what is sealed is than what was: the encapsulated key and the tag.
pub const OVERHEAD_BYTES: usize = ENCAPPED_BYTES + 16;
const ENCAPPED_BYTES: usize = 32;

/// The half of a machine's X25519 key that stays there.
#[derive(Clone)]
pub struct ExchangeKey {
    secret: Secret,
    public: Public,
}

/// The half that everybody may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangePublic([u8; 32]);

/// What was sealed cannot be opened: it was altered, is for another key or by another one, or
/// belongs somewhere else. Ask another source; when all say the same, its sender must send it anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed message does not open")]
pub struct OpenError;

/// A key that is no point of the curve seals nothing: its owner's program is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing can be sealed for this key")]
pub struct SealError;

/// 32 random bytes that make the key of one message: never used for two, so it cannot be copied.
#[derive(Debug)]
pub struct MessageSeed([u8; 32]);

impl MessageSeed {
    /// Takes random bytes.
    #[must_use]
    pub const fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// What a message is for: it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Purpose<'a> {
    /// The kind of message. No label is the beginning of another.
    pub label: &'static str,
    /// Its place.
    pub place: &'a [u8],
}

impl Purpose<'_> {
    /// HPKE's `info`: the message's key depends on all of it.
    fn info(self) -> Vec<u8> {
        [self.label.as_bytes(), self.place].concat()
    }
}

impl ExchangeKey {
    /// The exchange key of whoever has this key: one secret is kept, not two.
    #[must_use]
    pub fn derive(key: &NodeKey) -> Self {
        let material = blake3::derive_key(DERIVATION, &key.secret_bytes());
        let (secret, public) = Kem::derive_keypair(&material);
        Self { secret, public }
    }

    /// The half that everybody may know.
    #[must_use]
    pub fn public(&self) -> ExchangePublic {
        ExchangePublic(self.public.to_bytes().into())
    }

    /// Seals a message by this key: whoever opens it knows that nobody else made it.
    ///
    /// # Errors
    /// The recipient's key is none.
    pub fn seal_as(
        &self,
        recipient: &ExchangePublic,
        purpose: Purpose<'_>,
        plain: &[u8],
        random: MessageSeed,
    ) -> Result<Vec<u8>, SealError> {
        let sender = OpModeS::Auth((self.secret.clone(), self.public.clone()));
        seal(&sender, recipient, purpose, plain, random)
    }

    /// Opens a message; with a `sender`, only one by that key.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(
        &self,
        sender: Option<&ExchangePublic>,
        purpose: Purpose<'_>,
        sealed: &[u8],
    ) -> Result<Vec<u8>, OpenError> {
        let (encapped, sealed) = sealed.split_at_checked(ENCAPPED_BYTES).ok_or(OpenError)?;
        let encapped = Encapped::from_bytes(encapped).map_err(|_| OpenError)?;
        let sender = match sender {
            Some(sender) => OpModeR::Auth(Public::from_bytes(&sender.0).map_err(|_| OpenError)?),
            None => OpModeR::Base,
        };
        single_shot_open::<AesGcm256, HkdfSha256, Kem>(
            &sender,
            &self.secret,
            &encapped,
            &purpose.info(),
            sealed,
            &[],
        )
        .map_err(|_| OpenError)
    }
}

impl fmt::Debug for ExchangeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExchangeKey(of {:?})", self.public())
    }
}

impl ExchangePublic {
    /// Takes the 32 bytes of a key.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether anything can be sealed for this key: a point of small order shares no secret.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let purpose = Purpose { label: "consign/trial/1", place: &[] };
        self.seal(purpose, &[], MessageSeed([7; 32])).is_ok()
    }

    /// Seals a message that says itself who made it.
    ///
    /// # Errors
    /// This key is none.
    pub fn seal(
        &self,
        purpose: Purpose<'_>,
        plain: &[u8],
        random: MessageSeed,
    ) -> Result<Vec<u8>, SealError> {
        seal(&OpModeS::Base, self, purpose, plain, random)
    }
}

fn seal(
    sender: &OpModeS<'_, Kem>,
    recipient: &ExchangePublic,
    purpose: Purpose<'_>,
    plain: &[u8],
    random: MessageSeed,
) -> Result<Vec<u8>, SealError> {
    let recipient = Public::from_bytes(&recipient.0).map_err(|_| SealError)?;
    let (encapped, sealed) = single_shot_seal_with_rng::<AesGcm256, HkdfSha256, Kem>(
        sender,
        &recipient,
        &purpose.info(),
        plain,
        &[],
        &mut Once(Some(random.0)),
    )
    .map_err(|_| SealError)?;
    Ok([&encapped.to_bytes()[..], &sealed].concat())
}

/// Gives the 32 bytes that a message's own key is made of, once.
struct Once(Option<[u8; 32]>);

impl TryRng for Once {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        unreachable!("a key is made of bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        unreachable!("a key is made of bytes")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let random = self.0.take().expect("one key is made for each message");
        bytes.copy_from_slice(&random);
        Ok(())
    }
}

impl TryCryptoRng for Once {}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(secret: u8) -> ExchangeKey {
        ExchangeKey::derive(&NodeKey::from_secret_bytes([secret; 32]))
    }

    const PURPOSE: Purpose<'_> = Purpose { label: "test", place: b"place" };

    fn random(byte: u8) -> MessageSeed {
        MessageSeed::from_random([byte; 32])
    }

    #[test]
    fn only_the_recipient_opens_and_only_what_the_sender_sealed() {
        let (anna, ben, eve) = (exchange(1), exchange(2), exchange(3));
        let sealed = anna.seal_as(&ben.public(), PURPOSE, b"hello", random(7)).expect("seals");
        assert_eq!(sealed.len(), 5 + OVERHEAD_BYTES);
        assert_eq!(ben.open(Some(&anna.public()), PURPOSE, &sealed).as_deref(), Ok(&b"hello"[..]));
        assert_eq!(eve.open(Some(&anna.public()), PURPOSE, &sealed), Err(OpenError));
        assert_eq!(ben.open(Some(&eve.public()), PURPOSE, &sealed), Err(OpenError));
        assert_eq!(ben.open(None, PURPOSE, &sealed), Err(OpenError));
        // Anybody can seal for ben, and cannot pass for anna with it.
        let plain = ben.public().seal(PURPOSE, b"hello", random(8)).expect("seals");
        assert_eq!(ben.open(None, PURPOSE, &plain).as_deref(), Ok(&b"hello"[..]));
        assert_eq!(ben.open(Some(&anna.public()), PURPOSE, &plain), Err(OpenError));
    }

    #[test]
    fn a_message_opens_at_its_place_and_whole() {
        let (anna, ben) = (exchange(1), exchange(2));
        let sealed = anna.seal_as(&ben.public(), PURPOSE, b"hello", random(7)).expect("seals");
        let open = |purpose, sealed: &[u8]| ben.open(Some(&anna.public()), purpose, sealed);
        assert_eq!(open(Purpose { place: b"other", ..PURPOSE }, &sealed), Err(OpenError));
        assert_eq!(open(Purpose { label: "other", ..PURPOSE }, &sealed), Err(OpenError));
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 1;
            assert_eq!(open(PURPOSE, &altered), Err(OpenError), "byte {index}");
            assert_eq!(open(PURPOSE, &sealed[..index]), Err(OpenError));
        }
    }

    #[test]
    fn the_exchange_key_follows_from_the_node_key_and_does_not_show_it() {
        let key = NodeKey::from_secret_bytes([1; 32]);
        assert_eq!(ExchangeKey::derive(&key).public(), ExchangeKey::derive(&key).public());
        assert_ne!(ExchangeKey::derive(&key).public().as_bytes(), key.public().as_bytes());
        assert!(!format!("{:?}", ExchangeKey::derive(&key)).contains(&hex::encode([1; 4])));
        // A point of small order shares no secret.
        let zero = ExchangePublic::from_bytes([0; 32]);
        assert_eq!(zero.seal(PURPOSE, b"", random(7)), Err(SealError));
        assert!(!zero.is_sound() && exchange(1).public().is_sound());
    }
}
