//! A change is made on what is in force, signed, and handed in or kept until more have signed it.

use std::collections::{BTreeMap, BTreeSet};

use community::charter::MANAGERS_MAX;
use community::proposal::{Basis, Draft};
use community::roster::RENEWERS_MAX;
use community::{
    Charter, Membership, PeerName, Proposal, Renewal, Roster, RosterError, RosterSeen,
};
use documents::{PublicKey, Quorum, jointly};
use hub_api::{ProblemCode, RosterChange};

use super::{
    ATTEMPTS, CHARTER_LIFETIME, Changed, ProposingError, RENEWAL_LIFETIME, ROSTER_LIFETIME, fail,
};
use crate::communities::{CommunityError, Place, Stored, StoredSeen, going_on};
use crate::hubs::HubLink;
use crate::publish::unix_now;
use crate::state::{lock_for_change, write_json};

/// How the community is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) managers: Quorum,
    pub(super) members: BTreeMap<PeerName, Membership>,
}

impl Next {
    /// Refuses what nobody could read: a roster with it would end the community.
    fn check(&self, before: &Self) -> Result<(), CommunityError> {
        let is_new = |(peer, member): &(&PeerName, &Membership)| {
            before.members.get(*peer).is_none_or(|it| it != *member)
        };
        for (peer, member) in self.members.iter().filter(is_new) {
            Membership::decode(&member.encode())
                .map_err(|source| CommunityError::Unfit { peer: peer.to_string(), source })?;
        }
        Ok(())
    }
}

impl From<&Basis> for Next {
    fn from(basis: &Basis) -> Self {
        Self { managers: basis.charter.managers.clone(), members: basis.members.clone() }
    }
}

impl Place {
    /// Makes a change on what is in force, or on what is proposed here already, and hands it in when
    /// enough have signed it.
    pub(super) async fn change(
        &self,
        with: impl Fn(&mut Next) -> Result<(), CommunityError>,
    ) -> Result<Changed, CommunityError> {
        self.own_charter()?;
        let hub = self.hub()?;
        for _ in 0..ATTEMPTS {
            let basis = self.basis(&hub).await?;
            let proposal = {
                // The node and a command may both be adding to what is proposed.
                let _lock = lock_for_change(&self.pending_path())?;
                let before = Next::from(&basis);
                let pending = self.pending_on(&basis)?;
                let mut next = match &pending {
                    Some((pending, review)) => Next {
                        managers: pending.proposal.charter_then(&basis.charter).managers.clone(),
                        members: review.members.clone(),
                    },
                    None => before.clone(),
                };
                with(&mut next)?;
                next.check(&before)?;
                if pending.is_some() && next == before {
                    self.forget_pending()?;
                    None
                } else {
                    let proposal = self.propose(&basis, next);
                    if proposal.progress(&basis.charter).missing > 0 {
                        let proposed = self.keep_pending(&basis, proposal)?;
                        return Ok(Changed::Proposed(Box::new(proposed)));
                    }
                    Some(proposal)
                }
            };
            // Nothing is left of what was proposed, or nobody else has to sign it.
            let is_done = match &proposal {
                None => true,
                Some(proposal) => self.put_in_force(&hub, &basis, proposal).await?,
            };
            if is_done {
                return Ok(Changed::InForce(Box::new(self.refresh().await?)));
            }
        }
        Err(CommunityError::Contended)
    }

    /// What leads from one to the other, with this node's signature.
    fn propose(&self, basis: &Basis, next: Next) -> Proposal {
        let now = unix_now();
        let Next { managers, members } = next;
        let charter = (managers != basis.charter.managers).then(|| Charter {
            number: basis.charter.number.saturating_add(1),
            issued: now,
            expires: now + CHARTER_LIFETIME.as_secs(),
            managers,
            previous: Some(basis.charter.hash()),
            ..basis.charter.clone()
        });
        let under = charter.as_ref().unwrap_or(&basis.charter);
        let times = (now, now + ROSTER_LIFETIME.as_secs());
        let renewers = renewers(&self.node.key().public(), &under.managers.keys);
        let roster = basis.next_roster(under, &members, renewers, times);
        let removed =
            basis.members.keys().filter(|peer| !members.contains_key(*peer)).cloned().collect();
        let mut changed = members;
        changed.retain(|peer, member| basis.members.get(peer) != Some(member));
        let draft = Draft { base: basis.roster, charter, roster, members: changed, removed };
        Proposal::new(draft, self.node.key())
    }

