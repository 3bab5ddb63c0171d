//! The ticket to join, and the secret that admits one peer.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use content::DecodeError;
use content::cbor::{self, Reader};

use crate::membership::{read_routes, write_routes};
use crate::{Charter, CharterError, CommunityId, PeerName, Route};

const SEED_PREFIX: &str = "consign-seed-1:";
const SECRET_PREFIX: &str = "consign-join-1:";
const ADMISSION: &str = "consign 2026-11-21 admission of a join secret, version 1";
const PROOF_KEY: &str = "consign 2026-11-21 proof key of a join secret, version 1";

/// The longest seed as text, in bytes.
pub const SEED_BYTES_MAX: usize = 64 * 1024;

/// Where a community is, and how to recognise its managers. It admits nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// The charter with its signatures, as it was sound when the seed was made.
    pub charter: Vec<u8>,
    /// The hubs to ask, in order of preference; at least one.
    pub routes: Vec<Route>,
}

/// A text that is no seed, or no join secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseSeedError {
    /// It does not begin as one does. Take the whole file, or the whole line that was printed.
    #[error("it does not begin with {0}")]
    Prefix(&'static str),
    /// It is longer than any seed; it was not read.
    #[error("a seed of {0} bytes; none is longer than {SEED_BYTES_MAX}")]
    TooLarge(usize),
    /// Characters are missing or altered. Copy it again, whole.
    #[error("it is cut short or altered")]
    Text,
    /// It holds something else than a seed, or one of a newer version.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// The charter in it is not sound. Ask a manager for the seed again.
    #[error(transparent)]
    Charter(#[from] CharterError),
}

impl Seed {
    /// The charter, as its own managers signed it.
    ///
    /// # Errors
    /// The seed was made with another charter than a sound one.
    pub fn open(&self) -> Result<Charter, CharterError> {
        Charter::open(&self.charter)
    }

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.array(3)?.u8(1)?.bytes(&self.charter)?;
            write_routes(&self.routes, writer)
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            reader.array_of(3)?;
            reader.version(1)?;
            let charter = reader.bytes()?.to_vec();
            let routes = read_routes(reader)?;
            if routes.is_empty() {
                return Err(reader.invalid("it names no hub"));
            }
            Ok(Self { charter, routes })
        };
        cbor::decode_canonical("seed", bytes, read, Self::encode)
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SEED_PREFIX}{}", URL_SAFE_NO_PAD.encode(self.encode()))
    }
}

impl FromStr for Seed {
    type Err = ParseSeedError;

    /// Accepts a file's text: white space around the line is nothing.
    fn from_str(text: &str) -> Result<Self, ParseSeedError> {
        let text = text.trim();
        if text.len() > SEED_BYTES_MAX {
            return Err(ParseSeedError::TooLarge(text.len()));
        }
        let coded = text.strip_prefix(SEED_PREFIX).ok_or(ParseSeedError::Prefix(SEED_PREFIX))?;
        let bytes = URL_SAFE_NO_PAD.decode(coded).map_err(|_| ParseSeedError::Text)?;
        let seed = Self::decode(&bytes)?;
        seed.open()?;
        Ok(seed)
    }
}

/// Admits one peer, once. Known to who made it and to the machine that joins.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinSecret([u8; 16]);

impl JoinSecret {
    /// Takes random bytes.
    #[must_use]
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// What the hub knows of it: good to keep a place for this peer, and to prove nothing.
    #[must_use]
    pub fn admission(&self, community: &CommunityId, peer: &PeerName) -> [u8; 16] {
        let derived = self.derive(ADMISSION, community, peer);
        *derived.first_chunk().expect("a hash of 32 bytes has 16")
    }

    /// What proves it, for this peer alone.
    pub(crate) fn proof_key(&self, community: &CommunityId, peer: &PeerName) -> [u8; 32] {
        self.derive(PROOF_KEY, community, peer)
    }

    fn derive(&self, context: &str, community: &CommunityId, peer: &PeerName) -> [u8; 32] {
        // The first two have one length: no two of these are the same bytes.
        let parts = [&self.0[..], community.as_bytes(), peer.as_str().as_bytes()];
        blake3::derive_key(context, &parts.concat())
    }
}

impl fmt::Display for JoinSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SECRET_PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for JoinSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinSecret(..)")
    }
}

impl FromStr for JoinSecret {
    type Err = ParseSeedError;

    fn from_str(text: &str) -> Result<Self, ParseSeedError> {
        let text = text.trim();
        if text.len() > SEED_BYTES_MAX {
            return Err(ParseSeedError::TooLarge(text.len()));
        }
        let coded = text.strip_prefix(SECRET_PREFIX);
        let coded = coded.ok_or(ParseSeedError::Prefix(SECRET_PREFIX))?;
        let bytes = URL_SAFE_NO_PAD.decode(coded).map_err(|_| ParseSeedError::Text)?;
        bytes.try_into().map(Self).map_err(|_| ParseSeedError::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{charter, peer, seed};

    #[test]
    fn a_seed_reads_as_it_was_written() {
        let seed = seed();
        assert_eq!(format!("\n{seed}\n").parse(), Ok(seed.clone()));
        assert_eq!(seed.open(), Ok(charter()));
    }

    #[test]
    fn what_is_no_seed_says_what_it_is_not() {
        let text = seed().to_string();
        assert_eq!("seed".parse::<Seed>(), Err(ParseSeedError::Prefix(SEED_PREFIX)));
        assert_eq!(format!("{text}=").parse::<Seed>(), Err(ParseSeedError::Text));
        let long = "x".repeat(SEED_BYTES_MAX + 1);
        assert_eq!(long.parse::<Seed>(), Err(ParseSeedError::TooLarge(long.len())));
        for length in 0..text.len() {
            assert!(text[..length].parse::<Seed>().is_err());
        }
        let alone = Seed { routes: Vec::new(), ..seed() };
        assert!(alone.to_string().parse::<Seed>().is_err());
        // A charter that its managers did not sign.
        let mut forged = seed();
        *forged.charter.last_mut().expect("a byte") ^= 1;
        assert!(matches!(forged.to_string().parse::<Seed>(), Err(ParseSeedError::Charter(_))));
    }

    #[test]
    fn a_secret_shows_nothing_of_itself_but_when_it_is_printed() {
        let secret = JoinSecret::from_random([7; 16]);
        assert_eq!(secret.to_string().parse(), Ok(secret.clone()));
        assert_eq!(format!("{secret:?}"), "JoinSecret(..)");
        let (community, berlin) = (charter().community, peer("berlin-1"));
        let admission = secret.admission(&community, &berlin);
        assert_ne!(admission, [7; 16]);
        assert_ne!(admission, secret.proof_key(&community, &berlin)[..16]);
        assert_ne!(admission, secret.admission(&community, &peer("berlin-2")));
        let other = CommunityId::from_bytes([9; 16]);
        assert_ne!(admission, secret.admission(&other, &berlin));
        for wrong in ["", "consign-join-1:", "consign-join-1:BwcHBwcHBwcHBwcHBwcH"] {
            assert!(wrong.parse::<JoinSecret>().is_err(), "{wrong:?}");
        }
    }
}
