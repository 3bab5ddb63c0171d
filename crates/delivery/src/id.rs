//! What names a delivery, and what opens it.

use std::fmt;

/// Names a delivery at its hub: 16 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId([u8; 16]);

impl DeliveryId {
    /// Takes 16 random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeliveryId({self})")
    }
}

/// What opens a delivery: 32 random bytes that only its sender and its recipient know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeliverySecret([u8; 32]);

impl DeliverySecret {
    /// Takes 32 random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be kept as a key is kept.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the recipient shows to the hub. The hub is told its hash by the sender, and learns
    /// nothing about the secret from it.
    #[must_use]
    pub fn recipient_token(&self) -> [u8; 32] {
        self.derive("consign delivery 1 recipient token")
    }

    /// What the recipient shows to the sender itself, on a direct path. The hub never learns it.
    #[must_use]
    pub fn direct_token(&self) -> [u8; 32] {
        self.derive("consign delivery 1 direct token")
    }

    /// A key for one purpose.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, &self.0)
    }
}

impl fmt::Debug for DeliverySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeliverySecret(..)")
    }
}
