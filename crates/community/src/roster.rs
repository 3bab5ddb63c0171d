//! Who belongs to a community at the moment.

use std::collections::{BTreeMap, BTreeSet};

use content::DecodeError;
use content::cbor::{self, Reader};
use documents::envelope::{self, Attributed, Payload};
use documents::{Context, DocumentError, DocumentHash, NodeKey, PublicKey, QuorumError, jointly};

use crate::charter::read_number;
use crate::tree::{self, Inclusion, TreeHash};
use crate::{Charter, CommunityId, ExchangePublic, Membership, PeerName, identity};

/// Most publishers of a community.
pub const PUBLISHERS_MAX: usize = 256;
/// Most keys that may renew a roster.
pub const RENEWERS_MAX: usize = 8;

/// All peers of a community, by their number and the root of the tree over them, and its publishers
/// by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// The community.
    pub community: CommunityId,
    /// The charter under which it is signed: its number and its hash.
    pub charter: (u64, DocumentHash),
    /// From 1 under each charter, greater than that of every roster before under the same.
    pub number: u64,
    /// When it was signed, in seconds since 1970.
    pub issued: u64,
    /// From when on it says nothing any more, in seconds since 1970.
    pub expires: u64,
    /// How many memberships there are.
    pub count: u64,
    /// Root of the tree over all of them: see [`members_root`].
    pub members: TreeHash,
    /// Who may send packages; at most [`PUBLISHERS_MAX`].
    pub publishers: BTreeMap<PublicKey, RosterPublisher>,
    /// Who may say that it is still the newest; at most [`RENEWERS_MAX`]. Where there is nobody, it
    /// counts until it expires.
    pub renewers: BTreeSet<PublicKey>,
}

/// A publisher as all targets know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterPublisher {
    /// What envelopes of it are sealed with.
    pub exchange: ExchangePublic,
    /// What it is called.
    pub peer: PeerName,
}

/// Says for a while that a roster is still the newest, so that managers who have to sign together
/// need not do so every few days. It is signed by one key, which can do nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The community.
    pub community: CommunityId,
    /// Who signs.
    pub renewer: PublicKey,
    /// Hash of the roster's payload.
    pub roster: DocumentHash,
    /// When it was signed, in seconds since 1970.
    pub issued: u64,
    /// From when on it says nothing any more, in seconds since 1970.
    pub expires: u64,
}

/// The newest roster that was accepted; kept by whoever accepts. A later charter comes first, then the
/// number under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RosterSeen {
    /// Number of its charter.
    pub charter: u64,
    /// Its number.
    pub number: u64,
    /// Hash of its payload.
    pub hash: DocumentHash,
}

/// A roster that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentRoster {
    /// The roster.
    pub roster: Roster,
    /// From when on it may not, in seconds since 1970.
    pub until: u64,
}

