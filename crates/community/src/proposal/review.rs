//! A proposal held against the community as it stands: what it would change, or why it is refused.

use std::collections::{BTreeMap, BTreeSet};

use documents::PublicKey;

use super::Proposal;
use crate::roster::members_root;
use crate::{
    Charter, CharterError, CommunityId, Membership, PeerName, Role, RosterError, RosterPublisher,
    RosterSeen,
};

/// How long after a review a charter may count at most, in seconds: three years. Nobody is to sign away
/// that keys which were lost unseen end.
pub const CHARTER_LIFETIME_MAX_S: u64 = 3 * 365 * 86_400;
/// How long after a review a roster may count at most, in seconds: a hundred days.
pub const ROSTER_LIFETIME_MAX_S: u64 = 100 * 86_400;

/// A community as the one who reviews knows it, all of it verified.
#[derive(Debug, Clone)]
pub struct Basis {
    /// The charter in force.
    pub charter: Charter,
    /// The roster in force; it is of the charter before while there is none of this one yet.
    pub roster: Option<RosterSeen>,
    /// All memberships that it counts.
    pub members: BTreeMap<PeerName, Membership>,
}

/// What a proposal changes. Everything in its documents either is here, stays as it was, or follows from
/// this by a rule that the review has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The charter it puts in force; none when who manages stays.
    pub charter: Option<Charter>,
    /// Peers that are new.
    pub added: Vec<Membership>,
    /// Peers that are taken out.
    pub removed: Vec<Membership>,
    /// Peers that change: before and after.
    pub altered: Vec<(Membership, Membership)>,
    /// All memberships then.
    pub members: BTreeMap<PeerName, Membership>,
    /// Who may renew the roster then.
    pub renewers: BTreeSet<PublicKey>,
    /// From when on nobody can hand it in, and the roster does not count, in seconds since 1970.
    pub expires: u64,
}

