//! The right to read a sealed release.
//!
//! A sealed tree hangs under one key. The manifest carries that key sealed under the
//! capability of its name, so a capability opens every release of the name, also later ones,
//! and the hub can open none.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use content::{CHUNK_BYTES_MAX, ChunkId, ChunkRef, Sealing, TreeRef};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::{Manifest, ReleaseName};

const PREFIX: &str = "consign-cap-1:";
const DERIVATION: &str = "consign 2026-11-20 capability of a release name, version 1";
/// A plain root's length alone.
const PLAIN_BYTES: usize = 4;
/// Key, plain length.
const SEALED_BYTES: usize = 36;

/// The key to the sealed releases of one name. Whoever has it can read them.
#[derive(Clone, PartialEq, Eq)]
pub struct Capability([u8; 32]);

/// A text that is no capability. Copy it again, whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a capability begins with {PREFIX} and 43 characters follow")]
pub struct ParseCapabilityError;

/// Why the root of a release could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenRootError {
    /// The release is not sealed: read it without a capability.
    #[error("the release is not sealed")]
    NotSealed,
    /// The capability is for another name or from another publisher. Ask the publisher for the
    /// right one.
    #[error("the capability does not open this release")]
    WrongCapability,
    /// The publisher sealed something that is no root. The publisher's program is broken.
    #[error("the sealed root is malformed")]
    Malformed,
}

impl Capability {
    /// The capability of `name` for the publisher who holds `secret`.
    #[must_use]
    pub fn derive(secret: &[u8; 32], name: &ReleaseName) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(DERIVATION);
        hasher.update(secret).update(name.as_str().as_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// Seals the key to `tree` for the manifest of release `sequence` of `name`.
    ///
    /// `nonce` must be random: it must never repeat under one capability.
    #[must_use]
    pub fn seal_root(
        &self,
        tree: &TreeRef,
        name: &ReleaseName,
        sequence: u64,
        nonce: [u8; NONCE_LEN],
    ) -> Vec<u8> {
        let mut message = Vec::with_capacity(SEALED_BYTES + AES_256_GCM.tag_len());
        if let Some(sealing) = &tree.0.sealing {
            message.extend_from_slice(&sealing.key);
        }
        message.extend_from_slice(&tree.0.length.to_le_bytes());
        self.cipher()
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(additional(name, sequence, &tree.id())),
                &mut message,
            )
            .expect("a message of 36 bytes is far below the limit of AES-GCM");
        [&nonce[..], &message].concat()
    }

    /// Opens the root of a release.
    ///
    /// # Errors
    /// When the release is not sealed, or not under this capability.
    pub fn open_root(&self, manifest: &Manifest) -> Result<TreeRef, OpenRootError> {
        let sealed = manifest.sealed_root.as_ref().ok_or(OpenRootError::NotSealed)?;
        let (nonce, sealed) = sealed.split_first_chunk().ok_or(OpenRootError::Malformed)?;
        let mut message = sealed.to_vec();
        let tree = &manifest.tree;
        let opened = self
            .cipher()
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(additional(&manifest.name, manifest.sequence, &tree.id)),
                &mut message,
            )
            .map_err(|_| OpenRootError::WrongCapability)?;
        let (key, length) = match opened.len() {
            PLAIN_BYTES => (None, &*opened),
            SEALED_BYTES => opened
                .split_first_chunk()
                .map(|(key, length)| (Some(*key), length))
                .ok_or(OpenRootError::Malformed)?,
            _ => return Err(OpenRootError::Malformed),
        };
        let length = u32::from_le_bytes(length.try_into().map_err(|_| OpenRootError::Malformed)?);
        if length == 0 || length as usize > CHUNK_BYTES_MAX {
            return Err(OpenRootError::Malformed);
        }
        let stored_length = tree.stored_length;
        if key.is_none() && length != stored_length {
            return Err(OpenRootError::Malformed);
        }
        let sealing = key.map(|key| Sealing { key, stored_length });
        Ok(TreeRef(ChunkRef { id: tree.id, length, sealing }))
    }

    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.0).expect("the key is 32 bytes"))
    }
}

/// Binds the sealed root to its place: name, zero byte, number (little-endian), tree id.
fn additional(name: &ReleaseName, sequence: u64, tree: &ChunkId) -> Vec<u8> {
    [name.as_str().as_bytes(), &[0], &sequence.to_le_bytes(), tree.as_bytes()].concat()
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Capability(..)")
    }
}

impl FromStr for Capability {
    type Err = ParseCapabilityError;

    fn from_str(text: &str) -> Result<Self, ParseCapabilityError> {
        let coded = text.strip_prefix(PREFIX).filter(|coded| coded.len() == 43);
        let mut bytes = [0; 32];
        let length =
            coded.and_then(|coded| URL_SAFE_NO_PAD.decode_slice_unchecked(coded, &mut bytes).ok());
        if length == Some(bytes.len()) { Ok(Self(bytes)) } else { Err(ParseCapabilityError) }
    }
}

#[cfg(test)]
mod tests;
