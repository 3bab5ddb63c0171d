//! The messages between a machine that joins a community and one of its managers.
//!
//! | step | who | what | what the other knows then |
//! |---|---|---|---|
//! | request | machine | its name and keys, a nonce | that somebody wants to be this peer |
//! | challenge | manager | a nonce, signed for this very request | that a manager of the charter is there now |
//! | answer | machine | signs the challenge, proves the secret | that the machine has the keys, and the secret |
//! | roster | managers | has the peer, as they define it | – |
//!
//! They pass through a hub, which can drop them and nothing else: it cannot make a challenge, use one
//! for another request, or answer one.

use content::DecodeError;
use content::cbor::{self, Reader};
use documents::envelope::{self, Attributed, Payload};
use documents::{Context, DocumentError, DocumentHash, NodeKey, PublicKey};

use crate::{Charter, CommunityId, ExchangePublic, JoinSecret, PeerName, identity};

const VERSION: u8 = 0;
const COMMUNITY: u8 = 1;

/// A machine wants to be a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// The community.
    pub community: CommunityId,
    /// The peer it wants to be.
    pub peer: PeerName,
    /// The machine's key, which signs.
    pub key: PublicKey,
    /// Its exchange key.
    pub exchange: ExchangePublic,
    /// Random: no challenge for an earlier request fits this one.
    pub nonce: [u8; 32],
    /// [`JoinSecret::admission`]; without it a manager has to approve.
    pub admission: Option<[u8; 16]>,
}

/// A manager's challenge to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinChallenge {
    /// The community.
    pub community: CommunityId,
    /// The request it is for.
    pub request: DocumentHash,
    /// The manager, who signs.
    pub manager: PublicKey,
    /// Random: no answer to an earlier challenge fits this one.
    pub nonce: [u8; 32],
}

/// The machine's answer to a challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinAnswer {
    /// The community.
    pub community: CommunityId,
    /// The challenge it is for.
    pub challenge: DocumentHash,
    /// The machine's key, which signs.
    pub key: PublicKey,
    /// Proves the secret, if there is one.
    pub proof: Option<[u8; 32]>,
}

/// Why a joining is broken off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// A message is damaged or was signed by nobody who may. Somebody is in between, or a program
    /// is broken: nothing was joined.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Who answered is no manager of the community in the seed. Do not go on: ask those who gave you
    /// the seed.
    #[error("{0} answered, who is no manager of this community")]
    NoManager(PublicKey),
    /// A message belongs to another joining. Begin anew.
    #[error("the {0} belongs to another joining")]
    OtherJoining(&'static str),
    /// The one-time secret is wrong, was used, or is for another peer. Ask for a new one.
    #[error("the join secret does not fit")]
    WrongSecret,
    /// Nothing can be sealed for the machine's exchange key: its program is broken.
    #[error("the exchange key of {0} is of no use")]
    WeakKey(PeerName),
}

impl JoinRequest {
    /// Signs the request with the machine's key.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    /// Verifies that the key in it signed this request, and decodes it.
    ///
    /// # Errors
    /// Anything that is not exactly such a document, and a key that nothing can be sealed for.
    pub fn open(signed: &[u8]) -> Result<Self, JoinError> {
        let request: Self = envelope::open(signed, &envelope::peek::<Self>(signed)?.key)?;
        if !request.exchange.is_sound() {
            return Err(JoinError::WeakKey(request.peer));
        }
        Ok(request)
    }
}

impl JoinChallenge {
    /// Signs the challenge with a manager's key.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    /// Decides whether whoever answered `request` is a manager of the community.
    ///
    /// # Errors
    /// It is not, or it answered something else.
    pub fn open(signed: &[u8], charter: &Charter, request: &[u8]) -> Result<Self, JoinError> {
        let manager = envelope::peek::<Self>(signed)?.manager;
        if !charter.managers.keys.contains(&manager) {
            return Err(JoinError::NoManager(manager));
        }
        let challenge: Self = envelope::open(signed, &manager)?;
        if (challenge.community, challenge.request)
            != (charter.community, DocumentHash::of(request))
        {
            return Err(JoinError::OtherJoining("challenge"));
        }
        Ok(challenge)
    }
}

impl JoinAnswer {
    /// The answer to a challenge, as it was signed, by the machine of `request`.
    #[must_use]
    pub fn new(request: &JoinRequest, challenge: &[u8], secret: Option<&JoinSecret>) -> Self {
        let challenge = DocumentHash::of(challenge);
        let proof = secret.map(|secret| prove(secret, request, &challenge));
        Self { community: request.community, challenge, key: request.key, proof }
    }

    /// Signs the answer with the machine's key.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    /// Decides whether the machine of `request` answered `challenge`, all as they were signed. It proves
    /// that the machine has its key, and no secret: see [`JoinAnswer::admit`].
    ///
    /// # Errors
    /// It did not.
    pub fn open(
        signed: &[u8],
        charter: &Charter,
        request: &[u8],
        challenge: &[u8],
    ) -> Result<(JoinRequest, Self), JoinError> {
        JoinChallenge::open(challenge, charter, request)?;
        let request = JoinRequest::open(request)?;
        let answer: Self = envelope::open(signed, &request.key)?;
        let challenge = DocumentHash::of(challenge);
        if (answer.community, answer.challenge) != (request.community, challenge)
            || request.community != charter.community
        {
            return Err(JoinError::OtherJoining("answer"));
        }
        Ok((request, answer))
    }