/// Why a roster, or a list of members, was refused. Ask another source unless the variant says
/// otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// It is no roster, or not enough managers signed it.
    #[error(transparent)]
    Signatures(#[from] QuorumError),
    /// It is of another community.
    #[error("a roster of {found} was offered for {expected}")]
    OtherCommunity {
        /// The community that was asked for.
        expected: CommunityId,
        /// The one in the roster.
        found: CommunityId,
    },
    /// It was signed under another charter than the one that is known. Ask for the charters after
    /// that one; when it is the roster that is older, wait for one under the new charter.
    #[error("the roster was signed under charter {found}; charter {known} is known")]
    OtherCharter {
        /// Number of the charter that is known.
        known: u64,
        /// Number in the roster.
        found: u64,
    },
    /// It was signed under another charter of the same number. Managers' keys are in the wrong hands:
    /// speak with the managers.
    #[error("the roster was signed under another charter {number}")]
    ForkedCharter {
        /// The number both have.
        number: u64,
    },
    /// The charter has expired. The managers have to sign a new one; check this machine's clock.
    #[error("the charter expired at {expires}; now is {now}")]
    CharterExpired {
        /// When it expired, in seconds since 1970.
        expires: u64,
        /// The time of the check.
        now: u64,
    },
    /// The community has ended: its managers signed that no roster counts any more. There is nothing to
    /// do; what was carried out stays as it is.
    #[error("the community ended with charter {number}")]
    Ended {
        /// Number of its last charter.
        number: u64,
    },
    /// A newer roster was seen already.
    #[error("roster {offered} is offered, but {seen} was seen already")]
    Replayed {
        /// Number of the newest roster seen.
        seen: u64,
        /// Number of the one offered.
        offered: u64,
    },
    /// There are two rosters of one number, both signed. A manager's key is in two places or in the
    /// wrong hands: speak with the managers.
    #[error("there are two rosters {number}")]
    Forked {
        /// The number both have.
        number: u64,
    },
    /// It has expired, so there may be newer ones that are being hidden. The managers have to sign it
    /// anew; check this machine's clock.
    #[error("the roster expired at {expires}; now is {now}")]
    Expired {
        /// When it expired, in seconds since 1970.
        expires: u64,
        /// The time of the check.
        now: u64,
    },
    /// Nobody who may says that it is still the newest. A manager's node has to be started, or the
    /// newest renewal is being hidden.
    #[error("roster {number} is not known to be the newest: {why}")]
    NotRenewed {
        /// Its number.
        number: u64,
        /// What is wrong with the renewal.
        why: String,
    },
    /// The memberships that came with it are not those that its managers counted: somebody is left
    /// out, slipped in or altered.
    #[error("{found} memberships were offered that are not the {expected} of the roster")]
    OtherMembers {
        /// How many there should be.
        expected: u64,
        /// How many came.
        found: u64,
    },
}

/// Why a membership was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// It is no membership at all. Ask another source.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// It is of another community, or the roster does not count it. Ask another source.
    #[error("the membership of {0} is not in the roster")]
    NotInRoster(PeerName),
    /// It is that of other keys: the peer was given to another machine. Join anew.
    #[error("the membership of {0} is that of another machine")]
    OtherKeys(PeerName),
}

/// The root of the tree over these memberships, as they are encoded, ascending by peer.
#[must_use]
pub fn members_root<'a>(sorted: impl IntoIterator<Item = &'a [u8]>) -> TreeHash {
    tree::root(&sorted.into_iter().map(tree::leaf).collect::<Vec<_>>())
}

/// Opens the membership of the machine with these keys, which a current roster counts.
///
/// # Errors
/// It does not, or the membership is another machine's.
pub fn accept_membership(
    membership: &[u8],
    inclusion: &Inclusion,
    roster: &Roster,
    keys: (&PublicKey, &ExchangePublic),
) -> Result<Membership, MembershipError> {
    let opened = Membership::decode(membership)?;
    let counted = inclusion.shows(tree::leaf(membership), roster.count, &roster.members);
    if opened.community != roster.community || !counted {
        return Err(MembershipError::NotInRoster(opened.peer));
    }
    if (&opened.key, &opened.exchange) != keys {
        return Err(MembershipError::OtherKeys(opened.peer));
    }
    Ok(opened)
}

impl Roster {
    /// What to remember of it.
    #[must_use]
    pub fn seen(&self) -> RosterSeen {
        let hash = jointly::payload_hash(self);
        RosterSeen { charter: self.charter.0, number: self.number, hash }
    }

    /// Opens a roster that the managers of `charter` signed, however old it is.
    ///
    /// # Errors
    /// They did not.
    pub fn open(signed: &[u8], charter: &Charter) -> Result<Self, RosterError> {
        let claimed: Self = jointly::peek(signed).map_err(QuorumError::from)?;
        if claimed.community != charter.community {
            let (expected, found) = (charter.community, claimed.community);
            return Err(RosterError::OtherCommunity { expected, found });
        }
        let (known, found) = (charter.number, claimed.charter.0);
        if known != found {
            return Err(RosterError::OtherCharter { known, found });
        }
        if claimed.charter.1 != charter.hash() {
            return Err(RosterError::ForkedCharter { number: known });
        }
        Ok(jointly::open(signed, &charter.managers)?)
    }

