//! Who belongs to a community at the moment.

use std::collections::BTreeMap;

use content::DecodeError;
use content::cbor::{self, Reader};
use documents::envelope::Payload;
use documents::{Context, DocumentHash, PublicKey, QuorumError, Tenure, jointly};

use crate::charter::read_number;
use crate::{Charter, CommunityId, ExchangePublic, Membership, PeerName, identity};

/// Most publishers of a community, with those that were publishers once.
pub const PUBLISHERS_MAX: usize = 256;

/// All peers of a community, by their number and hash, and its publishers by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// The community.
    pub community: CommunityId,
    /// Number of the charter under which it is signed.
    pub charter: u64,
    /// Greater than that of every roster before, from 1.
    pub number: u64,
    /// When it was signed, in seconds since 1970.
    pub issued: u64,
    /// From when on it says nothing any more, in seconds since 1970.
    pub expires: u64,
    /// How many memberships there are.
    pub count: u64,
    /// Hash over all of them: see [`digest`].
    pub members: DocumentHash,
    /// Who may send packages, or might once; at most [`PUBLISHERS_MAX`].
    pub publishers: BTreeMap<PublicKey, RosterPublisher>,
}

/// A publisher as all targets know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterPublisher {
    /// What envelopes of it are sealed with.
    pub exchange: ExchangePublic,
    /// What it is called.
    pub peer: PeerName,
    /// Which of its releases count.
    pub tenure: Tenure,
}

/// The newest roster that was accepted; kept by whoever accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RosterSeen {
    /// Its number.
    pub number: u64,
    /// Hash of its payload.
    pub hash: DocumentHash,
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
    /// that one first.
    #[error("the roster was signed under charter {found}; charter {known} is known")]
    OtherCharter {
        /// Number of the charter that is known.
        known: u64,
        /// Number in the roster.
        found: u64,
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

/// The hash over all memberships, one payload hash after the other, ascending by peer.
#[must_use]
pub fn digest<'a>(members: impl IntoIterator<Item = (&'a PeerName, DocumentHash)>) -> DocumentHash {
    let sorted: BTreeMap<_, _> = members.into_iter().collect();
    let bytes: Vec<u8> = sorted.values().flat_map(|hash| *hash.as_bytes()).collect();
    DocumentHash::of(&bytes)
}

impl Roster {
    /// What to remember of it.
    #[must_use]
    pub fn seen(&self) -> RosterSeen {
        RosterSeen { number: self.number, hash: jointly::payload_hash(self) }
    }

    /// Decides whether this roster may be used. `seen` is what was accepted last, if anything; `now`
    /// is in seconds since 1970. What was seen already is accepted again.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn accept(
        signed: &[u8],
        charter: &Charter,
        seen: Option<&RosterSeen>,
        now: u64,
    ) -> Result<Self, RosterError> {
        let claimed: Self = jointly::peek(signed).map_err(QuorumError::from)?;
        if claimed.community != charter.community {
            let (expected, found) = (charter.community, claimed.community);
            return Err(RosterError::OtherCommunity { expected, found });
        }
        if claimed.charter != charter.number {
            let (known, found) = (charter.number, claimed.charter);
            return Err(RosterError::OtherCharter { known, found });
        }
        let roster: Self = jointly::open(signed, &charter.managers)?;
        let offered = roster.seen();
        match seen {
            Some(seen) if offered.number < seen.number => {
                return Err(RosterError::Replayed { seen: seen.number, offered: offered.number });
            }
            Some(seen) if offered.number == seen.number && offered.hash != seen.hash => {
                return Err(RosterError::Forked { number: seen.number });
            }
            Some(_) | None => {}
        }
        if roster.expires <= now {
            return Err(RosterError::Expired { expires: roster.expires, now });
        }
        Ok(roster)
    }

    /// Whether these are all memberships of the community: none left out, none slipped in. Each peer
    /// must be there once.
    ///
    /// # Errors
    /// They are not.
    pub fn check_members<'a>(
        &self,
        members: impl IntoIterator<Item = &'a Membership>,
    ) -> Result<(), RosterError> {
        let mut found = 0;
        let hashes = members.into_iter().inspect(|_| found += 1).map(|it| (&it.peer, it.hash()));
        let is_same = digest(hashes) == self.members;
        if is_same && found == self.count {
            return Ok(());
        }
        Err(RosterError::OtherMembers { expected: self.count, found })
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

/// How [`Tenure::Current`] is written; releases are numbered from 1.
const NO_LAST: u64 = 0;

impl Payload for Roster {
    const CONTEXT: Context = Context::Roster;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(8)?.u8(VERSION)?.u8(1)?;
            writer.u8(COMMUNITY)?.bytes(self.community.as_bytes())?;
            writer.u8(CHARTER)?.u64(self.charter)?.u8(NUMBER)?.u64(self.number)?;
            writer.u8(ISSUED)?.u64(self.issued)?.u8(EXPIRES)?.u64(self.expires)?;
            writer.u8(MEMBERS)?.array(2)?.u64(self.count)?.bytes(self.members.as_bytes())?;
            writer.u8(PUBLISHERS)?.array(self.publishers.len() as u64)?;
            for (key, publisher) in &self.publishers {
                let last = match publisher.tenure {
                    Tenure::Current => NO_LAST,
                    Tenure::Until(last) => last,
                };
                writer.array(4)?.bytes(key.as_bytes())?.bytes(publisher.exchange.as_bytes())?;
                writer.str(publisher.peer.as_str())?.u64(last)?;
            }
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let (mut fields, community) = identity::read_head(reader)?;
            fields.expect(reader, CHARTER)?;
            let charter = read_number(reader)?;
            fields.expect(reader, NUMBER)?;
            let number = read_number(reader)?;
            fields.expect(reader, ISSUED)?;
            let issued = reader.u64()?;
            fields.expect(reader, EXPIRES)?;
            let expires = reader.u64()?;
            fields.expect(reader, MEMBERS)?;
            reader.array_of(2)?;
            let (count, members) = (reader.u64()?, DocumentHash::from_bytes(reader.array()?));
            fields.expect(reader, PUBLISHERS)?;
            let publishers = read_publishers(reader)?;
            fields.finish(reader)?;
            Ok(Self { community, charter, number, issued, expires, count, members, publishers })
        };
        cbor::decode_canonical("roster", bytes, read, Self::encode)
    }
}