    /// Decides whether `secret`, which was made for the peer of `request`, admits it.
    ///
    /// # Errors
    /// The machine asked without it, or does not know it.
    pub fn admit(&self, request: &JoinRequest, secret: &JoinSecret) -> Result<(), JoinError> {
        let admission = secret.admission(&request.community, &request.peer);
        let expected = prove(secret, request, &self.challenge);
        // Compared as hashes, in constant time.
        let proof = self.proof.map(blake3::Hash::from_bytes);
        let is_proven = proof == Some(blake3::Hash::from_bytes(expected));
        if request.admission == Some(admission) && is_proven {
            return Ok(());
        }
        Err(JoinError::WrongSecret)
    }
}

fn prove(secret: &JoinSecret, request: &JoinRequest, challenge: &DocumentHash) -> [u8; 32] {
    let key = secret.proof_key(&request.community, &request.peer);
    *blake3::keyed_hash(&key, challenge.as_bytes()).as_bytes()
}

impl Payload for JoinRequest {
    const CONTEXT: Context = Context::JoinRequest;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(6 + u64::from(self.admission.is_some()))?.u8(VERSION)?.u8(1)?;
            writer.u8(COMMUNITY)?.bytes(self.community.as_bytes())?;
            writer.u8(2)?.str(self.peer.as_str())?.u8(3)?.bytes(self.key.as_bytes())?;
            writer.u8(4)?.bytes(self.exchange.as_bytes())?.u8(5)?.bytes(&self.nonce)?;
            if let Some(admission) = &self.admission {
                writer.u8(6)?.bytes(admission)?;
            }
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let (mut fields, community) = identity::read_head(reader)?;
            fields.expect(reader, 2)?;
            let peer = PeerName::read(reader)?;
            fields.expect(reader, 3)?;
            let key = PublicKey::from_bytes(reader.array()?);
            fields.expect(reader, 4)?;
            let exchange = ExchangePublic::from_bytes(reader.array()?);
            fields.expect(reader, 5)?;
            let nonce = reader.array()?;
            let admission = fields.take(reader, 6)?.then(|| reader.array()).transpose()?;
            fields.finish(reader)?;
            Ok(Self { community, peer, key, exchange, nonce, admission })
        };
        cbor::decode_canonical("join request", bytes, read, Self::encode)
    }
}

impl Attributed for JoinRequest {
    fn signer(&self) -> PublicKey {
        self.key
    }
}

impl Payload for JoinChallenge {
    const CONTEXT: Context = Context::JoinChallenge;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(5)?.u8(VERSION)?.u8(1)?;
            writer.u8(COMMUNITY)?.bytes(self.community.as_bytes())?;
            writer.u8(2)?.bytes(self.request.as_bytes())?;
            writer.u8(3)?.bytes(self.manager.as_bytes())?.u8(4)?.bytes(&self.nonce)?;
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let (mut fields, community) = identity::read_head(reader)?;
            fields.expect(reader, 2)?;
            let request = DocumentHash::from_bytes(reader.array()?);
            fields.expect(reader, 3)?;
            let manager = PublicKey::from_bytes(reader.array()?);
            fields.expect(reader, 4)?;
            let nonce = reader.array()?;
            fields.finish(reader)?;
            Ok(Self { community, request, manager, nonce })
        };
        cbor::decode_canonical("join challenge", bytes, read, Self::encode)
    }
}

impl Attributed for JoinChallenge {
    fn signer(&self) -> PublicKey {
        self.manager
    }
}

impl Payload for JoinAnswer {
    const CONTEXT: Context = Context::JoinAnswer;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(4 + u64::from(self.proof.is_some()))?.u8(VERSION)?.u8(1)?;
            writer.u8(COMMUNITY)?.bytes(self.community.as_bytes())?;
            writer.u8(2)?.bytes(self.challenge.as_bytes())?.u8(3)?.bytes(self.key.as_bytes())?;
            if let Some(proof) = &self.proof {
                writer.u8(4)?.bytes(proof)?;
            }
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let (mut fields, community) = identity::read_head(reader)?;
            fields.expect(reader, 2)?;
            let challenge = DocumentHash::from_bytes(reader.array()?);
            fields.expect(reader, 3)?;
            let key = PublicKey::from_bytes(reader.array()?);
            let proof = fields.take(reader, 4)?.then(|| reader.array()).transpose()?;
            fields.finish(reader)?;
            Ok(Self { community, challenge, key, proof })
        };
        cbor::decode_canonical("join answer", bytes, read, Self::encode)
    }
}

impl Attributed for JoinAnswer {
    fn signer(&self) -> PublicKey {
        self.key
    }
}

#[cfg(test)]
mod tests;
