//! A change that several managers have to sign, on its way from one to the next.
//!
//! It carries the documents with the signatures they have so far, and everything that differs from
//! the roster before. What it says of itself counts for nothing: whoever is to sign, or hands it in,
//! holds it against the community as it stands, see [`Proposal::review`].

mod review;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use content::DecodeError;
use content::cbor::{self, Reader};
use documents::envelope::Payload;
use documents::{DocumentHash, NodeKey, PublicKey, Quorum, QuorumError, jointly};

pub use self::review::{
    Basis, CHARTER_LIFETIME_MAX_S, ProposalError, ROSTER_LIFETIME_MAX_S, Review,
};
use crate::charter::read_number;
use crate::{Charter, CommunityId, Membership, PeerName, Roster, RosterSeen, identity};

const PREFIX: &str = "consign-proposal-1:";

/// The longest proposal as text, in bytes: what a hub takes of one change.
pub const PROPOSAL_BYTES_MAX: usize = 16 << 20;

/// A document and its bytes with the signatures so far, of which none is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signed<P> {
    document: P,
    bytes: Vec<u8>,
}

impl<P: Payload> Signed<P> {
    fn new(document: P, key: &NodeKey) -> Self {
        let bytes = jointly::sign(&document, [key]);
        Self { document, bytes }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = reader.bytes()?.to_vec();
        let document = jointly::peek(&bytes).map_err(|error| reader.invalid(error.to_string()))?;
        Ok(Self { document, bytes })
    }

    fn add(&mut self, key: &NodeKey, quorums: &[&Quorum]) -> Result<(), QuorumError> {
        self.bytes = jointly::add_signature::<P>(&self.bytes, key, quorums)?;
        Ok(())
    }

    /// Those of a quorum whose signatures fit.
    fn signers(&self, quorum: &Quorum) -> BTreeSet<PublicKey> {
        let alone = |key| Quorum { keys: [key].into(), threshold: 1 };
        let signed = |key: &PublicKey| jointly::signers::<P>(&self.bytes, &alone(*key)) == Ok(1);
        quorum.keys.iter().copied().filter(signed).collect()
    }
}

/// A next roster, and with it perhaps a next charter, that not all have signed who have to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    community: CommunityId,
    base: Option<RosterSeen>,
    charter: Option<Signed<Charter>>,
    roster: Signed<Roster>,
    members: BTreeMap<PeerName, Membership>,
    removed: BTreeSet<PeerName>,
}

/// How far the collecting of signatures is. A manager who signs signs all documents at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Who has signed, as far as it counts.
    pub signed: BTreeSet<PublicKey>,
    /// Who may and has not.
    pub open: BTreeSet<PublicKey>,
    /// How many signatures are missing at least.
    pub missing: usize,
}

/// A text that is no proposal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseProposalError {
    /// It does not begin as one does. Take the whole file.
    #[error("it does not begin with {PREFIX}")]
    Prefix,
    /// It is longer than any proposal; it was not read.
    #[error("a proposal of {0} bytes; none is longer than {PROPOSAL_BYTES_MAX}")]
    TooLarge(usize),
    /// Characters are missing or altered. Copy the file again, whole.
    #[error("it is cut short or altered")]
    Text,
    /// It holds something else than a proposal, or one of a newer version.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

/// What a proposal is made of.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The roster it follows; none where there was none.
    pub base: Option<RosterSeen>,
    /// The next charter, when who manages changes.
    pub charter: Option<Charter>,
    /// The next roster.
    pub roster: Roster,
    /// Memberships that are new or altered.
    pub members: BTreeMap<PeerName, Membership>,
    /// Peers that are taken out.
    pub removed: BTreeSet<PeerName>,
}

impl Proposal {
    /// Makes a proposal with its first signature.
    #[must_use]
    pub fn new(draft: Draft, key: &NodeKey) -> Self {
        let Draft { base, charter, roster, members, removed } = draft;
        let community = roster.community;
        let charter = charter.map(|charter| Signed::new(charter, key));
        let roster = Signed::new(roster, key);
        Self { community, base, charter, roster, members, removed }
    }

    /// The community, by its own word.
    #[must_use]
    pub const fn community(&self) -> CommunityId {
        self.community
    }

    /// What it is known by, whoever has signed it so far: the hash of the roster's payload, which names
    /// the charter and counts the members.
    #[must_use]
    pub fn id(&self) -> DocumentHash {
        jointly::payload_hash(&self.roster.document)
    }

    /// The next roster.
    #[must_use]
    pub const fn roster(&self) -> &Roster {
        &self.roster.document
    }

    /// The next roster with the signatures so far.
    #[must_use]
    pub fn signed_roster(&self) -> &[u8] {
        &self.roster.bytes
    }

    /// The next charter; none when who manages stays.
    #[must_use]
    pub fn charter(&self) -> Option<&Charter> {
        self.charter.as_ref().map(|charter| &charter.document)
    }

    /// The next charter with the signatures so far.
    #[must_use]
    pub fn signed_charter(&self) -> Option<&[u8]> {
        self.charter.as_ref().map(|charter| &charter.bytes[..])
    }

    /// Memberships that are new or altered.
    #[must_use]
    pub const fn members(&self) -> &BTreeMap<PeerName, Membership> {
        &self.members
    }