    /// Hands in a proposal that has been reviewed and that enough have signed. Returns whether it is in
    /// force; it is not when something else came in between.
    pub(super) async fn put_in_force(
        &self,
        hub: &HubLink,
        basis: &Basis,
        proposal: &Proposal,
    ) -> Result<bool, CommunityError> {
        let review = proposal.review(basis, unix_now()).map_err(ProposingError::from)?;
        let own = self.node.key().public();
        if !proposal.charter_then(&basis.charter).managers.keys.contains(&own) {
            return Err(ProposingError::NotAfterwards.into());
        }
        if let (Some(signed), Some(_)) = (proposal.signed_charter(), &review.charter) {
            let next = basis.charter.follow(signed)?;
            if next.ended {
                return self.hand_in_end(hub, signed).await;
            }
            // What the roster under the new charter is made of: it was verified under the old one.
            self.keep_members(&basis.members)?;
            match hub.client.add_charter(&self.id, signed).await {
                Ok(()) => {}
                Err(error) if error.code() == Some(ProblemCode::RosterConflict) => {
                    return Ok(false);
                }
                Err(source) => return Err(fail(hub, "change who manages it", source)),
            }
            let _lock = lock_for_change(&self.path())?;
            let mut stored = self.stored()?;
            stored.charter = signed.into();
            write_json(&self.path(), &stored)?;
        }
        let roster = proposal.roster();
        let renews = roster.renewers.contains(&own);
        let change = RosterChange {
            roster: proposal.signed_roster().into(),
            renewal: renews.then(|| self.sign_renewal(roster).into()),
            members: proposal.members().values().map(|member| member.encode().into()).collect(),
            removed: proposal.removed().iter().map(ToString::to_string).collect(),
        };
        let mut put = hub.client.put_roster(&self.id, &change).await;
        if put.as_ref().is_err_and(|error| error.code() == Some(ProblemCode::DocumentRefused)) {
            // A hub that came back from a backup has other peers than the roster in force.
            let theirs = by_peer(&self.all_members(hub).await?)?;
            if theirs != basis.members {
                let change = difference(&change, &theirs, &review.members);
                put = hub.client.put_roster(&self.id, &change).await;
            }
        }
        match put {
            Ok(()) => self.keep(roster, &change, &review.members)?,
            Err(error) if error.code() == Some(ProblemCode::RosterConflict) => return Ok(false),
            Err(source) => return Err(fail(hub, "change who belongs to it", source)),
        }
        self.forget_pending()?;
        Ok(true)
    }

    /// The community as it stands at the hub, all of it verified: what changes are made on.
    pub(super) async fn basis(&self, hub: &HubLink) -> Result<Basis, CommunityError> {
        let managed = self.managed()?;
        let own: Vec<Vec<u8>> = managed.members.into_values().map(|member| member.0).collect();
        let (roster, members) = match self.newest_roster(hub).await {
            // The charter was changed, and no roster came under it yet: the last one counts.
            Err(CommunityError::Roster(RosterError::OtherCharter { known, found }))
                if found < known =>
            {
                (self.stored()?.seen.map(RosterSeen::from), by_peer(&own)?)
            }
            // A hub that came back from a backup, or hides what it has.
            Err(CommunityError::Roster(RosterError::Replayed { seen, offered })) => {
                let replayed = RosterError::Replayed { seen, offered };
                let known = self.newest_seen()?.ok_or_else(|| replayed.clone())?;
                if known.check_members(own.iter().map(Vec::as_slice)).is_err() {
                    return Err(replayed.into());
                }
                (Some(known.seen()), by_peer(&own)?)
            }
            // Nobody may have handed one in yet.
            found => match found? {
                None => (None, BTreeMap::new()),
                Some(found) if found.check_members(own.iter().map(Vec::as_slice)).is_ok() => {
                    (Some(found.seen()), by_peer(&own)?)
                }
                Some(found) => {
                    let theirs = self.all_members(hub).await?;
                    found.check_members(theirs.iter().map(Vec::as_slice))?;
                    let members = by_peer(&theirs)?;
                    self.keep_members(&members)?;
                    (Some(found.seen()), members)
                }
            },
        };
        Ok(Basis { charter: self.own_charter()?, roster, members })
    }