/// Why a proposal is not to be signed or handed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposalError {
    /// It is of another community. Name that one.
    #[error("it is of the community {found}, not of {expected}")]
    OtherCommunity {
        /// The community that was meant.
        expected: CommunityId,
        /// The one it is of.
        found: CommunityId,
    },
    /// It was handed in already. There is nothing left to do.
    #[error("it is in force already")]
    InForce,
    /// Another change came in between. Make it again, on what is in force now.
    #[error("it was overtaken: {known} is in force, and it follows {follows}")]
    Overtaken {
        /// What is in force.
        known: String,
        /// What it follows.
        follows: String,
    },
    /// It follows a roster or charter that is not known here. The hub may be hiding that one: ask the
    /// manager who made the proposal what it follows, and try again later.
    #[error("it follows {follows}, and {known} is the newest that is known here")]
    Ahead {
        /// What is in force.
        known: String,
        /// What it follows.
        follows: String,
    },
    /// It follows another roster of the number of the one in force. A manager's key is in two places or
    /// in the wrong hands: speak with the managers.
    #[error("it follows another roster {0} than the one that is in force")]
    Forked(u64),
    /// The charter in it does not follow the one in force.
    #[error("its charter is refused")]
    Charter(#[from] CharterError),
    /// The roster in it is not of its charter.
    #[error("its roster is refused")]
    Roster(#[from] RosterError),
    /// Its time is over. Make it again.
    #[error("it expired at {expires}; now is {now}")]
    Expired {
        /// When it expired, in seconds since 1970.
        expires: u64,
        /// The time of the review.
        now: u64,
    },
    /// It would count for longer than any change is to. It was not made by this program.
    #[error("it would count until {expires}, which is too long")]
    TooLong {
        /// Until when, in seconds since 1970.
        expires: u64,
    },
    /// What it does is not what it says: it was altered on its way, or whoever made it has something
    /// else in mind. Do not sign; ask for it again by another way.
    #[error("it does not do what it says: {0}")]
    Untrue(String),
}

impl Proposal {
    /// Holds the proposal against the community as it stands at `now`, in seconds since 1970, whoever
    /// has signed it so far: what it would change.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn review(&self, basis: &Basis, now: u64) -> Result<Review, ProposalError> {
        let charter = &basis.charter;
        if self.community != charter.community {
            let (expected, found) = (charter.community, self.community);
            return Err(ProposalError::OtherCommunity { expected, found });
        }
        let next = self.review_charter(charter, now)?;
        self.review_base(basis)?;
        self.review_roster(basis, next.as_ref().unwrap_or(charter), now)?;
        let ends = next.as_ref().is_some_and(|next| next.ended);
        if ends && !(self.members.is_empty() && self.removed.is_empty()) {
            return Err(untrue("it ends the community and changes who belongs to it"));
        }
        let members = self.apply(basis)?;
        let encoded: Vec<Vec<u8>> = members.values().map(Membership::encode).collect();
        self.roster().check_members(encoded.iter().map(Vec::as_slice)).map_err(|_| {
            untrue("the peers that its roster counts are not those of today with its changes")
        })?;
        if self.roster().publishers != publishers(&members) {
            return Err(untrue("its roster lets others publish than its peers with that role"));
        }
        let mut review = Review {
            charter: next,
            added: Vec::new(),
            removed: self.removed.iter().filter_map(|it| basis.members.get(it).cloned()).collect(),
            altered: Vec::new(),
            members,
            renewers: self.roster().renewers.clone(),
            expires: self.roster().expires,
        };
        for (peer, member) in &self.members {
            match basis.members.get(peer) {
                Some(before) => review.altered.push((before.clone(), member.clone())),
                None => review.added.push(member.clone()),
            }
        }
        Ok(review)
    }

    /// The charter that it puts in force; none when it has none, or that one is in force already.
    fn review_charter(&self, known: &Charter, now: u64) -> Result<Option<Charter>, ProposalError> {
        let Some(next) = self.charter().filter(|next| *next != known) else { return Ok(None) };
        let expected = known.number.checked_add(1);
        if known.ended {
            return Err(CharterError::Ended { number: known.number }.into());
        }
        if next.community != known.community {
            return Err(untrue("its charter is of another community"));
        }
        if Some(next.number) != expected {
            let follows = format!("charter {}", next.number.saturating_sub(1));
            let known_as = format!("charter {}", known.number);
            return Err(if next.number <= known.number {
                ProposalError::Overtaken { known: known_as, follows }
            } else {
                ProposalError::Ahead { known: known_as, follows }
            });
        }
        if next.previous != Some(known.hash()) {
            return Err(CharterError::Forked { number: known.number }.into());
        }
        check_time(next.expires, CHARTER_LIFETIME_MAX_S, now)?;
        if next.ended && (&next.name, &next.managers) != (&known.name, &known.managers) {
            return Err(untrue("it ends the community and changes who manages it"));
        }
        Ok(Some(next.clone()))
    }

    /// Whether it follows the roster in force.
    fn review_base(&self, basis: &Basis) -> Result<(), ProposalError> {
        let own = self.roster().seen();
        if basis.roster.is_some_and(|known| known.hash == own.hash) {
            return Err(ProposalError::InForce);
        }
        let order = |seen: &RosterSeen| (seen.charter, seen.number);
        let (known, follows) = (basis.roster.as_ref(), self.base.as_ref());
        let is_forked = known.zip(follows).is_some_and(|(known, follows)| {
            order(known) == order(follows) && known.hash != follows.hash
        });
        if let (Some(known), true) = (known, is_forked) {
            return Err(ProposalError::Forked(known.number));
        }
        let said = |seen: Option<&RosterSeen>| match seen {
            Some(seen) => format!("roster {} under charter {}", seen.number, seen.charter),
            None => "no roster".to_owned(),
        };
        match follows.map(order).cmp(&known.map(order)) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => {
                Err(ProposalError::Overtaken { known: said(known), follows: said(follows) })
            }
            std::cmp::Ordering::Greater => {
                Err(ProposalError::Ahead { known: said(known), follows: said(follows) })
            }
        }
    }

    /// Whether the roster is the next one under this charter, with what a roster is to have.
    fn review_roster(
        &self,
        basis: &Basis,
        charter: &Charter,
        now: u64,
    ) -> Result<(), ProposalError> {
        let roster = self.roster();
        if roster.community != self.community {
            return Err(untrue("its roster is of another community"));
        }
        let (found, known) = (roster.charter.0, charter.number);
        if found < known {
            let (known, follows) = (format!("charter {known}"), format!("charter {found}"));
            return Err(ProposalError::Overtaken { known, follows });
        }
        if found != known {
            return Err(RosterError::OtherCharter { known, found }.into());
        }
        if roster.charter.1 != charter.hash() {
            return Err(RosterError::ForkedCharter { number: known }.into());
        }
        let before = basis.roster.filter(|seen| seen.charter == known);
        let expected = before.map_or(0, |seen| seen.number).checked_add(1);
        if Some(roster.number) != expected {
            return Err(untrue("its roster leaves numbers out"));
        }
        check_time(roster.expires, ROSTER_LIFETIME_MAX_S, now)?;
        if roster.renewers.is_empty() || !roster.renewers.is_subset(&charter.managers.keys) {
            return Err(untrue("others than managers could renew its roster, or nobody"));
        }
        Ok(())
    }

    /// All memberships then.
    fn apply(&self, basis: &Basis) -> Result<BTreeMap<PeerName, Membership>, ProposalError> {
        let mut members = basis.members.clone();
        for peer in &self.removed {
            if members.remove(peer).is_none() || self.members.contains_key(peer) {
                return Err(untrue(format!("it takes {peer} out, who is not there")));
            }
        }
        for (peer, member) in &self.members {
            if member.community != self.community {
                return Err(untrue(format!("{peer} is of another community")));
            }
            if members.insert(peer.clone(), member.clone()).as_ref() == Some(member) {
                return Err(untrue(format!("it changes {peer}, who stays as it was")));
            }
        }
        let keys: BTreeSet<&PublicKey> = members.values().map(|member| &member.key).collect();
        if keys.len() != members.len() {
            return Err(untrue("two of its peers have one key"));
        }
        Ok(members)
    }
}