    /// Decides whether this roster may be used. `renewal` came with it; `seen` is what was accepted
    /// last, if anything; `now` is in seconds since 1970. What was seen already is accepted again.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn accept(
        signed: &[u8],
        renewal: Option<&[u8]>,
        charter: &Charter,
        seen: Option<&RosterSeen>,
        now: u64,
    ) -> Result<CurrentRoster, RosterError> {
        if charter.ended {
            return Err(RosterError::Ended { number: charter.number });
        }
        let roster = Self::open(signed, charter)?;
        let offered = roster.seen();
        if let Some(seen) = seen {
            let order = (offered.charter, offered.number).cmp(&(seen.charter, seen.number));
            if order.is_lt() {
                return Err(RosterError::Replayed { seen: seen.number, offered: offered.number });
            }
            if order.is_eq() && offered.hash != seen.hash {
                return Err(RosterError::Forked { number: seen.number });
            }
        }
        if charter.expires <= now {
            return Err(RosterError::CharterExpired { expires: charter.expires, now });
        }
        if roster.expires <= now {
            return Err(RosterError::Expired { expires: roster.expires, now });
        }
        let mut until = roster.expires.min(charter.expires);
        if !roster.renewers.is_empty() {
            let number = roster.number;
            let renewed = Renewal::accept(renewal, &roster, &offered.hash, now);
            until = until.min(renewed.map_err(|why| RosterError::NotRenewed { number, why })?);
        }
        Ok(CurrentRoster { roster, until })
    }

    /// Whether these are all memberships of the community, as they are encoded, ascending by peer:
    /// none left out, none slipped in.
    ///
    /// # Errors
    /// They are not.
    pub fn check_members<'a>(
        &self,
        sorted: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), RosterError> {
        let leaves: Vec<_> = sorted.into_iter().map(tree::leaf).collect();
        let found = leaves.len() as u64;
        if found == self.count && tree::root(&leaves) == self.members {
            return Ok(());
        }
        Err(RosterError::OtherMembers { expected: self.count, found })
    }
}

impl Renewal {
    /// Signs the renewal with the renewer's key.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    /// Verifies that the key in it signed this renewal, and decodes it.
    ///
    /// # Errors
    /// Anything that is not exactly such a document.
    pub fn open(signed: &[u8]) -> Result<Self, DocumentError> {
        envelope::open(signed, &envelope::peek::<Self>(signed)?.renewer)
    }

    /// Until when the roster counts by this renewal; else what is wrong, for people.
    fn accept(
        signed: Option<&[u8]>,
        roster: &Roster,
        hash: &DocumentHash,
        now: u64,
    ) -> Result<u64, String> {
        let signed = signed.ok_or("no renewal came with it")?;
        let renewal = Self::open(signed).map_err(|error| error.to_string())?;
        if !roster.renewers.contains(&renewal.renewer) {
            return Err(format!("{} renewed it, who may not", renewal.renewer));
        }
        if (&renewal.community, &renewal.roster) != (&roster.community, hash) {
            return Err("the renewal is of another roster".to_owned());
        }
        if renewal.expires <= now {
            return Err(format!("the renewal expired at {}; now is {now}", renewal.expires));
        }
        Ok(renewal.expires)
    }
}

const VERSION: u8 = 0;
const COMMUNITY: u8 = 1;
const CHARTER: u8 = 2;
const NUMBER: u8 = 3;
const ISSUED: u8 = 4;
const EXPIRES: u8 = 5;
const MEMBERS: u8 = 6;
const PUBLISHERS: u8 = 7;
const RENEWERS: u8 = 8;