    /// Changes who manages the community, and how many of them have to sign: a new charter, and the
    /// roster under it.
    ///
    /// # Errors
    /// Nobody, too many, too few or not this node would be left, or see [`CommunityError`].
    pub async fn change_managers(
        &self,
        add: &[PublicKey],
        remove: &[PublicKey],
        threshold: Option<usize>,
    ) -> Result<Changed, CommunityError> {
        let before = self.own_charter()?.managers;
        let own = self.node.key().public();
        self.change(|next| {
            let keys = &mut next.managers.keys;
            keys.extend(add);
            keys.retain(|key| !remove.contains(key));
            if !keys.contains(&own) {
                return Err(CommunityError::LastWord);
            }
            if keys.len() > MANAGERS_MAX {
                return Err(CommunityError::TooManyManagers(keys.len()));
            }
            next.managers.threshold = threshold.unwrap_or(next.managers.threshold);
            // Who is no manager yet cannot see what it would sign.
            let can_sign = keys.intersection(&before.keys).count();
            let needed = next.managers.threshold;
            if needed == 0 || needed > can_sign {
                return Err(ProposingError::OutOfReach { needed, can_sign }.into());
            }
            Ok(())
        })
        .await
    }

    /// The newest roster at the hub, expired or not, under the newest charter: a manager goes on from it
    /// all the same.
    async fn newest_roster(&self, hub: &HubLink) -> Result<Option<Roster>, CommunityError> {
        let known = self.charter()?;
        let offered = match hub.client.standing(&self.id, known.number).await {
            Ok(standing) => standing,
            Err(error) if error.is_not_found() && self.stored()?.roster.is_none() => {
                return Ok(None);
            }
            Err(source) => {
                return Err(self.refused(hub, "ask how the community stands", source).await);
            }
        };
        let _lock = lock_for_change(&self.path())?;
        let mut stored: Stored = self.stored()?;
        let mut charter = Charter::open(&stored.charter.0)?;
        for signed in offered.charters {
            if Charter::open(&signed.0)?.number > charter.number {
                charter = charter.follow(&signed.0)?;
                stored.charter = signed;
                write_json(&self.path(), &stored)?;
            }
        }
        let charter = going_on(charter)?;
        let roster = Roster::open(&offered.roster.0, &charter)?;
        let newest = roster.seen();
        let is_older = stored
            .seen
            .is_some_and(|seen| (newest.charter, newest.number) < (seen.charter, seen.number));
        if is_older {
            let seen = stored.seen.map_or(0, |seen| seen.number);
            return Err(RosterError::Replayed { seen, offered: newest.number }.into());
        }
        stored.seen = Some(newest.into());
        stored.roster = Some(offered.roster);
        stored.renewal = offered.renewal;
        stored.membership = offered.membership;
        write_json(&self.path(), &stored)?;
        Ok(Some(roster))
    }

    /// The newest roster that was accepted here, if it was kept.
    fn newest_seen(&self) -> Result<Option<Roster>, CommunityError> {
        let stored = self.stored()?;
        let charter = Charter::open(&stored.charter.0)?;
        let Some(signed) = &stored.roster else { return Ok(None) };
        let roster = Roster::open(&signed.0, &charter)?;
        let seen = stored.seen.map(RosterSeen::from);
        Ok((seen == Some(roster.seen())).then_some(roster))
    }

    fn sign_renewal(&self, roster: &Roster) -> Vec<u8> {
        let now = unix_now();
        let renewal = Renewal {
            community: self.id,
            renewer: self.node.key().public(),
            roster: jointly::payload_hash(roster),
            issued: now,
            expires: now + RENEWAL_LIFETIME.as_secs(),
        };
        renewal.sign(self.node.key())
    }

    /// Keeps what was handed in.
    fn keep(
        &self,
        roster: &Roster,
        change: &RosterChange,
        members: &BTreeMap<PeerName, Membership>,
    ) -> Result<(), CommunityError> {
        self.keep_members(members)?;
        let _lock = lock_for_change(&self.path())?;
        let mut stored = self.stored()?;
        stored.seen = Some(StoredSeen::from(roster.seen()));
        stored.roster = Some(change.roster.clone());
        stored.renewal.clone_from(&change.renewal);
        Ok(write_json(&self.path(), &stored)?)
    }