/// The publishers that a roster of these peers has.
#[must_use]
pub(crate) fn publishers(
    members: &BTreeMap<PeerName, Membership>,
) -> BTreeMap<PublicKey, RosterPublisher> {
    let publishers = members.values().filter(|member| member.roles.contains(&Role::Publisher));
    let publishers = publishers.map(|member| {
        let (exchange, peer) = (member.exchange, member.peer.clone());
        (member.key, RosterPublisher { exchange, peer })
    });
    publishers.collect()
}

fn check_time(expires: u64, most: u64, now: u64) -> Result<(), ProposalError> {
    if expires <= now {
        return Err(ProposalError::Expired { expires, now });
    }
    if expires - now > most {
        return Err(ProposalError::TooLong { expires });
    }
    Ok(())
}

fn untrue(why: impl Into<String>) -> ProposalError {
    ProposalError::Untrue(why.into())
}

impl Basis {
    /// The next roster of these peers, under `charter`.
    #[must_use]
    pub fn next_roster(
        &self,
        charter: &Charter,
        members: &BTreeMap<PeerName, Membership>,
        renewers: BTreeSet<PublicKey>,
        (issued, expires): (u64, u64),
    ) -> crate::Roster {
        let before = self.roster.filter(|seen| seen.charter == charter.number);
        let encoded: Vec<Vec<u8>> = members.values().map(Membership::encode).collect();
        crate::Roster {
            community: charter.community,
            charter: (charter.number, charter.hash()),
            number: before.map_or(0, |seen| seen.number).saturating_add(1),
            issued,
            expires,
            count: encoded.len() as u64,
            members: members_root(encoded.iter().map(Vec::as_slice)),
            publishers: publishers(members),
            renewers,
        }
    }
}