impl Payload for Roster {
    const CONTEXT: Context = Context::Roster;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(9)?.u8(VERSION)?.u8(1)?;
            writer.u8(COMMUNITY)?.bytes(self.community.as_bytes())?;
            let (number, hash) = &self.charter;
            writer.u8(CHARTER)?.array(2)?.u64(*number)?.bytes(hash.as_bytes())?;
            writer.u8(NUMBER)?.u64(self.number)?;
            writer.u8(ISSUED)?.u64(self.issued)?.u8(EXPIRES)?.u64(self.expires)?;
            writer.u8(MEMBERS)?.array(2)?.u64(self.count)?.bytes(&self.members)?;
            writer.u8(PUBLISHERS)?.array(self.publishers.len() as u64)?;
            for (key, publisher) in &self.publishers {
                writer.array(3)?.bytes(key.as_bytes())?.bytes(publisher.exchange.as_bytes())?;
                writer.str(publisher.peer.as_str())?;
            }
            writer.u8(RENEWERS)?.array(self.renewers.len() as u64)?;
            for key in &self.renewers {
                writer.bytes(key.as_bytes())?;
            }
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let (mut fields, community) = identity::read_head(reader)?;
            fields.expect(reader, CHARTER)?;
            reader.array_of(2)?;
            let charter = (read_number(reader)?, DocumentHash::from_bytes(reader.array()?));
            fields.expect(reader, NUMBER)?;
            let number = read_number(reader)?;
            fields.expect(reader, ISSUED)?;
            let issued = reader.u64()?;
            fields.expect(reader, EXPIRES)?;
            let expires = reader.u64()?;
            fields.expect(reader, MEMBERS)?;
            reader.array_of(2)?;
            let (count, members) = (reader.u64()?, reader.array()?);
            fields.expect(reader, PUBLISHERS)?;
            let publishers = read_publishers(reader)?;
            fields.expect(reader, RENEWERS)?;
            let renewers = read_renewers(reader)?;
            fields.finish(reader)?;
            Ok(Self {
                community,
                charter,
                number,
                issued,
                expires,
                count,
                members,
                publishers,
                renewers,
            })
        };
        cbor::decode_canonical("roster", bytes, read, Self::encode)
    }
}

/// Keys ascend here and below: anything else is not what encoding them again gives.
fn read_publishers(
    reader: &mut Reader<'_>,
) -> Result<BTreeMap<PublicKey, RosterPublisher>, DecodeError> {
    let count = reader.items()?;
    if count > PUBLISHERS_MAX as u64 {
        return Err(reader.invalid(format!("{count} publishers")));
    }
    let mut publishers = BTreeMap::new();
    for _ in 0..count {
        reader.array_of(3)?;
        let key = PublicKey::from_bytes(reader.array()?);
        let exchange = ExchangePublic::from_bytes(reader.array()?);
        let peer = PeerName::read(reader)?;
        publishers.insert(key, RosterPublisher { exchange, peer });
    }
    Ok(publishers)
}

fn read_renewers(reader: &mut Reader<'_>) -> Result<BTreeSet<PublicKey>, DecodeError> {
    let count = reader.items()?;
    if count > RENEWERS_MAX as u64 {
        return Err(reader.invalid(format!("{count} renewers")));
    }
    (0..count).map(|_| Ok(PublicKey::from_bytes(reader.array()?))).collect()
}

impl Payload for Renewal {
    const CONTEXT: Context = Context::Renewal;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(6)?.u8(VERSION)?.u8(1)?;
            writer.u8(COMMUNITY)?.bytes(self.community.as_bytes())?;
            writer.u8(2)?.bytes(self.renewer.as_bytes())?;
            writer.u8(3)?.bytes(self.roster.as_bytes())?;
            writer.u8(4)?.u64(self.issued)?.u8(5)?.u64(self.expires)?;
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let (mut fields, community) = identity::read_head(reader)?;
            fields.expect(reader, 2)?;
            let renewer = PublicKey::from_bytes(reader.array()?);
            fields.expect(reader, 3)?;
            let roster = DocumentHash::from_bytes(reader.array()?);
            fields.expect(reader, 4)?;
            let issued = reader.u64()?;
            fields.expect(reader, 5)?;
            let expires = reader.u64()?;
            fields.finish(reader)?;
            Ok(Self { community, renewer, roster, issued, expires })
        };
        cbor::decode_canonical("renewal", bytes, read, Self::encode)
    }
}

impl Attributed for Renewal {
    fn signer(&self) -> PublicKey {
        self.renewer
    }
}

#[cfg(test)]
mod tests;
