//! Ed25519 keys of nodes, publishers and hubs.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// The key of one machine: made there, and never leaves it.
#[derive(Clone)]
pub struct NodeKey(SigningKey);

impl NodeKey {
    /// Takes 32 random bytes, or those [`secret_bytes`](Self::secret_bytes) gave.
    #[must_use]
    pub fn from_secret_bytes(bytes: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&bytes))
    }

    /// The secret, to be kept in a file that only its owner can read.
    #[must_use]
    pub fn secret_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The half that may be known to everybody.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message` as it is. Documents add a context string, see [`crate::envelope`].
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey(of {})", self.public())
    }
}

/// Names whoever holds the matching [`NodeKey`]; prints as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Takes the 32 bytes of a key. Bytes that are no key verify nothing.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Takes a slice that should be 32 bytes long; `None` if it is not.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `signature` is this key's over `message`; weak keys sign nothing.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .and_then(|key| key.verify_strict(message, &Signature::from_bytes(signature)))
            .is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(&self.0[..5]))
    }
}

/// A text that is not 64 hexadecimal digits. Copy the key again, whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a public key of 64 hexadecimal digits")]
pub struct ParseKeyError;

impl FromStr for PublicKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseKeyError)?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn signs_as_the_standard_says() {
        let mut secret = [0; 32];
        let text = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        hex::decode_to_slice(text, &mut secret).expect("hexadecimal");
        let key = NodeKey::from_secret_bytes(secret);
        assert_eq!(
            key.public().to_string(),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        let signature = key.sign(&[0x72]);
        assert_eq!(hex::encode(&signature[..8]), "92a009a9f0d4cab8");
        assert!(key.public().verifies(&[0x72], &signature));
        assert!(!key.public().verifies(&[0x73], &signature));
    }

    #[test]
    fn a_public_key_prints_and_parses_and_the_secret_stays_out_of_debug() {
        let key = NodeKey::from_secret_bytes([7; 32]);
        assert_eq!(key.public().to_string().parse(), Ok(key.public()));
        assert_eq!("07".parse::<PublicKey>(), Err(ParseKeyError));
        assert!(!format!("{key:?}").contains(&"07".repeat(8)));
    }

    #[test]
    fn a_weak_key_verifies_nothing() {
        let mut weak = [0; 32];
        weak[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!PublicKey::from_bytes(weak).verifies(b"anything", &signature));
    }
}