    /// Peers that are taken out.
    #[must_use]
    pub const fn removed(&self) -> &BTreeSet<PeerName> {
        &self.removed
    }

    /// The charter in force once it was handed in; `now` is the one in force until then.
    #[must_use]
    pub fn charter_then<'a>(&'a self, now: &'a Charter) -> &'a Charter {
        self.charter().unwrap_or(now)
    }

    /// Adds a manager's signature to what that manager may sign. [`Proposal::review`] it before.
    ///
    /// # Errors
    /// The documents are none, or have as many signatures as there can be.
    pub fn sign(&mut self, key: &NodeKey, now: &Charter) -> Result<(), QuorumError> {
        let then = self.charter_then(now).managers.clone();
        let public = key.public();
        if let Some(charter) = &mut self.charter
            && (now.managers.keys.contains(&public) || then.keys.contains(&public))
        {
            charter.add(key, &[&now.managers, &then])?;
        }
        if then.keys.contains(&public) {
            self.roster.add(key, &[&then])?;
        }
        Ok(())
    }

    /// How far it is, where `now` is the charter in force.
    #[must_use]
    pub fn progress(&self, now: &Charter) -> Progress {
        let then = &self.charter_then(now).managers;
        let on_roster = self.roster.signers(then);
        let mut missing = then.threshold.saturating_sub(on_roster.len());
        let (mut signed, mut may) = (on_roster, then.keys.clone());
        if let Some(charter) = self.charter.as_ref().filter(|it| it.document != *now) {
            may.extend(&now.managers.keys);
            for quorum in [&now.managers, then] {
                let signers = charter.signers(quorum);
                missing = missing.max(quorum.threshold.saturating_sub(signers.len()));
                signed.extend(signers);
            }
        }
        let open = may.difference(&signed).copied().collect();
        Progress { signed, open, missing }
    }

    fn encode(&self) -> Vec<u8> {
        let options = [self.base.is_some(), self.charter.is_some()];
        let options = options.into_iter().filter(|it| *it).count() as u64;
        cbor::encode(|writer| {
            writer.map(5 + options)?.u8(VERSION)?.u8(1)?;
            writer.u8(COMMUNITY)?.bytes(self.community.as_bytes())?;
            if let Some(base) = &self.base {
                writer.u8(BASE)?.array(3)?.u64(base.charter)?.u64(base.number)?;
                writer.bytes(base.hash.as_bytes())?;
            }
            if let Some(charter) = &self.charter {
                writer.u8(CHARTER)?.bytes(&charter.bytes)?;
            }
            writer.u8(ROSTER)?.bytes(&self.roster.bytes)?;
            writer.u8(MEMBERS)?.array(self.members.len() as u64)?;
            for member in self.members.values() {
                writer.bytes(&member.encode())?;
            }
            writer.u8(REMOVED)?.array(self.removed.len() as u64)?;
            for peer in &self.removed {
                writer.str(peer.as_str())?;
            }
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let (mut fields, community) = identity::read_head(reader)?;
            let base = if fields.take(reader, BASE)? { Some(read_base(reader)?) } else { None };
            let charter =
                if fields.take(reader, CHARTER)? { Some(Signed::read(reader)?) } else { None };
            fields.expect(reader, ROSTER)?;
            let roster = Signed::read(reader)?;
            fields.expect(reader, MEMBERS)?;
            // Ascending and each once: anything else is not what encoding them again gives.
            let mut members = BTreeMap::new();
            for _ in 0..reader.items()? {
                let member = Membership::decode(reader.bytes()?)?;
                members.insert(member.peer.clone(), member);
            }
            fields.expect(reader, REMOVED)?;
            let mut removed = BTreeSet::new();
            for _ in 0..reader.items()? {
                removed.insert(PeerName::read(reader)?);
            }
            fields.finish(reader)?;
            Ok(Self { community, base, charter, roster, members, removed })
        };
        cbor::decode_canonical("proposal", bytes, read, Self::encode)
    }
}

const VERSION: u8 = 0;
const COMMUNITY: u8 = 1;
const BASE: u8 = 2;
const CHARTER: u8 = 3;
const ROSTER: u8 = 4;
const MEMBERS: u8 = 5;
const REMOVED: u8 = 6;

fn read_base(reader: &mut Reader<'_>) -> Result<RosterSeen, DecodeError> {
    reader.array_of(3)?;
    let (charter, number) = (read_number(reader)?, read_number(reader)?);
    Ok(RosterSeen { charter, number, hash: DocumentHash::from_bytes(reader.array()?) })
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.encode()))
    }
}

impl FromStr for Proposal {
    type Err = ParseProposalError;

    /// Accepts a file's text: white space around the line is nothing.
    fn from_str(text: &str) -> Result<Self, ParseProposalError> {
        let text = text.trim();
        if text.len() > PROPOSAL_BYTES_MAX {
            return Err(ParseProposalError::TooLarge(text.len()));
        }
        let coded = text.strip_prefix(PREFIX).ok_or(ParseProposalError::Prefix)?;
        let bytes = URL_SAFE_NO_PAD.decode(coded).map_err(|_| ParseProposalError::Text)?;
        Ok(Self::decode(&bytes)?)
    }
}