fn read_publishers(
    reader: &mut Reader<'_>,
) -> Result<BTreeMap<PublicKey, RosterPublisher>, DecodeError> {
    let count = reader.items()?;
    if count > PUBLISHERS_MAX as u64 {
        return Err(reader.invalid(format!("{count} publishers")));
    }
    let mut publishers = BTreeMap::new();
    for _ in 0..count {
        reader.array_of(4)?;
        let key = PublicKey::from_bytes(reader.array()?);
        let exchange = ExchangePublic::from_bytes(reader.array()?);
        let peer = PeerName::read(reader)?;
        let tenure = match reader.u64()? {
            NO_LAST => Tenure::Current,
            last => Tenure::Until(last),
        };
        publishers.insert(key, RosterPublisher { exchange, peer, tenure });
    }
    Ok(publishers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{NOW, charter, key, membership, roster};

    fn accept(roster: &Roster, seen: Option<&RosterSeen>) -> Result<Roster, RosterError> {
        Roster::accept(&jointly::sign(roster, [&key(1)]), &charter(), seen, NOW)
    }

    #[test]
    fn a_roster_is_of_its_community_its_charter_and_its_managers() {
        let base = roster();
        assert_eq!(accept(&base, None), Ok(base.clone()));
        assert_eq!(accept(&base, Some(&base.seen())), Ok(base.clone()), "again");
        let other = CommunityId::from_bytes([9; 16]);
        let refused = accept(&Roster { community: other, ..base.clone() }, None);
        assert!(matches!(refused, Err(RosterError::OtherCommunity { .. })));
        let refused = accept(&Roster { charter: 2, ..base.clone() }, None);
        assert_eq!(refused, Err(RosterError::OtherCharter { known: 1, found: 2 }));
        let forged = Roster::accept(&jointly::sign(&base, [&key(2)]), &charter(), None, NOW);
        let too_few = QuorumError::TooFew { found: 0, needed: 1 };
        assert_eq!(forged, Err(RosterError::Signatures(too_few)));
    }

    /// What a hub that holds back or forks gains: nothing but time until the roster expires.
    #[test]
    fn an_older_another_and_an_expired_roster_are_refused() {
        let base = roster();
        let newer = Roster { number: base.number + 1, ..base.clone() };
        let replayed = RosterError::Replayed { seen: newer.number, offered: base.number };
        assert_eq!(accept(&base, Some(&newer.seen())), Err(replayed));
        let other = Roster { count: 9, ..base.clone() };
        let forked = RosterError::Forked { number: base.number };
        assert_eq!(accept(&other, Some(&base.seen())), Err(forked));
        let expired = Roster { expires: NOW, ..base.clone() };
        assert_eq!(accept(&expired, None), Err(RosterError::Expired { expires: NOW, now: NOW }));
        assert_eq!(accept(&newer, Some(&base.seen())), Ok(newer));
    }

    #[test]
    fn nobody_is_left_out_slipped_in_or_altered() {
        let members = ["a", "b", "c"].map(|name| membership(name, 5));
        let of = |members: &[Membership]| Roster {
            count: members.len() as u64,
            members: digest(members.iter().map(|it| (&it.peer, it.hash()))),
            ..roster()
        };
        let whole = of(&members);
        let [a, b, c] = &members;
        assert_eq!(whole.check_members([c, a, b]), Ok(()), "in any order");
        let altered = Membership { labels: BTreeMap::new(), ..b.clone() };
        let more = membership("d", 5);
        for wrong in [vec![a, b], vec![a, b, c, &more], vec![a, &altered, c], vec![a, b, c, c]] {
            let found = wrong.len() as u64;
            let error = RosterError::OtherMembers { expected: 3, found };
            assert_eq!(whole.check_members(wrong), Err(error));
        }
        assert_eq!(of(&[]).check_members([]), Ok(()));
    }

    #[test]
    fn impossible_rosters_do_not_decode() {
        let base = roster();
        let many = (0..=PUBLISHERS_MAX).map(|index| {
            let mut bytes = [9; 32];
            bytes[..8].copy_from_slice(&(index as u64).to_be_bytes());
            let publisher = base.publishers.values().next().expect("one").clone();
            (PublicKey::from_bytes(bytes), publisher)
        });
        for wrong in [
            Roster { number: 0, ..base.clone() },
            Roster { charter: 0, ..base.clone() },
            Roster { publishers: many.collect(), ..base.clone() },
        ] {
            assert!(Roster::decode(&wrong.encode()).is_err());
        }
        assert_eq!(Roster::decode(&base.encode()), Ok(base));
    }
}
