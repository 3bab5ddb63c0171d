//! How a node proves its key to a hub, and what it gets for it.

use content::DecodeError;

use crate::cbor::{self, Reader};
use crate::envelope::{self, Attributed, Payload};
use crate::{Context, DocumentError, NodeKey, PublicKey};

const VERSION: u8 = 0;
const KEY: u8 = 1;
const HUB: u8 = 2;
/// The challenge of a session proof, the secret of a registration.
const CHALLENGE: u8 = 3;

/// A node's answer to a hub's challenge. It names the hub, so no hub can use it at another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionProof {
    /// SHA-256 of the hub's certificate; all zero for plain HTTP.
    pub hub: [u8; 32],
    /// What the hub asked to be signed; used once.
    pub challenge: [u8; 32],
    /// The node's key, which signs.
    pub key: PublicKey,
}

impl SessionProof {
    /// Signs the proof with the node's key.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    /// Verifies that `key` signed this proof, and decodes it. The caller compares hub and
    /// challenge with its own.
    ///
    /// # Errors
    /// Anything that is not exactly such a document.
    pub fn open(signed: &[u8], key: &PublicKey) -> Result<Self, DocumentError> {
        envelope::open(signed, key)
    }
}

impl Payload for SessionProof {
    const CONTEXT: Context = Context::Session;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(4)?.u8(VERSION)?.u8(1)?.u8(KEY)?.bytes(self.key.as_bytes())?;
            writer.u8(HUB)?.bytes(&self.hub)?.u8(CHALLENGE)?.bytes(&self.challenge)?;
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let (key, hub, challenge) = read_claim(reader)?;
            Ok(Self { hub, challenge, key })
        };
        cbor::decode_canonical("session proof", bytes, read, Self::encode)
    }
}

impl Attributed for SessionProof {
    fn signer(&self) -> PublicKey {
        self.key
    }
}

/// A newcomer's claim of an invitation: proves the key that will be registered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Registration {
    /// SHA-256 of the hub's certificate; all zero for plain HTTP.
    pub hub: [u8; 32],
    /// The invitation's secret.
    pub secret: [u8; 16],
    /// The key to register, which signs.
    pub key: PublicKey,
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registration(of {})", self.key)
    }
}

impl Registration {
    /// Signs the claim with the key to register.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    /// Verifies that `key` signed this claim, and decodes it. The caller compares hub and
    /// secret with its own.
    ///
    /// # Errors
    /// Anything that is not exactly such a document.
    pub fn open(signed: &[u8], key: &PublicKey) -> Result<Self, DocumentError> {
        envelope::open(signed, key)
    }
}

impl Payload for Registration {
    const CONTEXT: Context = Context::Registration;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(4)?.u8(VERSION)?.u8(1)?.u8(KEY)?.bytes(self.key.as_bytes())?;
            writer.u8(HUB)?.bytes(&self.hub)?.u8(CHALLENGE)?.bytes(&self.secret)?;
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let (key, hub, secret) = read_claim(reader)?;
            Ok(Self { hub, secret, key })
        };
        cbor::decode_canonical("registration", bytes, read, Self::encode)
    }
}

impl Attributed for Registration {
    fn signer(&self) -> PublicKey {
        self.key
    }
}

fn read_claim<const N: usize>(
    reader: &mut Reader<'_>,
) -> Result<(PublicKey, [u8; 32], [u8; N]), DecodeError> {
    let mut fields = reader.fields()?;
    fields.expect(reader, VERSION)?;
    reader.version(1)?;
    fields.expect(reader, KEY)?;
    let key = PublicKey::from_bytes(reader.array()?);
    fields.expect(reader, HUB)?;
    let hub = reader.array()?;
    fields.expect(reader, CHALLENGE)?;
    let rest = reader.array()?;
    fields.finish(reader)?;
    Ok((key, hub, rest))
}

/// What a hub gives for a [`SessionProof`]: a CBOR Web Token (RFC 8392) that names the key it
/// is for (`cnf`, RFC 8747). The hub signs it and alone reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionToken {
    /// The hub's key, which signs.
    pub issuer: PublicKey,
    /// Whose session it is.
    pub subject: PublicKey,
    /// When it was issued, in seconds since 1970.
    pub issued: u64,
    /// From when on it is worth nothing, in seconds since 1970.
    pub expires: u64,
}

/// Why a token was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token of this hub. Open a new session.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Its time is over. Open a new session.
    #[error("the session ended at {expires}; now is {now}")]
    Expired {
        /// When it expired, in seconds since 1970.
        expires: u64,
        /// The time of the check.
        now: u64,
    },
}

impl SessionToken {
    /// Signs the token with the hub's key.
    #[must_use]
    pub fn issue(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    /// Verifies that `issuer` signed this token and that it is still good at `now`, in seconds
    /// since 1970.
    ///
    /// # Errors
    /// Anything that is not such a token; a token whose time is over.
    pub fn verify(signed: &[u8], issuer: &PublicKey, now: u64) -> Result<Self, TokenError> {
        let token: Self = envelope::open(signed, issuer)?;
        if token.expires <= now {
            return Err(TokenError::Expired { expires: token.expires, now });
        }
        Ok(token)
    }
}

// Claims of RFC 8392 and RFC 8747, key parameters of RFC 9053.
const ISS: i64 = 1;
const SUB: i64 = 2;
const EXP: i64 = 4;
const IAT: i64 = 6;
const CNF: i64 = 8;
const COSE_KEY: i64 = 1;
const KTY: i64 = 1;
const CRV: i64 = -1;
const X: i64 = -2;
const OKP: i64 = 1;
const ED25519: i64 = 6;

impl Payload for SessionToken {
    const CONTEXT: Context = Context::Token;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(5)?.i64(ISS)?.str(&self.issuer.to_string())?;
            writer.i64(SUB)?.str(&self.subject.to_string())?;
            writer.i64(EXP)?.u64(self.expires)?.i64(IAT)?.u64(self.issued)?;
            writer.i64(CNF)?.map(1)?.i64(COSE_KEY)?.map(3)?.i64(KTY)?.i64(OKP)?;
            writer.i64(CRV)?.i64(ED25519)?.i64(X)?.bytes(self.subject.as_bytes())?;
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            reader.map_of(5)?;
            reader.key(ISS)?;
            let issuer = reader.text()?.parse().map_err(|_| reader.invalid("iss is no key"))?;
            reader.key(SUB)?;
            let subject = reader.text()?.parse().map_err(|_| reader.invalid("sub is no key"))?;
            reader.key(EXP)?;
            let expires = reader.u64()?;
            reader.key(IAT)?;
            let issued = reader.u64()?;
            reader.key(CNF)?;
            reader.map_of(1)?;
            reader.key(COSE_KEY)?;
            reader.map_of(3)?;
            for (parameter, value) in [(KTY, OKP), (CRV, ED25519)] {
                reader.key(parameter)?;
                reader.key(value)?;
            }
            reader.key(X)?;
            if PublicKey::from_bytes(reader.array()?) != subject {
                return Err(reader.invalid("sub and cnf name two keys"));
            }
            Ok(Self { issuer, subject, issued, expires })
        };
        cbor::decode_canonical("session token", bytes, read, Self::encode)
    }
}

impl Attributed for SessionToken {
    fn signer(&self) -> PublicKey {
        self.issuer
    }
}

#[cfg(test)]
mod tests;