    fn keep_members(&self, members: &BTreeMap<PeerName, Membership>) -> Result<(), CommunityError> {
        let _lock = lock_for_change(&self.managed_path())?;
        let mut managed = self.managed()?;
        let encoded = members.iter().map(|(peer, it)| (peer.to_string(), it.encode().into()));
        managed.members = encoded.collect();
        managed.defined.retain(|peer, _| !managed.members.contains_key(peer));
        Ok(write_json(&self.managed_path(), &managed)?)
    }

    /// Renews the roster when half of its time is over; a new roster when its own end is near. Returns
    /// whether anything was done.
    ///
    /// # Errors
    /// See [`CommunityError`].
    pub async fn renew(&self) -> Result<bool, CommunityError> {
        self.own_charter()?;
        let hub = self.hub()?;
        let roster = match self.newest_roster(&hub).await {
            Err(CommunityError::Roster(RosterError::OtherCharter { known, found }))
                if found < known =>
            {
                return self.sign_anew(&hub).await;
            }
            // Peers refuse what such a hub shows them, until there is a newer one.
            Err(CommunityError::Roster(RosterError::Replayed { .. })) => {
                return self.sign_anew(&hub).await;
            }
            roster => roster?,
        };
        let Some(roster) = roster else { return Ok(false) };
        let now = unix_now();
        if roster.expires.saturating_sub(now) < ROSTER_LIFETIME.as_secs() / 2 {
            return self.sign_anew(&hub).await;
        }
        let charter = self.own_charter()?;
        let offered = hub.client.standing(&self.id, charter.number).await;
        let offered = offered.map_err(|source| fail(&hub, "ask how it stands", source))?;
        let left = offered.renewal.and_then(|signed| Renewal::open(&signed.0).ok());
        let left = left.map_or(0, |renewal| renewal.expires.saturating_sub(now));
        if left >= RENEWAL_LIFETIME.as_secs() / 2 {
            return Ok(false);
        }
        if !roster.renewers.contains(&self.node.key().public()) {
            // Those who may are asked for first; where one signature is enough, this one is.
            let alone = charter.managers.threshold <= 1 && left < RENEWAL_LIFETIME.as_secs() / 4;
            return if alone { self.sign_anew(&hub).await } else { Ok(false) };
        }
        let renewed = hub.client.put_renewal(&self.id, &self.sign_renewal(&roster)).await;
        renewed.map_err(|source| fail(&hub, "renew the roster", source))?;
        Ok(true)
    }

    /// A roster of the same peers for another while; what is proposed here already is one.
    async fn sign_anew(&self, hub: &HubLink) -> Result<bool, CommunityError> {
        let basis = self.basis(hub).await?;
        if self.pending_on(&basis)?.is_some() {
            return Ok(false);
        }
        Ok(matches!(self.change(|_| Ok(())).await?, Changed::InForce(_)))
    }
}

/// Who may renew a roster: the one who makes it, and as many other managers as there may be.
pub(super) fn renewers(own: &PublicKey, managers: &BTreeSet<PublicKey>) -> BTreeSet<PublicKey> {
    let others = managers.iter().filter(|key| *key != own).take(RENEWERS_MAX - 1);
    let all = others.chain(managers.get(own));
    all.copied().collect()
}

fn by_peer(encoded: &[Vec<u8>]) -> Result<BTreeMap<PeerName, Membership>, CommunityError> {
    let mut members = BTreeMap::new();
    for bytes in encoded {
        let member = Membership::decode(bytes)?;
        members.insert(member.peer.clone(), member);
    }
    Ok(members)
}

/// The same roster, brought to a hub that has these peers.
fn difference(
    change: &RosterChange,
    theirs: &BTreeMap<PeerName, Membership>,
    then: &BTreeMap<PeerName, Membership>,
) -> RosterChange {
    let changed = then.iter().filter(|(peer, member)| theirs.get(*peer) != Some(member));
    let removed = theirs.keys().filter(|peer| !then.contains_key(*peer));
    RosterChange {
        members: changed.map(|(_, member)| member.encode().into()).collect(),
        removed: removed.map(ToString::to_string).collect(),
        ..change.clone()
    }
}
